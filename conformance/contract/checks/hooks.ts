import { itemAt } from "../../../models/certain.ts";
import type { Hook } from "../../../models/index.ts";
import { rowError } from "../../bounds.ts";
import { check, checkSame } from "../assert.ts";
import type { Check } from "../check.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { everyKind, everySite, idOf, residualSites } from "./sites.ts";

const [gqa, odd] = [TINIES[0], TINIES[1]];

export const hookChecks: Check[] = [
  ...[gqa, odd].flatMap((tiny): Check[] => [
    {
      name: `every kind of hook at every residual site, all positions (${tiny.name})`,
      tiny,
      run: (twin) => everyHook(twin, "all", true),
    },
    {
      name: `every kind of hook at every residual site, last position of a call (${tiny.name})`,
      tiny,
      run: (twin) => everyHook(twin, "last", true),
    },
    {
      name: `hooks on the last position leave a chunk that does not end its call alone (${tiny.name})`,
      tiny,
      run: (twin) => everyHook(twin, "last", false),
    },
  ]),
  { name: "hooks hold in prefill and in every step of decode", tiny: gqa, run: hooksInDecode },
  { name: "hooks on one site act in the order listed", tiny: gqa, run: orderOnOneSite },
  { name: "a projection after a cap reads what the cap left", tiny: gqa, run: projectAfterCap },
  {
    name: "projections at every site, rows in the order of their numbers",
    tiny: odd,
    run: projectEverywhere,
  },
  { name: "resid_post of a layer comes before resid_pre of the next", tiny: gqa, run: postBeforePre },
  { name: "a hook set stands for what it was when added", tiny: gqa, run: setsAreCopies },
  { name: "sixteen hooks on one site", tiny: odd, run: manyHooks },
];

/** Compared with the truth at all sites, and against no hooks at all, so that a hook that does nothing shows. */
async function everyHook(twin: Twin, positions: "all" | "last", ends_call: boolean): Promise<void> {
  const tokens = new Random(9).tokens(11, twin.program.d_vocab);
  const captures = everySite(twin);
  const plain = await twin.run({ sequence: twin.sequence(), tokens, ends_call, captures });
  for (const [n, site] of residualSites(twin).entries()) {
    for (const hook of everyKind(twin, site, 100 + n, positions)) {
      const hooks = twin.hooks(hook);
      const sequence = twin.sequence();
      const hooked = await twin.run({ sequence, tokens, hooks, ends_call, captures });
      const changed = changedRows(twin, plain.device.captures, hooked.device.captures, idOf(twin, site));
      const expected = positions === "all" ? tokens.length : ends_call ? 1 : 0;
      const enough = positions === "all" ? changed > 0 : changed === expected;
      check(enough, `${hook.kind} at ${site}: ${changed} rows changed, expected ${expected}`);
      twin.device.freeHooks(hooks.device);
      twin.free(sequence);
    }
  }
}

function changedRows(
  twin: Twin,
  before: readonly Float32Array[],
  after: readonly Float32Array[],
  site: number,
): number {
  const { d_model } = twin.program;
  const rows = itemAt(before, site).length / d_model;
  let changed = 0;
  for (let r = 0; r < rows; r++) {
    if (rowError(itemAt(before, site), itemAt(after, site), r * d_model, d_model).relative_error > 1e-4)
      changed++;
  }
  return changed;
}

async function hooksInDecode(twin: Twin): Promise<void> {
  for (const positions of ["all", "last"] as const) {
    const hooks = twin.hooks(
      itemAt(everyKind(twin, "blocks.0.hook_resid_post", 1, positions), 0),
      itemAt(everyKind(twin, "blocks.1.hook_resid_mid", 2, positions), 7),
      {
        kind: "project",
        site: "blocks.2.hook_resid_post",
        vector: new Random(3).vector(twin.program.d_model),
      },
    );
    const sequence = twin.sequence();
    const random = new Random(4);
    const captures = everySite(twin);
    await twin.run({ sequence, tokens: random.tokens(9, 61), hooks, captures, ends_call: false });
    await twin.run({ sequence, tokens: random.tokens(4, 61), hooks, captures });
    for (let n = 0; n < 8; n++) await twin.run({ sequence, tokens: random.tokens(1, 61), hooks, captures });
  }
}

