//! Weights in the engine's memory: how they lie there (`layout`, `aligned`) and how they get there (`convert`).

pub mod aligned;
pub mod matrix;
pub mod source;

pub use aligned::Aligned;
pub use matrix::{GROUP, Matrix, Panels, StoredDtype};
pub use source::FileDtype;
