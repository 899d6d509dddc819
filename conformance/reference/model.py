"""A random model from a seed, its float64 double, and passes that capture every block."""

import copy
import hashlib
import json

import torch
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, DynamicCache


def generator(*key):
    """A stream of its own for each key, so that nothing depends on the order things are drawn in."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def layers_of(model):
    """The decoder blocks, wherever the family keeps them."""
    base = model.base_model
    for inner in ("language_model", "decoder"):
        base = getattr(base, inner, base)
    return base.h if hasattr(base, "h") else base.layers


def auto(config):
    """The class that makes a model of the config: some multimodal ones are in no table of causal models."""
    return AutoModelForCausalLM if type(config) in AutoModelForCausalLM._model_mapping else AutoModelForImageTextToText


def sizes(model):
    """The config that has hidden_size and vocab_size: of the text part, in a multimodal model."""
    return model.config.get_text_config()


def write_model(case, seed, folder):
    """Draw every tensor of the case's model and save it as transformers does; returns nothing, the files are the model."""
    ids = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)  # nothing may end the greedy text early
    # A copy: transformers writes defaults into the rope's parameters, which cases share.
    config = AutoConfig.for_model(case.model_type, **copy.deepcopy(case.config), **ids)
    model = auto(config).from_config(config, attn_implementation="eager", dtype=torch.float32)
    for name, p in model.named_parameters():
        g = generator(case.key, seed, name)
        if name.endswith("bias"):
            p.data = torch.randn(p.shape, generator=g) * case.bias_std
        elif p.ndim == 1:  # norms: around 1, each its own
            p.data = case.norm_mean - 0.5 + torch.rand(p.shape, generator=g)
        else:
            p.data = torch.randn(p.shape, generator=g) * (case.embed_std if "embed" in name else case.std)
    model.tie_weights()
    model.to(getattr(torch, case.dtype)).save_pretrained(folder, max_shard_size=case.max_shard_size)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if case.says:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | case.says, indent=2, sort_keys=True) + "\n")
    if case.style == "4.x":
        rewrite_as_4x(case, folder / "config.json")


def rewrite_as_4x(case, path):
    """Say the same in transformers 4's words: rope_theta beside rope_scaling, torch_dtype, and without what follows from the rest."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters", None) or {"rope_type": "default", "rope_theta": 10000.0}
    local = rope.pop("sliding_attention", None)
    rope = rope.pop("full_attention", rope)
    config["rope_theta"] = rope.pop("rope_theta")
    if local:
        config["rope_local_base_freq"] = local["rope_theta"]
    if "partial_rotary_factor" in rope:
        config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    if config["model_type"] == "phi3" and config["rope_scaling"]:
        config["rope_scaling"]["type"] = "longrope"
        del config["rope_scaling"]["rope_type"], config["rope_scaling"]["original_max_position_embeddings"]
    if config["model_type"] == "gpt_neox":
        config["rotary_emb_base"], config["rotary_pct"] = config.pop("rope_theta"), config.pop("partial_rotary_factor", 1.0)
    if config["model_type"] == "granitemoehybrid":
        config["layer_types"] = ["attention"] * len(config["layer_types"])
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    for implied in case.implied:
        del config[implied]
    own = getattr(type(AutoConfig.for_model(config["model_type"])), "head_dim", None)  # what it is where nothing is written
    if own is None and config.get("head_dim") and config["head_dim"] * config["num_attention_heads"] == config["hidden_size"]:
        del config["head_dim"]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_model(folder):
    """The folder's model in float32."""
    model = auto(AutoConfig.from_pretrained(folder)).from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return plain(model).eval()


def plain(model):
    """Experts one by one, as the model's definition reads, and in any dtype."""
    if model._can_set_experts_implementation():
        model.set_experts_implementation("eager")
    return model


def rounded(model):
    """The same model with its matrices in half precision: what f16 storage makes of it at best."""
    half = remake(model, torch.float32)
    for p in half.parameters():
        if p.ndim > 1:
            p.data = p.data.half().float()
    return half


