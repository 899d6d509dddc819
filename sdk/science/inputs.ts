import { CapstanError, show } from "../../models/index.ts";
import { Axis } from "./axis/axis.ts";
import { Run } from "./run/run.ts";

/** Refuses what is no run. @throws CapstanError `bad_request` */
export function checkRun(run: unknown): Run {
  if (run instanceof Run) return run;
  const need = "a run: what collect gave, or its folder";
  throw new CapstanError("bad_request", { action: "fit", need, found: show(run) });
}

/** Refuses what is no axis, such as the path of one. @throws CapstanError `bad_request` */
export function checkAxis(axis: unknown, action: string): Axis {
  if (axis instanceof Axis) return axis;
  const fix = typeof axis === "string" ? `Read it first: await readAxis(${show(axis)}).` : undefined;
  const parts = { action, need: "an axis: what fit or readAxis gave", found: show(axis) };
  throw new CapstanError("bad_request", fix === undefined ? parts : { ...parts, fix });
}
