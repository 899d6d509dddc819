import { sha256 } from "../../platform/index.ts";
import type { FileSource } from "../../types.ts";
import { openSafetensors } from "../safetensors/index.ts";
import { findWeightFiles } from "./files.ts";

const SAMPLES = 16;
const SAMPLE_BYTES = 4096;

/**
 * A fingerprint of a model, `sha256:<hex>`, for a few reads instead of the whole file: config.json as it is and, for
 * each weight file, its name, size, header and 16 evenly spread samples of 4 KiB. Equal files have equal digests on
 * every machine; models that were trained apart differ in nearly every byte, so samples tell them apart.
 */
export async function modelDigest(source: FileSource): Promise<string> {
  const config_bytes = (await source.size("config.json")) ?? 0;
  const parts: (Uint8Array | string)[] = [
    `config.json ${config_bytes}\n`,
    await source.read("config.json", 0, config_bytes),
  ];
  for (const name of (await findWeightFiles(source)).names) {
    const { file_bytes, header_bytes } = await openSafetensors(source, name);
    parts.push(`${name} ${file_bytes}\n`, await source.read(name, 0, header_bytes));
    const samples = sampleStarts(header_bytes, file_bytes).map((start) =>
      source.read(name, start, Math.min(start + SAMPLE_BYTES, file_bytes)),
    );
    parts.push(...(await Promise.all(samples)));
  }
  return `sha256:${await sha256(...parts)}`;
}

/** Where the samples begin: the first at the data's start, the last at its end, the others between. */
function sampleStarts(data_start: number, data_end: number): number[] {
  const span = Math.max(0, data_end - data_start - SAMPLE_BYTES);
  const starts = Array.from(
    { length: SAMPLES },
    (_, k) => data_start + Math.floor((span * k) / (SAMPLES - 1)),
  );
  return [...new Set(starts)];
}
