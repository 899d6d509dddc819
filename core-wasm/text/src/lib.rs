//! Tokenizers by the official crate (`tokenizers`): its normalizers, pre-tokenizers and decoders, its added tokens and
//! its texts that know where each character came from, in WebAssembly. Ours are what it has not, or not in this form:
//!
//! - `capstan-tables`: a tokenizer.json read in one pass, and the models over its tables (the crate's own take more than a
//!   second and 140 MB to load Gemma's, and cannot leave control tokens out of plain text);
//! - `added`: added tokens that are not found in the text of users;
//! - `pattern`, `parts`: patterns as Oniguruma reads them, which Python's build has and WebAssembly cannot.

mod added;
mod engine;
mod ffi;
mod known;
mod letters;
#[cfg(target_arch = "wasm32")]
mod memory;
mod parts;
mod pattern;
#[cfg(target_arch = "wasm32")]
mod random;
mod text;
mod units;
mod words;
