// Before vitest runs anything: the Deno that tests run programs in.
import { installDeno } from "./steps.mjs";

export function setup() {
  installDeno();
}
