import { CapstanError } from "../../models/index.ts";
import { fileKind } from "./files.ts";
import { resolvePath } from "./paths.ts";
import { system } from "./system.ts";
import { unlessStuck } from "./unsettled.ts";

/**
 * What a module of JavaScript exports; in Deno (and Node from 22.18 on) also one of TypeScript. It runs with all that
 * this process may do.
 *
 * @throws CapstanError `not_found`, `bad_file` where it does not load, `unsupported` where there are no files
 */
export async function importModule(path: string): Promise<Record<string, unknown>> {
  const { href } = system("node:url", `import ${path}`).pathToFileURL(resolvePath(path));
  if ((await fileKind(path)) !== "file") {
    throw new CapstanError("not_found", {
      action: `import ${path}`,
      need: "a module",
      found: "no such file",
    });
  }
  const action = `import ${path}`;
  const need = "a module that loads";
  const stuck = () =>
    new CapstanError("bad_file", { action, need, found: "one that waits for what never comes" });
  try {
    const module: Promise<unknown> = import(/* @vite-ignore */ /* webpackIgnore: true */ href);
    return (await unlessStuck(module, stuck)) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof CapstanError) throw cause;
    const found = `${(cause as Error)?.name ?? "an error"}: ${(cause as Error)?.message ?? String(cause)}`;
    throw new CapstanError("bad_file", { action, need, found }, { cause });
  }
}
