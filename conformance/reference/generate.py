"""Makes the reference cases beside this file. See README.md.

    python generate.py --assistant-axis DIR [--only NAME ...] [--check]
"""

import os

# Before torch: one thread and one instruction set, so that the bytes depend as little as may be on the machine.
os.environ |= {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "HF_HUB_OFFLINE": "1"}

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

import interventions
from cases import CASES, CROSSING
from checks import Unfit, check_crossing, check_model, check_reference, check_shares, check_sites
from interventions import Hook
from model import Float64, crosses, forward, forward_sites, generator, greedy, read_model, remake, rounded, sizes, write_model, write_tensors

HERE = Path(__file__).parent


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
    doubles = (exact, rounded(model))
    runs = [make_run(case, name, hooks, model, doubles, folder, published) for name, hooks in case.runs.items()]
    short = case if case.by_length or not case.runs else replace(case, n_prompt=12, n_new=6)
    runs.append(make_run(short, "sites", [], model, doubles, folder, published, every_site=True))
    if case.crossing:
        for name, hooks in CROSSING.items():
            runs.append(make_run(case.crossed(), name, hooks, model, doubles, folder, published, is_crossing=True))
    longest = max([case.n_prompt + case.n_new, sum(case.crossing or ())])
    description = {
        "name": case.name,
        "made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
        "seed": seed,
        "dtype": case.dtype,
        **({"n_ctx": longest} if longest > sizes(model).max_position_embeddings else {}),
        "runs": runs,
    }
    (folder / "case.json").write_text(json.dumps(description, indent=2) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    assert size < 1.5e6, f"{case.name}: {size} bytes"
    print(f"{case.name}: {size / 1000:.0f} kB")


def make_run(case, name, templates, model, doubles, folder, published, every_site=False, is_crossing=False):
    for seed in range(2000):
        try:
            tensors, described, notes = try_run(case, name, templates, model, doubles, seed, published, is_crossing)
            if every_site:
                tensors |= check_sites(model, *doubles, tensors["tokens"])
            break
        except Unfit as why:
            reason = why
    else:
        raise SystemExit(f"{case.name} {name}: no seed fits; the last: {reason}")
    write_tensors(folder / f"{name}.safetensors", tensors)
    print(f"{case.name} {name}: seed {seed}; {notes}")
    entry = {"name": name, "reference": f"{name}.safetensors", "n_prompt": case.n_prompt}
    if crosses(model, case.n_prompt, case.n_prompt + case.n_new):
        entry["passes"] = ["stepwise" if is_crossing else "prefill"]
    made_by = {"made_by": "ActivationSteering"} if described else {}
    return entry | {**made_by, "seed": seed, "hooks": described}


def try_run(case, name, templates, model, doubles, seed, published, is_crossing):
    """One run: its tensors, its hooks as case.json tells them, and figures for the log."""
    key = (case.key, name, seed)
    prompt = torch.randint(sizes(model).vocab_size, (case.n_prompt,), generator=generator(*key, "prompt"))
    whole = crosses(model, case.n_prompt, case.n_prompt + case.n_new)
    how = "generate" if is_crossing else "whole" if whole else None
    hooks = draw_hooks(templates, model, prompt, case.n_new, key, how)
    stepwise = is_crossing or any(hook.positions == "last" for hook in hooks)
    n_prefill = case.n_prompt if stepwise else None

    with interventions.capstan(model, hooks):
        tokens = greedy(model, prompt, case.n_new, how)
    with interventions.capstan(model, hooks):
        ours = forward(model, tokens, n_prefill)
    shares = check_shares(hooks)
    with published(model, hooks):
        reference = forward(model, tokens, n_prefill)
    figures = check_reference(case, reference, ours, model, *doubles, hooks, tokens, n_prefill)
    if is_crossing:
        check_crossing(model, hooks, tokens, case.n_prompt, reference)

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
    return tensors, described, ", ".join([*figures, *shares])


def draw_hooks(templates, model, prompt, n_new, key, how):
    """Hooks from a run's templates. Vectors share a part, so that several on one site do not commute.

    A cap's bounds are set one hook after the other, on the projections that the hooks before it leave.
    """
    d_model = sizes(model).hidden_size
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
                tokens = greedy(model, prompt, n_new, how)
            with interventions.capstan(model, hooks):
                forward(model, tokens, len(prompt) if hook.positions == "last" or how == "generate" else None)
            p = torch.cat(hook.projections)
            for name, percentile in percentiles.items():  # a multiple of 1/256 is exact in every float
                setattr(hook, name, round(torch.quantile(p, percentile / 100).item() * 256) / 256)
    return hooks


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
