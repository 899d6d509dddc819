"""Writes oddities.jsonl: random harmless damage to the files of small models, as transformers sees it.

    python make.py [--count N] [--from SEED] [--out FILE]

Each line is one input: a reference case (conformance/reference) and what is changed of its files (`apply` here, and in
oddities.ts). Kept are those that transformers loads: what it loads, we load. Most leave the logits as they are; of the
others, where a field is left to its default, a line has the last row's.
"""

import argparse
import json
import random
import struct
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).parent
CASES = HERE.parents[2] / "conformance" / "reference"
NAMES = ["llama-tied", "llama-biases", "llama-rope-yarn", "qwen2-window-4x", "mistral-window", "gemma2", "gemma3-4x",
         "phi3-longrope-short", "gpt2", "gpt-neox", "mixtral", "qwen3-moe-mixed", "cohere", "smollm3", "olmo3", "granite"]  # fmt: skip
SIZES = dict(BOOL=1, U8=1, I8=1, F8_E5M2=1, F8_E4M3=1, F8_E8M0=1, F8_E4M3FNUZ=1, I16=2, U16=2, F16=2, BF16=2, I32=4,
             U32=4, F32=4, C64=8, F64=8, I64=8, U64=8)  # fmt: skip
TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--count", type=int, default=1200)
    arguments.add_argument("--from", type=int, default=0, dest="first")
    arguments.add_argument("--out", type=Path, default=HERE / "oddities.jsonl")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity(50)
    transformers.logging.disable_progress_bar()
    bases = {name: Base(CASES / name) for name in NAMES}
    kept, counts = [], {"harmless": 0, "changes": 0, "refused": 0}
    for seed in range(options.first, options.first + options.count):
        r = random.Random(seed)
        base = bases[NAMES[seed % len(NAMES)]]
        oddity = draw(base, r)
        what, last = base.judge(oddity)
        counts[what.split(":")[0]] += 1
        if last is not None:
            kept.append({"seed": seed, "case": base.folder.name} | oddity | ({"last": last} if what != "harmless" else {}))
        if what != "harmless":
            print(f"{seed} {base.folder.name} {what}: {json.dumps(oddity)[:200]}", file=sys.stderr)
    options.out.write_text("".join(json.dumps(one, separators=(",", ":")) + "\n" for one in kept))
    print(counts)


class Base:
    """A reference case's files, and what its model says to them as they are."""

    def __init__(self, folder):
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        self.tensors = load_file(folder / "model.safetensors")
        self.tokens = load_file(folder / "sites.safetensors")["tokens"]
        self.logits = self.run({})

    def judge(self, oddity):
        """What comes of an oddity, and the last row of logits where transformers loads it and computes something."""
        try:
            logits = self.run(oddity)
        except Exception as why:
            return f"refused: {type(why).__name__} {' '.join(str(why).split())[:120]}", None
        off = ((logits - self.logits).norm() / self.logits.norm()).item()
        last = [round(x, 4) for x in logits[-1].tolist()]
        if off < 1e-6:
            return "harmless", last
        is_default = all(raw in (None, "null") for raw in oddity["config"].values())
        return f"changes: the logits by {off:.1e}", last if off > 1e-3 and is_default else None

    @torch.no_grad()
    def run(self, oddity):
        with tempfile.TemporaryDirectory() as scratch:
            apply(self, oddity, Path(scratch))
            options = dict(attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
            model, info = transformers.AutoModelForCausalLM.from_pretrained(scratch, **options)
        if info["missing_keys"]:
            raise ValueError(f"made up: {sorted(info['missing_keys'])[0]}")
        return model(self.tokens[None]).logits[0]


def apply(base, oddity, folder):
    """Writes the case's files with the oddity's changes."""
    fields = {key: json.dumps(value) for key, value in base.config.items()} | oddity.get("config", {})
    text = ",".join(f"{json.dumps(key)}:{raw}" for key, raw in fields.items() if raw is not None)
    (folder / "config.json").write_text("{" + text + "}")
    for name, text in oddity.get("texts", {}).items():
        (folder / name).write_text(text)
    write_weights(base.tensors, oddity, folder)


def write_weights(tensors, oddity, folder):
    names = sorted(tensors)
    shards = oddity.get("shards", "0" * len(names))
    count = max(map(int, shards)) + 1
    files = [[] for _ in range(count)]
    for name, shard in zip(names, shards):
        tensor = tensors[name]
        dtype = oddity.get("cast", {}).get(name) or next(k for k, v in TORCH.items() if v == tensor.dtype)
        data = tensor.to(TORCH[dtype]).contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        files[int(shard)].append((name, dtype, list(tensor.shape), data))
    for extra in oddity.get("extra", []):
        n = SIZES[extra["dtype"]]
        for size in extra["shape"]:
            n *= size
        files[extra.get("shard", 0)].append((extra["name"], extra["dtype"], extra["shape"], bytes([extra["byte"]]) * n))
    paths = ["model.safetensors"] if count == 1 else [f"{i}.safetensors" for i in range(count)]
    for path, content in zip(paths, files):
        header, at = dict(oddity["metadata"]) if "metadata" in oddity else {"__metadata__": {"format": "pt"}}, 0
        for name, dtype, shape, data in content:
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(header).encode()
        (folder / path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in content))
    if count > 1:
        claims = zip(names, oddity["index"])
        weight_map = {name: paths[int(shard)] for name, shard in claims if shard != "-"} | oddity["index_extra"]
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


