"""Qwen3's decoder in plain PyTorch, faster to train on a CPU than the library's, exported under its names.

Shapes: tokens [batch, n], residual stream [batch, n, d_model].
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """The sizes of the model."""

    d_vocab: int
    d_model: int = 192
    n_layers: int = 8
    n_heads: int = 6
    n_kv_heads: int = 3
    d_head: int = 32
    d_mlp: int = 512
    n_ctx: int = 1024
    rope_theta: float = 10000.0
    eps: float = 1e-6


class RMSNorm(nn.Module):
    """x / rms(x) * weight, over the last dim."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(shape: Shape) -> tuple[Tensor, Tensor]:
    """cos and sin, [n_ctx, d_head], halves repeated as Qwen3 rotates them."""
    inverse = shape.rope_theta ** (-torch.arange(0, shape.d_head, 2, dtype=torch.float64) / shape.d_head)
    angles = torch.outer(torch.arange(shape.n_ctx, dtype=torch.float64), inverse).repeat(1, 2)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def linear(d_in: int, d_out: int, gain: float = 0.7) -> nn.Linear:
    layer = nn.Linear(d_in, d_out, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(d_in))
    return layer


class Block(nn.Module):
    """Attention with qk-norm and grouped queries, then SwiGLU. q|k|v and gate|up are one matmul each."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        d_q, d_kv = shape.n_heads * shape.d_head, shape.n_kv_heads * shape.d_head
        out_gain = 0.7 / math.sqrt(2 * shape.n_layers)
        self.norm_attn, self.norm_mlp = RMSNorm(shape.d_model, shape.eps), RMSNorm(shape.d_model, shape.eps)
        self.norm_q, self.norm_k = RMSNorm(shape.d_head, shape.eps), RMSNorm(shape.d_head, shape.eps)
        self.qkv, self.out = linear(shape.d_model, d_q + 2 * d_kv), linear(d_q, shape.d_model, out_gain)
        self.gate_up, self.down = linear(shape.d_model, 2 * shape.d_mlp), linear(shape.d_mlp, shape.d_model, out_gain)

    def heads(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v as [batch, n_heads or n_kv_heads, n, d_head], q and k rotated."""
        s = self.shape
        qkv = self.qkv(self.norm_attn(x)).view(*x.shape[:2], s.n_heads + 2 * s.n_kv_heads, s.d_head).transpose(1, 2)
        q, k, v = qkv.split((s.n_heads, s.n_kv_heads, s.n_kv_heads), 1)
        return rotate(self.norm_q(q), cos, sin), rotate(self.norm_k(k), cos, sin), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Softmax attention, [batch, n, d_model]; mask [n_queries, n_keys] is added to the scores."""
        repeat = self.shape.n_heads // self.shape.n_kv_heads
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        scores = q @ k.transpose(-1, -2) * self.shape.d_head**-0.5 + mask
        mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))

    def feed(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(self.norm_mlp(x)).chunk(2, -1)
        return self.down(F.silu(gate) * up)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attend(*self.heads(x, cos, sin), mask)
        return x + self.feed(x)


class Decoder(nn.Module):
    """The model. Embeddings are tied."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.d_vocab, shape.d_model)
        nn.init.normal_(self.embed.weight, std=0.04)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape.d_model, shape.eps)
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [batch, n, d_vocab]. Shorter sequences are padded on the right."""
        n = tokens.shape[1]
        mask = torch.full((n, n), float("-inf"), device=tokens.device).triu(1)
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, self.cos[:n], self.sin[:n], mask)
        return F.linear(self.norm(x), self.embed.weight)

    def step(
        self,
        tokens: Tensor,
        cache: list[tuple[Tensor, Tensor]] | None,
        positions: Tensor,
        mask: Tensor,
        edit: Callable[[int, Tensor], Tensor],
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """One cached step for sequences padded on the left: logits of the last position and the grown cache.

        positions [batch, n]; mask [batch, 1, n, n_keys] is added to the scores; `edit(layer, x)` sees and may change
        the residual stream after every block (hook_resid_post).
        """
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        x, grown = self.embed(tokens), []
        for layer, block in enumerate(self.blocks):
            q, k, v = block.heads(x, cos, sin)
            if cache:
                k, v = torch.cat((cache[layer][0], k), 2), torch.cat((cache[layer][1], v), 2)
            grown.append((k, v))
            x = x + block.attend(q, k, v, mask)
            x = edit(layer, x + block.feed(x))
        return F.linear(self.norm(x[:, -1]), self.embed.weight), grown


def round_to_bf16(model: Decoder) -> Decoder:
    """The model with its weights rounded as they are saved, still computing in float32."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
    return model


def published_tensors(model: Decoder) -> dict[str, Tensor]:
    """The weights under the names of Qwen3ForCausalLM, in bf16."""
    s, tensors = model.shape, {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight}
    d_q, d_kv = s.n_heads * s.d_head, s.n_kv_heads * s.d_head
    for i, block in enumerate(model.blocks):
        q, k, v = block.qkv.weight.split((d_q, d_kv, d_kv))
        gate, up = block.gate_up.weight.chunk(2)
        layer = {
            "input_layernorm": block.norm_attn.weight,
            "self_attn.q_proj": q,
            "self_attn.k_proj": k,
            "self_attn.v_proj": v,
            "self_attn.o_proj": block.out.weight,
            "self_attn.q_norm": block.norm_q.weight,
            "self_attn.k_norm": block.norm_k.weight,
            "post_attention_layernorm": block.norm_mlp.weight,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": block.down.weight,
        }
        tensors |= {f"model.layers.{i}.{name}.weight": weight for name, weight in layer.items()}
    return {name: tensor.detach().bfloat16().contiguous() for name, tensor in tensors.items()}


def save_model(model: Decoder, folder: Path, eos: int, pad: int) -> None:
    """Writes config.json, generation_config.json and model.safetensors."""
    s = model.shape
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": s.d_vocab,
        "hidden_size": s.d_model,
        "num_hidden_layers": s.n_layers,
        "num_attention_heads": s.n_heads,
        "num_key_value_heads": s.n_kv_heads,
        "head_dim": s.d_head,
        "intermediate_size": s.d_mlp,
        "hidden_act": "silu",
        "max_position_embeddings": s.n_ctx,
        "rope_theta": s.rope_theta,
        "rms_norm_eps": s.eps,
        "attention_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "eos_token_id": eos,
        "pad_token_id": pad,
    }
    generation = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "eos_token_id": eos, "pad_token_id": pad}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    save_file(published_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
