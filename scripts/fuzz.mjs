// `npm run fuzz [-- --count 100000 --from 0]`: damaged and hostile files through the public API, in a process that is
// watched: a crash, a hang or an error that is no CapstanError ends in the input's number, which makes it again.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { deno, install, installDeno, root } from "./steps.mjs";

const { values } = parseArgs({
  options: { count: { type: "string", default: "100000" }, from: { type: "string", default: "0" } },
});
const end = Number(values.from) + Number(values.count);
/** An input that takes longer hangs. */
const HANG_MS = 60_000;
/** A process is made again after so many inputs, so that what one leaves behind does not hide what another takes. */
const A_PROCESS = 5_000;

install();
installDeno();
let next = Number(values.from);
let failures = 0;
const start = Date.now();
while (next < end) next = await run(next, Math.min(A_PROCESS, end - next));
const seconds = Math.round((Date.now() - start) / 1000);
console.log(`${values.count} inputs from ${values.from} on in ${seconds} s: ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);

/** Runs inputs in a process of their own; the number to go on with. */
function run(first, count) {
  const script = join(root, "testing", "fuzz", "run.ts");
  const flags = [
    "run",
    "-A",
    "--no-lock",
    "--v8-flags=--max-old-space-size=1024",
    script,
    String(first),
    String(count),
  ];
  const child = spawn(deno, flags, { cwd: root });
  let at = first;
  let stderr = "";
  const hang = () => {
    report(at, "hangs");
    child.kill("SIGKILL");
  };
  let timer = setTimeout(hang, HANG_MS);
  child.stdout.on("data", (data) => {
    at = Number(String(data).trim().split("\n").at(-1));
    clearTimeout(timer);
    timer = setTimeout(hang, HANG_MS);
    if (process.stderr.isTTY) process.stderr.write(`\r${at}`);
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const found = stderr.split("\n").filter((line) => line.startsWith("{"));
      for (const line of found) report(JSON.parse(line).seed, line);
      if (code === 0 || (code === 1 && found.length > 0)) resolve(first + count);
      else {
        if (signal !== "SIGKILL") report(at, `crashes (${code ?? signal}): ${stderr.slice(-500)}`);
        resolve(at + 1);
      }
    });
  });
}

function report(seed, what) {
  failures++;
  console.log(`input ${seed}: ${what}`);
}
