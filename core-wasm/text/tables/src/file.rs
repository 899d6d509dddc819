//! Reads a tokenizer.json in one pass: the vocabulary and the merges, which are nearly all of it, go straight into
//! tables; the rest is handed on as JSON.

use core::fmt;
use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::{Error, Result, SEPARATOR, bad, show};
use crate::tables::{ID_LIMIT, Kind, Tables};

/// A tokenizer.json, read.
pub struct File {
    pub tables: Tables,
    /// All the rest of it, as JSON: `model` without `vocab` and `merges`.
    pub rest: String,
}

pub fn read(json: &[u8], seed: u32) -> Result<File> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut raw = Raw { bytes: json.len(), ..Raw::default() };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|&byte| byte != b'{') {
        let other = serde_json::from_slice::<Value>(json).map_err(broken)?;
        let need = "a JSON object".to_string();
        return Err(Error::File { need, found: show(&other.to_string()) });
    }
    TopLevel(&mut raw).deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(broken)?;
    let Raw { rest, model, vocab, merges, .. } = raw;
    let model = model.ok_or_else(|| bad("a model", "null"))?;
    let vocab = vocab.ok_or_else(|| bad("model.vocab with an id for each token", "none"))?;
    let kind = kind_of(&model, &vocab, merges.is_some())?;
    let prefix = match field(&model, "continuing_subword_prefix") {
        Some(Value::String(prefix)) => prefix.len(),
        _ => 0,
    };
    let mut entries = entries_of(&rest);
    entries.push(format!("\"model\":{{{}}}", entries_of(&model).join(",")));
    let rest = format!("{{{}}}", entries.join(","));
    let mut tables = Tables::with_tokens(kind, seed, vocab.blob, vocab.ends, vocab.ids);
    if let Some(scores) = vocab.scores {
        tables.set_scores(scores);
    }
    if matches!(kind, Kind::Unigram | Kind::WordPiece) {
        tables.sort();
    }
    match (kind, merges) {
        (Kind::Bpe, Some(merges)) => Ok(File { tables: join(tables, &merges, prefix)?, rest }),
        (Kind::Bpe, None) => Err(bad("model.merges as pairs of tokens", "none")),
        _ => Ok(File { tables, rest }),
    }
}

/// The model's type. Files of the first versions leave it out: then it is what has the fields.
fn kind_of(model: &Fields, vocab: &Vocab, has_merges: bool) -> Result<Kind> {
    let kind = match field(model, "type") {
        Some(Value::String(name)) => match name.as_str() {
            "BPE" => Kind::Bpe,
            "Unigram" => Kind::Unigram,
            "WordPiece" => Kind::WordPiece,
            "WordLevel" => Kind::WordLevel,
            other => {
                return Err(bad(
                    "BPE, Unigram, WordPiece or WordLevel",
                    format!("model type {}", show(other)),
                ));
            }
        },
        Some(other) => return Err(bad("a model type", show(&other.to_string()))),
        None if vocab.scores.is_some() => Kind::Unigram,
        None if has_merges => Kind::Bpe,
        None if field(model, "max_input_chars_per_word").is_some() => Kind::WordPiece,
        None if field(model, "unk_token").is_some() => Kind::WordLevel,
        None => return Err(bad("a model that says its type", "model type null")),
    };
    match (kind == Kind::Unigram, vocab.scores.is_some()) {
        (true, false) => Err(bad("model.vocab as a list of tokens with scores", "an object")),
        (false, true) => Err(bad("model.vocab with an id for each token", "a list")),
        _ => Ok(kind),
    }
}

/// Fields of an object as they stand in the file.
type Fields = Vec<(String, Box<RawValue>)>;

/// The value of a field, the last one of its name.
fn field(fields: &Fields, name: &str) -> Option<Value> {
    let (_, raw) = fields.iter().rfind(|(key, _)| key == name)?;
    serde_json::from_slice(raw.get().as_bytes()).ok()
}

/// The fields as JSON.
fn entries_of(fields: &Fields) -> Vec<String> {
    fields.iter().map(|(key, raw)| format!("{}:{raw}", Value::from(key.as_str()))).collect()
}

