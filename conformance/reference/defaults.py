"""Writes class_defaults.json beside this file: what transformers' config classes say where config.json says nothing.

    python defaults.py
"""

import os

os.environ |= {"HF_HUB_OFFLINE": "1"}

import json
import re
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig

from cases import CASES
from model import auto

OUT = Path(__file__).parent / "class_defaults.json"
# Without these a config.json is refused: no default is right for them.
SIZES = ("hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size "
         "n_embd n_head n_layer num_layers num_heads ffn_dim").split()  # fmt: skip
# What the classes' own defaults would have refused, or cannot run.
GIVEN = {
    "granitemoehybrid": dict(num_local_experts=0, layer_types=["full_attention"] * 32),
    "nemotron": dict(num_key_value_heads=8),
    "ministral": dict(head_dim=128),
    "ministral3": dict(
        rope_parameters={"rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 16384}
    ),
}
# Nothing of these bears on what a decoder computes.
OTHERS = re.compile(r"drop|pdrop|initializer|init_std|_token_id|mamba|router|output_|use_cache|dtype|transformers_version|"
                    r"time_step|pretraining_tp|summary|classifier|label|return_dict|is_encoder|problem_type|_name_or_path|architectures|layerdrop|mtp|chunk_size|reorder")  # fmt: skip


def main():
    transformers.logging.set_verbosity_error()
    found = {}
    for model_type in sorted({case.model_type for case in CASES} - {"gemma3", "mistral3"}):
        given = GIVEN.get(model_type, {})
        config = AutoConfig.for_model(model_type, **given)
        with torch.device("meta"):
            model = auto(config).from_config(config)
        fields = {name: value for name, value in config.to_dict().items() if not OTHERS.search(name)}
        sizes = {name: fields[name] for name in SIZES if name in fields}
        found[model_type] = {
            "least": {"model_type": model_type} | sizes | given,
            "whole": fields,
            "n_parameters": sum(p.numel() for p in {id(p): p for p in model.parameters()}.values()),
        }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in found.items())
    OUT.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
