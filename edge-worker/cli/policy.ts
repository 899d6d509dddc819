import type { Command } from "commander";
import { EXIT } from "../../sdk/cli/exit.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { inspectModel } from "../../sdk/inference/load.ts";
import { dirname, resolvePath, sha256 } from "../../sdk/platform/index.ts";
import { readPolicy } from "../policy/policy.ts";
import { checkFiles, fileFinder, type PolicyFiles, readFiles } from "../service/served_model.ts";
import { readPolicyFile } from "./policy_file.ts";

export function addPolicy(program: Command): void {
  const policy = program.command("policy").description("check the policy of a server, make its keys");
  policy
    .command("check <file>")
    .description("check a policy file, its models' sources, and the axis and cap files that it names")
    .option("--json", "print one JSON object on stdout and nothing else")
    .action(verb(async (io, _: { json?: boolean }, file: string) => await check(io, file)));
  policy
    .command("key")
    .description("make an API key, and the entry of the policy's `keys` that takes it")
    .option("--json", "print one JSON object on stdout and nothing else")
    .action(verb(async (io) => await makeKey(io)));
}

async function check(io: Io, file: string) {
  const policy = readPolicy(await readPolicyFile(file), file);
  const find = fileFinder((path) => resolvePath(dirname(resolvePath(file)), path));
  const models: Record<string, unknown> = {};
  for (const [name, rules] of Object.entries(policy.models)) {
    const files = await readFiles(rules, find);
    io.progress.update(`looking at ${name}`);
    const { id, digest, spec } = await inspectModel(rules.source ?? name, { signal: io.signal });
    io.progress.clear();
    checkFiles(name, rules, { id, digest, spec }, files);
    models[name] = { id, digest, axis: files.axis?.digest ?? null, caps: describe(files) };
    const caps = Object.keys(rules.caps);
    const pinned = rules.pinned ? `${rules.default_cap}, pinned` : (rules.default_cap ?? "none");
    await io.print(
      `${name}: cap ${pinned}; caps to choose from: ${rules.pinned ? "none" : caps.join(", ") || "none"}`,
    );
  }
  const keys = Object.keys(policy.keys);
  await io.print(`keys: ${keys.join(", ") || "none"}`);
  await io.result({ models, keys, policy: { ...policy, keys: undefined } });
  return EXIT.done;
}

function describe({ caps }: PolicyFiles) {
  const entries = [...caps].map(([name, { layers, percentile, model }]) => [
    name,
    { layers, percentile, made_on: model },
  ]);
  return Object.fromEntries(entries);
}

async function makeKey(io: Io) {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const key = `sk-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const digest = await sha256(key);
  await io.print(`The key, shown this once: ${key}`);
  await io.print(`For the policy: "keys": { "NAME": { "sha256": "${digest}" } }`);
  await io.result({ key, sha256: digest });
  return EXIT.done;
}
