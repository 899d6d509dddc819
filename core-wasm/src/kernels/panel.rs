//! The product everything rests on: rows of x against a panel of 16 columns side by side, `[k][16]`.
//!
//! Each output is one chain of additions in the order of k, in every kernel here and however the caller cuts k
//! and the rows: a result is bit for bit the same whatever batch it is computed in. All of them add to `out`.
//!
//! They are functions of their own, called again and again, because V8 compiles a function anew when it proves
//! hot; a loop inlined into a long-running caller would stay in the baseline compiler. Eight accumulators are
//! what fits in registers, where work and not memory is the limit.

use half::{bf16, f16};

use crate::simd::F32x4;
use crate::weights::GROUP;

/// One row against a panel: out[0..16] += sum_k x[k] panel[k][0..16].
#[inline(never)]
pub fn one_row(panel: &[f32], x: &[f32], out: &mut [f32]) {
    assert!(panel.len() >= x.len() * GROUP && out.len() >= GROUP);
    // SAFETY: the assertion covers every address of one group.
    unsafe { chain::<1, 4, f32>(panel.as_ptr(), x, out, 1, |at| F32x4::load(at)) }
}

/// One row against as many panels as `out` has groups, one after the other in memory: a token's decode.
///
/// Several panels go side by side, because memory gives two or three streams more than one: three of f32, where
/// twelve accumulators cost less than memory takes; two of 16 bits, which need registers to be widened. The three
/// are a third of the matrix apart, so that each is one long stream that the processor reads ahead in.
pub fn one_row_wide(panels: &[f32], x: &[f32], out: &mut [f32]) {
    let third = out.len() / GROUP / 3;
    let (most, rest) = out.split_at_mut(3 * third * GROUP);
    let (first, last) = panels.split_at(most.len() * x.len());
    if !x.is_empty() {
        for group in 0..third {
            three_groups(first, x, most, group, third);
        }
        for (panel, out) in last.chunks_exact(GROUP * x.len()).zip(rest.chunks_exact_mut(GROUP)) {
            one_row(panel, x, out);
        }
    }
}

/// `one_row_wide` over panels of halves.
pub fn one_row_f16(panels: &[f16], x: &[f32], out: &mut [f32]) {
    pairs(panels, x, out, pair_f16, single_f16);
}

/// `one_row_wide` over panels of bfloat16.
pub fn one_row_bf16(panels: &[bf16], x: &[f32], out: &mut [f32]) {
    pairs(panels, x, out, pair_bf16, single_bf16);
}

fn pairs<T>(
    panels: &[T],
    x: &[f32],
    out: &mut [f32],
    pair: fn(&[T], &[f32], &mut [f32]),
    single: fn(&[T], &[f32], &mut [f32]),
) {
    let size = GROUP * x.len();
    for (index, out) in out.chunks_mut(2 * GROUP).enumerate() {
        let panels = &panels[2 * index * size..][..size * (out.len() / GROUP)];
        if out.len() == 2 * GROUP { pair(panels, x, out) } else { single(panels, x, out) }
    }
}

/// Groups `group`, `group + apart` and `group + 2 apart`.
#[inline(never)]
fn three_groups(panels: &[f32], x: &[f32], out: &mut [f32], group: usize, apart: usize) {
    let groups = group + 2 * apart + 1;
    assert!(panels.len() >= groups * x.len() * GROUP && out.len() >= groups * GROUP);
    // SAFETY: the assertion covers every address up to the last of the three groups.
    unsafe {
        let panels = panels.as_ptr().add(group * x.len() * GROUP);
        chain::<3, 12, f32>(panels, x, &mut out[group * GROUP..], apart, |at| F32x4::load(at));
    }
}

#[inline(never)]
fn pair_f16(panels: &[f16], x: &[f32], out: &mut [f32]) {
    assert!(panels.len() >= 2 * x.len() * GROUP && out.len() >= 2 * GROUP);
    // SAFETY: the assertion covers every address of two groups; f16 is a u16 in memory.
    unsafe { chain::<2, 8, u16>(panels.as_ptr().cast(), x, out, 1, |at| F32x4::load_f16(at)) }
}

