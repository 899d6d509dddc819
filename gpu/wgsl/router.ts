import { ROUTE } from "../layout/results.ts";

/**
 * The experts of a normed row in `values`: each one's `ROUTE` goes to the results, where the expert kernels read it.
 * A softmax over all experts, then the TOP_K largest (the lower one first on a tie).
 */
export const ROUTER = /* wgsl */ `
${ROUTE.accessors({ name: "route", array: "results", base: "step.routes_at", writable: true })}
const AT_ONCE: u32 = 8u;
var<workgroup> expert_sums: array<f32, WG * AT_ONCE>;
var<workgroup> shares: array<f32, N_EXPERTS>;
var<workgroup> chosen: array<u32, TOP_K>;

fn route(thread: u32, row: u32) {
  for (var first = 0u; first < N_EXPERTS; first += AT_ONCE) {
    for (var n = 0u; n < AT_ONCE; n++) {
      let expert = min(first + n, N_EXPERTS - 1u);
      var sum = 0.0;
      for (var e = 0u; e < E; e++) {
        let i = thread + WG * e;
        if (i < op.d_model) { sum += values[e] * vectors[op.router_at + expert * op.stride + i]; }
      }
      expert_sums[n * WG + thread] = sum;
    }
    workgroupBarrier();
    for (var half = WG / 2u; half > 0u; half = half / 2u) {
      if (thread < half) {
        for (var n = 0u; n < AT_ONCE; n++) { expert_sums[n * WG + thread] += expert_sums[n * WG + thread + half]; }
      }
      workgroupBarrier();
    }
    if (thread < AT_ONCE && first + thread < N_EXPERTS) { shares[first + thread] = expert_sums[thread * WG]; }
    workgroupBarrier();
  }
  var top = -3.0e38;
  for (var e = 0u; e < N_EXPERTS; e++) { top = max(top, shares[e]); }
  workgroupBarrier();
  for (var e = thread; e < N_EXPERTS; e += WG) { shares[e] = exp_exact(shares[e] - top); }
  workgroupBarrier();
  for (var e = thread; e < N_EXPERTS; e += WG) {
    var rank = 0u;
    for (var other = 0u; other < N_EXPERTS; other++) {
      if (shares[other] > shares[e] || (shares[other] == shares[e] && other < e)) { rank++; }
    }
    if (rank < TOP_K) { chosen[rank] = e; }
  }
  workgroupBarrier();
  if (thread == 0u) {
    var sum = 0.0;
//: if RENORMALISE
    for (var k = 0u; k < TOP_K; k++) { sum += shares[chosen[k]]; }
//: else
    for (var e = 0u; e < N_EXPERTS; e++) { sum += shares[e]; }
//: end
    for (var k = 0u; k < TOP_K; k++) {
      set_route_expert(TOP_K * row + k, chosen[k]);
      set_route_share(TOP_K * row + k, shares[chosen[k]] / sum);
    }
  }
}
`;
