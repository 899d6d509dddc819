import { itemAt } from "../../models/certain.ts";
import { CapstanError, type Decoder, type Warn } from "../../models/index.ts";

/**
 * The longest sequence that a model is loaded for, in tokens: what the caller asks, else what the checkpoint was made
 * for. It is never cut: positions that were learned end where their table does, and a rope goes on beyond what it was
 * made for, which is said.
 *
 * @throws CapstanError `bad_request` for more than a model of learned positions has
 */
export function chooseContext({ spec, tensors }: Decoder, asked: number | undefined, warn: Warn): number {
  if (asked === undefined || asked <= spec.n_ctx) return asked ?? spec.n_ctx;
  if (tensors.positions !== null) {
    const { shape, rows } = tensors.positions;
    const learned = rows === undefined ? itemAt(shape, 0) : rows.end - rows.start;
    if (asked > learned) {
      const need = `n_ctx of at most ${learned}, the positions that the model has learned`;
      throw new CapstanError("bad_request", { action: "load a model", need, found: String(asked) });
    }
    return asked;
  }
  const scaled = Math.floor(Math.max(spec.n_ctx, ...spec.ropes.map(({ scaled_n_ctx }) => scaled_n_ctx ?? 0)));
  if (asked > scaled) {
    warn(
      `n_ctx ${asked} is beyond the ${scaled} tokens that config.json allows: positions are extrapolated.`,
    );
  }
  return asked;
}

/**
 * The context that is left where the device's cache holds `n_cached` tokens. The model's own is cut to it; one that the
 * caller asked for stays, and a sequence that does not fit is refused when it comes. Both are said.
 */
export function fitContext(n_ctx: number, asked: number | undefined, n_cached: number, warn: Warn): number {
  if (n_ctx <= n_cached) return n_ctx;
  const what = `a cache of ${n_ctx} tokens, and this device holds ${n_cached} beside the weights`;
  if (asked === undefined) {
    warn(`The model's context needs ${what}: n_ctx is ${n_cached}.`);
    return n_cached;
  }
  warn(`n_ctx ${n_ctx} needs ${what}: longer sequences will find no memory.`);
  return n_ctx;
}
