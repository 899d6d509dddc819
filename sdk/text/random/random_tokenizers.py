"""Random tokenizers, and what Python's `tokenizers` makes of random texts with each: a line of JSON for each, on stdout.
Everything is drawn from the seed, so that a failure can be looked at again.

    python random_tokenizers.py --count 400 --texts 8 --seed 1
    python random_tokenizers.py --count 40 --texts 6 --seed 5 > sample.jsonl    # the committed sample
"""

import argparse
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path

from tokenizers import Tokenizer, pre_tokenizers

sys.path.insert(0, str(Path(__file__).parent.parent / "published"))
from texts import CONTRACTIONS, EMOJI, SPACES, text as random_text  # noqa: E402

# Bytes and seconds that a tokenizer may take.
MOST_MEMORY = 3 * 2**30
LONGEST = 20
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
LETTERS = list("abcdefghij ABCDE 0123 .,;:!?'\"()<>|_-/\n\t") + ["\u2581", "é", "ä", "ß", "字", "日", "😀", "и", "ا", "½", "²", "Ⅳ", "٣"]
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]", "<|im_start|>", "<|im_end|>", "<|eot|>", "<think>",
            "</think>", "tag", "ab", " x ", "\n\n", "Ä", "ﬁ", "a b", "ⅷ", "<0x41>", "İ", "\u2581\u2581", "字"]
