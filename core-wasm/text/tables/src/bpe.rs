//! Byte pair encoding, as the crate's `BPE` does it. Its `dropout`, a means of training, is not used.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::{Result, bad, show};
use crate::model::{Options, Piece, Vocab};
use crate::tables::Tables;

pub struct Bpe {
    unknown: Option<String>,
    prefix: Option<String>,
    suffix: Option<String>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
}

impl Bpe {
    pub fn new(options: Options) -> Result<Self> {
        Ok(Bpe {
            unknown: options.text("unk_token")?,
            prefix: options.text("continuing_subword_prefix")?,
            suffix: options.text("end_of_word_suffix")?,
            fuse_unk: options.flag("fuse_unk")?,
            byte_fallback: options.flag("byte_fallback")?,
            ignore_merges: options.flag("ignore_merges")?,
        })
    }

    pub fn unknown(&self, tables: &Tables) -> Option<u32> {
        tables.id_of(self.unknown.as_deref()?)
    }

    pub fn tokenize(&self, word: &str, vocab: Vocab) -> Result<Vec<Piece>> {
        if self.ignore_merges
            && let Some(id) = vocab.id_of(word)
        {
            return Ok(vec![Piece { id, start: 0, end: word.len() as u32 }]);
        }
        Ok(merge(self.characters(word, vocab)?, vocab))
    }

    /// The word's characters as tokens. One without a token becomes its bytes' tokens where the model has them all,
    /// else the unknown token; without that, nothing.
    fn characters(&self, word: &str, vocab: Vocab) -> Result<Vec<Piece>> {
        let mut pieces = Vec::with_capacity(word.len());
        // An unknown stretch waits: the next character may belong to it. Tokens of bytes do not end it, as in the crate.
        let mut unknown: Option<Piece> = None;
        let mut changed = String::new();
        for (at, character) in word.char_indices() {
            let end = at + character.len_utf8();
            let prefix = self.prefix.as_deref().filter(|_| at > 0);
            let suffix = self.suffix.as_deref().filter(|_| end == word.len());
            let text = if prefix.is_none() && suffix.is_none() {
                &word[at..end]
            } else {
                changed.clear();
                changed.extend([prefix.unwrap_or_default(), &word[at..end], suffix.unwrap_or_default()]);
                &changed
            };
            let (start, end) = (at as u32, end as u32);
            if let Some(id) = vocab.id_of(text) {
                pieces.extend(unknown.take());
                pieces.push(Piece { id, start, end });
            } else if self.byte_fallback
                && let Some(ids) = vocab.bytes(text)
            {
                pieces.extend(ids.into_iter().map(|id| Piece { id, start, end }));
            } else if let Some(token) = &self.unknown {
                match &mut unknown {
                    Some(piece) if self.fuse_unk => piece.end = end,
                    waiting => {
                        pieces.extend(waiting.take());
                        let id = vocab.tables().id_of(token);
                        let id = id.ok_or_else(|| bad("an unk_token in the vocabulary", show(token)))?;
                        *waiting = Some(Piece { id, start, end });
                    }
                }
            }
        }
        pieces.extend(unknown);
        Ok(pieces)
    }
}

/// Merges neighbours, the best rank first and of equal ones the leftmost, until none can be merged.
fn merge(mut pieces: Vec<Piece>, vocab: Vocab) -> Vec<Piece> {
    const NONE: usize = usize::MAX;
    /// The id of a piece that was merged into the one before it.
    const GONE: u32 = u32::MAX;
    let tables = vocab.tables();
    let count = pieces.len();
    let mut next: Vec<usize> = (1..=count).map(|i| if i == count { NONE } else { i }).collect();
    let mut before: Vec<usize> = (0..count).map(|i| i.wrapping_sub(1)).collect();
    let pairs = pieces.windows(2).enumerate();
    let mut queue: BinaryHeap<Reverse<(u32, usize)>> =
        pairs.filter_map(|(at, pair)| Some(Reverse((vocab.merge(pair[0].id, pair[1].id)?, at)))).collect();
    while let Some(Reverse((rank, at))) = queue.pop() {
        let right = next[at];
        if pieces[at].id == GONE || right == NONE {
            continue;
        }
        // The neighbours may have changed since.
        let id = tables.merged(rank);
        let current = vocab.merge(pieces[at].id, pieces[right].id);
        if current.is_none_or(|rank| tables.merged(rank) != id) {
            continue;
        }
        pieces[at] = Piece { id, start: pieces[at].start, end: pieces[at].end.max(pieces[right].end) };
        pieces[right].id = GONE;
        next[at] = next[right];
        if next[at] != NONE {
            before[next[at]] = at;
            if let Some(rank) = vocab.merge(id, pieces[next[at]].id) {
                queue.push(Reverse((rank, at)));
            }
        }
        if before[at] != NONE
            && let Some(rank) = vocab.merge(pieces[before[at]].id, id)
        {
            queue.push(Reverse((rank, before[at])));
        }
    }
    pieces.retain(|piece| piece.id != GONE);
    pieces
}
