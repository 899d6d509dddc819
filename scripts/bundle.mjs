// Bundles the sources into js/, and those of testing/runtimes into testing/, of the folder that it is given: what becomes
// dist/. Run by `build` of steps.mjs.
//
// Each entry of the package is a file of its name. All other modules lie in a few chunks, one a unit: a module belongs to
// the first unit of the list whose roots reach it by static imports, so a chunk imports earlier ones only. A module that is
// only imported when it is used keeps a file of its own. No name has a hash in it, so that two builds differ in what changed.
//
// The files lie one folder deep in dist/, and all binaries in dist/pkg/ beside it. The page of the server (page/) is bundled
// with all that it needs, packages too.
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const path = (name) => join(root, name);
const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
  readFileSync(path("package.json"), "utf8"),
);

const ENGINE_WORKER = "sdk/platform/engine_worker.ts";

const ENTRIES = {
  index: "sdk/index.ts",
  workerd: "sdk/workerd.ts",
  models: "models/index.ts",
  safetensors: "sdk/checkpoint/safetensors/index.ts",
  safetensors_workerd: "sdk/checkpoint/safetensors/workerd.ts",
  plots: "sdk/science/plots/index.ts",
  conformance: "conformance/index.ts",
  conformance_workerd: "conformance/workerd.ts",
  edge: "edge-worker/index.ts",
  edge_workerd: "edge-worker/workerd.ts",
  // Applications as they are deployed: a worker, and a default export for Deno.
  edge_app_workerd: "edge-worker/entries/workerd.ts",
  edge_app_deno: "edge-worker/entries/deno.ts",
  capstan: "bin/capstan.ts",
  // What `capstan conformance --runtime` loads into a page and into workerd.
  case_page: "conformance/hosts/page.ts",
  case_worker: "conformance/hosts/worker.ts",
};

/** Chunks and what reaches them, the first needed first. */
const UNITS = {
  base: ["models/index.ts", "sdk/checkpoint/safetensors/index.ts"],
  // With what both the core and later units use.
  load: [
    "sdk/inference/load.ts",
    "sdk/inference/generate.ts",
    "sdk/common/abort.ts",
    "sdk/common/sha256.ts",
    "sdk/checkpoint/source/secrets.ts",
    "sdk/text/chat/roles.ts",
  ],
  core: ["sdk/index.ts"],
  run: [
    "sdk/inference/model.ts",
    "core-wasm/engine/device.ts",
    "sdk/checkpoint/weights/index.ts",
    "sdk/text/load.ts",
  ],
  jinja: ["sdk/text/chat/template.ts"],
  webgpu: ["gpu/index.ts"],
  fetch: ["sdk/checkpoint/source/url.ts", "sdk/checkpoint/hub/pull.ts"],
  experiment: ["sdk/science/experiment.ts", "sdk/science/judge/endpoint.ts"],
  charts: ["sdk/science/plots/index.ts"],
  proof: ["conformance/index.ts", "conformance/hosts/case_task.ts", "conformance/hosts/task.ts"],
  http: ["edge-worker/index.ts"],
  command: ["bin/capstan.ts", "sdk/cli/verbs/generate.ts"],
  verbs: filesOf("sdk/cli/verbs"),
  check: ["conformance/check/cli.ts"],
  bench: ["bench/cli.ts"],
  binaries: ["sdk/platform/workerd.ts"],
};

/** What does something by being imported; everything else may be left out where nothing of it is used. */
const SIDE_EFFECTS = [
  "sdk/platform/workerd.ts",
  "conformance/hosts/page.ts",
  "conformance/hosts/worker.ts",
  ENGINE_WORKER,
  "edge-worker/page/main.ts",
  "edge-worker/page/local/service_worker.ts",
];

const OPTIONS = {
  cwd: root,
  platform: "neutral",
  external: [...Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies }), /\.wasm$/],
  preserveEntrySignatures: "allow-extension",
  transform: { target: "es2023" },
  treeshake: { moduleSideEffects: (id) => SIDE_EFFECTS.includes(nameOf(id)) || isTestEntry(id) },
  plugins: [
    { name: "binaries", transform: { filter: { id: /core-wasm.builds.table\.ts$/ }, handler: nameBinaries } },
    { name: "worker", transform: { filter: { id: /platform.worker\.ts$/ }, handler: nameWorker } },
  ],
  // Modules of the command import statically what the SDK imports on use.
  checks: { ineffectiveDynamicImport: false },
};

/** A page has no packages beside it; what draws pictures is never reached there. */
const PAGE_OPTIONS = {
  platform: "browser",
  external: [...Object.keys(optionalDependencies), /\.wasm$/],
};

