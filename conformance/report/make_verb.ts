import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { wholeNumber } from "../../sdk/cli/options.ts";
import { env, exists, fileKind, packageFile, runProgram } from "../../sdk/platform/index.ts";
import { readTranscript } from "../../sdk/science/project/project.ts";

/** What make.py exits with where a package is not there. */
const MISSING = 86;

interface Options {
  model: string;
  out: string;
  seed: number;
  prompt?: string;
  messages?: string;
  hooks?: boolean;
  sites?: boolean;
  json?: boolean;
}

/** `capstan conformance make`. */
export function addMake(conformance: Command): void {
  conformance
    .command("make")
    .description("write a reference case of a model you have, with Python's transformers")
    .requiredOption("--model <folder>", "a Hugging Face folder: config.json and safetensors")
    .requiredOption("--out <case>", "the folder to write, which must not be there yet")
    .option("--seed <n>", "what the tokens (and the hook's vector) are drawn from", wholeNumber, 0)
    .option(
      "--prompt <text>",
      "text for the tokens, by the folder's tokenizer, in place of a seed (default: none)",
    )
    .option(
      "--messages <file>",
      "a chat in place of a seed: JSON, a list of { role, content } or { conversation }, by the folder's template (default: none)",
    )
    .option("--hooks", "a second run, under a floor in the middle layer that moves half of the tokens")
    .option("--sites", "every site of every block in the plain run, not the blocks' outputs alone")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Python is CAPSTAN_PYTHON, else python3; it needs torch, transformers and safetensors
(pip install -r ${packageFile("conformance/reference/requirements.txt")}).

Examples:
  $ capstan conformance make --model ./my-model --out ./my-case && capstan conformance ./my-case
  $ capstan conformance make --model ./my-model --out ./my-chat --messages chat.json --hooks`,
    )
    .action(verb((io, options: Options) => run(io, options)));
}

async function run(io: Io, options: Options): Promise<undefined> {
  const { model, out, seed, prompt, messages, hooks, sites } = options;
  const action = `make a case of ${model}`;
  if (prompt !== undefined && messages !== undefined) {
    throw new CapstanError("bad_request", { action, need: "--prompt or --messages", found: "both" });
  }
  if ((await fileKind(model)) !== "folder") {
    throw new CapstanError("not_found", { action, need: "a folder with config.json", found: "none there" });
  }
  if (await exists(out)) {
    throw new CapstanError("bad_request", {
      action,
      need: `${out} not to be there yet`,
      found: "a file or folder",
      fix: "Remove it, or give another --out.",
    });
  }
  const python = env("CAPSTAN_PYTHON") ?? "python3";
  io.progress.update(`${python}: running the model in float32`);
  const args = ["--model", model, "--out", out, "--seed", String(seed)];
  if (prompt !== undefined) args.push(`--prompt=${prompt}`);
  // Checked here, where errors are clear.
  if (messages !== undefined) {
    await readTranscript(messages);
    args.push("--messages", messages);
  }
  if (hooks === true) args.push("--hooks");
  if (sites === true) args.push("--sites");
  const done = await runProgram(python, [packageFile("conformance/reference/make.py"), ...args], io.signal);
  if (done.code !== 0) throw failure(action, python, done);
  await io.print(`wrote ${out}\nTry: capstan conformance ${out}`);
  await io.result({ out });
}

function failure(
  action: string,
  python: string,
  { code, stderr }: Awaited<ReturnType<typeof runProgram>>,
): CapstanError {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  if (code !== null && code !== MISSING) {
    return new CapstanError("bad_file", { action, need: `${python} to run it`, found: last });
  }
  const found = code === null ? `no program ${python}` : `no package ${last}`;
  const install = `${python} -m pip install -r ${packageFile("conformance/reference/requirements.txt")}`;
  return new CapstanError("not_found", {
    action,
    need: "Python 3 with torch, transformers and safetensors",
    found,
    fix: `Install Python 3, then: ${install} (CAPSTAN_PYTHON names another Python).`,
  });
}
