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

pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}
