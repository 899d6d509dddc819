import type { Rules } from "../../common/options.ts";
import * as rules from "../../common/options.ts";
import type { TemplateArgs } from "../../types.ts";
import type { Axis } from "../axis/axis.ts";
import type { Caps } from "../caps/caps.ts";
import type { EndpointOptions } from "../judge/index.ts";
import type { OnProgress } from "../progress.ts";
import type { RunStore } from "../run/store.ts";
import type { ReplyJudge } from "./reply_judge.ts";
import type { SuitesInput } from "./suites.ts";

/** What is evaluated, and against what. */
export interface EvaluateOptions {
  /**
   * What is asked: a name in the model's capstan.json (the embedded model has `dev` and `test`), a file of JSON lines,
   * a folder of `<suite>.jsonl`, or a list of these and of items. Default: `test`.
   */
  suites?: SuitesInput;
  /** Default: where something is capped, collected and fitted by the model's capstan.json first. */
  axis?: Axis;
  /** Default: the recipe's cap of the axis. `null` asks the model alone. */
  caps?: Caps | null;
  /** Random directions to cap as controls, from 0. Default: 5, or 0 without an axis and caps of a percentile. */
  controls?: number;
  /** At most this many prompts of each group of a suite, from 1. Default: all. */
  limit?: number;
  /** Folder of the replies; one that was begun with the same model and suites is continued. Default: in memory. */
  out?: string | RunStore;
  /** Folder of the collection, when the axis is not given. Default: `run` in `out`, else in memory. */
  run?: string | RunStore;
  /** Who scores replies for checks of kind `judge`: an endpoint, or code. No default. */
  judge?: ReplyJudge | EndpointOptions;
  /** Further arguments of the chat template. Default: `enable_thinking: false` where the template has that switch. */
  template_args?: TemplateArgs;
  /** Prompts in flight at once, from 1. Default: 64. */
  concurrency?: number;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Called as prompts are answered. Default: none. */
  on_progress?: OnProgress;
}

/** With its judge made ready and its defaults put in. */
export type ReadOptions = Omit<EvaluateOptions, "judge"> & {
  judge: ReplyJudge | undefined;
  template_args: TemplateArgs;
};

const store = rules.anyOf(rules.text, rules.having("a store", "append"));

export const OPTIONS: Rules<EvaluateOptions> = {
  suites: rules.anyOf(rules.text, rules.list),
  axis: rules.checkedLater,
  caps: rules.orNull(rules.having("caps: what cap or readCaps gave", "hooks", "data")),
  controls: rules.whole(0),
  limit: rules.whole(1),
  out: store,
  run: store,
  judge: rules.anyOf(
    rules.having("an endpoint { url, model }", "url", "model"),
    rules.having("a judge { id, score }", "id", "score"),
  ),
  template_args: rules.record,
  concurrency: rules.whole(1),
  signal: rules.signal,
  on_progress: rules.callback,
};
