"""Makes the reference cases beside this file. See README.md.

    python generate.py --assistant-axis DIR [--only NAME ...] [--check]
"""

import os

# Before torch: one thread and one instruction set, so that the same bytes come out on any x86-64.
os.environ |= {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "HF_HUB_OFFLINE": "1"}

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

import hooks as interventions
from cases import CASES
from hooks import Hook
from model import Float64, forward, generator, greedy, read_model, remake, row_error, write_model, write_tensors

HERE = Path(__file__).parent
MARGIN = 1e-3  # least distance of the two best logits, relative to the row's norm
SHARE = (0.2, 0.8)  # least and most share of tokens that a bound of a cap moves
MATTERS = 1e-3  # least effect, relative, of anything the reference is to be sensitive to
AGREE = 1e-6  # our hooks and the published ones, at the hooked block


class Unfit(Exception):
    """This seed makes a poor test; the next may do better."""


def need(condition, why):
    if not condition:
        raise Unfit(why)


def bound(site, n_layers):
    """The f32 bound an engine is held to: 2e-6 * (4 + i) at block i, logits as one block more."""
    i = n_layers if site == "logits" else int(site.split(".")[1])
    return 2e-6 * (4 + i)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--assistant-axis", type=Path, required=True, help="checkout of safety-research/assistant-axis")
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="these cases alone")
    arguments.add_argument("--check", action="store_true", help="make them elsewhere and compare byte by byte")
    options = arguments.parse_args()
    unknown = set(options.only or []) - {case.name for case in CASES}
    if unknown:
        arguments.error(f"no case {sorted(unknown)}; there are {[case.name for case in CASES]}")

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    published = interventions.published(interventions.load_published(options.assistant_axis))
    differing = 0
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / case.name
            make_case(case, folder, published)
            if options.check:
                differing += compare(folder, HERE / case.name)
            else:
                shutil.rmtree(HERE / case.name, ignore_errors=True)
                shutil.copytree(folder, HERE / case.name)
    return 1 if differing else 0


