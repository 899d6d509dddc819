//! A model's vocabulary and merges as flat tables. They are built once, from tokenizer.json, and copied as bytes from
//! then on: another instance of the module reads them back without hashing a single token again.

use std::collections::BinaryHeap;

use crate::error::{Result, bad};

/// The kinds of models, by the names tokenizer.json has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bpe,
    Unigram,
    WordPiece,
    WordLevel,
}

const KINDS: [Kind; 4] = [Kind::Bpe, Kind::Unigram, Kind::WordPiece, Kind::WordLevel];

/// Ids lie below this: beyond any vocabulary they would make tables of a size that no file justifies.
pub const ID_LIMIT: u32 = 1 << 22;

#[derive(Debug)]
pub struct Tables {
    pub kind: Kind,
    /// Mixed into every hash, so that no file can be made of tokens that collide.
    seed: u32,
    /// The texts of all tokens, one after the other.
    blob: String,
    /// Where the text of token `index` ends in `blob`.
    ends: Vec<u32>,
    /// Its id.
    ids: Vec<u32>,
    /// Its score; of a Unigram model only, where a token's index is its id.
    pub scores: Vec<f64>,
    /// Indices of the tokens in the order of their texts' bytes; of the models that look for a text's first tokens.
    sorted: Vec<u32>,
    /// Index of the token with id `id`, plus 1; 0 where there is none.
    by_id: Vec<u32>,
    /// Open addressing: index of a token plus 1, or 0.
    token_slots: Vec<u32>,
    /// Left id, right id, id of the result: by rank.
    merges: Vec<[u32; 3]>,
    /// Open addressing: rank plus 1, or 0.
    merge_slots: Vec<u32>,
}

impl Tables {
    pub fn new(kind: Kind, seed: u32) -> Self {
        Tables {
            kind,
            seed,
            blob: String::new(),
            ends: Vec::new(),
            ids: Vec::new(),
            scores: Vec::new(),
            sorted: Vec::new(),
            by_id: Vec::new(),
            token_slots: Vec::new(),
            merges: Vec::new(),
            merge_slots: Vec::new(),
        }
    }

    /// Of tokens with distinct or repeated texts; where one is repeated, its last id counts.
    pub fn with_tokens(kind: Kind, seed: u32, blob: String, ends: Vec<u32>, ids: Vec<u32>) -> Self {
        let mut tables = Tables { blob, ends, ids, ..Tables::new(kind, seed) };
        tables.token_slots = vec![0; slots_for(tables.ids.len())];
        for index in 0..tables.ids.len() {
            let slot = tables.token_slot(tables.token(index));
            match tables.token_slots[slot] {
                0 => tables.token_slots[slot] = index as u32 + 1,
                // The later index of a text is out of use.
                earlier => tables.ids[earlier as usize - 1] = tables.ids[index],
            }
        }
        let size = tables.ids.iter().map(|&id| id as usize + 1).max().unwrap_or(0);
        tables.by_id = vec![0; size];
        for index in 0..tables.ids.len() {
            if tables.is_used(index) {
                tables.by_id[tables.ids[index] as usize] = index as u32 + 1;
            }
        }
        tables
    }

    /// Whether a token's text is not that of an earlier one.
    fn is_used(&self, index: usize) -> bool {
        self.token_slots[self.token_slot(self.token(index))] as usize == index + 1
    }

    /// Sets the scores of a Unigram model.
    pub fn set_scores(&mut self, scores: Vec<f64>) {
        self.scores = scores;
        // Tokens of one text are distinguished by their ids alone.
        self.by_id = (1..=self.n_tokens() as u32).collect();
    }

    /// Sorts the tokens, for `prefixes_of`.
    pub fn sort(&mut self) {
        let used = (0..self.n_tokens() as u32).filter(|&index| self.is_used(index as usize));
        // A heap, for its code is a tenth of that of the library's sorts.
        let heap: BinaryHeap<(&[u8], u32)> = used.map(|index| (self.bytes(index), index)).collect();
        self.sorted = heap.into_sorted_vec().into_iter().map(|(_, index)| index).collect();
    }

    fn bytes(&self, index: u32) -> &[u8] {
        self.token(index as usize).as_bytes()
    }

    /// Hands on the tokens that a text starts with, the shortest first, by id and length in bytes; of a sorted vocabulary
    /// only. Gives how many bytes of the text were looked at.
    pub fn prefixes_of(&self, text: impl Iterator<Item = u8>, mut found: impl FnMut(u32, usize)) -> u64 {
        let mut range = &self.sorted[..];
        let mut read = 0;
        for wanted in text {
            let byte = |&index: &u32| self.bytes(index).get(read).copied();
            let start = range.partition_point(|index| byte(index) < Some(wanted));
            let end = range.partition_point(|index| byte(index) <= Some(wanted));
            range = &range[start..end];
            read += 1;
            let Some(&first) = range.first() else { break };
            if self.bytes(first).len() == read {
                found(self.ids[first as usize], read);
            }
        }
        read as u64
    }

