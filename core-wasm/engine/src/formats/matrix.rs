//! The one place that decides how a matrix lies in memory.
//!
//! Rows are taken in groups of 16. A group is one sequential stream, `[k][row in group]`: a product reads one
//! x[k] against 16 weights side by side, so there are no horizontal sums, and memory is read strictly forward.
//! The last group is filled up with rows of zeros, so kernels know only whole groups.

use half::{bf16, f16};
use serde::Deserialize;

use super::aligned::Aligned;
use super::source::{Element, FileDtype, convert};
use crate::error::Result;

/// Rows of a group: four vectors of four.
pub const GROUP: usize = 16;

/// How a matrix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredDtype {
    F32,
    F16,
    Bf16,
}

impl StoredDtype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            StoredDtype::F32 => 4,
            StoredDtype::F16 | StoredDtype::Bf16 => 2,
        }
    }
}

/// A matrix [rows, cols] in panels of 16 rows.
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub panels: Panels,
}

/// `[group][cols][GROUP]`, in the type it is stored in.
pub enum Panels {
    F32(Aligned<f32>),
    F16(Aligned<f16>),
    Bf16(Aligned<bf16>),
}

impl Matrix {
    /// A matrix of zeros, allocated once in its final size.
    pub fn new(rows: usize, cols: usize, stored: StoredDtype) -> Result<Self> {
        let length = rows.div_ceil(GROUP).saturating_mul(GROUP).saturating_mul(cols);
        let panels = match stored {
            StoredDtype::F32 => Panels::F32(Aligned::zeros(length)?),
            StoredDtype::F16 => Panels::F16(Aligned::zeros(length)?),
            StoredDtype::Bf16 => Panels::Bf16(Aligned::zeros(length)?),
        };
        Ok(Self { rows, cols, panels })
    }

    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::F32(data) => data.bytes(),
            Panels::F16(data) => data.bytes(),
            Panels::Bf16(data) => data.bytes(),
        }
    }

    /// Writes whole rows from `row` on, as a file holds them: row-major, little-endian.
    pub fn write_rows(&mut self, row: usize, bytes: &[u8], dtype: FileDtype) -> Result<()> {
        let cols = self.cols;
        assert!(row * cols + bytes.len() / dtype.size() <= self.rows * cols, "rows beyond the matrix");
        match &mut self.panels {
            Panels::F32(data) => interleave(data, cols, row, bytes, dtype),
            Panels::F16(data) => interleave(data, cols, row, bytes, dtype),
            Panels::Bf16(data) => interleave(data, cols, row, bytes, dtype),
        }
    }

    /// One row in f32 added to `out`, for positions.
    pub fn add_row(&self, row: usize, out: &mut [f32]) {
        self.each(row, out, |to, value| *to += value);
    }

    /// One row in f32, for an embedding.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        self.each(row, out, |to, value| *to = value);
    }

    fn each(&self, row: usize, out: &mut [f32], put: impl Fn(&mut f32, f32)) {
        assert!(row < self.rows, "row beyond the matrix");
        let start = row / GROUP * GROUP * self.cols + row % GROUP;
        match &self.panels {
            Panels::F32(data) => gather(&data[start..], out, |value| value, put),
            Panels::F16(data) => gather(&data[start..], out, f16::to_f32, put),
            Panels::Bf16(data) => gather(&data[start..], out, bf16::to_f32, put),
        }
    }
}

fn interleave<T: Element>(
    data: &mut [T],
    cols: usize,
    row: usize,
    bytes: &[u8],
    dtype: FileDtype,
) -> Result<()> {
    for (index, line) in bytes.chunks_exact(cols * dtype.size()).enumerate() {
        let row = row + index;
        let column = &mut data[row / GROUP * GROUP * cols + row % GROUP..];
        convert(line, dtype, |k, value| column[k * GROUP] = value)
            .map_err(|error| error.shifted(index * cols))?;
    }
    Ok(())
}

fn gather<T: Copy>(column: &[T], out: &mut [f32], to_f32: impl Fn(T) -> f32, put: impl Fn(&mut f32, f32)) {
    for (value, to) in column.iter().step_by(GROUP).zip(out) {
        put(to, to_f32(*value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn rows_come_back_as_written_in_any_cut() {
        let (rows, cols) = (37, 5);
        let values: Vec<f32> = (0..rows * cols).map(|i| i as f32 - 60.0).collect();
        for stored in [StoredDtype::F32, StoredDtype::F16, StoredDtype::Bf16] {
            let mut matrix = Matrix::new(rows, cols, stored).unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            for (cut, part) in bytes.chunks(7 * cols * 4).enumerate() {
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

    #[test]
    fn counts_a_bad_element_over_all_rows_written() {
        let mut matrix = Matrix::new(3, 2, StoredDtype::F32).unwrap();
        let bytes: Vec<u8> =
            [0.0, 1.0, 2.0, f32::INFINITY].iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
        let error = matrix.write_rows(1, &bytes, FileDtype::F32).unwrap_err();
        assert_eq!(error, Error::BadWeights { index: 3, found: "inf".into() });
    }
}
