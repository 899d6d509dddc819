"""Interventions on the output of decoder blocks, twice: our plain torch, and the published ActivationSteering."""

import contextlib
import hashlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import torch

from model import hidden, layers_of

# safety-research/assistant-axis, commit a98961956072224eaf244eb289d6c01700b63795
STEERING_SHA256 = "b147f41f784f535a338f0e9fddaad793cc35e16bd15233517922ae672260bc42"


@dataclass
class Hook:
    kind: str
    block: int
    vector: torch.Tensor  # [d_model], any length
    positions: str = "all"
    floor: float | None = None
    ceiling: float | None = None
    coefficient: float | None = None
    mean: torch.Tensor | None = None  # [d_model]
    projections: list = field(default_factory=list)  # p of each token it acted on, latest pass


def load_published(folder: Path):
    """The class ActivationSteering of a checkout, loaded by file: its package imports far more than it needs."""
    path = folder / "assistant_axis" / "steering.py"
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if digest != STEERING_SHA256:
        raise SystemExit(f"load {path}: need sha256 {STEERING_SHA256}, found {digest}. Check out the commit README.md names.")
    spec = importlib.util.spec_from_file_location("steering", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ActivationSteering


def apply(h, hook):
    """h [n, d_model] after one hook, by the definitions of the reference format."""
    v = hook.vector.to(h.dtype)
    v = v / v.norm()
    p = (h @ v).unsqueeze(1)  # [n, 1]
    hook.projections.append(p.squeeze(1))
    if hook.kind == "cap":
        if hook.floor is not None:
            h = h + (hook.floor - p).clamp(min=0) * v
        if hook.ceiling is not None:
            h = h - (p - hook.ceiling).clamp(min=0) * v
        return h
    if hook.kind == "add":
        return h + hook.coefficient * hook.vector
    if hook.kind == "ablate":
        return h - p * v + (hook.coefficient or 0.0) * hook.vector
    if hook.kind == "mean_ablate":
        return h - p * v + hook.mean
    raise ValueError(hook.kind)


@contextlib.contextmanager
def capstan(model, hooks):
    """Our hooks in force on a model, in the order listed."""

    def act(hook):
        def forward_hook(_module, _inputs, out):  # [1, n, d_model], alone or first of a tuple
            h = hidden(out)
            if hook.positions == "all":
                changed = apply(h[0], hook).unsqueeze(0)
            else:
                changed = torch.cat([h[:, :-1], apply(h[0, -1:], hook).unsqueeze(0)], dim=1)
            return (changed, *out[1:]) if isinstance(out, tuple) else changed

        return forward_hook

    handles = []
    for hook in hooks:
        hook.projections.clear()
        handles.append(layers_of(model)[hook.block].register_forward_hook(act(hook)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def published(steering):
    """The same context as `capstan`, made of ActivationSteering.

    It knows one kind per instance, so each hook is an instance of its own, nested in order (torch runs
    forward hooks in the order they were registered). It caps from above only: a floor at c on u is its
    cap at -c on -u, and a hook with both bounds is two vectors of one instance.
    """

    @contextlib.contextmanager
    def context(model, hooks):
        with contextlib.ExitStack() as stack:
            for hook in hooks:
                stack.enter_context(steering(model, layer_indices=hook.block, positions=hook.positions, **arguments(hook)))
            yield

    def arguments(hook):
        if hook.kind == "cap":
            bounds = [] if hook.floor is None else [(-hook.vector, -hook.floor)]
            bounds += [] if hook.ceiling is None else [(hook.vector, hook.ceiling)]
            return dict(intervention_type="capping", steering_vectors=[v for v, _ in bounds],
                        cap_thresholds=[t for _, t in bounds], coefficients=[0.0] * len(bounds))  # fmt: skip
        if hook.kind == "mean_ablate":
            return dict(intervention_type="mean_ablation", steering_vectors=[hook.vector], mean_activations=[hook.mean])
        kind = {"add": "addition", "ablate": "ablation"}[hook.kind]
        return dict(intervention_type=kind, steering_vectors=[hook.vector], coefficients=hook.coefficient or 0.0)

    return context
