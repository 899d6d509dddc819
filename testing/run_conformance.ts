import process from "node:process";
import { vi } from "vitest";
import { addConformance } from "../conformance/check/cli.ts";
import { createCli, runCli } from "../sdk/cli/index.ts";

/** Runs `capstan conformance` as the command line does; what it wrote and its exit code. */
export async function runConformance(
  ...args: string[]
): Promise<{ stdout: string; stderr: string; code: unknown }> {
  const texts = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation(((text: string, done?: () => void) => {
      texts[stream] += text;
      done?.();
      return true;
    }) as typeof process.stdout.write),
  );
  const before = process.exitCode;
  try {
    const command = ["conformance", ...args];
    await runCli(await createCli({ conformance: async () => addConformance }, command), command);
    return { ...texts, code: process.exitCode };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}
