import type { Command } from "commander";
import { describeEngine } from "../../platform/engine.ts";
import { cpu, memory, packageVersion, runtimeName, systemName } from "../../platform/index.ts";
import { EXIT } from "../exit.ts";
import { verb } from "../io.ts";
import { bytes } from "../progress.ts";

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("what this machine offers, and what --device auto would choose")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText("after", "\nExamples:\n  $ capstan doctor\n  $ capstan doctor --json")
    .action(
      verb(async (io) => {
        const engine = await describeEngine();
        const { available, total } = memory();
        const report = {
          capstan: packageVersion(),
          runtime: runtimeName(),
          system: systemName(),
          cpu: cpu(),
          memory: { available, total },
          ...engine,
        };
        await io.print(`capstan   ${report.capstan} on ${report.runtime}, ${report.system}`);
        await io.print(`processor ${report.cpu.model}, ${report.cpu.count} cores`);
        await io.print(`memory    ${bytes(available)} free of ${bytes(total)}`);
        await io.print(
          `wasm      SIMD ${yes(engine.wasm.simd)}, relaxed SIMD ${yes(engine.wasm.relaxed_simd)}, shared memory ${yes(engine.wasm.threads)}`,
        );
        await io.print(
          `webgpu    ${engine.webgpu.available ? "the runtime has it" : "the runtime has none"}; this version does not use it yet`,
        );
        await io.print(`auto      ${engine.auto.device}: ${engine.auto.why}`);
        await io.result(report);
        return engine.wasm.simd ? EXIT.done : EXIT.fell_short;
      }),
    );
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}
