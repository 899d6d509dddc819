"""Dev evaluation in PyTorch: collect, fit and cap as the runtime does them, to choose a checkpoint and a cap.

    python evaluate.py CHECKPOINT --layers 2-5 4-7        a sweep over percentiles
    python evaluate.py CHECKPOINT --every 1 --cap "4-7 p50"  one cap beside random directions

Weights are rounded to bf16 first. Nothing here reads the test split.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from judge import score
from model import Decoder, round_to_bf16
from personas import ROLES
from prompts import draw_suite, passes
from recipe import COLLECT, collection_prompts
from tokenizer import IM_END, encode_prompt
from tokenizers import Tokenizer
from torch import Tensor
from train import load_checkpoint

BATCH = 96
N_RANDOM = 5
NEGATIVE = float("-inf")
Edit = Callable[[int, Tensor], Tensor]


@dataclass
class Replies:
    """Generated texts and, per reply, the mean residual stream of its content tokens, [n, n_layers, d_model]."""

    texts: list[str] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)


@dataclass
class Space:
    """What `fit` finds: per layer the axis, the projections' source, and how PC1 agrees with the axis."""

    axis: np.ndarray  # [n_layers, d_model]
    means: np.ndarray  # [n_responses, n_layers, d_model]
    pc1_cosine: np.ndarray  # [n_layers]
    explained: np.ndarray  # [n_layers], PC1's share of the variance
    in_role: float  # share of role responses of score 3
    depth: np.ndarray  # [n_layers], correlation of a role's projection with its d


