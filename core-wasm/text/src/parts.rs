//! The parts of a tokenizer around its model, the crate's. They are read here, field by field: the crate's own way of
//! reading them tries every kind after the other, and takes a tenth of the module.

use serde_json::{Map, Value};
use tokenizers::decoders::bpe::BPEDecoder;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::ctc::CTC;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::normalizers::{
    BertNormalizer, ByteLevel as ByteLevelNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled,
    Prepend, Strip, StripAccents,
};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::delimiter::CharDelimiterSplit;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::fixed_length::FixedLength;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::unicode_scripts::UnicodeScripts;
use tokenizers::pre_tokenizers::whitespace::{Whitespace, WhitespaceSplit};
use tokenizers::tokenizer::pattern::{Invert, Pattern};
use tokenizers::{NormalizedString, Normalizer as _, PreTokenizedString, SplitDelimiterBehavior};

use crate::pattern::{Search, compile, literal};
use capstan_tables::{Result, bad, show};

/// How deep parts may be nested.
const DEEPEST: usize = 50;

/// A part as tokenizer.json has it.
struct Fields<'a> {
    part: &'static str,
    kind: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn new(part: &'static str, json: &'a Value) -> Result<Self> {
        if let Value::Object(fields) = json
            && let Some(Value::String(kind)) = fields.get("type")
        {
            return Ok(Fields { part, kind, fields });
        }
        Err(bad(format!("a {part} with its type"), show(&json.to_string())))
    }

    fn unknown<T>(&self) -> Result<T> {
        Err(bad(format!("a {} that the tokenizers crate knows", self.part), show(self.kind)))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, name: &str, what: &str) -> Result<T> {
        let found = self.get(name).map_or("none".into(), |value| show(&value.to_string()));
        Err(bad(format!("{name} of {} as {what}", self.kind), found))
    }

    fn flag(&self, name: &str, default: Option<bool>) -> Result<bool> {
        match (self.get(name), default) {
            (Some(Value::Bool(flag)), _) => Ok(*flag),
            (None, Some(flag)) => Ok(flag),
            _ => self.wrong(name, "true or false"),
        }
    }

    fn text(&self, name: &str) -> Result<String> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => self.wrong(name, "text"),
        }
    }

    fn character(&self, name: &str) -> Result<char> {
        let text = self.text(name)?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(character),
            _ => self.wrong(name, "one character"),
        }
    }

    fn count(&self, name: &str, default: Option<usize>) -> Result<usize> {
        match (self.get(name), default) {
            (None, Some(count)) => Ok(count),
            (value, _) => match value.and_then(Value::as_u64) {
                Some(count) if count < 1 << 31 => Ok(count as usize),
                _ => self.wrong(name, "a count"),
            },
        }
    }

    /// The parts of a sequence, read one by one.
    fn parts<T>(
        &self,
        name: &str,
        depth: usize,
        read: impl Fn(&Value, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        match self.get(name) {
            Some(Value::Array(_)) if depth >= DEEPEST => {
                Err(bad(format!("parts at most {DEEPEST} deep"), "deeper ones"))
            }
            Some(Value::Array(parts)) => parts.iter().map(|part| read(part, depth + 1)).collect(),
            _ => self.wrong(name, "a list"),
        }
    }

    /// `{ "String": text }` or `{ "Regex": pattern }`.
    fn pattern(&self) -> Result<Search> {
        let pattern = self.get("pattern").and_then(Value::as_object).filter(|pattern| pattern.len() == 1);
        match pattern.and_then(|pattern| pattern.iter().next()) {
            Some((kind, Value::String(text))) if kind == "String" => literal(text),
            Some((kind, Value::String(pattern))) if kind == "Regex" => compile(pattern),
            _ => self.wrong("pattern", "a pattern of { String } or { Regex }"),
        }
    }

    fn behavior(&self, default: Option<SplitDelimiterBehavior>) -> Result<SplitDelimiterBehavior> {
        Ok(match (self.get("behavior").map(Value::as_str), default) {
            (Some(Some("Removed")), _) => SplitDelimiterBehavior::Removed,
            (Some(Some("Isolated")), _) => SplitDelimiterBehavior::Isolated,
            (Some(Some("MergedWithPrevious")), _) => SplitDelimiterBehavior::MergedWithPrevious,
            (Some(Some("MergedWithNext")), _) => SplitDelimiterBehavior::MergedWithNext,
            (Some(Some("Contiguous")), _) => SplitDelimiterBehavior::Contiguous,
            (None, Some(behavior)) => behavior,
            _ => return self.wrong("behavior", "one of the five"),
        })
    }

    fn metaspace(&self) -> Result<Metaspace> {
        let scheme = match self.get("prepend_scheme").map(Value::as_str) {
            None | Some(Some("always")) => PrependScheme::Always,
            Some(Some("first")) => PrependScheme::First,
            Some(Some("never")) => PrependScheme::Never,
            _ => return self.wrong("prepend_scheme", "first, never or always"),
        };
        // Files of older versions say only whether.
        if scheme != PrependScheme::Never && !self.flag("add_prefix_space", Some(true))? {
            return self.wrong("add_prefix_space", "what prepend_scheme says");
        }
        Ok(Metaspace::new(self.character("replacement")?, scheme, self.flag("split", Some(true))?))
    }
}

