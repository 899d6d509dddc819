import { faultsOf, type Mutant } from "../mutants.ts";

/** The server. */
export const EDGE: readonly Mutant[] = [
  ...faultsOf("edge-worker/app.ts", "edge-worker/policy/policy.test.ts", [
    [
      "every host is served",
      "!is_loopback || !is_open || isLoopback(host)",
      "!is_loopback || !is_open || host",
    ],
  ]),
  ...faultsOf("edge-worker/app.ts", "edge-worker/errors.test.ts", [
    ["a path's methods are not said", "if (allow.length > 0) {", "if (allow.length > 9) {"],
  ]),
  ...faultsOf("edge-worker/policy/hosts.ts", "edge-worker/policy/policy.test.ts", [
    ["hosts that begin like loopback's", "\\.\\d{1,3}){3}$/", "\\.\\d{1,3}){3}/"],
  ]),
  ...faultsOf("edge-worker/policy/drift.ts", "edge-worker/policy/drift.test.ts", [
    ["drift is read under a cap", "siteId(spec, hook.site) < own", "siteId(spec, hook.site) < 0"],
  ]),
  ...faultsOf("edge-worker/routes/call.ts", "edge-worker/policy/prefix_cache.test.ts", [
    ["a key finds what others asked", 'prefix_cache === "by_key" ?', 'prefix_cache === "" ?'],
  ]),
  ...faultsOf("edge-worker/routes/prompt_logprobs.ts", "edge-worker/routes/completions.test.ts", [
    ["a token is scored by the logits behind it", "tokens[start + i + 1]!", "tokens[start + i]!"],
  ]),
  ...faultsOf("edge-worker/routes/health.ts", "edge-worker/service/service.test.ts", [
    ["what is waited for is not begun", "keepAlive(c, service.load());", ""],
  ]),
  ...faultsOf("edge-worker/service/served_model.ts", "edge-worker/policy/policy.test.ts", [
    ["a cap of another model is served", "any_model !== true", "any_model === null"],
  ]),
];
