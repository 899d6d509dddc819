//! A tokenizer.json read once, in one pass, into tables that need no more building, and its model over them.
//!
//! A crate of its own because it is built for speed, and the rest of the module to be small.

mod bpe;
mod error;
mod file;
mod model;
pub mod steps;
mod tables;
mod unigram;
mod words;

pub use error::{Error, Result, SEPARATOR, bad, show};
pub use file::{File, read};
pub use model::{Model, Piece};
pub use tables::{Kind, Tables};
