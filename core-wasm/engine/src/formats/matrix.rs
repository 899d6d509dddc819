//! A matrix in some format: rows come in as a file holds them, converted a block at a time, and are read or multiplied.

use super::aligned::Aligned;
use super::source::FileDtype;
use super::{Format, GROUP};
use crate::error::{Error, Result};
use crate::kernels::rows::Rows;

/// Columns of a row that are converted at a time.
const STEP: usize = 32;

/// A matrix [rows, cols], whatever its format: kernels ask it for a whole product, so that what runs for each block
/// is chosen when it is compiled.
pub trait Matrix {
    fn rows(&self) -> usize;
    fn cols(&self) -> usize;
    fn bytes(&self) -> usize;

    /// Writes whole rows from `row` on, as a file holds them: row-major, little-endian.
    ///
    /// # Errors
    /// `BadWeights` at the first value that is not finite, in the file or as stored.
    fn write_rows(&mut self, row: usize, bytes: &[u8], dtype: FileDtype) -> Result<()>;

    /// One row in f32, for an embedding.
    fn read_row(&self, row: usize, out: &mut [f32]);

    /// One row in f32 added to `out`, for positions.
    fn add_row(&self, row: usize, out: &mut [f32]);

    /// Floats that `multiply` needs for up to `count` rows.
    fn scratch(&self, count: usize) -> usize;

    /// `Format::multiply`
    fn multiply(&self, out: &mut Rows, x: &Rows, scratch: &mut [f32]);
}

/// A matrix [rows, cols] in the format `F`: groups of 16 rows, one after the other.
pub struct Panels<F: Format> {
    rows: usize,
    cols: usize,
    /// `[group][block of columns]`
    pub blocks: Aligned<F::Block>,
}

impl<F: Format> Panels<F> {
    /// A matrix of zeros, allocated once in its final size.
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        const { assert!(STEP.is_multiple_of(F::BLOCK)) };
        let length = rows.div_ceil(GROUP).saturating_mul(cols.div_ceil(F::BLOCK));
        Ok(Self { rows, cols, blocks: Aligned::zeros(length)? })
    }

    /// Bytes of such a matrix's blocks; more than this machine can count stays finite.
    pub fn bytes_of(rows: usize, cols: usize) -> f64 {
        rows.div_ceil(GROUP) as f64 * cols.div_ceil(F::BLOCK) as f64 * size_of::<F::Block>() as f64
    }

    /// The blocks of each group of rows.
    pub fn groups(&self) -> impl Iterator<Item = &[F::Block]> {
        self.blocks.chunks_exact(self.cols.div_ceil(F::BLOCK))
    }

    fn group(&self, row: usize) -> &[F::Block] {
        assert!(row < self.rows, "row beyond the matrix");
        let length = self.cols.div_ceil(F::BLOCK);
        &self.blocks[row / GROUP * length..][..length]
    }

    fn write_row(&mut self, row: usize, line: &[u8], dtype: FileDtype) -> Result<()> {
        let length = self.cols.div_ceil(F::BLOCK);
        let group = &mut self.blocks[row / GROUP * length..][..length];
        let steps = line.chunks(STEP * dtype.size()).zip(group.chunks_mut(STEP / F::BLOCK));
        for (step, (bytes, blocks)) in steps.enumerate() {
            let mut values = [0.0; STEP];
            dtype.decode(bytes, &mut values);
            F::store(blocks, row % GROUP, &values[..blocks.len() * F::BLOCK]).map_err(|k| {
                let found = match values[k].is_finite() {
                    true => format!("{}, too large for {}", values[k], F::NAME),
                    false => values[k].to_string(),
                };
                Error::BadWeights { index: step * STEP + k, found }
            })?;
        }
        Ok(())
    }
}

