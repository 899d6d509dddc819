import { onlyOf, present } from "../../../models/certain.ts";
import { SITE_KINDS, type StepEntry } from "../../../models/index.ts";
import { check, checkRefused } from "../assert.ts";
import type { Check } from "../check.ts";
import { stepEntry } from "../entry.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";

const tiny = TINIES[0];
const parallel = present(
  TINIES.find(({ name }) => name.startsWith("parallel")),
  "a tiny decoder of parallel blocks",
);

/** What a step refuses before anything runs, and that it runs as before afterwards. */
export const refusalChecks: Check[] = [
  { name: "a step refuses tokens and positions that do not fit", tiny, run: tokens },
  { name: "a step refuses blocks that are too few or not allocated", tiny, run: blocks },
  { name: "a step refuses ids of hooks, accumulators and sites that are not there", tiny, run: ids },
  { name: "a step refuses a site that a parallel block does not pass", tiny: parallel, run: unpassedSite },
  { name: "a refused entry stops the whole step, and the next runs as before", tiny, run: wholeStep },
  { name: "freeing what is not there is refused", tiny, run: frees },
  { name: "more blocks than memory: out_of_memory, and none allocated", tiny, run: outOfMemory },
  { name: "a disposed model refuses every call", tiny, run: disposedModel },
];

/** An entry that is right but for `changes`. */
async function entry(twin: Twin, changes: Partial<StepEntry> = {}): Promise<StepEntry> {
  const blocks = Int32Array.from(await twin.device.allocBlocks(2));
  return stepEntry({ tokens: Int32Array.of(1, 2, 3), blocks, ...changes });
}

async function refuse(twin: Twin, what: string, changes: Partial<StepEntry>): Promise<void> {
  const wrong = await entry(twin, changes);
  await checkRefused(["bad_request", "context_overflow"], what, () => twin.device.step([wrong]));
}

async function tokens(twin: Twin): Promise<void> {
  await refuse(twin, "no tokens", { tokens: new Int32Array(0) });
  await refuse(twin, "a token id past the vocabulary", { tokens: Int32Array.of(1, 61) });
  await refuse(twin, "a huge token id", { tokens: Int32Array.of(2 ** 31 - 1) });
  await refuse(twin, "a negative token id", { tokens: Int32Array.of(-1, 2) });
  await refuse(twin, "a negative position", { position: -1 });
  await refuse(twin, "a position that is no whole number", { position: 0.5 });
  const { n_ctx } = twin.tiny.decoder.spec;
  const enough = Math.ceil((n_ctx + 3) / twin.device.block_size);
  const many = Int32Array.from(await twin.device.allocBlocks(enough));
  await refuse(twin, "positions past n_ctx", { position: n_ctx - 2, blocks: many });
  await twin.device.step([await entry(twin, { position: 0, blocks: many })]);
}

async function blocks(twin: Twin): Promise<void> {
  const { block_size } = twin.device;
  const one = await twin.device.allocBlocks(1);
  await refuse(twin, "too few blocks", { position: block_size - 1, blocks: Int32Array.from(one) });
  await refuse(twin, "no blocks", { blocks: new Int32Array(0) });
  await refuse(twin, "a block that never was", { blocks: Int32Array.of(1_000_000) });
  await refuse(twin, "a negative block", { blocks: Int32Array.of(-1) });
  await refuse(twin, "block 0", { blocks: Int32Array.of(0) });
  twin.device.freeBlocks(one);
  await refuse(twin, "a freed block", { blocks: Int32Array.from(one) });
  // Takes every slot that is free: the freed block's serves another one now.
  const again = await twin.device.allocBlocks(64);
  check(!again.includes(0) && !again.includes(onlyOf(one)), "ids are new, and never 0");
  await refuse(twin, "a freed block whose slot serves another", { blocks: Int32Array.from(one) });
  twin.device.freeBlocks(again);
}

