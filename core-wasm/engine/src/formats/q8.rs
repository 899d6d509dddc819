//! Eight bits: 32 columns of a row are whole numbers from -127 to 127 and share a scale, a half.
//!
//! Activations become whole numbers of 16 bits, 32 of them with a scale of their own, so that a block's products add up
//! exactly: a result is the same bits in whatever batch, and what rounding them costs is a hundredth of what rounding the
//! weights does. Products of a block are at most 32 * 127 * 32767 < 2^31.
//!
//! A block of a group holds columns in pairs, the two of a row side by side: `i32x4.dot_i16x8_s` multiplies four rows' pairs
//! by one pair of activations and adds the two, with no sums across lanes.

use core::slice;

use half::f16;

use super::{Format, GROUP, Panels, Plain};
use crate::kernels::rows::Rows;
use crate::simd::F32x4;
use crate::simd_int::{I16x8, I32x4};

/// Columns that share a scale.
const BLOCK: usize = 32;
const PAIRS: usize = BLOCK / 2;
/// The largest code of a weight, and of an activation.
const MOST: f64 = 127.0;
const MOST_ACTIVATION: f32 = 32767.0;
/// Below it a block of activations counts as zeros: 32767 / largest must stay finite.
const LEAST: f32 = f32::MIN_POSITIVE * 65536.0;
/// Scales are kept 256 times as large, so that those of small weights are normal halves.
const SCALED: f32 = 256.0;
/// Blocks of a panel widened at a time for many rows: 8 kB.
const SLICE: usize = 8;
/// 16-bit numbers of a widened block.
const WIDE: usize = BLOCK * GROUP;

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
            let scale = scale_of(f64::from(largest));
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

    /// Scales and codes of all rows of x, two codes to a float, and a slice of a panel with codes of 16 bits.
    fn scratch(count: usize, cols: usize) -> usize {
        let panel = if count > 1 { SLICE * WIDE / 2 } else { 0 };
        count * cols.div_ceil(BLOCK) * (1 + BLOCK / 2) + panel
    }

    fn multiply(out: &mut Rows, x: &Rows, weights: &Panels<Self>, scratch: &mut [f32]) {
        let n_blocks = x.width.div_ceil(BLOCK);
        let (scales, rest) = scratch.split_at_mut(x.count * n_blocks);
        let (codes, panel) = as_i16(rest).split_at_mut(x.count * n_blocks * BLOCK);
        for row in 0..x.count {
            let scales = &mut scales[row * n_blocks..][..n_blocks];
            quantise(x.row(row), scales, &mut codes[row * n_blocks * BLOCK..][..n_blocks * BLOCK]);
        }
        let x = Activations { n_blocks, scales, codes };
        match out.count {
            0 => {}
            1 => {
                for (group, out) in weights.groups().zip(out.padded_mut(0).chunks_exact_mut(GROUP)) {
                    one_row(group, x.scales, x.codes, out);
                }
            }
            _ => many_rows(out, &x, weights, panel),
        }
    }
}

/// The half next to 256 largest / 127; 0 below the normal ones, the largest above.
fn scale_of(largest: f64) -> f16 {
    let scale = f64::from(SCALED) * largest / MOST;
    if scale < f64::from(f16::MIN_POSITIVE) {
        return f16::ZERO;
    }
    // By hand: `from_f64` leaves out bits that tell a middle from what is just above it.
    let unit = f64::from_bits(scale.to_bits() & (0x7ff << 52)) / 1024.0;
    f16::from_f64(((scale / unit).round_ties_even() * unit).min(f64::from(f16::MAX)))
}

/// The nearest whole number of steps, ties to even.
fn code(value: f32, step: f64) -> i8 {
    if step == 0.0 { 0 } else { (f64::from(value) / step).round_ties_even().clamp(-MOST, MOST) as i8 }
}

