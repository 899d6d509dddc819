/** Sums and maxima over a workgroup of WG threads (a power of two); every thread gets the result. */
export const REDUCE = /* wgsl */ `
var<workgroup> reduced: array<f32, WG>;

fn workgroup_sum(thread: u32, value: f32) -> f32 {
  reduced[thread] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half = half / 2u) {
    if (thread < half) { reduced[thread] += reduced[thread + half]; }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&reduced[0]);
}

fn workgroup_max(thread: u32, value: f32) -> f32 {
  reduced[thread] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half = half / 2u) {
    if (thread < half) { reduced[thread] = max(reduced[thread], reduced[thread + half]); }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&reduced[0]);
}
`;

/** Maxima and minima of whole numbers over a workgroup. */
export const REDUCE_U32 = /* wgsl */ `
var<workgroup> reduced_u32: array<u32, WG>;

fn workgroup_max_u32(thread: u32, value: u32) -> u32 {
  reduced_u32[thread] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half = half / 2u) {
    if (thread < half) { reduced_u32[thread] = max(reduced_u32[thread], reduced_u32[thread + half]); }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&reduced_u32[0]);
}

fn workgroup_min_u32(thread: u32, value: u32) -> u32 { return ~workgroup_max_u32(thread, ~value); }
`;
