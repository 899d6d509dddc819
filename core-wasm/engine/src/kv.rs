//! The paged key-value cache. A block holds 16 tokens' keys and values of all layers, and is allocated alone.
//!
//! Both lie as panels that `kernels::panel` multiplies by: keys `[kv head][d_head][token]`, so that a query
//! against a block gives 16 scores side by side; values `[kv head][group of 16 dims][token][dim in group]`, so
//! that 16 weights against a block add to 16 outputs.

use crate::error::{Result, check_fits};
use crate::formats::{Aligned, GROUP};
use crate::slots::Slots;

/// Tokens in a block.
pub const BLOCK: usize = GROUP;

pub struct KvCache {
    n_layers: usize,
    n_kv_heads: usize,
    d_head: usize,
    blocks: Slots<Aligned<f32>>,
}

impl KvCache {
    pub fn new(n_layers: usize, n_kv_heads: usize, d_head: usize) -> Self {
        Self { n_layers, n_kv_heads, d_head, blocks: Slots::new("a KV block") }
    }

    pub fn block_bytes(&self) -> usize {
        4 * self.n_layers * self.layer_size()
    }

    /// Floats of one head's keys in a block.
    fn key_size(&self) -> usize {
        self.d_head * BLOCK
    }

    /// Floats of one head's values in a block.
    fn value_size(&self) -> usize {
        self.d_head.next_multiple_of(GROUP) * BLOCK
    }

    fn layer_size(&self) -> usize {
        self.n_kv_heads * (self.key_size() + self.value_size())
    }

    /// All of `count` blocks or none.
    pub fn alloc(&mut self, count: usize) -> Result<Vec<u32>> {
        let length = self.n_layers * self.layer_size();
        check_fits(4.0 * length as f64 * count as f64)?;
        let mut fresh = Vec::new();
        for _ in 0..count {
            fresh.push(Aligned::zeros(length)?);
        }
        let mut ids = Vec::new();
        for block in fresh {
            match self.blocks.add(block) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    ids.into_iter().try_for_each(|id| self.free(id))?;
                    return Err(error);
                }
            }
        }
        Ok(ids)
    }

    pub fn free(&mut self, id: u32) -> Result<()> {
        self.blocks.remove(id).map(|_| ())
    }

    pub fn copy(&mut self, from: u32, to: u32) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        if from != to {
            let source = core::mem::take(self.blocks.get_mut(from)?);
            self.block_mut(to).copy_from_slice(&source);
            *self.blocks.get_mut(from)? = source;
        }
        Ok(())
    }

    pub fn check(&self, id: u32) -> Result<()> {
        self.blocks.get(id).map(|_| ())
    }

    fn block(&self, id: u32) -> &[f32] {
        self.blocks.get(id).expect("blocks of a batch are checked")
    }

    fn block_mut(&mut self, id: u32) -> &mut [f32] {
        self.blocks.get_mut(id).expect("blocks of a batch are checked")
    }

    /// A panel `[d_head][token]`.
    pub fn keys(&self, block: u32, layer: usize, head: usize) -> &[f32] {
        let at = layer * self.layer_size() + head * self.key_size();
        &self.block(block)[at..at + self.key_size()]
    }

    /// Panels `[token][16 dims]`, one after the other.
    pub fn values(&self, block: u32, layer: usize, head: usize) -> &[f32] {
        let at = layer * self.layer_size() + self.n_kv_heads * self.key_size() + head * self.value_size();
        &self.block(block)[at..at + self.value_size()]
    }

    /// Writes one token's k and v, each [n_kv_heads, d_head], at place `token` of a block.
    pub fn append(&mut self, block: u32, layer: usize, token: usize, k: &[f32], v: &[f32]) {
        let (d_head, key_size, value_size) = (self.d_head, self.key_size(), self.value_size());
        let start = layer * self.layer_size();
        let middle = self.n_kv_heads * key_size;
        let layer_size = self.layer_size();
        let (keys, values) = self.block_mut(block)[start..start + layer_size].split_at_mut(middle);
        for (head, k) in k.chunks_exact(d_head).enumerate() {
            let panel = &mut keys[head * key_size..(head + 1) * key_size];
            for (dim, value) in k.iter().enumerate() {
                panel[dim * BLOCK + token] = *value;
            }
        }
        for (head, v) in v.chunks_exact(d_head).enumerate() {
            let panels = &mut values[head * value_size..(head + 1) * value_size];
            for (group, part) in v.chunks(GROUP).enumerate() {
                panels[(group * BLOCK + token) * GROUP..][..part.len()].copy_from_slice(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn blocks_are_written_copied_and_checked() {
        let mut kv = KvCache::new(2, 1, 3);
        let ids = kv.alloc(2).unwrap();
        kv.append(ids[0], 1, 5, &[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        kv.copy(ids[0], ids[1]).unwrap();
        assert_eq!(kv.keys(ids[1], 1, 0)[2 * BLOCK + 5], 3.0);
        assert_eq!(kv.values(ids[1], 1, 0)[5 * GROUP + 2], 6.0);
        assert_eq!(kv.keys(ids[1], 0, 0)[2 * BLOCK + 5], 0.0);
        kv.free(ids[0]).unwrap();
        assert!(kv.free(ids[0]).is_err() && kv.copy(ids[0], ids[1]).is_err() && kv.free(99).is_err());
        assert_ne!(kv.alloc(1).unwrap(), [ids[0]]);
        assert!(matches!(kv.alloc(usize::MAX), Err(Error::OutOfMemory { .. })));
    }
}
