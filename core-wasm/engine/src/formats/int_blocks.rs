//! Products of weights in whole numbers of a few bits, 32 columns of a row with a scale of their own.
//!
//! Activations become whole numbers of 16 bits, 32 of them with a scale, so that a block's products add up exactly: a
//! result is the same bits in whatever batch, and what rounding them costs is a hundredth of what rounding the weights
//! does. Products of a block are at most 32 * 127 * 32767 < 2^31.
//!
//! A block of a group takes columns in pairs: `i32x4.dot_i16x8_s` multiplies four rows' pairs, side by side, by one pair of
//! activations and adds the two, with no sums across lanes.

use core::slice;

use half::f16;

use super::{GROUP, Plain};
use crate::kernels::panel::STREAMS;
use crate::kernels::rows::Rows;
use crate::simd::F32x4;
use crate::simd_int::{I16x8, I32x4};

/// Columns that share a scale.
pub const BLOCK: usize = 32;
pub const PAIRS: usize = BLOCK / 2;
/// Scales are kept 256 times as large, so that those of small weights are normal halves.
pub const SCALED: f32 = 256.0;
/// 16-bit numbers of a widened block.
pub const WIDE: usize = BLOCK * GROUP;

/// The largest code of an activation.
const MOST_ACTIVATION: f32 = 32767.0;
/// Below it a block of activations counts as zeros: 32767 / largest must stay finite.
const LEAST: f32 = f32::MIN_POSITIVE * 65536.0;
/// Blocks of a panel widened at a time for many rows: 8 kB.
const SLICE: usize = 8;

/// 32 columns of a group's 16 rows.
pub trait IntBlock: Plain {
    /// Sums of products by 32 activations, of rows 4 i to 4 i + 3 in element i.
    ///
    /// # Safety
    /// `block` must be readable, and 32 numbers from `x` on.
    unsafe fn products(block: *const Self, x: *const i16) -> [I32x4; 4];

    /// The codes, `[pair of columns][row][column of the pair]`.
    fn widen(&self, panel: &mut [i16; WIDE]);

    /// `out` with the sums of rows 4 i to 4 i + 3, in their own units.
    fn add_scaled(&self, i: usize, out: F32x4, sums: I32x4, x: &Scales) -> F32x4;
}

/// What makes floats of a block's whole numbers, in each of four lanes.
#[derive(Clone, Copy)]
pub struct Scales {
    /// A unit of the activations, divided by 256 for the weights' scales.
    pub unit: F32x4,
    /// All 32 activations added up, in the same units.
    pub total: F32x4,
}

/// Floats that a product of up to `count` rows works in: units, totals and codes of all rows of x, two codes to a float, and
/// a slice of a panel with codes of 16 bits.
pub fn scratch(count: usize, cols: usize) -> usize {
    let panel = if count > 1 { SLICE * WIDE / 2 } else { 0 };
    count * cols.div_ceil(BLOCK) * (2 + BLOCK / 2) + panel
}

/// The half next to a number from 0 to infinity, ties to even; 0 below the normal ones, the largest above.
pub fn half_of(value: f64) -> f16 {
    if value < f64::from(f16::MIN_POSITIVE) {
        return f16::ZERO;
    }
    // By hand: `from_f64` leaves out bits that tell a middle from what is just above it.
    let unit = f64::from_bits(value.to_bits() & (0x7ff << 52)) / 1024.0;
    f16::from_f64(((value / unit).round_ties_even() * unit).min(f64::from(f16::MAX)))
}

/// out += x * weights, of all rows of x; `blocks` are those of each group, one group after the other.
pub fn multiply<B: IntBlock>(out: &mut Rows, x: &Rows, blocks: &[B], scratch: &mut [f32]) {
    let n_blocks = x.width.div_ceil(BLOCK);
    let (scales, rest) = scratch.split_at_mut(2 * x.count * n_blocks);
    let (codes, panel) = as_i16(rest).split_at_mut(x.count * n_blocks * BLOCK);
    let scales = scales.as_chunks_mut().0;
    for row in 0..x.count {
        let scales = &mut scales[row * n_blocks..][..n_blocks];
        quantise(x.row(row), scales, &mut codes[row * n_blocks * BLOCK..][..n_blocks * BLOCK]);
    }
    let x = Activations { n_blocks, scales, codes };
    match out.count {
        0 => {}
        1 => in_streams(blocks, &x, out.padded_mut(0)),
        _ => many_rows(out, &x, blocks, panel),
    }
}

/// Rows of whole numbers.
struct Activations<'a> {
    n_blocks: usize,
    /// `[row][block]`: unit and total.
    scales: &'a [[f32; 2]],
    /// `[row][column]`
    codes: &'a [i16],
}