/// Gives the merges the ids of their tokens.
fn join(mut tables: Tables, merges: &Merges, prefix: usize) -> Result<Tables> {
    let id_of = |token: &str| {
        tables.id_of(token).ok_or_else(|| bad("merges of tokens in the vocabulary", show(token)))
    };
    let mut joined = String::new();
    let mut start = 0;
    // Files have the merges in the order of the tokens they make, so that the next one is likely.
    let mut likely = 0;
    let mut ids = Vec::with_capacity(merges.ends.len());
    for &[middle, end] in &merges.ends {
        let (left, right) =
            (&merges.blob[start..middle as usize], &merges.blob[middle as usize..end as usize]);
        start = end as usize;
        let tail = right.get(prefix..).ok_or_else(|| bad("merges with the model's prefix", show(right)))?;
        let pair = [id_of(left)?, id_of(right)?];
        joined.clear();
        joined.push_str(left);
        joined.push_str(tail);
        let id = if tables.token_of(likely) == Some(&joined) { likely } else { id_of(&joined)? };
        likely = id + 1;
        ids.push([pair[0], pair[1], id]);
    }
    tables.set_merges(ids);
    Ok(tables)
}

/// What serde_json says, as an error of the file or of the tokenizer in it.
fn broken(error: serde_json::Error) -> Error {
    let text = error.to_string();
    if error.classify() != Category::Data {
        return Error::File { need: "JSON".into(), found: text };
    }
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    match text.split_once(SEPARATOR) {
        Some((need, found)) => bad(need, found),
        None => bad("fields of their types", text),
    }
}

fn wrong<E: serde::de::Error>(need: impl fmt::Display, found: impl fmt::Display) -> E {
    E::custom(format_args!("{need}{SEPARATOR}{found}"))
}

#[derive(Default)]
struct Raw {
    /// Length of the whole file, from which the lists' lengths are guessed: they need not grow then.
    bytes: usize,
    rest: Fields,
    model: Option<Fields>,
    vocab: Option<Vocab>,
    merges: Option<Merges>,
}

/// Tokens as they stand in the file, repeated ones included.
#[derive(Default)]
struct Vocab {
    blob: String,
    ends: Vec<u32>,
    ids: Vec<u32>,
    scores: Option<Vec<f64>>,
}

/// Pairs of tokens: where in `blob` the left and the right one end.
#[derive(Default)]
struct Merges {
    blob: String,
    ends: Vec<[u32; 2]>,
}

struct TopLevel<'a>(&'a mut Raw);
struct Model<'a>(&'a mut Raw);

impl<'de> DeserializeSeed<'de> for TopLevel<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> core::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> core::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "model" {
                map.next_value_seed(Model(self.0))?;
            } else {
                let value = map.next_value()?;
                self.0.rest.push((key, value));
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Model<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> core::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Model<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a model")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> core::result::Result<(), A::Error> {
        let mut rest = Fields::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "vocab" => self.0.vocab = Some(map.next_value_seed(VocabSeed(self.0.bytes))?),
                "merges" => self.0.merges = Some(map.next_value_seed(MergesSeed(self.0.bytes))?),
                _ => rest.push((key, map.next_value()?)),
            }
        }
        self.0.model = Some(rest);
        Ok(())
    }
    fn visit_unit<E: serde::de::Error>(self) -> core::result::Result<(), E> {
        Err(wrong("a model", "null"))
    }
}

struct VocabSeed(usize);

