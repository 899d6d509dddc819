import { defineConfig } from "vitest/config";

const rooms = ["models", "core-wasm", "gpu", "sdk", "edge-worker", "conformance", "bin"];

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    globalSetup: "scripts/test_setup.mjs",
    // biome's rule against focused tests takes our verb `fit` for one, so vitest refuses them.
    allowOnly: false,
    projects: [
      { extends: true, test: { name: "house", include: ["house.test.ts"] } },
      ...rooms.map((room) => ({
        extends: true as const,
        test: {
          name: room,
          include: [`${room}/**/*.test.ts`],
          exclude: ["**/node_modules/**", "**/target/**"],
        },
      })),
    ],
  },
});
