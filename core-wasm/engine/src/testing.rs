//! What tests share.

use crate::kernels::rows::Rows;

/// `count` numbers from -1 to 1 that depend on `seed` only.
pub fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn rows(values: &[f32], width: usize) -> Rows {
    let mut rows = Rows::new(width);
    rows.reserve(values.len() / width).unwrap();
    rows.set_count(values.len() / width);
    for (row, line) in values.chunks(width).enumerate() {
        rows.row_mut(row).copy_from_slice(line);
    }
    rows
}

/// erf in f64: all terms of the series have one sign, so none cancel.
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..300 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / core::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}
