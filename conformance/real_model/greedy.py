"""Greedy continuations by transformers' own generate, and logits of some of their positions."""

import sys

import torch

from chats import prompt_ids
from model import Float64, row_error
from prompts import PROMPTS

N_NEW = 64
# Rows of logits that are kept, counted in tokens after the prompt; and of each row, every 96th logit and the best.
STEPS = [0, 16, 32, 48, 63]
STRIDE = 96
N_BEST = 16
# Least distance of the best two logits, relative to the row's norm. A row that is off by all of an engine's bound, 6.8e-5
# of its norm, is off by 3e-7 of it at a logit (49,152 of them share it): at this distance any engine chooses the same.
MARGIN = 1e-6


@torch.no_grad()
def make_greedy(model, exact, text):
    """Records of the prompts, and tensors of their logits by name."""
    records, tensors = [], {}
    for name, prompt in PROMPTS.items():
        ids = torch.tensor(prompt_ids(text, prompt))
        made = model.generate(
            ids[None],
            attention_mask=torch.ones_like(ids)[None],
            max_new_tokens=N_NEW,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = made.sequences[0]
        assert len(tokens) == len(ids) + N_NEW, f"{name} ends after {len(tokens) - len(ids)} tokens: another prompt"
        rows = torch.cat(made.logits)  # [N_NEW, d_vocab]: row k is what token n_prompt + k was chosen from
        with Float64():
            truth = exact(tokens[None, :-1]).logits[0, len(ids) - 1 :]
        margin = least_margin(rows, truth, tokens[len(ids) :])
        noise = row_error(rows, truth).max().item()
        tensors |= kept_logits(name, rows[STEPS])
        records.append({"name": name, "prompt": prompt, "n_prompt": len(ids), "tokens": tokens.tolist()})
        print(f"{name}: {len(ids)} + {N_NEW} tokens, least margin {margin:.1e}, float64 {noise:.1e} away", file=sys.stderr)
        print(f"  {text.tokenizer.decode(tokens[len(ids):].tolist())!r}", file=sys.stderr)
    return records, tensors


def least_margin(rows, truth, chosen):
    """The least distance of the best two logits, relative to the row's norm, where float64 chooses the same tokens.

    rows and truth [n, d_vocab], chosen [n]
    """
    best = rows.topk(2).values
    margins = (best[:, 0] - best[:, 1]) / rows.norm(dim=-1)
    assert torch.equal(truth.argmax(dim=-1), chosen), "float64 chooses otherwise: another prompt"
    assert margins.min() > MARGIN, f"top-2 margin {margins.min():.1e}: another prompt"
    return margins.min().item()


def kept_logits(name, rows):
    """Of rows [n, d_vocab] what is kept: a sample, the best, and each row's norm."""
    best = rows.topk(N_BEST)
    return {
        f"{name}.sample": rows[:, ::STRIDE],
        f"{name}.best_ids": best.indices.int(),
        f"{name}.best": best.values,
        f"{name}.norm": rows.double().norm(dim=-1).float(),
    }
