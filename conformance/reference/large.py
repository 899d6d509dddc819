"""Writes cases of random models at real sizes, too large to commit: wide products, a long past, a large vocabulary.

    python large.py --out DIR [--only wide]
    capstan conformance distance DIR/*

Each is a Llama from a seed in float32, plain, with every site: what grows with a size is what the case is of.
"""

import os

os.environ |= {"HF_HUB_OFFLINE": "1"}

import argparse
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

from make import write_case
from model import generator

# What each case has beside HEADS and SMALL, and how many tokens its prompt.
CASES = {
    "wide": (dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=2), 24),
    "wider": (dict(hidden_size=4096, intermediate_size=16384), 16),
    "long": (dict(hidden_size=256, intermediate_size=704, num_hidden_layers=2), 4096),
    "vocab": (dict(hidden_size=1024, intermediate_size=2816, vocab_size=151936, tie_word_embeddings=True), 16),
}
SMALL = dict(num_hidden_layers=1, vocab_size=512, max_position_embeddings=8192)
HEADS = {256: (4, 2, 64), 1024: (16, 8, 64), 2048: (16, 8, 128), 4096: (32, 8, 128)}
N_NEW = 8


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--only", choices=CASES, action="append")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only or CASES:
        config, n_prompt = CASES[name]
        with tempfile.TemporaryDirectory(dir=options.out.parent) as model:
            write_model(name, config, options.seed, model)
            folder = options.out / name
            folder.mkdir()
            asked = dict(model=Path(model), out=folder, seed=options.seed, prompt=None, hooks=False, sites=True)
            write_case(folder, argparse.Namespace(**asked, n_prompt=n_prompt, n_new=N_NEW))


def write_model(name, config, seed, folder):
    """Matrices scaled by their inputs' count, so that the stream keeps its size at any width."""
    ids = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)  # nothing may end the greedy text early
    heads = dict(zip(("num_attention_heads", "num_key_value_heads", "head_dim"), HEADS[config["hidden_size"]]))
    model = LlamaForCausalLM(LlamaConfig(**SMALL | heads | config | ids))
    for tensor, p in model.named_parameters():
        drawn = torch.rand if p.ndim == 1 else torch.randn
        p.data = drawn(p.shape, generator=generator(name, seed, tensor))
        p.data = p.data + 0.5 if p.ndim == 1 else p.data / p.shape[1] ** 0.5
    model.tie_weights()
    model.save_pretrained(folder)


if __name__ == "__main__":
    main()
