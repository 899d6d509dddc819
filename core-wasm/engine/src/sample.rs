//! Drawing a token from logits, as `SampleParams` of `models/device.ts` says: penalties and bias, temperature,
//! top-k, top-p, min-p, then one uniform number.

use core::cmp::Ordering;
use std::collections::HashMap;

use crate::codes::SampleNumbers;
use crate::error::{Result, bad_request};
use crate::kernels::math::{exp, map4};
use crate::packed::PackedReader;
use crate::random::uniform;
use crate::simd::F32x4;

pub struct SampleParams {
    numbers: SampleNumbers,
    seed: [u32; 2],
    history: Vec<u32>,
    bias: Vec<(usize, f32)>,
}

impl SampleParams {
    /// Packed: the numbers, the seed, counts of history and bias; then both, bias as (id, value).
    pub fn read(packed: &mut PackedReader, d_vocab: usize) -> Result<Self> {
        let mut params = Self {
            numbers: SampleNumbers::read(packed)?,
            seed: [packed.u32()?, packed.u32()?],
            history: Vec::new(),
            bias: Vec::new(),
        };
        let (n_history, n_bias) = (packed.size()?, packed.size()?);
        params.history = packed.u32s(n_history)?;
        params.bias = packed.list(n_bias, |packed| Ok((packed.size()?, packed.f32()?)))?;
        let known = |id: usize| id < d_vocab;
        if !params.history.iter().all(|&id| known(id as usize))
            || !params.bias.iter().all(|&(id, _)| known(id))
        {
            return bad_request(format!("history and logit_bias of ids below {d_vocab}, found one beyond"));
        }
        Ok(params)
    }

    pub fn wants_logprobs(&self) -> bool {
        self.numbers.top_logprobs >= 0
    }
}

/// Log-probabilities under the model's own distribution.
pub struct Logprobs {
    pub token: f64,
    pub top: Vec<(u32, f64)>,
}

/// Draws from `logits`, which are finite; `scratch` holds as many floats.
pub fn sample(logits: &[f32], params: &SampleParams, scratch: &mut Vec<f32>) -> u32 {
    scratch.clear();
    scratch.extend_from_slice(logits);
    penalize(scratch, params);
    let best = argmax(scratch);
    let highest = scratch[best];
    let SampleNumbers { temperature, top_k, top_p, min_p, draw: n_draw, .. } = params.numbers;
    if temperature == 0.0 || !highest.is_finite() {
        return best as u32;
    }
    weigh(scratch, highest, temperature);
    let floor = min_p as f32;
    let target = uniform(params.seed, n_draw);
    if top_k == 0 && top_p >= 1.0 {
        return draw(scratch.iter().enumerate().map(|(id, &weight)| (id as u32, weight)), floor, target);
    }
    let kept = nucleus(scratch, top_k as usize, top_p);
    draw(kept.iter().copied(), floor, target)
}

fn penalize(logits: &mut [f32], params: &SampleParams) {
    let SampleNumbers { repetition_penalty, frequency_penalty, presence_penalty, n_prompt, .. } =
        params.numbers;
    // Per id: whether it is known to have appeared at all, and how often in the reply.
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for (index, &id) in params.history.iter().enumerate() {
        *counts.entry(id).or_default() += u32::from(index >= n_prompt as usize);
    }
    for (id, in_reply) in counts {
        let logit = &mut logits[id as usize];
        let mut value = f64::from(*logit);
        value = if value > 0.0 { value / repetition_penalty } else { value * repetition_penalty };
        if in_reply > 0 {
            value -= f64::from(in_reply) * frequency_penalty + presence_penalty;
        }
        *logit = value as f32;
    }
    for &(id, bias) in &params.bias {
        logits[id] += bias;
    }
}

/// The lowest id of the highest logit.
fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    best
}

/// Logits become weights, e^((logit - highest) / temperature): 1 for the likeliest, 0 for the forbidden.
fn weigh(logits: &mut [f32], highest: f32, temperature: f64) {
    // A temperature too near 0 for f32 is greedy all the same: every other weight is 0.
    let inverse = ((1.0 / temperature) as f32).min(f32::MAX);
    let (shift, factor) = (F32x4::splat(highest), F32x4::splat(inverse));
    map4(logits, |logit| {
        exp(logit.sub(shift).mul(factor)).sub(F32x4::splat(LOWEST_WEIGHT)).max(F32x4::splat(0.0))
    });
}

/// What `exp` gives for minus infinity, so that a forbidden token has no weight at all.
const LOWEST_WEIGHT: f32 = 1.3e-38;

