import { argv, write } from "../../sdk/platform/index.ts";
import { run } from "./tasks.ts";

/** A task in a process of its own: its text is the argument; the last line printed is the answer's. */
const [task = ""] = argv();
await write("stdout", `\n${await run(task)}\n`);
