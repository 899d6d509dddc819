//! out = weight * in / sqrt(mean(in^2) + eps) + bias, or of in - mean(in).

use serde::Deserialize;

use super::rows::Rows;
use super::vector::{add, dot};

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    Rms,
    Layer,
}

/// What a norm does to a row, or to a part of one.
#[derive(Clone, Copy)]
pub struct Norm<'a> {
    pub kind: NormKind,
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub eps: f64,
}

pub fn norm(out: &mut Rows, input: &Rows, op: &Norm) {
    assert!(out.width == input.width);
    out.set_count(input.count);
    for row in 0..input.count {
        let (out, input) = (out.row_mut(row), input.row(row));
        out.copy_from_slice(input);
        norm_row(out, op);
    }
}

/// One row (or some columns of a row) in place.
pub fn norm_row(row: &mut [f32], op: &Norm) {
    assert!(row.len() == op.weight.len());
    if op.kind == NormKind::Layer {
        centre(row);
    }
    let mean = f64::from(dot(row, row)) / row.len() as f64;
    multiply(row, (1.0 / (mean + op.eps).sqrt()) as f32, op.weight);
    if let Some(bias) = op.bias {
        add(row, bias);
    }
}

/// Takes the mean off, summed in f64: what is left has a variance that is not the difference of large numbers.
#[inline(never)]
fn centre(row: &mut [f32]) {
    let mean = row.iter().copied().map(f64::from).sum::<f64>() / row.len() as f64;
    for value in row {
        *value = (f64::from(*value) - mean) as f32;
    }
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
            let (x, weight, bias) = (random(1, n), random(2, n), random(3, n));
            for (kind, bias) in
                [(NormKind::Rms, None), (NormKind::Layer, None), (NormKind::Layer, Some(&bias))]
            {
                let wide: Vec<f64> = x.iter().copied().map(f64::from).collect();
                let mean = if kind == NormKind::Layer { wide.iter().sum::<f64>() / n as f64 } else { 0.0 };
                let square = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
                let mut row = x.clone();
                let bias = bias.map(Vec::as_slice);
                norm_row(&mut row, &Norm { kind, weight: &weight, bias, eps: 1e-5 });
                for i in 0..n {
                    let scaled = (wide[i] - mean) / (square + 1e-5).sqrt() * f64::from(weight[i]);
                    let want = scaled + bias.map_or(0.0, |bias| f64::from(bias[i]));
                    assert!((f64::from(row[i]) - want).abs() < 1e-6);
                }
            }
        }
    }
}