/// The tokens that top-k and then top-p keep, likeliest first.
fn nucleus(weights: &[f32], top_k: usize, top_p: f64) -> Vec<(u32, f32)> {
    let limit = if top_k == 0 { weights.len() } else { top_k.min(weights.len()) };
    let mut ranked: Vec<(u32, f32)> = weights.iter().enumerate().map(|(id, &w)| (id as u32, w)).collect();
    if top_p >= 1.0 {
        return likeliest(&mut ranked, limit).to_vec();
    }
    let of_all = |ranked: &[(u32, f32)]| ranked.iter().map(|&(_, w)| f64::from(w)).sum::<f64>();
    let total = if limit < ranked.len() { of_all(likeliest(&mut ranked, limit)) } else { of_all(&ranked) };
    // Few tokens hold most of the mass: rank ever more of them until they reach top_p.
    let mut count = 64.min(limit);
    loop {
        let mut sum = 0.0;
        let best = likeliest(&mut ranked, count);
        for (index, &(_, weight)) in best.iter().enumerate() {
            sum += f64::from(weight);
            if sum >= top_p * total {
                return best[..=index].to_vec();
            }
        }
        if count == limit {
            return best.to_vec();
        }
        count = (count * 8).min(limit);
    }
}

/// Moves the `count` likeliest to the front, in order; of equals the lower id first.
fn likeliest(ranked: &mut [(u32, f32)], count: usize) -> &mut [(u32, f32)] {
    let order = |a: &(u32, f32), b: &(u32, f32)| -> Ordering { b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)) };
    if count < ranked.len() {
        ranked.select_nth_unstable_by(count, order);
    }
    let best = &mut ranked[..count];
    best.sort_unstable_by(order);
    best
}

/// The token at which the running sum of weights (of at least `floor`, where 1 is the likeliest's) passes
/// `target` of the whole.
fn draw(weights: impl Iterator<Item = (u32, f32)> + Clone, floor: f32, target: f64) -> u32 {
    let kept = weights.filter(|&(_, weight)| weight > 0.0 && weight >= floor);
    let total: f64 = kept.clone().map(|(_, weight)| f64::from(weight)).sum();
    let (mut sum, mut last) = (0.0, 0);
    for (id, weight) in kept {
        sum += f64::from(weight);
        last = id;
        if sum > target * total {
            break;
        }
    }
    last
}