impl<F: Format> Matrix for Panels<F> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn bytes(&self) -> usize {
        self.blocks.bytes()
    }

    fn write_rows(&mut self, row: usize, bytes: &[u8], dtype: FileDtype) -> Result<()> {
        let row_bytes = self.cols * dtype.size();
        assert!(row + bytes.len() / row_bytes <= self.rows, "rows beyond the matrix");
        for (index, line) in bytes.chunks_exact(row_bytes).enumerate() {
            self.write_row(row + index, line, dtype).map_err(|error| error.shifted(index * self.cols))?;
        }
        Ok(())
    }

    fn read_row(&self, row: usize, out: &mut [f32]) {
        F::load(self.group(row), row % GROUP, out);
    }

    fn add_row(&self, row: usize, out: &mut [f32]) {
        for (blocks, out) in self.group(row).chunks(STEP / F::BLOCK).zip(out.chunks_mut(STEP)) {
            let mut values = [0.0; STEP];
            let values = &mut values[..out.len()];
            F::load(blocks, row % GROUP, values);
            out.iter_mut().zip(values).for_each(|(out, value)| *out += *value);
        }
    }

    fn scratch(&self, count: usize) -> usize {
        F::scratch(count, self.cols)
    }

    fn multiply(&self, out: &mut Rows, x: &Rows, scratch: &mut [f32]) {
        F::multiply(out, x, self, scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::super::StoredDtype;
    use super::*;
    use crate::testing::bytes;

    #[test]
    fn rows_come_back_as_written_in_any_cut() {
        for (rows, cols) in [(37, 5), (3, 67)] {
            let values: Vec<f32> = (0..rows * cols).map(|i| i as f32 - 60.0).collect();
            for stored in [StoredDtype::F32, StoredDtype::F16, StoredDtype::Bf16] {
                let mut matrix = stored.alloc(rows, cols).unwrap();
                // Up to a cache line's end.
                assert!((0.0..64.0).contains(&(matrix.bytes() as f64 - stored.bytes(rows, cols))));
                for (cut, part) in bytes(&values).chunks(7 * cols * 4).enumerate() {
                    matrix.write_rows(cut * 7, part, FileDtype::F32).unwrap();
                }
                let mut out = vec![0.0; cols];
                for row in 0..rows {
                    matrix.read_row(row, &mut out);
                    assert_eq!(out, values[row * cols..(row + 1) * cols]);
                    matrix.add_row(row, &mut out);
                    assert!(out.iter().zip(&values[row * cols..]).all(|(got, value)| *got == 2.0 * value));
                }
            }
        }
    }

    #[test]
    fn counts_a_bad_element_over_all_rows_written() {
        for cols in [2, 71] {
            for at in [0, cols - 1, cols, 2 * cols - 1] {
                let mut values = vec![1.0; 2 * cols];
                values[at..].fill(f32::INFINITY);
                let mut matrix = StoredDtype::F32.alloc(3, cols).unwrap();
                let error = matrix.write_rows(1, &bytes(&values), FileDtype::F32).unwrap_err();
                assert_eq!(error, Error::BadWeights { index: at, found: "inf".into() });
            }
        }
    }

    #[test]
    fn rounds_to_the_nearest_ties_to_even_and_refuses_what_is_too_large() {
        let stored = |stored: StoredDtype, value: f32| {
            let mut matrix = stored.alloc(1, 1).unwrap();
            matrix.write_rows(0, &value.to_le_bytes(), FileDtype::F32)?;
            let mut out = [0.0];
            matrix.read_row(0, &mut out);
            Ok(out[0])
        };
        let unit = 2f32.powi(-11);
        for (value, want) in [(1.0 + unit, 1.0), (1.0 + 3.0 * unit, 1.0 + 4.0 * unit), (2f32.powi(-25), 0.0)]
        {
            assert_eq!(stored(StoredDtype::F16, value), Ok(want));
        }
        assert_eq!(stored(StoredDtype::Bf16, 1.0 + 2f32.powi(-8)), Ok(1.0));
        for (dtype, value, found) in [
            (StoredDtype::F16, 70000.0, "70000, too large for f16"),
            (StoredDtype::Bf16, f32::MAX, "340282350000000000000000000000000000000, too large for bf16"),
            (StoredDtype::Bf16, f32::NAN, "NaN"),
        ] {
            assert_eq!(stored(dtype, value), Err(Error::BadWeights { index: 0, found: found.into() }));
        }
    }
}
