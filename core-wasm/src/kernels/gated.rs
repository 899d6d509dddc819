//! out = activation(gate) * up, with gate and up side by side in a row.

use serde::Deserialize;

use super::math::exp;
use super::rows::Rows;
use crate::simd::F32x4;

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Silu,
    GeluTanh,
}

pub fn gated(out: &mut Rows, gate_up: &Rows, activation: Activation) {
    assert!(gate_up.width == 2 * out.width);
    out.set_count(gate_up.count);
    for row in 0..gate_up.count {
        let (gate, up) = gate_up.row(row).split_at(out.width);
        match activation {
            Activation::Silu => silu(out.row_mut(row), gate, up),
            Activation::GeluTanh => gelu_tanh(out.row_mut(row), gate, up),
        }
    }
}

#[inline(never)]
fn silu(out: &mut [f32], gate: &[f32], up: &[f32]) {
    zip4(out, gate, up, |gate, up| sigmoid_product(gate, gate).mul(up));
}

/// gelu(x) = x/2 (1 + tanh u) = x / (1 + e^-2u), with u = sqrt(2/pi) (x + 0.044715 x^3)
#[inline(never)]
fn gelu_tanh(out: &mut [f32], gate: &[f32], up: &[f32]) {
    const TWICE_ROOT: f32 = 1.595_769;
    zip4(out, gate, up, |gate, up| {
        let cubic = gate.mul(gate).mul(gate).mul(F32x4::splat(0.044_715));
        let twice_u = gate.add(cubic).mul(F32x4::splat(TWICE_ROOT));
        sigmoid_product(gate, twice_u).mul(up)
    });
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
            gated(&mut out, &rows(&both, 2 * width), activation);
            for (got, x) in out.row(0).iter().zip(gate) {
                let want = 0.5 * truth(f64::from(x));
                let room = 3e-7 * f64::from(x.abs().max(0.01)) * 0.5;
                assert!((f64::from(*got) - want).abs() <= room, "{x}: {got} {want}");
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
    }
}
