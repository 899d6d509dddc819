//! Weights in the engine's memory: how they lie there (`layout`, `aligned`) and how they get there (`convert`).

pub mod aligned;
pub mod convert;
pub mod layout;

pub use aligned::Aligned;
pub use convert::FileDtype;
pub use layout::{GROUP, Matrix, Panels, StoredDtype};
