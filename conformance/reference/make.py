"""Writes a reference case of any model in a folder: what `capstan conformance make` runs."""

import os

os.environ |= {"HF_HUB_OFFLINE": "1"}

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

MISSING = 86  # exit code: a package is not there

try:
    import torch
    import transformers

    from interventions import Hook, capstan
    from model import Unknown, crosses, forward, forward_sites, generator, greedy, read_model, sizes, write_tensors
except ImportError as error:
    print(error.name, file=sys.stderr)
    sys.exit(MISSING)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--prompt")
    arguments.add_argument("--messages", type=Path)
    arguments.add_argument("--n-prompt", type=int, default=32)
    arguments.add_argument("--n-new", type=int, default=16)
    arguments.add_argument("--hooks", action="store_true")
    arguments.add_argument("--sites", action="store_true")
    options = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as scratch:
        folder = Path(scratch) / "case"
        folder.mkdir()
        try:
            write_case(folder, options)
        except Unknown as what:
            raise SystemExit(f"{what}: leave --sites out") from None
        folder.rename(options.out)


def write_case(folder, options):
    model = read_model(options.model)
    prompt = prompt_of(model, options)
    # A rope that changes on the way: every site is of one pass, else the text is as generate writes it.
    crossing = crosses(model, len(prompt), len(prompt) + options.n_new)
    how = None if not crossing else "whole" if options.sites else "generate"
    n_prefill = len(prompt) if how == "generate" else None
    passes = {"passes": ["stepwise" if how == "generate" else "prefill"]} if crossing else {}
    ends = ends_of(model)
    runs, written = [("plain", [])], []
    while runs:
        name, hooks = runs.pop(0)
        with capstan(model, hooks):
            tokens = cut(greedy(model, prompt, options.n_new, how), len(prompt), ends)
        with capstan(model, hooks):
            every_site = options.sites and name == "plain"
            tensors = forward_sites(model, tokens) if every_site else forward(model, tokens, n_prefill)
        if name == "plain" and options.hooks:
            runs.append(("floor", [median_floor(tensors, options.seed)]))
        vectors = {f"vectors.{k}": hook.vector for k, hook in enumerate(hooks)}
        write_tensors(folder / f"{name}.safetensors", {"tokens": tokens} | tensors | vectors)
        told = [
            {"kind": "cap", "site": f"blocks.{h.block}.hook_resid_post", "vector": f"vectors.{k}", "floor": h.floor}
            for k, h in enumerate(hooks)
        ]
        written.append({"name": name, "reference": f"{name}.safetensors", "n_prompt": len(tokens) if how == "whole" else len(prompt), **passes, "hooks": told})
    for file in sorted(options.model.iterdir()):
        if file.name in ("config.json", "generation_config.json") or file.name.startswith("model") and ".safetensors" in file.name:
            link_or_copy(file.resolve(), folder / file.name)
    made_with = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    described = {"name": options.out.name, "made_with": made_with, "seed": options.seed}
    longest = len(prompt) + options.n_new
    if longest > getattr(sizes(model), "max_position_embeddings", longest):
        described["n_ctx"] = longest
    (folder / "case.json").write_text(json.dumps(described | {"runs": written}, indent=2) + "\n")


def prompt_of(model, options):
    if options.messages is not None:
        return torch.tensor(chat_of(options))
    if options.prompt is None:
        return torch.randint(sizes(model).vocab_size, (options.n_prompt,), generator=generator("make", options.seed))
    ids = transformers.AutoTokenizer.from_pretrained(options.model)(options.prompt)["input_ids"]
    if not ids:
        raise SystemExit("the prompt has no tokens")
    return torch.tensor(ids)


def chat_of(options):
    """Ids of a chat with the opening of the reply, unless the assistant's turn is the last and is continued."""
    messages = json.loads(options.messages.read_text(encoding="utf-8"))
    messages = messages["conversation"] if isinstance(messages, dict) else messages
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    if tokenizer.chat_template is None:
        raise SystemExit("the model's tokenizer has no chat template: give --prompt")
    is_begun = messages[-1]["role"] == "assistant"
    how = {"continue_final_message": True} if is_begun else {"add_generation_prompt": True}
    text = tokenizer.apply_chat_template(messages, tokenize=False, **how)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def ends_of(model):
    ends = model.generation_config.eos_token_id, sizes(model).eos_token_id
    return {i for one in ends for i in (one if isinstance(one, list) else [one])}


def cut(tokens, n_prompt, ends):
    """Without the token that ends the reply, and what follows it."""
    at = next((i for i in range(n_prompt, len(tokens)) if tokens[i].item() in ends), len(tokens))
    if at == n_prompt:
        raise SystemExit("the model ends its reply at once: give another --prompt or --seed")
    return tokens[:at]


def median_floor(tensors, seed):
    """A floor in the middle layer that moves half of the tokens."""
    blocks = [name for name in tensors if name.endswith("hook_resid_post")]
    block = len(blocks) // 2
    h = tensors[f"blocks.{block}.hook_resid_post"]
    vector = torch.randn(h.shape[1], generator=generator("make", seed, "vector"))
    p = (h @ (vector / vector.norm())).sort().values
    return Hook(kind="cap", block=block, vector=vector, floor=((p[len(p) // 2 - 1] + p[len(p) // 2]) / 2).item())


def link_or_copy(source, target):
    """A large model's weights are not written twice where the disk allows it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


if __name__ == "__main__":
    main()
