//! A decoder's forward pass as `models/program.ts` gives it, read from JSON and checked once: after that a step
//! runs it without checks. A field that is not known here is an error: an op must not run without what it asks for.

use serde::Deserialize;

use crate::error::{Result, bad_request};
use crate::formats::StoredDtype;
use crate::kernels::act::Activation;
use crate::kernels::norm::NormKind;
use crate::kernels::rope::{QScale, RopeLayout};

pub type Site = u32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Those of `ropes` whose rows come with each entry of a step: what they hold depends on the length of its call.
    #[serde(default)]
    pub ropes_by_length: Vec<usize>,
    pub ops: Vec<Op>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightSlot {
    pub kind: WeightKind,
    /// Matrices of that size one after the other: 1, or one for each expert.
    pub count: usize,
    pub rows: usize,
    pub cols: usize,
    /// The format it is stored in; vectors are always f32.
    pub stored: StoredDtype,
}

impl WeightSlot {
    /// What it takes; more than this machine can count stays finite in f64.
    pub fn bytes(&self) -> f64 {
        match self.kind {
            WeightKind::Matrix => self.count as f64 * self.stored.bytes(self.rows, self.cols),
            WeightKind::Vector => self.cols as f64 * size_of::<f32>() as f64,
        }
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
    Routes,
    Delta,
    Last,
    Logits,
}

/// Width of each buffer in floats a row; 0 for one that no op names.
#[derive(Debug, Deserialize)]
pub struct Widths {
    h: usize,
    x: usize,
    qkv: usize,
    attn: usize,
    gate_up: usize,
    act: usize,
    routes: usize,
    delta: usize,
    last: usize,
    logits: usize,
}

impl Widths {
    pub const BUFFERS: [Buffer; 10] = [
        Buffer::H,
        Buffer::X,
        Buffer::Qkv,
        Buffer::Attn,
        Buffer::GateUp,
        Buffer::Act,
        Buffer::Routes,
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
            Buffer::Routes => self.routes,
            Buffer::Delta => self.delta,
            Buffer::Last => self.last,
            Buffer::Logits => self.logits,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    Embed {
        weight: usize,
        positions: Option<usize>,
        scale: f32,
        out: Buffer,
        sites: Vec<Site>,
    },
    Norm {
        kind: NormKind,
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        columns: Option<Columns>,
        weight: usize,
        bias: Option<usize>,
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
        layout: RopeLayout,
        norm: NormKind,
        q_norm: Option<usize>,
        k_norm: Option<usize>,
        eps: f64,
        q_scale: Option<QScale>,
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
        softcap: Option<f32>,
        window: Option<usize>,
    },
    GatedAct {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        activation: Activation,
    },
    Act {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        activation: Activation,
    },
    Router {
        #[serde(rename = "in")]
        input: Buffer,
        out: Buffer,
        weight: usize,
        top_k: usize,
        renormalise: bool,
    },
    Experts {
        #[serde(rename = "in")]
        input: Buffer,
        routes: Buffer,
        out: Buffer,
        gate_up: usize,
        down: usize,
        top_k: usize,
        activation: Activation,
    },
    ResidualAdd {
        #[serde(rename = "in")]
        input: Buffer,
        into: Buffer,
        scale: f32,
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
        bias: Option<usize>,
        scale: f32,
        softcap: Option<f32>,
    },
    Sample {
        #[serde(rename = "in")]
        input: Buffer,
    },
}

/// Columns [start, end) of a row.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Columns {
    pub start: usize,
    pub end: usize,
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
        let sizes = self.weights.iter().flat_map(|slot| [slot.count, slot.rows, slot.cols]);
        if positive.into_iter().chain(sizes).any(|size| size == 0) {
            return bad_request("sizes above 0 in a program, found 0");
        }
        if let Some(rope) = self.ropes_by_length.iter().find(|&&rope| rope >= self.ropes.len()) {
            return bad_request(format!("ropes of the program, found rope {rope}"));
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
            Op::Embed { weight, positions, out, .. } => {
                self.is_matrix(*weight, self.d_vocab, width(*out))
                    && positions.is_none_or(|id| self.is_table(id, width(*out)))
                    && width(*out) == self.d_model
            }
            Op::Norm { input, out, columns, weight, bias, .. } => {
                let Columns { start, end } = columns.unwrap_or(Columns { start: 0, end: width(*out) });
                width(*input) == width(*out)
                    && (columns.is_none() || input == out)
                    && start < end
                    && end <= width(*out)
                    && self.is_vector(Some(*weight), end - start)
                    && self.is_vector(*bias, end - start)
            }
            Op::Matmul { input, out, weight, bias } => {
                input != out
                    && self.is_matrix(*weight, width(*out), width(*input))
                    && self.is_vector(*bias, width(*out))
            }
            Op::Rope { buffer, n_heads, rope, q_norm, k_norm, q_scale, .. } => {
                let rope_fits = rope.is_none_or(|rope| {
                    self.ropes.get(rope).is_some_and(|&d| d > 0 && d % 2 == 0 && d <= self.d_head)
                });
                rope_fits
                    && q_scale.is_none_or(|scale| scale.every > 0)
                    && width(*buffer) == self.qkv_width(*n_heads)
                    && self.is_head_norm(*q_norm, *n_heads)
                    && self.is_head_norm(*k_norm, self.n_kv_heads)
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
            Op::GatedAct { input, out, .. } => width(*out) > 0 && width(*input) == 2 * width(*out),
            Op::Act { input, out, .. } => width(*out) > 0 && input != out && width(*input) == width(*out),
            Op::Router { input, out, weight, top_k, .. } => {
                let (n_experts, _) = self.experts();
                (1..=n_experts).contains(top_k)
                    && width(*out) == 2 * top_k
                    && self.is_matrix(*weight, n_experts, width(*input))
            }
            Op::Experts { input, routes, out, gate_up, down, top_k, .. } => {
                let (Some(first), Some(second)) = (self.weights.get(*gate_up), self.weights.get(*down))
                else {
                    return false;
                };
                let are_matrices = [first, second].iter().all(|slot| slot.kind == WeightKind::Matrix);
                let (n_experts, d_expert) = self.experts();
                input != out
                    && width(*routes) == 2 * top_k
                    && (1..=n_experts).contains(top_k)
                    && are_matrices
                    && (first.count, first.rows, first.cols) == (n_experts, 2 * d_expert, width(*input))
                    && (second.count, second.rows, second.cols) == (n_experts, width(*out), d_expert)
                    && (width(*input), width(*out)) == (self.d_model, self.d_model)
            }
            Op::ResidualAdd { input, into, .. } => {
                width(*input) == self.d_model && width(*into) == self.d_model
            }
            Op::Gather { input, out } => width(*input) == width(*out) && width(*out) == self.d_model,
            Op::Logits { input, out, weight, bias, .. } => {
                self.is_matrix(*weight, width(*out), width(*input))
                    && self.is_vector(*bias, width(*out))
                    && width(*out) == self.d_vocab
            }
            Op::Sample { input } => width(*input) == self.d_vocab,
        }
    }

