import { spawnSync } from "node:child_process";

/** Parts a test may need beyond npm, and how each shows that it is there. */
const PARTS = {
  cargo: { command: ["cargo", "--version"], install: "rustup (see rust-toolchain.toml)" },
  deno: { command: ["node_modules/.bin/deno", "--version"], install: "npm ci" },
  python: {
    command: [process.env.CAPSTAN_PYTHON ?? "python3", "-c", "import numpy, safetensors.numpy"],
    install: "pip install -r .ci/requirements.txt, and CAPSTAN_PYTHON when it is not python3",
  },
} as const;

export type Part = keyof typeof PARTS;

/** The Python that tests run: `CAPSTAN_PYTHON`, else python3. */
export const python: string = PARTS.python.command[0];

const found = new Map<Part, boolean>();

/** Whether `CAPSTAN_REQUIRE` names the part (or `all`): then a missing one is a failure. */
export function requires(part: Part): boolean {
  const required = (process.env.CAPSTAN_REQUIRE ?? "").split(",");
  return required.includes(part) || required.includes("all");
}

/**
 * Whether this machine lacks a part: for `it.skipIf(lacks("python"))`. Says so aloud once. Where
 * `CAPSTAN_REQUIRE` names the part (or `all`), a missing one is never skipped: the test runs and fails.
 */
export function lacks(part: Part): boolean {
  if (requires(part)) return false;
  if (!found.has(part)) {
    const [command, ...args] = PARTS[part].command;
    const here = spawnSync(command, args, { stdio: "ignore" }).status === 0;
    found.set(part, here);
    if (!here) console.warn(`skipping tests that need ${part}: not found. Install: ${PARTS[part].install}`);
  }
  return !found.get(part);
}