/// Rows of whole numbers.
struct Activations<'a> {
    n_blocks: usize,
    /// `[row][block]`, divided by 256 for the weights' scales.
    scales: &'a [f32],
    /// `[row][column]`
    codes: &'a [i16],
}

impl Activations<'_> {
    /// Some blocks of a row.
    fn blocks(&self, row: usize, start: usize, end: usize) -> (&[f32], &[i16]) {
        let (start, end) = (row * self.n_blocks + start, row * self.n_blocks + end);
        (&self.scales[start..end], &self.codes[start * BLOCK..end * BLOCK])
    }
}

fn as_i16(floats: &mut [f32]) -> &mut [i16] {
    // SAFETY: the same memory, which is aligned for smaller numbers too; any bits are values of either.
    unsafe { slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), 2 * floats.len()) }
}

/// A row as whole numbers; a block that holds a number that is not finite gets NaN as its scale.
#[inline(never)]
fn quantise(x: &[f32], scales: &mut [f32], codes: &mut [i16]) {
    for ((x, scale), codes) in x.chunks(BLOCK).zip(scales).zip(codes.chunks_exact_mut(BLOCK)) {
        let mut block = [0.0f32; BLOCK];
        block[..x.len()].copy_from_slice(x);
        // SAFETY: four floats at each of eight places of 32.
        let values: [F32x4; BLOCK / 4] =
            core::array::from_fn(|i| unsafe { F32x4::load(block.as_ptr().add(4 * i)) });
        let zero = F32x4::splat(0.0);
        let most = values.iter().fold(zero, |most, &x| most.max(x.max(zero.sub(x))));
        let [a, b, c, d] = most.lanes();
        // An addition keeps NaN and infinity, which a comparison may lose.
        let largest = if (a + b + c + d).is_finite() { a.max(b).max(c).max(d) } else { f32::NAN };
        let factor = if largest >= LEAST { MOST_ACTIVATION / largest } else { 0.0 };
        *scale = if largest < LEAST { 0.0 } else { largest / MOST_ACTIVATION / SCALED };
        let factor = F32x4::splat(factor);
        for (pair, codes) in values.chunks_exact(2).zip(codes.chunks_exact_mut(8)) {
            let code = I16x8::from_f32(pair[0].mul(factor).round(), pair[1].mul(factor).round());
            // SAFETY: eight numbers.
            unsafe { code.store(codes.as_mut_ptr()) }
        }
    }
}

/// out[0..16] += one row of activations against a group, block by block.
#[inline(never)]
fn one_row(group: &[Block], scales: &[f32], codes: &[i16], out: &mut [f32]) {
    assert!(scales.len() == group.len() && codes.len() == group.len() * BLOCK && out.len() >= GROUP);
    let zero = always_zero(codes.len());
    // SAFETY: the assertion covers a scale and 32 codes for each block, and 16 outputs.
    unsafe {
        let out = out.as_mut_ptr();
        for (b, block) in group.iter().enumerate() {
            let (mut weights, x) = (block.codes.as_ptr().cast::<i8>(), codes.as_ptr().add(b * BLOCK));
            let mut sums = [I32x4::ZERO; 4];
            for pair in 0..PAIRS {
                let x = I16x8::load_pair_splat(x.add(2 * pair));
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(I16x8::load_i8(weights.add(8 * i)).dot(x));
                }
                weights = weights.add(2 * GROUP).map_addr(|at| at | zero);
            }
            let scale = F32x4::splat(*scales.get_unchecked(b));
            for (i, sum) in sums.into_iter().enumerate() {
                let at = out.add(4 * i);
                scaled(F32x4::load(at), sum, block, i, scale).store(at);
            }
        }
    }
}

/// 0, as no slice has 2^30 numbers in 4 GiB, but not to the compiler: it cannot foresee where a pointer goes that this is
/// part of, and leaves loads at constant offsets from it, where it else adds up an address for each.
#[inline(always)]
fn always_zero(length: usize) -> usize {
    length >> 30
}

