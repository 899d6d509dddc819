//! One step: the whole program, once, over a ragged batch.

use core::ops::Range;

use crate::batch::{Entry, EntryResult, NonFinite};
use crate::error::Result;
use crate::formats::Matrix;
use crate::hooks::{Accumulator, Hook, HookSet, RowContext};
use crate::kernels::act::{act, gated};
use crate::kernels::attention::{Attention, Sequence, apply_softcap, attention};
use crate::kernels::experts::{Experts, choose, experts};
use crate::kernels::matmul::matmul;
use crate::kernels::norm::{Norm, norm, norm_row};
use crate::kernels::rope::{HeadNorms, QScale, RopeLayout, RopeTable, rope};
use crate::kernels::rows::Rows;
use crate::kernels::vector::{add, all_finite, scale};
use crate::kv::{BLOCK, KvCache};
use crate::model::{Model, State, Weight};
use crate::program::{Buffer, Columns, Op, Program, Site};
use crate::sample::{logprobs, sample};
use crate::slots::Slots;

/// Results in the batch's order. On an error nothing was run and nothing changed.
pub fn step(model: &mut Model, batch: &[Entry]) -> Result<Vec<EntryResult>> {
    batch.iter().try_for_each(|entry| model.check_entry(entry))?;
    model.reserve(batch)?;
    let mut results = model.prepare_results(batch)?;
    let mut row = 0;
    let spans = batch.iter().map(|entry| {
        row += entry.tokens.len();
        row - entry.tokens.len()..row
    });
    let spans: Vec<_> = spans.collect();
    let Model { program, weights, ropes, kv, hooks, accumulators, state } = model;
    let mut run = StepRun {
        program,
        weights,
        ropes,
        kv,
        hooks,
        accumulators,
        state,
        batch,
        spans,
        results: &mut results,
    };
    for op in &program.ops {
        run.op(op);
    }
    run.count_accumulated();
    Ok(results)
}

struct StepRun<'a> {
    program: &'a Program,
    weights: &'a [Weight],
    ropes: &'a [RopeTable],
    kv: &'a mut KvCache,
    hooks: &'a Slots<HookSet>,
    accumulators: &'a mut Slots<Accumulator>,
    state: &'a mut State,
    batch: &'a [Entry],
    /// Rows of each entry, up to `gather`.
    spans: Vec<Range<usize>>,
    results: &'a mut [EntryResult],
}

impl<'a> StepRun<'a> {
    fn op(&mut self, op: &Op) {
        match op {
            Op::Embed { weight, positions, scale, out, sites } => {
                self.embed(*weight, *positions, *scale, *out, sites)
            }
            Op::Norm { kind, input, out, columns, weight, bias, eps } => {
                let bias = bias.map(|id| self.vector(id));
                let op = Norm { kind: *kind, weight: self.vector(*weight), bias, eps: *eps };
                self.norm(*input, *out, *columns, &op);
            }
            Op::Matmul { input, out, weight, bias } => self.matmul(*input, *out, *weight, *bias),
            Op::Logits { input, out, weight, bias, scale, softcap } => {
                self.matmul(*input, *out, *weight, *bias);
                self.scale_logits(*out, *scale, *softcap);
            }
            Op::Rope { buffer, n_heads, rope, layout, norm, q_norm, k_norm, eps, q_scale } => {
                let vector = |id: Option<usize>| id.map(|id| self.vector(id));
                let norms = HeadNorms { kind: *norm, q: vector(*q_norm), k: vector(*k_norm), eps: *eps };
                self.rope(*buffer, *n_heads, rope.map(|id| (id, *layout)), &norms);
                if let Some(q_scale) = q_scale {
                    self.scale_q(*buffer, *n_heads, q_scale);
                }
            }
            Op::KvAppend { input, layer } => self.kv_append(*input, *layer),
            Op::Attention { input, out, layer, n_heads, scale, softcap, window } => {
                let (n_kv_heads, d_head) = (self.program.n_kv_heads, self.program.d_head);
                let op = Attention {
                    layer: *layer,
                    n_heads: *n_heads,
                    n_kv_heads,
                    d_head,
                    scale: *scale,
                    softcap: *softcap,
                    window: *window,
                };
                self.attention(*input, *out, &op);
            }
            Op::GatedAct { input, out, activation } => {
                let mut rows = self.state.take(*out);
                gated(&mut rows, self.state.rows(*input), *activation);
                self.state.put(*out, rows);
            }
            Op::Act { input, out, activation } => {
                let mut rows = self.state.take(*out);
                act(&mut rows, self.state.rows(*input), *activation);
                self.state.put(*out, rows);
            }
            Op::Router { input, out, weight, top_k, renormalise } => {
                self.router(*input, *out, *weight, *top_k, *renormalise)
            }
            Op::Experts { input, routes, out, gate_up, down, top_k, activation } => {
                let (gate_up, down) = (self.matrices(*gate_up), self.matrices(*down));
                let op = Experts { gate_up, down, top_k: *top_k, activation: *activation };
                self.experts(*input, *routes, *out, &op);
            }
            Op::ResidualAdd { input, into, scale, in_site, sites } => {
                self.residual_add(*input, *into, *scale, *in_site, sites)
            }
            Op::Gather { input, out } => self.gather(*input, *out),
            Op::Sample { input } => self.sample(*input),
        }
    }

