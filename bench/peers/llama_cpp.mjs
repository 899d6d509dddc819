// llama.cpp, native, through node-llama-cpp; one thread, with the instructions that its build finds.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getLlama } from "node-llama-cpp";
import { openCheckpoint } from "./checkpoint.mjs";
import { writeGguf } from "./gguf.mjs";

const N_CTX = 2048;

export const dtypes = ["f32", "q8", "q4"];

/** A `BenchEngine` over a folder of Llama's shape. */
export async function create(folder, dtype) {
  const home = mkdtempSync(join(tmpdir(), "capstan-bench-"));
  const path = join(home, "model.gguf");
  writeGguf(path, openCheckpoint(folder), dtype);
  const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: "error" });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({
    contextSize: N_CTX,
    batchSize: 512,
    threads: { ideal: 1, min: 1 },
  });
  const sequence = context.getSequence();
  const feed = async (tokens) => {
    const last = tokens.length - 1;
    const input = [...tokens].map((token, i) =>
      i === last ? [token, { generateNext: { token: true } }] : token,
    );
    await sequence.controlledEvaluate(input);
    return null;
  };
  const { version } = JSON.parse(
    readFileSync(new URL("node_modules/node-llama-cpp/package.json", import.meta.url), "utf8"),
  );
  const used = llama.systemInfo.match(/AMX_INT8|AVX512_VNNI|AVX_VNNI|AVX512|AVX2|NEON/g) ?? [];
  return {
    name: `llama.cpp (node-llama-cpp ${version}, ${used.slice(-1)})`,
    async prompt(tokens) {
      await sequence.clearHistory();
      return await feed(tokens);
    },
    next: (token) => feed([token]),
    async dispose() {
      await llama.dispose();
      rmSync(home, { recursive: true });
    },
  };
}
