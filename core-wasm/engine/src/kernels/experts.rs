//! The router's choice of experts, and the sum of what the chosen ones give.

use super::act::{Activation, gated};
use super::math::{exp, map4};
use super::matmul::matmul;
use super::rows::Rows;
use super::vector::add_scaled;
use crate::error::Result;
use crate::formats::Matrix;
use crate::simd::F32x4;

/// Makes each row of router logits `[ids, shares]` of its `top_k` largest, the lower id first on a tie. The
/// shares are of a softmax over all, made to sum to 1 with `renormalise`. `logits` is used up.
pub fn choose(routes: &mut Rows, logits: &mut Rows, top_k: usize, renormalise: bool) {
    routes.set_count(logits.count);
    for row in 0..logits.count {
        let (ids, chosen) = routes.row_mut(row).split_at_mut(top_k);
        let shares = logits.row_mut(row);
        let highest = shares.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        exponentials(shares, highest);
        let mut sum: f64 = shares.iter().copied().map(f64::from).sum();
        for (id, share) in ids.iter_mut().zip(chosen.iter_mut()) {
            let larger = |best: usize, (at, x): (usize, &f32)| if *x > shares[best] { at } else { best };
            let best = shares.iter().enumerate().fold(0, larger);
            (*id, *share) = (best as f32, shares[best]);
            shares[best] = f32::NEG_INFINITY;
        }
        // A logit that is no number spoils this sum, and must spoil the other, too: it may not have been chosen.
        if renormalise && sum.is_finite() {
            sum = chosen.iter().copied().map(f64::from).sum();
        }
        for share in chosen {
            *share = (f64::from(*share) / sum) as f32;
        }
    }
}

#[inline(never)]
fn exponentials(values: &mut [f32], highest: f32) {
    let highest = F32x4::splat(highest);
    map4(values, |x| exp(x.sub(highest)));
}

/// The router's logits, and rows that go through one expert together.
#[derive(Default)]
pub struct Scratch {
    pub logits: Rows,
    x: Rows,
    gate_up: Rows,
    act: Rows,
    out: Rows,
    /// The rows they are of, and the share of each.
    members: Vec<(usize, f32)>,
}

impl Scratch {
    pub fn new(d_model: usize, d_expert: usize, n_experts: usize) -> Self {
        Self {
            logits: Rows::new(n_experts),
            x: Rows::new(d_model),
            gate_up: Rows::new(2 * d_expert),
            act: Rows::new(d_expert),
            out: Rows::new(d_model),
            members: Vec::new(),
        }
    }

    pub fn reserve(&mut self, count: usize) -> Result<()> {
        for rows in [&mut self.logits, &mut self.x, &mut self.gate_up, &mut self.act, &mut self.out] {
            rows.reserve(count)?;
        }
        self.members.clear();
        self.members.try_reserve(count)?;
        Ok(())
    }
}

/// The matrices of a layer's experts.
pub struct Experts<'a> {
    pub gate_up: &'a [Box<dyn Matrix>],
    pub down: &'a [Box<dyn Matrix>],
    pub top_k: usize,
    pub activation: Activation,
}

