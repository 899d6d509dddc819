//! A program with its weights, its cache, and what callers keep on the device.

use crate::batch::{Entry, EntryResult};
use crate::error::{Result, bad_request, check_fits, zeros};
use crate::formats::{FileDtype, Matrix};
use crate::hooks::{Accumulator, HookSet};
use crate::kernels::attention;
use crate::kernels::experts;
use crate::kernels::rope::RopeTable;
use crate::kernels::rows::Rows;
use crate::kv::{BLOCK, KvCache};
use crate::packed::PackedReader;
use crate::program::{Buffer, Op, Program, Site, WeightKind, WeightSlot, Widths};
use crate::slots::Slots;

pub enum Weight {
    /// One, or one for each expert.
    Matrices(Vec<Box<dyn Matrix>>),
    Vector(Vec<f32>),
}

pub struct Model {
    pub program: Program,
    pub weights: Vec<Weight>,
    pub ropes: Vec<RopeTable>,
    pub kv: KvCache,
    pub hooks: Slots<HookSet>,
    pub accumulators: Slots<Accumulator>,
    pub state: State,
}

/// What a step works in. It grows to what the largest step needed.
pub struct State {
    buffers: Vec<Rows>,
    pub attention: attention::Scratch,
    pub experts: experts::Scratch,
    /// What products work in (`Matrix::scratch`).
    pub matmul_scratch: Vec<f32>,
    pub sampling: Vec<f32>,
    /// Captures and projections of the last step.
    pub values: Vec<f32>,
}

impl State {
    fn new(program: &Program) -> Result<Self> {
        let (n_experts, d_expert) = program.experts();
        Ok(Self {
            buffers: Widths::BUFFERS.map(|buffer| Rows::new(program.buffers.of(buffer))).into(),
            attention: attention::Scratch::default(),
            experts: experts::Scratch::new(program.d_model, d_expert, n_experts),
            matmul_scratch: Vec::new(),
            sampling: Vec::new(),
            values: Vec::new(),
        })
    }

    pub fn rows(&self, buffer: Buffer) -> &Rows {
        &self.buffers[buffer as usize]
    }

    pub fn rows_mut(&mut self, buffer: Buffer) -> &mut Rows {
        &mut self.buffers[buffer as usize]
    }

    /// Takes a buffer out, to be written while others are read; `put` brings it back.
    pub fn take(&mut self, buffer: Buffer) -> Rows {
        core::mem::take(self.rows_mut(buffer))
    }

    pub fn put(&mut self, buffer: Buffer, rows: Rows) {
        *self.rows_mut(buffer) = rows;
    }
}

impl Model {
    /// Allocates every weight, as zeros, to be written by `write_rows`.
    pub fn new(program: Program) -> Result<Self> {
        let bytes: f64 = program.weights.iter().map(WeightSlot::bytes).sum();
        check_fits(bytes)?;
        let weights = program.weights.iter().map(alloc_weight).collect::<Result<_>>()?;
        Ok(Self {
            weights,
            ropes: program.ropes.iter().map(|&d_rot| RopeTable::new(d_rot)).collect(),
            kv: KvCache::new(program.n_layers, program.n_kv_heads, program.d_head),
            hooks: Slots::new("a hook set"),
            accumulators: Slots::new("an accumulator"),
            state: State::new(&program)?,
            program,
        })
    }

    pub fn weight_bytes(&self) -> usize {
        let bytes = |weight: &Weight| match weight {
            Weight::Matrices(matrices) => matrices.iter().map(|matrix| matrix.bytes()).sum(),
            Weight::Vector(vector) => size_of_val(vector.as_slice()),
        };
        self.weights.iter().map(bytes).sum()
    }

    /// Rows of a matrix (of experts: of one of them, counted over all), or elements of a vector, from `start` on, as
    /// a file holds them.
    pub fn write_rows(&mut self, slot: usize, start: usize, bytes: &[u8], dtype: FileDtype) -> Result<()> {
        let Some(weight) = self.weights.get_mut(slot) else {
            return bad_request(format!("a weight of the program, found slot {slot}"));
        };
        match weight {
            Weight::Matrices(matrices) => {
                let (height, row_bytes) = (matrices[0].rows(), matrices[0].cols() * dtype.size());
                let rows = bytes.len() / row_bytes;
                match matrices.get_mut(start / height) {
                    Some(matrix)
                        if bytes.len().is_multiple_of(row_bytes) && start % height + rows <= height =>
                    {
                        matrix.write_rows(start % height, bytes, dtype)
                    }
                    _ => bad_request(format!("whole rows within weight {slot}")),
                }
            }
            Weight::Vector(vector) => {
                if start + bytes.len() / dtype.size() > vector.len() {
                    return bad_request(format!("elements within weight {slot}"));
                }
                dtype.decode_finite(bytes, &mut vector[start..])
            }
        }
    }

    pub fn add_hooks(&mut self, bytes: &[u8]) -> Result<u32> {
        let mut packed = PackedReader::new(bytes);
        let set = HookSet::read(&mut packed, self.program.d_model)?;
        packed.finish()?;
        self.check_sites(set.sites())?;
        self.hooks.add(set)
    }

    pub fn add_accumulator(&mut self, bytes: &[u8]) -> Result<u32> {
        let sites = PackedReader::new(bytes).u32s(bytes.len() / 4)?;
        self.check_sites(sites.iter().copied())?;
        self.accumulators.add(Accumulator::new(sites, self.program.d_model)?)
    }

