import { CapstanError } from "../../models/index.ts";
import { fileKind } from "./files.ts";
import { resolvePath } from "./paths.ts";
import { system } from "./system.ts";

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
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ href)) as Record<string, unknown>;
  } catch (cause) {
    const found = `${(cause as Error)?.name ?? "an error"}: ${(cause as Error)?.message ?? String(cause)}`;
    throw new CapstanError(
      "bad_file",
      { action: `import ${path}`, need: "a module that loads", found },
      { cause },
    );
  }
}