const OUTPUT = {
  format: "es",
  comments: { legal: true, annotation: true, jsdoc: false },
  minify: { compress: true, mangle: { toplevel: false }, codegen: { removeWhitespace: true } },
  entryFileNames: "[name].js",
};

const PAGE_OUTPUT = { minify: true };

/** Helpers that the bundler adds for syntax which the target lacks. */
const HELPERS = "@oxc-project";

/** Where core-wasm/ has them. */
const BINARIES = ["pkg", "text/pkg"];

const TESTING = ["main", "tasks"];

const out = process.argv[2];
writeWorkerdConfig(await bundle("js", ENTRIES, await unitsOf(ENTRIES)));
const tests = Object.fromEntries(TESTING.map((name) => [name, `testing/runtimes/${name}.ts`]));
await bundle("testing", tests, null);
await bundlePage();
for (const folder of ["js", "testing", "page"]) await bundleEngineWorker(folder);
for (const folder of BINARIES) copyBinaries(`core-wasm/${folder}`);
await writePageFiles();

/** @param units of which unit a module is; null to leave it to the bundler */
async function bundle(folder, entries, units) {
  const build = await rolldown({ ...OPTIONS, input: entries });
  const { output } = await build.write({
    ...OUTPUT,
    dir: join(out, folder),
    chunkFileNames: ({ facadeModuleId, name }) => `${facadeModuleId ? slug(facadeModuleId) : name}.js`,
    paths: (name) => (name.endsWith(".wasm") ? `../pkg/${basename(name)}` : name),
    ...(units === null
      ? {}
      : {
          codeSplitting: {
            includeDependenciesRecursively: false,
            groups: [{ name: units, debugName: "units" }],
          },
        }),
  });
  await build.close();
  return output;
}

/**
 * What sdk/platform/worker.ts starts, beside the file that starts it. A file of its own with all that it needs: other
 * bundlers make a worker of it that is split no further.
 */
async function bundleEngineWorker(folder) {
  const build = await rolldown({ ...OPTIONS, input: { engine_worker: ENGINE_WORKER } });
  await build.write({ ...OUTPUT, dir: join(out, folder), codeSplitting: false });
  await build.close();
}

/** What a browser loads as it is: no bare import is left in it. */
async function bundlePage() {
  const build = await rolldown({ ...OPTIONS, ...PAGE_OPTIONS, input: { page: "edge-worker/page/main.ts" } });
  await build.write({
    ...OUTPUT,
    ...PAGE_OUTPUT,
    dir: join(out, "page"),
    chunkFileNames: "[name].js",
    paths: (name) => (name.endsWith(".wasm") ? `../pkg/${basename(name)}` : name),
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: pageUnit, debugName: "units" }],
    },
  });
  await build.close();
  for (const name of ["index.html", "style.css", "icon.svg", "manifest.webmanifest"])
    cpSync(path(`edge-worker/page/${name}`), join(out, "page", name));
}

/** Three files: the page, what a model in the page needs, and the GPU's part of that. */
function pageUnit(id) {
  const name = nameOf(id);
  if (name.startsWith("gpu/")) return "gpu";
  if (["models/certain.ts", "models/errors.ts"].includes(name)) return "view";
  return name.startsWith("edge-worker/page/") && !name.startsWith("edge-worker/page/local/")
    ? "view"
    : "local";
}

/** The page's paths on a server, each with its file in the package; the service worker keeps the same for use offline. */
async function writePageFiles() {
  const folder = join(out, "page");
  const own = readdirSync(folder).filter((name) => name !== "index.html");
  const binaries = readdirSync(join(out, "pkg"));
  const model = filesBelow("models/capstan-tiny").filter(
    (name) => !/\/(training|evaluate|roles)\//.test(name),
  );
  const files = {
    "/": "dist/page/index.html",
    ...Object.fromEntries(own.map((name) => [`/page/${name}`, `dist/page/${name}`])),
    ...Object.fromEntries(binaries.map((name) => [`/pkg/${name}`, `dist/pkg/${name}`])),
    ...Object.fromEntries(model.map((name) => [`/${name}`, name])),
  };
  const hash = createHash("sha256");
  for (const [at, file] of Object.entries(files))
    hash
      .update(`${at} `)
      .update(readFileSync(file.startsWith("dist/") ? join(out, file.slice(5)) : path(file)));
  const kept = { version: hash.digest("hex").slice(0, 16), paths: Object.keys(files) };
  const build = await rolldown({
    ...OPTIONS,
    input: { service_worker: "edge-worker/page/local/service_worker.ts" },
    transform: { ...OPTIONS.transform, define: { KEPT: JSON.stringify(kept) } },
  });
  await build.write({ ...OUTPUT, dir: folder, codeSplitting: false });
  await build.close();
  files["/service_worker.js"] = "dist/page/service_worker.js";
  writeFileSync(join(folder, "files.json"), JSON.stringify(files));
}

