import { beforeEach, describe, expect, it } from "vitest";
import { GREEDY } from "../../../conformance/contract/params.ts";
import type { DeviceHook, HookPlan } from "../../../models/index.ts";
import { type CountingDevice, countingDevice } from "../../../testing/fakes/counting_device.ts";
import { Admission } from "./admission.ts";
import { HookSets } from "./hook_sets.ts";
import type { SchedulerLimits } from "./limits.ts";
import { ScheduledSequence } from "./scheduled_sequence.ts";
import { Scheduler } from "./scheduler.ts";
import type { Call, Task } from "./task.ts";

/** Who comes when: what the scheduler asks of a device that only counts. */

const LIMITS: SchedulerLimits = {
  n_ctx: 4096,
  max_blocks: 1000,
  max_step_tokens: 64,
  max_step_sequences: 6,
  max_queue: 2,
};
const NO_HOOKS: HookPlan = {
  hooks: [],
  projection_names: [],
  named_caps: [],
  acts_on_last: false,
};

let device: CountingDevice;
let scheduler: Scheduler;
/** The marks of tasks, in the order of their ends. */
let ended: number[];
beforeEach(() => {
  open({});
});

function open(limits: Partial<SchedulerLimits>): void {
  device = countingDevice();
  scheduler = new Scheduler(device, { ...LIMITS, ...limits });
  ended = [];
}

function callOf(tokens: Int32Array): Call {
  return {
    tokens,
    sample: { ...GREEDY, draw: 0 },
    logits: "none",
    captures: [],
    accumulate: [],
    reads_all: true,
  };
}

interface Job {
  /** The token that its prompt is made of: marks it in batches. */
  mark: number;
  n_prompt: number;
  n_reply?: number;
  client?: string;
  plan?: HookPlan;
}

/** Submits a task and waits for its end. */
function submit({ mark, n_prompt, n_reply = 1, client = "", plan = NO_HOOKS }: Job): Promise<void> {
  const sequence = scheduler.openSequence(plan);
  let left = n_reply - 1;
  return new Promise((resolve, reject) => {
    const task: Task = {
      sequence,
      first: callOf(new Int32Array(n_prompt).fill(mark)),
      max_tokens: n_prompt + n_reply,
      signal: undefined,
      client,
      queue: "wait",
      next: () => (left-- > 0 ? callOf(Int32Array.of(mark)) : null),
      ahead: () => "waits",
      ended: (error) => {
        scheduler.closeSequence(sequence);
        ended.push(mark);
        if (error === undefined) resolve();
        else reject(error);
      },
    };
    scheduler.submit(task);
  });
}

/** Submits a task while the device has its step number `n`, from 0; settles with the task. */
function submitAtStep(n: number, job: Job): Promise<void> {
  const step = device.step;
  return new Promise((resolve, reject) => {
    device.step = (batch) => {
      if (device.batches.length === n) submit(job).then(resolve, reject);
      return step(batch);
    };
  });
}

/** What each step held: marks and numbers of tokens, in order. */
const steps = () => device.batches.map((batch) => batch.map(({ tokens }) => [tokens[0]!, tokens.length]));

const clamp = (floor: number): DeviceHook => ({
  op: "clamp",
  site: 3,
  positions: "all",
  direction: Float32Array.of(1, 0),
  floor,
  ceiling: Number.POSITIVE_INFINITY,
});
const reading: DeviceHook = { op: "project", site: 3, direction: Float32Array.of(0, 1), output: 0 };
const planOf = (...hooks: DeviceHook[]): HookPlan => ({ ...NO_HOOKS, hooks });

