import type { SampleParams, StepEntry, StepResult } from "../../../models/index.ts";
import { check, checkRefused, checkSame } from "../assert.ts";
import type { Check } from "../check.ts";
import { stepEntry } from "../entry.ts";
import { GREEDY, sampling } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { everySite } from "./sites.ts";

/** Tokens that are fed before anybody has read them. */
export const followChecks: Check[] = [
  { name: "followed tokens are those drawn, whatever the entries' places", tiny: TINIES[0]!, run: chains },
  { name: "a followed token counts in penalties, as the reply's", tiny: TINIES[0]!, run: penalties },
  { name: "an entry that drew nothing cannot be followed", tiny: TINIES[0]!, run: nothingToFollow },
  { name: "what a step names may be freed while it is under way", tiny: TINIES[0]!, run: freedMeanwhile },
];

/** One line of a chain: a prompt, how to draw, and the draws so far. */
interface Line {
  prompt: Int32Array;
  params: SampleParams;
  hooks: number;
}

/** Lines by place in each step; a line feeds its prompt first, then what it drew in the step before. */
type Order = readonly (readonly number[])[];

/** A chain fed as a caller would who reads every token, or by following. */
type Feeding = "given" | "followed";

/** What each line drew in all, and the logits after it, step by step. */
async function runChain(twin: Twin, lines: readonly Line[], order: Order, feeding: Feeding) {
  const { device } = twin;
  const n_steps = order.length;
  const blocks: Int32Array[] = [];
  for (const { prompt } of lines) {
    const n_blocks = Math.ceil((prompt.length + n_steps) / device.block_size);
    blocks.push(Int32Array.from(await device.allocBlocks(n_blocks)));
  }
  const fed = lines.map(() => 0);
  const drawn: number[][] = lines.map(() => []);
  const logits: Float32Array[][] = lines.map(() => []);
  const entryOf = (n: number, last: readonly number[]): StepEntry => {
    const { prompt, params, hooks } = lines[n]!;
    const begins = fed[n] === 0;
    const history = params.history === null ? null : Int32Array.from([...params.history, ...drawn[n]!]);
    return {
      tokens: begins ? prompt : Int32Array.of(feeding === "given" ? drawn[n]!.at(-1)! : 0),
      follows: begins || feeding === "given" ? null : last.indexOf(n),
      position: begins ? 0 : prompt.length + fed[n]! - 1,
      rope_lengths: null,
      blocks: blocks[n]!,
      hooks,
      ends_call: true,
      sample: { ...params, history, draw: fed[n]! },
      logits: "last",
      captures: [],
      accumulate: [],
    };
  };
  const land = (places: readonly number[], results: readonly StepResult[]) => {
    for (const [place, n] of places.entries()) {
      drawn[n]!.push(results[place]!.token);
      logits[n]!.push(results[place]!.logits!);
    }
  };
  const flights: { places: readonly number[]; results: Promise<StepResult[]> }[] = [];
  const most = feeding === "followed" ? Math.min(2, device.n_in_flight) : 1;
  for (const [step, places] of order.entries()) {
    if (flights.length === most) await landFirst();
    const results = device.step(places.map((n) => entryOf(n, order[step - 1] ?? [])));
    for (const n of places) fed[n]!++;
    flights.push({ places, results });
    if (most === 1) await landFirst();
  }
  while (flights.length > 0) await landFirst();
  for (const table of blocks) device.freeBlocks([...table]);
  return { drawn, logits };

  async function landFirst(): Promise<void> {
    const { places, results } = flights.shift()!;
    land(places, await results);
  }
}

async function compareFeedings(twin: Twin, lines: readonly Line[], order: Order): Promise<number[][]> {
  const given = await runChain(twin, lines, order, "given");
  const followed = await runChain(twin, lines, order, "followed");
  for (const [n, tokens] of given.drawn.entries()) {
    checkSame(followed.drawn[n]!, tokens, `tokens of line ${n}, followed`);
    for (const [step, row] of given.logits[n]!.entries()) {
      checkSame(followed.logits[n]![step]!, row, `logits of line ${n} after its step ${step}, followed`);
    }
  }
  return followed.drawn;
}

function linesOf(twin: Twin, all: readonly SampleParams[]): Line[] {
  const random = new Random(77);
  return all.map((params, i) => {
    const prompt = random.tokens(3 + 5 * i, twin.program.d_vocab);
    return { prompt, params, hooks: 0 };
  });
}

