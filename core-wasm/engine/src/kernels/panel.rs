//! The product everything rests on: rows of x against a panel of 16 columns side by side, `[k][16]`.
//!
//! Each output is a sum over blocks of k: a block's products are summed from zero, in registers and in the order of
//! k, and then added to `out`, in the order of the blocks. The error grows with a block's length and with their
//! number, not with k, and a block's length follows from k alone: a result is bit for bit the same whatever batch
//! it is computed in and however the caller cuts the rows, or k at a block's end. (A block whose products are all -0
//! may come to 0 or -0: the same once it is added to an `out` that is not -0 itself.)
//!
//! They are functions of their own, called again and again, because V8 compiles a function again once it proves
//! hot; a loop inlined into a long-running caller would stay in the baseline compiler. Eight accumulators are
//! what fits in registers, where work and not memory is the limit: a second level of sums (blocks into panels of
//! 256, those into `out`) would halve the error of long sums again, but V8 spills it, and prefill loses 3 to 9 %.

use crate::formats::{Float, GROUP};
use crate::simd::F32x4;

/// Places of a matrix that a single row's product reads from by turns. From one place memory comes no faster than the
/// processor waits for it; beyond six places little is gained.
pub const STREAMS: usize = 6;

/// The longest block.
pub const MOST: usize = 256;

/// Products of a block in sums over `k`: the power of two nearest to the root of k, where the block's own sum and
/// the sum of blocks are as long as each other, but no less than 16 (what adding up blocks costs is then 1 % or less).
pub fn block_of(k: usize) -> usize {
    (1 << k.max(1).ilog2().div_ceil(2)).clamp(16, MOST)
}

/// One row against a panel: out[0..16] += sum_k x[k] panel[k][0..16], in blocks of `block`.
#[inline(never)]
pub fn one_row(panel: &[f32], x: &[f32], out: &mut [f32], block: usize) {
    assert!(panel.len() >= x.len() * GROUP && out.len() >= GROUP && block > 0);
    // SAFETY: the assertion covers every address of one group.
    unsafe { sums::<1, 1, 4, f32>(panel.as_ptr(), [x], [out.as_mut_ptr()], block, 1) }
}

/// Two rows at once against a panel: each weight read serves both.
#[inline(never)]
pub fn two_rows(panel: &[f32], x: [&[f32]; 2], out: [&mut [f32]; 2], block: usize) {
    let k = x[0].len();
    assert!(x[1].len() == k && panel.len() >= k * GROUP && block > 0);
    assert!(out.iter().all(|out| out.len() >= GROUP));
    let out = out.map(|out| out.as_mut_ptr());
    // SAFETY: the assertions cover every address of one group.
    unsafe { sums::<2, 1, 8, f32>(panel.as_ptr(), x, out, block, 1) }
}

/// One row against panels that lie anywhere, each added to the next 16 of `out`.
#[inline(never)]
pub fn one_row_each(panels: &[&[f32]], x: &[f32], out: &mut [f32], block: usize) {
    assert!(out.len() >= panels.len() * GROUP && block > 0);
    for (panel, out) in panels.iter().zip(out.chunks_exact_mut(GROUP)) {
        assert!(panel.len() >= x.len() * GROUP);
        // SAFETY: the assertion covers every address of one group.
        unsafe { sums::<1, 1, 4, f32>(panel.as_ptr(), [x], [out.as_mut_ptr()], block, 1) }
    }
}

/// The same of two rows at once.
#[inline(never)]
pub fn two_rows_each(panels: &[&[f32]], x: [&[f32]; 2], out: [&mut [f32]; 2], block: usize) {
    let k = x[0].len();
    assert!(x[1].len() == k && block > 0);
    assert!(out.iter().all(|out| out.len() >= panels.len() * GROUP));
    let mut out = out.map(|out| out.as_mut_ptr());
    for panel in panels {
        assert!(panel.len() >= k * GROUP);
        // SAFETY: the assertions cover every address of one group, and of as many groups of `out` as there are panels.
        unsafe {
            sums::<2, 1, 8, f32>(panel.as_ptr(), x, out, block, 1);
            out = out.map(|out| out.add(GROUP));
        }
    }
}

/// One row against as many panels as `out` has groups, one after the other in memory: a token's decode.
///
/// Several panels go side by side, because memory gives two or three streams more than one: three of f32, where
/// twelve accumulators cost less than memory takes. The three are a third of the matrix apart, so that each is one long
/// stream that the processor reads ahead in.
pub fn one_row_in_thirds(panels: &[f32], x: &[f32], out: &mut [f32]) {
    let third = out.len() / GROUP / 3;
    let (most, rest) = out.split_at_mut(3 * third * GROUP);
    let (first, last) = panels.split_at(most.len() * x.len());
    if !x.is_empty() {
        for group in 0..third {
            three_groups(first, x, most, group, third);
        }
        for (panel, out) in last.chunks_exact(GROUP * x.len()).zip(rest.chunks_exact_mut(GROUP)) {
            one_row(panel, x, out, block_of(x.len()));
        }
    }
}

