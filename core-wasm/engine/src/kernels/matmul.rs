//! out = weight x + bias, over all rows of a step at once.

use super::panel::{
    MOST, block_of, one_row, one_row_bf16, one_row_f16, one_row_wide, two_rows, widen_bf16, widen_f16,
};
use super::rows::Rows;
use crate::formats::{GROUP, Matrix, Panels};

/// Columns of a panel taken at a time: 16 rows of them in f32 are 16 kB, half of a first-level cache.
const SLICE: usize = 256;

/// Slices end where blocks of sums do, which are powers of two.
const _: () = assert!(SLICE.is_multiple_of(MOST));

/// Floats that `matmul` needs to widen a slice of 16-bit weights.
pub const SCRATCH: usize = SLICE * GROUP;

/// `out` [n, weight.rows] of `x` [n, weight.cols]; `scratch` has `SCRATCH` floats.
pub fn matmul(out: &mut Rows, x: &Rows, weight: &Matrix, bias: Option<&[f32]>, scratch: &mut [f32]) {
    assert!(x.width == weight.cols && out.width == weight.rows);
    out.set_count(x.count);
    for row in 0..out.count {
        let out = out.padded_mut(row);
        match bias {
            Some(bias) => {
                let (body, rest) = out.split_at_mut(bias.len());
                // -0 becomes 0, as kernels want it.
                body.iter_mut().zip(bias).for_each(|(out, bias)| *out = bias + 0.0);
                rest.fill(0.0);
            }
            None => out.fill(0.0),
        }
    }
    match x.count {
        0 => {}
        1 => single(out.padded_mut(0), x.row(0), weight),
        _ => many(out, x, weight, scratch),
    }
}

fn single(out: &mut [f32], x: &[f32], weight: &Matrix) {
    match &weight.panels {
        Panels::F32(data) => one_row_wide(data, x, out),
        Panels::F16(data) => one_row_f16(data, x, out),
        Panels::Bf16(data) => one_row_bf16(data, x, out),
    }
}

/// A slice of a panel stays in cache while all rows go by; 16-bit weights are widened once for all of them.
fn many(out: &mut Rows, x: &Rows, weight: &Matrix, scratch: &mut [f32]) {
    for group in 0..weight.rows.div_ceil(GROUP) {
        for start in (0..weight.cols).step_by(SLICE) {
            let end = weight.cols.min(start + SLICE);
            let at = (group * weight.cols + start) * GROUP..(group * weight.cols + end) * GROUP;
            let panel = match &weight.panels {
                Panels::F32(data) => &data[at],
                Panels::F16(data) => {
                    widen_f16(&data[at], scratch);
                    &scratch[..]
                }
                Panels::Bf16(data) => {
                    widen_bf16(&data[at], scratch);
                    &scratch[..]
                }
            };
            slice(out, group * GROUP, x, start..end, panel);
        }
    }
}

fn slice(out: &mut Rows, column: usize, x: &Rows, k: core::ops::Range<usize>, panel: &[f32]) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{FileDtype, StoredDtype};
    use crate::testing::{bytes, random, rows};

    #[test]
    fn every_shape_matches_f64_and_single_rows_match_batches_bit_for_bit() {
        let mut scratch = vec![0.0; SCRATCH];
        for (n_out, cols) in
            [(1, 1), (15, 3), (16, 16), (17, 255), (48, 256), (33, 257), (5, 600), (17, 2100)]
        {
            for stored in [StoredDtype::F32, StoredDtype::F16, StoredDtype::Bf16] {
                let mut weight = Matrix::new(n_out, cols, stored).unwrap();
                weight.write_rows(0, &bytes(&random(1, n_out * cols)), FileDtype::F32).unwrap();
                let bias = random(2, n_out);
                for n in [1, 2, 3, 7] {
                    let x = rows(&random(3, n * cols), cols);
                    let mut out = rows(&vec![9.0; n * n_out], n_out);
                    matmul(&mut out, &x, &weight, Some(&bias), &mut scratch);
                    for row in 0..n {
                        let mut alone = rows(&vec![9.0; n_out], n_out);
                        matmul(&mut alone, &rows(x.row(row), cols), &weight, Some(&bias), &mut scratch);
                        assert_eq!(out.row(row), alone.row(0));
                        check(out.row(row), x.row(row), &weight, &bias);
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_have_one_sign_alone_and_in_a_batch() {
        let cols = 40;
        let mut weight = Matrix::new(100, cols, StoredDtype::F32).unwrap();
        weight.write_rows(0, &bytes(&vec![-1.0; 100 * cols]), FileDtype::F32).unwrap();
        let (bias, mut scratch) = (vec![-0.0; 100], vec![0.0; SCRATCH]);
        for n in [1, 2, 3] {
            let mut out = rows(&vec![9.0; n * 100], 100);
            matmul(&mut out, &rows(&vec![0.0; n * cols], cols), &weight, Some(&bias), &mut scratch);
            assert!((0..n).all(|row| out.row(row).iter().all(|value| value.to_bits() == 0)));
        }
    }

    fn check(out: &[f32], x: &[f32], weight: &Matrix, bias: &[f32]) {
        let mut line = vec![0.0; weight.cols];
        for (row, got) in out.iter().enumerate() {
            weight.read_row(row, &mut line);
            let want: f64 = line.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            assert!((f64::from(*got) - want - f64::from(bias[row])).abs() < 1e-5 * (weight.cols as f64));
        }
    }
}
