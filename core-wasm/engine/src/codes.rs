//! What TypeScript, Rust and WGSL share. Made by core-wasm/codes.mjs from models/codes.ts and
//! models/sample_numbers.ts: change those, and run it.

use crate::error::Result;
use crate::packed::PackedReader;

pub mod hook_ops {
    pub const CLAMP: u32 = 0;
    pub const SHIFT: u32 = 1;
    pub const REMOVE: u32 = 2;
    pub const PROJECT: u32 = 3;
}

pub mod logits {
    pub const NONE: u32 = 0;
    pub const LAST: u32 = 1;
    pub const ALL: u32 = 2;
}

pub mod non_finite {
    pub const RESIDUAL: u32 = 1;
    pub const LOGITS: u32 = 2;
}

/// The numbers of `SampleParams` in `models/device.ts`.
#[derive(Clone, Copy, Debug)]
pub struct SampleNumbers {
    pub temperature: f64,
    pub top_k: u32,
    pub top_p: f64,
    pub min_p: f64,
    pub repetition_penalty: f64,
    pub frequency_penalty: f64,
    pub presence_penalty: f64,
    pub n_prompt: u32,
    pub draw: u32,
    pub top_logprobs: i32,
}

impl SampleNumbers {
    pub fn read(packed: &mut PackedReader) -> Result<Self> {
        Ok(Self {
            temperature: packed.f64()?,
            top_k: packed.u32()?,
            top_p: packed.f64()?,
            min_p: packed.f64()?,
            repetition_penalty: packed.f64()?,
            frequency_penalty: packed.f64()?,
            presence_penalty: packed.f64()?,
            n_prompt: packed.u32()?,
            draw: packed.u32()?,
            top_logprobs: packed.i32()?,
        })
    }
}
