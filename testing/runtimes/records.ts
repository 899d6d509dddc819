import { openWebGpu } from "../../gpu/index.ts";
import { type Fields, type RecordLayout, record } from "../../gpu/layout/record.ts";
import { requireWebGpu } from "../../sdk/platform/webgpu.ts";

/** STORAGE, COPY_SRC and COPY_DST; UNIFORM and COPY_DST; MAP_READ and COPY_DST. */
const USAGE = { storage: 0x8c, uniform: 0x48, readback: 0x9 } as const;
const MAP_READ = 1;

/** A record's fields, and one record's u32s as TypeScript packed it. */
export interface PackedRecord {
  fields: Fields;
  packed: number[];
}

/** The same record as a shader wrote it, field by field. */
export interface ShaderCopy {
  /** Read as the second of two records in a storage buffer, by index. */
  by_index: number[];
  /** Read as the second of two, by address. */
  by_address: number[];
  /** Read from a uniform struct. */
  uniform: number[];
}

/** Copies records on the GPU field by field, through all that a record gives WGSL. */
export async function records(args: { records: PackedRecord[] }): Promise<ShaderCopy[]> {
  const device = await openWebGpu(await requireWebGpu("copy records"));
  try {
    const copies: ShaderCopy[] = [];
    for (const given of args.records) copies.push(await copy(device.gpu_device, given));
    return copies;
  } finally {
    await device.dispose();
  }
}

async function copy(gpu: GPUDevice, { fields, packed }: PackedRecord): Promise<ShaderCopy> {
  const layout = record(fields);
  const { stride } = layout;
  const given = buffer(gpu, USAGE.storage, Uint32Array.from([...packed.map(() => 0xdeadbeef), ...packed]));
  const uniform = buffer(gpu, USAGE.uniform, Uint32Array.from(packed));
  const copied = buffer(gpu, USAGE.storage, new Uint32Array(3 * stride));
  const module = gpu.createShaderModule({ code: shader(layout) });
  const { messages } = await module.getCompilationInfo();
  if (messages.length > 0) throw new Error(messages.map(({ message }) => message).join("; "));
  const pipeline = await gpu.createComputePipelineAsync({ layout: "auto", compute: { module } });
  const group = gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [uniform, given, copied].map((resource, binding) => ({
      binding,
      resource: { buffer: resource },
    })),
  });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  const found = await read(gpu, encoder, copied);
  const part = (n: number) => [...found.slice(n * stride, (n + 1) * stride)];
  for (const used of [given, uniform, copied]) used.destroy();
  return { by_index: part(0), by_address: part(1), uniform: part(2) };
}

function shader(layout: RecordLayout): string {
  const { fields, stride } = layout;
  const all = Object.entries(fields);
  const copies = (to: string, from: (name: string, type: string) => string) =>
    all.map(([name, type]) => `  set_copy_${name}(${to}, ${from(name, type)});`).join("\n");
  return `
${layout.struct("Given")}
@group(0) @binding(0) var<uniform> uniform_record: Given;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read_write> copied: array<u32>;
${layout.accessors({ name: "indexed", array: "given", base: "0u" })}
${layout.accessors({ name: "addressed", array: "given" })}
${layout.accessors({ name: "copy", array: "copied", base: "0u", writable: true })}

@compute @workgroup_size(1)
fn main() {
${copies("0u", (name) => `indexed_${name}(1u)`)}
${copies("1u", (name) => `addressed_${name}(${stride}u)`)}
${copies("2u", (name, type) => fromUniform(`uniform_record.${name}`, type))}
}
`;
}

/** A uniform struct has u32s where accessors have bools. */
function fromUniform(member: string, type: string): string {
  if (type === "bool") return `${member} != 0u`;
  const [, count] = /^vec(\d)<bool>$/.exec(type) ?? [];
  return count === undefined ? member : `${member} != vec${count}<u32>()`;
}

function buffer(gpu: GPUDevice, usage: number, contents: Uint32Array<ArrayBuffer>): GPUBuffer {
  const made = gpu.createBuffer({ size: Math.max(16, contents.byteLength), usage });
  gpu.queue.writeBuffer(made, 0, contents);
  return made;
}

async function read(gpu: GPUDevice, encoder: GPUCommandEncoder, from: GPUBuffer): Promise<Uint32Array> {
  const staging = gpu.createBuffer({ size: from.size, usage: USAGE.readback });
  encoder.copyBufferToBuffer(from, 0, staging, 0, from.size);
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(MAP_READ);
  const bytes = staging.getMappedRange().slice(0);
  staging.destroy();
  return new Uint32Array(bytes);
}