/// What a normalizer of the crate does; a pattern may give up.
pub type Normalize = Box<dyn tokenizers::Normalizer>;

pub enum Normalizer {
    Sequence(Vec<Normalizer>),
    Replace(Search, String),
    Kept(Normalize),
}

impl Normalizer {
    pub fn read(json: &Value, depth: usize) -> Result<Self> {
        let fields = Fields::new("normalizer", json)?;
        let part: Normalize = match fields.kind {
            "Sequence" => {
                return Ok(Normalizer::Sequence(fields.parts("normalizers", depth, Normalizer::read)?));
            }
            "Replace" => return Ok(Normalizer::Replace(fields.pattern()?, fields.text("content")?)),
            "BertNormalizer" | "Bert" => Box::new(BertNormalizer::new(
                fields.flag("clean_text", None)?,
                fields.flag("handle_chinese_chars", None)?,
                fields.get("strip_accents").map(|_| fields.flag("strip_accents", None)).transpose()?,
                fields.flag("lowercase", None)?,
            )),
            "Strip" => {
                Box::new(Strip::new(fields.flag("strip_left", None)?, fields.flag("strip_right", None)?))
            }
            "StripAccents" => Box::new(StripAccents),
            "NFC" => Box::new(NFC),
            "NFD" => Box::new(NFD),
            "NFKC" => Box::new(NFKC),
            "NFKD" => Box::new(NFKD),
            "Lowercase" => Box::new(Lowercase),
            "Nmt" => Box::new(Nmt),
            "Prepend" => Box::new(Prepend::new(fields.text("prepend")?)),
            "ByteLevel" => Box::new(ByteLevelNormalizer::new()),
            "Precompiled" => {
                let bytes = base64::decode(fields.text("precompiled_charsmap")?);
                match bytes.map(|bytes| Precompiled::from(&bytes)) {
                    Ok(Ok(part)) => Box::new(part),
                    _ => return fields.wrong("precompiled_charsmap", "a map of sentencepiece in base64"),
                }
            }
            _ => return fields.unknown(),
        };
        Ok(Normalizer::Kept(part))
    }
}

impl tokenizers::Normalizer for Normalizer {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        match self {
            Normalizer::Sequence(parts) => parts.iter().try_for_each(|part| part.normalize(text)),
            Normalizer::Replace(pattern, content) => text.replace(pattern, content),
            Normalizer::Kept(part) => part.normalize(text),
        }
    }
}

