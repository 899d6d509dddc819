"""What makes a case a good test. A seed that fails any of these is left for the next one."""

import json
from dataclasses import replace

import torch

import interventions
from model import Float64, crosses, forward, forward_sites, generator, layers_of, remake, rope_by_length, row_error, sizes

MARGIN = 1e-3  # least distance of the two best logits, relative to the row's norm
SHARE = (0.2, 0.8)  # least and most share of tokens that a bound of a cap moves
MATTERS = 1e-3  # least effect, relative, of anything the reference is to be sensitive to
AGREE = 1e-6  # relative, per row of every site: our hooks and the published ones


class Unfit(Exception):
    """This seed makes a poor test; the next may do better."""


def need(condition, why):
    if not condition:
        raise Unfit(why)


def bound(site, n_layers):
    """The f32 bound an engine is held to: 2e-6 * (4 + i) at block i, logits as one block more."""
    i = n_layers if site == "logits" else int(site.split(".")[1])
    return 2e-6 * (4 + i)


def check_model(case, model, folder, seed):
    """Everything stored or configured must show in the logits, or an engine could get it wrong unseen."""
    tokens = torch.randint(sizes(model).vocab_size, (case.n_prompt,), generator=generator(case.key, seed, "check"))
    plain = forward(model, tokens)["logits"]
    effect = lambda other: row_error(forward(other, tokens)["logits"], plain)[1:].median().item()

    text = (pair for pair in model.named_parameters() if "vision" not in pair[0] and "projector" not in pair[0])
    turns = getattr(sizes(model), "rope_parameters", None) is not None
    for name, p in text:
        if name.endswith("k_proj.bias") and not turns:
            continue  # without rope it adds the same to all scores of a query
        kept = p.data
        p.data = torch.ones_like(kept) if kept.ndim == 1 and "norm" in name else torch.zeros_like(kept)
        found = effect(model)
        p.data = kept
        need(found > MATTERS, f"{name} changes the logits by {found:.1e} only")
    for what, changes in case.matters.items():
        found = effect(remake(model, torch.float32, **changes))
        need(found > MATTERS / 10, f"{what} changes the logits by {found:.1e} only")
    earlier = tokens.clone()
    earlier[: len(tokens) // 2] = tokens[: len(tokens) // 2].flip(0)
    found = row_error(forward(model, earlier)["logits"], plain)[-1].item()
    need(found > 1e-2, f"the first half of the prompt changes the last logits by {found:.1e} only")
    if case.max_shard_size != "1GB":
        shards = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
        per_layer = [{s for n, s in shards.items() if f"layers.{i}." in n} for i in range(len(layers_of(model)))]
        assert len(set(shards.values())) >= 3 and max(map(len, per_layer)) > 1, shards


def check_shares(hooks):
    """Each bound of each cap moves some of the tokens, and no token sits so near that rounding decides."""
    shares = []
    for hook in hooks:
        p = torch.cat(hook.projections)
        for name, sign in (("floor", 1), ("ceiling", -1)):
            at = getattr(hook, name)
            if at is None:
                continue
            share = ((at - p) * sign > 0).float().mean().item()
            need(SHARE[0] <= share <= SHARE[1], f"{name} moves {share:.0%}")
            need((p - at).abs().min() > 1e-3, f"a projection lies on the {name}")
            shares.append(f"{name} {share:.0%} of {len(p)}")
    return shares


def check_reference(case, reference, ours, model, exact, half, hooks, tokens, n_prefill):
    """The published hooks say what ours say, float64 says it too, and so does decode; returns figures for the log."""
    n_layers = len(layers_of(model))
    n_prompt = case.n_prompt
    in_bounds = lambda other: max(row_error(other[s], reference[s]).max().item() / bound(s, n_layers) for s in reference)

    margin = check_margin(reference["logits"], tokens, n_prompt)
    apart = max(row_error(ours[site], reference[site]).max().item() for site in reference)
    need(apart < AGREE, f"our hooks and the published ones are {apart:.1e} apart")
    with Float64(), interventions.capstan(exact, hooks):
        truth = forward(exact, tokens, n_prefill)
    assert all(t.dtype == torch.float64 for t in truth.values())
    noise = in_bounds(truth)
    need(noise < 0.5, f"float32 itself takes {noise:.0%} of the bound")
    with interventions.capstan(half, hooks):
        stored = forward(half, tokens, n_prefill)
    f16 = max(row_error(stored[s], reference[s]).max().item() for s in reference) / 5e-3
    need(f16 < 1, f"float16 weights take {f16:.0%} of their bound")
    if n_prefill is None and not crosses(model, n_prompt, len(tokens)):
        with interventions.capstan(model, hooks):
            stepped = in_bounds(forward(model, tokens, n_prompt))
        need(stepped < 1, f"decode is {stepped:.0%} of the bound from the whole pass")
    check_hooks_matter(model, hooks, tokens, n_prefill, reference)
    return f"margin {margin:.1e}", f"float32 noise {noise:.0%} of the bound", f"ours and published {apart:.1e} apart"


def check_crossing(model, hooks, tokens, n_prompt, reference):
    """What grows past the border must show it: one pass over all the text, and cached keys left as they were, give other logits."""
    others = {"one pass": dict(n_prefill=None)}
    if rope_by_length(model)[0] == "longrope":
        others["a cache that is kept"] = dict(n_prefill=n_prompt, careless=True)
    for what, how in others.items():
        with interventions.capstan(model, hooks):
            found = row_error(forward(model, tokens, **how)["logits"], reference["logits"])[n_prompt:].max().item()
        need(found > 1e-2, f"{what} changes the logits by {found:.1e} only")


def check_sites(model, exact, half, tokens):
    """Every site of every block, where float32 and float16 weights leave room within the bounds, too."""
    sites = forward_sites(model, tokens)
    stored = forward_sites(half, tokens)
    with Float64():
        truth = forward_sites(exact, tokens)
    for site, found in sites.items():
        noise = row_error(truth[site], found).max().item() / bound(site, len(layers_of(model)))
        need(noise < 0.5, f"float32 itself takes {noise:.0%} of the bound at {site}")
        f16 = row_error(stored[site], found).max().item() / 5e-3
        need(f16 < 0.9, f"float16 weights take {f16:.0%} of their bound at {site}")
    return sites


def check_margin(logits, tokens, n_prompt):
    rows = logits[n_prompt - 1 : -1]
    best = rows.topk(2).values
    margin = ((best[:, 0] - best[:, 1]) / rows.norm(dim=-1)).min().item()
    need(margin > MARGIN, f"top-2 margin {margin:.1e}")
    need(torch.equal(rows.argmax(dim=-1), tokens[n_prompt:]), "the whole pass decides otherwise than decode")
    need(len(set(tokens[n_prompt:].tolist())) >= 5, "the continuation repeats itself")
    return margin


def check_hooks_matter(model, hooks, tokens, n_prefill, reference):
    """Leaving any hook out, reading `last` as `all`, or turning the order on a site round must be seen in the logits."""
    others = {f"without hook {k}": hooks[:k] + hooks[k + 1 :] for k in range(len(hooks))}
    if len({hook.block for hook in hooks}) < len(hooks):
        others["in reverse"] = hooks[::-1]
    if any(hook.positions == "last" for hook in hooks):
        others["on all positions"] = [replace(hook, positions="all") for hook in hooks]
    for what, other in others.items():
        with interventions.capstan(model, other):
            found = row_error(forward(model, tokens, n_prefill)["logits"], reference["logits"]).max().item()
        need(found > 1e-2, f"{what} the logits change by {found:.1e} only")
