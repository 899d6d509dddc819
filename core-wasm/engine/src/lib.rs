//! Capstan's CPU engine: a decoder's program run whole, once a step, over a ragged batch.
//!
//! `ffi` is the interface to TypeScript; `step` runs a program over a batch; `kernels` has a file for each op; `formats`
//! decides how matrices lie in memory, `kv` how keys and values do.

#![deny(unsafe_op_in_unsafe_fn)]

mod batch;
mod codes;
mod error;
mod ffi;
mod formats;
mod header;
mod hooks;
mod kernels;
mod kv;
mod model;
mod packed;
mod program;
mod random;
mod sample;
mod simd;
mod simd_int;
mod slots;
mod step;

#[cfg(test)]
mod testing;
