//! exp in f32 to about one unit in the last place, tanh and erf to a few, four at once.

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
    let (less_one, power) = reduced(x);
    less_one.add(F32x4::splat(1.0)).mul(power)
}

/// tanh x = t / (t + 2) with t = e^2x - 1, which keeps its digits near 0: 2^n (e^r - 1) + (2^n - 1).
#[inline(always)]
pub fn tanh(x: F32x4) -> F32x4 {
    let (less_one, power) = reduced(x.add(x));
    let t = less_one.mul(power).add(power.sub(F32x4::splat(1.0)));
    t.div(t.add(F32x4::splat(2.0)))
}

/// Beyond this erf is 1 in f32.
const ERF_END: f32 = 3.92;
/// erf x = x P(x^2) / Q(x^2) up to ERF_END to 5e-8: least squares on Chebyshev nodes, reweighted to even the error.
const ERF_P: [f32; 7] = [
    1.992_417_8e-8,
    -1.957_810_3e-6,
    1.418_462_7e-4,
    3.701_458e-3,
    5.057_287_6e-2,
    1.999_211_3e-1,
    core::f32::consts::FRAC_2_SQRT_PI,
];
const ERF_Q: [f32; 5] = [9.560_003e-4, 1.435_290_8e-2, 1.149_970_1e-1, 5.105_071_4e-1, 1.0];

/// 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.
#[inline(always)]
pub fn erf(x: F32x4) -> F32x4 {
    let x = x.max(F32x4::splat(-ERF_END)).min(F32x4::splat(ERF_END));
    let square = x.mul(x);
    x.mul(polynomial(square, &ERF_P)).div(polynomial(square, &ERF_Q))
}

#[inline(always)]
fn polynomial(x: F32x4, coefficients: &[f32]) -> F32x4 {
    let first = F32x4::splat(coefficients[0]);
    coefficients[1..].iter().fold(first, |sum, &c| sum.mul(x).add(F32x4::splat(c)))
}

/// e^r - 1 and 2^n of e^x = 2^n e^r.
#[inline(always)]
fn reduced(x: F32x4) -> (F32x4, F32x4) {
    let x = x.max(F32x4::splat(LOWEST)).min(F32x4::splat(HIGHEST));
    let n = x.mul(F32x4::splat(LOG2_E)).round();
    let r = x.sub(n.mul(F32x4::splat(LN2_HIGH))).sub(n.mul(F32x4::splat(LN2_LOW)));
    let p =
        polynomial(r, &[1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    (p.mul(r).mul(r).add(r), n.exp2_whole())
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

    /// The largest error of `f` on [-10, 10], relative to `truth`.
    fn worst(f: impl Fn(F32x4) -> F32x4, truth: impl Fn(f64) -> f64) -> f64 {
        let at = |step: i32| step as f32 / 20_000.0;
        let error = |x: f32| (f64::from(f(F32x4::splat(x)).lanes()[0]) / truth(f64::from(x)) - 1.0).abs();
        (1..200_000).flat_map(|step| [at(step), at(-step), at(step) * 1e-6]).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn tanh_and_erf_are_within_a_few_units_in_the_last_place() {
        let (tanh_error, erf_error) = (worst(tanh, f64::tanh), worst(erf, crate::testing::erf));
        assert!(tanh_error < 3e-7 && erf_error < 5e-7, "{tanh_error} {erf_error}");
        for f in [tanh, erf] {
            assert_eq!(f(F32x4::splat(0.0)).lanes()[0], 0.0);
            assert!(f(F32x4::splat(f32::NAN)).lanes()[0].is_nan());
        }
    }
}
