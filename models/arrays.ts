/** Float32 arrays in one, one after the other: a copy, whatever there is to join. */
export function concatFloats(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  return filled(new Float32Array(totalOf(parts)), parts);
}

/** Bytes in one, one after the other: a copy, whatever there is to join. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return filled(new Uint8Array(totalOf(parts)), parts);
}

function totalOf(parts: readonly { length: number }[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function filled<Whole extends { set(part: Part, at: number): void }, Part extends { length: number }>(
  whole: Whole,
  parts: readonly Part[],
): Whole {
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
