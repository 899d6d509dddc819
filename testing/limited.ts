import { CapstanError, type Device, type DeviceModel, type StepEntry } from "../models/index.ts";

export interface Limits {
  /** KV blocks that memory holds, whatever the device said of itself. */
  blocks?: number;
  /** Tokens that memory holds the activations of in one step, less one for each block in use. */
  step_tokens?: number;
  /** Throws what a step with this batch is to fail with. */
  on_step?: (batch: readonly StepEntry[]) => void;
}

/** What was seen of a limited device. */
export interface Seen {
  blocks: number;
  most_blocks: number;
  steps: number;
  failed_steps: number;
}

/** A device that finds less memory than it had said, as one does beside others. All it computes is the inner device's. */
export function limited(inner: Device, limits: Limits, seen: Seen = newSeen()): Device {
  const load: Device["load"] = async (...args) => {
    const model = await inner.load(...args);
    const { blocks: most = Number.POSITIVE_INFINITY, step_tokens = Number.POSITIVE_INFINITY } = limits;
    const [alloc, free, step] = [
      model.allocBlocks.bind(model),
      model.freeBlocks.bind(model),
      model.step.bind(model),
    ];
    return Object.assign(model, {
      allocBlocks: async (count) => {
        if (seen.blocks + count > most) throw outOfMemory("allocate KV blocks", `${most} blocks`);
        seen.blocks += count;
        seen.most_blocks = Math.max(seen.most_blocks, seen.blocks);
        return alloc(count);
      },
      freeBlocks: (blocks) => {
        free(blocks);
        seen.blocks -= blocks.length;
      },
      step: async (batch) => {
        seen.steps++;
        try {
          limits.on_step?.(batch);
          const n_tokens = batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
          if (n_tokens + seen.blocks > step_tokens) throw outOfMemory("run a step", `${step_tokens} tokens`);
        } catch (error) {
          seen.failed_steps++;
          throw error;
        }
        return step(batch);
      },
    } satisfies Partial<DeviceModel>);
  };
  const { kind, description, dtypes } = inner;
  return { kind, description, dtypes, load, dispose: () => inner.dispose() };
}

export function newSeen(): Seen {
  return { blocks: 0, most_blocks: 0, steps: 0, failed_steps: 0 };
}

function outOfMemory(action: string, found: string): CapstanError {
  return new CapstanError("out_of_memory", { action, need: "more memory", found });
}
