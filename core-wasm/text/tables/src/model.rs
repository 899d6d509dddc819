//! A tokenizer's model: how words become tokens.

use core::cell::RefCell;

use ahash::AHashMap;
use serde_json::{Map, Value};

use crate::bpe::Bpe;
use crate::error::{Result, bad, show};
use crate::tables::{Kind, Tables};
use crate::unigram::Unigram;
use crate::words::{WordLevel, WordPiece};

/// A token of a word: its id, and its bytes in the word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    pub id: u32,
    pub start: u32,
    pub end: u32,
}

pub struct Model {
    tables: Tables,
    rules: Rules,
    /// By id: whether plain text must not become it. Empty where it may become any.
    banned: Vec<bool>,
    /// Words encoded before: of plain text, and of text whose added tokens were taken out.
    seen: [Seen; 2],
}

type Seen = RefCell<AHashMap<Box<str>, Box<[Piece]>>>;

enum Rules {
    Bpe(Bpe),
    Unigram(Unigram),
    WordPiece(WordPiece),
    WordLevel(WordLevel),
}

/// Words that are kept, and the longest of them in bytes: as in the crate.
const MOST_SEEN: usize = 10_000;
const LONGEST_SEEN: usize = 256;

impl Model {
    /// `options`: the model in tokenizer.json without its vocabulary and merges.
    pub fn new(tables: Tables, options: &Map<String, Value>) -> Result<Self> {
        let options = Options(options);
        let rules = match tables.kind {
            Kind::Bpe => Rules::Bpe(Bpe::new(options)?),
            Kind::Unigram => Rules::Unigram(Unigram::new(options, &tables)?),
            Kind::WordPiece => Rules::WordPiece(WordPiece::new(options)?),
            Kind::WordLevel => Rules::WordLevel(WordLevel::new(options)?),
        };
        Ok(Model { tables, rules, banned: Vec::new(), seen: Default::default() })
    }

    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Names the tokens that plain text must not become; the one for what is unknown may come out.
    pub fn ban(&mut self, ids: impl IntoIterator<Item = u32>) {
        let unknown = match &self.rules {
            Rules::Bpe(model) => model.unknown(&self.tables),
            Rules::Unigram(model) => model.unknown(),
            Rules::WordPiece(model) => self.tables.id_of(model.unknown()),
            Rules::WordLevel(model) => self.tables.id_of(model.unknown()),
        };
        for id in ids.into_iter().filter(|&id| Some(id) != unknown) {
            self.banned.resize(self.tables.size(), false);
            self.banned[id as usize] = true;
        }
    }

    /// The tokens of a word.
    ///
    /// `plain`: whether it is of a text in which no banned token may be found.
    pub fn tokenize(&self, word: &str, plain: bool) -> Result<Vec<Piece>> {
        if word.is_empty() {
            return Ok(Vec::new());
        }
        let plain = plain && !self.banned.is_empty();
        let vocab = Vocab { tables: &self.tables, banned: if plain { &self.banned } else { &[] } };
        match &self.rules {
            Rules::WordPiece(model) => return model.tokenize(word, vocab),
            Rules::WordLevel(model) => return model.tokenize(word, vocab),
            Rules::Bpe(_) | Rules::Unigram(_) => {}
        }
        let seen = &self.seen[usize::from(plain)];
        if let Some(pieces) = seen.borrow().get(word) {
            return Ok(pieces.to_vec());
        }
        let pieces = match &self.rules {
            Rules::Bpe(model) => model.tokenize(word, vocab)?,
            Rules::Unigram(model) => model.tokenize(word, vocab)?,
            Rules::WordPiece(_) | Rules::WordLevel(_) => Vec::new(),
        };
        let mut seen = seen.borrow_mut();
        if word.len() < LONGEST_SEEN && seen.len() < MOST_SEEN {
            seen.insert(word.into(), pieces.as_slice().into());
        }
        Ok(pieces)
    }
}

/// The vocabulary as a text may use it.
#[derive(Clone, Copy)]
pub struct Vocab<'a> {
    tables: &'a Tables,
    banned: &'a [bool],
}

impl<'a> Vocab<'a> {
    pub fn id_of(self, token: &str) -> Option<u32> {
        self.tables.id_of(token).filter(|&id| self.has(id))
    }

    /// The rank of the merge of two ids.
    pub fn merge(self, left: u32, right: u32) -> Option<u32> {
        self.tables.merge(left, right).filter(|&rank| self.has(self.tables.merged(rank)))
    }

    pub fn has(self, id: u32) -> bool {
        self.banned.get(id as usize) != Some(&true)
    }

    pub fn tables(self) -> &'a Tables {
        self.tables
    }

    /// The tokens of each byte of a text, where they all are there.
    pub fn bytes(self, text: &str) -> Option<Vec<u32>> {
        text.bytes().map(|byte| self.id_of(&format!("<0x{byte:02X}>"))).collect()
    }
}

/// A model's fields in tokenizer.json.
#[derive(Clone, Copy)]
pub struct Options<'a>(&'a Map<String, Value>);

impl Options<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, name: &str, what: &str) -> Result<T> {
        let found = self.get(name).map_or("none".into(), |value| show(&value.to_string()));
        Err(bad(format!("model.{name} as {what}"), found))
    }

    pub fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => self.wrong(name, "text"),
        }
    }

    /// A text that must be there.
    pub fn needed(&self, name: &str) -> Result<String> {
        self.text(name)?.map_or_else(|| self.wrong(name, "text"), Ok)
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.wrong(name, "true or false"),
        }
    }

    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        match self.get(name).map(Value::as_u64) {
            None => Ok(None),
            Some(Some(count)) => Ok(Some(count.min(u64::from(u32::MAX)) as usize)),
            Some(None) => self.wrong(name, "a count"),
        }
    }
}
