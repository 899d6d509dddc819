import { CapstanError } from "../models/index.ts";
import { exists, packageFile } from "../sdk/platform/index.ts";
import type { BenchDtype, BenchEngine } from "./engine.ts";

/** Every peer, by its file in `peers/`. */
const PEERS = ["onnxruntime", "llama_cpp"];

/** What a peer's file exports. */
interface PeerModule {
  /** What it runs. */
  dtypes: readonly BenchDtype[];
  /** Runs a Hugging Face folder of Llama's shape, with weights brought to a dtype, on one thread. */
  create(folder: string, dtype: BenchDtype): Promise<Omit<BenchEngine, "dtype">>;
}

function home(): string {
  return packageFile("bench/peers");
}

/**
 * Peers are no dependencies of the product: their packages are installed by hand in a folder of their own, which
 * the published package does not have.
 *
 * @throws CapstanError `not_found` saying what to type
 */
export async function requirePeers(): Promise<void> {
  if (await exists(`${home()}/node_modules`)) return;
  throw new CapstanError("not_found", {
    action: "bench beside peers",
    need: "the peers' packages",
    found: "none installed",
    fix: "In a checkout, once: npm install --prefix bench/peers",
  });
}

/** The engines to compare with in a dtype, each over the folder's weights. */
export async function openPeers(folder: string, dtype: BenchDtype): Promise<BenchEngine[]> {
  const engines: BenchEngine[] = [];
  for (const name of PEERS) {
    const module = (await import(new URL(`file://${home()}/${name}.mjs`).href)) as PeerModule;
    if (module.dtypes.includes(dtype)) engines.push({ ...(await module.create(folder, dtype)), dtype });
  }
  return engines;
}
