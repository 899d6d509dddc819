import { CapstanError } from "../models/index.ts";
import { exists, packageFile } from "../sdk/platform/index.ts";
import type { BenchEngine } from "./engine.ts";

/** Every peer, by its file in `peers/`: it exports `create(folder)`, which gives a `BenchEngine`. */
const PEERS = ["onnxruntime"];

/** What a peer's file exports. */
interface PeerModule {
  /** Runs a Hugging Face folder of Llama's shape with float32 weights on one thread. */
  create(folder: string): Promise<BenchEngine>;
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
    fix: "In a checkout, once: npm ci --prefix bench/peers",
  });
}

/** The engines to compare with, each over the folder's weights. */
export async function openPeers(folder: string): Promise<BenchEngine[]> {
  const engines: BenchEngine[] = [];
  for (const name of PEERS) {
    const module = (await import(new URL(`file://${home()}/${name}.mjs`).href)) as PeerModule;
    engines.push(await module.create(folder));
  }
  return engines;
}