describe("hook sets", () => {
  it("are on the device once for equal contents, until the last of their users is done", () => {
    const sets = new HookSets(device);
    const [first, second, other] = [planOf(clamp(1)), planOf(clamp(1)), planOf(clamp(2))].map((plan) =>
      sets.acquire(plan),
    );
    expect(first!.id).toBe(second!.id);
    expect(other!.id).not.toBe(first!.id);
    expect([device.hook_sets.size, sets.size]).toEqual([2, 2]);
    sets.release(first!);
    sets.release(first!);
    expect([device.hook_sets.has(second!.id), sets.size]).toEqual([true, 2]);
    sets.release(second!);
    expect([...device.hook_sets]).toEqual([other!.id]);
    sets.release(other!);
    expect([device.hook_sets.size, sets.size]).toEqual([0, 0]);
  });

  it("share prefixes where their interventions are equal, whatever they read", () => {
    const sets = new HookSets(device);
    const key = (...hooks: DeviceHook[]) => sets.acquire(planOf(...hooks)).interventions;
    expect(key(clamp(1), reading)).toBe(key(clamp(1)));
    expect(key(reading)).toBe("");
    expect(key(clamp(1))).not.toBe(key(clamp(2)));
    const elsewhere = { ...clamp(1), site: 4 };
    const last: DeviceHook = { ...clamp(1), positions: "last" } as DeviceHook;
    const turned: DeviceHook = { ...clamp(1), direction: Float32Array.of(0, 1) } as DeviceHook;
    for (const another of [elsewhere, last, turned]) expect(key(another)).not.toBe(key(clamp(1)));
  });

  it("are gone with the tasks that used them", async () => {
    const jobs = [1, 2, 3, 4].map((mark) => submit({ mark, n_prompt: 3, plan: planOf(clamp(mark % 2)) }));
    expect(scheduler.hook_sets.size).toBe(2);
    await Promise.all(jobs);
    expect([device.hook_sets.size, scheduler.hook_sets.size]).toEqual([0, 0]);
  });
});

describe("a step", () => {
  it("takes a long prompt in chunks from its begin to its end, each as long as a step", async () => {
    await submit({ mark: 7, n_prompt: 150 });
    expect(steps()).toEqual([[[7, 64]], [[7, 64]], [[7, 22]]]);
    expect(device.batches.map(([entry]) => entry!.position)).toEqual([0, 64, 128]);
    expect(device.batches.map(([entry]) => entry!.ends_call)).toEqual([false, false, true]);
  });

  it("has the next tokens of replies first, and prompts in what is left of it", async () => {
    const replies = [1, 2, 3].map((mark) => submit({ mark, n_prompt: 1, n_reply: 9 }));
    const prompt = submitAtStep(1, { mark: 8, n_prompt: 130 });
    await Promise.all([...replies, prompt]);
    const meanwhile = steps().filter((step) => step.some(([mark]) => mark === 8));
    expect(meanwhile.slice(0, 2)).toEqual([
      [
        [1, 1],
        [2, 1],
        [3, 1],
        [8, 61],
      ],
      [
        [1, 1],
        [2, 1],
        [3, 1],
        [8, 61],
      ],
    ]);
    expect(
      meanwhile
        .flat()
        .filter(([mark]) => mark === 8)
        .map(([, n]) => n),
    ).toEqual([61, 61, 8]);
  });

  it("holds as many sequences as it may, and no more", async () => {
    await Promise.all(Array.from({ length: 15 }, (_, i) => submit({ mark: i + 1, n_prompt: 1 })));
    expect(steps().map((step) => step.length)).toEqual([6, 6, 3]);
    expect(ended).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  });

  it("takes first the prompt of the client that was served least", async () => {
    open({ max_step_sequences: 8 });
    const greedy = [1, 2, 3].map((mark) => submit({ mark, n_prompt: 200, client: "greedy" }));
    const modest = submitAtStep(1, { mark: 9, n_prompt: 100, client: "modest" });
    await Promise.all([...greedy, modest]);
    const order = steps()
      .slice(2)
      .map((step) => step[0]![0]);
    // It comes counted as served like the least served, and then has its turns: never behind all that greedy wants.
    expect(order.indexOf(9)).toBeLessThan(3);
    expect(ended.indexOf(9)).toBeLessThan(3);
  });
});

describe("the prefix cache", () => {
  const n_cached = async (plan: HookPlan) => {
    open({});
    await submit({ mark: 5, n_prompt: 40, plan });
    return scheduler.prefixes.size;
  };

  it("keeps whole blocks of a prompt, and none that a hook on its last position changed", async () => {
    expect(await n_cached(NO_HOOKS)).toBe(2);
    expect(await n_cached(planOf(clamp(1)))).toBe(2);
    expect(await n_cached({ ...planOf(clamp(1)), acts_on_last: true })).toBe(0);
  });
});

