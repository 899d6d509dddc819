"""Every kind of hook on real activations: runs made by the published ActivationSteering."""

import math
import sys

import torch

import interventions
from chats import prompt_ids
from greedy import kept_logits, least_margin
from interventions import Hook
from model import Float64, forward, greedy, layers_of, row_error
from prompts import HOOKED, PERSONAS, QUESTIONS

N_NEW = 8
SHARE = (0.2, 0.8)  # of the tokens, least and most that a bound of a cap moves
AGREE = 1e-6  # relative, per row: our hooks and the published ones
MATTERS = 1e-3  # relative change of the last logits that each hook makes at the least
N_REPLY = 24

# name -> hooks. `vector` is `axis.{block}` or `style.{block}`; a cap's bounds are percentiles of p over the tokens.
RUNS = {
    "floor": [{"kind": "cap", "block": 20, "vector": "axis.20", "floor": 65}],
    "ceiling": [{"kind": "cap", "block": 10, "vector": "style.10", "ceiling": 40}],
    "both": [{"kind": "cap", "block": 15, "vector": "axis.15", "floor": 35, "ceiling": 65}],
    "add": [{"kind": "add", "block": 15, "vector": "axis.15", "coefficient": -0.75}],
    "ablate": [{"kind": "ablate", "block": 20, "vector": "axis.20"}],
    "ablate-to": [{"kind": "ablate", "block": 12, "vector": "style.12", "coefficient": 0.5}],
    "mean-ablate": [{"kind": "mean_ablate", "block": 18, "vector": "axis.18", "mean": "mean.18"}],
    "last": [{"kind": "cap", "block": 18, "vector": "axis.18", "floor": 70, "positions": "last"},
             {"kind": "add", "block": 22, "vector": "style.22", "coefficient": 0.5, "positions": "last"}],
    "several": [{"kind": "add", "block": 15, "vector": "style.15", "coefficient": 0.5},
                {"kind": "cap", "block": 15, "vector": "axis.15", "floor": 55},
                {"kind": "ablate", "block": 20, "vector": "style.20"},
                {"kind": "cap", "block": 25, "vector": "axis.25", "floor": 50, "ceiling": 75}],
}  # fmt: skip


@torch.no_grad()
def make_hooks(model, exact, text, published):
    """Records of the runs, and the tensors that they name."""
    vectors = directions(model, text)
    prompt = torch.tensor(prompt_ids(text, HOOKED))
    records, tensors = [], {}
    for name, described in RUNS.items():
        hooks = with_bounds(model, prompt, [read_hook(one, vectors) for one in described])
        record, kept, log = make_run(model, exact, published, prompt, hooks)
        for one, hook in zip(described, hooks):
            record["hooks"].append(as_json(one, hook))
            for field in ("vector", "mean"):
                if field in one:
                    tensors[one[field]] = vectors[one[field]]
        tensors |= {f"{name}.{tensor}": value for tensor, value in kept.items()}
        records.append({"name": name, **record})
        print(f"{name}: {log}", file=sys.stderr)
        print(f"  {text.tokenizer.decode(record['tokens'][len(prompt):])!r}", file=sys.stderr)
    return records, tensors


def directions(model, text):
    """`axis.{i}`: mean activation of replies under the assistant's prompt less the pirate's; `style.{i}`: of the prompts.

    `mean.{i}`: mean activation of the assistant's replies. All at the output of block i, [d_model].
    """
    means = {}
    for persona, system in PERSONAS.items():
        replies, prompts = [], []
        for question in QUESTIONS:
            chat = [{"role": "system", "content": system}, {"role": "user", "content": question}]
            prompt = torch.tensor(prompt_ids(text, chat))
            tokens = greedy(model, prompt, N_REPLY)
            blocks = forward(model, tokens)
            stream = torch.stack([blocks[f"blocks.{i}.hook_resid_post"] for i in range(len(layers_of(model)))])
            replies.append(stream[:, len(prompt) :])
            prompts.append(stream[:, 1 : len(prompt)])  # the first token's activation is hundreds of times longer
        means[persona] = [torch.cat(parts, dim=1).mean(dim=1) for parts in (replies, prompts)]
    found = {}
    for i in range(len(layers_of(model))):
        (reply, prompt), (other_reply, other_prompt) = ([part[i] for part in means[p]] for p in PERSONAS)
        found |= {f"axis.{i}": reply - other_reply, f"style.{i}": prompt - other_prompt, f"mean.{i}": reply}
    return found


def read_hook(described, vectors):
    named = {field: vectors[described[field]] for field in ("vector", "mean") if field in described}
    return Hook(**described | named)


