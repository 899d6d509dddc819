"""Writes random variants of every family as cases: sizes, ropes, windows, biases and switches as configs may say them.

    python variants.py --out DIR [--count 240] [--from 0] [--only FAMILY ...]
    capstan conformance DIR/*

Nothing is searched or kept: a plain run with every site, from a seed that makes it again. A variant may amplify float32's
rounding past the bound: then the truth (`--device truth`) is nearer to the reference, and `--explain` says where it grew.
"""

import os

os.environ |= {"HF_HUB_OFFLINE": "1"}

import argparse
import copy
import json
import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig

from cases import CASES
from model import auto, crosses, forward, forward_sites, generator, greedy, read_model, rewrite_as_4x, sizes, write_tensors

N_PROMPT, N_NEW = 14, 8
FAMILIES = sorted({case.model_type for case in CASES} - {"gemma3", "mistral3"})
GEMMAS = ("gemma", "gemma2", "gemma3_text", "vaultgemma")
# Families whose layers have a kind each, and those with a rope for each kind.
KINDS = ("gemma2", "gemma3_text", "vaultgemma", "cohere2", "olmo3", "exaone4", "mellum", "ministral")
TWO_ROPES = ("gemma3_text", "olmo3", "mellum")
PARTIAL = ("gpt_neox", "stablelm", "glm", "glm4", "phi3", "phi", "nemotron")
QWENS = ("qwen2", "qwen3", "qwen3_moe")
GATED = ("silu", "silu", "gelu", "gelu_pytorch_tanh")
BOTH = (False, True)

# Families whose heads may be of another size than their share of the model's width.
OWN_HEADS = {"qwen3", "qwen3_moe", "llama", "mistral", "mixtral", "cohere2", "glm", "glm4", "smollm3", "ernie4_5", "seed_oss",
             "mellum", "ministral", "ministral3", "arcee", "nemotron", "jais2", *GEMMAS}  # fmt: skip

