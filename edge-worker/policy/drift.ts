import { project } from "../../sdk/science/index.ts";
import { contentText } from "../../sdk/text/index.ts";
import type { Message, Model } from "../../sdk/types.ts";
import type { ServedModel } from "../service/served_model.ts";
import type { DriftPolicy } from "./policy.ts";

/** Drift of a conversation, turn by turn, and what the policy does about it. */

/** The assistant's turns on the axis, as a response reports them. */
export interface DriftReport {
  threshold: number;
  turns: { turn: number; projection: number | null; drift: number | null; alert: boolean }[];
  /** Turns below the threshold. */
  alerts: number;
  /** What the policy does from here on; null for nothing. */
  action: DriftPolicy["action"] | null;
}

/**
 * Projects the assistant's turns of a conversation as the uncapped model reads them. What the policy does follows from the
 * conversation alone: every replica comes to the same, and keeps nothing.
 *
 * @returns null where there is no axis, or no turn of the assistant's
 */
export async function readDrift(
  served: ServedModel,
  model: Model,
  messages: readonly Message[],
  signal: AbortSignal,
): Promise<DriftReport | null> {
  const { axis, rules } = served;
  if (axis === null) return null;
  const last = messages.findLastIndex(({ role, content }) => role === "assistant" && hasText(content));
  if (last < 0) return null;
  const plain = messages
    .slice(0, last + 1)
    .map(({ role, content }) => ({ role, content: contentText({ content: content ?? "" }) }));
  const threshold = rules.drift?.threshold ?? axis.percentile(axis.target_layer, 25);
  const { turns } = await project(model, plain, { axis, threshold, signal });
  const own = turns.filter(({ role }) => role === "assistant");
  const action =
    rules.drift !== undefined &&
    acts(
      own.map(({ projection }) => projection),
      threshold,
      rules.drift,
    );
  return {
    threshold,
    turns: own.map(({ turn, projection, drift, alert }) => ({ turn, projection, drift, alert })),
    alerts: own.filter(({ alert }) => alert).length,
    action: action ? rules.drift!.action : null,
  };
}

function hasText(content: Message["content"] | null): boolean {
  return content !== null && contentText({ content }) !== "";
}

/**
 * Whether the policy acts after these turns: from the one on that is the last of `turns` below the threshold, until one is
 * above it by the hysteresis. Turns without text count as neither.
 */
export function acts(
  projections: readonly (number | null)[],
  threshold: number,
  { turns, hysteresis }: Pick<DriftPolicy, "turns" | "hysteresis">,
): boolean {
  let [n_below, is_on] = [0, false];
  for (const projection of projections) {
    if (projection === null) continue;
    n_below = projection < threshold ? n_below + 1 : 0;
    if (n_below >= turns) is_on = true;
    else if (projection >= threshold + hysteresis && n_below === 0) is_on = false;
  }
  return is_on;
}
