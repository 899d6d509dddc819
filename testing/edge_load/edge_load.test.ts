import { beforeAll, describe, expect, it } from "vitest";
import { buildDist } from "../runtimes/runtimes.ts";
import { edgeLoad, isRight } from "./edge_load.ts";

/** A few streams; `npm run edge-load` runs a thousand. */

beforeAll(buildDist);
const command = [process.execPath, "bin/capstan.mjs"];

describe("many streams at once on a server of its own", () => {
  it("each end in one of the ways there are, with their own text, and nothing stays", async () => {
    const report = await edgeLoad({ streams: 30, seed: 3, model: "capstan-tiny", command });
    const { finished, aborted, refused } = report;
    expect(report).toMatchObject({ failed: 0, lost: 0, crossed: [], errors: [], drained: true });
    expect(report.left).toEqual({ sequences: 0, blocks: 0 });
    expect(finished + aborted + refused).toBe(30);
    for (const some of [finished, aborted, report.compared]) expect(some).toBeGreaterThan(3);
    expect(report.first_token_ms!.p99).toBeGreaterThanOrEqual(report.first_token_ms!.p50);
    expect(report.event_loop_lag_ms.p50).toBeGreaterThan(0);
    expect(report.memory_mb.before).toBeGreaterThan(10);
    expect(isRight(report)).toBe(true);
  }, 120_000);

  it("are wrong where one failed, was lost or crossed, or something stayed", async () => {
    const right = await edgeLoad({ streams: 1, seed: 1, model: "capstan-tiny", command });
    expect(isRight(right)).toBe(true);
    const wrong = [
      { failed: 1 },
      { lost: 1 },
      { crossed: ["0: has the text of 1"] },
      { left: { sequences: 0, blocks: 1 } },
      { left: { sequences: 1, blocks: 0 } },
      { drained: false },
    ];
    for (const one of wrong) expect(isRight({ ...right, ...one }), JSON.stringify(one)).toBe(false);
    expect(isRight({ ...right, aborted: 3, refused: 2 })).toBe(true);
  }, 60_000);
});