    /// How many experts the layers that have them have, and how wide one is: all the same.
    pub fn experts(&self) -> (usize, usize) {
        let down = self.ops.iter().find_map(|op| match op {
            Op::Experts { down, .. } => self.weights.get(*down),
            _ => None,
        });
        down.map_or((0, 0), |slot| (slot.count, slot.cols))
    }

    fn qkv_width(&self, n_heads: usize) -> usize {
        (n_heads + 2 * self.n_kv_heads) * self.d_head
    }

    fn is_matrix(&self, id: usize, rows: usize, cols: usize) -> bool {
        self.is_table(id, cols) && self.weights[id].rows == rows
    }

    /// Whether a weight is one matrix of that many columns.
    fn is_table(&self, id: usize, cols: usize) -> bool {
        self.weights
            .get(id)
            .is_some_and(|slot| slot.kind == WeightKind::Matrix && slot.count == 1 && slot.cols == cols)
    }

    /// Whether a weight that may be absent is one head's norm or that of all of them.
    fn is_head_norm(&self, id: Option<usize>, n_heads: usize) -> bool {
        self.is_vector(id, self.d_head) || self.is_vector(id, n_heads * self.d_head)
    }

    /// Whether a weight that may be absent is a vector of that length.
    fn is_vector(&self, id: Option<usize>, length: usize) -> bool {
        id.is_none_or(|id| {
            self.weights.get(id).is_some_and(|slot| slot.kind == WeightKind::Vector && slot.cols == length)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn program(op: &str) -> Result<Program> {
        let buffers =
            r#""h":4,"x":4,"qkv":12,"attn":4,"gate_up":0,"act":0,"routes":0,"delta":4,"last":4,"logits":8"#;
        let json = format!(
            r#"{{"d_model":4,"d_vocab":8,"n_layers":1,"n_kv_heads":1,"d_head":4,"buffers":{{{buffers}}},
            "weights":[],"ropes":[],"ops":[{op}]}}"#
        );
        Program::parse(json.as_bytes())
    }

    #[test]
    fn takes_what_it_knows_and_refuses_what_it_does_not_know() {
        let add = r#""op":"residual_add","in":"delta","into":"h","scale":1,"in_site":1,"sites":[2]"#;
        assert!(program(&format!("{{{add}}}")).is_ok());
        for op in [
            format!(r#"{{{add},"twice":true}}"#),
            r#"{"op":"residual_add","in":"delta","into":"h","in_site":1,"sites":[2]}"#.into(),
            r#"{"op":"teleport","in":"h"}"#.into(),
            r#"{"op":"kv_append","in":"qkv","layer":1}"#.into(),
            r#"{"op":"norm","kind":"rms","in":"h","out":"x","columns":null,"weight":0,"bias":null,"eps":0.1}"#.into(),
        ] {
            assert!(matches!(program(&op), Err(Error::BadRequest(_))), "{op}");
        }
    }
}
