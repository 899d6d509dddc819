import { CapstanError, show } from "../../../models/index.ts";
import { basename, importModule, readText } from "../../platform/index.ts";
import { parseJson, parseJsonLines } from "../recipe/recipe.ts";
import { crc32 } from "../run/checksum.ts";
import type { Judge, JudgeFunction } from "./judge.ts";
import { judgeBy, ruleJudge, scoresJudge } from "./kinds.ts";

/**
 * The judge in a file, by the end of its name: `.json` rules, `.jsonl` scores, else a module.
 *
 * @throws CapstanError `not_found`, `bad_file`, `bad_request` for an address, which needs a model
 */
export async function judgeOfFile(path: string): Promise<Judge> {
  if (/^https?:/i.test(path)) {
    const fix = "Give { url, model } (on the command line --judge URL --judge_model NAME).";
    const parts = {
      action: "judge responses",
      need: "the model to ask there",
      found: "an address alone",
      fix,
    };
    throw new CapstanError("bad_request", parts);
  }
  if (/\.jsonl$/i.test(path)) return await scoresOfFile(path);
  if (/\.(?:[cm]?js|[cm]?ts)$/i.test(path)) return await moduleJudge(path);
  if (/\.json$/i.test(path)) return ruleJudge(parseJson(await readText(path), path), path);
  const need = '"all", an address, or a file of .json, .jsonl, .js or .mjs';
  throw new CapstanError("bad_request", { action: "judge responses", need, found: show(path) });
}

async function scoresOfFile(path: string): Promise<Judge> {
  const text = await readText(path);
  return scoresJudge(parseJsonLines(text, path), `${basename(path)}-${crc32(text)}`, path);
}

/** A module's `judge`, or what it exports as default: a function, or a judge with an id of its own. */
async function moduleJudge(path: string): Promise<Judge> {
  const exports = await importModule(path);
  const found: unknown = exports.judge ?? exports.default;
  if (typeof found === "function") {
    return judgeBy(found as JudgeFunction, `${basename(path)}-${crc32(await readText(path))}`);
  }
  const { id, score } = (found ?? {}) as Partial<Judge>;
  if (typeof id === "string" && id !== "" && typeof score === "function") return found as Judge;
  const need = "an export judge: a function, or { id, score }";
  const names = Object.keys(exports).join(", ");
  throw new CapstanError("bad_file", {
    action: `read ${path}`,
    need,
    found: names === "" ? "no exports" : `exports ${names}`,
  });
}