# Not `partial_rotary_factor`: it counts in every family here, and in some of transformers' where the rope is scaled.
# Raw JSON texts, so that Python's own literals are among them; None leaves the field out.
STRANGE = [*["null", None] * 6, "NaN", "Infinity", "-Infinity", "-1", "0", "1", "1e308", '""', '"x"', "[]", "{}"]
UNREAD = ["transformers_version", "torch_dtype", "dtype", "architectures", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id",
          "attention_dropout", "initializer_range", "_name_or_path", "auto_map", "pretraining_tp", "sep_token_id", "id2label", "router_aux_loss_coef",
          "output_router_logits", "classifier_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout", "summary_type", "is_decoder",
          "tie_encoder_decoder", "problem_type", "num_labels", "head_dim", "rope_scaling", "sliding_window", "quantization_config", "max_window_layers",
          "attention_bias", "mlp_bias", "rope_theta", "num_key_value_heads", "tie_word_embeddings", "unsloth_version", "x"]  # fmt: skip
GENERATION = {
    "top_k": ["-1", "0", "null", "50", "0.5", '"all"', "NaN"], "top_p": ["null", "0", "1", "1.5", "-1", "NaN"], "min_p": ["null", "0", "-1", "2"],
    "temperature": ["null", "0", "0.7", "-1", "Infinity"], "repetition_penalty": ["null", "0", "1.0", "-1"], "do_sample": ["true", "false", "null", "1", '"yes"'],
    "eos_token_id": ["null", "-1", "[1, 2]", "[]", '"</s>"', "2"], "pad_token_id": ["-1", "null"], "bos_token_id": ["null", "-1"], "max_new_tokens": ["-1", "null", "0"],
    "num_beams": ["0", "null"], "typical_p": ["NaN", "1.0"], "suppress_tokens": ["null", "[]"], "transformers_version": ["null", '"x"'], "x": ["{}", "NaN"],
}  # fmt: skip


def draw(base, r):
    """One to three kinds of damage."""
    oddity = {}
    for kind in r.sample(["config", "config", "texts", "weights", "weights"], r.randint(1, 3)):
        {"config": draw_config, "texts": draw_texts, "weights": draw_weights}[kind](base, r, oddity)
    return oddity


# Of these transformers passes some values over (0 for a head's size, [] for a rope) that are an error here.
CHECKED = {"head_dim", "num_key_value_heads", "rope_scaling", "max_position_embeddings"}


def draw_config(base, r, oddity):
    keys = [*base.config, *UNREAD]
    for _ in range(r.randint(1, 3)):
        key = r.choice(keys)
        oddity.setdefault("config", {})[key] = r.choice(["null", None] if key in CHECKED else STRANGE)


def draw_texts(base, r, oddity):
    chosen = r.sample(list(GENERATION), r.randint(1, 4))
    text = "{" + ",".join(f'"{key}":{r.choice(GENERATION[key])}' for key in chosen) + "}"
    oddity["texts"] = {"generation_config.json": r.choice([text, text, text, text, "", "[]", "{", text[:-1]])}


def draw_weights(base, r, oddity):
    names = sorted(base.tensors)
    kind = r.choice(["cast", "extra", "metadata", "shards", "shards"])
    if kind == "cast":
        chosen = r.sample(names, r.randint(1, 3))
        oddity["cast"] = {name: r.choice(["F64", "F64", "F32"]) for name in chosen}
    elif kind == "extra":
        stems = ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.position_ids", "model.layers.0.attn.bias", "vision.w", "model.mask", "lm_head.scale", "h.0.attn.masked_bias"]
        # Byte 255 is NaN in every float.
        oddity["extra"] = [
            dict(name=name, dtype=r.choice(list(SIZES)), shape=r.choice([[], [3], [2, 2], [0]]), byte=r.choice([0, 255]))
            for name in r.sample(stems, r.randint(1, 3))
        ]
    elif kind == "metadata":
        oddity["metadata"] = r.choice([{}, {"__metadata__": None}, {"__metadata__": {}}, {"__metadata__": {"x": "y"}}])
    else:
        count = r.randint(2, 3)
        digits = [str(r.randrange(count)) for _ in names]
        digits[:count] = map(str, range(count))
        oddity["shards"] = "".join(digits)
        claims = [r.choice([d, d, d, "-", str(r.randrange(count))]) for d in digits]
        claims[:count] = map(str, range(count))
        oddity["index"] = "".join(claims)
        oddity["index_extra"] = r.choice([{}, {}, {"nobody.weight": "0.safetensors"}])


if __name__ == "__main__":
    main()