async function orderOnOneSite(twin: Twin): Promise<void> {
  const site = "blocks.1.hook_resid_post";
  const vector = new Random(7).vector(twin.program.d_model);
  const add: Hook = { kind: "add", site, vector, coefficient: 3 };
  const cap: Hook = { kind: "cap", site, vector, ceiling: 0.5 };
  const tokens = new Random(8).tokens(6, twin.program.d_vocab);
  const captures = [idOf(twin, site)];
  const [addFirst, capFirst] = await twin.step([
    { sequence: twin.sequence(), tokens, hooks: twin.hooks(add, cap), captures },
    { sequence: twin.sequence(), tokens, hooks: twin.hooks(cap, add), captures },
  ]);
  const { d_model } = twin.program;
  const apart = rowError(
    itemAt(addFirst.device.captures, 0),
    itemAt(capFirst.device.captures, 0),
    0,
    d_model,
  );
  check(apart.relative_error > 0.1, "add then cap is not cap then add");
}

async function projectAfterCap(twin: Twin): Promise<void> {
  const site = "blocks.1.hook_resid_post";
  const vector = new Random(17).vector(twin.program.d_model, 3);
  const hooks = twin.hooks(
    { kind: "project", site, vector },
    { kind: "cap", site, vector, floor: 1.25, ceiling: 1.5 },
    { kind: "project", site, vector },
  );
  const tokens = new Random(18).tokens(12, twin.program.d_vocab);
  const { device } = await twin.run({ sequence: twin.sequence(), tokens, hooks });
  const before = device.projections.subarray(0, 12);
  const after = device.projections.subarray(12);
  check(before.some((p) => p < 1.25) && before.some((p) => p > 1.5), "the cap has both sides to act on");
  for (const p of after) check(p > 1.2499 && p < 1.5001, `p after the cap is ${p}`);
}

async function projectEverywhere(twin: Twin): Promise<void> {
  const random = new Random(23);
  const hooks = everySite(twin).map((site, i) => ({
    op: "project" as const,
    site,
    direction: unit(random.vector(twin.program.d_model)),
    output: (i * 4) % (twin.program.n_layers * 5),
  }));
  // 4 and 15 share no factor: the outputs are a shuffle of all rows.
  const outputs = new Set(hooks.map(({ output }) => output));
  check(outputs.size === hooks.length, "every row has its projection");
  const set = twin.deviceHooks(hooks);
  const sequence = twin.sequence();
  await twin.run({ sequence, tokens: random.tokens(7, 97), hooks: set, ends_call: false, logits: "none" });
  await twin.run({ sequence, tokens: random.tokens(1, 97), hooks: set });
}

async function postBeforePre(twin: Twin): Promise<void> {
  const vector = new Random(31).vector(twin.program.d_model);
  const captures = [idOf(twin, "blocks.0.hook_resid_post"), idOf(twin, "blocks.1.hook_resid_pre")];
  const tokens = new Random(32).tokens(5, twin.program.d_vocab);
  const hooks = twin.hooks({ kind: "add", site: "blocks.1.hook_resid_pre", vector });
  const [plain, hooked] = await twin.step([
    { sequence: twin.sequence(), tokens, captures },
    { sequence: twin.sequence(), tokens, captures, hooks },
  ]);
  checkSame(
    itemAt(plain.device.captures, 0),
    itemAt(plain.device.captures, 1),
    "the two sites without hooks",
  );
  check(
    rowError(itemAt(plain.device.captures, 0), itemAt(hooked.device.captures, 0), 0, tokens.length)
      .relative_error < 1e-5,
    "a hook at resid_pre of layer 1 leaves resid_post of layer 0",
  );
}

async function setsAreCopies(twin: Twin): Promise<void> {
  const delta = new Random(41).vector(twin.program.d_model);
  const kept = Float32Array.from(delta);
  const id = twin.device.addHooks([{ op: "shift", site: 4, positions: "all", delta }]);
  const truth = twin.truth.addHooks([{ op: "shift", site: 4, positions: "all", delta: kept }]);
  delta.fill(100);
  await twin.run({
    sequence: twin.sequence(),
    tokens: [1, 2, 3],
    hooks: { device: id, truth, hooks: [] },
    captures: [4],
  });
}

async function manyHooks(twin: Twin): Promise<void> {
  const site = "blocks.1.hook_resid_mid";
  const hooks = [...everyKind(twin, site, 50, "all"), ...everyKind(twin, site, 51, "last")];
  const sequence = twin.sequence();
  const tokens = new Random(52).tokens(10, 97);
  await twin.run({ sequence, tokens, hooks: twin.hooks(...hooks), captures: everySite(twin) });
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}