impl Activations<'_> {
    /// Some blocks of a row.
    fn blocks(&self, row: usize, start: usize, end: usize) -> (&[[f32; 2]], &[i16]) {
        let (start, end) = (row * self.n_blocks + start, row * self.n_blocks + end);
        (&self.scales[start..end], &self.codes[start * BLOCK..end * BLOCK])
    }
}

fn as_i16(floats: &mut [f32]) -> &mut [i16] {
    // SAFETY: the same memory, which is aligned for smaller numbers too; any bits are values of either.
    unsafe { slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), 2 * floats.len()) }
}

/// A row as whole numbers; a block that holds a number that is not finite gets NaN as its unit.
#[inline(never)]
fn quantise(x: &[f32], scales: &mut [[f32; 2]], codes: &mut [i16]) {
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
        let unit = if largest < LEAST { 0.0 } else { largest / MOST_ACTIVATION / SCALED };
        let factor = F32x4::splat(factor);
        let mut total = I32x4::ZERO;
        for (pair, codes) in values.chunks_exact(2).zip(codes.chunks_exact_mut(8)) {
            let code = I16x8::from_f32(pair[0].mul(factor).round(), pair[1].mul(factor).round());
            total = total.add(code.dot(I16x8::ONES));
            // SAFETY: eight numbers.
            unsafe { code.store(codes.as_mut_ptr()) }
        }
        // Whole numbers below 2^24: exact in any order.
        let [a, b, c, d] = total.to_f32().lanes();
        *scale = [unit, unit * (a + b + c + d)];
    }
}

/// One row against all groups: a token's decode. A matrix is read from several places at once.
fn in_streams<B: IntBlock>(blocks: &[B], x: &Activations, out: &mut [f32]) {
    let groups = out.len() / GROUP;
    let apart = groups / STREAMS;
    for group in 0..apart {
        let out = &mut out[group * GROUP..];
        one_row::<B, STREAMS>(&blocks[group * x.n_blocks..], apart, x.scales, x.codes, out);
    }
    for group in apart * STREAMS..groups {
        one_row::<B, 1>(&blocks[group * x.n_blocks..], 0, x.scales, x.codes, &mut out[group * GROUP..]);
    }
}

/// One row of activations against `N` groups that are `apart` groups from one another, each of as many blocks as the row
/// has: a block of each group in turn, added to its 16 outputs.
#[inline(never)]
fn one_row<B: IntBlock, const N: usize>(
    blocks: &[B],
    apart: usize,
    scales: &[[f32; 2]],
    codes: &[i16],
    out: &mut [f32],
) {
    let n_blocks = scales.len();
    let last = (N - 1) * apart;
    assert!(blocks.len() >= (last + 1) * n_blocks && codes.len() == n_blocks * BLOCK);
    assert!(out.len() >= (last + 1) * GROUP);
    let zero = always_zero(codes.len());
    let mut groups: [*const B; N] = core::array::from_fn(|i| blocks[i * apart * n_blocks..].as_ptr());
    // SAFETY: the assertions cover `n_blocks` blocks of each group, a scale and 32 codes for each, and its 16 outputs.
    unsafe {
        let out = out.as_mut_ptr();
        let mut codes = codes.as_ptr();
        for &[unit, total] in scales {
            let scales = Scales { unit: F32x4::splat(unit), total: F32x4::splat(total) };
            for (group, block) in groups.iter_mut().enumerate() {
                let sums = B::products(*block, codes);
                for (i, sums) in sums.into_iter().enumerate() {
                    let at = out.add(group * apart * GROUP + 4 * i);
                    (**block).add_scaled(i, F32x4::load(at), sums, &scales).store(at);
                }
                *block = block.add(1).map_addr(|at| at | zero);
            }
            codes = codes.add(BLOCK).map_addr(|at| at | zero);
        }
    }
}

/// 0, as no slice has 2^30 numbers in 4 GiB, but not to the compiler: it cannot foresee where a pointer goes that this is
/// part of, and leaves loads at constant offsets from it, where it else adds up an address for each.
#[inline(always)]
fn always_zero(length: usize) -> usize {
    length >> 30
}

/// A slice of a panel is widened once and stays in cache while all rows go by.
fn many_rows<B: IntBlock>(out: &mut Rows, x: &Activations, blocks: &[B], panel: &mut [i16]) {
    let panel = panel.as_chunks_mut().0;
    for (index, group) in blocks.chunks_exact(x.n_blocks).enumerate() {
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
                one_row::<B, 1>(blocks, 0, scales, codes, &mut out.padded_mut(row)[columns.clone()]);
            }
        }
    }
}

#[inline(never)]
fn widen<B: IntBlock>(blocks: &[B], panel: &mut [[i16; WIDE]]) {
    blocks.iter().zip(panel).for_each(|(block, panel)| block.widen(panel));
}

