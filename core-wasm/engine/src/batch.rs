//! A step's batch as TypeScript writes it (`StepEntry` of `models/device.ts`), and its results as TypeScript reads
//! them.

use core::ops::Range;

use crate::codes::{logits, non_finite};
use crate::error::{Result, bad_request};
use crate::kernels::rope::RopeTable;
use crate::packed::{PackedReader, PackedWriter};
use crate::program::{Program, Site};
use crate::sample::{Logprobs, SampleParams};

#[derive(Clone, Copy, PartialEq)]
pub enum Wanted {
    None,
    Last,
    All,
}

pub struct Accumulate {
    pub id: u32,
    pub tokens: Range<usize>,
}

pub struct Entry {
    pub tokens: Vec<u32>,
    pub position: usize,
    pub blocks: Vec<u32>,
    /// 0 for none.
    pub hooks: u32,
    pub ends_call: bool,
    pub logits: Wanted,
    pub captures: Vec<Site>,
    pub accumulate: Vec<Accumulate>,
    pub sample: Option<SampleParams>,
    /// Of each rope that goes by length its number, and a row for each token.
    ropes: Vec<(usize, RopeTable)>,
}

impl Entry {
    /// Packed: n_tokens, position, n_blocks, hooks, ends_call, logits (`codes::logits`), n_captures,
    /// n_accumulate, sample (0 or 1); then the lists in this order (accumulate as id, start, end), the sample's
    /// parameters where there is one and, of each rope that goes by length, all cosines and then all sines.
    fn read(packed: &mut PackedReader, program: &Program) -> Result<Self> {
        let d_vocab = program.d_vocab;
        let (n_tokens, position, n_blocks) = (packed.size()?, packed.size()?, packed.size()?);
        let (hooks, ends_call) = (packed.u32()?, packed.u32()? == 1);
        let logits = match packed.u32()? {
            logits::NONE => Wanted::None,
            logits::LAST => Wanted::Last,
            logits::ALL => Wanted::All,
            other => return bad_request(format!("logits none, last or all, found code {other}")),
        };
        let (n_captures, n_accumulate, samples) = (packed.size()?, packed.size()?, packed.u32()? == 1);
        let entry = Self {
            tokens: packed.u32s(n_tokens)?,
            position,
            blocks: packed.u32s(n_blocks)?,
            hooks,
            ends_call,
            logits,
            captures: packed.u32s(n_captures)?,
            accumulate: packed.list(n_accumulate, |packed| {
                Ok(Accumulate { id: packed.u32()?, tokens: packed.size()?..packed.size()? })
            })?,
            sample: if samples { Some(SampleParams::read(packed, d_vocab)?) } else { None },
            ropes: read_ropes(packed, program, n_tokens)?,
        };
        entry.check(d_vocab)?;
        Ok(entry)
    }

    fn check(&self, d_vocab: usize) -> Result<()> {
        let n_tokens = self.tokens.len();
        if n_tokens == 0 {
            return bad_request("at least one token in each entry, found none");
        }
        if let Some(id) = self.tokens.iter().find(|&&id| id as usize >= d_vocab) {
            return bad_request(format!("token ids below {d_vocab}, found {}", *id as i32));
        }
        if self.accumulate.iter().any(|a| a.tokens.start > a.tokens.end || a.tokens.end > n_tokens) {
            return bad_request(format!("spans to accumulate within the entry's {n_tokens} tokens"));
        }
        Ok(())
    }

    /// The entry's own rows of a rope that goes by length: row k rotates token k.
    pub fn rope(&self, rope: usize) -> Option<&RopeTable> {
        self.ropes.iter().find(|(id, _)| *id == rope).map(|(_, table)| table)
    }

    /// Rows of logits that the entry needs.
    pub fn logit_rows(&self) -> usize {
        match self.logits {
            Wanted::All => self.tokens.len(),
            Wanted::Last => 1,
            Wanted::None => usize::from(self.sample.is_some()),
        }
    }
}

fn read_ropes(
    packed: &mut PackedReader,
    program: &Program,
    n_tokens: usize,
) -> Result<Vec<(usize, RopeTable)>> {
    let read = |&rope: &usize| {
        let mut table = RopeTable::new(program.ropes[rope]);
        table.extend(&packed.f32s(2 * n_tokens * table.half)?)?;
        Ok((rope, table))
    };
    program.ropes_by_length.iter().map(read).collect()
}

pub fn read_batch(bytes: &[u8], program: &Program) -> Result<Vec<Entry>> {
    let mut packed = PackedReader::new(bytes);
    let count = packed.size()?;
    let batch = packed.list(count, |packed| Entry::read(packed, program))?;
    packed.finish()?;
    Ok(batch)
}

#[derive(Clone, Copy, PartialEq)]
pub enum NonFinite {
    Residual = non_finite::RESIDUAL as isize,
    Logits = non_finite::LOGITS as isize,
}

/// What a step gives for one entry. Ranges count floats in `Results::values`.
pub struct EntryResult {
    pub non_finite: Option<NonFinite>,
    /// -1 when none was asked for.
    pub token: i32,
    pub logprobs: Option<Logprobs>,
    /// Rows of the logits buffer to be read back.
    pub logits: Range<usize>,
    /// One after the other, each [n_tokens, d_model].
    pub captures: Range<usize>,
    /// [n_projections, n_tokens]
    pub projections: Range<usize>,
}

/// Where a step's floats lie, in addresses and strides of the instance's memory.
pub struct Floats {
    pub values: u32,
    pub logits: u32,
    pub logits_stride: u32,
}

/// Packed, for each entry: non_finite (`codes::non_finite`, 0 for none), token; 0 or 1 and then the drawn token's
/// log-probability and a count of (id, log-probability); byte address, count and stride of logit rows; byte
/// address and count of capture floats, and of projection floats.
pub fn write_results(results: &[EntryResult], floats: &Floats) -> Vec<u8> {
    let mut packed = PackedWriter::default();
    for result in results {
        packed.u32(result.non_finite.map_or(0, |place| place as u32));
        packed.u32(result.token as u32);
        packed.u32(u32::from(result.logprobs.is_some()));
        if let Some(logprobs) = &result.logprobs {
            packed.f64(logprobs.token);
            packed.u32(logprobs.top.len() as u32);
            for (id, logprob) in &logprobs.top {
                packed.u32(*id);
                packed.f64(*logprob);
            }
        }
        packed.u32(floats.logits + 4 * floats.logits_stride * result.logits.start as u32);
        packed.u32(result.logits.len() as u32);
        packed.u32(floats.logits_stride);
        for range in [&result.captures, &result.projections] {
            packed.u32(floats.values + 4 * range.start as u32);
            packed.u32(range.len() as u32);
        }
    }
    packed.0
}