/// The same of numbers that are widened, which need registers for that: a block of each of several panels in turn.
pub fn one_row_in_streams<T: Float>(panels: &[T], x: &[f32], out: &mut [f32]) {
    let groups = out.len() / GROUP;
    let apart = groups / STREAMS;
    if !x.is_empty() {
        for group in 0..apart {
            groups_in_turn::<T, STREAMS>(panels, x, out, group, apart);
        }
        for group in apart * STREAMS..groups {
            groups_in_turn::<T, 1>(panels, x, out, group, 0);
        }
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
        let out = [out[group * GROUP..].as_mut_ptr()];
        sums::<1, 3, 12, f32>(panels, [x], out, block_of(x.len()), apart);
    }
}

/// `N` groups from `group` on, `apart` groups from one another.
#[inline(never)]
fn groups_in_turn<T: Float, const N: usize>(
    panels: &[T],
    x: &[f32],
    out: &mut [f32],
    group: usize,
    apart: usize,
) {
    let (groups, size) = (group + (N - 1) * apart + 1, GROUP * x.len());
    assert!(panels.len() >= groups * size && out.len() >= groups * GROUP);
    let block = block_of(x.len());
    for (index, x) in x.chunks(block).enumerate() {
        for group in (0..N).map(|i| group + i * apart) {
            // SAFETY: the assertion covers every address up to the last of the groups.
            unsafe {
                let panel = panels.as_ptr().add(group * size + index * block * GROUP);
                sums::<1, 1, 4, T>(panel, [x], [out.as_mut_ptr().add(group * GROUP)], block, 1);
            }
        }
    }
}

/// `ROWS` rows against `GROUPS` panels, each of k * 16 values, in `SUMS` = 4 `ROWS` `GROUPS` accumulators. The panels
/// are `apart` panels from one another, and their outputs as many groups.
///
/// # Safety
/// `panels` must be readable for all of them, each of `x` be as long as the first, and each of `out` writable for 16
/// values of each panel. `block` is not 0.
#[inline(always)]
unsafe fn sums<const ROWS: usize, const GROUPS: usize, const SUMS: usize, T: Float>(
    panels: *const T,
    x: [&[f32]; ROWS],
    out: [*mut f32; ROWS],
    block: usize,
    apart: usize,
) {
    let k = x[0].len();
    let (mut x, mut weights) = (x.map(|x| x.as_ptr()), panels);
    let out_of = |i: usize| out[i % ROWS].wrapping_add((i / ROWS / 4) * apart * GROUP + i / ROWS % 4 * 4);
    // Always 0, as no slice has 2^30 floats in 4 GiB, but not to the compiler: it cannot foresee where `weights` goes,
    // and so leaves the loads below at constant offsets from it. Else it adds them up again for each load, with
    // instructions that prefill (which is bound by them) pays with 4 %.
    let zero = k >> 30;
    // SAFETY: as the caller promises.
    unsafe {
        let end = x[0].add(k);
        // Goes on by one k, with `f` of each accumulator and its product.
        let mut next =
            |x: &mut [*const f32; ROWS], sums: &mut [F32x4; SUMS], f: fn(F32x4, F32x4) -> F32x4| {
                let values = x.map(|x| F32x4::load_splat(x));
                for group in 0..GROUPS {
                    let columns = T::load(weights.add(group * apart * GROUP * k));
                    for (column, weight) in columns.into_iter().enumerate() {
                        for (row, value) in values.into_iter().enumerate() {
                            let sum = &mut sums[(4 * group + column) * ROWS + row];
                            *sum = f(*sum, weight.mul(value));
                        }
                    }
                }
                *x = x.map(|x| x.add(1));
                weights = weights.add(GROUP).map_addr(|at| at | zero);
            };
        while x[0] != end {
            let block_end = x[0].add(block.min(end.offset_from(x[0]) as usize));
            let mut sums = [F32x4::splat(0.0); SUMS];
            // The first product is the sum so far: an addition saved for the one that the block's end costs. Not where
            // accumulators are too many for registers already.
            if SUMS <= 8 {
                next(&mut x, &mut sums, |_, product| product);
            }
            while x[0] != block_end {
                next(&mut x, &mut sums, F32x4::add);
            }
            for (i, sum) in sums.into_iter().enumerate() {
                F32x4::load(out_of(i)).add(sum).store(out_of(i));
            }
        }
    }
}

