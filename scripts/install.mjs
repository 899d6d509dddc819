// The npm packages, where they are missing or older than the lock file: what `deno task` runs first.
import { install } from "./steps.mjs";

install();
