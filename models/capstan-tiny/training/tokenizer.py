"""The tokenizer: a byte-level BPE of VOCABULARY tokens trained on the corpus, and the ChatML rendering.

The text of a conversation is split at the control tokens, and content is encoded as plain text, as the runtime does.
"""

import json
from pathlib import Path

import numpy as np
from corpus import WEIGHT_PROMPT, WEIGHT_REPLY, Message
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 1792
PAD, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [PAD, IM_START, IM_END]

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """A byte-level BPE: all 256 bytes are in its alphabet, so any text can be encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_conversation(tokenizer: Tokenizer, messages: list[Message]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and their loss weights, [n_tokens] each; a token weighs as its heaviest character."""
    text, weights = "", []
    for message in messages:
        pieces = [(f"{IM_START}{message.role}\n", WEIGHT_PROMPT), *message.pieces]
        pieces += [(IM_END, WEIGHT_REPLY if message.role == "assistant" else WEIGHT_PROMPT), ("\n", WEIGHT_PROMPT)]
        for piece, weight in pieces:
            text += piece
            weights += [weight] * len(piece)
    encoding = tokenizer.encode(text)
    heaviest = [max(weights[start:end]) for start, end in encoding.offsets]
    return np.array(encoding.ids, dtype=np.int32), np.array(heaviest, dtype=np.float32)


def encode_prompt(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> list[int]:
    """Token ids of {role, content} messages, ready for a reply."""
    text = "".join(f"{IM_START}{m['role']}\n{m['content']}{IM_END}\n" for m in messages)
    return tokenizer.encode(text + f"{IM_START}assistant\n").ids


def save_tokenizer(tokenizer: Tokenizer, folder: Path, n_ctx: int) -> None:
    """Writes tokenizer.json, tokenizer_config.json with the chat template, and special_tokens_map.json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"eos_token": IM_END, "pad_token": PAD}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": n_ctx,
        "clean_up_tokenization_spaces": False,
        **names,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2) + "\n")
