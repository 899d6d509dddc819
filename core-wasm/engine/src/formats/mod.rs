//! How matrices lie in memory: one file per format, and one trait, which is all that the rest of the engine knows of
//! them.
//!
//! Rows are taken in groups of 16. A group is one sequential stream, `[block of columns][...]`: a product reads one
//! column (or block of columns) of x against 16 rows side by side, so there are no horizontal sums, and memory is read
//! strictly forward. The last group is filled up with rows of zeros, so kernels know only whole groups.
//!
//! A new format is a file with its `impl Format` (or `impl Float`, where each value stands alone), a variant of
//! `StoredDtype` and its two lines there, and its name in `STORED_DTYPES` of `engine/load.ts`.

mod aligned;
mod bf16;
mod f16;
mod f32;
mod float;
mod int_blocks;
mod matrix;
mod q4;
mod q8;
pub mod source;

use serde::Deserialize;

pub use aligned::{Aligned, Plain};
pub use float::Float;
pub use matrix::{Matrix, Panels};
use q4::Q4;
use q8::Q8;
pub use source::FileDtype;

use crate::error::Result;
use crate::kernels::rows::Rows;

/// Rows of a group: four vectors of four.
pub const GROUP: usize = 16;

/// A way to keep a matrix: f32, or something smaller.
pub trait Format: Sized + 'static {
    /// For messages.
    const NAME: &'static str;

    /// Columns of a block: 1 where every value stands alone, 32 where those of a row share a scale. A power of two, at
    /// most `STEP`.
    const BLOCK: usize;

    /// A block of columns of a group's 16 rows, as it lies in memory. Where all its bits are zero, so are its weights.
    type Block: Plain;

    /// Stores `values` as a row's next blocks. They are whole blocks: behind a matrix's last column come zeros.
    ///
    /// # Errors
    /// The index of the first value that is not finite, or that the format cannot hold.
    fn store(
        blocks: &mut [Self::Block],
        row_in_group: usize,
        values: &[f32],
    ) -> core::result::Result<(), usize>;

    /// The first `out.len()` columns of a row of a group.
    fn load(blocks: &[Self::Block], row_in_group: usize, out: &mut [f32]);

    /// Floats that `multiply` works in, for up to `count` rows of `cols` columns: weights widened for several rows, or
    /// activations brought to the integers that they are multiplied as.
    fn scratch(count: usize, cols: usize) -> usize;

    /// out += x * weights, of all rows of x. What becomes of a row does not depend on the others, to the last bit.
    /// The rows of `out` are whole groups and hold no -0.
    fn multiply(out: &mut Rows, x: &Rows, weights: &Panels<Self>, scratch: &mut [f32]);
}

/// The formats that there are, by the names that callers give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredDtype {
    F32,
    F16,
    Bf16,
    Q8,
    Q4,
}

impl StoredDtype {
    /// A matrix of zeros, allocated once in its final size.
    pub fn alloc(self, rows: usize, cols: usize) -> Result<Box<dyn Matrix>> {
        Ok(match self {
            StoredDtype::F32 => Box::new(Panels::<f32>::new(rows, cols)?),
            StoredDtype::F16 => Box::new(Panels::<half::f16>::new(rows, cols)?),
            StoredDtype::Bf16 => Box::new(Panels::<half::bf16>::new(rows, cols)?),
            StoredDtype::Q8 => Box::new(Panels::<Q8>::new(rows, cols)?),
            StoredDtype::Q4 => Box::new(Panels::<Q4>::new(rows, cols)?),
        })
    }

    /// Bytes of a matrix's blocks; more than this machine can count stays finite.
    pub fn bytes(self, rows: usize, cols: usize) -> f64 {
        match self {
            StoredDtype::F32 => Panels::<f32>::bytes_of(rows, cols),
            StoredDtype::F16 => Panels::<half::f16>::bytes_of(rows, cols),
            StoredDtype::Bf16 => Panels::<half::bf16>::bytes_of(rows, cols),
            StoredDtype::Q8 => Panels::<Q8>::bytes_of(rows, cols),
            StoredDtype::Q4 => Panels::<Q4>::bytes_of(rows, cols),
        }
    }
}