async function chains(twin: Twin): Promise<void> {
  const lines = linesOf(twin, [
    GREEDY,
    sampling({ seed: [3, 4] }),
    sampling({ seed: [9, 1], temperature: 1.5 }),
    GREEDY,
  ]);
  const vector = new Random(5).vector(twin.program.d_model);
  const floor = { kind: "cap", site: "blocks.1.hook_resid_post", vector, floor: 2 } as const;
  lines[2]!.hooks = twin.hooks(floor).device;
  // The last line begins when the others go on; then all change places, and the first one ends.
  const order = [
    [0, 1, 2],
    [2, 0, 1, 3],
    [3, 1, 2, 0],
    [1, 3, 0, 2],
    [2, 3, 1],
    [3, 1, 2],
  ];
  const drawn = await compareFeedings(twin, lines, order);
  check(new Set(drawn.map(String)).size === lines.length, "the lines say different things");
}

async function penalties(twin: Twin): Promise<void> {
  const changes: Partial<SampleParams>[] = [
    { frequency_penalty: 100, logit_bias: [{ id: 7, bias: 50 }] },
    { presence_penalty: 100, logit_bias: [{ id: 7, bias: 50 }] },
    { repetition_penalty: 40 },
    { repetition_penalty: 1.5, frequency_penalty: 0.5, temperature: 1, seed: [8, 8] },
  ];
  const lines = linesOf(
    twin,
    changes.map((change) => ({ ...GREEDY, ...change })),
  ).map((line): Line => {
    const { prompt } = line;
    return { ...line, params: { ...line.params, history: prompt, n_prompt: prompt.length } };
  });
  const order = Array.from({ length: 6 }, (_, step) => (step % 2 === 0 ? [0, 1, 2, 3] : [3, 2, 1, 0]));
  const drawn = await compareFeedings(twin, lines, order);
  for (const [line, what] of ["frequency_penalty", "presence_penalty"].entries()) {
    const [first, second] = drawn[line]!;
    check(first === 7 && second !== 7, `${what}: ${first}, then ${second}; expected 7, then another`);
  }
}

async function nothingToFollow(twin: Twin): Promise<void> {
  const { device } = twin;
  const blocks = Int32Array.from(await device.allocBlocks(1));
  const entry = (changes: Partial<StepEntry>) =>
    stepEntry({ tokens: Int32Array.of(1), blocks, logits: "none", ...changes });
  const refused = (what: string, changes: Partial<StepEntry>) =>
    checkRefused(["bad_request"], what, () => device.step([entry({ position: 1, ...changes })]));
  await refused("before any step", { follows: 0 });
  await device.step([
    entry({}),
    entry({ blocks: Int32Array.from(await device.allocBlocks(1)), sample: GREEDY }),
  ]);
  await refused("an entry that drew nothing", { follows: 0 });
  await refused("a place that was not there", { follows: 2 });
  await refused("a place below 0", { follows: -1 });
  await refused("two tokens", { follows: 1, tokens: Int32Array.of(1, 2) });
  await device.step([entry({ position: 1, follows: 1 })]);
}

/** The next step takes over blocks, hooks and sums of one that is under way. */
async function freedMeanwhile(twin: Twin): Promise<void> {
  const { device } = twin;
  const sites = everySite(twin).slice(-1);
  const vector = new Random(6).vector(twin.program.d_model);
  const random = new Random(21);
  const prompts = [random.tokens(20, twin.program.d_vocab), random.tokens(23, twin.program.d_vocab)];
  const begin = async (n: number) => {
    const floor = { kind: "cap", site: "blocks.0.hook_resid_post", vector, floor: 2 + n } as const;
    const hooks = twin.hooks(floor).device;
    const id = device.addAccumulator(sites);
    const blocks = await device.allocBlocks(Math.ceil(prompts[n]!.length / device.block_size));
    const tokens = prompts[n]!;
    const accumulate = [{ id, start: 0, end: tokens.length }];
    const results = device.step([stepEntry({ tokens, blocks: Int32Array.from(blocks), hooks, accumulate })]);
    const free = () => {
      device.freeBlocks(blocks);
      device.freeHooks(hooks);
      device.freeAccumulator(id);
    };
    return { results, id, free };
  };
  const alone: Float32Array[] = [];
  for (const n of [0, 1]) {
    const { results, id, free } = await begin(n);
    alone.push((await results)[0]!.logits!, (await device.readAccumulator(id)).mean);
    free();
  }
  const first = await begin(0);
  first.free();
  if (device.n_in_flight === 1) await first.results;
  const second = await begin(1);
  const got = [
    (await first.results)[0]!.logits!,
    (await second.results)[0]!.logits!,
    (await device.readAccumulator(second.id)).mean,
  ];
  second.free();
  const expected = [alone[0]!, alone[2]!, alone[3]!];
  const what = ["logits of the first", "logits of the second", "its mean"];
  for (const [i, values] of expected.entries()) checkSame(got[i]!, values, what[i]!);
}
