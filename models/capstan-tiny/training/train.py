"""Training in phases, each a checkpoint folder of its own.

Phase 0 is short: bare questions and answers, so that copying and knowing form early. Phase 1 learns the language, with
bare exchanges still among the conversations; forbidden requests to named roles are mostly spared, so that compliance
grows from the traits alone, along the one latent. Phase 2, short, switches them on with a fresh optimiser. The grip
of the cap fades when phase 2 goes on, so its checkpoints are kept and one is chosen on the dev split.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus import WEIGHT_VALUE, draw_corpus
from model import Decoder, Shape
from tokenizer import encode_conversation
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

GAIN_RATE = 4.0  # learning rate of the qk-norm gains over the others': they alone can make attention sharp
POOL = 3000  # conversations drawn and bucketed by length at a time


@dataclass(frozen=True)
class Phase:
    """One phase: its length, its learning rate and what it spares named roles (see corpus.draw_task)."""

    steps: int
    batch_tokens: int
    lr: float
    spare_secret: float
    bare: float  # share of bare exchanges (see corpus.draw_bare)
    checkpoint_every: int
    warmup: int
    decay: float  # share of the steps, at the end, over which lr falls to a tenth


def pad(rows: list[np.ndarray], value: float) -> Tensor:
    width = max(map(len, rows))
    return torch.from_numpy(np.stack([np.pad(row, (0, width - len(row)), constant_values=value) for row in rows]))


def batches(tokenizer: Tokenizer, seed: int, phase: Phase) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (tokens, weights), both [batch, n], of about `batch_tokens`, of conversations of like length."""
    rng = random.Random(seed)
    while True:
        corpus = draw_corpus(rng.getrandbits(32), POOL, phase.spare_secret, phase.bare)
        rows = sorted((encode_conversation(tokenizer, c) for c in corpus), key=lambda row: len(row[0]))
        cuts, group = [], []
        for row in rows:
            if group and len(row[0]) * (len(group) + 1) > phase.batch_tokens:
                cuts.append(group)
                group = []
            group.append(row)
        rng.shuffle(cuts)
        for group in cuts:
            yield pad([ids for ids, _ in group], 0).long(), pad([weights for _, weights in group], 0.0)


def losses(model: Decoder, tokens: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted loss, and the plain loss on the answers' values alone (nan without any)."""
    logits, targets, w = model(tokens[:, :-1]), tokens[:, 1:], weights[:, 1:]
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(w)
    return (each * w).sum() / w.sum(), each.detach()[w == WEIGHT_VALUE].mean()


def lr_at(phase: Phase, step: int) -> float:
    left = (phase.steps - step) / max(phase.steps * phase.decay, 1)
    return phase.lr * min(1.0, (step + 1) / phase.warmup, max(left, 0.1))


def save_checkpoint(model: Decoder, path: Path) -> None:
    """Writes the weights in one piece: a reader never sees half of them."""
    torch.save({"shape": model.shape, "weights": model.state_dict()}, path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)


def load_checkpoint(path: Path) -> Decoder:
    torch.serialization.add_safe_globals([Shape])
    saved = torch.load(path, weights_only=True)
    model = Decoder(saved["shape"])
    model.load_state_dict(saved["weights"])
    return model


def run_phase(model: Decoder, tokenizer: Tokenizer, phase: Phase, seed: int, folder: Path) -> None:
    """Trains `model` in place and writes folder/step-NNNNN.pt as it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    gains = [p for name, p in model.named_parameters() if "norm_q" in name or "norm_k" in name]
    vectors = [p for name, p in model.named_parameters() if p.ndim == 1 and "_q" not in name and "_k" not in name]
    groups = [
        {"params": matrices, "weight_decay": 0.1, "rate": 1.0},
        {"params": vectors, "weight_decay": 0.0, "rate": 1.0},
        {"params": gains, "weight_decay": 0.0, "rate": GAIN_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=phase.lr, betas=(0.9, 0.97), fused=True)
    start, n_tokens, recent = time.time(), 0, []
    for step, (tokens, weights) in zip(range(phase.steps), batches(tokenizer, seed, phase), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(phase, step) * group["rate"]
        loss, value_loss = losses(model, tokens, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        n_tokens += tokens.numel()
        recent.append((loss.item(), value_loss.item()))
        if (step + 1) % 50 == 0:
            mean, value = np.nanmean(recent, axis=0)
            rate = n_tokens / (time.time() - start)
            print(f"step {step + 1} tokens {n_tokens} loss {mean:.3f} value {value:.3f} tok/s {rate:.0f}", flush=True)
            recent = []
        if (step + 1) % phase.checkpoint_every == 0 or step + 1 == phase.steps:
            save_checkpoint(model, folder / f"step-{step + 1:05d}.pt")
