/** The verbs of this room, for the command line. */
export { addBench } from "./bench/cli.ts";
export { addConformance } from "./check/cli.ts";
