import { onlyOf, present } from "../../../models/certain.ts";
import type { SampleParams } from "../../../models/index.ts";
import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { GREEDY } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { BLANK, DIAL, drawEach, N_BLANK } from "./blank.ts";

/** What is certain about a draw: greedy tokens, ties, penalties, biases, log-probabilities. */
export const greedyChecks: Check[] = [
  { name: "greedy: the likeliest", tiny: DIAL, run: likeliest },
  { name: "greedy: the lowest id on a tie", tiny: BLANK, run: ties },
  { name: "logit_bias moves a token up and down, and adds when given twice", tiny: DIAL, run: bias },
  {
    name: "repetition_penalty divides positive logits and multiplies negative ones",
    tiny: DIAL,
    run: repetition,
  },
  { name: "frequency_penalty counts the reply, not the prompt", tiny: DIAL, run: frequency },
  { name: "presence_penalty falls once", tiny: DIAL, run: presence },
  { name: "penalties over a long history", tiny: TINIES[5], run: longHistory },
  { name: "logprobs: none, the token's own, the likeliest", tiny: DIAL, run: logprobs },
];

/** Logits of token 0 are 4 (id - 20.5) / 32: from -2.5625 to 2.3125, an eighth apart. Token 1 mirrors them. */
const RISING = 0;
const FALLING = 1;

async function greedy(twin: Twin, token: number, changes: Partial<SampleParams>): Promise<number> {
  return onlyOf(await drawEach(twin, [{ ...GREEDY, ...changes }], token));
}

async function expectGreedy(
  twin: Twin,
  token: number,
  changes: Partial<SampleParams>,
  expected: number,
  why: string,
): Promise<void> {
  const got = await greedy(twin, token, changes);
  check(got === expected, `${why}: ${got}, expected ${expected}`);
}

async function likeliest(twin: Twin): Promise<void> {
  await expectGreedy(twin, RISING, {}, N_BLANK - 1, "rising logits");
  await expectGreedy(twin, FALLING, {}, 0, "falling logits");
}

async function ties(twin: Twin): Promise<void> {
  await expectGreedy(twin, 0, {}, 0, "all equal");
  const tie = [33, 7, 21].map((id) => ({ id, bias: 2 }));
  await expectGreedy(twin, 0, { logit_bias: tie }, 7, "three equal");
  const low = Array.from({ length: 9 }, (_, id) => ({ id, bias: -1 }));
  await expectGreedy(twin, 0, { logit_bias: low }, 9, "all equal but the first nine");
}

async function bias(twin: Twin): Promise<void> {
  await expectGreedy(twin, RISING, { logit_bias: [{ id: 3, bias: 100 }] }, 3, "lifted");
  const banned = [39, 38, 36].map((id) => ({ id, bias: -100 }));
  await expectGreedy(twin, RISING, { logit_bias: banned }, 37, "banned");
  const twice = [
    { id: 30, bias: 0.7 },
    { id: 30, bias: 0.7 },
  ];
  await expectGreedy(twin, RISING, { logit_bias: twice }, 30, "an eighth times nine is below 1.4");
}

async function repetition(twin: Twin): Promise<void> {
  const history = Int32Array.of(39, 38, 39, 2);
  const changes = { history, n_prompt: 2, repetition_penalty: 2 };
  await expectGreedy(twin, RISING, changes, 37, "39 and 38 halved, once each");
  // Only ids below 20 stay: their logits are negative, so the penalty must push them down, not up.
  const negative = Array.from({ length: 20 }, (_, i) => ({ id: 20 + i, bias: -50 }));
  const low = { logit_bias: negative, history: Int32Array.of(19), n_prompt: 1, repetition_penalty: 20 };
  await expectGreedy(twin, RISING, low, 18, "19 times twenty");
  const raised = { history: Int32Array.of(39, 5), n_prompt: 1, repetition_penalty: 0.5 };
  await expectGreedy(twin, FALLING, raised, 5, "a penalty below 1 raises 5 above 0");
  const before_bias = { history: Int32Array.of(10), n_prompt: 1, repetition_penalty: 4 };
  await expectGreedy(
    twin,
    RISING,
    { ...before_bias, logit_bias: [{ id: 10, bias: 8 }] },
    10,
    "the penalty does not reach the bias: 4 (-1.3125) + 8",
  );
}

async function frequency(twin: Twin): Promise<void> {
  const history = Int32Array.of(39, 39, 39, 39, 38, 37, 38);
  // Below 39's logit: 39 four times 0.1; 38 an eighth and twice 0.1; 37 two eighths and 0.1; 36 three eighths.
  const changes = { history, n_prompt: 4, frequency_penalty: 0.1 };
  await expectGreedy(twin, RISING, changes, 39, "the prompt does not count");
  await expectGreedy(twin, RISING, { ...changes, n_prompt: 0 }, 38, "each time counts");
}

async function presence(twin: Twin): Promise<void> {
  const history = Int32Array.of(39, 38, 38, 38, 38, 38, 38);
  // 39 in the prompt; 38 six times, penalised once by 0.2, still above 36.
  const ban = [{ id: 39, bias: -50 }];
  const changes = { history, n_prompt: 1, presence_penalty: 0.2, logit_bias: ban };
  await expectGreedy(twin, RISING, changes, 37, "38 is 0.2 lower");
  const more = [...ban, { id: 37, bias: -50 }];
  await expectGreedy(twin, RISING, { ...changes, logit_bias: more }, 38, "and not 1.2 lower");
  await expectGreedy(twin, RISING, { ...changes, logit_bias: [] }, 39, "the prompt is not penalised");
}

async function longHistory(twin: Twin): Promise<void> {
  const random = new Random(5);
  const sequence = twin.sequence();
  const history = random.tokens(400, twin.program.d_vocab);
  const sample = {
    ...GREEDY,
    history,
    n_prompt: 150,
    repetition_penalty: 1.3,
    frequency_penalty: 0.4,
    presence_penalty: 0.3,
  };
  for (const length of [12, 1, 1, 1]) {
    await twin.run({ sequence, tokens: random.tokens(length, twin.program.d_vocab), sample, logits: "none" });
  }
}

async function logprobs(twin: Twin): Promise<void> {
  const shaped = { temperature: 0.2, top_k: 3, logit_bias: [{ id: 0, bias: 3 }], repetition_penalty: 2 };
  const ask = (top_logprobs: number) => ({
    sequence: twin.sequence(),
    tokens: [RISING],
    sample: { ...GREEDY, ...shaped, top_logprobs },
  });
  const [none, own_alone, five] = await twin.step([ask(-1), ask(0), ask(5)]);
  check(none.device.logprobs === null, "-1 reports none");
  check(own_alone.device.logprobs?.top.length === 0, "0 reports the token's own");
  const { top, token } = present(five.device.logprobs, "log-probabilities");
  const ids = top.map(({ id }) => id).join();
  check(ids === "39,38,37,36,35", `the likeliest under the model's own distribution, falling: ${ids}`);
  const drawn = five.device.token;
  const own = (id: number) => 4 * ((id - 20.5) / 32);
  let sum = 0;
  for (let id = 0; id < N_BLANK; id++) sum += Math.exp(own(id));
  for (const { id, logprob } of [...top, { id: drawn, logprob: token }]) {
    const expected = own(id) - Math.log(sum);
    check(Math.abs(logprob - expected) < 1e-5, `log-probability of ${id}: ${logprob}, expected ${expected}`);
  }
}
