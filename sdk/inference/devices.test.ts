import { describe, expect, it } from "vitest";
import { CapstanError, type Device, type DeviceModel } from "../../models/index.ts";
import { AutoDevice } from "./auto_device.ts";
import { createDevice } from "./devices.ts";

const NOTHING = {} as DeviceModel;

/** A device that takes every model, or throws for each. */
function fake(kind: Device["kind"], error?: Error): Device & { disposed: boolean } {
  return {
    kind,
    description: `a ${kind}`,
    dtypes: ["f32"],
    disposed: false,
    load: () => (error === undefined ? Promise.resolve(NOTHING) : Promise.reject(error)),
    async dispose() {
      this.disposed = true;
    },
  };
}

const errorOf = (code: "unsupported" | "out_of_memory") =>
  new CapstanError(code, { action: "load", need: "x", found: "y" });
const load = (device: Device) => device.load({} as never, {} as never, {} as never);

describe("auto", () => {
  it("says what it chose and why", async () => {
    const device = new AutoDevice(fake("webgpu"), "a GPU is there", async () => fake("wasm"));
    expect(await load(device)).toBe(NOTHING);
    expect(device.description).toBe("a webgpu (auto: a GPU is there)");
  });

  it("takes the other device for a model that the first does not run, and says why", async () => {
    const first = fake("webgpu", errorOf("unsupported"));
    const device = new AutoDevice(first, "a GPU is there", async () => fake("wasm"));
    expect(await load(device)).toBe(NOTHING);
    expect(first.disposed).toBe(true);
    expect(device.kind).toBe("wasm");
    expect(device.description).toBe("a wasm (auto: load: need x, found y.)");
  });

  it.each([
    ["out_of_memory", fake("webgpu", errorOf("out_of_memory"))],
    ["unsupported", fake("wasm", errorOf("unsupported"))],
  ])("keeps %s of what no other device fixes", async (code, first) => {
    const device = new AutoDevice(first, "", async () => fake("wasm"));
    await expect(load(device)).rejects.toMatchObject({ code });
  });
});

it("a device that is asked for says nothing of a choice", async () => {
  const device = await createDevice({ device: "wasm" });
  expect(device.description).not.toContain("auto");
  await device.dispose();
});

it("threads are refused until there are some", async () => {
  await expect(createDevice({ threads: 2 })).rejects.toMatchObject({ code: "unsupported" });
});