describe("admission", () => {
  const scheduledOf = (mark: number, client: string) => {
    const task: Task = {
      sequence: scheduler.openSequence(NO_HOOKS),
      first: callOf(Int32Array.of(mark)),
      max_tokens: 2,
      signal: undefined,
      client,
      queue: "wait",
      next: () => null,
      ahead: () => "waits",
      ended: () => {},
    };
    return new ScheduledSequence(task, mark);
  };
  const markOf = (scheduled: ScheduledSequence | undefined) => scheduled?.age;
  /** Admits all that wait; their marks in order. Each is charged what its task says. */
  function drainOrder(admission: Admission, n_tokens: (mark: number) => number): number[] {
    const order: number[] = [];
    for (let next = admission.next(); next !== undefined; next = admission.next()) {
      admission.admit(next);
      admission.charge(next, n_tokens(next.age));
      order.push(next.age);
    }
    return order;
  }

  it("takes those of one client in the order they came", () => {
    const admission = new Admission(9);
    for (const mark of [1, 2, 3]) admission.enter(scheduledOf(mark, "a"));
    expect(drainOrder(admission, () => 10)).toEqual([1, 2, 3]);
  });

  it("gives each client the same number of tokens, however many it asks for", () => {
    const admission = new Admission(9);
    for (const mark of [1, 2, 3, 4]) admission.enter(scheduledOf(mark, "a"));
    for (const mark of [5, 6]) admission.enter(scheduledOf(mark, "b"));
    // Those of b are twice as long.
    expect(drainOrder(admission, (mark) => (mark > 4 ? 20 : 10))).toEqual([1, 5, 2, 3, 6, 4]);
  });

  it("gives who comes late no claim to what others had meanwhile", () => {
    const admission = new Admission(9);
    const stays = scheduledOf(1, "a");
    admission.enter(stays);
    admission.admit(stays);
    admission.charge(stays, 1000);
    for (const mark of [2, 3]) admission.enter(scheduledOf(mark, "a"));
    for (const mark of [4, 5]) admission.enter(scheduledOf(mark, "late"));
    expect(drainOrder(admission, () => 10)).toEqual([2, 4, 3, 5]);
  });

  it("takes what was preempted before all that has not begun, the one preempted last first", () => {
    const admission = new Admission(9);
    const [old, young] = [scheduledOf(1, "a"), scheduledOf(2, "a")];
    for (const one of [old, young]) {
      admission.enter(one);
      admission.admit(one);
    }
    admission.enter(scheduledOf(3, "b"));
    admission.preempt(young);
    admission.preempt(old);
    expect(admission.n_waiting).toBe(3);
    expect(drainOrder(admission, () => 1)).toEqual([1, 2, 3]);
  });

  it("refuses those who would not wait once as many wait as it may hold, and nobody else", () => {
    const admission = new Admission(2);
    const refused = (n_free: number) => {
      try {
        admission.check("refuse", n_free);
        return false;
      } catch {
        return true;
      }
    };
    for (const mark of [1, 2, 3, 4]) {
      admission.enter(scheduledOf(mark, "a"));
      expect([mark, refused(0), refused(2)]).toEqual([mark, mark >= 2, mark >= 4]);
    }
    expect(() => admission.check("wait", 0)).not.toThrow();
    admission.close(undefined);
    expect(() => admission.check("wait", 9)).toThrow(/busy|end|close|drain/i);
  });

  it("is empty once all have left", async () => {
    const admission = new Admission(2);
    const [first, second] = [scheduledOf(1, "a"), scheduledOf(2, "b")];
    for (const one of [first, second]) admission.enter(one);
    let is_empty = false;
    const emptied = admission.whenEmpty().then(() => {
      is_empty = true;
    });
    admission.leave(first);
    await new Promise((resolve) => setImmediate(resolve));
    expect([is_empty, admission.n_waiting, markOf(admission.next())]).toEqual([false, 1, 2]);
    admission.leave(second);
    await emptied;
    expect(is_empty).toBe(true);
  });
});