    /// Tokens, in the order of the file.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }

    /// How many tokens the crate counts: those with a text of their own, of a Unigram model all.
    pub fn count(&self) -> usize {
        if self.kind == Kind::Unigram {
            return self.n_tokens();
        }
        self.token_slots.iter().filter(|&&slot| slot != 0).count()
    }

    /// Ids lie below this.
    pub fn size(&self) -> usize {
        self.by_id.len()
    }

    pub fn token(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.blob[start..self.ends[index] as usize]
    }

    /// Whether a token's text is this one; without the checks that a text's parts come with.
    fn is(&self, index: usize, text: &[u8]) -> bool {
        let end = self.ends[index] as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        end - start == text.len() && &self.blob.as_bytes()[start..end] == text
    }

    pub fn id(&self, index: usize) -> u32 {
        self.ids[index]
    }

    pub fn id_of(&self, token: &str) -> Option<u32> {
        if self.token_slots.is_empty() {
            return None;
        }
        let index = self.token_slots[self.token_slot(token)].checked_sub(1)?;
        Some(self.ids[index as usize])
    }

    pub fn token_of(&self, id: u32) -> Option<&str> {
        let index = self.by_id.get(id as usize)?.checked_sub(1)?;
        Some(self.token(index as usize))
    }

    /// Sets the merges, best first. Of a pair that is there twice the last one counts.
    pub fn set_merges(&mut self, merges: Vec<[u32; 3]>) {
        self.merges = merges;
        self.merge_slots = vec![0; slots_for(self.merges.len())];
        for rank in 0..self.merges.len() {
            let [left, right, _] = self.merges[rank];
            let slot = self.merge_slot(left, right);
            self.merge_slots[slot] = rank as u32 + 1;
        }
    }

    /// Rank of the merge of two ids.
    pub fn merge(&self, left: u32, right: u32) -> Option<u32> {
        if self.merge_slots.is_empty() {
            return None;
        }
        self.merge_slots[self.merge_slot(left, right)].checked_sub(1)
    }

    /// Id of what the merge of this rank makes.
    pub fn merged(&self, rank: u32) -> u32 {
        self.merges[rank as usize][2]
    }