# What each field may be, beside the sizes: families, then options.
SWITCHES = [
    (FAMILIES, {"tie_word_embeddings": BOTH}),
    (("llama", "qwen3", "qwen3_moe", "granite", "olmo2", "olmo3", "cohere", "cohere2", "glm", "glm4", "smollm3", "gpt_neox", "granitemoehybrid",
      "olmoe", "seed_oss", "mellum", "helium", "arcee", "nemotron", "jais2", *GEMMAS), {"attention_bias": BOTH}),
    (("llama", "granite", "smollm3", "seed_oss", "helium", "arcee", "nemotron", "jais2"), {"mlp_bias": BOTH}),
    (("ernie4_5",), {"use_bias": BOTH}),
    (("seed_oss",), {"attention_out_bias": BOTH}),
    (("arcee", "nemotron", "jais2", "phi"), {"hidden_act": ("relu2", "relu", "gelu_new", "silu")}),
    (("gptj", "gpt_neo"), {"activation_function": ("gelu_new", "gelu", "relu", "silu"), "layer_norm_epsilon": (1e-5, 1e-2)}),
    (("opt",), {"activation_function": ("relu", "gelu"), "enable_bias": BOTH}),
    (("gpt_neo",), {"window_size": (3, 9), "intermediate_size": (None, 40)}),
    (("gptj",), {"n_inner": (None, 40), "rotary_dim": (2, 4, 8)}),
    (("ernie4_5", "seed_oss", "helium", "exaone4", "olmoe", "mellum", "ministral", "granitemoehybrid"), {"hidden_act": ("silu", "silu", "gelu", "relu", "relu2")}),
    (("exaone4", "mellum", "ministral"), {"sliding_window": (3, 7, 30)}),
    (("granitemoehybrid",), {"position_embedding_type": ("rope", None), "shared_intermediate_size": (20, 33)}),
    (("olmoe",), {"num_experts": (3, 6), "num_experts_per_tok": (1, 3), "norm_topk_prob": BOTH}),
    (("mellum",), {"num_experts": (3, 8), "num_experts_per_tok": (1, 3), "moe_intermediate_size": (16, 25), "norm_topk_prob": BOTH}),
    (("llama", "qwen2", "qwen3", "mistral", "granite", "stablelm", "olmo2", "phi3", "glm", "cohere"), {"hidden_act": GATED}),
    (("gpt_neox", "starcoder2"), {"hidden_act": ("gelu", "gelu_pytorch_tanh", "silu", "gelu_new")}),
    (GEMMAS, {"hidden_activation": ("gelu_pytorch_tanh", "gelu", "silu")}),
    (("mistral", "mixtral", "phi3", "starcoder2", "ministral3"), {"sliding_window": (None, 5, 9)}),
    (QWENS, {"use_sliding_window": BOTH, "sliding_window": (4, 9), "max_window_layers": (0, 1, 2)}),
    (("gemma2", "gemma3_text", "vaultgemma", "cohere2", "olmo3"), {"sliding_window": (3, 7, 30)}),
    (("gemma2", "gemma3_text", "vaultgemma"), {"query_pre_attn_scalar": (8, 20), "final_logit_softcapping": (None, 7.0)}),
    (("gemma2", "vaultgemma"), {"attn_logit_softcapping": (None, 5.0)}),
    (("granite", "granitemoehybrid"), {"embedding_multiplier": (1.0, 3.0), "residual_multiplier": (1.0, 0.3), "attention_multiplier": (0.2, 0.5), "logits_scaling": (1.0, 5.0)}),
    (("cohere",), {"use_qk_norm": BOTH}),
    (("cohere", "cohere2"), {"logit_scale": (0.0625, 1.0)}),
    (("stablelm",), {"qk_layernorm": BOTH, "use_qkv_bias": BOTH}),
    (("stablelm", "gpt_neox"), {"use_parallel_residual": BOTH}),
    (("starcoder2",), {"use_bias": BOTH}),
    (("mixtral",), {"num_local_experts": (2, 5), "num_experts_per_tok": (1, 2)}),
    (("qwen3_moe",), {"num_experts": (3, 8), "num_experts_per_tok": (1, 3), "moe_intermediate_size": (16, 25), "norm_topk_prob": BOTH, "decoder_sparse_step": (1, 2), "mlp_only_layers": ([], [0])}),
    (("gpt2",), {"activation_function": ("gelu_new", "gelu", "silu"), "n_inner": (None, 40), "layer_norm_epsilon": (1e-5, 1e-2),
                 "scale_attn_by_inverse_layer_idx": BOTH, "scale_attn_weights": BOTH, "n_positions": (48, 64)}),
]  # fmt: skip


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--count", type=int, default=240)
    arguments.add_argument("--from", type=int, default=0, dest="first")
    arguments.add_argument("--only", nargs="+", metavar="FAMILY", choices=FAMILIES, default=FAMILIES)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for seed in range(options.first, options.first + options.count):
        family = options.only[seed % len(options.only)]
        folder = options.out / f"{family}-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            write_case(folder, family, seed)
        except Exception as why:  # what transformers itself refuses or cannot run
            shutil.rmtree(folder)
            print(f"{folder.name} left out: {' '.join(str(why).split())[:160]}", file=sys.stderr)


