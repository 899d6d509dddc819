#!/usr/bin/env node
// The command `capstan`. In a checkout it first sets up what is missing; an installed package has its dist/.
import { existsSync } from "node:fs";

const steps = new URL("../scripts/steps.mjs", import.meta.url);
if (existsSync(steps)) {
  const { build, install } = await import(steps.href);
  install();
  build();
}
const { main } = await import(new URL("../dist/bin/capstan.js", import.meta.url).href);
await main();
