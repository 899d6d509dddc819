import { describe, expect, it } from "vitest";
import { TINIES } from "../conformance/contract/tiny.ts";
import { buildProgram, type Program } from "../models/index.ts";
import { planStages } from "./plan.ts";
import { shareBuffers, usesOf } from "./share.ts";

/** Dispatches of a stage: experts take two. */
function dispatches(program: Program): number {
  return planStages(program).reduce((sum, { kind }) => sum + (kind === "experts" ? 2 : 1), 0);
}

describe("the plan of a program", () => {
  it.each(TINIES.map((tiny) => [tiny.name, tiny] as const))(
    "takes eight dispatches a layer: %s",
    (_, tiny) => {
      const program = buildProgram(tiny.decoder);
      // Beside the layers: the embedding, the last norm, the logits, the draw.
      expect(dispatches(program) - 4).toBeLessThanOrEqual(8 * program.n_layers);
    },
  );

  it("refuses ops in an order that no kernel takes", () => {
    const program = buildProgram(TINIES[0].decoder);
    const ops = program.ops.filter(({ op }) => op !== "kv_append");
    expect(() => planStages({ ...program, ops })).toThrow(
      /WebGPU.*order that its kernels know, found .*rope/,
    );
  });

  it("puts buffers that are never needed together into one", () => {
    const program = buildProgram(TINIES[0].decoder);
    const widths = { ...program.buffers, expert_act: 0 };
    const { place, widths: places } = shareBuffers(planStages(program), widths, new Set(["logits"]));
    // h; qkv with act; x with attn and delta; logits.
    expect(places.length).toBeLessThanOrEqual(5);
    expect(places.length).toBeLessThan(place.size);
    for (const name of ["x", "qkv", "attn", "act", "delta"] as const)
      expect(place.get(name)).not.toBe(place.get("h"));
    expect(place.get("x")).not.toBe(place.get("qkv"));
    expect(place.get("attn")).not.toBe(place.get("delta"));
    expect([...place.values()].filter((at) => at === place.get("logits"))).toHaveLength(1);
    for (const [name, at] of place) expect(places[at]).toBeGreaterThanOrEqual(widths[name]);
  });

  it.each(TINIES.map((tiny) => [tiny.name, tiny] as const))(
    "has each buffer in its place until its last reader: %s",
    (_, tiny) => {
      const program = buildProgram(tiny.decoder);
      const stages = planStages(program);
      const { place } = shareBuffers(stages, { ...program.buffers, expert_act: 1 }, new Set());
      const held = new Map<number, string>();
      for (const [index, stage] of stages.entries()) {
        const { reads, writes } = usesOf(stage);
        for (const name of reads) expect([index, held.get(place.get(name)!)]).toEqual([index, name]);
        for (const name of writes) {
          held.set(place.get(name)!, name);
          // What the stage reads is there for as long as it runs.
          for (const read of reads) expect([index, held.get(place.get(read)!)]).toEqual([index, read]);
        }
      }
    },
  );
});
