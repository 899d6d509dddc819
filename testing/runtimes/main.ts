import { argv, write } from "../../sdk/platform/index.ts";
import { runTask } from "./tasks.ts";

/** A task in a process of its own: its name and its arguments in JSON; the last line printed is the result. */
const [name = "", args = "null"] = argv();
await write("stdout", `\n${JSON.stringify(await runTask(name, JSON.parse(args)))}\n`);
