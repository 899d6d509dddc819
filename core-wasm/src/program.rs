//! A decoder's forward pass as `models/program.ts` gives it, read from JSON and checked once: after that a step
//! runs it without doubts.

use serde::Deserialize;

use crate::error::{Result, bad_request};
use crate::kernels::gated::Activation;
use crate::weights::StoredDtype;

pub type Site = u32;

#[derive(Debug, Deserialize)]
pub struct Program {
    pub d_model: usize,
    pub d_vocab: usize,
    pub n_layers: usize,
    pub n_kv_heads: usize,
    pub d_head: usize,
    pub buffers: Widths,
    pub weights: Vec<WeightSlot>,
    /// `d_rot` of each rope table.
    pub ropes: Vec<usize>,
    pub ops: Vec<Op>,
}

#[derive(Debug, Deserialize)]
pub struct WeightSlot {
    pub kind: WeightKind,
    pub rows: usize,
    pub cols: usize,
    /// How the door wants it kept; vectors are always f32.
    pub stored: StoredDtype,
}

impl WeightSlot {
    /// What it takes at least; more than this machine can count stays finite in f64.
    pub fn bytes(&self) -> f64 {
        let size = if self.kind == WeightKind::Matrix { self.stored.size() } else { 4 };
        self.rows as f64 * self.cols as f64 * size as f64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightKind {
    Matrix,
    Vector,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buffer {
    H,
    X,
    Qkv,
    Attn,
    GateUp,
    Act,
    Delta,
    Last,
    Logits,
}

/// Width of each buffer in floats a row.
#[derive(Debug, Deserialize)]
pub struct Widths {
    h: usize,
    x: usize,
    qkv: usize,
    attn: usize,
    gate_up: usize,
    act: usize,
    delta: usize,
    last: usize,
    logits: usize,
}

impl Widths {
    pub const BUFFERS: [Buffer; 9] = [
        Buffer::H,
        Buffer::X,
        Buffer::Qkv,
        Buffer::Attn,
        Buffer::GateUp,
        Buffer::Act,
        Buffer::Delta,
        Buffer::Last,
        Buffer::Logits,
    ];

    pub fn of(&self, buffer: Buffer) -> usize {
        match buffer {
            Buffer::H => self.h,
            Buffer::X => self.x,
            Buffer::Qkv => self.qkv,
            Buffer::Attn => self.attn,
            Buffer::GateUp => self.gate_up,
            Buffer::Act => self.act,
            Buffer::Delta => self.delta,
            Buffer::Last => self.last,
            Buffer::Logits => self.logits,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    Embed {
        weight: usize,
        out: Buffer,
        sites: Vec<Site>,
    },
    Norm {
        kind: NormKind,
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        weight: usize,
        eps: f64,
    },
    Matmul {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        weight: usize,
        bias: Option<usize>,
    },
    Rope {
        buffer: Buffer,
        n_heads: usize,
        rope: Option<usize>,
        q_norm: Option<usize>,
        k_norm: Option<usize>,
        eps: f64,
    },
    KvAppend {
        #[serde(rename = "in")]
        input: Buffer,
        layer: usize,
    },
    Attention {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        layer: usize,
        n_heads: usize,
        scale: f32,
        window: Option<usize>,
    },
    GatedAct {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        activation: Activation,
    },
    ResidualAdd {
        #[serde(rename = "in")]
        input: Buffer,
        into: Buffer,
        in_site: Site,
        sites: Vec<Site>,
    },
    Gather {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
    },
    Logits {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        weight: usize,
    },
    Sample {
        #[serde(rename = "in")]
        input: Buffer,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    Rms,
}

impl Program {
    pub fn parse(json: &[u8]) -> Result<Self> {
        let program: Program = match serde_json::from_slice(json) {
            Ok(program) => program,
            Err(error) => return bad_request(format!("a program that this device knows, found {error}")),
        };
        program.check()?;
        Ok(program)
    }

    fn check(&self) -> Result<()> {
        let positive = [self.d_model, self.d_vocab, self.n_layers, self.n_kv_heads, self.d_head];
        let widths = Widths::BUFFERS.map(|buffer| self.buffers.of(buffer));
        if positive.iter().chain(&widths).any(|&size| size == 0) {
            return bad_request("sizes above 0 in a program, found 0");
        }
        for (index, op) in self.ops.iter().enumerate() {
            if !self.op_fits(op) {
                return bad_request(format!("ops whose widths fit, found op {index}: {op:?}"));
            }
        }
        Ok(())
    }

    fn op_fits(&self, op: &Op) -> bool {
        let width = |buffer: Buffer| self.buffers.of(buffer);
        match op {
            Op::Embed { weight, out, .. } => {
                self.is_matrix(*weight, self.d_vocab, width(*out)) && width(*out) == self.d_model
            }
            Op::Norm { kind: NormKind::Rms, input, out, weight, .. } => {
                width(*input) == width(*out) && input != out && self.is_vector(Some(*weight), width(*out))
            }
            Op::Matmul { input, out, weight, bias } => {
                input != out
                    && self.is_matrix(*weight, width(*out), width(*input))
                    && self.is_vector(*bias, width(*out))
            }
            Op::Rope { buffer, n_heads, rope, q_norm, k_norm, .. } => {
                let turns = rope.is_none_or(|rope| {
                    self.ropes.get(rope).is_some_and(|&d| d > 0 && d % 2 == 0 && d <= self.d_head)
                });
                turns
                    && width(*buffer) == self.qkv_width(*n_heads)
                    && self.is_vector(*q_norm, self.d_head)
                    && self.is_vector(*k_norm, self.d_head)
            }
            Op::KvAppend { input, layer } => {
                *layer < self.n_layers && width(*input) > 2 * self.n_kv_heads * self.d_head
            }
            Op::Attention { input, out, layer, n_heads, window, .. } => {
                *layer < self.n_layers
                    && *window != Some(0)
                    && n_heads % self.n_kv_heads == 0
                    && width(*input) == self.qkv_width(*n_heads)
                    && width(*out) == n_heads * self.d_head
            }
            Op::GatedAct { input, out, .. } => width(*input) == 2 * width(*out),
            Op::ResidualAdd { input, into, .. } => {
                width(*input) == self.d_model && width(*into) == self.d_model
            }
            Op::Gather { input, out } => width(*input) == width(*out) && width(*out) == self.d_model,
            Op::Logits { input, out, weight } => {
                self.is_matrix(*weight, width(*out), width(*input)) && width(*out) == self.d_vocab
            }
            Op::Sample { input } => width(*input) == self.d_vocab,
        }
    }

    fn qkv_width(&self, n_heads: usize) -> usize {
        (n_heads + 2 * self.n_kv_heads) * self.d_head
    }

    fn is_matrix(&self, id: usize, rows: usize, cols: usize) -> bool {
        self.weights
            .get(id)
            .is_some_and(|slot| slot.kind == WeightKind::Matrix && slot.rows == rows && slot.cols == cols)
    }

    /// Whether a weight that may be absent is a vector of that length.
    fn is_vector(&self, id: Option<usize>, length: usize) -> bool {
        id.is_none_or(|id| {
            self.weights.get(id).is_some_and(|slot| slot.kind == WeightKind::Vector && slot.cols == length)
        })
    }
}
