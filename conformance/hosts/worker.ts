import "../../sdk/platform/workerd.ts";
import { CASE_TASKS } from "./case_task.ts";
import { taskWorker } from "./task.ts";

/** A worker of workerd that checks the case each request names. */
export default taskWorker(CASE_TASKS);
