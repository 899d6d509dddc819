"""Random tokenizer folders, old and new, and what transformers makes of them: a line of JSON for each, on stdout. They name
and add special tokens in every file that does: tokenizer.json, tokenizer_config.json, special_tokens_map.json and
added_tokens.json.

    python random_folders.py --count 300 --seed 1
    python random_folders.py --count 60 --seed 4 > folders.jsonl    # the committed sample
"""

import argparse
import contextlib
import io
import json
import os
import random
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import PreTrainedTokenizerFast  # noqa: E402

LETTERS = list("abcdefgh <>|/_.") + ["Ġ"]
CONTENTS = ["<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|im_end|>", "<|eot|>", "<image>", "<tool>", "</tool>", "ab", "<mask>"]
NAMES = ["bos_token", "eos_token", "unk_token", "pad_token", "mask_token", "image_token", "eot_token"]
TEMPLATE = "".join("{{ %s }}/" % name for name in NAMES) + "{% for m in messages %}{{ m.content }}{% endfor %}"


def flags(rng: random.Random, special: bool) -> dict:
    flag = lambda: rng.random() < 0.15
    return {"single_word": flag(), "lstrip": flag(), "rstrip": flag(), "normalized": rng.random() < 0.3, "special": special}


def name_values(rng: random.Random, as_objects: float) -> dict:
    made = {}
    for name in rng.sample(NAMES, rng.randint(0, 5)):
        content = rng.choice(CONTENTS)
        # Objects under these two names are no special tokens to transformers.
        if rng.random() < as_objects and name not in ("image_token", "eot_token"):
            made[name] = {"content": content, **{key: value for key, value in flags(rng, True).items() if key != "special"}}
        else:
            made[name] = content
    return made


def random_files(rng: random.Random) -> dict:
    vocab = {token: i for i, token in enumerate(LETTERS + rng.sample(CONTENTS, rng.randint(0, 6)))}
    own = []
    for content in rng.sample(CONTENTS, rng.randint(0, 5)):
        number = vocab.get(content, len(vocab) + len(own))
        own.append({"id": number, "content": content, **flags(rng, rng.random() < 0.6)})
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": []}
    parts = {"normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
             "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}}
    files = {"tokenizer.json": {"version": "1.0", "truncation": None, "padding": None, "added_tokens": own, **parts, "model": model}}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, **name_values(rng, 0)}
    if rng.random() < 0.4:
        listed = rng.sample(CONTENTS, rng.randint(0, 6))
        config["added_tokens_decoder"] = {str(rng.randint(20, 40)): {"content": content, **flags(rng, rng.random() < 0.6)} for content in listed}
    if rng.random() < 0.3:
        config[rng.choice(["extra_special_tokens", "additional_special_tokens"])] = rng.sample(CONTENTS, rng.randint(0, 3))
    elif rng.random() < 0.15:
        config["extra_special_tokens"] = {"video_token": rng.choice(CONTENTS)}
    if rng.random() < 0.5:
        names = {key: value for key, value in name_values(rng, 0.5).items()}
        if rng.random() < 0.3:
            names["additional_special_tokens"] = rng.sample(CONTENTS, rng.randint(1, 3))
        files["special_tokens_map.json"] = names
    if rng.random() < 0.3:
        first = len(vocab) + len(own)
        files["added_tokens.json"] = {content: first + i for i, content in enumerate(rng.sample(CONTENTS, rng.randint(1, 3)))}
    files["tokenizer_config.json"] = config
    return files


def text(rng: random.Random) -> str:
    return "".join(rng.choice(CONTENTS + ["ab", " ", "a", "h", " <", ".", "  "]) for _ in range(rng.randint(1, 8)))


def case_of(rng: random.Random) -> dict:
    files = random_files(rng)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        for name, content in files.items():
            (Path(folder) / name).write_text(json.dumps(content))
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        except Exception as error:  # noqa: BLE001 - whatever it says, it is refused
            return {"files": files, "refused": str(error)[:200]}
    content = text(rng)
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    skipped = tokenizer.decode(ids, skip_special_tokens=True)
    return {"files": files, "content": content, "rendered": rendered, "ids": ids, "skipped": skipped}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for number in range(given.count):
        case = case_of(random.Random(f"{given.seed} {number}"))
        print(json.dumps({"seed": given.seed, "number": number, **case}, ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
