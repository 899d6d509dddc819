//! Why a tokenizer cannot be read or a text not be encoded.

use core::fmt;

pub type Result<T> = core::result::Result<T, Error>;

#[derive(Debug)]
pub enum Error {
    /// tokenizer.json is not a JSON object.
    File { need: String, found: String },
    /// It is one, of a tokenizer that cannot work.
    Tokenizer { need: String, found: String },
}

pub fn bad(need: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Tokenizer { need: need.into(), found: found.into() }
}

/// "need, found": what the TypeScript side splits again.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::File { need, found } | Error::Tokenizer { need, found }) = self;
        write!(f, "{need}{SEPARATOR}{found}")
    }
}

impl core::error::Error for Error {}

/// Stands in no text of ours.
pub const SEPARATOR: char = '\u{1f}';

/// A text or a name as it reads well inside an error message.
pub fn show(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    if cut.len() == text.len() { format!("{text:?}") } else { format!("{cut:?}...") }
}