async function ids(twin: Twin): Promise<void> {
  await refuse(twin, "a hook set that never was", { hooks: 4711 });
  const hooks = twin.device.addHooks([]);
  twin.device.freeHooks(hooks);
  await refuse(twin, "a freed hook set", { hooks });
  await refuse(twin, "an accumulator that never was", { accumulate: [{ id: 4711, start: 0, end: 1 }] });
  const id = twin.device.addAccumulator([0]);
  await refuse(twin, "a span past the tokens", { accumulate: [{ id, start: 0, end: 4 }] });
  await refuse(twin, "a span that ends before it starts", { accumulate: [{ id, start: 2, end: 1 }] });
  twin.device.freeAccumulator(id);
  await refuse(twin, "a freed accumulator", { accumulate: [{ id, start: 0, end: 1 }] });
  await refuse(twin, "a site past the last layer", { captures: [15] });
  await refuse(twin, "a negative site", { captures: [-1] });
}

/** A parallel block has no stream between attention and MLP. */
async function unpassedSite(twin: Twin): Promise<void> {
  const mid = SITE_KINDS.indexOf("hook_resid_mid");
  await refuse(twin, "a capture there", { captures: [mid] });
  const direction = Float32Array.from({ length: twin.program.d_model }, (_, i) => (i === 0 ? 1 : 0));
  await checkRefused(["bad_request"], "a hook there", () =>
    twin.device.addHooks([{ op: "project", site: mid, direction, output: 0 }]),
  );
  await checkRefused(["bad_request"], "a mean there", () => twin.device.addAccumulator([mid]));
}

async function wholeStep(twin: Twin): Promise<void> {
  const accumulator = twin.accumulator([4]);
  const good = await entry(twin, { accumulate: [{ id: accumulator.device, start: 0, end: 3 }] });
  const bad = await entry(twin, { tokens: Int32Array.of(99) });
  await checkRefused(["bad_request"], "one bad entry of two", () => twin.device.step([good, bad]));
  check(
    (await twin.device.readAccumulator(accumulator.device)).count === 0,
    "the good entry did not run either",
  );
  const sequence = twin.sequence();
  await twin.run({ sequence, tokens: [1, 2, 3], accumulate: [{ accumulator, start: 0, end: 3 }] });
}

async function frees(twin: Twin): Promise<void> {
  const { device } = twin;
  const block = onlyOf(await device.allocBlocks(1));
  device.freeBlocks([block]);
  await checkRefused(["bad_request"], "a block freed twice", () => device.freeBlocks([block]));
  const other = onlyOf(await device.allocBlocks(1));
  await checkRefused(["bad_request"], "a copy to a freed block", () => device.copyBlock(other, block));
  await checkRefused(["bad_request"], "a copy of block 0", () => device.copyBlock(0, other));
  await checkRefused(["bad_request"], "unknown hooks", () => device.freeHooks(900_000));
  await checkRefused(["bad_request"], "an unknown accumulator", () => device.freeAccumulator(900_000));
  await checkRefused(["bad_request"], "an unknown accumulator's mean", () => device.readAccumulator(900_000));
}

async function outOfMemory(twin: Twin): Promise<void> {
  const [before] = await twin.device.allocBlocks(1);
  await checkRefused(["out_of_memory"], "a billion blocks", () => twin.device.allocBlocks(1_000_000_000));
  const [after] = await twin.device.allocBlocks(1);
  check(before !== after, "blocks are given as before");
  await twin.run({ sequence: twin.sequence(), tokens: [3, 4] });
}

async function disposedModel(twin: Twin): Promise<void> {
  const good = await entry(twin);
  await twin.device.dispose();
  const calls: Record<string, () => unknown> = {
    step: () => twin.device.step([good]),
    allocBlocks: () => twin.device.allocBlocks(1),
    addHooks: () => twin.device.addHooks([]),
    addAccumulator: () => twin.device.addAccumulator([0]),
  };
  for (const [name, call] of Object.entries(calls)) {
    await checkRefused(["device_lost"], `${name} of a disposed model`, call);
  }
  await twin.device.dispose(); // twice is nothing
}
