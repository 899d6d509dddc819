import { afterAll, beforeAll, describe, test } from "vitest";
import type { Device } from "../../models/index.ts";
import { CONTRACT, runCheck } from "./index.ts";

/** The whole contract over one device, a vitest test for each claim. */
export function describeDevice(name: string, create: () => Promise<Device>): void {
  describe(`device contract: ${name}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await create();
    });
    afterAll(() => device.dispose());
    for (const check of CONTRACT) {
      test(check.name, { timeout: 60_000 }, () => runCheck(check, device, create));
    }
  });
}