#[inline(never)]
fn single_f16(panel: &[f16], x: &[f32], out: &mut [f32]) {
    assert!(panel.len() >= x.len() * GROUP && out.len() >= GROUP);
    // SAFETY: the assertion covers every address of one group; f16 is a u16 in memory.
    unsafe { chain::<1, 4, u16>(panel.as_ptr().cast(), x, out, 1, |at| F32x4::load_f16(at)) }
}

#[inline(never)]
fn pair_bf16(panels: &[bf16], x: &[f32], out: &mut [f32]) {
    assert!(panels.len() >= 2 * x.len() * GROUP && out.len() >= 2 * GROUP);
    // SAFETY: the assertion covers every address of two groups; bf16 is a u16 in memory.
    unsafe { chain::<2, 8, u16>(panels.as_ptr().cast(), x, out, 1, |at| F32x4::load_bf16(at)) }
}

#[inline(never)]
fn single_bf16(panel: &[bf16], x: &[f32], out: &mut [f32]) {
    assert!(panel.len() >= x.len() * GROUP && out.len() >= GROUP);
    // SAFETY: the assertion covers every address of one group; bf16 is a u16 in memory.
    unsafe { chain::<1, 4, u16>(panel.as_ptr().cast(), x, out, 1, |at| F32x4::load_bf16(at)) }
}

/// One row against `GROUPS` panels, each of x.len() * 16 values, in `VECTORS` = 4 `GROUPS` accumulators. The panels
/// are `apart` panels from one another, and their outputs as many groups.
///
/// # Safety
/// `panels` must be readable for all of them and `out` hold 16 values for each.
#[inline(always)]
unsafe fn chain<const GROUPS: usize, const VECTORS: usize, T>(
    panels: *const T,
    x: &[f32],
    out: &mut [f32],
    apart: usize,
    load: impl Fn(*const T) -> F32x4,
) {
    let (size, out) = (apart * GROUP * x.len(), out.as_mut_ptr());
    let out_of = |i: usize| out.wrapping_add(i / 4 * apart * GROUP + i % 4 * 4);
    let mut sums = [F32x4::splat(0.0); VECTORS];
    // SAFETY: as the caller promises.
    unsafe {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = F32x4::load(out_of(i));
        }
        let mut weights = panels;
        for value in x {
            let value = F32x4::load_splat(value);
            for group in 0..GROUPS {
                for i in 0..4 {
                    let weight = load(weights.add(group * size + 4 * i));
                    sums[4 * group + i] = sums[4 * group + i].add(weight.mul(value));
                }
            }
            weights = weights.add(GROUP);
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.store(out_of(i));
        }
    }
}

/// Two rows at once against a panel: each weight read serves both.
#[inline(never)]
pub fn two_rows(panel: &[f32], x: [&[f32]; 2], out: [&mut [f32]; 2]) {
    let [x0, x1] = x;
    let [out0, out1] = out;
    let k = x0.len();
    assert!(x1.len() == k && panel.len() >= k * GROUP && out0.len() >= GROUP && out1.len() >= GROUP);
    let (out0, out1) = (out0.as_mut_ptr(), out1.as_mut_ptr());
    let mut weights = panel.as_ptr();
    let (mut x0, mut x1) = (x0.as_ptr(), x1.as_ptr());
    // SAFETY: the assertion covers every address below.
    unsafe {
        let end = x0.add(k);
        let mut a = [0, 1, 2, 3].map(|i| F32x4::load(out0.add(4 * i)));
        let mut b = [0, 1, 2, 3].map(|i| F32x4::load(out1.add(4 * i)));
        while x0 != end {
            let (u, v) = (F32x4::load_splat(x0), F32x4::load_splat(x1));
            let mut w = F32x4::load(weights);
            a[0] = a[0].add(w.mul(u));
            b[0] = b[0].add(w.mul(v));
            w = F32x4::load(weights.add(4));
            a[1] = a[1].add(w.mul(u));
            b[1] = b[1].add(w.mul(v));
            w = F32x4::load(weights.add(8));
            a[2] = a[2].add(w.mul(u));
            b[2] = b[2].add(w.mul(v));
            w = F32x4::load(weights.add(12));
            a[3] = a[3].add(w.mul(u));
            b[3] = b[3].add(w.mul(v));
            x0 = x0.add(1);
            x1 = x1.add(1);
            weights = weights.add(GROUP);
        }
        for i in 0..4 {
            a[i].store(out0.add(4 * i));
            b[i].store(out1.add(4 * i));
        }
    }
}