class Float64(TorchFunctionMode):
    """While active, whatever asks for float32 gets float64: transformers' own norm, softmax and rope tables included."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        swap = lambda x: torch.float64 if x is torch.float32 else x
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*map(swap, args), **{k: swap(v) for k, v in (kwargs or {}).items()})


def remake(model, dtype, **changes):
    """The same weights in another dtype or under a changed config. Call it under Float64 for float64."""
    own_head = model.get_output_embeddings().weight is not model.get_input_embeddings().weight
    untied = {"tie_word_embeddings": False} if own_head else {}
    config = type(model.config).from_dict(model.config.to_dict() | changes | untied)
    other = auto(config).from_config(config, attn_implementation="eager", dtype=dtype)
    other.load_state_dict({k: v.to(dtype) for k, v in model.state_dict().items()})
    return plain(other).eval()


def hidden(out):
    """What a block gives on: alone, or first of a tuple."""
    return out[0] if isinstance(out, tuple) else out


def rows_of(out):
    """[n, width] of a batch of one; some MLPs see rows alone."""
    return out.reshape(-1, out.shape[-1])


class Unknown(Exception):
    """A block whose parts are called otherwise, or do not add up to what it gives on."""


def parts_of(layer):
    """The modules of a block whose outputs are what it adds to the residual stream: attention's, then the MLP's."""
    modules = dict(layer.named_children())

    def first(*names):
        for name in names:
            if name in modules:
                return modules[name]
        raise Unknown(f"{type(layer).__name__} has none of {', '.join(names)}")

    # A norm after attention or MLP, where the family has one, gives what is added. Without one after the MLP,
    # `post_attention_layernorm` is the norm before it.
    sandwiched = ("post_attention_layernorm",) if "post_feedforward_layernorm" in modules else ("post_self_attn_layernorm",)
    attention = first(*sandwiched, "self_attn", "attn", "attention")
    return attention, first("post_feedforward_layernorm", "post_mlp_layernorm", "mlp", "shared_mlp", "fc2")


@torch.no_grad()
def forward_sites(model, tokens):
    """`forward`, with every site of every block, proven by their sum, which is to be the block's output to the last bit."""
    layers = layers_of(model)
    scale = getattr(sizes(model), "residual_multiplier", 1.0)
    found, handles = {}, []
    for i, layer in enumerate(layers):
        name = lambda site, i=i: f"blocks.{i}.hook_{site}"
        keep = lambda _m, inputs, out, at=name("attn_out"): found.update({at: rows_of(hidden(out)) * scale})
        keep_mlp = lambda _m, inputs, out, at=name("mlp_out"): found.update({at: rows_of(hidden(out)) * scale})
        keep_pre = lambda _m, inputs, kwargs, at=name("resid_pre"): found.update(
            {at: (inputs[0] if inputs else kwargs["hidden_states"])[0].clone()}
        )
        attention, mlp = parts_of(layer)
        handles += [attention.register_forward_hook(keep), mlp.register_forward_hook(keep_mlp)]
        handles.append(layer.register_forward_pre_hook(keep_pre, with_kwargs=True))
    try:
        tensors = forward(model, tokens)
    finally:
        for handle in handles:
            handle.remove()
    for i in range(len(layers)):
        pre, attention, mlp = (found[f"blocks.{i}.hook_{site}"] for site in ("resid_pre", "attn_out", "mlp_out"))
        post = tensors[f"blocks.{i}.hook_resid_post"]
        parallel = is_parallel(model)
        if not parallel:
            found[f"blocks.{i}.hook_resid_mid"] = pre + attention
        if row_error(pre + attention + mlp, post).max() > (1e-6 if parallel else 1e-12):
            raise Unknown(f"attention and MLP of block {i} do not add up to its output")
    return tensors | found


def is_parallel(model):
    """Whether attention and MLP both read the block's input."""
    config = sizes(model)
    return config.model_type in ("cohere", "cohere2", "gptj", "phi") or getattr(config, "use_parallel_residual", False)


