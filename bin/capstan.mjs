#!/usr/bin/env node
// The command `capstan`. In a checkout it first sets up what is missing; an installed package has its dist/.
import { existsSync } from "node:fs";
import module from "node:module";

// Node 22 and later keep the compiled code of modules from one run to the next.
module.enableCompileCache?.();

const steps = new URL("../scripts/steps.mjs", import.meta.url);
if (existsSync(steps)) {
  const { build, install } = await import(steps.href);
  install();
  build();
}
const { main } = await import(new URL("../dist/js/capstan.js", import.meta.url).href);
// Not awaited here: Deno gives up on a module that waits for what never comes before a verb can say what that is.
void main();
