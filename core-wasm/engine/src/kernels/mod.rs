//! One op, one file. Every kernel computes a row from that row's inputs alone, in an order of its own.

pub mod act;
pub mod attention;
pub mod experts;
pub mod math;
pub mod matmul;
pub mod norm;
pub mod panel;
pub mod rope;
pub mod rows;
pub mod vector;
