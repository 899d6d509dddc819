"""What the tests of the real model compare with: `reference/`, made by transformers (float32, eager) and `tokenizers`.

    python conformance/real_model/make_model.py
    python conformance/real_model/generate.py --assistant-axis DIR

The model is the bf16 folder, its values in float32. README.md says what each file holds. Takes some
minutes and 3 GB of memory.
"""

import os

os.environ |= {"HF_HUB_OFFLINE": "1"}

import argparse
import json
import sys
from pathlib import Path

PARTS = ("texts", "greedy", "hooks")
HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent / "reference"))  # its hooks and passes

import torch
import transformers

import interventions
import make_model
from chats import ChatText, make_chats
from greedy import N_NEW, STEPS, STRIDE, make_greedy
from hooks import make_hooks
from model import Float64, read_model, remake, write_tensors
from strings import make_strings, write_lines


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = Path(os.environ.get("CAPSTAN_REAL_MODEL") or make_model.DEFAULT_OUT)
    arguments.add_argument("--model", type=Path, default=models / make_model.FOLDERS["bf16"])
    arguments.add_argument("--assistant-axis", type=Path, required=True, help="a checkout: conformance/reference/README.md")
    arguments.add_argument("--out", type=Path, default=HERE / "reference")
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = arguments.parse_args()
    found = make_model.digest_of(options.model)
    if found != make_model.DIGESTS["bf16"]:
        raise SystemExit(f"read {options.model}: need digest {make_model.DIGESTS['bf16']}, found {found}. Make it with make_model.py.")
    options.out.mkdir(parents=True, exist_ok=True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    text = ChatText(options.model)
    if "texts" in options.only:
        strings, decodings = make_strings(options.model)
        write_lines(options.out / "strings.jsonl", strings)
        write_lines(options.out / "decodings.jsonl", decodings)
        write_lines(options.out / "chats.jsonl", make_chats(text))
    if {"greedy", "hooks"} & {*options.only}:
        model = read_model(options.model)
        with Float64():
            exact = remake(model, torch.float64)
    if "greedy" in options.only:
        prompts, logits = make_greedy(model, exact, text)
        write_lines(options.out / "greedy.jsonl", prompts)
        write_tensors(options.out / "greedy.safetensors", logits)
    if "hooks" in options.only:
        published = interventions.published(interventions.load_published(options.assistant_axis))
        runs, tensors = make_hooks(model, exact, text, published)
        write_lines(options.out / "hooks.jsonl", runs)
        write_tensors(options.out / "hooks.safetensors", tensors)
    about = {
        "made_with": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        "model": {"name": make_model.NAME, "digest": make_model.DIGESTS["bf16"]},
        "logits": {"n_new": N_NEW, "steps": STEPS, "stride": STRIDE},
    }
    (options.out / "about.json").write_text(json.dumps(about, indent=2) + "\n")
    for file in sorted(options.out.iterdir()):
        print(f"{file.name}: {file.stat().st_size} bytes", file=sys.stderr)


def version(name):
    return sys.modules[name].__version__.split("+")[0]


if __name__ == "__main__":
    main()
