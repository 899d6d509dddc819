import { createTruthDevice } from "../conformance/truth/index.ts";
import { itemAt } from "../models/certain.ts";
import type {
  Device,
  DeviceLoadOptions,
  DeviceModel,
  Program,
  StepEntry,
  StepResult,
} from "../models/index.ts";

/** What is wrong with a device: tests of the proof show that it is caught. */
export interface Fault {
  /** What kind of device it says it is. */
  kind?: Device["kind"];
  load?: (options: DeviceLoadOptions) => DeviceLoadOptions;
  program?: (program: Program) => Program;
  entry?: (entry: StepEntry, index: number, batch: readonly StepEntry[]) => StepEntry;
  result?: (result: StepResult, entry: StepEntry, index: number) => void;
  model?: (model: DeviceModel) => void;
}

/** The truth with a fault. */
export function faultyTruth(fault: Fault): () => Promise<Device> {
  return async () => {
    const device = createTruthDevice();
    return {
      ...device,
      kind: fault.kind ?? device.kind,
      async load(program, weights, options) {
        const changed = fault.program?.(program) ?? program;
        const model = await device.load(changed, weights, fault.load?.(options) ?? options);
        const step = model.step.bind(model);
        model.step = async (batch) => {
          const results = await step(batch.map(fault.entry ?? ((entry) => entry)));
          for (const [i, result] of results.entries()) fault.result?.(result, itemAt(batch, i), i);
          return results;
        };
        fault.model?.(model);
        return model;
      },
    };
  };
}