PATTERNS = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*""",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+", r"[一-龥ࠀ-一가-퟿]+", r"\s+$", r"[\r\n]", r"\p{N}", r"\d{1,3}(?=(?:\d{3})*\b)", r"(?=(\d{3})+(?!\d))",
    r"\p{N}{1,3}+", r"\w+|[^\w\s]+", r"^\s*", r"\s*$", r"(?<=\p{L})(?=\p{N})", r"[[:alpha:]]+", r"[[:punct:][:space:]]", " ", r"",
]
ATOMS = [r"\p{L}", r"\p{N}", r"\p{M}", r"\s", r"\S", r"\w", r"\W", r"\d", r"[^\s\p{L}\p{N}]", r"[\r\n]", "a", "b", " ", "'", r"\.", ".",
         "[a-cé]", "[^a]", r"\p{Lu}", r"\P{Ll}", r"\p{Han}", "(?i:ab|é)", "(?:a|bc)", r"\n", "[[:upper:]]", r"[^\W\d_]", "[a-c0-1]"]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def pattern(rng: random.Random) -> dict:
    kind = rng.random()
    if kind < 0.25:
        return {"String": rng.choice([" ", "a", "ab", "\u2581", "\n", "  ", "é", ".", "[", ""])}
    if kind < 0.6:
        return {"Regex": rng.choice(PATTERNS)}
    branches = []
    for _ in range(rng.randint(1, 3)):
        parts = [rng.choice(ATOMS) + rng.choice(["", "", "", "?", "*", "+", "{1,3}", "{2}", "+?", "++", "{1,2}+"]) for _ in range(rng.randint(1, 3))]
        ahead = rng.choice(["", "", "", "", r"(?!\S)", r"(?=\s)", r"(?!a)", "$", r"\b"])
        behind = rng.choice(["", "", "", "", "", "^", r"(?<!a)", r"(?<=\s)"])
        branches.append(behind + "".join(parts) + ahead)
    return {"Regex": "|".join(branches)}


def normalizer(rng: random.Random, depth: int = 0):
    kind = rng.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Nmt", "Prepend", "Replace", "Replace",
                       "BertNormalizer", "ByteLevel", "Sequence", "Sequence"])
    flag = lambda: rng.random() < 0.5
    if kind == "Sequence":
        return {"type": kind, "normalizers": [normalizer(rng, depth + 1) for _ in range(rng.randint(0, 3))]} if depth < 2 else {"type": "NFC"}
    if kind == "Strip":
        return {"type": kind, "strip_left": flag(), "strip_right": flag()}
    if kind == "Prepend":
        return {"type": kind, "prepend": rng.choice(["\u2581", " ", "a", ""])}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(rng), "content": rng.choice(["\u2581", " ", "", "a", "<s>", "bb"])}
    if kind == "BertNormalizer":
        return {"type": kind, "clean_text": flag(), "handle_chinese_chars": flag(), "strip_accents": rng.choice([None, True, False]),
                "lowercase": flag()}
    return {"type": kind}


def metaspace(rng: random.Random) -> dict:
    scheme = rng.choice(["always", "first", "never"])
    return {"type": "Metaspace", "replacement": rng.choice(["\u2581", "\u2581", "_"]), "prepend_scheme": scheme, "split": rng.random() < 0.7}


def byte_level(rng: random.Random) -> dict:
    flag = lambda: rng.random() < 0.5
    return {"type": "ByteLevel", "add_prefix_space": flag(), "trim_offsets": flag(), "use_regex": flag()}


def pre_tokenizer(rng: random.Random, depth: int = 0):
    kind = rng.choice(["ByteLevel", "ByteLevel", "BertPreTokenizer", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace", "Metaspace",
                       "Punctuation", "UnicodeScripts", "Whitespace", "WhitespaceSplit", "Split", "Split", "Split", "Sequence", "Sequence"])
    if kind == "Sequence":
        made = [pre_tokenizer(rng, depth + 1) for _ in range(rng.randint(0, 3))]
        return {"type": kind, "pretokenizers": made} if depth < 2 else {"type": "Whitespace"}
    if kind == "ByteLevel":
        return byte_level(rng)
    if kind == "Metaspace":
        return metaspace(rng)
    if kind == "CharDelimiterSplit":
        return {"type": kind, "delimiter": rng.choice([" ", "a", "\u2581", "字"])}
    if kind == "Digits":
        return {"type": kind, "individual_digits": rng.random() < 0.5}
    if kind == "FixedLength":
        return {"type": kind, "length": rng.randint(1, 6)}
    if kind == "Punctuation":
        return {"type": kind, "behavior": rng.choice(BEHAVIORS)}
    if kind == "Split":
        return {"type": kind, "pattern": pattern(rng), "behavior": rng.choice(BEHAVIORS), "invert": rng.random() < 0.3}
    return {"type": kind}


def decoder(rng: random.Random, depth: int = 0):
    kind = rng.choice(["ByteLevel", "ByteLevel", "BPEDecoder", "ByteFallback", "CTC", "Fuse", "Metaspace", "WordPiece", "Replace", "Strip",
                       "Sequence", "Sequence"])
    if kind == "Sequence":
        if rng.random() < 0.4:
            strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
            replace = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
            return {"type": kind, "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]}
        return {"type": kind, "decoders": [decoder(rng, depth + 1) for _ in range(rng.randint(0, 3))]} if depth < 2 else {"type": "Fuse"}
    if kind == "ByteLevel":
        return byte_level(rng)
    if kind == "Metaspace":
        return metaspace(rng)
    if kind == "BPEDecoder":
        return {"type": kind, "suffix": rng.choice(["</w>", "", "a"])}
    if kind == "CTC":
        return {"type": kind, "pad_token": rng.choice(["<pad>", "a"]), "word_delimiter_token": rng.choice(["|", " "]), "cleanup": rng.random() < 0.5}
    if kind == "WordPiece":
        return {"type": kind, "prefix": rng.choice(["##", "", "a"]), "cleanup": rng.random() < 0.5}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(rng), "content": rng.choice([" ", "", "xy"])}
    if kind == "Strip":
        return {"type": kind, "content": rng.choice([" ", "a", "\u2581"]), "start": rng.randint(0, 2), "stop": rng.randint(0, 2)}
    return {"type": kind}


def post_processor(rng: random.Random, ids: dict, depth: int = 0):
    kind = rng.choice(["TemplateProcessing", "TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel", "Sequence"])
    token = lambda: rng.choice(list(ids.items()))
    if kind == "ByteLevel":
        return byte_level(rng)
    if kind == "Sequence" and depth == 0:
        # Two templates in a row are a panic in Python.
        return {"type": kind, "processors": [byte_level(rng), post_processor(rng, ids, 1)][: rng.randint(0, 2)]}
    if kind in ("BertProcessing", "RobertaProcessing"):
        more = {"trim_offsets": rng.random() < 0.5, "add_prefix_space": rng.random() < 0.5} if kind[0] == "R" else {}
        return {"type": kind, "sep": list(token()), "cls": list(token()), **more}
    used = [token() for _ in range(3)]
    special = lambda one: {"SpecialToken": {"id": one[0], "type_id": 0}}
    single = [special(one) for one in used[: rng.randint(0, 2)]] + [{"Sequence": {"id": "A", "type_id": 0}}] + [special(used[2])] * rng.randint(0, 1)
    tokens = {text: {"id": text, "ids": [number], "tokens": [text]} for text, number in used}
    pair = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}


def words(rng: random.Random, alphabet: list, count: int) -> list:
    return ["".join(rng.choice(alphabet) for _ in range(rng.choice([1, 1, 2, 2, 3, 4]))) for _ in range(count)]


def bpe(rng: random.Random, alphabet: list, own: list) -> dict:
    prefix = rng.choice([None, None, None, None, "##", ""])
    suffix = rng.choice([None, None, None, None, "</w>"])
    tokens = list(dict.fromkeys(own + [c for c in alphabet if rng.random() < 0.95]))
    if prefix:
        tokens += [prefix + c for c in alphabet if rng.random() < 0.9]
    if suffix:
        tokens += [c + suffix for c in alphabet if rng.random() < 0.9]
    byte_fallback = rng.random() < 0.4
    if byte_fallback:
        tokens += [f"<0x{byte:02X}>" for byte in range(256) if rng.random() < 0.999]
    tokens = list(dict.fromkeys(tokens))
    merges = []
    for _ in range(rng.choice([0, 20, 80, 200])):
        left, right = rng.choice(tokens), rng.choice(tokens)
        if rng.random() < 0.6:
            left, right = rng.choice(tokens[-60:]), rng.choice(alphabet)
        if right not in tokens or " " in left + right and rng.random() < 0.5 or len(right) < len(prefix or ""):
            continue
        if prefix and not right.startswith(prefix):
            continue
        made = left + right[len(prefix or ""):]
        if len(made) > 24:
            continue
        if made not in tokens:
            tokens.append(made)
        merges.append([left, right])
    if rng.random() < 0.3:
        rng.shuffle(merges)
    if rng.random() < 0.3:
        merges = [f"{left} {right}" for left, right in merges if " " not in left + right]
    order = list(range(len(tokens)))
    if rng.random() < 0.3:
        rng.shuffle(order)
    unk = rng.choice([None, None, *[token for token in own], "<missing>" if rng.random() < 0.1 else None])
    return {"type": "BPE", "dropout": None, "unk_token": unk, "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix,
            "fuse_unk": rng.random() < 0.5, "byte_fallback": byte_fallback, "ignore_merges": rng.random() < 0.3,
            "vocab": dict(zip(tokens, order)), "merges": merges}


def unigram(rng: random.Random, alphabet: list, own: list) -> dict:
    tokens = list(dict.fromkeys(own + alphabet + words(rng, alphabet, 150)))
    byte_fallback = rng.random() < 0.4
    if byte_fallback:
        tokens += [f"<0x{byte:02X}>" for byte in range(256) if rng.random() < 0.999]
    if rng.random() < 0.2:
        tokens += rng.sample(tokens, 5)
    score = lambda: rng.choice([0.0, -1.0, -2.5, round(rng.uniform(-12, 0), 4)])
    unk_id = rng.choice([0, 0, rng.randrange(len(tokens)), None])
    return {"type": "Unigram", "unk_id": unk_id, "vocab": [[token, score()] for token in tokens], "byte_fallback": byte_fallback}


def word_piece(rng: random.Random, alphabet: list, own: list) -> dict:
    prefix = rng.choice(["##", "##", "", "a"])
    tokens = own + alphabet + words(rng, alphabet, 100) + [prefix + word for word in words(rng, alphabet, 150)]
    tokens = list(dict.fromkeys(tokens))
    unk = rng.choice([*own, "[UNK]"])
    if unk == "[UNK]" and rng.random() < 0.9:
        tokens.append(unk)
    return {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": prefix, "max_input_chars_per_word": rng.choice([100, 100, 8, 2]),
            "vocab": {token: i for i, token in enumerate(tokens)}}


def word_level(rng: random.Random, alphabet: list, own: list) -> dict:
    tokens = list(dict.fromkeys(own + alphabet + words(rng, alphabet, 200) + ["the", "and", "0", "1", "."]))
    unk = rng.choice([*own, "[UNK]"])
    if unk == "[UNK]" and rng.random() < 0.9:
        tokens.append(unk)
    return {"type": "WordLevel", "vocab": {token: i for i, token in enumerate(tokens)}, "unk_token": unk}


def added_tokens(rng: random.Random, first: int, known: dict, own: list) -> list:
    contents = list(dict.fromkeys(own + rng.sample(SPECIALS, rng.randint(0, 6))))
    rng.shuffle(contents)
    made = []
    for content in contents:
        special = rng.random() < 0.6
        flag = lambda chance: rng.random() < chance
        ident = known.get(content, first + len(made))
        made.append({"id": ident, "content": content, "single_word": flag(0.2), "lstrip": flag(0.2), "rstrip": flag(0.2),
                     "normalized": flag(0.3), "special": special})
    return made


def ids_of(model: dict) -> dict:
    vocab = model["vocab"]
    return vocab if isinstance(vocab, dict) else {token: i for i, (token, _) in enumerate(vocab)}


def random_file(rng: random.Random) -> dict:
    # A byte-level alphabet goes with byte-level parts; elsewhere the two are mixed at random.
    byte_like = rng.random() < 0.4
    alphabet = BYTES if byte_like else rng.sample(LETTERS, rng.randint(20, len(LETTERS)))
    own = rng.sample(SPECIALS[:12], rng.randint(1, 5))
    model = rng.choice([bpe, bpe, bpe, unigram, word_piece, word_level])(rng, alphabet, own)
    known = ids_of(model)
    maybe = lambda chance, part: part(rng) if rng.random() < chance else None
    file = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added_tokens(rng, len(known), known, [token for token in own if rng.random() < 0.8]),
        "normalizer": maybe(0.55, normalizer), "pre_tokenizer": maybe(0.8, pre_tokenizer),
        "post_processor": post_processor(rng, {token: known[token] for token in own}) if rng.random() < 0.6 else None,
        "decoder": maybe(0.85, decoder), "model": model,
    }
    if byte_like and rng.random() < 0.7:
        split = {"type": "Split", "pattern": pattern(rng), "behavior": "Isolated", "invert": False}
        file["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, {**byte_level(rng), "use_regex": False}]}
        file["decoder"] = byte_level(rng)
    return file


def plain_file(file: dict) -> dict:
    """The same without added tokens, and without the way to the control tokens that the vocabulary holds."""
    model = dict(file["model"])
    known = ids_of(model)
    unk = model.get("unk_token") if model["type"] != "Unigram" else (model["vocab"][model["unk_id"]][0] if model["unk_id"] is not None else None)
    last = {}
    for token in file["added_tokens"]:
        last[token["content"]] = token
    banned = {content for content, token in last.items() if token["special"] and content in known and content != unk}
    if model["type"] == "Unigram":
        vocab = model["vocab"]
        free = [token for token, _ in vocab if token not in banned]
        # Of equal texts the last one is found; nothing may come behind it.
        model["vocab"] = [[free[-1] if token in banned else token, score] for token, score in vocab]
        while model["vocab"] and vocab[len(model["vocab"]) - 1][0] in banned:
            model["vocab"] = model["vocab"][:-1]
    else:
        model["vocab"] = {token: i for token, i in known.items() if token not in banned}
    if "merges" in model:
        prefix = len(model["continuing_subword_prefix"] or "")
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        kept = lambda left, right: not {left, right, left + right[prefix:]} & banned
        model["merges"] = [pair for pair in pairs if kept(*pair)]
    return {**file, "added_tokens": [], "model": model}


def a_text(rng: random.Random, file: dict) -> str:
    tokens = [token["content"] for token in file["added_tokens"]]
    kind = rng.random()
    if kind < 0.3:
        return random_text(rng, tokens)
    known = list(ids_of(file["model"]))
    parts = []
    for _ in range(rng.randint(1, 8)):
        parts.append(rng.choice([rng.choice(known), rng.choice(LETTERS), rng.choice(SPACES), rng.choice(tokens or ["x"]), rng.choice("ab. 1"),
                                 rng.choice(EMOJI), rng.choice(CONTRACTIONS)]))
    return "".join(parts)


def attempt(call):
    """What a call gives, or why it gives nothing; a panic of the crate says nothing of what is right."""
    try:
        return call()
    except BaseException as error:  # noqa: BLE001 - PanicException is none of Exception's
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return {"panic" if "Panic" in type(error).__name__ else "error": str(error)[:200]}


def apart(file: dict) -> dict:
    """Without added tokens that are one text once they are normalized, of which one is found by chance, and without those
    that are none then, which the crate finds everywhere."""
    bare = attempt(lambda: Tokenizer.from_str(json.dumps({**file, "added_tokens": []})))
    if isinstance(bare, dict) or bare.normalizer is None:
        return file
    seen, kept = set(), []
    for token in file["added_tokens"]:
        text = attempt(lambda: bare.normalizer.normalize_str(token["content"])) if token["normalized"] else token["content"]
        if text != "" and str((token["normalized"], text)) not in seen:
            kept.append(token)
        seen.add(str((token["normalized"], text)))
    return {**file, "added_tokens": kept}


def case_of(rng: random.Random, texts: int) -> dict:
    file = apart(random_file(rng))
    tokenizer = attempt(lambda: Tokenizer.from_str(json.dumps(file)))
    if isinstance(tokenizer, dict):
        return {"file": file, "refused": tokenizer, "texts": [], "ids": []}
    tokenizer.no_truncation()
    plain = attempt(lambda: Tokenizer.from_str(json.dumps(plain_file(file))))
    case = {"file": file, "texts": [], "ids": []}
    for _ in range(texts):
        text = a_text(rng, file)
        parse = attempt(lambda: tokenizer.encode(text, add_special_tokens=False).ids)
        as_text = plain if isinstance(plain, dict) else attempt(lambda: plain.encode(text, add_special_tokens=False).ids)
        framed = attempt(lambda: tokenizer.encode(text).ids)
        case["texts"].append({"text": text, "parse": parse, "plain": as_text, "framed": framed})
    size = max([*ids_of(file["model"]).values(), *(tokenizer.get_added_tokens_decoder())]) + 1
    for entry in case["texts"][: texts // 2]:
        if isinstance(entry["parse"], list):
            case["ids"].append({"ids": entry["parse"]})
    for _ in range(texts - len(case["ids"])):
        case["ids"].append({"ids": [rng.randrange(size) for _ in range(rng.randint(0, 9))]})
    for entry in case["ids"]:
        entry["decoded"] = attempt(lambda: tokenizer.decode(entry["ids"], skip_special_tokens=False))
        entry["skipped"] = attempt(lambda: tokenizer.decode(entry["ids"], skip_special_tokens=True))
    return case


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for number in range(given.count):
        # In a process of its own: some random patterns take all memory, or abort.
        child = os.fork()
        if child > 0:
            os.waitpid(child, 0)
            continue
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        signal.alarm(LONGEST)
        case = case_of(random.Random(f"{given.seed} {number}"), given.texts)
        signal.alarm(0)
        print(json.dumps({"seed": given.seed, "number": number, **case}, ensure_ascii=True, separators=(",", ":")), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
