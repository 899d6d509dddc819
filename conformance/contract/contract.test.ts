import { DEVICES } from "../devices.ts";
import { describeDevice } from "./describe.ts";
import { TINIES } from "./tiny.ts";

/** Models whose ops a device does not run yet. */
const coming = [4, 6, 7, 8, 9, 10, 11, 12, 13].map((index) => [TINIES[index]!.name, "op to come"]);
const WITHOUT: Record<string, Record<string, string>> = { wasm: Object.fromEntries(coming) };

for (const [name, create] of Object.entries(DEVICES)) describeDevice(name, create, WITHOUT[name]);