def write_case(folder, family, seed):
    case, config = draw(family, random.Random(seed))
    write_model(folder, case, config, seed)
    model = read_model(folder)
    prompt = torch.randint(sizes(model).vocab_size, (N_PROMPT,), generator=generator(seed, "prompt"))
    # A rope that changes while the text grows: one pass over it is one thing, writing it another.
    crossing = crosses(model, N_PROMPT, N_PROMPT + N_NEW)
    tokens = greedy(model, prompt, N_NEW, "whole" if crossing else None)
    write_tensors(folder / "sites.safetensors", {"tokens": tokens} | forward_sites(model, tokens))
    run = {"name": "sites", "reference": "sites.safetensors", "n_prompt": N_PROMPT, "hooks": []}
    runs = [run]
    if crossing:
        tokens = greedy(model, prompt, N_NEW)
        write_tensors(folder / "crossing.safetensors", {"tokens": tokens} | forward(model, tokens, N_PROMPT))
        runs.append(run | {"name": "crossing", "reference": "crossing.safetensors", "passes": ["stepwise"]})
        # One pass over the text does not say what its shorter beginnings would go on with.
        run |= {"passes": ["prefill"], "n_prompt": N_PROMPT + N_NEW}
    described = {"name": folder.name, "seed": seed, "n_ctx": N_PROMPT + N_NEW, "runs": runs}
    (folder / "case.json").write_text(json.dumps(described, indent=2) + "\n")


def write_model(folder, case, config, seed):
    ids = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
    config = AutoConfig.for_model(case.model_type, **config, **ids)
    model = auto(config).from_config(config, attn_implementation="eager", dtype=torch.float32)
    for name, p in model.named_parameters():
        drawn = lambda: torch.randn(p.shape, generator=generator(seed, name))
        if name.endswith("bias"):
            p.data = drawn() * 0.1
        elif p.ndim == 1:
            p.data = case.norm_mean - 0.5 + torch.rand(p.shape, generator=generator(seed, name))
        else:
            p.data = drawn() * (0.3 if "embed" in name else 0.15)
    model.tie_weights()
    model.save_pretrained(folder, max_shard_size=random.Random(seed).choice(["1GB", "20KB"]))
    (folder / "generation_config.json").unlink(missing_ok=True)
    restyle(folder / "config.json", case, random.Random(seed + 1))


def restyle(path, case, r):
    """Now and then the words of transformers 4, and the flag of a tied head beside one of its own."""
    if case.model_type not in ("olmo3", "mellum", "ministral3") and r.random() < 0.4:
        rewrite_as_4x(replace(case, implied=()), path)
    if r.random() < 0.2:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": True}) + "\n")


def draw(family, r):
    """A case of the family to start from, and the config of a variant."""
    case = r.choice([case for case in CASES if case.model_type == family])
    config = copy.deepcopy(case.config)
    n_layers, n_heads, d_head = r.randint(1, 4), r.choice([1, 2, 3, 4, 6]), r.choice([8, 12, 16])
    if family in ("gpt2", "gptj"):
        config |= dict(n_layer=n_layers, n_head=n_heads, n_embd=n_heads * d_head, vocab_size=r.choice([60, 97]))
    elif family == "gpt_neo":
        kinds = r.choice([[[["global", "local"], n_layers]], [[["local"], n_layers], [["global"], n_layers]]])
        config |= dict(num_layers=2 * n_layers, num_heads=n_heads, hidden_size=n_heads * d_head, vocab_size=r.choice([60, 97]), attention_types=kinds)
    elif family == "opt":
        width = n_heads * d_head
        config |= dict(num_hidden_layers=n_layers, num_attention_heads=n_heads, hidden_size=width, word_embed_proj_dim=width, ffn_dim=r.choice([20, 48, 91]),
                       vocab_size=r.choice([60, 97]), max_position_embeddings=r.choice([24, 60]))  # fmt: skip
    else:
        draw_sizes(config, family, r, n_layers, n_heads, d_head)
        draw_rope(config, family, r, d_head)
        kinds = [r.choice(["sliding_attention", "full_attention"]) for _ in range(n_layers)]
        config.pop("layer_types", None)
        if family in KINDS:
            config["layer_types"] = kinds
        if family == "granitemoehybrid":
            config["layer_types"] = ["full_attention"] * n_layers
        if family == "mellum":
            config["mlp_layer_types"] = [r.choice(["sparse", "dense"]) for _ in kinds]
        if family == "smollm3":
            config["no_rope_layers"] = [r.randrange(2) for _ in kinds]
    for families, switches in SWITCHES:
        if family in families:
            config |= {name: r.choice(values) for name, values in switches.items()}
    return case, config


