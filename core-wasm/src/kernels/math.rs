//! exp in f32 to about one unit in the last place, four at once.

use crate::simd::F32x4;

/// Below this e^x is taken as e^this (about 1.2e-38), above it as e^this (about 1.7e38): both stay normal.
const LOWEST: f32 = -87.3;
const HIGHEST: f32 = 88.0;

const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two parts: products of the first with whole numbers up to 2^9 are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// e^x = 2^n e^r with |r| <= ln 2 / 2; e^r by the minimax polynomial of Cephes' expf. NaN stays NaN.
#[inline(always)]
pub fn exp(x: F32x4) -> F32x4 {
    let x = x.max(F32x4::splat(LOWEST)).min(F32x4::splat(HIGHEST));
    let n = x.mul(F32x4::splat(LOG2_E)).round();
    let r = x.sub(n.mul(F32x4::splat(LN2_HIGH))).sub(n.mul(F32x4::splat(LN2_LOW)));
    let mut p = F32x4::splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul(r).add(F32x4::splat(c));
    }
    let e = p.mul(r).mul(r).add(r).add(F32x4::splat(1.0));
    e.mul(n.exp2_whole())
}

/// Applies `f` to whole vectors of four of `values`, the last filled up with zeros.
#[inline(always)]
pub fn map4(values: &mut [f32], f: impl Fn(F32x4) -> F32x4) {
    let mut chunks = values.chunks_exact_mut(4);
    for chunk in &mut chunks {
        // SAFETY: a chunk is four floats.
        unsafe { f(F32x4::load(chunk.as_ptr())).store(chunk.as_mut_ptr()) }
    }
    let rest = chunks.into_remainder();
    let mut last = [0.0; 4];
    last[..rest.len()].copy_from_slice(rest);
    // SAFETY: `last` is four floats.
    let done = f(unsafe { F32x4::load(last.as_ptr()) }).lanes();
    rest.copy_from_slice(&done[..rest.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp_one(x: f32) -> f32 {
        exp(F32x4::splat(x)).lanes()[0]
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        for step in 0..1_000_000 {
            let x = -87.0 + 175.0 * step as f32 / 1e6;
            let want = f64::from(x).exp();
            worst = worst.max((f64::from(exp_one(x)) - want).abs() / want);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON) / 2.0, "{worst}");
        assert_eq!(exp_one(0.0), 1.0);
        assert!(exp_one(f32::NAN).is_nan());
        assert!(exp_one(f32::NEG_INFINITY) < 1.3e-38);
        assert!(exp_one(f32::INFINITY).is_finite());
    }
}
