//! out = in / sqrt(mean(in^2) + eps) * weight

use super::rows::Rows;
use super::vector::dot;

pub fn rms_norm(out: &mut Rows, input: &Rows, weight: &[f32], eps: f64) {
    assert!(out.width == input.width);
    out.set_count(input.count);
    for row in 0..input.count {
        let (out, input) = (out.row_mut(row), input.row(row));
        out.copy_from_slice(input);
        rms_norm_row(out, weight, eps);
    }
}

/// One row (or one head of a row) in place.
pub fn rms_norm_row(row: &mut [f32], weight: &[f32], eps: f64) {
    assert!(row.len() == weight.len());
    let mean = f64::from(dot(row, row)) / row.len() as f64;
    multiply(row, (1.0 / (mean + eps).sqrt()) as f32, weight);
}

/// row = row * factor * weight, rounded after each product as the reference does.
#[inline(never)]
fn multiply(row: &mut [f32], factor: f32, weight: &[f32]) {
    for (value, weight) in row.iter_mut().zip(weight) {
        *value = *value * factor * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn matches_f64() {
        for n in [1, 3, 16, 50, 768] {
            let (x, weight) = (random(1, n), random(2, n));
            let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n as f64;
            let mut row = x.clone();
            rms_norm_row(&mut row, &weight, 1e-5);
            for i in 0..n {
                let want = f64::from(x[i]) / (mean + 1e-5).sqrt() * f64::from(weight[i]);
                assert!((f64::from(row[i]) - want).abs() < 1e-6);
            }
        }
    }
}