impl<'de> DeserializeSeed<'de> for VocabSeed {
    type Value = Vocab;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> core::result::Result<Vocab, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Vocab {
    fn push<E: serde::de::Error>(&mut self, token: &str, id: u32) -> core::result::Result<(), E> {
        self.blob.push_str(token);
        let end = u32::try_from(self.blob.len()).map_err(|_| wrong("tokens of less than 4 GiB", "more"))?;
        self.ends.push(end);
        self.ids.push(id);
        Ok(())
    }
}

impl<'de> Visitor<'de> for VocabSeed {
    type Value = Vocab;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model.vocab with an id for each token")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> core::result::Result<Vocab, A::Error> {
        let mut vocab = Vocab {
            blob: String::with_capacity(self.0 / 8),
            ends: Vec::with_capacity(self.0 / 64),
            ids: Vec::with_capacity(self.0 / 64),
            scores: None,
        };
        while let Some(token) = map.next_key_seed(Text)? {
            let id = map.next_value_seed(Id(&token))?;
            vocab.push(&token, id)?;
        }
        Ok(vocab)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> core::result::Result<Vocab, A::Error> {
        let mut vocab = Vocab::default();
        let mut scores = Vec::new();
        while let Some((token, score)) = seq.next_element::<(Cow<'_, str>, f64)>()? {
            let id = scores.len() as u32;
            if id >= ID_LIMIT {
                return Err(wrong(format_args!("at most {ID_LIMIT} tokens"), "more"));
            }
            vocab.push(&token, id)?;
            scores.push(score);
        }
        vocab.scores = Some(scores);
        Ok(vocab)
    }
    fn visit_unit<E: serde::de::Error>(self) -> core::result::Result<Vocab, E> {
        Err(wrong("model.vocab with an id for each token", "null"))
    }
}

/// The id of a token.
struct Id<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Id<'_> {
    type Value = u32;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> core::result::Result<u32, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Id<'_> {
    fn wrong<E: serde::de::Error>(&self, found: impl fmt::Display) -> E {
        wrong(format_args!("a token id for {}", show(self.0)), found)
    }
}

impl<'de> Visitor<'de> for Id<'_> {
    type Value = u32;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token id for {}", show(self.0))
    }
    fn visit_u64<E: serde::de::Error>(self, id: u64) -> core::result::Result<u32, E> {
        if id < u64::from(ID_LIMIT) { Ok(id as u32) } else { Err(self.wrong(id)) }
    }
    fn visit_i64<E: serde::de::Error>(self, id: i64) -> core::result::Result<u32, E> {
        Err(self.wrong(id))
    }
    fn visit_f64<E: serde::de::Error>(self, id: f64) -> core::result::Result<u32, E> {
        Err(self.wrong(id))
    }
    fn visit_unit<E: serde::de::Error>(self) -> core::result::Result<u32, E> {
        Err(self.wrong("null"))
    }
}

struct MergesSeed(usize);

impl<'de> DeserializeSeed<'de> for MergesSeed {
    type Value = Merges;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> core::result::Result<Merges, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Merges {
    fn push<E: serde::de::Error>(&mut self, left: &str, right: &str) -> core::result::Result<(), E> {
        let end =
            |blob: &String| u32::try_from(blob.len()).map_err(|_| wrong("merges of less than 4 GiB", "more"));
        self.blob.push_str(left);
        let middle = end(&self.blob)?;
        self.blob.push_str(right);
        self.ends.push([middle, end(&self.blob)?]);
        Ok(())
    }
}

impl<'de> Visitor<'de> for MergesSeed {
    type Value = Merges;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model.merges as pairs of tokens")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> core::result::Result<Merges, A::Error> {
        let mut merges =
            Merges { blob: String::with_capacity(self.0 / 3), ends: Vec::with_capacity(self.0 / 30) };
        let mut forms = [false; 2];
        while let Some(is_pair) = seq.next_element_seed(Merge(&mut merges))? {
            forms[usize::from(is_pair)] = true;
        }
        if forms == [true; 2] {
            return Err(wrong("model.merges all as pairs or all as texts", "both"));
        }
        Ok(merges)
    }
    fn visit_unit<E: serde::de::Error>(self) -> core::result::Result<Merges, E> {
        Err(wrong("model.merges as pairs of tokens", "null"))
    }
}

/// `"a b"`, as files had them first, or `["a", "b"]`; gives whether it is of the second form.
struct Merge<'a>(&'a mut Merges);

