import type { Device, DeviceModel, StepEntry, StepResult } from "../models/index.ts";

export interface PipelinedOptions {
  /** Steps that may be under way at once. Default 2. */
  n_in_flight?: number;
  /** Called with each step, its number from 0 and how many are under way with it; an error it throws is the step's. */
  on_step?: (batch: readonly StepEntry[], step: number, under_way: number) => void;
}

/**
 * A device that settles a step's results late, as a GPU does: others may be given meanwhile, which follow tokens that
 * the caller has not seen. All it computes is the inner device's.
 */
export function pipelined(
  inner: Device,
  { n_in_flight = 2, on_step = () => {} }: PipelinedOptions = {},
): Device {
  const load: Device["load"] = async (...args) => {
    const model = await inner.load(...args);
    const step = model.step.bind(model);
    let steps = 0;
    let under_way = 0;
    let settled: Promise<unknown> = Promise.resolve();
    const late = (batch: readonly StepEntry[]): Promise<StepResult[]> => {
      under_way++;
      // At once: calls that come after this one find it done, as a queue would have it.
      const results = (async () => {
        if (under_way > n_in_flight) throw new Error(`${under_way} steps under way of ${n_in_flight}`);
        on_step(batch, steps++, under_way);
        return step(batch);
      })();
      results.catch(() => {});
      const turn = settled.then(() => new Promise((resolve) => setImmediate(resolve)));
      settled = turn;
      return turn.then(() => {
        under_way--;
        return results;
      });
    };
    return Object.assign(model, { n_in_flight, step: late }) satisfies DeviceModel;
  };
  const { kind, description, dtypes } = inner;
  return { kind, description, dtypes, load, dispose: () => inner.dispose() };
}
