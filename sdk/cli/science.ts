import type { OnProgress } from "../science/index.ts";
import type { Io } from "./io.ts";
import { count, duration } from "./progress.ts";

/** The line of progress of collect and evaluate: `collect 120 of 400 · 1,530 tok/s · 12 s left · pirate`. */
export function showProgress(io: Io): OnProgress {
  return ({ phase, done, total, tok_per_s, eta_s, role }) => {
    const parts = [`${phase} ${count(done)} of ${count(total)}`];
    if (tok_per_s > 0) parts.push(`${count(tok_per_s)} tok/s`);
    if (eta_s !== null) parts.push(`${duration(eta_s)} left`);
    if (role !== undefined) parts.push(role);
    io.progress.update(parts.join(" · "));
  };
}
