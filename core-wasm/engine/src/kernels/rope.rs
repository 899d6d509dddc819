//! In place on q and k: a norm over each head where the model has one, then the rotation by position.

use serde::Deserialize;

use super::norm::{Norm, NormKind, norm_row};
use crate::error::{Error, Result, bad_request};

/// cos and sin of `position * inv_freq`, [positions, half], as the host computed them.
pub struct RopeTable {
    pub half: usize,
    pub positions: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    pub fn new(d_rot: usize) -> Self {
        Self { half: d_rot / 2, positions: 0, cos: Vec::new(), sin: Vec::new() }
    }

    /// Appends rows: all their cosines, then all their sines.
    pub fn extend(&mut self, values: &[f32]) -> Result<()> {
        let (cos, sin) = values.split_at(values.len() / 2);
        if self.half == 0 || cos.len() != sin.len() || cos.len() % self.half != 0 {
            return bad_request("rope rows of another width");
        }
        let memory = |_| Error::OutOfMemory { bytes: size_of_val(values) };
        self.cos.try_reserve_exact(cos.len()).map_err(memory)?;
        self.sin.try_reserve_exact(sin.len()).map_err(memory)?;
        self.cos.extend_from_slice(cos);
        self.sin.extend_from_slice(sin);
        self.positions = self.cos.len() / self.half;
        Ok(())
    }
}

/// Which elements of a head are rotated as pairs: half of the rotated part apart, or side by side.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RopeLayout {
    Half,
    Interleaved,
}

/// What `rope` does to each head of q and of k before the rotation. A weight is [d_head], or one for each head.
pub struct HeadNorms<'a> {
    pub kind: NormKind,
    pub q: Option<&'a [f32]>,
    pub k: Option<&'a [f32]>,
    pub eps: f64,
}

/// q of position p is multiplied by 1 + beta ln(1 + floor(p / every)).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QScale {
    pub beta: f64,
    pub every: usize,
}

impl QScale {
    pub fn at(&self, position: usize) -> f32 {
        (1.0 + self.beta * ((1 + position / self.every) as f64).ln()) as f32
    }
}

/// One row's q and k: `heads` is [n_heads + n_kv_heads, d_head], the first `n_heads` of them q.
pub fn rope(
    heads: &mut [f32],
    d_head: usize,
    n_heads: usize,
    norms: &HeadNorms,
    table: Option<(&RopeTable, RopeLayout)>,
    position: usize,
) {
    for (index, head) in heads.chunks_exact_mut(d_head).enumerate() {
        let (weight, index) = if index < n_heads { (norms.q, index) } else { (norms.k, index - n_heads) };
        if let Some(weight) = weight {
            let start = if weight.len() == d_head { 0 } else { index * d_head };
            let weight = &weight[start..start + d_head];
            norm_row(head, &Norm { kind: norms.kind, weight, bias: None, eps: norms.eps });
        }
        if let Some((table, layout)) = table {
            let at = position * table.half..(position + 1) * table.half;
            let (cos, sin) = (&table.cos[at.clone()], &table.sin[at]);
            match layout {
                RopeLayout::Half => rotate(head, cos, sin),
                RopeLayout::Interleaved => rotate_pairs(head, cos, sin),
            }
        }
    }
}

/// Pairs element j of the first half with element j of the second.
#[inline(never)]
fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(cos.len());
    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

/// Pairs element 2j with element 2j + 1.
#[inline(never)]
fn rotate_pairs(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    for (pair, (cos, sin)) in head.chunks_exact_mut(2).zip(cos.iter().zip(sin)) {
        (pair[0], pair[1]) = (pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_the_first_dims_and_leaves_the_rest() {
        let mut table = RopeTable::new(4);
        table.extend(&[1.0, 1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
        let norms = HeadNorms { kind: NormKind::Rms, q: None, k: None, eps: 0.0 };
        let heads = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        let rotated = |layout: RopeLayout| {
            let mut heads = heads;
            rope(&mut heads, 5, 1, &norms, Some((&table, layout)), 1);
            heads
        };
        assert_eq!(rotated(RopeLayout::Half), [-3.0, -2.0, 1.0, -4.0, 5.0, -8.0, -7.0, 6.0, -9.0, 10.0]);
        assert_eq!(
            rotated(RopeLayout::Interleaved),
            [-2.0, 1.0, -3.0, -4.0, 5.0, -7.0, 6.0, -8.0, -9.0, 10.0]
        );
    }

    #[test]
    fn scales_q_by_how_often_its_position_passed_a_length() {
        let scale = QScale { beta: 0.5, every: 10 };
        let factors = [0, 9, 10, 29, 30].map(|position| scale.at(position));
        assert_eq!(factors, [1.0, 1.0, 1.346_573_6, 1.549_306_2, 1.693_147_2]);
    }

    #[test]
    fn norms_q_and_k_heads_by_their_own_weights() {
        let norms = HeadNorms { kind: NormKind::Rms, q: Some(&[1.0, 1.0]), k: Some(&[2.0, 0.0]), eps: 0.0 };
        let mut heads = vec![3.0, 3.0, 5.0, 5.0];
        rope(&mut heads, 2, 1, &norms, None, 0);
        assert_eq!(heads, [1.0, 1.0, 2.0, 0.0]);
        let own = HeadNorms { kind: NormKind::Layer, q: Some(&[1.0, 1.0, 2.0, 3.0]), k: None, eps: 0.0 };
        let mut heads = vec![3.0, 7.0, 1.0, 5.0, 9.0, 9.0];
        rope(&mut heads, 2, 2, &own, None, 0);
        assert_eq!(heads, [-1.0, 1.0, -2.0, 3.0, 9.0, 9.0]);
    }
}
