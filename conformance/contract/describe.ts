import { afterAll, beforeAll, describe, test } from "vitest";
import type { Device } from "../../models/index.ts";
import { CONTRACT, runCheck } from "./index.ts";

/**
 * The whole contract over one device, a vitest test for each claim.
 *
 * @param without why claims over a tiny model are not held to, by the model's name: for ops that are on their way
 */
export function describeDevice(
  name: string,
  create: () => Promise<Device>,
  without: Record<string, string> = {},
): void {
  describe(`device contract: ${name}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await create();
    });
    afterAll(() => device.dispose());
    for (const check of CONTRACT) {
      const reason = "tiny" in check ? without[check.tiny.name] : undefined;
      if (reason !== undefined) {
        test.skip(`${check.name} (${reason})`);
        continue;
      }
      test(check.name, { timeout: 60_000 }, () => runCheck(check, device, create));
    }
  });
}