def with_bounds(model, prompt, hooks):
    """Percentiles become bounds, one hook after the other, by the projections that the hooks before it leave."""
    for k, hook in enumerate(hooks):
        percentiles = {bound: getattr(hook, bound) for bound in ("floor", "ceiling") if getattr(hook, bound) is not None}
        if not percentiles:
            continue
        for bound in percentiles:  # moves nothing yet
            setattr(hook, bound, {"floor": -math.inf, "ceiling": math.inf}[bound])
        with interventions.capstan(model, hooks[: k + 1]):
            tokens = greedy(model, prompt, N_NEW)
        with interventions.capstan(model, hooks[: k + 1]):
            forward(model, tokens, len(prompt) if hook.positions == "last" else None)
        p = torch.cat(hook.projections)
        for bound, percentile in percentiles.items():
            setattr(hook, bound, round(torch.quantile(p, percentile / 100).item() * 256) / 256)  # exact in every float
    return hooks


def make_run(model, exact, published, prompt, hooks):
    n_prompt = len(prompt)
    n_prefill = n_prompt if any(hook.positions == "last" for hook in hooks) else None
    with published(model, hooks):
        tokens = greedy(model, prompt, N_NEW)
    with published(model, hooks):
        reference = forward(model, tokens, n_prefill)
    with interventions.capstan(model, hooks):
        ours = forward(model, tokens, n_prefill)
    projections = [torch.cat(hook.projections) for hook in hooks]
    with Float64(), interventions.capstan(exact, hooks):
        truth = forward(exact, tokens, n_prefill)
    apart = max(row_error(ours[site], reference[site]).max().item() for site in reference)
    assert apart < AGREE, f"ours and the published are {apart:.1e} apart"
    noise = max(row_error(reference[site], truth[site]).max().item() / bound_of(site, model) for site in reference)
    assert noise < 0.5, f"float32 itself takes {noise:.0%} of the bound"
    chosen_from = slice(n_prompt - 1, -1)
    assert torch.equal(reference["logits"][chosen_from].argmax(dim=-1), tokens[n_prompt:]), "a whole pass chooses otherwise"
    margin = least_margin(reference["logits"][chosen_from], truth["logits"][chosen_from], tokens[n_prompt:])
    shares = check_shares(hooks, projections)
    check_matters(model, hooks, tokens, n_prefill, reference)

    rows = [n_prompt - 1, len(tokens) - 1]
    sites = [f"blocks.{i}.hook_resid_post" for i in sorted({*(hook.block for hook in hooks), len(layers_of(model)) - 1})]
    kept = {f"p.{k}": p for k, p in enumerate(projections)}  # of the tokens it acted on
    for site in sites:
        kept |= {site: reference[site][rows], f"{site}.norm": reference[site].double().norm(dim=-1).float()}
    kept |= kept_logits("logits", reference["logits"][rows])
    record = {"n_prompt": n_prompt, "tokens": tokens.tolist(), "rows": rows, "sites": sites, "hooks": []}
    log = f"ours and published {apart:.1e} apart, float32 noise {noise:.0%} of the bound, least margin {margin:.1e}"
    return record, kept, ", ".join([log, *shares])


def bound_of(site, model):
    """What an engine in f32 may be off: 2e-6 (4 + i) at block i, the logits as one more."""
    return 2e-6 * (4 + (len(layers_of(model)) if site == "logits" else int(site.split(".")[1])))


def check_shares(hooks, projections):
    """Each bound of a cap moves some of the tokens, and none lies so near that rounding decides."""
    shares = []
    for hook, p in zip(hooks, projections):
        for name, sign in (("floor", 1), ("ceiling", -1)):
            at = getattr(hook, name)
            if at is None:
                continue
            share = ((at - p) * sign > 0).float().mean().item()
            assert SHARE[0] <= share <= SHARE[1], f"{name} moves {share:.0%}"
            assert (p - at).abs().min() > 1e-3, f"a projection lies on the {name}"
            shares.append(f"{name} {at:.1f} moves {share:.0%} of {len(p)}")
    return shares


def check_matters(model, hooks, tokens, n_prefill, reference):
    for k in range(len(hooks)):
        with interventions.capstan(model, hooks[:k] + hooks[k + 1 :]):
            without = forward(model, tokens, n_prefill)["logits"]
        found = row_error(without, reference["logits"])[-1].item()
        assert found > MATTERS, f"without hook {k} the logits change by {found:.1e} only"


def as_json(described, hook):
    record = {"kind": hook.kind, "site": f"blocks.{hook.block}.hook_resid_post", "vector": described["vector"]}
    record |= {name: getattr(hook, name) for name in ("floor", "ceiling", "coefficient") if getattr(hook, name) is not None}
    record |= {"mean": described["mean"]} if "mean" in described else {}
    return record | ({"positions": "last"} if hook.positions == "last" else {})