def draw_sizes(config, family, r, n_layers, n_heads, d_head):
    own_heads = family in OWN_HEADS
    # Some families want a width that the heads divide, though it says nothing of their size.
    width = n_heads * (r.choice([24, 33, 40, 48]) // n_heads if own_heads else d_head)
    config |= dict(vocab_size=r.choice([60, 97, 131]), hidden_size=width, intermediate_size=r.choice([20, 48, 91]),
                   num_hidden_layers=n_layers, num_attention_heads=n_heads, max_position_embeddings=r.choice([64, 128]))  # fmt: skip
    if family != "gpt_neox":
        config["num_key_value_heads"] = r.choice([n for n in range(1, n_heads + 1) if n_heads % n == 0])
    config.pop("head_dim", None)
    if own_heads or family == "helium":
        config["head_dim"] = d_head
    epsilon = r.choice([1e-6, 1e-5, 1e-2])
    config |= {name: epsilon for name in ("rms_norm_eps", "layer_norm_eps", "norm_epsilon", "norm_eps") if name in config}


def draw_rope(config, family, r, d_head):
    is_partial = family in PARTIAL
    turns = r.choice([0.25, 0.5, 0.75, 1.0]) if is_partial else 1.0
    if int(d_head * turns) % 2:
        turns = 0.5
    # transformers takes no other type of rope for Phi-3.
    rope = a_rope(r, int(d_head * turns), ("default", "longrope") if family == "phi3" else ROPES)
    if family == "ministral3":
        rope = {"original_max_position_embeddings": r.choice([5, 16]), "llama_4_scaling_beta": r.choice([0.1, 0.5])} | rope
    if is_partial:
        rope["partial_rotary_factor"] = turns
    if family in TWO_ROPES:
        rope = {"full_attention": rope, "sliding_attention": {"rope_type": "default", "rope_theta": r.choice([50.0, 1e4])}}
    config["rope_parameters"] = rope
    if "dynamic" in str(rope):
        config["max_position_embeddings"] = r.choice([64, N_PROMPT + N_NEW // 2, N_PROMPT // 2])
    if family == "phi3":
        config["original_max_position_embeddings"] = rope.get("original_max_position_embeddings", config["max_position_embeddings"])


ROPES = ("default", "default", "linear", "llama3", "yarn", "longrope", "dynamic")
YARN = ({}, {"attention_factor": 1.3}, {"mscale": 1.0, "mscale_all_dim": 0.8}, {"beta_fast": 4.0, "beta_slow": 0.5})


def a_rope(r, d_rot, types):
    rope = {"rope_type": r.choice(types), "rope_theta": r.choice([100.0, 1e4, 5e5])}
    original = {"original_max_position_embeddings": r.choice([16, 64])}
    match rope["rope_type"]:
        case "linear":
            rope |= {"factor": r.choice([2.0, 3.5])}
        case "llama3":
            rope |= original | {"factor": r.choice([2.0, 8.0]), "low_freq_factor": 1.0, "high_freq_factor": r.choice([2.0, 4.0])}
        case "yarn":
            rope |= original | {"factor": r.choice([2.0, 4.0])} | r.choice(YARN)
        case "dynamic":
            rope |= {"factor": r.choice([2.0, 8.0])}
        case "longrope":
            # Longer than the text, within its continuation, within its prompt.
            rope |= {"original_max_position_embeddings": r.choice([64, N_PROMPT + N_NEW // 2, N_PROMPT // 2])}
            rope |= {f"{k}_factor": [1 + step * i for i in range(d_rot // 2)] for k, step in (("short", 0.1), ("long", 0.7))}
    return rope


if __name__ == "__main__":
    main()
