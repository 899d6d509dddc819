import { defineConfig } from "vitest/config";

const folders = [
  "models",
  "core-wasm",
  "gpu",
  "sdk",
  "edge-worker",
  "conformance",
  "bench",
  "testing",
  "bin",
];

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    globalSetup: "scripts/test_setup.mjs",
    // biome's rule against focused tests takes our verb `fit` for one, so vitest refuses them.
    allowOnly: false,
    projects: [
      ...folders.map((folder) => ({
        extends: true as const,
        test: {
          name: folder,
          include: [`${folder}/**/*.test.ts`],
          exclude: ["**/node_modules/**", "**/target/**"],
        },
      })),
    ],
  },
});
