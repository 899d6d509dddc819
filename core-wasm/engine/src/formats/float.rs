//! What formats have in common whose values stand alone: they differ in a number type, and in how many panels a
//! single row reads side by side.

use core::ops::Range;

use super::{Format, GROUP, Panels, Plain};
use crate::kernels::panel::{MOST, block_of, one_row, two_rows};
use crate::kernels::rows::Rows;
use crate::simd::F32x4;

/// Columns of a panel taken at a time: 16 rows of them in f32 are 16 kB, half of a first-level cache.
const SLICE: usize = 256;

/// Slices end where blocks of sums do, which are powers of two.
const _: () = assert!(SLICE.is_multiple_of(MOST));

const IN_ORDER: [usize; GROUP] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// 32 bits of a vector's lane hold two rows, so that two vectors of f32 are made of one without any shuffling.
pub const IN_PAIRS: [usize; GROUP] = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15];

/// A number type that matrices are kept in.
pub trait Float: Plain + 'static {
    const NAME: &'static str;
    /// Whether `panel` needs scratch.
    const WIDENED: bool;

    /// The nearest value, ties to even; not finite where the type cannot hold it.
    fn from_f32(value: f32) -> Self;

    /// Exact.
    fn to_f32(self) -> f32;

    fn is_finite(self) -> bool;

    /// Where a row of a group lies within a column: types of 16 bits have rows 4 apart side by side, `IN_PAIRS`.
    const PLACES: [usize; GROUP] = IN_ORDER;

    /// A column of a group, rows in their order.
    ///
    /// # Safety
    /// `from` must be readable for 16 values (any alignment).
    unsafe fn load(from: *const Self) -> [F32x4; 4];

    /// One row of x against all panels: a token's decode.
    fn one_row(out: &mut [f32], x: &[f32], panels: &[Self]);

    /// A slice of a panel as f32, for many rows: itself, or widened into `scratch`.
    fn panel<'a>(panel: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32];
}

impl<T: Float> Format for T {
    const NAME: &'static str = T::NAME;
    const BLOCK: usize = 1;
    type Block = [T; GROUP];

    #[inline(always)]
    fn store(blocks: &mut [Self::Block], row: usize, values: &[f32]) -> Result<(), usize> {
        for (k, (block, value)) in blocks.iter_mut().zip(values).enumerate() {
            let stored = T::from_f32(*value);
            if !stored.is_finite() {
                return Err(k);
            }
            block[T::PLACES[row]] = stored;
        }
        Ok(())
    }

    fn load(blocks: &[Self::Block], row: usize, out: &mut [f32]) {
        for (block, out) in blocks.iter().zip(out) {
            *out = block[T::PLACES[row]].to_f32();
        }
    }

    fn scratch(count: usize, _cols: usize) -> usize {
        if T::WIDENED && count > 1 { SLICE * GROUP } else { 0 }
    }

    fn multiply(out: &mut Rows, x: &Rows, weights: &Panels<Self>, scratch: &mut [f32]) {
        match x.count {
            0 => {}
            1 => T::one_row(out.padded_mut(0), x.row(0), weights.blocks.as_flattened()),
            _ => many_rows(out, x, weights, scratch),
        }
    }
}

/// A slice of a panel stays in cache while all rows go by; what is not f32 is widened once for all of them.
fn many_rows<T: Float>(out: &mut Rows, x: &Rows, weights: &Panels<T>, scratch: &mut [f32]) {
    for (index, group) in weights.groups().enumerate() {
        for start in (0..group.len()).step_by(SLICE) {
            let end = group.len().min(start + SLICE);
            let panel = T::panel(group[start..end].as_flattened(), scratch);
            slice(out, index * GROUP, x, start..end, panel);
        }
    }
}

fn slice(out: &mut Rows, column: usize, x: &Rows, k: Range<usize>, panel: &[f32]) {
    let columns = column..column + GROUP;
    let block = block_of(x.width);
    let mut row = 0;
    while row + 2 <= x.count {
        let pair = [&x.row(row)[k.clone()], &x.row(row + 1)[k.clone()]];
        two_rows(panel, pair, out.pair_mut(row).map(|out| &mut out[columns.clone()]), block);
        row += 2;
    }
    if row < x.count {
        one_row(panel, &x.row(row)[k], &mut out.padded_mut(row)[columns], block);
    }
}
