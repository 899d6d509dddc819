//! Four bits: 32 columns of a row are whole numbers from 0 to 15 and share a scale and an offset, both halves.
//!
//! A weight is `offset + scale * code`, so a block's part of a product is `scale * sum(code x) + offset * sum(x)`, and the second
//! sum is one number that all rows share.

use half::f16;

use super::int_blocks::{self, BLOCK, IntBlock, SCALED, Scales, WIDE, half_of};
use super::{Format, GROUP, Panels, Plain};
use crate::kernels::rows::Rows;
use crate::simd::F32x4;
use crate::simd_int::{I16x8, I32x4};

/// The largest code.
const MOST: f64 = 15.0;
/// Pairs of columns whose codes share a lane of 16 bits, from its lowest bits up.
const SHARED: usize = 4;
/// Columns of them.
const COLUMNS: usize = 2 * SHARED;

pub struct Q4;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Block {
    /// 256 times a row's scale, and its offset.
    scales: [f16; GROUP],
    offsets: [f16; GROUP],
    /// `[eight columns][row][column of a pair]`: four pairs' codes
    codes: [[[u16; 2]; GROUP]; BLOCK / COLUMNS],
}

// SAFETY: numbers without gaps, any bits of which are values; zeros are codes, scales and offsets of 0.
unsafe impl Plain for Block {}

impl Format for Q4 {
    const NAME: &'static str = "q4";
    const BLOCK: usize = BLOCK;
    type Block = Block;

    fn store(blocks: &mut [Block], row: usize, values: &[f32]) -> Result<(), usize> {
        if let Some(k) = values.iter().position(|value| !value.is_finite()) {
            return Err(k);
        }
        for (block, values) in blocks.iter_mut().zip(values.chunks_exact(BLOCK)) {
            let (least, most) =
                values.iter().fold((values[0], values[0]), |(a, b), x| (a.min(*x), b.max(*x)));
            let size = half_of(f64::from(SCALED) * f64::from(least.abs()));
            let kept = if least < 0.0 { -size } else { size };
            let offset = kept.to_f32() / SCALED;
            let scale = half_of(f64::from(SCALED) * f64::from((most - offset).max(0.0)) / MOST);
            (block.scales[row], block.offsets[row]) = (scale, kept);
            let step = scale.to_f64() / f64::from(SCALED);
            for (codes, values) in block.codes.iter_mut().zip(values.chunks_exact(COLUMNS)) {
                codes[row] = [0, 1].map(|column| {
                    let codes = values.iter().skip(column).step_by(2).map(|value| code(value - offset, step));
                    codes.enumerate().map(|(pair, code)| code << (4 * pair)).sum()
                });
            }
        }
        Ok(())
    }

    fn load(blocks: &[Block], row: usize, out: &mut [f32]) {
        for (block, out) in blocks.iter().zip(out.chunks_mut(BLOCK)) {
            let (scale, offset) = (block.scales[row].to_f32() / SCALED, block.offsets[row].to_f32() / SCALED);
            for (column, out) in out.iter_mut().enumerate() {
                let codes = block.codes[column / COLUMNS][row][column % 2];
                let code = codes >> (4 * (column % COLUMNS / 2)) & 15;
                *out = offset + f32::from(code) * scale;
            }
        }
    }

    fn scratch(count: usize, cols: usize) -> usize {
        int_blocks::scratch(count, cols)
    }

    fn multiply(out: &mut Rows, x: &Rows, weights: &Panels<Self>, scratch: &mut [f32]) {
        int_blocks::multiply(out, x, &weights.blocks, scratch);
    }
}

/// The nearest whole number of steps, ties to even.
fn code(above: f32, step: f64) -> u16 {
    if step == 0.0 { 0 } else { (f64::from(above) / step).round_ties_even().clamp(0.0, MOST) as u16 }
}

/// The codes of four pairs, each in 16 bits.
#[inline(always)]
fn pairs(codes: I16x8) -> [I16x8; SHARED] {
    let high = codes.shift_right(8);
    let low = I16x8::splat(15);
    [codes.and(low), codes.shift_right(4).and(low), high.and(low), codes.shift_right(12)]
}

