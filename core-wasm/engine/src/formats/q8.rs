//! Eight bits: 32 columns of a row are whole numbers from -127 to 127 and share a scale, a half.

use half::f16;

use super::int_blocks::{self, BLOCK, IntBlock, PAIRS, SCALED, Scales, WIDE, half_of};
use super::{Format, GROUP, Panels, Plain};
use crate::kernels::rows::Rows;
use crate::simd::F32x4;
use crate::simd_int::{I16x8, I32x4};

/// The largest code.
const MOST: f64 = 127.0;

pub struct Q8;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Block {
    /// 256 times a row's scale.
    scales: [f16; GROUP],
    /// `[pair of columns][row][column of the pair]`
    codes: [[[i8; 2]; GROUP]; PAIRS],
}

// SAFETY: numbers without gaps, any bits of which are values; zeros are codes and scales of 0.
unsafe impl Plain for Block {}

impl Format for Q8 {
    const NAME: &'static str = "q8";
    const BLOCK: usize = BLOCK;
    type Block = Block;

    fn store(blocks: &mut [Block], row: usize, values: &[f32]) -> Result<(), usize> {
        if let Some(k) = values.iter().position(|value| !value.is_finite()) {
            return Err(k);
        }
        for (block, values) in blocks.iter_mut().zip(values.chunks_exact(BLOCK)) {
            let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let scale = half_of(f64::from(SCALED) * f64::from(largest) / MOST);
            block.scales[row] = scale;
            let step = scale.to_f64() / f64::from(SCALED);
            for (pair, values) in block.codes.iter_mut().zip(values.chunks_exact(2)) {
                pair[row] = [code(values[0], step), code(values[1], step)];
            }
        }
        Ok(())
    }

    fn load(blocks: &[Block], row: usize, out: &mut [f32]) {
        for (block, out) in blocks.iter().zip(out.chunks_mut(BLOCK)) {
            let scale = block.scales[row].to_f32() / SCALED;
            let codes = block.codes.iter().flat_map(|pair| pair[row]);
            out.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(code) * scale);
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
fn code(value: f32, step: f64) -> i8 {
    if step == 0.0 { 0 } else { (f64::from(value) / step).round_ties_even().clamp(-MOST, MOST) as i8 }
}

impl IntBlock for Block {
    #[inline(always)]
    unsafe fn products(block: *const Self, x: *const i16) -> [I32x4; 4] {
        let mut sums = [I32x4::ZERO; 4];
        // SAFETY: as the caller promises, of 512 codes and 32 activations.
        unsafe {
            let codes = (&raw const (*block).codes).cast::<i8>();
            for pair in 0..PAIRS {
                let x = I16x8::load_pair_splat(x.add(2 * pair));
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(I16x8::load_i8(codes.add(2 * GROUP * pair + 8 * i)).dot(x));
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn widen(&self, panel: &mut [i16; WIDE]) {
        let codes = self.codes.as_flattened().as_flattened();
        for (codes, panel) in codes.chunks_exact(8).zip(panel.chunks_exact_mut(8)) {
            // SAFETY: eight numbers each.
            unsafe { I16x8::load_i8(codes.as_ptr()).store(panel.as_mut_ptr()) }
        }
    }

    #[inline(always)]
    fn add_scaled(&self, i: usize, out: F32x4, sums: I32x4, x: &Scales) -> F32x4 {
        // SAFETY: four of 16 halves, for i from 0 to 3.
        let weights = unsafe { F32x4::load_f16(self.scales.as_ptr().cast::<u16>().add(4 * i)) };
        out.add(sums.to_f32().mul(weights.mul(x.unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FileDtype, Matrix};
    use super::*;
    use crate::testing::{bytes, random};

    #[test]
    fn codes_are_the_nearest_and_scales_those_of_the_largest() {
        let stored = |values: &[f32]| {
            let mut matrix = Panels::<Q8>::new(1, values.len()).unwrap();
            matrix.write_rows(0, &bytes(values), FileDtype::F32).unwrap();
            let mut out = vec![1.0; values.len()];
            matrix.read_row(0, &mut out);
            out
        };
        let mut values = random(1, 100);
        (values[3], values[70]) = (-4.0, 1e-9);
        let out = stored(&values);
        for (block, got) in values.chunks(32).zip(out.chunks(32)) {
            let largest = block.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for (x, got) in block.iter().zip(got) {
                assert!((x - got).abs() <= largest / 127.0 * 0.5001 + largest * 2f32.powi(-11), "{x} {got}");
            }
        }
        assert!(stored(&[1e-9; 40]).iter().all(|x| *x == 0.0));
    }
}