/// As `one_row`, of two rows at once: each weight read serves both.
#[inline(never)]
fn two_rows<B: IntBlock>(
    blocks: &[B],
    panel: &[[i16; WIDE]],
    x: [(&[[f32; 2]], &[i16]); 2],
    out: [&mut [f32]; 2],
) {
    assert!(panel.len() >= blocks.len());
    assert!(x.iter().all(|(s, c)| s.len() == blocks.len() && c.len() == blocks.len() * BLOCK));
    assert!(out.iter().all(|out| out.len() >= GROUP));
    let out = out.map(|out| out.as_mut_ptr());
    let zero = always_zero(panel.len());
    // SAFETY: the assertions cover every block's scales, codes and widened weights, and 16 outputs of each row.
    unsafe {
        for (b, block) in blocks.iter().enumerate() {
            let mut weights = panel.as_ptr().add(b).cast::<i16>();
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
                let [unit, total] = *x[row].0.get_unchecked(b);
                let scales = Scales { unit: F32x4::splat(unit), total: F32x4::splat(total) };
                for i in 0..4 {
                    let at = out[row].add(4 * i);
                    block.add_scaled(i, F32x4::load(at), sums[2 * i + row], &scales).store(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FileDtype, Matrix, StoredDtype};
    use super::*;
    use crate::error::Error;
    use crate::testing::{bytes, random, rows};

    const FORMATS: [StoredDtype; 2] = [StoredDtype::Q8, StoredDtype::Q4];

    fn matrix(format: StoredDtype, n_out: usize, cols: usize, values: &[f32]) -> Box<dyn Matrix> {
        let mut matrix = format.alloc(n_out, cols).unwrap();
        matrix.write_rows(0, &bytes(values), FileDtype::F32).unwrap();
        matrix
    }

    fn product(weights: &dyn Matrix, x: &[f32]) -> Rows {
        let x = rows(x, weights.cols());
        let mut out = rows(&vec![0.0; x.count * weights.rows()], weights.rows());
        weights.multiply(&mut out, &x, &mut vec![0.0; weights.scratch(x.count)]);
        out
    }

    #[test]
    fn products_are_within_a_16_bit_rounding_and_the_same_bits_in_any_batch() {
        for (n_out, cols) in [(1, 1), (17, 32), (48, 33), (5, 100), (33, 600), (230, 70)] {
            for format in FORMATS {
                let weights = matrix(format, n_out, cols, &random(1, n_out * cols));
                let x = random(2, 5 * cols);
                let mut line = vec![0.0; cols];
                for n in [1, 2, 3, 5] {
                    let out = product(&*weights, &x[..n * cols]);
                    for row in 0..n {
                        let own = &x[row * cols..][..cols];
                        let alone = product(&*weights, own);
                        assert_eq!(out.row(row), alone.row(0));
                        for (i, got) in alone.row(0).iter().enumerate() {
                            weights.read_row(i, &mut line);
                            let terms = line.iter().zip(own).map(|(w, x)| f64::from(*w) * f64::from(*x));
                            let want: f64 = terms.sum();
                            let error = (f64::from(*got) - want).abs();
                            assert!(error < 3e-5 * (cols as f64).sqrt(), "{format:?}: {got} {want}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_spoils_its_row_alone_and_nothing_overflows() {
        for format in FORMATS {
            // The largest codes, and in q4 with an offset of 0.
            let values: Vec<f32> = (0..16 * 64).map(|i| if i % 32 == 0 { 0.0 } else { 1.0 }).collect();
            let weights = matrix(format, 16, 64, &values);
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = vec![1.0; 3 * 64];
                x[64 + 40] = bad;
                let out = product(&*weights, &x);
                assert!(out.row(1).iter().all(|x| x.is_nan()));
                for row in [0, 2] {
                    assert!(out.row(row).iter().all(|x| (x - 62.0).abs() < 0.2), "{:?}", out.row(row));
                }
            }
            for size in [1e-30f32, 1e-45, 0.0] {
                let out = product(&*weights, &[size; 64]);
                let (want, most) = (62.0 * size, 0.01 * 62.0 * size.max(1e-33));
                assert!(out.row(0).iter().all(|x| (x - want).abs() <= most));
            }
        }
    }

    #[test]
    fn names_a_bad_element() {
        for format in FORMATS {
            let mut values = vec![1.0; 3 * 70];
            values[70 + 66] = f32::NAN;
            let mut matrix = format.alloc(3, 70).unwrap();
            let error = matrix.write_rows(0, &bytes(&values), FileDtype::F32).unwrap_err();
            assert_eq!(error, Error::BadWeights { index: 136, found: "NaN".into() });
        }
    }
}
