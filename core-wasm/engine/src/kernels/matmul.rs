//! out = weight x + bias, over all rows of a step at once.

use super::rows::Rows;
use crate::formats::Matrix;

/// `out` [n, weight.rows] of `x` [n, weight.cols]; `scratch` has as many floats as the weight needs for n rows.
pub fn matmul(out: &mut Rows, x: &Rows, weight: &dyn Matrix, bias: Option<&[f32]>, scratch: &mut [f32]) {
    assert!(x.width == weight.cols() && out.width == weight.rows());
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
    weight.multiply(out, x, scratch);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{FileDtype, StoredDtype};
    use crate::testing::{bytes, random, rows};

    #[test]
    fn every_shape_matches_f64_and_single_rows_match_batches_bit_for_bit() {
        for (n_out, cols) in
            [(1, 1), (15, 3), (16, 16), (17, 255), (48, 256), (33, 257), (5, 600), (17, 2100)]
        {
            for stored in [StoredDtype::F32, StoredDtype::F16, StoredDtype::Bf16] {
                let mut weight = stored.alloc(n_out, cols).unwrap();
                weight.write_rows(0, &bytes(&random(1, n_out * cols)), FileDtype::F32).unwrap();
                let bias = random(2, n_out);
                for n in [1, 2, 3, 7] {
                    let x = rows(&random(3, n * cols), cols);
                    let mut out = rows(&vec![9.0; n * n_out], n_out);
                    let mut scratch = vec![0.0; weight.scratch(n)];
                    matmul(&mut out, &x, &*weight, Some(&bias), &mut scratch);
                    for row in 0..n {
                        let mut alone = rows(&vec![9.0; n_out], n_out);
                        matmul(&mut alone, &rows(x.row(row), cols), &*weight, Some(&bias), &mut []);
                        assert_eq!(out.row(row), alone.row(0));
                        check(out.row(row), x.row(row), &*weight, &bias);
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_have_one_sign_alone_and_in_a_batch() {
        let cols = 40;
        let mut weight = StoredDtype::F32.alloc(100, cols).unwrap();
        weight.write_rows(0, &bytes(&vec![-1.0; 100 * cols]), FileDtype::F32).unwrap();
        let bias = vec![-0.0; 100];
        for n in [1, 2, 3] {
            let mut out = rows(&vec![9.0; n * 100], 100);
            matmul(&mut out, &rows(&vec![0.0; n * cols], cols), &*weight, Some(&bias), &mut []);
            assert!((0..n).all(|row| out.row(row).iter().all(|value| value.to_bits() == 0)));
        }
    }

    fn check(out: &[f32], x: &[f32], weight: &dyn Matrix, bias: &[f32]) {
        let mut line = vec![0.0; weight.cols()];
        for (row, got) in out.iter().enumerate() {
            weight.read_row(row, &mut line);
            let want: f64 = line.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            assert!((f64::from(*got) - want - f64::from(bias[row])).abs() < 1e-5 * (weight.cols() as f64));
        }
    }
}
