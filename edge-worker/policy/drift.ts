import { type Hook, siteId } from "../../models/index.ts";
import { type Axis, type ProjectOptions, project, type TurnProjection } from "../../sdk/science/index.ts";
import { residPost } from "../../sdk/science/layers.ts";
import { ownersOf, turnsOf } from "../../sdk/science/project/turns.ts";
import { contentText } from "../../sdk/text/index.ts";
import type { EncodedChat, Message, Model } from "../../sdk/types.ts";
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
 * Reads the assistant's turns of a conversation as the uncapped model reads them. What the policy does follows from the
 * conversation alone: every replica comes to the same, and keeps nothing that another needs.
 */
export class DriftReader {
  readonly #axis: Axis;
  readonly #rules: DriftPolicy | undefined;
  /** Up to the assistant's last. */
  readonly #messages: readonly Message[];
  readonly #threshold: number;

  private constructor(axis: Axis, rules: DriftPolicy | undefined, messages: readonly Message[]) {
    this.#axis = axis;
    this.#rules = rules;
    this.#messages = messages;
    this.#threshold = rules?.threshold ?? axis.percentile(axis.target_layer, 25);
  }

  /** Null where there is no axis, or no turn of the assistant's. */
  static of({ axis, rules }: ServedModel, messages: readonly Message[]): DriftReader | null {
    const last = messages.findLastIndex(({ role, content }) => role === "assistant" && hasText(content));
    return axis === null || last < 0 ? null : new DriftReader(axis, rules.drift, messages.slice(0, last + 1));
  }

  /**
   * The hook that reads them while a reply to them is generated, before those it is generated under. Null where one of these
   * acts before the axis's layer: then it would not read what the uncapped model does.
   */
  probe({ spec }: Model, hooks: readonly Hook[]): Hook | null {
    const { target_layer } = this.#axis;
    const site = residPost(target_layer);
    const own = siteId(spec, site);
    if (hooks.some((hook) => hook.kind !== "project" && siteId(spec, hook.site) < own)) return null;
    return { kind: "project", site, vector: this.#axis.direction(target_layer), name: DRIFT };
  }

  /** By what the probe read of the prompt, which `encoded` is. */
  fromPrompt({ tokens, spans }: EncodedChat, read: Readonly<Record<string, Float32Array>>): DriftReport {
    const turns = ownersOf(tokens.length, spans);
    return this.#report(turnsOf(this.#messages, { turns, projections: read[DRIFT]! }, this.#threshold));
  }

  /** By a pass of its own, without hooks. */
  async apart(
    model: Model,
    options: Pick<ProjectOptions, "signal" | "client" | "queue" | "cache_salt">,
  ): Promise<DriftReport> {
    const plain = this.#messages.map(({ role, content }) => ({
      role,
      content: contentText({ content: content ?? "" }),
    }));
    const { turns } = await project(model, plain, {
      ...options,
      axis: this.#axis,
      threshold: this.#threshold,
    });
    return this.#report(turns);
  }

  #report(turns: readonly TurnProjection[]): DriftReport {
    const own = turns.filter(({ role }) => role === "assistant");
    const projections = own.map(({ projection }) => projection);
    const rules = this.#rules;
    return {
      threshold: this.#threshold,
      turns: own.map(({ turn, projection, drift, alert }) => ({ turn, projection, drift, alert })),
      alerts: own.filter(({ alert }) => alert).length,
      action: rules !== undefined && acts(projections, this.#threshold, rules) ? rules.action : null,
    };
  }
}

/** The probe's name; `OWN_NAMES` begins it. */
const DRIFT = "capstan.drift";

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