/// Of the drawn token and of the likeliest, from the logits as the model gave them.
pub fn logprobs(logits: &[f32], token: u32, params: &SampleParams, scratch: &mut Vec<f32>) -> Logprobs {
    let highest = logits[argmax(logits)];
    scratch.clear();
    scratch.extend_from_slice(logits);
    map4(scratch, |logit| exp(logit.sub(F32x4::splat(highest))));
    let log_sum = scratch.iter().map(|&x| f64::from(x)).sum::<f64>().ln() + f64::from(highest);
    let of = |id: u32| f64::from(logits[id as usize]) - log_sum;
    let count = (params.numbers.top_logprobs.max(0) as usize).min(logits.len());
    let mut ranked: Vec<(u32, f32)> = logits.iter().enumerate().map(|(id, &l)| (id as u32, l)).collect();
    let top = likeliest(&mut ranked, count).iter().map(|&(id, _)| (id, of(id))).collect();
    Logprobs { token: of(token), top }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    /// Draws as the logits are.
    const PLAIN: SampleNumbers = SampleNumbers {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        n_prompt: 0,
        draw: 0,
        top_logprobs: -1,
    };

    fn with(numbers: SampleNumbers) -> SampleParams {
        SampleParams { numbers, seed: [7, 9], history: Vec::new(), bias: Vec::new() }
    }

    fn plain() -> SampleParams {
        with(PLAIN)
    }

    /// How often each id is drawn over draws 0..count.
    fn frequencies(logits: &[f32], mut params: SampleParams, count: u32) -> Vec<f64> {
        let mut drawn = vec![0u32; logits.len()];
        for draw in 0..count {
            params.numbers.draw = draw;
            drawn[sample(logits, &params, &mut Vec::new()) as usize] += 1;
        }
        drawn.into_iter().map(|times| f64::from(times) / f64::from(count)).collect()
    }

    /// The distribution in f64, by sorting everything.
    fn truth(logits: &[f32], params: &SampleParams) -> Vec<f64> {
        let mut ranked: Vec<(usize, f64)> = logits.iter().map(|&l| f64::from(l)).enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let highest = ranked[0].1;
        for (_, value) in &mut ranked {
            *value = ((*value - highest) / params.numbers.temperature).exp();
        }
        ranked.truncate(if params.numbers.top_k == 0 { logits.len() } else { params.numbers.top_k as usize });
        let total: f64 = ranked.iter().map(|(_, w)| w).sum();
        let mut sum = 0.0;
        ranked.retain(|&(_, w)| {
            let keep = sum < params.numbers.top_p * total && w >= params.numbers.min_p;
            sum += w;
            keep
        });
        let total: f64 = ranked.iter().map(|(_, w)| w).sum();
        let mut out = vec![0.0; logits.len()];
        for (id, weight) in ranked {
            out[id] = weight / total;
        }
        out
    }

    #[test]
    fn draws_follow_the_distribution_under_every_restriction() {
        let logits: Vec<f32> = random(5, 90).iter().map(|x| 3.0 * x).collect();
        let cases = [
            plain(),
            with(SampleNumbers { temperature: 0.5, ..PLAIN }),
            with(SampleNumbers { top_k: 5, ..PLAIN }),
            with(SampleNumbers { top_p: 0.6, ..PLAIN }),
            with(SampleNumbers { top_p: 0.97, ..PLAIN }),
            with(SampleNumbers { min_p: 0.3, ..PLAIN }),
            with(SampleNumbers { temperature: 1.7, top_k: 20, top_p: 0.8, min_p: 0.2, ..PLAIN }),
        ];
        for params in cases {
            let want = truth(&logits, &params);
            let got = frequencies(&logits, params, 20_000);
            for (got, want) in got.iter().zip(&want) {
                // Five standard deviations, and four draws where so few are expected that they say nothing.
                let bound = 5.0 * (want * (1.0 - want) / 20_000.0).sqrt() + 2e-4;
                assert!((got - want).abs() < bound && (*want > 0.0 || *got == 0.0), "{got} {want}");
            }
        }
    }

    #[test]
    fn the_same_seed_and_draw_give_the_same_token() {
        let logits = random(5, 1000);
        let draws = |seed: [u32; 2]| -> Vec<u32> {
            let draw = |draw| {
                sample(
                    &logits,
                    &SampleParams { seed, ..with(SampleNumbers { draw, ..PLAIN }) },
                    &mut vec![1.0],
                )
            };
            (0..50).map(draw).collect()
        };
        assert_eq!(draws([1, 0]), draws([1, 0]));
        assert_ne!(draws([1, 0]), draws([2, 0]));
        assert_ne!(draws([1, 0]), draws([1, 1]));
    }

    #[test]
    fn greedy_takes_the_lowest_id_of_a_tie() {
        let greedy = with(SampleNumbers { temperature: 0.0, ..PLAIN });
        assert_eq!(sample(&[0.0, 2.0, 1.0, 2.0], &greedy, &mut Vec::new()), 1);
        let tiny = with(SampleNumbers { temperature: 1e-300, ..PLAIN });
        assert_eq!(sample(&[0.0, 2.0, 1.0], &tiny, &mut Vec::new()), 1);
    }

    #[test]
    fn penalties_and_bias_change_logits_as_documented() {
        let penalized = |params: SampleParams| {
            let mut logits = vec![2.0, -2.0, 1.0, 0.5];
            penalize(&mut logits, &params);
            logits
        };
        let seen = |numbers| SampleParams { history: vec![0, 1, 1, 2, 2], ..with(numbers) };
        let repeated = SampleNumbers { repetition_penalty: 2.0, n_prompt: 3, ..PLAIN };
        assert_eq!(penalized(seen(repeated)), [1.0, -4.0, 0.5, 0.5]);
        let counted = SampleNumbers { frequency_penalty: 0.25, presence_penalty: 1.0, n_prompt: 2, ..PLAIN };
        assert_eq!(penalized(seen(counted)), [2.0, -3.25, -0.5, 0.5]);
        assert_eq!(
            penalized(SampleParams { bias: vec![(3, 4.0), (0, -1.0)], ..plain() }),
            [1.0, -2.0, 1.0, 4.5]
        );
    }

    #[test]
    fn what_is_forbidden_is_never_drawn_and_if_all_is_the_lowest_id_is() {
        let forbidden = |ids: &[usize]| SampleParams {
            bias: ids.iter().map(|&id| (id, f32::NEG_INFINITY)).collect(),
            ..plain()
        };
        assert_eq!(frequencies(&[9.0, 0.0, 9.0], forbidden(&[0, 2]), 100), [0.0, 1.0, 0.0]);
        assert_eq!(frequencies(&[1.0, 9.0], forbidden(&[0, 1]), 10), [1.0, 0.0]);
    }

    #[test]
    fn logprobs_are_the_models_own() {
        let logits = [1.0, 3.0, 2.0, 3.0];
        let params =
            SampleParams { bias: vec![(0, 100.0)], ..with(SampleNumbers { top_logprobs: 3, ..PLAIN }) };
        let got = logprobs(&logits, 0, &params, &mut Vec::new());
        let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        assert!((got.token - (1.0 - sum.ln())).abs() < 1e-6);
        let ids: Vec<u32> = got.top.iter().map(|&(id, _)| id).collect();
        assert_eq!(ids, [1, 3, 2]);
        assert!((got.top[2].1 - (2.0 - sum.ln())).abs() < 1e-6);
    }
}