function filesBelow(folder) {
  return readdirSync(path(folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  );
}

/**
 * Of which unit a module is. What `import "capstan"` loads first is what a bundle of it alone has code of: a barrel reaches
 * more than is used of it.
 */
async function unitsOf(entries) {
  const names = Object.keys(UNITS);
  const first = names.indexOf("core");
  const used = await modulesUsed(entries);
  const found = new Map();
  const walk = (info) => {
    for (const [unit, name] of names.entries()) {
      const roots = UNITS[name].map(path);
      const queue = [...roots];
      const seen = new Set();
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
        if (seen.has(id)) continue;
        seen.add(id);
        if (id.includes(HELPERS)) found.set(id, names[0]);
        if (!found.has(id) && (unit > first || used.has(id) || roots.includes(id))) found.set(id, name);
        queue.push(...(info(id)?.importedIds ?? []));
      }
    }
  };
  const on_use = ({ importers, dynamicImporters }) => dynamicImporters.length > 0 && importers.length === 0;
  return (id, context) => {
    const info = (id) => context.getModuleInfo(id);
    if (found.size === 0) walk(info);
    return on_use(info(id)) ? null : (found.get(id) ?? null);
  };
}

async function modulesUsed({ index, models, safetensors }) {
  const build = await rolldown({ ...OPTIONS, input: { index, models, safetensors } });
  const { output } = await build.generate({ format: "es" });
  await build.close();
  const loaded = closureOf(output, ["index.js", "models.js", "safetensors.js"], ({ imports }) => imports);
  const modules = loaded.flatMap((chunk) => Object.entries(chunk.modules));
  return new Set(modules.filter(([, { renderedLength }]) => renderedLength > 0).map(([id]) => id));
}

/** The chunks that some lead to. */
function closureOf(output, names, follow) {
  const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]));
  const found = new Set();
  const queue = [...names];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const chunk = chunks.get(name);
    if (chunk === undefined || found.has(chunk)) continue;
    found.add(chunk);
    queue.push(...follow(chunk));
  }
  return [...found];
}

/** workerd imports no module that its config does not list: those that the worker of cases leads to are written into it. */
function writeWorkerdConfig(output) {
  const chunks = closureOf(output, ["case_worker.js"], (chunk) => [
    ...chunk.imports,
    ...chunk.dynamicImports,
  ]);
  const others = chunks.map(({ fileName }) => fileName).filter((name) => name !== "case_worker.js");
  const modules = ["case_worker.js", ...others.sort()].map(
    (name) => `    (name = "js/${name}", esModule = embed "js/${name}"),`,
  );
  const template = readFileSync(path("conformance/hosts/workerd.capnp"), "utf8");
  const marker = /^ *# The modules of the worker .*\n/m;
  if (!marker.test(template)) throw new Error("workerd.capnp has no line for the worker's modules");
  writeFileSync(join(out, "workerd.capnp"), template.replace(marker, `${modules.join("\n")}\n`));
}

function copyBinaries(from) {
  for (const name of readdirSync(path(from)).filter((name) => name.endsWith(".wasm")))
    cpSync(path(`${from}/${name}`), join(out, "pkg", name));
}

/** The table's URLs, spelled out in it for other bundlers to see, as `../pkg/...`. */
function nameBinaries(code) {
  return BINARIES.reduce((text, folder) => text.replaceAll(`"../${folder}/`, '"../pkg/'), code);
}

/** The worker's script, as built: an entry beside the file that starts it. */
function nameWorker(code) {
  const named = code.replaceAll('"./engine_worker.ts"', '"./engine_worker.js"');
  if (named === code) throw new Error("sdk/platform/worker.ts names no script");
  return named;
}

function filesOf(folder) {
  const files = readdirSync(path(folder)).filter((name) => name.endsWith(".ts") && !name.includes(".test."));
  return files.map((name) => `${folder}/${name}`);
}

function nameOf(id) {
  return relative(root, id).split(sep).join("/");
}

/** `sdk/cli/verbs/fit.ts` is `cli-verbs-fit`. */
function slug(id) {
  return nameOf(id)
    .replace(/^sdk\//, "")
    .replace(/(\/index)?\.ts$/, "")
    .replaceAll("/", "-");
}

function isTestEntry(id) {
  return nameOf(id) === "testing/runtimes/main.ts";
}