impl IntBlock for Block {
    #[inline(always)]
    unsafe fn products(block: *const Self, x: *const i16) -> [I32x4; 4] {
        let (low, high) = (I16x8::splat(0x0f), I16x8::splat(0xf0));
        let (mut sums, mut sums_16) = ([I32x4::ZERO; 4], [I32x4::ZERO; 4]);
        // SAFETY: as the caller promises, of 256 bytes of codes and 32 activations.
        unsafe {
            let codes = (&raw const (*block).codes).cast::<i16>();
            for part in 0..BLOCK / COLUMNS {
                let x: [I16x8; SHARED] =
                    core::array::from_fn(|pair| I16x8::load_pair_splat(x.add(COLUMNS * part + 2 * pair)));
                for i in 0..4 {
                    let codes = I16x8::load(codes.add(2 * GROUP * part + 8 * i));
                    let upper = codes.shift_right(8);
                    sums[i] = sums[i].add(codes.and(low).dot(x[0])).add(upper.and(low).dot(x[2]));
                    sums_16[i] = sums_16[i].add(codes.and(high).dot(x[1])).add(upper.and(high).dot(x[3]));
                }
            }
        }
        core::array::from_fn(|i| sums[i].add(sums_16[i].shift_right(4)))
    }

    #[inline(always)]
    fn widen(&self, panel: &mut [i16; WIDE]) {
        let codes = self.codes.as_flattened().as_flattened();
        for (part, codes) in codes.chunks_exact(2 * GROUP).enumerate() {
            for (i, codes) in codes.chunks_exact(8).enumerate() {
                // SAFETY: eight numbers each.
                unsafe {
                    for (pair, codes) in pairs(I16x8::load(codes.as_ptr().cast())).into_iter().enumerate() {
                        codes.store(panel[2 * GROUP * (SHARED * part + pair) + 8 * i..][..8].as_mut_ptr());
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn add_scaled(&self, i: usize, out: F32x4, sums: I32x4, x: &Scales) -> F32x4 {
        // SAFETY: four of 16 halves each, for i from 0 to 3.
        let [scales, offsets] = [&self.scales, &self.offsets]
            .map(|halves| unsafe { F32x4::load_f16(halves.as_ptr().cast::<u16>().add(4 * i)) });
        out.add(sums.to_f32().mul(scales.mul(x.unit))).add(offsets.mul(x.total))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FileDtype, Matrix};
    use super::*;
    use crate::testing::{bytes, random};

    fn stored(values: &[f32]) -> Vec<f32> {
        let mut matrix = Panels::<Q4>::new(1, values.len()).unwrap();
        matrix.write_rows(0, &bytes(values), FileDtype::F32).unwrap();
        let mut out = vec![1.0; values.len()];
        matrix.read_row(0, &mut out);
        out
    }

    #[test]
    fn codes_are_the_nearest_between_the_least_and_the_largest() {
        let mut values = random(1, 128);
        (values[3], values[70]) = (-4.0, 1e-9);
        for (block, got) in values.chunks(32).zip(stored(&values).chunks(32)) {
            let least = block.iter().copied().fold(f32::INFINITY, f32::min);
            let range = block.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least;
            let rounding = (range + least.abs()) * 2f32.powi(-11);
            for (x, got) in block.iter().zip(got) {
                assert!((x - got).abs() <= range / 15.0 * 0.5001 + rounding, "{x} {got}");
            }
        }
    }

    #[test]
    fn sixteen_values_at_even_distances_come_back_as_they_are() {
        for offset in [-0.5, 0.0, 3.0] {
            let values: Vec<f32> = (0..64).map(|i| offset + 0.125 * (i * 7 % 16) as f32).collect();
            assert_eq!(stored(&values), values);
        }
        assert_eq!(stored(&[0.375; 32]), [0.375; 32]);
        // Behind the last column come zeros.
        assert_eq!(stored(&[30.0, 2.0, 0.0]), [30.0, 2.0, 0.0]);
        assert!(stored(&[1e-9; 40]).iter().all(|x| *x == 0.0));
    }
}
