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
    use crate::testing::{bytes, random, rows};

    fn matrix(n_out: usize, cols: usize, values: &[f32]) -> Panels<Q8> {
        let mut matrix = Panels::<Q8>::new(n_out, cols).unwrap();
        matrix.write_rows(0, &bytes(values), FileDtype::F32).unwrap();
        matrix
    }

    #[test]
    fn codes_are_the_nearest_and_scales_those_of_the_largest() {
        let mut values = random(1, 100);
        (values[3], values[70]) = (-4.0, 1e-9);
        let mut out = vec![0.0; 100];
        matrix(1, 100, &values).read_row(0, &mut out);
        for (block, got) in values.chunks(32).zip(out.chunks(32)) {
            let largest = block.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for (x, got) in block.iter().zip(got) {
                assert!((x - got).abs() <= largest / 127.0 * 0.5001 + largest * 2f32.powi(-11), "{x} {got}");
            }
        }
        let mut zeros = vec![1.0; 40];
        matrix(1, 40, &vec![1e-9; 40]).read_row(0, &mut zeros);
        assert!(zeros.iter().all(|x| *x == 0.0));
    }

    #[test]
    fn products_are_within_a_16_bit_rounding_and_the_same_bits_in_any_batch() {
        for (n_out, cols) in [(1, 1), (17, 32), (48, 33), (5, 100), (33, 600)] {
            let weights = matrix(n_out, cols, &random(1, n_out * cols));
            let x = random(2, 5 * cols);
            let mut line = vec![0.0; cols];
            for n in [1, 2, 3, 5] {
                let mut out = rows(&vec![0.0; n * n_out], n_out);
                weights.multiply(&mut out, &rows(&x[..n * cols], cols), &mut vec![0.0; weights.scratch(n)]);
                for row in 0..n {
                    let own = &x[row * cols..][..cols];
                    let mut alone = rows(&vec![0.0; n_out], n_out);
                    weights.multiply(&mut alone, &rows(own, cols), &mut vec![0.0; weights.scratch(1)]);
                    assert_eq!(out.row(row), alone.row(0));
                    for (i, got) in alone.row(0).iter().enumerate() {
                        weights.read_row(i, &mut line);
                        let want: f64 =
                            line.iter().zip(own).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        assert!((f64::from(*got) - want).abs() < 3e-5 * (cols as f64).sqrt(), "{got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_spoils_its_row_alone_and_nothing_overflows() {
        let weights = matrix(16, 64, &vec![-1.0; 16 * 64]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 3 * 64];
            x[64 + 40] = bad;
            let mut out = rows(&vec![0.0; 3 * 16], 16);
            weights.multiply(&mut out, &rows(&x, 64), &mut vec![0.0; weights.scratch(3)]);
            assert!(out.row(1).iter().all(|x| x.is_nan()));
            for row in [0, 2] {
                assert!(out.row(row).iter().all(|x| (x + 64.0).abs() < 0.2), "{:?}", out.row(row));
            }
        }
        for size in [1e-30f32, 1e-45, 0.0] {
            let mut out = rows(&[0.0; 16], 16);
            weights.multiply(&mut out, &rows(&[size; 64], 64), &mut vec![0.0; weights.scratch(1)]);
            assert!(out.row(0).iter().all(|x| (x + 64.0 * size).abs() <= 0.01 * 64.0 * size.max(1e-33)));
        }
    }

    #[test]
    fn names_a_bad_element() {
        let mut values = vec![1.0; 3 * 70];
        values[70 + 66] = f32::NAN;
        let mut matrix = Panels::<Q8>::new(3, 70).unwrap();
        let error = matrix.write_rows(0, &bytes(&values), FileDtype::F32).unwrap_err();
        assert_eq!(error, crate::error::Error::BadWeights { index: 136, found: "NaN".into() });
    }
}
