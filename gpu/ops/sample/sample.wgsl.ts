import { DRAWN, LIKELY, LOGPROBS, SAVED } from "../../layout/results.ts";
import { ADJUSTMENT, SAMPLE as SAMPLE_RECORD } from "../../layout/sample.ts";

/**
 * One workgroup a sequence draws its token, as `SampleParams` says. No sorting: thresholds of top-k and top-p are found
 * by bisection over the logits' bits, whose order as whole numbers is the logits' order. The one random number comes
 * from the host (it depends on seed and draw alone).
 */
export const SAMPLE = /* wgsl */ `
//: include step
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<storage, read_write> results: array<u32>;
//: include reduce
//: include reduce_u32
//: include exp

const LOWEST: f32 = -3.4028234e38;

${SAMPLE_RECORD.accessors({ name: "sample", array: "batch", base: "step.samples_at" })}
${ADJUSTMENT.accessors({ name: "adjustment", array: "batch" })}
${DRAWN.accessors({ name: "drawn", array: "results", writable: true })}
${LOGPROBS.accessors({ name: "logprobs", array: "results", writable: true })}
${LIKELY.accessors({ name: "likely", array: "results", writable: true })}
${SAVED.accessors({ name: "saved", array: "results", writable: true })}

// Whole numbers in the order of floats; both zeros are one.
fn key_of(value: f32) -> u32 {
  let bits = bitcast<u32>(value + 0.0);
  if (bits == 0x80000000u) { return 0x80000000u; }
  return select(bits ^ 0x80000000u, ~bits, bits >= 0x80000000u);
}
fn value_of(key: u32) -> f32 { return bitcast<f32>(select(~key, key ^ 0x80000000u, key >= 0x80000000u)); }

fn weight_of(value: f32, highest: f32, factor: f32) -> f32 { return exp_exact((value - highest) * factor); }

var<workgroup> masses: array<f32, WG>;
var<workgroup> ties: array<u32, WG>;
var<workgroup> drawn: u32;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let group = id.x;
  let base = sample_row(group) * op.stride;
  let drawn_at = sample_drawn_at(group);
  let logprobs_at = drawn_at + DRAWN_STRIDE;
  if (refuse_non_finite(thread, base, sample_flag_at(group))) { return; }
  let n_top = sample_n_top(group);
  if (n_top != NONE) { report_likeliest(thread, base, n_top, logprobs_at); }
  adjust(thread, group, base);
  let token = draw(thread, group, base);
  restore(thread, group, base);
  if (thread == 0u) {
    results[sample_slot(group)] = token;
    set_drawn_token(drawn_at, token);
    if (n_top != NONE) { set_logprobs_logit(logprobs_at, logits[base + token]); }
  }
}

fn refuse_non_finite(thread: u32, base: u32, flag: u32) -> bool {
  var bad = 0u;
  for (var i = thread; i < op.d_vocab; i += WG) {
    if ((bitcast<u32>(logits[base + i]) & 0x7f800000u) == 0x7f800000u) { bad = 1u; }
  }
  if (workgroup_max_u32(thread, bad) == 0u) { return false; }
  if (thread == 0u && results[flag] == 0u) { results[flag] = NON_FINITE_LOGITS; }
  return true;
}

// The highest logit, the sum of exponentials against it, and the likeliest ids with their logits.
fn report_likeliest(thread: u32, base: u32, n_top: u32, at: u32) {
  var top = LOWEST;
  for (var i = thread; i < op.d_vocab; i += WG) { top = max(top, logits[base + i]); }
  top = workgroup_max(thread, top);
  var sum = 0.0;
  for (var i = thread; i < op.d_vocab; i += WG) { sum += exp_exact(logits[base + i] - top); }
  sum = workgroup_sum(thread, sum);
  if (thread == 0u) {
    set_logprobs_highest(at, top);
    set_logprobs_sum(at, sum);
  }
  var last_key = 0xffffffffu;
  var last_id = 0u;
  for (var n = 0u; n < min(n_top, op.d_vocab); n++) {
    var best = 0u;
    for (var i = thread; i < op.d_vocab; i += WG) {
      let key = key_of(logits[base + i]);
      if (key < last_key || (key == last_key && i > last_id)) { best = max(best, key); }
    }
    best = workgroup_max_u32(thread, best);
    var found = 0xffffffffu;
    for (var i = thread; i < op.d_vocab; i += WG) {
      if (key_of(logits[base + i]) == best && (best < last_key || i > last_id)) { found = min(found, i); }
    }
    last_id = workgroup_min_u32(thread, found);
    last_key = best;
    if (thread == 0u) {
      let likely = at + LOGPROBS_STRIDE + LIKELY_STRIDE * n;
      set_likely_id(likely, last_id);
      set_likely_logit(likely, logits[base + last_id]);
    }
  }
}

fn penalised(value: f32, group: u32, count: u32) -> f32 {
  let repetition = sample_repetition_penalty(group);
  var shaped = select(value * repetition, value / repetition, value > 0.0);
  if (count > 0u) { shaped -= f32(count) * sample_frequency_penalty(group) + sample_presence_penalty(group); }
  return shaped;
}

// Penalties and biases, in place; the logits from before are saved in the results. The token that the step before drew
// is one more of the reply.
fn adjust(thread: u32, group: u32, base: u32) {
  let first = sample_adjustments_at(group);
  let count = sample_n_adjustments(group);
  let saved = sample_saved_at(group);
  let slot = sample_followed_slot(group);
  var followed = NONE;
  if (slot != NONE) { followed = results[slot]; }
  for (var i = thread; i < count; i += WG) {
    let at = first + ADJUSTMENT_STRIDE * i;
    let id = adjustment_id(at);
    let value = logits[base + id];
    results[saved + SAVED_STRIDE + i] = bitcast<u32>(value);
    let extra = select(0u, 1u, id == followed);
    var shaped = value;
    if (adjustment_appeared(at) || extra > 0u) { shaped = penalised(value, group, adjustment_count(at) + extra); }
    logits[base + id] = shaped + adjustment_bias(at);
  }
  if (thread == 0u && followed != NONE) {
    var known = false;
    for (var i = 0u; i < count; i++) { known = known || adjustment_id(first + ADJUSTMENT_STRIDE * i) == followed; }
    set_saved_followed(saved, select(followed, NONE, known));
    if (!known) {
      set_saved_logit(saved, logits[base + followed]);
      logits[base + followed] = penalised(logits[base + followed], group, 1u);
    }
  }
  storageBarrier();
}

fn restore(thread: u32, group: u32, base: u32) {
  storageBarrier();
  let first = sample_adjustments_at(group);
  let count = sample_n_adjustments(group);
  let saved = sample_saved_at(group);
  for (var i = thread; i < count; i += WG) {
    let id = adjustment_id(first + ADJUSTMENT_STRIDE * i);
    logits[base + id] = bitcast<f32>(results[saved + SAVED_STRIDE + i]);
  }
  if (thread == 0u && sample_followed_slot(group) != NONE && saved_followed(saved) != NONE) {
    logits[base + saved_followed(saved)] = saved_logit(saved);
  }
  storageBarrier();
}

fn draw(thread: u32, group: u32, base: u32) -> u32 {
  var top = 0u;
  for (var i = thread; i < op.d_vocab; i += WG) { top = max(top, key_of(logits[base + i])); }
  top = workgroup_max_u32(thread, top);
  let factor = sample_inverse_temperature(group);
  if (factor == 0.0) {
    var first = 0xffffffffu;
    for (var i = thread; i < op.d_vocab; i += WG) {
      if (key_of(logits[base + i]) == top) { first = min(first, i); }
    }
    return workgroup_min_u32(thread, first);
  }
  let highest = value_of(top);
  // Kept so far: keys above \`least\`, and of those equal to it the first \`n_least\`.
  var least = 0u;
  var n_least = 0xffffffffu;
  let top_k = sample_top_k(group);
  if (top_k > 0u && top_k < op.d_vocab) {
    least = kth_key(thread, base, top, top_k);
    n_least = top_k - count_from(thread, base, least + 1u);
  }
  let top_p = sample_top_p(group);
  if (top_p < 1.0) {
    var mass = mass_from(thread, base, least + 1u, highest, factor);
    if (top_k > 0u && top_k < op.d_vocab) { mass += f32(n_least) * weight_of(value_of(least), highest, factor); }
    let wanted = top_p * mass;
    let edge = nucleus_key(thread, base, least, top, wanted, highest, factor);
    let inside = mass_from(thread, base, edge + 1u, highest, factor);
    let weight = weight_of(value_of(edge), highest, factor);
    var n_edge = 1u;
    if (weight > 0.0) { n_edge = u32(clamp(ceil((wanted - inside) / weight), 1.0, f32(op.d_vocab))); }
    n_least = select(n_edge, min(n_edge, n_least), edge == least);
    least = edge;
  }
  return pick(thread, base, least, n_least, highest, factor, sample_min_p(group), sample_random(group));
}

// The largest key that top_k logits reach.
fn kth_key(thread: u32, base: u32, top: u32, top_k: u32) -> u32 {
  var low = 0u;
  var high = top;
  while (low < high) {
    let middle = low + (high - low + 1u) / 2u;
    if (count_from(thread, base, middle) >= top_k) { low = middle; } else { high = middle - 1u; }
  }
  return low;
}

// The largest key down to which the mass reaches what is wanted.
fn nucleus_key(thread: u32, base: u32, least: u32, top: u32, wanted: f32, highest: f32, factor: f32) -> u32 {
  var low = least;
  var high = top;
  while (low < high) {
    let middle = low + (high - low + 1u) / 2u;
    if (mass_from(thread, base, middle, highest, factor) >= wanted) { low = middle; } else { high = middle - 1u; }
  }
  return low;
}

fn count_from(thread: u32, base: u32, key: u32) -> u32 {
  var count = 0.0;
  for (var i = thread; i < op.d_vocab; i += WG) {
    if (key_of(logits[base + i]) >= key) { count += 1.0; }
  }
  return u32(workgroup_sum(thread, count));
}

fn mass_from(thread: u32, base: u32, key: u32, highest: f32, factor: f32) -> f32 {
  var mass = 0.0;
  for (var i = thread; i < op.d_vocab; i += WG) {
    let value = logits[base + i];
    if (key_of(value) >= key) { mass += weight_of(value, highest, factor); }
  }
  return workgroup_sum(thread, mass);
}

// Draws among what is kept, ids in order, a chunk of neighbours a thread.
fn pick(thread: u32, base: u32, least: u32, n_least: u32, highest: f32, factor: f32, min_p: f32, random: f32) -> u32 {
  let chunk = (op.d_vocab + WG - 1u) / WG;
  let start = min(chunk * thread, op.d_vocab);
  let end = min(start + chunk, op.d_vocab);
  var count = 0u;
  for (var i = start; i < end; i++) {
    if (key_of(logits[base + i]) == least) { count++; }
  }
  ties[thread] = count;
  workgroupBarrier();
  var ties_before = 0u;
  for (var t = 0u; t < thread; t++) { ties_before += ties[t]; }
  masses[thread] = walk(base, start, end, least, n_least, ties_before, highest, factor, min_p, -1.0).mass;
  if (thread == 0u) { drawn = 0u; }
  workgroupBarrier();
  var total = 0.0;
  var before = 0.0;
  for (var t = 0u; t < WG; t++) {
    if (t == thread) { before = total; }
    total += masses[t];
  }
  let goal = min(random * total, total * 0.99999994);
  if (masses[thread] > 0.0 && goal >= before && (goal < before + masses[thread])) {
    drawn = walk(base, start, end, least, n_least, ties_before, highest, factor, min_p, goal - before).id;
  }
  return workgroupUniformLoad(&drawn);
}

struct Walked { id: u32, mass: f32 }

// The mass kept of a chunk, and the id where it first passes the goal (the last one kept, should rounding miss it).
fn walk(base: u32, start: u32, end: u32, least: u32, n_least: u32, ties_before: u32, highest: f32, factor: f32, min_p: f32, goal: f32) -> Walked {
  var walked = Walked(0u, 0.0);
  var seen = ties_before;
  for (var i = start; i < end; i++) {
    let value = logits[base + i];
    let key = key_of(value);
    var kept = key > least;
    if (key == least) {
      kept = seen < n_least;
      seen++;
    }
    let weight = weight_of(value, highest, factor);
    if (!kept || weight <= 0.0 || weight < min_p) { continue; }
    walked.mass += weight;
    walked.id = i;
    if (goal >= 0.0 && walked.mass > goal) { break; }
  }
  return walked;
}
`;
