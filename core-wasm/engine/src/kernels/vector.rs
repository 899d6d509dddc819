//! Sums and products of single rows. Sums run in lanes of f32 in a fixed order, for one block; blocks are added in f64.

use crate::simd::{F32x4, F64x2};

/// Elements that `dot` sums in f32, sixteen to each of its sixteen lanes.
const BLOCK: usize = 256;

/// sum_i a[i] b[i]
#[inline(never)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert!(a.len() == b.len());
    let whole = a.len() / 16 * 16;
    let mut total = Wide::default();
    for start in (0..whole).step_by(BLOCK) {
        let mut sums = [F32x4::splat(0.0); 4];
        for at in (start..whole.min(start + BLOCK)).step_by(16) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let at = at + 4 * lane;
                // SAFETY: at + 4 <= whole, which is within both.
                unsafe {
                    let product = F32x4::load(a.as_ptr().add(at)).mul(F32x4::load(b.as_ptr().add(at)));
                    *sum = sum.add(product);
                }
            }
        }
        for sum in sums {
            total.add(sum);
        }
    }
    let rest: f64 = a[whole..].iter().zip(&b[whole..]).map(|(a, b)| f64::from(a * b)).sum();
    (total.sum() + rest) as f32
}

/// A sum in f64 of vectors of f32.
pub struct Wide([F64x2; 2]);

impl Default for Wide {
    #[inline(always)]
    fn default() -> Self {
        Self([F64x2::splat(0.0); 2])
    }
}

impl Wide {
    #[inline(always)]
    pub fn add(&mut self, values: F32x4) {
        let [low, high] = values.widen();
        self.0 = [self.0[0].add(low), self.0[1].add(high)];
    }

    /// Of all lanes.
    #[inline(always)]
    pub fn sum(self) -> f64 {
        let [a, b] = self.0[0].add(self.0[1]).lanes();
        a + b
    }
}

/// a += b
#[inline(never)]
pub fn add(a: &mut [f32], b: &[f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
}

/// a += factor b
#[inline(never)]
pub fn add_scaled(a: &mut [f32], factor: f32, b: &[f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

/// a *= factor
#[inline(never)]
pub fn scale(a: &mut [f32], factor: f32) {
    for a in a {
        *a *= factor;
    }
}

/// Whether no element is NaN or infinite.
#[inline(never)]
pub fn all_finite(a: &[f32]) -> bool {
    // x * 0 is 0 for what is finite and NaN otherwise, and NaN stays in a sum.
    dot_with_zero(a) == 0.0
}

fn dot_with_zero(a: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 4];
    let chunks = a.chunks_exact(4);
    let rest: f32 = chunks.remainder().iter().map(|x| x * 0.0).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x * 0.0;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn dot_is_right_at_every_length() {
        for n in 0..70 {
            let (a, b) = (random(1, n), random(2, n));
            let want: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - want).abs() < 1e-5);
        }
    }

    #[test]
    fn a_long_dot_is_as_near_to_f64_as_a_short_one() {
        for n in [256, 4096, 65536] {
            let a: Vec<f32> = random(1, n).iter().map(|x| x.abs()).collect();
            let want: f64 = a.iter().map(|a| f64::from(*a) * f64::from(*a)).sum();
            let error = (f64::from(dot(&a, &a)) / want - 1.0).abs();
            assert!(error < 1e-7, "{n}: {error:e}");
        }
    }

    #[test]
    fn one_bad_element_anywhere_is_found() {
        for n in 1..20 {
            assert!(all_finite(&vec![f32::MAX; n]));
            for at in 0..n {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut a = vec![1.0; n];
                    a[at] = bad;
                    assert!(!all_finite(&a));
                }
            }
        }
    }
}
