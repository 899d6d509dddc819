import type { Projection } from "../science/index.ts";
import type { Io } from "./io.ts";

/** Prints a conversation on the axis, one line a turn. */
export async function printTurns(io: Io, projection: Projection): Promise<void> {
  const { layer, threshold, turns, window, windows } = projection;
  await io.print(`layer ${layer}, alert below ${threshold.toFixed(2)}`);
  if (windows.length > 1) {
    const parts = windows.map(({ context, start, end }) => {
      return `${start} to ${end - 1}${context < start ? ` (after ${context} to ${start - 1})` : ""}`;
    });
    await io.print(
      `longer than ${window} tokens, so read in ${windows.length} windows of turns: ${parts.join(", ")}`,
    );
  }
  for (const { turn, role, tokens, projection, drift, alert } of turns) {
    const value = projection === null ? "-" : projection.toFixed(2);
    const moved = drift === null ? "" : `  drift ${drift.toFixed(2)}`;
    const line = `${String(turn).padStart(3)} ${role.padEnd(10)} ${String(tokens).padStart(5)} tokens  ${value.padStart(8)}`;
    await io.print(`${line}${moved}${alert ? "  ALERT" : ""}`);
  }
}