impl<'de> DeserializeSeed<'de> for Merge<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> core::result::Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Merge<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model.merges as pairs of tokens")
    }
    fn visit_str<E: serde::de::Error>(self, line: &str) -> core::result::Result<bool, E> {
        if line.starts_with("#version") {
            return Ok(false);
        }
        match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => self.0.push(left, right)?,
            _ => return Err(wrong("model.merges as pairs of tokens", show(line))),
        }
        Ok(false)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> core::result::Result<bool, A::Error> {
        let few =
            || A::Error::custom(format_args!("model.merges as pairs of tokens{SEPARATOR}fewer than two"));
        let left = seq.next_element_seed(Text)?.ok_or_else(few)?;
        let right = seq.next_element_seed(Text)?.ok_or_else(few)?;
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(wrong("model.merges as pairs of tokens", "more than two"));
        }
        self.0.push(&left, &right)?;
        Ok(true)
    }
}

/// A text, borrowed from the file where it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> core::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token's text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> core::result::Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> core::result::Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(json: &str) -> String {
        match read(json.as_bytes(), 1) {
            Ok(_) => "nothing".into(),
            Err(error) => format!("{error}").replace(SEPARATOR, " | "),
        }
    }

    #[test]
    fn reads_merges_of_both_forms_in_any_order() {
        for merges in [r##"["#version: 0.2", "a b", "ab c"]"##, r#"[["a", "b"], ["ab", "c"]]"#] {
            for json in [
                format!(
                    r#"{{"model": {{"vocab": {{"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 5}}, "merges": {merges}}}, "x": [1]}}"#
                ),
                format!(
                    r#"{{"x": [1], "model": {{"merges": {merges}, "vocab": {{"\u0061": 0, "b": 1, "c": 2, "ab": 3, "abc": 5}}, "type": "BPE"}}}}"#
                ),
            ] {
                let File { tables, rest } = read(json.as_bytes(), 1).unwrap();
                assert_eq!((tables.kind, tables.size()), (Kind::Bpe, 6));
                assert_eq!((tables.merge(0, 1), tables.merge(3, 2)), (Some(0), Some(1)));
                assert_eq!(tables.merged(1), 5);
                let rest: Value = serde_json::from_str(&rest).unwrap();
                assert_eq!(rest["x"], serde_json::json!([1]));
                assert!(rest["model"].get("vocab").is_none());
            }
        }
    }

    #[test]
    fn knows_models_without_a_type_by_their_fields() {
        let kind =
            |model: &str| read(format!(r#"{{"model": {model}}}"#).as_bytes(), 1).map(|file| file.tables.kind);
        assert_eq!(kind(r#"{"vocab": [["a", -1]], "unk_id": 0}"#).unwrap(), Kind::Unigram);
        assert_eq!(kind(r#"{"vocab": {"a": 1}, "unk_token": "a"}"#).unwrap(), Kind::WordLevel);
        assert_eq!(
            kind(r#"{"vocab": {"a": 1}, "unk_token": "a", "max_input_chars_per_word": 9}"#).unwrap(),
            Kind::WordPiece
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let model = |model: &str| need(&format!(r#"{{"model": {model}}}"#));
        assert_eq!(need("{"), "JSON | EOF while parsing an object at line 1 column 1");
        assert_eq!(need("[]"), "a JSON object | \"[]\"");
        assert_eq!(need("{}"), "a model | null");
        assert_eq!(need(r#"{"model": null}"#), "a model | null");
        assert_eq!(model(r#"{"vocab": {"a": -1}}"#), "a token id for \"a\" | -1");
        assert_eq!(model(r#"{"vocab": {"a": 4194304}}"#), "a token id for \"a\" | 4194304");
        assert_eq!(
            model(r#"{"vocab": {"a": 0}, "merges": ["a"]}"#),
            "model.merges as pairs of tokens | \"a\""
        );
        assert_eq!(
            model(r#"{"vocab": {"a": 0}, "merges": [["a", "a"]]}"#),
            "merges of tokens in the vocabulary | \"aa\""
        );
        assert_eq!(
            model(r#"{"vocab": {"a": 0}, "type": "Markov"}"#),
            "BPE, Unigram, WordPiece or WordLevel | model type \"Markov\""
        );
    }
}