/// `out` with a block's sums of four rows, in its own units.
#[inline(always)]
fn scaled(out: F32x4, sums: I32x4, block: &Block, i: usize, scale: F32x4) -> F32x4 {
    // SAFETY: four of 16 halves, for i from 0 to 3.
    let weights = unsafe { F32x4::load_f16(block.scales.as_ptr().cast::<u16>().add(4 * i)) };
    out.add(sums.to_f32().mul(weights.mul(scale)))
}

/// A slice of a panel is widened once and stays in cache while all rows go by.
fn many_rows(out: &mut Rows, x: &Activations, weights: &Panels<Q8>, panel: &mut [i16]) {
    for (index, group) in weights.groups().enumerate() {
        let columns = index * GROUP..(index + 1) * GROUP;
        for start in (0..group.len()).step_by(SLICE) {
            let end = group.len().min(start + SLICE);
            let blocks = &group[start..end];
            widen(blocks, panel);
            let mut row = 0;
            while row + 2 <= out.count {
                let pair = [x.blocks(row, start, end), x.blocks(row + 1, start, end)];
                two_rows(blocks, panel, pair, out.pair_mut(row).map(|out| &mut out[columns.clone()]));
                row += 2;
            }
            if row < out.count {
                let (scales, codes) = x.blocks(row, start, end);
                one_row(blocks, scales, codes, &mut out.padded_mut(row)[columns.clone()]);
            }
        }
    }
}

#[inline(never)]
fn widen(blocks: &[Block], panel: &mut [i16]) {
    for (block, panel) in blocks.iter().zip(panel.chunks_exact_mut(WIDE)) {
        let codes = block.codes.as_flattened().as_flattened();
        for (codes, panel) in codes.chunks_exact(8).zip(panel.chunks_exact_mut(8)) {
            // SAFETY: eight numbers each.
            unsafe { I16x8::load_i8(codes.as_ptr()).store(panel.as_mut_ptr()) }
        }
    }
}

/// As `one_row`, of two rows at once: each weight read serves both.
#[inline(never)]
fn two_rows(blocks: &[Block], panel: &[i16], x: [(&[f32], &[i16]); 2], out: [&mut [f32]; 2]) {
    assert!(panel.len() >= blocks.len() * WIDE);
    assert!(x.iter().all(|(s, c)| s.len() == blocks.len() && c.len() == blocks.len() * BLOCK));
    assert!(out.iter().all(|out| out.len() >= GROUP));
    let out = out.map(|out| out.as_mut_ptr());
    let zero = always_zero(panel.len());
    // SAFETY: the assertions cover every block's scales, codes and widened weights, and 16 outputs of each row.
    unsafe {
        for (b, block) in blocks.iter().enumerate() {
            let mut weights = panel.as_ptr().add(b * WIDE);
            let mut codes = x.map(|(_, codes)| codes.as_ptr().add(b * BLOCK));
            let mut sums = [I32x4::ZERO; 8];
            let end = weights.add(WIDE);
            while weights != end {
                let x = codes.map(|codes| I16x8::load_pair_splat(codes));
                for i in 0..4 {
                    let weight = I16x8::load(weights.add(8 * i));
                    sums[2 * i] = sums[2 * i].add(weight.dot(x[0]));
                    sums[2 * i + 1] = sums[2 * i + 1].add(weight.dot(x[1]));
                }
                codes = codes.map(|codes| codes.add(2));
                weights = weights.add(2 * GROUP).map_addr(|at| at | zero);
            }
            for row in 0..2 {
                let scale = F32x4::splat(*x[row].0.get_unchecked(b));
                for i in 0..4 {
                    let at = out[row].add(4 * i);
                    scaled(F32x4::load(at), sums[2 * i + row], block, i, scale).store(at);
                }
            }
        }
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
                        let want: f64 = line.iter().zip(own).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
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