/// A panel of halves as f32, for the kernels above to use over many rows.
#[inline(never)]
pub fn widen_f16(panel: &[f16], out: &mut [f32]) {
    assert!(out.len() >= panel.len() && panel.len().is_multiple_of(4));
    for at in (0..panel.len()).step_by(4) {
        // SAFETY: `at + 4` is within both by the assertion; f16 is a u16 in memory.
        unsafe { F32x4::load_f16(panel.as_ptr().add(at).cast()).store(out.as_mut_ptr().add(at)) }
    }
}

/// A panel of bfloat16 as f32.
#[inline(never)]
pub fn widen_bf16(panel: &[bf16], out: &mut [f32]) {
    assert!(out.len() >= panel.len() && panel.len().is_multiple_of(4));
    for at in (0..panel.len()).step_by(4) {
        // SAFETY: `at + 4` is within both by the assertion; bf16 is a u16 in memory.
        unsafe { F32x4::load_bf16(panel.as_ptr().add(at).cast()).store(out.as_mut_ptr().add(at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    fn naive(panel: &[f32], x: &[f32], start: &[f32]) -> Vec<f32> {
        let mut out = start.to_vec();
        for (k, value) in x.iter().enumerate() {
            for (j, sum) in out.iter_mut().enumerate() {
                *sum += panel[k * GROUP + j] * value;
            }
        }
        out
    }

    #[test]
    fn every_kernel_is_the_same_chain_of_sums_bit_for_bit() {
        for (k, groups) in [(0, 1), (1, 2), (2, 3), (7, 4), (64, 5)] {
            let halves: Vec<f16> = random(1, groups * k * GROUP).into_iter().map(f16::from_f32).collect();
            let brains: Vec<bf16> = halves.iter().map(|x| bf16::from_f32(x.to_f32())).collect();
            let wide: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
            let wide_brains: Vec<f32> = brains.iter().map(|x| x.to_f32()).collect();
            let (x0, x1, start) = (random(2, k), random(3, k), random(4, groups * GROUP));
            let each = |panels: &[f32], x: &[f32]| -> Vec<f32> {
                let group = |g: usize| &panels[g * k * GROUP..(g + 1) * k * GROUP];
                (0..groups).flat_map(|g| naive(group(g), x, &start[g * GROUP..(g + 1) * GROUP])).collect()
            };
            let run = |f: &dyn Fn(&mut [f32])| {
                let mut out = start.clone();
                f(&mut out);
                out
            };
            assert_eq!(run(&|out| one_row_wide(&wide, &x0, out)), each(&wide, &x0));
            assert_eq!(run(&|out| one_row_f16(&halves, &x0, out)), each(&wide, &x0));
            assert_eq!(run(&|out| one_row_bf16(&brains, &x0, out)), each(&wide_brains, &x0));
            let (mut a, mut b) = (start.clone(), start.clone());
            one_row(&wide, &x0, &mut a);
            assert_eq!(a[..GROUP], each(&wide, &x0)[..GROUP]);
            a.copy_from_slice(&start);
            two_rows(&wide, [&x0, &x1], [&mut a, &mut b]);
            assert_eq!((&a[..GROUP], &b[..GROUP]), (&each(&wide, &x0)[..GROUP], &each(&wide, &x1)[..GROUP]));
        }
    }

    #[test]
    fn widening_is_exact_subnormals_included() {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite()).collect();
        let halves = &halves[..halves.len() / 4 * 4];
        let mut out = vec![0.0; halves.len()];
        widen_f16(halves, &mut out);
        assert!(halves.iter().zip(&out).all(|(h, x)| h.to_f32().to_bits() == x.to_bits()));
        let brains: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        let mut out = vec![0.0; brains.len()];
        widen_bf16(&brains, &mut out);
        assert!(brains.iter().zip(&out).all(|(h, x)| u32::from(h.to_bits()) << 16 == x.to_bits()));
    }
}
