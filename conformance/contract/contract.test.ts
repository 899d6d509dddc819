import { DEVICES } from "../devices.ts";
import { describeDevice } from "./describe.ts";

for (const [name, create] of Object.entries(DEVICES)) describeDevice(name, create);
