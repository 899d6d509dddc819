//! out = activation(gate) * up, with gate and up side by side in a row; or out = activation(in).

use serde::Deserialize;

use super::math::{erf, exp};
use super::rows::Rows;
use crate::simd::F32x4;

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Silu,
    Gelu,
    GeluTanh,
    Relu,
    Relu2,
}

pub fn gated(out: &mut Rows, gate_up: &Rows, activation: Activation) {
    assert!(gate_up.width == 2 * out.width);
    out.set_count(gate_up.count);
    for row in 0..gate_up.count {
        let (gate, up) = gate_up.row(row).split_at(out.width);
        let out = out.row_mut(row);
        match activation {
            Activation::Silu => gated_silu(out, gate, up),
            Activation::Gelu => gated_gelu(out, gate, up),
            Activation::GeluTanh => gated_gelu_tanh(out, gate, up),
            Activation::Relu => gated_relu(out, gate, up),
            Activation::Relu2 => gated_relu2(out, gate, up),
        }
    }
}

pub fn act(out: &mut Rows, input: &Rows, activation: Activation) {
    assert!(input.width == out.width);
    out.set_count(input.count);
    for row in 0..input.count {
        let (out, input) = (out.row_mut(row), input.row(row));
        match activation {
            Activation::Silu => plain_silu(out, input),
            Activation::Gelu => plain_gelu(out, input),
            Activation::GeluTanh => plain_gelu_tanh(out, input),
            Activation::Relu => plain_relu(out, input),
            Activation::Relu2 => plain_relu2(out, input),
        }
    }
}

#[inline(never)]
fn gated_silu(out: &mut [f32], gate: &[f32], up: &[f32]) {
    zip4(out, gate, up, |gate, up| silu(gate).mul(up));
}

#[inline(never)]
fn gated_gelu(out: &mut [f32], gate: &[f32], up: &[f32]) {
    zip4(out, gate, up, |gate, up| gelu(gate).mul(up));
}

#[inline(never)]
fn gated_gelu_tanh(out: &mut [f32], gate: &[f32], up: &[f32]) {
    zip4(out, gate, up, |gate, up| gelu_tanh(gate).mul(up));
}

#[inline(never)]
fn gated_relu(out: &mut [f32], gate: &[f32], up: &[f32]) {
    zip4(out, gate, up, |gate, up| relu(gate).mul(up));
}

#[inline(never)]
fn gated_relu2(out: &mut [f32], gate: &[f32], up: &[f32]) {
    zip4(out, gate, up, |gate, up| relu2(gate).mul(up));
}

#[inline(never)]
fn plain_silu(out: &mut [f32], input: &[f32]) {
    zip4(out, input, input, |x, _| silu(x));
}

#[inline(never)]
fn plain_gelu(out: &mut [f32], input: &[f32]) {
    zip4(out, input, input, |x, _| gelu(x));
}

#[inline(never)]
fn plain_gelu_tanh(out: &mut [f32], input: &[f32]) {
    zip4(out, input, input, |x, _| gelu_tanh(x));
}

#[inline(never)]
fn plain_relu(out: &mut [f32], input: &[f32]) {
    zip4(out, input, input, |x, _| relu(x));
}

#[inline(never)]
fn plain_relu2(out: &mut [f32], input: &[f32]) {
    zip4(out, input, input, |x, _| relu2(x));
}

/// NaN stays NaN.
#[inline(always)]
fn relu(x: F32x4) -> F32x4 {
    x.max(F32x4::splat(0.0))
}

#[inline(always)]
fn relu2(x: F32x4) -> F32x4 {
    let positive = relu(x);
    positive.mul(positive)
}

#[inline(always)]
fn silu(x: F32x4) -> F32x4 {
    sigmoid_product(x, x)
}

/// gelu(x) = x/2 (1 + erf(x / sqrt 2))
#[inline(always)]
fn gelu(x: F32x4) -> F32x4 {
    let phi = erf(x.mul(F32x4::splat(core::f32::consts::FRAC_1_SQRT_2))).add(F32x4::splat(1.0));
    x.mul(F32x4::splat(0.5)).mul(phi)
}

/// x/2 (1 + tanh u) = x / (1 + e^-2u), with u = sqrt(2/pi) (x + 0.044715 x^3)
#[inline(always)]
fn gelu_tanh(x: F32x4) -> F32x4 {
    const TWICE_ROOT: f32 = 1.595_769;
    let cubic = x.mul(x).mul(x).mul(F32x4::splat(0.044_715));
    sigmoid_product(x, x.add(cubic).mul(F32x4::splat(TWICE_ROOT)))
}

/// x / (1 + e^-t)
#[inline(always)]
fn sigmoid_product(x: F32x4, t: F32x4) -> F32x4 {
    let one = F32x4::splat(1.0);
    x.div(one.add(exp(F32x4::splat(0.0).sub(t))))
}

#[inline(always)]
fn zip4(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(F32x4, F32x4) -> F32x4) {
    assert!(a.len() == out.len() && b.len() == out.len());
    let whole = out.len() / 4 * 4;
    for at in (0..whole).step_by(4) {
        // SAFETY: at + 4 <= whole, which is within all three.
        unsafe {
            let done = f(F32x4::load(a.as_ptr().add(at)), F32x4::load(b.as_ptr().add(at)));
            done.store(out.as_mut_ptr().add(at));
        }
    }
    for at in whole..out.len() {
        out[at] = f(F32x4::splat(a[at]), F32x4::splat(b[at])).lanes()[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    fn check(activation: Activation, truth: impl Fn(f64) -> f64) {
        for width in [1, 4, 7, 2001] {
            let gate: Vec<f32> = (0..width).map(|i| (i as f32 - width as f32 / 2.0) / 40.0).collect();
            let both = [gate.clone(), vec![0.5; width]].concat();
            let mut out = rows(&vec![0.0; width], width);
            let mut plain = rows(&vec![0.0; width], width);
            gated(&mut out, &rows(&both, 2 * width), activation);
            act(&mut plain, &rows(&gate, width), activation);
            for (at, x) in gate.into_iter().enumerate() {
                let (got, want) = (out.row(0)[at], 0.5 * truth(f64::from(x)));
                let bound = 3e-7 * want.abs().max(f64::from(x.abs().max(0.01)) * 0.5);
                assert!((f64::from(got) - want).abs() <= bound, "{x}: {got} {want}");
                assert_eq!(plain.row(0)[at] * 0.5, got);
            }
        }
    }

    #[test]
    fn matches_f64() {
        check(Activation::Silu, |x| x / (1.0 + (-x).exp()));
        check(Activation::GeluTanh, |x| {
            let u = (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + u.tanh())
        });
        check(Activation::Relu, |x| x.max(0.0));
        check(Activation::Relu2, |x| x.max(0.0).powi(2));
        check(Activation::Gelu, |x| 0.5 * x * (1.0 + crate::testing::erf(x / core::f64::consts::SQRT_2)));
    }
}
