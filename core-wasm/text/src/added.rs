//! Added tokens (`<|im_end|>`) in a text: found as the crate finds them, but not in the parts of it that are plain.

use core::ops::Range;
use std::collections::BinaryHeap;
use std::sync::LazyLock;

use ahash::AHashMap;
use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder, MatchKind};
use regex::Regex;
use tokenizers::tokenizer::normalizer::Range as In;
use tokenizers::{AddedToken, AddedVocabulary, NormalizedString, Normalizer as _, PreTokenizedString, Token};

use capstan_tables::{Result, bad};

use crate::parts::Normalizer;

/// Where added tokens may be found in a text.
#[derive(Clone, Copy)]
pub enum Special<'a> {
    Everywhere,
    /// Not in these ranges of bytes, which are in order and apart: no byte of one is part of an added token.
    Outside(&'a [Range<usize>]),
    Nowhere,
}

type Automaton = DoubleArrayAhoCorasick<u32>;
type Cut = (NormalizedString, Option<Vec<Token>>);

pub struct Finder {
    tokens: AHashMap<u32, AddedToken>,
    /// Of the tokens that are looked for in the text as it is, and of those in the normalized text.
    raw: Option<Automaton>,
    normalized: Option<Automaton>,
}

impl Finder {
    pub fn new(added: &AddedVocabulary) -> Result<Self> {
        let tokens = added.get_added_tokens_decoder().clone();
        // In order, for two may be one text once they are normalized.
        let ids = tokens.keys().copied().collect::<BinaryHeap<u32>>().into_sorted_vec();
        let of = |normalized: bool| {
            let own = ids.iter().filter(|id| tokens[*id].normalized == normalized);
            // Of the second kind it gives the normalized text.
            let texts = own.map(|&id| match normalized {
                true => (added.simple_id_to_token(id).unwrap_or_default(), id),
                false => (tokens[&id].content.clone(), id),
            });
            // Nothing, which a normalizer may leave of a token, would be found everywhere.
            automaton(texts.filter(|(text, _)| !text.is_empty()).collect())
        };
        Ok(Finder { raw: of(false)?, normalized: of(true)?, tokens })
    }

    /// Cuts a text at its added tokens and normalizes what is between them.
    pub fn cut(
        &self,
        text: &str,
        normalizer: Option<&Normalizer>,
        special: Special,
    ) -> tokenizers::Result<PreTokenizedString> {
        let (raw, normalized, plain) = match special {
            Special::Everywhere => (self.raw.as_ref(), self.normalized.as_ref(), &[][..]),
            Special::Outside(plain) => (self.raw.as_ref(), self.normalized.as_ref(), plain),
            Special::Nowhere => (None, None, &[][..]),
        };
        let mut cut = PreTokenizedString::from(text);
        cut.split(|_, part| self.cut_part(part, raw, plain))?;
        cut.split(|_, mut part| {
            if let Some(normalizer) = normalizer {
                normalizer.normalize(&mut part)?;
            }
            self.cut_part(part, normalized, plain)
        })?;
        Ok(cut)
    }

    fn cut_part(
        &self,
        part: NormalizedString,
        automaton: Option<&Automaton>,
        plain: &[Range<usize>],
    ) -> tokenizers::Result<Vec<Cut>> {
        let text = part.get();
        let mut cuts = Vec::new();
        let mut done = 0;
        for (automaton, open) in
            automaton.into_iter().flat_map(|one| open_ranges(&part, plain).map(move |open| (one, open)))
        {
            for found in automaton.leftmost_find_iter(&text[open.clone()]) {
                let id = found.value();
                let inner = open.start + found.start()..open.start + found.end();
                let Some(outer) = self.fit(text, &self.tokens[&id], inner, done) else { continue };
                cuts.extend((done < outer.start).then_some((done..outer.start, None)));
                cuts.push((outer.clone(), Some(id)));
                done = outer.end;
            }
        }
        cuts.extend((done < text.len() || cuts.is_empty()).then_some((done..text.len(), None)));
        // Where nothing was cut the part is a slice, too: what a normalizer took from its start counts as gone then.
        cuts.into_iter()
            .map(|(range, id)| {
                let slice =
                    part.slice(In::Normalized(range)).ok_or("an added token that cuts a character")?;
                let length = slice.get().len();
                Ok((slice, id.map(|id| vec![Token::new(id, String::new(), (0, length))])))
            })
            .collect()
    }

    /// What a token that was found takes of the text; `None` where it may not stand there.
    fn fit(&self, text: &str, token: &AddedToken, found: Range<usize>, done: usize) -> Option<Range<usize>> {
        let (before, after) = (&text[..found.start], &text[found.end..]);
        let is_inside_word =
            || before.chars().next_back().is_some_and(is_word) || after.chars().next().is_some_and(is_word);
        if token.single_word && is_inside_word() {
            return None;
        }
        // No further back than the last token: that would take time without end in a long row of spaces.
        let start = match token.lstrip {
            true if found.start > done => done + text[done..found.start].trim_end().len(),
            true => done,
            false => found.start,
        };
        let end = if token.rstrip { text.len() - after.trim_start().len() } else { found.end };
        Some(start..end)
    }
}

/// The ranges of a part in which tokens may be found.
fn open_ranges(
    part: &NormalizedString,
    plain: &[Range<usize>],
) -> impl Iterator<Item = Range<usize>> + use<> {
    let (first, last) = part.offsets_original();
    let mut open = Vec::new();
    let mut at = 0;
    for range in plain {
        let (start, end) = (range.start.max(first), range.end.min(last));
        if start >= end {
            continue;
        }
        let Some(inside) = part.convert_offsets(In::Original(start - first..end - first)) else { continue };
        open.extend((at < inside.start).then_some(at..inside.start));
        at = at.max(inside.end);
    }
    open.extend((at < part.len()).then_some(at..part.len()));
    open.into_iter()
}

fn automaton(texts: Vec<(String, u32)>) -> Result<Option<Automaton>> {
    if texts.is_empty() {
        return Ok(None);
    }
    DoubleArrayAhoCorasickBuilder::new()
        .match_kind(MatchKind::LeftmostLongest)
        .build_with_values(texts)
        .map(Some)
        .map_err(|error| bad("added tokens that differ once they are normalized", error.to_string()))
}

/// Whether a character is one of words: `\w` of the regex crate.
fn is_word(character: char) -> bool {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\w").ok());
    let mut bytes = [0; 4];
    WORD.as_ref().is_some_and(|word| word.is_match(character.encode_utf8(&mut bytes)))
}
