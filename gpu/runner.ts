import type { Program } from "../models/program.ts";
import { UNIFORM_STRIDE } from "./constants.ts";
import { type Gpu, uniformRecords } from "./context.ts";
import { buildAccumulate } from "./ops/accumulate/index.ts";
import { buildStage } from "./ops/index.ts";
import type { Stage } from "./plan.ts";
import type { Resources } from "./resources.ts";
import type { Weights } from "./weights/load.ts";
import type { Dispatch, StepSizes, Work } from "./work.ts";

/** Times of a step's dispatches in nanoseconds, by stage, where the adapter has timestamps. */
export interface StageTime {
  kind: Stage["kind"] | "accumulate";
  nanoseconds: number;
}

/** A plan's stages with pipelines and uniforms made: runs them over a step, all in one compute pass. */
export class Runner {
  readonly #gpu: Gpu;
  readonly #resources: Resources;
  readonly #works: readonly { kind: Stage["kind"] | "accumulate"; work: Work }[];
  /** Every dispatch's words; its number is its dynamic offset. */
  readonly #uniforms: GPUBuffer;
  readonly #numbers: ReadonlyMap<Dispatch, number>;
  readonly #groups = new Map<Dispatch, { version: number; group: GPUBindGroup }>();

  private constructor(
    gpu: Gpu,
    resources: Resources,
    works: readonly { kind: Stage["kind"] | "accumulate"; work: Work }[],
  ) {
    this.#gpu = gpu;
    this.#resources = resources;
    this.#works = works;
    const all = works.flatMap(({ work }) => work.all);
    this.#numbers = new Map(all.map((dispatch, number) => [dispatch, number]));
    this.#uniforms = uniformRecords(
      gpu,
      "ops",
      all.map(({ words }) => words),
    );
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
      ...works.map((work, i) => ({ kind: stages[i]!.kind, work })),
      { kind: "accumulate" as const, work: accumulate },
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

  /** As `encode`, with a pass for each stage, so that each is timed: `queries` holds two a stage. */
  encodeTimed(
    encoder: GPUCommandEncoder,
    sizes: StepSizes,
    queries: GPUQuerySet,
  ): (Stage["kind"] | "accumulate")[] {
    const kinds: (Stage["kind"] | "accumulate")[] = [];
    for (const { kind, work } of this.#works) {
      const dispatches = work.choose(sizes);
      if (dispatches.length === 0) continue;
      const at = 2 * kinds.length;
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet: queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
      });
      for (const dispatch of dispatches) this.#dispatch(pass, dispatch, sizes);
      pass.end();
      kinds.push(kind);
    }
    return kinds;
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
    pass.setBindGroup(0, this.#group(dispatch), [UNIFORM_STRIDE * this.#numbers.get(dispatch)!]);
    pass.dispatchWorkgroups(x, y, z);
    this.#gpu.counters.dispatches++;
  }

  /** A dispatch's bind group, made anew only when a buffer has been replaced. */
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
