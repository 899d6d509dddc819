import { itemAt, lastOf, present } from "../../../models/certain.ts";
import type { SampleParams, StepEntry, StepResult } from "../../../models/index.ts";
import { check, checkRefused, checkSame } from "../assert.ts";
import type { Check } from "../check.ts";
import { stepAlone, stepEntry } from "../entry.ts";
import { GREEDY, sampling } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { everySite } from "./sites.ts";

/** Tokens that are fed before anybody has read them. */
export const followChecks: Check[] = [
  { name: "followed tokens are those drawn, whatever the entries' places", tiny: TINIES[0], run: chains },
  { name: "a followed token counts in penalties, as the reply's", tiny: TINIES[0], run: penalties },
  { name: "an entry that drew nothing cannot be followed", tiny: TINIES[0], run: nothingToFollow },
  { name: "what a step names may be freed while it is under way", tiny: TINIES[0], run: freedMeanwhile },
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

/** A line on its way: what it has fed, what it drew, and the logits after each step. */
interface Chain extends Line {
  blocks: Int32Array;
  fed: number;
  drawn: number[];
  logits: Float32Array[];
}

async function runChains(
  { device }: Twin,
  lines: readonly Line[],
  order: Order,
  feeding: Feeding,
): Promise<Chain[]> {
  const chains: Chain[] = [];
  for (const line of lines) {
    const n_blocks = Math.ceil((line.prompt.length + order.length) / device.block_size);
    const blocks = Int32Array.from(await device.allocBlocks(n_blocks));
    chains.push({ ...line, blocks, fed: 0, drawn: [], logits: [] });
  }
  const in_flight: { batch: readonly Chain[]; results: Promise<StepResult[]> }[] = [];
  const most = feeding === "followed" ? Math.min(2, device.n_in_flight) : 1;
  let last: readonly Chain[] = [];
  for (const places of order) {
    const batch = places.map((n) => itemAt(chains, n));
    if (in_flight.length === most) await takeFirst();
    const results = device.step(batch.map((chain) => nextEntry(chain, feeding, last.indexOf(chain))));
    for (const chain of batch) chain.fed++;
    in_flight.push({ batch, results });
    last = batch;
    if (most === 1) await takeFirst();
  }
  while (in_flight.length > 0) await takeFirst();
  for (const { blocks } of chains) device.freeBlocks([...blocks]);
  return chains;

  async function takeFirst(): Promise<void> {
    const { batch, results } = present(in_flight.shift(), "a step in flight");
    for (const [place, { token, logits }] of (await results).entries()) {
      const chain = itemAt(batch, place);
      chain.drawn.push(token);
      chain.logits.push(present(logits, "logits"));
    }
  }
}

/** What a chain feeds next. `place`: its place in the step before. */
function nextEntry(chain: Chain, feeding: Feeding, place: number): StepEntry {
  const { prompt, params, hooks, blocks, fed, drawn } = chain;
  const history = params.history === null ? null : Int32Array.from([...params.history, ...drawn]);
  const others = { blocks, hooks, sample: { ...params, history, draw: fed } };
  if (fed === 0) return stepEntry({ tokens: prompt, ...others });
  const position = prompt.length + fed - 1;
  if (feeding === "given") return stepEntry({ tokens: Int32Array.of(lastOf(drawn)), position, ...others });
  return stepEntry({ tokens: Int32Array.of(0), follows: place, position, ...others });
}

async function compareFeedings(twin: Twin, lines: readonly Line[], order: Order): Promise<number[][]> {
  const given = await runChains(twin, lines, order, "given");
  const followed = await runChains(twin, lines, order, "followed");
  for (const [n, { drawn, logits }] of followed.entries()) {
    const expected = itemAt(given, n);
    checkSame(drawn, expected.drawn, `tokens of line ${n}, followed`);
    for (const [step, row] of expected.logits.entries()) {
      checkSame(itemAt(logits, step), row, `logits of line ${n} after its step ${step}, followed`);
    }
  }
  return followed.map(({ drawn }) => drawn);
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
  const hooked = lines.with(2, { ...itemAt(lines, 2), hooks: twin.hooks(floor).device });
  // The last line begins when the others go on; then all change places, and the first one ends.
  const order = [
    [0, 1, 2],
    [2, 0, 1, 3],
    [3, 1, 2, 0],
    [1, 3, 0, 2],
    [2, 3, 1],
    [3, 1, 2],
  ];
  const drawn = await compareFeedings(twin, hooked, order);
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
    const [first, second] = itemAt(drawn, line);
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
  const [one, other] = [random.tokens(20, twin.program.d_vocab), random.tokens(23, twin.program.d_vocab)];
  const begin = async (tokens: Int32Array, floor: number) => {
    const hooks = twin.hooks({ kind: "cap", site: "blocks.0.hook_resid_post", vector, floor }).device;
    const id = device.addAccumulator(sites);
    const blocks = await device.allocBlocks(Math.ceil(tokens.length / device.block_size));
    const accumulate = [{ id, start: 0, end: tokens.length }];
    const result = stepAlone(
      device,
      stepEntry({ tokens, blocks: Int32Array.from(blocks), hooks, accumulate }),
    );
    const free = () => {
      device.freeBlocks(blocks);
      device.freeHooks(hooks);
      device.freeAccumulator(id);
    };
    const mean = async () => (await device.readAccumulator(id)).mean;
    return { logits: result.then(({ logits }) => present(logits, "logits")), mean, free };
  };
  const alone = async (tokens: Int32Array, floor: number) => {
    const { logits, mean, free } = await begin(tokens, floor);
    const got = { logits: await logits, mean: await mean() };
    free();
    return got;
  };
  const [of_one, of_other] = [await alone(one, 2), await alone(other, 3)];
  const first = await begin(one, 2);
  first.free();
  if (device.n_in_flight === 1) await first.logits;
  const second = await begin(other, 3);
  const got = { first: await first.logits, second: await second.logits, mean: await second.mean() };
  second.free();
  checkSame(got.first, of_one.logits, "logits of the first");
  checkSame(got.second, of_other.logits, "logits of the second");
  checkSame(got.mean, of_other.mean, "its mean");
}
