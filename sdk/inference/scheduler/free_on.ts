import { CapstanError } from "../../../models/index.ts";

/** Frees something on a device. On one that was lost there is nothing left to free: that is no error of the caller's. */
export function freeOn(free: () => void): void {
  try {
    free();
  } catch (error) {
    if (!(error instanceof CapstanError && error.code === "device_lost")) throw error;
  }
}
