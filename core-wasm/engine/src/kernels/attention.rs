//! out = softmax(cap(q K^T scale), causal, within window) V over the paged cache, grouped queries included.
//!
//! Queries that share a KV head go through its blocks together, eight at a time (several tokens, several heads
//! of the group): a block is read once for all of them. Scores are kept whole, so the softmax takes its maximum
//! first and then sums in a fixed order: blocks and spans of positions, counted from 0, added up. A query's result does
//! not depend on which others it came with.

use super::math::{exp, map4, tanh};
use super::panel::{block_of, one_row_each, two_rows_each};
use super::rows::Rows;
use super::vector::{Wide, add};
use crate::error::{Result, zeros};
use crate::formats::GROUP;
use crate::kv::{BLOCK, KvCache};
use crate::simd::F32x4;

/// Queries that share a pass over the blocks.
const TILE: usize = 8;

/// Panels of the cache that a call multiplies by: few enough to stay in a first-level cache for all queries of a tile.
const AT_ONCE: usize = 4;

/// KV blocks whose values are summed from zero, and then added to the whole: a long past is no long chain of sums.
const SPAN: usize = 32;

/// Positions whose softmax weights are summed in f32, a quarter of them in each lane.
const WEIGHTS: usize = 64;

pub struct Attention {
    pub layer: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub d_head: usize,
    pub scale: f32,
    /// Scores become softcap tanh(score / softcap).
    pub softcap: Option<f32>,
    pub window: Option<usize>,
}

/// The rows of one sequence in a step: `rows` of the buffers are the tokens from `position` on.
pub struct Sequence<'a> {
    pub first_row: usize,
    pub n_tokens: usize,
    pub position: usize,
    pub blocks: &'a [u32],
}

/// Memory for a tile's queries, scores and sums.
#[derive(Default)]
pub struct Scratch {
    q: Vec<f32>,
    scores: Vec<f32>,
    /// Of a span, [query][d_head], and of the spans before it.
    sums: Vec<f32>,
    totals: Vec<f32>,
}

impl Scratch {
    /// Enough for sequences of up to `n_blocks` blocks.
    pub fn reserve(&mut self, d_head: usize, n_blocks: usize) -> Result<()> {
        if self.q.is_empty() {
            self.q = zeros(TILE * d_head)?;
            self.sums = zeros(TILE * d_head.next_multiple_of(GROUP))?;
            self.totals = zeros(self.sums.len())?;
        }
        if self.scores.len() < TILE * n_blocks * BLOCK {
            self.scores = Vec::new();
            self.scores = zeros(TILE * n_blocks * BLOCK)?;
        }
        Ok(())
    }
}

/// A query of a tile: its row and head, and the positions it sees.
#[derive(Clone, Copy)]
struct Query {
    row: usize,
    head: usize,
    start: usize,
    end: usize,
}

