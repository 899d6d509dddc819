/** Flags of the WebGPU specification, spelled out: not every runtime has them as globals. */
export const USAGE = {
  MAP_READ: 0x0001,
  COPY_SRC: 0x0004,
  COPY_DST: 0x0008,
  UNIFORM: 0x0040,
  STORAGE: 0x0080,
  QUERY_RESOLVE: 0x0200,
} as const;
export const MAP_READ_MODE = 0x0001;
export const COMPUTE_STAGE = 0x4;

/** Bytes of a uniform record: dynamic offsets must be multiples of 256 on any adapter. */
export const UNIFORM_STRIDE = 256;

/** Rows of every activation and matrix are padded with zeros to a multiple of this many values. */
const ROW_PADDING = 64;

export function padded(width: number, to = ROW_PADDING): number {
  return Math.ceil(width / to) * to;
}