/// GPT-2's rule for words.
const GPT2_WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

pub enum PreTokenizer {
    Sequence(Vec<PreTokenizer>),
    Split {
        pattern: Search,
        behavior: SplitDelimiterBehavior,
        invert: bool,
    },
    /// With a rule for words or without.
    ByteLevel {
        words: Option<Search>,
        add_prefix_space: bool,
    },
    Kept(Box<dyn tokenizers::PreTokenizer>),
}

impl PreTokenizer {
    pub fn read(json: &Value, depth: usize) -> Result<Self> {
        let fields = Fields::new("pre-tokenizer", json)?;
        let part: Box<dyn tokenizers::PreTokenizer> = match fields.kind {
            "Sequence" => {
                return Ok(PreTokenizer::Sequence(fields.parts(
                    "pretokenizers",
                    depth,
                    PreTokenizer::read,
                )?));
            }
            "Split" => {
                let (behavior, invert) = (fields.behavior(None)?, fields.flag("invert", None)?);
                return Ok(PreTokenizer::Split { pattern: fields.pattern()?, behavior, invert });
            }
            "ByteLevel" => {
                let words = fields.flag("use_regex", Some(true))?.then(|| compile(GPT2_WORDS)).transpose()?;
                let add_prefix_space = fields.flag("add_prefix_space", None)?;
                return Ok(PreTokenizer::ByteLevel { words, add_prefix_space });
            }
            "BertPreTokenizer" => Box::new(BertPreTokenizer),
            "CharDelimiterSplit" => Box::new(CharDelimiterSplit::new(fields.character("delimiter")?)),
            "Digits" => Box::new(Digits::new(fields.flag("individual_digits", None)?)),
            "FixedLength" => match fields.count("length", Some(5))? {
                0 => return fields.wrong("length", "a count from 1"),
                length => Box::new(FixedLength::new(length)),
            },
            "Metaspace" => Box::new(fields.metaspace()?),
            "Punctuation" => {
                Box::new(Punctuation::new(fields.behavior(Some(SplitDelimiterBehavior::Isolated))?))
            }
            "UnicodeScripts" => Box::new(UnicodeScripts::new()),
            "Whitespace" => Box::new(Whitespace),
            "WhitespaceSplit" => Box::new(WhitespaceSplit),
            _ => return fields.unknown(),
        };
        Ok(PreTokenizer::Kept(part))
    }
}

impl tokenizers::PreTokenizer for PreTokenizer {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        match self {
            PreTokenizer::Sequence(parts) => parts.iter().try_for_each(|part| part.pre_tokenize(text)),
            PreTokenizer::Split { pattern, behavior, invert: false } => {
                text.split(|_, part| part.split(pattern, *behavior))
            }
            PreTokenizer::Split { pattern, behavior, invert: true } => {
                text.split(|_, part| part.split(Invert(pattern), *behavior))
            }
            PreTokenizer::ByteLevel { words, add_prefix_space } => {
                text.split(|_, mut part| {
                    if *add_prefix_space && !part.get().starts_with(' ') {
                        part.prepend(" ");
                    }
                    match words {
                        Some(words) => part.split(words, SplitDelimiterBehavior::Isolated),
                        None => Ok(vec![part]),
                    }
                })?;
                // The crate's pre-tokenizer does the same, and compiles a rule for words even where it has none.
                text.normalize(|part| ByteLevelNormalizer::new().normalize(part))
            }
            PreTokenizer::Kept(part) => part.pre_tokenize(text),
        }
    }
}

pub enum Decoder {
    Sequence(Vec<Decoder>),
    Replace(Search, String),
    /// How many of this character go at most at the start and at the end of each token.
    Strip {
        content: char,
        start: usize,
        stop: usize,
    },
    Kept(Box<dyn tokenizers::Decoder>),
}