def rope_by_length(model):
    """The type of the model's rope and the length of text beyond which it is another; (None, None) for most models."""
    config = sizes(model)
    ropes = getattr(config, "rope_parameters", None) or {}
    for rope in (ropes, *(value for value in ropes.values() if isinstance(value, dict))):
        if rope.get("rope_type") == "dynamic":
            return "dynamic", config.max_position_embeddings
        if rope.get("rope_type") == "longrope":
            return "longrope", rope["original_max_position_embeddings"]
    return None, None


def crosses(model, n_prompt, n):
    """Whether a text that grows from n_prompt to n tokens is turned otherwise, on the way, than in one pass over all."""
    kind, border = rope_by_length(model)
    return kind is not None and n > max(border, n_prompt) and (kind == "dynamic" or n_prompt <= border)


def recomputes(model, past, end):
    """Whether the cache is computed again before a text of `past` tokens grows to `end`: Phi-3's
    prepare_inputs_for_generation throws it away where longrope changes its factors. Of other families that have such a
    rope transformers keeps the cached keys; Capstan computes them again there, too, as one pass over the text would."""
    kind, border = rope_by_length(model)
    return kind == "longrope" and 0 < past <= border < end


def forget(model):
    """A dynamic rope keeps the frequencies of the longest text it saw: a text of one token puts it back."""
    if rope_by_length(model)[0] == "dynamic":
        model(torch.zeros(1, 1, dtype=torch.long))


@torch.no_grad()
def forward(model, tokens, n_prefill=None, careless=False):
    """One pass over tokens [n], whole or as n_prefill tokens and then one at a time: the reference file's tensors.
    A careless one keeps cached keys that are to be computed again."""
    forget(model)
    layers = layers_of(model)
    captured = [[] for _ in layers]
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out, rows=rows: rows.append(hidden(out)[0].clone()))
        for layer, rows in zip(layers, captured)
    ]
    cuts = [0, *range(n_prefill or len(tokens), len(tokens) + 1)]
    cache, logits = DynamicCache(config=model.config), []
    try:
        for start, end in zip(cuts, cuts[1:]):
            first = start
            if recomputes(model, start, end) and not careless:
                first, cache = 0, DynamicCache(config=model.config)
            out = model(tokens[None, first:end], past_key_values=cache, use_cache=True)
            logits.append(out.logits[0, start - first :])
            for rows in captured:
                rows[-1] = rows[-1][start - first :]
    finally:
        for hook in hooks:
            hook.remove()
    blocks = {f"blocks.{i}.hook_resid_post": torch.cat(rows) for i, rows in enumerate(captured)}
    return blocks | {"logits": torch.cat(logits)}


@torch.no_grad()
def greedy(model, prompt, n_new, how=None):
    """The prompt and its greedy continuation, by prefill and decode, by whole passes (`whole`), or as transformers'
    own generate writes it (`generate`)."""
    if how == "generate":
        forget(model)
        return model.generate(prompt[None], max_new_tokens=n_new, do_sample=False, eos_token_id=None, pad_token_id=0)[0]
    if how == "whole":
        for _ in range(n_new):
            forget(model)
            prompt = torch.cat([prompt, model(prompt[None]).logits[0, -1].argmax().reshape(1)])
        return prompt
    forget(model)
    cache, tokens, past = DynamicCache(config=model.config), prompt, 0
    for _ in range(n_new):
        if recomputes(model, past, len(tokens)):
            past, cache = 0, DynamicCache(config=model.config)
        logits = model(tokens[None, past:], past_key_values=cache, use_cache=True).logits[0, -1]
        past = len(tokens)
        tokens = torch.cat([tokens, logits.argmax().reshape(1)])
    return tokens


def write_tensors(path, tensors):
    save_file({name: t.contiguous() for name, t in tensors.items()}, path)


def row_error(got, want):
    """Relative L2 error of each row [n, d] -> [n]."""
    return (got.double() - want.double()).norm(dim=-1) / want.double().norm(dim=-1)
