import type { Device } from "../../models/index.ts";
import type { FidelityDtype } from "../bounds.ts";
import type { Tiny } from "./tiny.ts";
import { openTwin, type Twin } from "./twin.ts";

/** One claim of the device contract. It throws when the claim does not hold. */
export type Check =
  /** Over a tiny model that stands on the device and on the truth. */
  | { name: string; tiny: Tiny; dtype?: FidelityDtype; run: (twin: Twin) => Promise<void> }
  /** Over devices of its own. */
  | { name: string; device: (create: () => Promise<Device>) => Promise<void> };

/** Runs a check; `device` is kept over many, `create` makes further ones. */
export async function runCheck(check: Check, device: Device, create: () => Promise<Device>): Promise<void> {
  if ("device" in check) return check.device(create);
  const twin = await openTwin(device, check.tiny, check.dtype);
  try {
    await check.run(twin);
  } finally {
    await twin.dispose();
  }
}
