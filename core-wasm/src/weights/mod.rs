//! Weights in the engine's memory: how they lie there (`layout`) and how they get there (`convert`).

pub mod convert;
pub mod layout;

pub use convert::FileDtype;
pub use layout::{GROUP, Matrix, Panels, StoredDtype};
