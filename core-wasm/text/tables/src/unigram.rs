//! The Unigram model, as the crate's `Unigram` does it: the tokens with the best sum of scores.

use crate::error::{Result, bad};
use crate::model::{Options, Piece, Vocab};
use crate::steps::spend;
use crate::tables::Tables;

pub struct Unigram {
    unknown: Option<u32>,
    byte_fallback: bool,
    /// What an unknown character costs.
    unknown_score: f64,
}

/// How far below the worst token an unknown character is.
const PENALTY: f64 = 10.0;

/// The best tokens up to a byte of a text: their score, and the last of them.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    last: Option<(usize, u32)>,
}

impl Unigram {
    pub fn new(options: Options, tables: &Tables) -> Result<Self> {
        let unknown = options.count("unk_id")?;
        if let Some(id) = unknown.filter(|&id| id >= tables.n_tokens()) {
            return Err(bad("model.unk_id in the vocabulary", id.to_string()));
        }
        let worst = tables
            .scores
            .iter()
            .copied()
            .fold(f64::INFINITY, |worst, score| if score < worst { score } else { worst });
        Ok(Unigram {
            unknown: unknown.map(|id| id as u32),
            byte_fallback: options.flag("byte_fallback")?,
            unknown_score: worst - PENALTY,
        })
    }

    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    pub fn tokenize(&self, word: &str, vocab: Vocab) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (start, end) in self.best_path(word, vocab)? {
            let text = &word[start..end];
            let piece = |id: u32| Piece { id, start: start as u32, end: end as u32 };
            if let Some(id) = vocab.id_of(text) {
                pieces.push(piece(id));
            } else if self.byte_fallback
                && let Some(ids) = vocab.bytes(text)
            {
                pieces.extend(ids.into_iter().map(piece));
            } else {
                pieces.push(piece(self.unknown.ok_or_else(no_unknown)?));
            }
        }
        Ok(pieces)
    }

    /// Where the tokens of a word start and end; unknown characters in a row are one.
    fn best_path(&self, word: &str, vocab: Vocab) -> Result<Vec<(usize, usize)>> {
        let mut best = vec![Best { score: 0.0, last: None }; word.len() + 1];
        for (start, character) in word.char_indices() {
            let so_far = best[start].score;
            let one = start + character.len_utf8();
            let mut is_known = false;
            let is_better =
                |end: usize, score: f64, best: &[Best]| best[end].last.is_none() || score > best[end].score;
            let rest = word.as_bytes()[start..].iter().copied();
            spend(vocab.tables().prefixes_of(rest, |id, length| {
                let (end, score) = (start + length, so_far + vocab.tables().scores[id as usize]);
                if !vocab.has(id) {
                    return;
                }
                is_known |= end == one;
                if is_better(end, score, &best) {
                    best[end] = Best { score, last: Some((start, id)) };
                }
            }))?;
            let score = so_far + self.unknown_score;
            if !is_known && is_better(one, score, &best) {
                let id = self.unknown.ok_or_else(no_unknown)?;
                best[one] = Best { score, last: Some((start, id)) };
            }
        }
        let mut path: Vec<(usize, usize)> = Vec::new();
        let mut after_unknown = false;
        let mut end = word.len();
        while let Some((start, id)) = best[end].last {
            let is_unknown = Some(id) == self.unknown;
            match path.last_mut() {
                Some(next) if is_unknown && after_unknown => next.0 = start,
                _ => path.push((start, end)),
            }
            after_unknown = is_unknown;
            end = start;
        }
        path.reverse();
        Ok(path)
    }
}

fn no_unknown() -> crate::Error {
    bad("a model.unk_id for a character that has no token", "none")
}