def make_case(case, folder, published):
    for seed in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_model(case, seed, folder)
        model = read_model(folder)
        try:
            check_model(case, model, folder, seed)
            break
        except Unfit as why:
            print(f"{case.name}: weights of seed {seed} left: {why}", file=sys.stderr)
    else:
        raise SystemExit(f"{case.name}: no seed fits")
    with Float64():
        exact = remake(model, torch.float64)
    runs = [make_run(case, name, hooks, model, exact, folder, published) for name, hooks in case.runs.items()]
    description = {
        "name": case.name,
        "made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
        "seed": seed,
        "dtype": case.dtype,
        "runs": runs,
    }
    (folder / "case.json").write_text(json.dumps(description, indent=2) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    need(size < 1.5e6, f"{size} bytes")
    print(f"{case.name}: {size / 1000:.0f} kB")


def check_model(case, model, folder, seed):
    """Everything stored or configured must show in the logits, or an engine could get it wrong unseen."""
    tokens = torch.randint(model.config.vocab_size, (case.n_prompt,), generator=generator(case.name, seed, "check"))
    plain = forward(model, tokens)["logits"]
    effect = lambda other: row_error(forward(other, tokens)["logits"], plain)[1:].median().item()

    for name, p in model.named_parameters():
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
        per_layer = [{s for n, s in shards.items() if f"layers.{i}." in n} for i in range(len(model.base_model.layers))]
        assert len(set(shards.values())) >= 3 and max(map(len, per_layer)) > 1, shards


def make_run(case, name, templates, model, exact, folder, published):
    for seed in range(2000):
        try:
            tensors, described, notes = try_run(case, name, templates, model, exact, seed, published)
            break
        except Unfit as why:
            reason = why
    else:
        raise SystemExit(f"{case.name} {name}: no seed fits; the last: {reason}")
    write_tensors(folder / f"{name}.safetensors", tensors)
    print(f"{case.name} {name}: seed {seed}; {notes}")
    made_by = {"made_by": "ActivationSteering"} if described else {}
    return {"name": name, "reference": f"{name}.safetensors", "n_prompt": case.n_prompt, **made_by, "seed": seed, "hooks": described}


def try_run(case, name, templates, model, exact, seed, published):
    """One run: its tensors, its hooks as case.json tells them, and figures for the log."""
    key = (case.weights_of or case.name, name, seed)
    prompt = torch.randint(model.config.vocab_size, (case.n_prompt,), generator=generator(*key, "prompt"))
    hooks = draw_hooks(templates, model, prompt, case.n_new, key)
    n_prefill = case.n_prompt if any(hook.positions == "last" for hook in hooks) else None

    with interventions.capstan(model, hooks):
        tokens = greedy(model, prompt, case.n_new)
    with interventions.capstan(model, hooks):
        ours = forward(model, tokens, n_prefill)
    shares = check_shares(hooks)
    with published(model, hooks):
        reference = forward(model, tokens, n_prefill)
    margin = check_margin(reference["logits"], tokens, case.n_prompt)
    n_layers = len(model.base_model.layers)
    for site in reference:
        apart = row_error(ours[site], reference[site]).max().item()
        limit = AGREE if site != "logits" else bound(site, n_layers)
        need(apart < limit * (1 + n_layers), f"{site}: ours and the published hooks are {apart:.1e} apart")

    with Float64(), interventions.capstan(exact, hooks):
        truth = forward(exact, tokens, n_prefill)
    assert truth["logits"].dtype == torch.float64
    noise = max((row_error(reference[s], truth[s]).max().item() / bound(s, n_layers) for s in reference))
    need(noise < 0.5, f"float32 itself takes {noise:.0%} of the bound")
    if n_prefill is None:  # with hooks on all positions, decode must say what the whole pass says
        with interventions.capstan(model, hooks):
            stepped = forward(model, tokens, case.n_prompt)
        apart = max(row_error(stepped[s], reference[s]).max().item() / bound(s, n_layers) for s in reference)
        need(apart < 1, f"decode is {apart:.0%} of the bound from the whole pass")
    check_hooks_matter(model, hooks, tokens, n_prefill, reference)

    tensors = {"tokens": tokens} | reference
    described = []
    for k, hook in enumerate(hooks):
        tensors[f"vectors.{k}"] = hook.vector
        told = {"kind": hook.kind, "site": f"blocks.{hook.block}.hook_resid_post", "vector": f"vectors.{k}"}
        told |= {f: getattr(hook, f) for f in ("floor", "ceiling", "coefficient") if getattr(hook, f) is not None}
        if hook.mean is not None:
            tensors[f"means.{k}"] = hook.mean
            told["mean"] = f"means.{k}"
        if hook.positions != "all":
            told["positions"] = hook.positions
        described.append(told)
    notes = f"margin {margin:.1e}, float32 noise {noise:.0%} of the bound" + (f", moved {shares}" if shares else "")
    return tensors, described, notes


def draw_hooks(templates, model, prompt, n_new, key):
    """Hooks from a run's templates. Vectors share a part, so that several on one site do not commute.

    A cap's bounds are set one hook after the other, on the projections that the hooks before it leave.
    """
    d_model = model.config.hidden_size
    common = torch.randn(d_model, generator=generator(*key, "common"))
    hooks = []
    for k, template in enumerate(templates):
        template = dict(template)
        percentiles = {b: template.pop(b) for b in ("floor", "ceiling") if template.get(b) is not None}
        hook = Hook(**template, vector=(common + torch.randn(d_model, generator=generator(*key, "vector", k))) * 0.25)
        if hook.kind == "mean_ablate":
            hook.mean = torch.randn(d_model, generator=generator(*key, "mean", k)) * 0.5
        hooks.append(hook)
        if percentiles:
            with interventions.capstan(model, hooks):
                tokens = greedy(model, prompt, n_new)
            with interventions.capstan(model, hooks):
                forward(model, tokens, len(prompt) if hook.positions == "last" else None)
            p = torch.cat(hook.projections)
            for name, percentile in percentiles.items():  # a multiple of 1/256 is exact in every float
                setattr(hook, name, round(torch.quantile(p, percentile / 100).item() * 256) / 256)
    return hooks


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
    return ", ".join(shares)


def check_margin(logits, tokens, n_prompt):
    rows = logits[n_prompt - 1 : -1]
    best = rows.topk(2).values
    margin = ((best[:, 0] - best[:, 1]) / rows.norm(dim=-1)).min().item()
    need(margin > MARGIN, f"top-2 margin {margin:.1e}")
    need(torch.equal(rows.argmax(dim=-1), tokens[n_prompt:]), "the whole pass decides otherwise than decode")
    need(len(set(tokens[n_prompt:].tolist())) >= 5, "the continuation repeats itself")
    return margin


def check_hooks_matter(model, hooks, tokens, n_prefill, reference):
    """Leaving any hook out, or turning the order on a site round, must be seen in the logits."""
    others = {f"without hook {k}": hooks[:k] + hooks[k + 1 :] for k in range(len(hooks))}
    if len({hook.block for hook in hooks}) < len(hooks):
        others["in reverse"] = hooks[::-1]
    for what, other in others.items():
        with interventions.capstan(model, other):
            found = row_error(forward(model, tokens, n_prefill)["logits"], reference["logits"]).max().item()
        need(found > 1e-2, f"{what} the logits change by {found:.1e} only")


def compare(made, kept):
    """Prints how a committed case differs from what was made now; returns the number of files that differ."""
    names = sorted({f.name for f in made.iterdir()} | ({f.name for f in kept.iterdir()} if kept.exists() else set()))
    differing = 0
    for name in names:
        a, b = made / name, kept / name
        if a.exists() and b.exists() and a.read_bytes() == b.read_bytes():
            continue
        differing += 1
        how = "missing there" if not b.exists() else "not made any more" if not a.exists() else "differs"
        if how == "differs" and name.endswith(".safetensors"):
            x, y = load_file(a), load_file(b)
            far = {k: (x[k].double() - y[k].double()).abs().max().item() for k in x if k in y and x[k].shape == y[k].shape}
            how += f": {max(far, key=far.get)} by {max(far.values()):.1e}" if far else ": other tensors"
        print(f"{kept.name}/{name}: {how}")
    print(f"{kept.name}: {'identical' if not differing else f'{differing} of {len(names)} files differ'}")
    return differing


if __name__ == "__main__":
    sys.exit(main())
