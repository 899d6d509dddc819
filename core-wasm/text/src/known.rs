//! What the crate's added tokens ask of a model: which tokens it has.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use capstan_tables::Tables;
use tokenizers::Token;
use tokenizers::models::bpe::BpeTrainer;

pub struct Known<'a>(pub &'a Tables);

impl tokenizers::Model for Known<'_> {
    type Trainer = BpeTrainer;

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.0.id_of(token)
    }
    fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.token_of(id).map(str::to_owned)
    }
    fn get_vocab_size(&self) -> usize {
        self.0.count()
    }
    fn get_vocab(&self) -> HashMap<String, u32> {
        (0..self.0.n_tokens()).map(|index| (self.0.token(index).to_owned(), self.0.id(index))).collect()
    }
    fn tokenize(&self, _: &str) -> tokenizers::Result<Vec<Token>> {
        Err("only its tokens are known".into())
    }
    fn save(&self, _: &Path, _: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("only its tokens are known".into())
    }
    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}
