//! What can go wrong in the engine. Each kind is one code of `CapstanError` in TypeScript.

use std::collections::TryReserveError;

#[derive(Debug, PartialEq)]
pub enum Error {
    OutOfMemory {
        bytes: usize,
    },
    /// `index` counts elements from the first of the rows just written.
    BadWeights {
        index: usize,
        found: String,
    },
    BadFile(String),
    BadRequest(String),
}

pub type Result<T> = core::result::Result<T, Error>;

impl From<TryReserveError> for Error {
    fn from(_: TryReserveError) -> Self {
        Error::OutOfMemory { bytes: 0 }
    }
}

/// An error of a caller that breaks the contract of the device.
pub fn bad_request<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::BadRequest(message.into()))
}

/// Refuses at once what no memory of WebAssembly holds: it grows to 4 GiB and never shrinks, so finding out by
/// trying would cost all of it.
pub fn check_fits(bytes: f64) -> Result<()> {
    if bytes < (1u64 << 32) as f64 { Ok(()) } else { Err(Error::OutOfMemory { bytes: bytes as usize }) }
}

/// A vector of `length` zeros in exactly the memory it needs, or a clean error where there is none.
pub fn zeros<T: Copy + Default>(length: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    if values.try_reserve_exact(length).is_err() {
        return Err(Error::OutOfMemory { bytes: length.saturating_mul(size_of::<T>()) });
    }
    values.resize(length, T::default());
    Ok(values)
}

impl Error {
    /// A bad weight's index counted from `offset` elements earlier.
    pub fn shifted(self, offset: usize) -> Self {
        match self {
            Error::BadWeights { index, found } => Error::BadWeights { index: index + offset, found },
            other => other,
        }
    }
}