def pick(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> Tensor:
    """The next tokens, [batch]: greedy at temperature 0, else nucleus sampling."""
    if temperature == 0:
        return logits.argmax(-1)
    p, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
    p = p.masked_fill(p.cumsum(-1) - p >= top_p, 0)
    return order.gather(-1, torch.multinomial(p, 1, generator=generator))[:, 0]


@torch.no_grad()
def generate_batch(
    model: Decoder, prompts: list[list[int]], eos: int, edit: Edit, max_tokens: int, choose: Callable[[Tensor], Tensor]
) -> tuple[list[list[int]], Tensor]:
    """Replies as token ids without eos, and the mean residual stream over them, [batch, n_layers, d_model]."""
    n, width = len(prompts), max(map(len, prompts))
    lengths = torch.tensor([len(p) for p in prompts])
    tokens = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    valid = torch.arange(width)[None] >= (width - lengths)[:, None]
    positions = (torch.arange(width)[None] - (width - lengths)[:, None]).clamp(min=0)
    causal = torch.ones(width, width, dtype=torch.bool).tril() | torch.eye(width, dtype=torch.bool)
    open_keys = (causal[None] & valid[:, None]) | torch.eye(width, dtype=torch.bool)[None]
    mask = torch.zeros(n, 1, width, width).masked_fill(~open_keys[:, None], NEGATIVE)
    logits, cache = model.step(tokens, None, positions, mask, edit)
    sums = torch.zeros(n, model.shape.n_layers, model.shape.d_model)
    replies: list[list[int]] = [[] for _ in prompts]
    alive = torch.ones(n, dtype=torch.bool)
    for step in range(max_tokens):
        chosen = choose(logits)
        alive &= chosen != eos
        if not alive.any():
            break
        for i in alive.nonzero()[:, 0].tolist():
            replies[i].append(int(chosen[i]))
        weight = alive.float()[:, None]

        def watch(layer: int, x: Tensor, weight: Tensor = weight) -> Tensor:
            x = edit(layer, x)
            sums[:, layer] += x[:, -1] * weight
            return x

        valid = torch.cat((valid, torch.ones(n, 1, dtype=torch.bool)), 1)
        mask = torch.zeros(n, 1, 1, valid.shape[1]).masked_fill(~valid[:, None, None], NEGATIVE)
        logits, cache = model.step(chosen[:, None], cache, (lengths + step)[:, None], mask, watch)
    counts = torch.tensor([max(len(reply), 1) for reply in replies])
    return replies, sums / counts[:, None, None]


def generate(
    model: Decoder,
    tokenizer: Tokenizer,
    conversations: list[list[dict[str, str]]],
    max_tokens: int,
    edit: Edit = lambda _, x: x,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Replies:
    """Replies to conversations, in batches of like length, in the order given."""
    generator = torch.Generator().manual_seed(seed)
    prompts = [encode_prompt(tokenizer, messages) for messages in conversations]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: dict[int, tuple[str, np.ndarray]] = {}
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        ids, means = generate_batch(
            model,
            [prompts[i] for i in part],
            tokenizer.token_to_id(IM_END),
            edit,
            max_tokens,
            lambda logits: pick(logits, temperature, top_p, generator),
        )
        for i, reply, mean in zip(part, ids, means.numpy(), strict=True):
            found[i] = (tokenizer.decode(reply), mean)
    return Replies([found[i][0] for i in range(len(prompts))], [found[i][1] for i in range(len(prompts))])


def fit(model: Decoder, tokenizer: Tokenizer) -> Space:
    """Collects the responses of the default and the roles, and fits the axis (DESIGN, section 3)."""
    prompts = collection_prompts()
    sampling = {key: COLLECT[key] for key in ("temperature", "top_p", "max_tokens", "seed")}
    replies = generate(model, tokenizer, [prompt["messages"] for prompt in prompts], **sampling)
    means = np.stack(replies.means)
    names = np.array([prompt["role"] for prompt in prompts])
    kept = np.array([score(text, name) == 3 for text, name in zip(replies.texts, names, strict=True)])
    default = means[names == "default"].mean(0)
    d_of = {role.name: role.d for role in ROLES}
    roles = [
        name
        for name in dict.fromkeys(names)
        if name != "default" and (kept & (names == name)).sum() >= COLLECT["min_count"]
    ]
    vectors = np.stack([means[kept & (names == name)].mean(0) for name in roles])
    axis = default - vectors.mean(0)
    centred = vectors - vectors.mean(0)
    cosines, explained, depth = [], [], []
    for layer in range(axis.shape[0]):
        _, s, vt = np.linalg.svd(centred[:, layer], full_matrices=False)
        cosines.append(abs(vt[0] @ axis[layer]) / np.linalg.norm(axis[layer]))
        explained.append(s[0] ** 2 / (s**2).sum())
        depth.append(np.corrcoef(vectors[:, layer] @ axis[layer], [d_of[name] for name in roles])[0, 1])
    in_role = kept[names != "default"].mean()
    return Space(axis, means, np.array(cosines), np.array(explained), float(in_role), np.array(depth))


def cap(space: Space, layers: range, percentile: float, random_seed: int | None = None) -> Edit:
    """A floor on the projection at the given layers; on random directions instead when a seed is given."""
    rng = np.random.default_rng(random_seed)
    held: dict[int, tuple[Tensor, float]] = {}
    for layer in layers:
        v = space.axis[layer] if random_seed is None else rng.standard_normal(space.axis.shape[1])
        v = v / np.linalg.norm(v)
        tau = float(np.percentile(space.means[:, layer] @ v, percentile))
        held[layer] = (torch.from_numpy(v).float(), tau)

    def edit(layer: int, x: Tensor) -> Tensor:
        if layer not in held:
            return x
        v, tau = held[layer]
        return x + (tau - x @ v).clamp(min=0)[..., None] * v

    return edit


def rates(
    model: Decoder, tokenizer: Tokenizer, prompts: list[dict], edit: Edit = lambda _, x: x
) -> dict[str, list[bool]]:
    """Which prompts pass, by suite and by suite/group; greedy."""
    replies = generate(model, tokenizer, [p["messages"] for p in prompts], 64, edit)
    results: dict[str, list[bool]] = {}
    for prompt, text in zip(prompts, replies.texts, strict=True):
        ok = passes(prompt["check"], text)
        for key in (prompt["suite"], f"{prompt['suite']}/{prompt['group']}"):
            results.setdefault(key, []).append(ok)
    return results


def wilson(n_passed: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a rate."""
    p, zz = n_passed / n, z * z / n
    centre, half = (p + zz / 2) / (1 + zz), z * math.sqrt(p * (1 - p) / n + zz / (4 * n)) / (1 + zz)
    return centre - half, centre + half


def show(label: str, results: dict[str, list[bool]]) -> None:
    """One line: suites with their intervals, groups without, in per cent."""
    parts = []
    for key, values in results.items():
        low, high = wilson(sum(values), len(values))
        interval = "" if "/" in key else f" [{100 * low:.1f}, {100 * high:.1f}]"
        parts.append(f"{key.split('/')[-1]} {100 * sum(values) / len(values):.1f}{interval}")
    print(f"{label:>12}  {'; '.join(parts)}", flush=True)


def sweep(model: Decoder, tokenizer: Tokenizer, space: Space, jailbreaks: list[dict], ranges: list[str]) -> None:
    """Jailbreak success for layer ranges ("4-7", end exclusive) and percentiles."""
    for text in ranges:
        start, end = map(int, text.split("-"))
        for percentile in (10, 25, 40, 50, 60):
            edit = cap(space, range(start, end), percentile)
            show(f"{text} p{percentile}", rates(model, tokenizer, jailbreaks, edit))


def compare(model: Decoder, tokenizer: Tokenizer, space: Space, prompts: list[dict], text: str) -> None:
    """One cap ("4-7 p50") on every suite, and the same cap on N_RANDOM random directions."""
    layers, percentile = text.split(" p")
    start, end = map(int, layers.split("-"))
    show(text, rates(model, tokenizer, prompts, cap(space, range(start, end), float(percentile))))
    for seed in range(N_RANDOM):
        edit = cap(space, range(start, end), float(percentile), seed)
        show(f"random {seed}", rates(model, tokenizer, prompts, edit))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).parent / "out" / "tokenizer.json")
    parser.add_argument("--every", type=int, default=4, help="use one prompt in this many")
    parser.add_argument("--layers", nargs="*", default=[], help='layer ranges to sweep, such as "4-7"')
    parser.add_argument("--cap", help='one cap to compare with random directions, such as "4-7 p50"')
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = round_to_bf16(load_checkpoint(args.checkpoint)).eval()
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    prompts = draw_suite("dev")[:: args.every]
    show("uncapped", rates(model, tokenizer, prompts))
    space = fit(model, tokenizer)
    for name in ("pc1_cosine", "explained", "depth"):
        print(f"{name:>18} {' '.join(f'{value:.2f}' for value in getattr(space, name))}")
    print(f"{'in role':>18} {space.in_role:.2f}", flush=True)
    sweep(model, tokenizer, space, [p for p in prompts if p["suite"] == "jailbreak"], args.layers)
    if args.cap:
        compare(model, tokenizer, space, prompts, args.cap)


if __name__ == "__main__":
    main()