    /// The slot that holds a token, or the free one where it belongs.
    fn token_slot(&self, token: &str) -> usize {
        let mask = self.token_slots.len() - 1;
        let mut slot = hash(self.seed, token.as_bytes()) as usize & mask;
        loop {
            match self.token_slots[slot] {
                0 => return slot,
                index if self.is(index as usize - 1, token.as_bytes()) => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn merge_slot(&self, left: u32, right: u32) -> usize {
        let mask = self.merge_slots.len() - 1;
        let mut slot = hash_pair(self.seed, left, right) as usize & mask;
        loop {
            match self.merge_slots[slot] {
                0 => return slot,
                rank if self.merges[rank as usize - 1][..2] == [left, right] => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// All of it as bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let merges = self.merges.as_flattened();
        let lists: [&[u32]; 7] =
            [&self.ends, &self.ids, &self.by_id, &self.token_slots, merges, &self.merge_slots, &self.sorted];
        let n_numbers: usize = lists.iter().map(|list| list.len()).sum();
        out.reserve_exact(4 * (2 + lists.len() + 2 + n_numbers) + 8 * self.scores.len() + self.blob.len());
        let kind = KINDS.iter().position(|&kind| kind == self.kind).unwrap_or(0) as u32;
        put_u32s(out, &[kind, self.seed]);
        for list in lists {
            put_u32s(out, &[list.len() as u32]);
            put_u32s(out, list);
        }
        put_u32s(out, &[self.scores.len() as u32, self.blob.len() as u32]);
        self.scores.iter().for_each(|score| out.extend_from_slice(&score.to_le_bytes()));
        out.extend_from_slice(self.blob.as_bytes());
    }

    /// Back from what `write` made.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let tables = Self::read_from(&mut rest).filter(|_| rest.is_empty());
        tables.ok_or_else(|| bad("tables as they were written", "others"))
    }

    fn read_from(rest: &mut &[u8]) -> Option<Self> {
        let kind = *KINDS.get(take_u32(rest)? as usize)?;
        let seed = take_u32(rest)?;
        let mut list = || {
            let count = take_u32(rest)? as usize;
            let bytes = rest.split_off(..count.checked_mul(4)?)?;
            Some(
                bytes
                    .chunks_exact(4)
                    .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect::<Vec<_>>(),
            )
        };
        let (ends, ids, by_id, token_slots) = (list()?, list()?, list()?, list()?);
        let merges = list()?.chunks_exact(3).map(|m| [m[0], m[1], m[2]]).collect();
        let (merge_slots, sorted) = (list()?, list()?);
        let n_scores = take_u32(rest)? as usize;
        let n_blob = take_u32(rest)? as usize;
        let scores = rest.split_off(..n_scores.checked_mul(8)?)?;
        let scores =
            scores.chunks_exact(8).filter_map(|b| Some(f64::from_le_bytes(b.try_into().ok()?))).collect();
        let blob = String::from_utf8(rest.split_off(..n_blob)?.to_vec()).ok()?;
        Some(Tables { kind, seed, blob, ends, ids, scores, sorted, by_id, token_slots, merges, merge_slots })
    }
}

fn put_u32s(out: &mut Vec<u8>, values: &[u32]) {
    let start = out.len();
    out.resize(start + 4 * values.len(), 0);
    for (bytes, value) in out[start..].chunks_exact_mut(4).zip(values) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    rest.split_off(..4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// A power of two of which the entries fill at most three fifths.
fn slots_for(count: usize) -> usize {
    (count * 5 / 3 + 1).next_power_of_two()
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash(seed: u32, bytes: &[u8]) -> u32 {
    let mut state = u64::from(seed) ^ (bytes.len() as u64).rotate_left(32);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        state = mix(state ^ u64::from(u32_at(chunk, 0)) ^ u64::from(u32_at(chunk, 4)) << 32);
    }
    (mix(state ^ tail(chunks.remainder())) >> 32) as u32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fewer than 8 bytes as a number; those of one length differ when the bytes do.
fn tail(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0 => 0,
        1..4 => {
            u64::from(bytes[0])
                | u64::from(bytes[bytes.len() / 2]) << 8
                | u64::from(bytes[bytes.len() - 1]) << 16
        }
        length => u64::from(u32_at(bytes, 0)) | u64::from(u32_at(bytes, length - 4)) << 32,
    }
}

fn hash_pair(seed: u32, left: u32, right: u32) -> u32 {
    (mix(u64::from(seed) ^ (u64::from(left) << 32 | u64::from(right))) >> 32) as u32
}

fn mix(state: u64) -> u64 {
    let state = (state ^ state >> 29).wrapping_mul(MULTIPLIER);
    (state ^ state >> 32).wrapping_mul(MULTIPLIER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(tokens: &[(&str, u32)]) -> Tables {
        let blob = tokens.iter().map(|(text, _)| *text).collect();
        let mut end = 0;
        let ends = tokens.iter().map(|(text, _)| {
            end += text.len() as u32;
            end
        });
        let ends = ends.collect();
        Tables::with_tokens(Kind::Bpe, 7, blob, ends, tokens.iter().map(|(_, id)| *id).collect())
    }

    #[test]
    fn hold_tokens_both_ways() {
        let made = tables(&[("a", 3), ("", 1), ("été", 0), ("a longer one than eight bytes", 9)]);
        assert_eq!(made.id_of("été"), Some(0));
        assert_eq!(made.id_of(""), Some(1));
        assert_eq!(made.token_of(9), Some("a longer one than eight bytes"));
        assert_eq!((made.token_of(2), made.token_of(10), made.id_of("b")), (None, None, None));
        assert_eq!((made.size(), made.count()), (10, 4));
    }

    #[test]
    fn take_the_last_id_of_a_text() {
        let made = tables(&[("a", 3), ("b", 4), ("a", 5)]);
        assert_eq!(made.id_of("a"), Some(5));
        assert_eq!((made.token_of(3), made.token_of(5)), (None, Some("a")));
        assert_eq!(made.count(), 2);
    }

    #[test]
    fn are_the_same_after_a_round_trip() {
        let mut made = tables(&[("a", 0), ("b", 1), ("ab", 2), ("日本", 3)]);
        made.set_merges(vec![[0, 1, 2], [2, 2, 3], [0, 1, 3]]);
        made.set_scores(vec![-1.5, f64::NEG_INFINITY, 0.0, 1.0]);
        made.sort();
        let mut found = Vec::new();
        assert_eq!(made.prefixes_of("abc".bytes(), |id, length| found.push((id, length))), 3);
        assert_eq!(found, [(0, 1), (2, 2)]);
        let mut bytes = Vec::new();
        made.write(&mut bytes);
        let read = Tables::read(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
        assert_eq!((read.merge(0, 1), read.merge(1, 0)), (Some(2), None));
        assert_eq!(read.merged(2), 3);
        for cut in 0..bytes.len() {
            assert!(Tables::read(&bytes[..cut]).is_err());
        }
    }
}