    /// A site that no op passes would be a hook that silently does nothing.
    fn check_sites(&self, mut sites: impl Iterator<Item = Site>) -> Result<()> {
        let passes = |site: Site| {
            self.program.ops.iter().any(|op| match op {
                Op::Embed { sites, .. } => sites.contains(&site),
                Op::ResidualAdd { in_site, sites, .. } => *in_site == site || sites.contains(&site),
                _ => false,
            })
        };
        match sites.find(|&site| !passes(site)) {
            None => Ok(()),
            Some(site) => bad_request(format!("a site that the program passes, found site {site}")),
        }
    }

    /// Refuses what a step could not run, before anything runs.
    pub fn check_entry(&self, entry: &Entry) -> Result<()> {
        let Some(end) = entry.position.checked_add(entry.tokens.len()) else {
            return bad_request(format!("a position, found {}", entry.position));
        };
        if entry.blocks.len() < end.div_ceil(BLOCK) {
            let found = entry.blocks.len();
            return bad_request(format!(
                "{} KV blocks for {end} positions, found {found}",
                end.div_ceil(BLOCK)
            ));
        }
        entry.blocks.iter().try_for_each(|&block| self.kv.check(block))?;
        if let Some(rows) = self.positions().filter(|&rows| rows < end) {
            return bad_request(format!("positions below {rows}, found {}", end - 1));
        }
        let by_length = &self.program.ropes_by_length;
        let mut tables = self.ropes.iter().enumerate().filter(|(id, _)| !by_length.contains(id));
        if let Some((_, table)) = tables.find(|(_, table)| table.positions < end) {
            return bad_request(format!("rope rows up to position {end}, found {}", table.positions));
        }
        if entry.hooks != 0 {
            self.hooks.get(entry.hooks)?;
        }
        entry.accumulate.iter().try_for_each(|a| self.accumulators.get(a.id).map(|_| ()))?;
        self.check_sites(entry.captures.iter().copied())
    }

    /// How many positions a model that learned them knows.
    fn positions(&self) -> Option<usize> {
        self.program.ops.iter().find_map(|op| match op {
            Op::Embed { positions, .. } => positions.map(|id| self.program.weights[id].rows),
            _ => None,
        })
    }

    /// Memory for a step, all of it: nothing after this can run out.
    pub fn reserve(&mut self, batch: &[Entry]) -> Result<()> {
        let n_rows = batch.iter().map(|entry| entry.tokens.len()).sum();
        let n_logits = batch.iter().map(Entry::logit_rows).sum();
        for buffer in Widths::BUFFERS {
            let count = if matches!(buffer, Buffer::Last | Buffer::Logits) { n_logits } else { n_rows };
            self.state.rows_mut(buffer).reserve(count)?;
        }
        let blocks = |entry: &Entry| (entry.position + entry.tokens.len()).div_ceil(BLOCK);
        let n_blocks = batch.iter().map(blocks).max().unwrap_or(0);
        self.reserve_matmul_scratch(n_rows)?;
        if self.program.experts().0 > 0 {
            self.state.experts.reserve(n_rows)?;
        }
        self.state.attention.reserve(self.program.d_head, n_blocks)?;
        if batch.iter().any(|entry| entry.sample.is_some()) {
            let missing = self.program.d_vocab.saturating_sub(self.state.sampling.len());
            self.state.sampling.try_reserve_exact(missing)?;
        }
        Ok(())
    }

    fn reserve_matmul_scratch(&mut self, n_rows: usize) -> Result<()> {
        // Those of one slot are of one size and format.
        let of = |weight: &Weight| match weight {
            Weight::Matrices(matrices) => matrices[0].scratch(n_rows),
            Weight::Vector(_) => 0,
        };
        let needed = self.weights.iter().map(of).max().unwrap_or(0);
        if self.state.matmul_scratch.len() < needed {
            self.state.matmul_scratch = Vec::new();
            self.state.matmul_scratch = zeros(needed)?;
        }
        Ok(())
    }

    /// Empty results, with memory for each entry's captures and projections.
    pub fn prepare_results(&mut self, batch: &[Entry]) -> Result<Vec<EntryResult>> {
        let (mut at, mut row, mut results) = (0, 0, Vec::new());
        for entry in batch {
            let n_tokens = entry.tokens.len();
            let mut take = |count: usize| {
                at += count;
                at - count..at
            };
            let n_projections = if entry.hooks == 0 { 0 } else { self.hooks.get(entry.hooks)?.n_projections };
            results.push(EntryResult {
                non_finite: None,
                token: -1,
                logprobs: None,
                logits: row..row + entry.logit_rows(),
                captures: take(entry.captures.len() * n_tokens * self.program.d_model),
                projections: take(n_projections * n_tokens),
            });
            row += entry.logit_rows();
        }
        self.state.values = Vec::new();
        self.state.values = zeros(at)?;
        Ok(results)
    }
}

fn alloc_weight(slot: &WeightSlot) -> Result<Weight> {
    Ok(match slot.kind {
        WeightKind::Matrix => {
            let matrix = |_| slot.stored.alloc(slot.rows, slot.cols);
            Weight::Matrices((0..slot.count).map(matrix).collect::<Result<_>>()?)
        }
        WeightKind::Vector => Weight::Vector(zeros(slot.cols)?),
    })
}