/// out = sum over a row's experts of share * down (activation(gate) * up). The experts are added in the order of
/// their ids, each after a product of its own, so that a row is the same bits whatever rows it comes with.
pub fn experts(
    out: &mut Rows,
    x: &Rows,
    routes: &Rows,
    op: &Experts,
    scratch: &mut Scratch,
    matmul_scratch: &mut [f32],
) {
    out.set_count(x.count);
    for row in 0..x.count {
        out.row_mut(row).fill(0.0);
    }
    for (id, (gate_up, down)) in op.gate_up.iter().zip(op.down).enumerate() {
        scratch.members.clear();
        for row in 0..x.count {
            let (ids, shares) = routes.row(row).split_at(op.top_k);
            if let Some(at) = ids.iter().position(|&chosen| chosen == id as f32) {
                scratch.members.push((row, shares[at]));
            }
        }
        if scratch.members.is_empty() {
            continue;
        }
        scratch.x.set_count(scratch.members.len());
        for (at, &(row, _)) in scratch.members.iter().enumerate() {
            scratch.x.row_mut(at).copy_from_slice(x.row(row));
        }
        matmul(&mut scratch.gate_up, &scratch.x, &**gate_up, None, matmul_scratch);
        gated(&mut scratch.act, &scratch.gate_up, op.activation);
        matmul(&mut scratch.out, &scratch.act, &**down, None, matmul_scratch);
        for (at, &(row, share)) in scratch.members.iter().enumerate() {
            add_scaled(out.row_mut(row), share, scratch.out.row(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{FileDtype, StoredDtype};
    use crate::testing::{bytes, random, rows};

    #[test]
    fn chooses_the_largest_the_lower_on_a_tie() {
        let ln = |x: f32| x.ln();
        for (renormalise, shares) in [(false, [6.0 / 16.0, 6.0 / 16.0]), (true, [0.5, 0.5])] {
            let mut logits = rows(&[ln(1.0), ln(6.0), ln(3.0), ln(6.0)], 4);
            let mut routes = rows(&[0.0; 4], 4);
            choose(&mut routes, &mut logits, 2, renormalise);
            assert_eq!(routes.row(0)[..2], [1.0, 3.0]);
            for (got, want) in routes.row(0)[2..].iter().zip(shares) {
                assert!((got - want).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_logit_that_is_no_number_is_never_lost() {
        for bad in [f32::NAN, f32::INFINITY] {
            for at in 0..3 {
                let mut values = [1.0, 2.0, 3.0];
                values[at] = bad;
                let (mut logits, mut routes) = (rows(&values, 3), rows(&[0.0; 2], 2));
                choose(&mut routes, &mut logits, 1, true);
                assert!(routes.row(0)[1].is_nan(), "{bad} at {at}");
            }
        }
    }

    #[test]
    fn matches_f64_and_is_the_same_bits_alone() {
        let (n, d_model, d_expert, n_experts, top_k) = (9, 21, 10, 5, 2);
        let make = |seed: u64, rows: usize, cols: usize| {
            let mut matrix = StoredDtype::F32.alloc(rows, cols).unwrap();
            matrix.write_rows(0, &bytes(&random(seed, rows * cols)), FileDtype::F32).unwrap();
            matrix
        };
        let gate_up: Vec<Box<dyn Matrix>> = (0..n_experts).map(|e| make(e, 2 * d_expert, d_model)).collect();
        let down: Vec<Box<dyn Matrix>> = (0..n_experts).map(|e| make(50 + e, d_model, d_expert)).collect();
        let op = Experts { gate_up: &gate_up, down: &down, top_k, activation: Activation::Silu };
        let x = rows(&random(9, n * d_model), d_model);
        let mut routes = rows(&vec![0.0; n * 2 * top_k], 2 * top_k);
        choose(&mut routes, &mut rows(&random(8, n * n_experts as usize), n_experts as usize), top_k, true);
        let mut scratch = Scratch::new(d_model, d_expert, n_experts as usize);
        scratch.reserve(n).unwrap();
        let mut matmul_scratch = vec![0.0; gate_up[0].scratch(n)];
        let mut out = rows(&vec![7.0; n * d_model], d_model);
        experts(&mut out, &x, &routes, &op, &mut scratch, &mut matmul_scratch);
        for row in 0..n {
            let mut alone = rows(&vec![7.0; d_model], d_model);
            let (x, routes) = (rows(x.row(row), d_model), rows(routes.row(row), 2 * top_k));
            experts(&mut alone, &x, &routes, &op, &mut scratch, &mut matmul_scratch);
            assert_eq!(alone.row(0), out.row(row));
            let want = truth(x.row(0), routes.row(0), &op, d_expert);
            assert!(out.row(row).iter().zip(want).all(|(got, want)| (f64::from(*got) - want).abs() < 2e-5));
        }
    }

    fn truth(x: &[f32], routes: &[f32], op: &Experts, d_expert: usize) -> Vec<f64> {
        let product = |matrix: &dyn Matrix, x: &[f64]| -> Vec<f64> {
            let mut line = vec![0.0; matrix.cols()];
            (0..matrix.rows())
                .map(|row| {
                    matrix.read_row(row, &mut line);
                    line.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()
                })
                .collect()
        };
        let x: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let mut out = vec![0.0; x.len()];
        for k in 0..op.top_k {
            let (id, share) = (routes[k] as usize, f64::from(routes[op.top_k + k]));
            let both = product(&*op.gate_up[id], &x);
            let inner: Vec<f64> =
                (0..d_expert).map(|i| both[i] / (1.0 + (-both[i]).exp()) * both[d_expert + i]).collect();
            for (sum, value) in out.iter_mut().zip(product(&*op.down[id], &inner)) {
                *sum += share * value;
            }
        }
        out
    }
}
