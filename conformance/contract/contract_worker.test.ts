import { useBuiltWorker } from "../../testing/worker.ts";
import { ALL_DEVICES } from "../devices.ts";
import { describeDevice } from "./describe.ts";

useBuiltWorker();
describeDevice("wasm in a worker", ALL_DEVICES.wasm_worker!);
