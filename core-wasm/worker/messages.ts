import type {
  Device,
  DeviceLoadOptions,
  DeviceMemory,
  FileDtype,
  StepEntry,
  StoredDtype,
} from "../../models/device.ts";
import type { DeviceHook, SiteId } from "../../models/hooks.ts";
import type { Program } from "../../models/program.ts";
import type { SentError } from "./errors.ts";

/** What the caller's thread and the device's say to each other: structured clones, large arrays transferred. */

/** A part of a weight, whose bytes the caller reads. */
export interface PartInfo {
  name: string;
  dtype: FileDtype;
  shape: readonly number[];
  byte_length: number;
}

/** What a call gives back once it is done: `answer` or `failed` of the same number. */
export type Call =
  | {
      method: "load";
      /** The number that the model goes by from now on. */
      model: number;
      program: Program;
      options: Pick<DeviceLoadOptions, "dtype" | "n_ctx" | "ropes">;
      /** Of each weight of the program. */
      parts: PartInfo[][];
    }
  | { method: "allocBlocks"; model: number; count: number }
  | { method: "readAccumulator"; model: number; id: number }
  | { method: "step"; model: number; batch: StepEntry[] }
  | { method: "dispose"; model: number };

/** What gives nothing back. Ids of hooks and accumulators are the caller's own. */
export type Order =
  | { method: "freeBlocks"; model: number; blocks: readonly number[] }
  | { method: "copyBlock"; model: number; from: number; to: number }
  | { method: "addHooks"; model: number; id: number; hooks: readonly DeviceHook[] }
  | { method: "freeHooks"; model: number; id: number }
  | { method: "addAccumulator"; model: number; id: number; sites: readonly SiteId[] }
  | { method: "freeAccumulator"; model: number; id: number };

/** From the caller to the device. */
export type Request =
  | { kind: "call"; call: number; of: Call }
  | { kind: "order"; of: Order }
  /** Bytes that a load asked for; null where they could not be read. */
  | { kind: "bytes"; read: number; bytes: Uint8Array | null }
  | { kind: "abort"; model: number };

/** From the device to the caller. */
export type Response =
  | { kind: "answer"; call: number; value: unknown }
  | { kind: "failed"; call: number; error: SentError }
  | {
      kind: "read";
      read: number;
      model: number;
      weight: number;
      part: number;
      start: number;
      end: number;
      /** Memory of an earlier read, to be used for this one. */
      spare: ArrayBufferLike | null;
    }
  | { kind: "progress"; model: number; done: number; total: number };

/** The number of the first answer, which nobody called for: what the device says of itself, once it is there. */
export const OPEN_CALL = 0;

/** What an opened device says of itself. */
export type DeviceInfo = Pick<Device, "kind" | "description" | "dtypes">;

/** What a loaded model says of itself. */
export interface LoadedInfo {
  block_size: number;
  stored: readonly StoredDtype[];
  n_in_flight: number;
  memory: DeviceMemory;
}

/** The buffers to transfer of arrays that are the sender's own: those that a copy of would cost more. */
export function buffersOf(arrays: Iterable<ArrayBufferView>): ArrayBufferLike[] {
  const buffers = new Set<ArrayBufferLike>();
  for (const { buffer, byteLength } of arrays) {
    // A part of a buffer is copied: the rest of it is somebody else's.
    if (byteLength >= LEAST_TRANSFERRED && byteLength === buffer.byteLength) buffers.add(buffer);
  }
  return [...buffers];
}

const LEAST_TRANSFERRED = 1024;
