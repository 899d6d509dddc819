//! A tokenizer: what runs over a text, from characters to ids and back.

use capstan_tables::{Model, Piece, Result, Tables, bad, show};
use serde_json::{Map, Value};
use tokenizers::tokenizer::pre_tokenizer::OffsetType;
use tokenizers::{
    AddedToken, AddedVocabulary, Decoder as _, OffsetReferential, PreTokenizedString, PreTokenizer as _,
    Token,
};

use crate::added::{Finder, Special};
use crate::known::Known;
use crate::parts::{Decoder, Normalizer, PreTokenizer};

pub struct Text {
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizer>,
    model: Model,
    decoder: Option<Decoder>,
    added: AddedVocabulary,
    finder: Finder,
}

/// A token of a text: the bytes it stands for.
pub struct Place {
    pub id: u32,
    pub start: usize,
    pub end: usize,
    pub is_added: bool,
}

/// An added token as tokenizer.json has it.
fn added_token(json: &Value) -> Result<AddedToken> {
    let flag = |name: &str| json.get(name).and_then(Value::as_bool);
    let Some(content) = json.get("content").and_then(Value::as_str) else {
        return Err(bad("added_tokens with content and id", show(&json.to_string())));
    };
    let special = flag("special") == Some(true);
    Ok(AddedToken::from(content, special)
        .single_word(flag("single_word") == Some(true))
        .lstrip(flag("lstrip") == Some(true))
        .rstrip(flag("rstrip") == Some(true))
        .normalized(flag("normalized").unwrap_or(!special)))
}

/// The part of this name, where the file has one.
fn part<T>(rest: &Map<String, Value>, name: &str, read: impl Fn(&Value) -> Result<T>) -> Result<Option<T>> {
    rest.get(name).filter(|json| !json.is_null()).map(read).transpose()
}

impl Text {
    /// `rest`: the file without its vocabulary and merges.
    pub fn new(tables: Tables, rest: &Map<String, Value>) -> Result<Self> {
        let options = rest.get("model").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut model = Model::new(tables, &options)?;
        let normalizer = part(rest, "normalizer", |json| Normalizer::read(json, 0))?;
        let tokens = part(rest, "added_tokens", |json| match json {
            Value::Array(tokens) => tokens.iter().map(added_token).collect::<Result<Vec<_>>>(),
            other => Err(bad("added_tokens as a list", show(&other.to_string()))),
        })?;
        let mut added = AddedVocabulary::new();
        let tokens = tokens.unwrap_or_default();
        added
            .add_tokens(tokens, &Known(model.tables()), normalizer.as_ref())
            .map_err(|error| bad("added tokens that the tokenizers crate takes", error.to_string()))?;
        let specials = added.get_added_tokens_decoder().iter().filter(|(_, token)| token.special);
        let in_vocabulary = specials.filter_map(|(_, token)| model.tables().id_of(&token.content));
        let banned = in_vocabulary.collect::<Vec<_>>();
        model.ban(banned);
        Ok(Text {
            finder: Finder::new(&added)?,
            pre_tokenizer: part(rest, "pre_tokenizer", |json| PreTokenizer::read(json, 0))?,
            decoder: part(rest, "decoder", |json| Decoder::read(json, 0))?,
            normalizer,
            model,
            added,
        })
    }

    /// Ids lie below this.
    pub fn size(&self) -> usize {
        let added = self.added.get_added_tokens_decoder().keys().map(|&id| id as usize + 1);
        added.max().unwrap_or(0).max(self.model.tables().size())
    }

    /// The added tokens with the ids they have got, in no order.
    pub fn added(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.added.get_added_tokens_decoder().iter().map(|(&id, token)| (id, token))
    }

    /// Ids of the tokens that `ByteFallback` reads as bytes.
    pub fn bytes(&self) -> Vec<u32> {
        let is_byte = |token: &str| {
            let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
        };
        let ids = 0..self.size() as u32;
        ids.filter(|&id| match self.added.simple_id_to_token(id) {
            Some(token) => is_byte(&token),
            None => self.model.tables().token_of(id).is_some_and(is_byte),
        })
        .collect()
    }

    /// The id of a token by its text.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.added.token_to_id(token, &Known(self.model.tables()))
    }

    pub fn encode(&self, text: &str, special: Special) -> tokenizers::Result<Vec<u32>> {
        let pieces = self.cut(text, special)?;
        let tokenized = self.tokenize(pieces, special)?;
        Ok(tokenized.into_encoding(None, 0, OffsetType::None)?.get_ids().to_vec())
    }

    /// The tokens of a text, and where they stand in it.
    pub fn locate(&self, text: &str, special: Special) -> tokenizers::Result<Vec<Place>> {
        let pieces = self.cut(text, special)?;
        let added = added_in(&pieces);
        let encoding = self.tokenize(pieces, special)?.into_encoding(None, 0, OffsetType::Byte)?;
        let mut next = 0;
        let places = encoding.get_ids().iter().zip(encoding.get_offsets()).map(|(&id, &(start, end))| {
            let is_added =
                added.get(next).is_some_and(|one| (one.id, one.start, one.end) == (id, start, end));
            next += usize::from(is_added);
            Place { id, start, end, is_added }
        });
        Ok(places.collect())
    }

    /// The added tokens that stand in a text.
    pub fn find_added(&self, text: &str, special: Special) -> tokenizers::Result<Vec<Place>> {
        Ok(added_in(&self.cut(text, special)?))
    }

    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> tokenizers::Result<String> {
        let tables = self.model.tables();
        let own = |id: u32| tables.token_of(id).map(str::to_owned);
        let text = |&id: &u32| self.added.simple_id_to_token(id).or_else(|| own(id));
        let is_kept = |token: &String| !skip_special_tokens || !self.added.is_special_token(token);
        let tokens: Vec<String> = ids.iter().filter_map(text).filter(is_kept).collect();
        match &self.decoder {
            Some(decoder) => decoder.decode(tokens),
            None => Ok(tokens.join(" ")),
        }
    }

    fn cut(&self, text: &str, special: Special) -> tokenizers::Result<PreTokenizedString> {
        self.finder.cut(text, self.normalizer.as_ref(), special)
    }

    fn tokenize(
        &self,
        mut pieces: PreTokenizedString,
        special: Special,
    ) -> tokenizers::Result<PreTokenizedString> {
        if let Some(pre_tokenizer) = &self.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut pieces)?;
        }
        let plain = !matches!(special, Special::Everywhere);
        // Their texts are left out: nothing here asks for them.
        let token =
            |piece: Piece| Token::new(piece.id, String::new(), (piece.start as usize, piece.end as usize));
        pieces
            .tokenize(|part| Ok(self.model.tokenize(part.get(), plain)?.into_iter().map(token).collect()))?;
        Ok(pieces)
    }
}

/// The pieces of a text that are added tokens.
fn added_in(pieces: &PreTokenizedString) -> Vec<Place> {
    let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
    let added = splits.into_iter().filter_map(|(_, (start, end), tokens)| {
        let id = tokens.as_ref()?.first()?.id;
        Some(Place { id, start, end, is_added: true })
    });
    added.collect()
}
