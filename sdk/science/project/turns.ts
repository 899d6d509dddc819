import { itemAt } from "../../../models/certain.ts";
import type { Message, Span } from "../../types.ts";

/** One turn on the axis. */
export interface TurnProjection {
  /** Index of the message. */
  turn: number;
  role: string;
  /** Tokens of its content. */
  tokens: number;
  /** Mean over its tokens; null for an empty turn. */
  projection: number | null;
  /** Less the first assistant turn's; null for other roles' turns. */
  drift: number | null;
  /** Whether an assistant's turn fell below the threshold. */
  alert: boolean;
}

/** Tokens of a chat as they were read: the message each belongs to (null: the template's own), p. */
export interface ReadTokens {
  turns: readonly (number | null)[];
  projections: Float32Array;
}

/** The message that each of a chat's tokens belongs to; null for the template's own. */
export function ownersOf(n_tokens: number, spans: readonly Span[]): (number | null)[] {
  const owners: (number | null)[] = new Array(n_tokens).fill(null);
  for (const { turn, start, end } of spans) owners.fill(turn, start, end);
  return owners;
}

/** A chat's turns by the projections of its tokens. */
export function turnsOf(
  messages: readonly Pick<Message, "role">[],
  { turns, projections }: ReadTokens,
  threshold: number,
): TurnProjection[] {
  const means = messages.map((_, turn) => meanWhere(projections, turns, turn));
  const first =
    means.find(({ mean }, turn) => itemAt(messages, turn).role === "assistant" && mean !== null)?.mean ??
    null;
  return messages.map(({ role }, turn) => {
    const { mean, count } = itemAt(means, turn);
    const own = role === "assistant" && mean !== null;
    return {
      turn,
      role,
      tokens: count,
      projection: mean,
      drift: own ? mean - first! : null,
      alert: own && mean < threshold - rounding(threshold),
    };
  });
}

function meanWhere(
  values: Float32Array,
  owners: readonly (number | null)[],
  turn: number,
): { mean: number | null; count: number } {
  let [sum, count] = [0, 0];
  for (const [i, owner] of owners.entries()) {
    if (owner !== turn) continue;
    sum += values[i]!;
    count += 1;
  }
  return { mean: count === 0 ? null : sum / count, count };
}

/** A reply that a cap holds at its floor is not below it, though its float32 projection may be by a few units of rounding. */
function rounding(threshold: number): number {
  return 1e-5 * (1 + Math.abs(threshold));
}
