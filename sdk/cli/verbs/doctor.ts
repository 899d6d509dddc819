import type { Command } from "commander";
import { wasmFeatures } from "../../../core-wasm/index.ts";
import { chooseDevice, describeWebGpu } from "../../inference/devices.ts";
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
        const { available, total, assumed = false } = memory();
        const webgpu = await describeWebGpu();
        const report = {
          capstan: await packageVersion(),
          runtime: runtimeName(),
          system: systemName(),
          cpu: cpu(),
          memory: { available, total, assumed },
          wasm: wasmFeatures(),
          webgpu: { available: webgpu.adapter !== null, ...webgpu },
          auto: await chooseDevice(),
        };
        const { wasm, auto } = report;
        await io.print(`capstan   ${report.capstan} on ${report.runtime}, ${report.system}`);
        await io.print(`processor ${report.cpu.model}, ${report.cpu.count} cores`);
        const shown = assumed ? " (assumed: Deno shows it with --allow-sys)" : "";
        await io.print(`memory    ${bytes(available)} free of ${bytes(total)}${shown}`);
        await io.print(
          `wasm      SIMD ${yes(wasm.simd)}, relaxed SIMD ${yes(wasm.relaxed_simd)}, shared memory ${yes(wasm.threads)}`,
        );
        for (const line of webgpuLines(webgpu)) await io.print(line);
        await io.print(`auto      ${auto.device}: ${auto.why}`);
        await io.result(report);
        return wasm.simd ? EXIT.done : EXIT.fell_short;
      }),
    );
}

function webgpuLines(found: Awaited<ReturnType<typeof describeWebGpu>>): string[] {
  if (found.adapter === null) {
    return [`webgpu    none: ${[found.why, ...(found.fix === undefined ? [] : [found.fix])].join(". ")}`];
  }
  const { name, software, features, subgroup_size, limits } = found.adapter;
  const subgroups = features.subgroups ? `yes, of ${subgroup_size} or more` : "no";
  return [
    `webgpu    ${name}${software ? " (software: correct, slow)" : ""}`,
    `          f16 ${yes(features.f16)}, subgroups ${subgroups}, timestamps ${yes(features.timestamps)}`,
    `          bindings up to ${bytes(limits.binding_bytes)}, buffers ${bytes(limits.buffer_bytes)}, ` +
      `${limits.workgroup_size} threads and ${bytes(limits.workgroup_bytes)} a workgroup`,
  ];
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}