pub fn attention(
    out: &mut Rows,
    qkv: &Rows,
    kv: &KvCache,
    op: &Attention,
    seq: &Sequence,
    scratch: &mut Scratch,
) {
    let group = op.n_heads / op.n_kv_heads;
    let pairs = seq.n_tokens * group;
    for kv_head in 0..op.n_kv_heads {
        for first in (0..pairs).step_by(TILE) {
            let mut queries = [Query { row: 0, head: 0, start: 0, end: 0 }; TILE];
            let count = TILE.min(pairs - first);
            for (index, query) in queries[..count].iter_mut().enumerate() {
                let (token, member) = ((first + index) / group, (first + index) % group);
                let end = seq.position + token + 1;
                *query = Query {
                    row: seq.first_row + token,
                    head: kv_head * group + member,
                    start: op.window.map_or(0, |window| end.saturating_sub(window)),
                    end,
                };
            }
            tile(out, qkv, kv, op, seq.blocks, kv_head, &queries[..count], scratch);
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn tile(
    out: &mut Rows,
    qkv: &Rows,
    kv: &KvCache,
    op: &Attention,
    blocks: &[u32],
    kv_head: usize,
    queries: &[Query],
    scratch: &mut Scratch,
) {
    let d_head = op.d_head;
    let first_block = queries[0].start / BLOCK;
    let end = queries[queries.len() - 1].end;
    let blocks = &blocks[first_block..end.div_ceil(BLOCK)];
    let length = blocks.len() * BLOCK;
    let origin = first_block * BLOCK;

    for (query, q) in queries.iter().zip(scratch.q.chunks_exact_mut(d_head)) {
        q.copy_from_slice(&qkv.row(query.row)[query.head * d_head..(query.head + 1) * d_head]);
    }
    let scores = &mut scratch.scores[..queries.len() * length];
    scores.fill(0.0);
    for (index, blocks) in blocks.chunks(AT_ONCE).enumerate() {
        let mut panels = [&[][..]; AT_ONCE];
        for (panel, &block) in panels.iter_mut().zip(blocks) {
            *panel = kv.keys(block, op.layer, kv_head);
        }
        let at = index * AT_ONCE * BLOCK;
        products(&panels[..blocks.len()], &scratch.q, d_head, 0..d_head, scores, length, at, queries.len());
    }

    let mut weights = [0.0; TILE];
    for ((query, scores), weight) in queries.iter().zip(scores.chunks_exact_mut(length)).zip(&mut weights) {
        *weight = softmax(scores, query.start - origin..query.end - origin, origin, op);
    }

    let padded = d_head.next_multiple_of(GROUP);
    let totals = &mut scratch.totals[..queries.len() * padded];
    let sums = &mut scratch.sums[..queries.len() * padded];
    totals.fill(0.0);
    sums.fill(0.0);
    for (index, &block) in blocks.iter().enumerate() {
        if (first_block + index).is_multiple_of(SPAN) {
            add(totals, sums);
            sums.fill(0.0);
        }
        let filled = BLOCK.min(end - origin - index * BLOCK);
        let tokens = index * BLOCK..index * BLOCK + filled;
        for (index, chunk) in kv.values(block, op.layer, kv_head).chunks(AT_ONCE * BLOCK * GROUP).enumerate()
        {
            let mut panels = [&[][..]; AT_ONCE];
            let parts = chunk.chunks_exact(BLOCK * GROUP);
            let count = parts.len();
            panels.iter_mut().zip(parts).for_each(|(panel, part)| *panel = part);
            let at = index * AT_ONCE * GROUP;
            products(&panels[..count], scores, length, tokens.clone(), sums, padded, at, queries.len());
        }
    }
    add(totals, sums);
    for ((query, totals), weight) in queries.iter().zip(totals.chunks_exact(padded)).zip(weights) {
        let out = &mut out.row_mut(query.row)[query.head * d_head..(query.head + 1) * d_head];
        divide(out, &totals[..d_head], weight);
    }
}

#[inline(never)]
fn divide(out: &mut [f32], values: &[f32], by: f32) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value / by;
    }
}

/// `count` rows of x (their elements `k`) against panels, two by two, added to `out` from `column` on.
#[allow(clippy::too_many_arguments)]
fn products(
    panels: &[&[f32]],
    x: &[f32],
    x_stride: usize,
    k: core::ops::Range<usize>,
    out: &mut [f32],
    out_stride: usize,
    column: usize,
    count: usize,
) {
    let block = block_of(k.len());
    let x = |row: usize| &x[row * x_stride + k.start..row * x_stride + k.end];
    let mut outs = out.chunks_exact_mut(out_stride);
    for row in (0..count).step_by(2) {
        let a = outs.next().expect("a row of out for each of x");
        if row + 1 < count {
            let b = outs.next().expect("a row of out for each of x");
            two_rows_each(panels, [x(row), x(row + 1)], [&mut a[column..], &mut b[column..]], block);
        } else {
            one_row_each(panels, x(row), &mut a[column..], block);
        }
    }
}

/// Makes scores weights, which are to be divided by the sum that is returned; outside `visible` they become 0. `origin` is the
/// position of the first.
fn softmax(scores: &mut [f32], visible: core::ops::Range<usize>, origin: usize, op: &Attention) -> f32 {
    let mut scale = op.scale;
    if let Some(cap) = op.softcap {
        apply_softcap(scores, scale, cap);
        scale = 1.0;
    }
    scores[..visible.start].fill(f32::NEG_INFINITY);
    scores[visible.end..].fill(f32::NEG_INFINITY);
    let highest = highest(scores) * scale;
    exponentials(scores, scale, highest);
    scores[..visible.start].fill(0.0);
    scores[visible.end..].fill(0.0);
    sum(scores, origin)
}

/// values = cap tanh(values scale / cap)
#[inline(never)]
pub fn apply_softcap(values: &mut [f32], scale: f32, cap: f32) {
    let (factor, cap) = (F32x4::splat(scale / cap), F32x4::splat(cap));
    map4(values, |value| tanh(value.mul(factor)).mul(cap));
}

#[inline(never)]
fn highest(scores: &[f32]) -> f32 {
    let mut best = F32x4::splat(f32::NEG_INFINITY);
    for four in scores.chunks_exact(4) {
        // SAFETY: a chunk is four floats.
        best = best.max(unsafe { F32x4::load(four.as_ptr()) });
    }
    best.lanes().into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(never)]
fn exponentials(scores: &mut [f32], scale: f32, highest: f32) {
    let (scale, highest) = (F32x4::splat(scale), F32x4::splat(highest));
    map4(scores, |score| exp(score.mul(scale).sub(highest)));
}

/// Blocks are counted from position 0: one that begins before `origin` has only zeros there.
#[inline(never)]
fn sum(weights: &[f32], origin: usize) -> f32 {
    let mut total = Wide::default();
    let (first, rest) = weights.split_at(weights.len().min(WEIGHTS - origin % WEIGHTS));
    for block in core::iter::once(first).chain(rest.chunks(WEIGHTS)) {
        let mut sum = F32x4::splat(0.0);
        for four in block.chunks_exact(4) {
            // SAFETY: a chunk is four floats.
            sum = sum.add(unsafe { F32x4::load(four.as_ptr()) });
        }
        total.add(sum);
    }
    total.sum() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{random, rows};

    struct Case {
        op: Attention,
        qkv: Rows,
        kv: KvCache,
        blocks: Vec<u32>,
        n: usize,
    }

    /// `n` tokens in the cache, all of them queries.
    fn case(n: usize, n_heads: usize, n_kv_heads: usize, d_head: usize, window: Option<usize>) -> Case {
        let softcap = if n_heads == n_kv_heads { Some(0.4) } else { None };
        let op = Attention { layer: 1, n_heads, n_kv_heads, d_head, scale: 0.3, softcap, window };
        let width = (n_heads + 2 * n_kv_heads) * d_head;
        let qkv = rows(&random(7, n * width), width);
        let mut kv = KvCache::new(2, n_kv_heads, d_head);
        let mut blocks = kv.alloc(n.div_ceil(BLOCK) + 1).unwrap();
        blocks.reverse();
        for t in 0..n {
            let (k, v) = qkv.row(t)[n_heads * d_head..].split_at(n_kv_heads * d_head);
            kv.append(blocks[t / BLOCK], 1, t % BLOCK, k, v);
        }
        Case { op, qkv, kv, blocks, n }
    }

    fn run(case: &Case, position: usize, n_tokens: usize) -> Rows {
        let mut out =
            rows(&vec![0.0; case.n * case.op.n_heads * case.op.d_head], case.op.n_heads * case.op.d_head);
        let mut scratch = Scratch::default();
        scratch.reserve(case.op.d_head, case.blocks.len()).unwrap();
        let seq = Sequence { first_row: position, n_tokens, position, blocks: &case.blocks };
        attention(&mut out, &case.qkv, &case.kv, &case.op, &seq, &mut scratch);
        out
    }

    fn truth(case: &Case, t: usize, head: usize) -> Vec<f64> {
        let Attention { n_heads, n_kv_heads, d_head, scale, softcap, window, .. } = case.op;
        let at = |row: usize, head: usize| {
            case.qkv.row(row)[head * d_head..(head + 1) * d_head].iter().map(|x| f64::from(*x))
        };
        let kv_head = head / (n_heads / n_kv_heads);
        let seen = window.map_or(0, |window| (t + 1).saturating_sub(window))..t + 1;
        let dot = |s: usize| at(t, head).zip(at(s, n_heads + kv_head)).map(|(q, k)| q * k).sum::<f64>();
        let capped = |score: f64| softcap.map(f64::from).map_or(score, |cap| cap * (score / cap).tanh());
        let weights: Vec<f64> = seen.clone().map(|s| capped(dot(s) * f64::from(scale)).exp()).collect();
        let (mut out, total) = (vec![0.0; d_head], weights.iter().sum::<f64>());
        for (s, weight) in seen.zip(&weights) {
            for (sum, v) in out.iter_mut().zip(at(s, n_heads + n_kv_heads + kv_head)) {
                *sum += weight / total * v;
            }
        }
        out
    }

    #[test]
    fn matches_f64_and_is_the_same_bits_in_any_cut() {
        for (n, n_heads, n_kv_heads, d_head, window) in
            [(1, 1, 1, 4, None), (37, 6, 2, 10, None), (50, 4, 4, 16, Some(20)), (33, 20, 2, 18, Some(3))]
        {
            let case = case(n, n_heads, n_kv_heads, d_head, window);
            let whole = run(&case, 0, n);
            for t in 0..n {
                assert_eq!(run(&case, t, 1).row(t), whole.row(t));
                for head in 0..n_heads {
                    let got = &whole.row(t)[head * d_head..];
                    for (got, want) in got.iter().zip(truth(&case, t, head)) {
                        assert!((f64::from(*got) - want).abs() < 1e-6);
                    }
                }
            }
            let late = run(&case, n / 3, n - n / 3);
            assert!((n / 3..n).all(|t| late.row(t) == whole.row(t)));
        }
    }

    #[test]
    fn a_long_past_is_the_same_bits_in_any_cut() {
        for window in [None, Some(700)] {
            let case = case(1600, 2, 1, 16, window);
            // The last tokens together, in chunks that begin before and behind a span's end, and alone.
            let whole = run(&case, 1500, 100);
            for (start, end) in [(1536, 1600), (1535, 1537), (1530, 1600), (1599, 1600)] {
                let cut = run(&case, start, end - start);
                assert!((start..end).all(|t| cut.row(t) == whole.row(t)));
            }
        }
    }

    #[test]
    fn a_long_past_is_no_long_chain() {
        let n = 20_000;
        let mut case = case(n, 1, 1, 16, None);
        // Scores of 0, so that every weight is 1.
        case.qkv.row_mut(n - 1)[..16].fill(0.0);
        let (out, want) = (run(&case, n - 1, 1), truth(&case, n - 1, 0));
        let squares = |f: &dyn Fn(usize) -> f64| (0..16).map(|i| f(i).powi(2)).sum::<f64>().sqrt();
        let error = squares(&|i| f64::from(out.row(n - 1)[i]) - want[i]) / squares(&|i| want[i]);
        assert!(error < 6e-7, "{error:e}");
    }

    #[test]
    fn weights_are_summed_alike_wherever_a_window_begins() {
        let weights: Vec<f32> = random(5, 400).iter().map(|x| x.abs()).collect();
        let want: f64 = weights.iter().copied().map(f64::from).sum();
        for origin in [0, 16, 48, 64, 336] {
            let mut seen = weights.clone();
            seen[..origin].fill(0.0);
            assert_eq!(sum(&seen, 0), sum(&seen[origin..], origin));
        }
        assert!((f64::from(sum(&weights, 0)) / want - 1.0).abs() < 1e-7);
    }
}