    fn vector(&self, id: usize) -> &'a [f32] {
        match &self.weights[id] {
            Weight::Vector(vector) => vector,
            Weight::Matrices(_) => unreachable!("the program's check says which weights are vectors"),
        }
    }

    fn matrix(&self, id: usize) -> &'a dyn Matrix {
        &*self.matrices(id)[0]
    }

    fn matrices(&self, id: usize) -> &'a [Box<dyn Matrix>] {
        match &self.weights[id] {
            Weight::Matrices(matrices) => matrices,
            Weight::Vector(_) => unreachable!("the program's check says which weights are matrices"),
        }
    }

    fn embed(&mut self, weight: usize, positions: Option<usize>, factor: f32, out: Buffer, sites: &[Site]) {
        let table = self.matrix(weight);
        let learned = positions.map(|id| self.matrix(id));
        let mut h = self.state.take(out);
        h.set_count(self.spans.last().map_or(0, |span| span.end));
        for (entry, span) in self.batch.iter().zip(&self.spans) {
            for (index, row) in span.clone().enumerate() {
                let h = h.row_mut(row);
                table.read_row(entry.tokens[index] as usize, h);
                if factor != 1.0 {
                    scale(h, factor);
                }
                if let Some(learned) = learned {
                    learned.add_row(entry.position + index, h);
                }
            }
        }
        for entry in 0..self.batch.len() {
            let site_actions = self.site_actions(entry, sites);
            self.apply_at_sites(entry, &mut h, &site_actions);
        }
        self.state.put(out, h);
    }

    fn norm(&mut self, input: Buffer, out: Buffer, columns: Option<Columns>, op: &Norm) {
        let mut rows = self.state.take(out);
        if input == out {
            let Columns { start, end } = columns.unwrap_or(Columns { start: 0, end: rows.width });
            for row in 0..rows.count {
                norm_row(&mut rows.row_mut(row)[start..end], op);
            }
        } else {
            norm(&mut rows, self.state.rows(input), op);
        }
        self.state.put(out, rows);
    }

    fn scale_logits(&mut self, out: Buffer, factor: f32, softcap: Option<f32>) {
        let rows = self.state.rows_mut(out);
        for row in 0..rows.count {
            match softcap {
                Some(cap) => apply_softcap(rows.row_mut(row), factor, cap),
                None if factor != 1.0 => scale(rows.row_mut(row), factor),
                None => {}
            }
        }
    }

    fn router(&mut self, input: Buffer, out: Buffer, weight: usize, top_k: usize, renormalise: bool) {
        let (mut routes, mut scratch) = (self.state.take(out), core::mem::take(&mut self.state.experts));
        let mut matmul_scratch = core::mem::take(&mut self.state.matmul_scratch);
        matmul(&mut scratch.logits, self.state.rows(input), self.matrix(weight), None, &mut matmul_scratch);
        choose(&mut routes, &mut scratch.logits, top_k, renormalise);
        (self.state.matmul_scratch, self.state.experts) = (matmul_scratch, scratch);
        self.state.put(out, routes);
    }

    fn experts(&mut self, input: Buffer, routes: Buffer, out: Buffer, op: &Experts) {
        let (mut rows, mut scratch) = (self.state.take(out), core::mem::take(&mut self.state.experts));
        let mut matmul_scratch = core::mem::take(&mut self.state.matmul_scratch);
        let (x, routes) = (self.state.rows(input), self.state.rows(routes));
        experts(&mut rows, x, routes, op, &mut scratch, &mut matmul_scratch);
        (self.state.matmul_scratch, self.state.experts) = (matmul_scratch, scratch);
        self.state.put(out, rows);
    }

    fn matmul(&mut self, input: Buffer, out: Buffer, weight: usize, bias: Option<usize>) {
        let mut rows = self.state.take(out);
        let mut matmul_scratch = core::mem::take(&mut self.state.matmul_scratch);
        let bias = bias.map(|id| self.vector(id));
        matmul(&mut rows, self.state.rows(input), self.matrix(weight), bias, &mut matmul_scratch);
        self.state.matmul_scratch = matmul_scratch;
        self.state.put(out, rows);
    }

    fn rope(
        &mut self,
        buffer: Buffer,
        n_heads: usize,
        table: Option<(usize, RopeLayout)>,
        norms: &HeadNorms,
    ) {
        let Program { d_head, n_kv_heads, .. } = *self.program;
        let qkv = self.state.rows_mut(buffer);
        for (entry, span) in self.batch.iter().zip(&self.spans) {
            // A rope that goes by length has rows of the entry's tokens, the others a row for each position.
            let own = table.and_then(|(id, _)| entry.rope(id));
            let first = if own.is_some() { 0 } else { entry.position };
            let table = table.map(|(id, layout)| (own.unwrap_or(&self.ropes[id]), layout));
            for (token, row) in span.clone().enumerate() {
                let heads = &mut qkv.row_mut(row)[..(n_heads + n_kv_heads) * d_head];
                rope(heads, d_head, n_heads, norms, table, first + token);
            }
        }
    }

    fn scale_q(&mut self, buffer: Buffer, n_heads: usize, q_scale: &QScale) {
        let qkv = self.state.rows_mut(buffer);
        for (entry, span) in self.batch.iter().zip(&self.spans) {
            for (token, row) in span.clone().enumerate() {
                let q = &mut qkv.row_mut(row)[..n_heads * self.program.d_head];
                scale(q, q_scale.at(entry.position + token));
            }
        }
    }

    fn kv_append(&mut self, input: Buffer, layer: usize) {
        let d_kv = self.program.n_kv_heads * self.program.d_head;
        let qkv = self.state.rows(input);
        for (entry, span) in self.batch.iter().zip(&self.spans) {
            for (token, row) in span.clone().enumerate() {
                let position = entry.position + token;
                let (k, v) = qkv.row(row)[qkv.width - 2 * d_kv..].split_at(d_kv);
                self.kv.append(entry.blocks[position / BLOCK], layer, position % BLOCK, k, v);
            }
        }
    }

    fn attention(&mut self, input: Buffer, out: Buffer, op: &Attention) {
        let mut rows = self.state.take(out);
        let mut scratch = core::mem::take(&mut self.state.attention);
        let qkv = self.state.rows(input);
        rows.set_count(qkv.count);
        for (entry, span) in self.batch.iter().zip(&self.spans) {
            let sequence = Sequence {
                first_row: span.start,
                n_tokens: span.len(),
                position: entry.position,
                blocks: &entry.blocks,
            };
            attention(&mut rows, qkv, self.kv, op, &sequence, &mut scratch);
        }
        self.state.attention = scratch;
        self.state.put(out, rows);
    }

    fn residual_add(&mut self, input: Buffer, into: Buffer, factor: f32, in_site: Site, sites: &[Site]) {
        let (mut delta, mut h) = (self.state.take(input), self.state.take(into));
        if factor != 1.0 {
            for row in 0..delta.count {
                scale(delta.row_mut(row), factor);
            }
        }
        for entry in 0..self.batch.len() {
            let before = self.site_actions(entry, &[in_site]);
            self.apply_at_sites(entry, &mut delta, &before);
            let site_actions = self.site_actions(entry, sites);
            for (token, row) in self.spans[entry].clone().enumerate() {
                add(h.row_mut(row), delta.row(row));
                self.apply_to_row(entry, token, h.row_mut(row), &site_actions);
            }
        }
        self.state.put(input, delta);
        self.state.put(into, h);
    }

    /// What the entry has at these sites, in order.
    fn site_actions(&self, entry: usize, sites: &[Site]) -> Vec<SiteActions<'a>> {
        let entry = &self.batch[entry];
        let hooks = match entry.hooks {
            0 => None,
            id => self.hooks.get(id).ok(),
        };
        let mut site_actions = Vec::new();
        for &site in sites {
            let hooks = hooks.map_or(&[][..], |set| set.at(site));
            let captured = entry.captures.contains(&site);
            let contains = |id| self.accumulators.get(id).is_ok_and(|a| a.contains(site));
            let accumulated = entry.accumulate.iter().any(|a| contains(a.id));
            if !hooks.is_empty() || captured || accumulated {
                site_actions.push(SiteActions { site, hooks, captured, accumulated });
            }
        }
        site_actions
    }

    fn apply_at_sites(&mut self, entry: usize, rows: &mut Rows, site_actions: &[SiteActions]) {
        if site_actions.is_empty() {
            return;
        }
        for (token, row) in self.spans[entry].clone().enumerate() {
            self.apply_to_row(entry, token, rows.row_mut(row), site_actions);
        }
    }

    /// Hooks first, then what reads the site.
    fn apply_to_row(&mut self, index: usize, token: usize, row: &mut [f32], site_actions: &[SiteActions]) {
        let (entry, result) = (&self.batch[index], &self.results[index]);
        let n_tokens = entry.tokens.len();
        for actions in site_actions {
            let mut context = RowContext {
                token,
                n_tokens,
                is_last: entry.ends_call && token + 1 == n_tokens,
                projections: &mut self.state.values[result.projections.clone()],
            };
            for hook in actions.hooks {
                hook.apply(row, &mut context);
            }
            if actions.captured {
                let chosen = entry.captures.iter().enumerate().filter(|&(_, &site)| site == actions.site);
                for (capture, _) in chosen {
                    let at = result.captures.start + (capture * n_tokens + token) * row.len();
                    self.state.values[at..at + row.len()].copy_from_slice(row);
                }
            }
            if actions.accumulated {
                for a in entry.accumulate.iter().filter(|a| a.tokens.contains(&token)) {
                    if let Ok(accumulator) = self.accumulators.get_mut(a.id) {
                        accumulator.add(actions.site, row);
                    }
                }
            }
        }
    }

    fn count_accumulated(&mut self) {
        for a in self.batch.iter().flat_map(|entry| &entry.accumulate) {
            if let Ok(accumulator) = self.accumulators.get_mut(a.id) {
                accumulator.count += a.tokens.len() as u64;
            }
        }
    }

    /// Keeps the rows whose logits are wanted, and notes entries whose residual stream ceased to be finite: once
    /// a row has such a value no later add takes it away.
    fn gather(&mut self, input: Buffer, out: Buffer) {
        let mut last = self.state.take(out);
        let h = self.state.rows(input);
        last.set_count(self.results.last().map_or(0, |result| result.logits.end));
        for (span, result) in self.spans.iter().zip(self.results.iter_mut()) {
            if !span.clone().all(|row| all_finite(h.row(row))) {
                result.non_finite = Some(NonFinite::Residual);
            }
            let wanted = span.end - result.logits.len()..span.end;
            for (from, to) in wanted.zip(result.logits.clone()) {
                last.row_mut(to).copy_from_slice(h.row(from));
            }
        }
        self.state.put(out, last);
    }

    fn sample(&mut self, input: Buffer) {
        let mut scratch = core::mem::take(&mut self.state.sampling);
        let logits = self.state.rows(input);
        for (entry, result) in self.batch.iter().zip(self.results.iter_mut()) {
            if result.non_finite.is_none() && !result.logits.clone().all(|row| all_finite(logits.row(row))) {
                result.non_finite = Some(NonFinite::Logits);
            }
            let (Some(params), None) = (&entry.sample, result.non_finite) else { continue };
            let logits = logits.row(result.logits.end - 1);
            let token = sample(logits, params, &mut scratch);
            result.token = token as i32;
            if params.wants_logprobs() {
                result.logprobs = Some(logprobs(logits, token, params, &mut scratch));
            }
        }
        self.state.sampling = scratch;
    }
}

/// What an entry has at a site.
struct SiteActions<'a> {
    site: Site,
    hooks: &'a [Hook],
    captured: bool,
    accumulated: bool,
}
