import { entryOf, itemAt } from "../models/certain.ts";
import type { Program } from "../models/program.ts";
import { UNIFORM_STRIDE, USAGE } from "./constants.ts";
import { type Gpu, uniformBytes } from "./context.ts";
import { buildAccumulate } from "./ops/accumulate/index.ts";
import { buildStage } from "./ops/index.ts";
import type { Stage } from "./plan.ts";
import type { Resources } from "./resources.ts";
import type { Weights } from "./weights/load.ts";
import type { Dispatch, StepSizes, Work } from "./work.ts";

interface NamedWork {
  name: string;
  work: Work;
}

/** The name of a stage in a profile: products by what they write. */
function nameOf(stage: Stage): string {
  return stage.kind === "matmul" ? `matmul ${stage.out}` : stage.kind;
}

/** A plan's stages with pipelines and uniforms made: runs them over a step, all in one compute pass. */
export class Runner {
  readonly #gpu: Gpu;
  readonly #resources: Resources;
  readonly #works: readonly NamedWork[];
  /** Every dispatch's record; its number is its dynamic offset. */
  readonly #uniforms: GPUBuffer;
  readonly #numbers: ReadonlyMap<Dispatch, number>;
  readonly #groups = new Map<Dispatch, { version: number; group: GPUBindGroup }>();

  private constructor(gpu: Gpu, resources: Resources, works: readonly NamedWork[]) {
    this.#gpu = gpu;
    this.#resources = resources;
    this.#works = works;
    const all = works.flatMap(({ work }) => work.all);
    this.#numbers = new Map(all.map((dispatch, number) => [dispatch, number]));
    const records = uniformBytes(all.map(({ op }) => op));
    this.#uniforms = gpu.buffer("ops", records.length, USAGE.UNIFORM | USAGE.COPY_DST);
    gpu.write(this.#uniforms, 0, records);
  }

  static async create(
    gpu: Gpu,
    program: Program,
    stages: readonly Stage[],
    resources: Resources,
    weights: Weights,
  ): Promise<Runner> {
    const context = { gpu, program, weights };
    const works = await Promise.all(stages.map((stage) => buildStage(stage, resources, context)));
    const accumulate = await buildAccumulate(context);
    return new Runner(gpu, resources, [
      ...works.map((work, i) => ({ name: nameOf(itemAt(stages, i)), work })),
      { name: "accumulate", work: accumulate },
    ]);
  }

  /** Encodes a step's dispatches, in one pass. */
  encode(encoder: GPUCommandEncoder, sizes: StepSizes): void {
    const pass = encoder.beginComputePass();
    for (const { work } of this.#works) {
      for (const dispatch of work.choose(sizes)) this.#dispatch(pass, dispatch, sizes);
    }
    pass.end();
    this.#gpu.counters.passes++;
  }

  /** As `encode`, with a pass for each stage, so that each is timed: two of `queries` a stage. Returns their names. */
  encodeTimed(encoder: GPUCommandEncoder, sizes: StepSizes, queries: GPUQuerySet): string[] {
    const names: string[] = [];
    for (const { name, work } of this.#works) {
      const dispatches = work.choose(sizes);
      if (dispatches.length === 0) continue;
      const at = 2 * names.length;
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet: queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
      });
      for (const dispatch of dispatches) this.#dispatch(pass, dispatch, sizes);
      pass.end();
      this.#gpu.counters.passes++;
      names.push(name);
    }
    return names;
  }

  get n_stages(): number {
    return this.#works.length;
  }

  dispose(): void {
    this.#gpu.release(this.#uniforms);
    this.#groups.clear();
  }

  #dispatch(pass: GPUComputePassEncoder, dispatch: Dispatch, sizes: StepSizes): void {
    const [x, y, z] = dispatch.groups(sizes);
    pass.setPipeline(dispatch.pipeline.pipeline);
    pass.setBindGroup(0, this.#group(dispatch), [UNIFORM_STRIDE * entryOf(this.#numbers, dispatch)]);
    pass.dispatchWorkgroups(x, y, z);
    this.#gpu.counters.dispatches++;
  }

  /** A dispatch's bind group, made again only when a buffer has been replaced. */
  #group(dispatch: Dispatch): GPUBindGroup {
    const { buffers } = this.#resources;
    const cached = this.#groups.get(dispatch);
    if (cached?.version === buffers.version) return cached.group;
    const { step, batch } = buffers.batchBindings();
    const group = this.#gpu.bindGroup(dispatch.pipeline, [
      step,
      { buffer: this.#uniforms, size: UNIFORM_STRIDE },
      batch,
      ...dispatch.bindings(this.#resources).map((buffer) => ({ buffer })),
    ]);
    this.#groups.set(dispatch, { version: buffers.version, group });
    return group;
  }
}
