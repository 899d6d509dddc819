//! The models that look whole words up: WordLevel, and WordPiece, which takes a word's longest tokens from its start.

use crate::error::{Error, Result, bad, show};
use crate::model::{Options, Piece, Vocab};
use crate::steps::spend;

pub struct WordLevel {
    unknown: String,
}

impl WordLevel {
    pub fn new(options: Options) -> Result<Self> {
        Ok(WordLevel { unknown: options.needed("unk_token")? })
    }

    pub fn unknown(&self) -> &str {
        &self.unknown
    }

    pub fn tokenize(&self, word: &str, vocab: Vocab) -> Result<Vec<Piece>> {
        let id = vocab.id_of(word).or_else(|| vocab.tables().id_of(&self.unknown));
        let id = id.ok_or_else(|| no_unknown(&self.unknown))?;
        Ok(vec![Piece { id, start: 0, end: word.len() as u32 }])
    }
}

pub struct WordPiece {
    unknown: String,
    prefix: String,
    /// Characters of the longest word that is no unknown one.
    longest: usize,
}

impl WordPiece {
    pub fn new(options: Options) -> Result<Self> {
        let longest = options.count("max_input_chars_per_word")?;
        Ok(WordPiece {
            unknown: options.needed("unk_token")?,
            prefix: options.needed("continuing_subword_prefix")?,
            longest: longest.ok_or_else(|| bad("model.max_input_chars_per_word as a count", "none"))?,
        })
    }

    pub fn unknown(&self) -> &str {
        &self.unknown
    }

    pub fn tokenize(&self, word: &str, vocab: Vocab) -> Result<Vec<Piece>> {
        let pieces = if word.chars().count() > self.longest { None } else { self.pieces(word, vocab)? };
        if let Some(pieces) = pieces {
            return Ok(pieces);
        }
        let id = vocab.tables().id_of(&self.unknown).ok_or_else(|| no_unknown(&self.unknown))?;
        Ok(vec![Piece { id, start: 0, end: word.len() as u32 }])
    }

    fn pieces(&self, word: &str, vocab: Vocab) -> Result<Option<Vec<Piece>>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < word.len() {
            let prefix = if start > 0 { self.prefix.as_str() } else { "" };
            let mut longest = None;
            spend(vocab.tables().prefixes_of(prefix.bytes().chain(word[start..].bytes()), |id, length| {
                if length > prefix.len() && vocab.has(id) {
                    longest = Some((id, start + length - prefix.len()));
                }
            }))?;
            let Some((id, end)) = longest else { return Ok(None) };
            pieces.push(Piece { id, start: start as u32, end: end as u32 });
            start = end;
        }
        Ok(Some(pieces))
    }
}

fn no_unknown(token: &str) -> Error {
    bad("an unk_token in the vocabulary", show(token))
}
