import "../../sdk/platform/workerd.ts";
import { taskWorker } from "../../conformance/hosts/task.ts";
import { TASKS } from "./tasks.ts";

/** A worker of workerd that runs the task of each request. */
export default taskWorker(TASKS);