/// A slice of a panel as f32, for the kernels above to use over many rows.
#[inline(never)]
pub fn widen<T: Float>(panel: &[T], out: &mut [f32]) {
    assert!(out.len() >= panel.len() && panel.len().is_multiple_of(GROUP));
    for at in (0..panel.len()).step_by(GROUP) {
        // SAFETY: `at + 16` is within both by the assertion.
        unsafe {
            for (i, values) in T::load(panel.as_ptr().add(at)).into_iter().enumerate() {
                values.store(out.as_mut_ptr().add(at + 4 * i));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;
    use crate::testing::random;

    /// Panels' columns as the type has them.
    fn placed<T: Float>(columns: &[T]) -> Vec<T> {
        let mut out = columns.to_vec();
        for (out, column) in out.chunks_exact_mut(GROUP).zip(columns.chunks_exact(GROUP)) {
            column.iter().zip(T::PLACES).for_each(|(value, place)| out[place] = *value);
        }
        out
    }

    /// One chain of additions to `start`.
    fn chain(panel: &[f32], x: &[f32], start: &[f32]) -> Vec<f32> {
        let mut out = start.to_vec();
        for (k, value) in x.iter().enumerate() {
            for (j, sum) in out.iter_mut().enumerate() {
                *sum += panel[k * GROUP + j] * value;
            }
        }
        out
    }

    fn blocks(panel: &[f32], x: &[f32], start: &[f32], block: usize) -> Vec<f32> {
        let mut out = start.to_vec();
        for (x, panel) in x.chunks(block).zip(panel.chunks(block * GROUP)) {
            let part = chain(panel, x, &[0.0; GROUP]);
            out.iter_mut().zip(part).for_each(|(out, part)| *out += part);
        }
        out
    }

    #[test]
    fn every_kernel_is_the_same_blocks_of_sums_bit_for_bit() {
        for (k, groups) in [(0, 1), (1, 2), (2, 3), (7, 4), (64, 15), (83, 1), (700, 4), (2050, 3)] {
            let halves: Vec<f16> = random(1, groups * k * GROUP).into_iter().map(f16::from_f32).collect();
            let brains: Vec<bf16> = halves.iter().map(|x| bf16::from_f32(x.to_f32())).collect();
            let wide: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
            let wide_brains: Vec<f32> = brains.iter().map(|x| x.to_f32()).collect();
            let (x0, x1, start) = (random(2, k), random(3, k), random(4, groups * GROUP));
            let block = block_of(k);
            let each = |panels: &[f32], x: &[f32]| -> Vec<f32> {
                let group = |g: usize| &panels[g * k * GROUP..(g + 1) * k * GROUP];
                let start = |g: usize| &start[g * GROUP..(g + 1) * GROUP];
                (0..groups).flat_map(|g| blocks(group(g), x, start(g), block)).collect()
            };
            let run = |f: &dyn Fn(&mut [f32])| {
                let mut out = start.clone();
                f(&mut out);
                out
            };
            assert_eq!(run(&|out| one_row_in_thirds(&wide, &x0, out)), each(&wide, &x0));
            let (halves, brains) = (placed(&halves), placed(&brains));
            assert_eq!(run(&|out| one_row_in_streams(&halves, &x0, out)), each(&wide, &x0));
            assert_eq!(run(&|out| one_row_in_streams(&brains, &x0, out)), each(&wide_brains, &x0));
            let (mut a, mut b) = (start.clone(), start.clone());
            one_row(&wide, &x0, &mut a, block);
            assert_eq!(a[..GROUP], each(&wide, &x0)[..GROUP]);
            // In two cuts at a block's end.
            a.copy_from_slice(&start);
            for (at, panel) in
                [(0..k.min(3 * block), &wide[..]), (k.min(3 * block)..k, &wide[k.min(3 * block) * GROUP..])]
            {
                two_rows(panel, [&x0[at.clone()], &x1[at]], [&mut a, &mut b], block);
            }
            assert_eq!((&a[..GROUP], &b[..GROUP]), (&each(&wide, &x0)[..GROUP], &each(&wide, &x1)[..GROUP]));
        }
    }

    #[test]
    fn long_sums_are_nearer_to_f64_than_one_chain() {
        for k in [512, 2048, 8192, 16384] {
            let (mut ours, mut chains) = (0.0, 0.0);
            for seed in 0..6 {
                let (panel, x) = (random(2 * seed, k * GROUP), random(2 * seed + 1, k));
                let mut out = [0.0; GROUP];
                one_row_in_thirds(&panel, &x, &mut out);
                let chain = chain(&panel, &x, &[0.0; GROUP]);
                for column in 0..GROUP {
                    let product = |i: usize| f64::from(panel[i * GROUP + column]) * f64::from(x[i]);
                    let want: f64 = (0..k).map(product).sum();
                    ours += (f64::from(out[column]) - want).powi(2);
                    chains += (f64::from(chain[column]) - want).powi(2);
                }
            }
            // One chain's error grows with the root of k, and blocks of the root of k with that one's root.
            let (ratio, theory) = ((ours / chains).sqrt(), (2.0 / (k as f64).sqrt()).sqrt());
            assert!(ratio < 1.5 * theory, "{k}: {ratio} of {theory}");
        }
    }

    #[test]
    fn widening_is_exact_subnormals_included() {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite()).collect();
        let halves = &halves[..halves.len() / GROUP * GROUP];
        let mut out = vec![0.0; halves.len()];
        widen(&placed(halves), &mut out);
        assert!(halves.iter().zip(&out).all(|(h, x)| h.to_f32().to_bits() == x.to_bits()));
        let brains: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        let mut out = vec![0.0; brains.len()];
        widen(&placed(&brains), &mut out);
        assert!(brains.iter().zip(&out).all(|(h, x)| u32::from(h.to_bits()) << 16 == x.to_bits()));
    }
}
