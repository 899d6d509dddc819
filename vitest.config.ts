import { defineConfig } from "vitest/config";
import folders from "./scripts/folders.json" with { type: "json" };

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    globalSetup: "scripts/test_setup.mjs",
    // biome's rule against focused tests takes our verb `fit` for one, so vitest refuses them.
    allowOnly: false,
    projects: [
      ...Object.keys(folders).map((folder) => ({
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