impl Decoder {
    pub fn read(json: &Value, depth: usize) -> Result<Self> {
        let fields = Fields::new("decoder", json)?;
        let part: Box<dyn tokenizers::Decoder> = match fields.kind {
            "Sequence" => return Ok(Decoder::Sequence(fields.parts("decoders", depth, Decoder::read)?)),
            "Replace" => return Ok(Decoder::Replace(fields.pattern()?, fields.text("content")?)),
            "Strip" => {
                let (start, stop) = (fields.count("start", None)?, fields.count("stop", None)?);
                return Ok(Decoder::Strip { content: fields.character("content")?, start, stop });
            }
            "BPEDecoder" => Box::new(BPEDecoder::new(fields.text("suffix")?)),
            "ByteFallback" => Box::new(ByteFallback::new()),
            "ByteLevel" => Box::new(ByteLevel::default()),
            "CTC" => Box::new(CTC::new(
                fields.text("pad_token")?,
                fields.text("word_delimiter_token")?,
                fields.flag("cleanup", None)?,
            )),
            "Fuse" => Box::new(Fuse::new()),
            "Metaspace" => Box::new(fields.metaspace()?),
            "WordPiece" => Box::new(WordPiece::new(fields.text("prefix")?, fields.flag("cleanup", None)?)),
            _ => return fields.unknown(),
        };
        Ok(Decoder::Kept(part))
    }
}

impl tokenizers::Decoder for Decoder {
    fn decode_chain(&self, tokens: Vec<String>) -> tokenizers::Result<Vec<String>> {
        match self {
            Decoder::Sequence(parts) => {
                parts.iter().try_fold(tokens, |tokens, part| part.decode_chain(tokens))
            }
            Decoder::Replace(pattern, content) => {
                tokens.into_iter().map(|token| replaced(&token, pattern, content)).collect()
            }
            &Decoder::Strip { content, start, stop } => {
                Ok(tokens.into_iter().map(|token| stripped(&token, content, start, stop)).collect())
            }
            Decoder::Kept(part) => part.decode_chain(tokens),
        }
    }
}

fn replaced(token: &str, pattern: &Search, content: &str) -> tokenizers::Result<String> {
    let parts = pattern.find_matches(token)?;
    Ok(parts
        .into_iter()
        .map(|((start, end), found)| if found { content } else { &token[start..end] })
        .collect())
}

/// As the crate's `Strip`, which panics where a token is shorter than what may go at its end.
fn stripped(token: &str, content: char, start: usize, stop: usize) -> String {
    let count = token.chars().count();
    let at_start = token.chars().take(start).take_while(|&character| character == content).count();
    let at_end = token.chars().rev().take(stop).take_while(|&character| character == content).count();
    token.chars().take(count - at_end).skip(at_start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokenizers::Decoder as _;

    #[test]
    fn strip_takes_what_is_there() {
        let strip =
            Decoder::read(&json!({ "type": "Strip", "content": " ", "start": 1, "stop": 2 }), 0).unwrap();
        let tokens = ["  a   ", "", " ", "a"].map(String::from).to_vec();
        assert_eq!(strip.decode_chain(tokens).unwrap(), [" a ", "", "", "a"]);
    }

    #[test]
    fn parts_are_refused_for_a_reason() {
        let need = |json: Value| {
            PreTokenizer::read(&json, 0).err().map_or("nothing".into(), |error| error.to_string())
        };
        assert!(need(json!({ "type": "Ouija" })).contains("\"Ouija\""));
        assert!(need(json!({ "type": "Digits" })).contains("individual_digits of Digits"));
        assert!(need(json!({ "type": "FixedLength", "length": 0 })).contains("from 1"));
        let mut deep = json!({ "type": "Digits", "individual_digits": true });
        for _ in 0..60 {
            deep = json!({ "type": "Sequence", "pretokenizers": [deep] });
        }
        assert!(need(deep).contains("at most 50 deep"));
    }
}
