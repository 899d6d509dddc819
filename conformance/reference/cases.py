"""The reference cases, as data. A new architecture is one more entry in CASES.

`config` is what transformers' config class takes. `runs` names hook lists; a cap's bounds are
percentiles of the projections that the model itself shows at that point, so every cap bites on some
tokens and spares others. `matters` lists what a careless reader of config.json would do instead:
the generator proves that each of these would miss the reference by far.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Case:
    name: str
    model_type: str
    config: dict
    runs: dict
    dtype: str = "float32"  # of the stored weights; the reference always computes in float32 from them
    n_prompt: int = 27
    n_new: int = 14
    std: float = 0.15  # of the matrices; embeddings get `embed_std`
    embed_std: float = 0.5
    bias_std: float = 0.3
    norm_mean: float = 1.0  # 0 where the family's files hold norm weights less 1
    matters: dict = field(default_factory=dict)  # what it is -> config fields that must not mean the same
    max_shard_size: str = "1GB"
    style: str = "5.x"  # "4.x": config.json rewritten as transformers 4 wrote it
    implied: tuple = ()  # fields that config.json of style 4.x leaves to their defaults
    by_length: bool = False  # the rope depends on how long the text is: every run is as long as the case says
    crossing: tuple | None = None  # (n_prompt, n_new) of runs whose continuation grows past the length where the rope changes
    says: dict = field(default_factory=dict)  # what config.json says otherwise than the model that was saved
    same_as: str | None = None  # the case whose weights and prompts it shares

    def crossed(self):
        """The case as its crossing runs are made."""
        return replace(self, n_prompt=self.crossing[0], n_new=self.crossing[1])

    @property
    def key(self):
        """What everything random about the case is drawn from."""
        return self.same_as or self.name


def cap(block, floor=None, ceiling=None, positions="all"):
    return dict(kind="cap", block=block, floor=floor, ceiling=ceiling, positions=positions)


def add(block, coefficient, positions="all"):
    return dict(kind="add", block=block, coefficient=coefficient, positions=positions)


def ablate(block, coefficient=None, positions="all"):
    return dict(kind="ablate", block=block, coefficient=coefficient, positions=positions)


def mean_ablate(block):
    return dict(kind="mean_ablate", block=block, positions="all")


PLAIN_AND_FLOOR = {
    "plain": [],
    "floor": [cap(1, floor=50)],
}

EVERY_HOOK = PLAIN_AND_FLOOR | {
    "ceiling": [cap(1, ceiling=50)],
    "floor-ceiling": [cap(0, floor=35, ceiling=65)],
    "add-positive": [add(1, 1.5)],
    "add-negative": [add(0, -0.75)],
    "ablate": [ablate(1)],
    "ablate-coefficient": [ablate(1, 0.5)],
    "mean-ablate": [mean_ablate(1)],
    "order": [add(1, 0.75), cap(1, floor=50), ablate(1, -0.5), cap(1, ceiling=50)],
    "layers": [cap(0, floor=50), cap(1, floor=50), cap(2, floor=50, ceiling=75)],
    "last-cap": [cap(1, floor=50, positions="last")],
    "last-add": [add(1, -1.0, positions="last")],
    "last-mixed": [ablate(0, 0.5, positions="last"), add(1, 0.5), cap(1, ceiling=50, positions="last")],
}

# Of a text that grows past the length where the rope changes.
CROSSING = {
    "crossing": [],
    "crossing-floor": [cap(1, floor=50)],
    "crossing-last": [cap(0, floor=50, positions="last")],
}

# For sizes that fit no vector width: each kind of hook once.
EACH_KIND = {name: EVERY_HOOK[name] for name in
             ("plain", "floor", "floor-ceiling", "add-negative", "ablate-coefficient", "mean-ablate", "last-cap")}  # fmt: skip

LLAMA = dict(
    vocab_size=128, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)  # fmt: skip
QWEN3 = LLAMA | dict(hidden_size=48, head_dim=16, rms_norm_eps=1e-4)
SMALL = dict(hidden_size=48, num_hidden_layers=2)

# With head_dim 16 the wavelengths are 6.3, 32.4, 167, ...: below, between and above the two borders 16 and 64.
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 4.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
LLAMA3_CONFIG = LLAMA | SMALL | dict(num_attention_heads=3, num_key_value_heads=1, head_dim=16,
                                     max_position_embeddings=256, rope_parameters=LLAMA3)  # fmt: skip
LLAMA3_MATTERS = {
    "scaling": {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
    "theta": {"rope_parameters": LLAMA3 | {"rope_theta": 10000.0}},
    "factor": {"rope_parameters": LLAMA3 | {"factor": 8.0}},
    "low border": {"rope_parameters": LLAMA3 | {"low_freq_factor": 2.5}},
    "high border": {"rope_parameters": LLAMA3 | {"high_freq_factor": 1.5}},
    "original length": {"rope_parameters": LLAMA3 | {"original_max_position_embeddings": 256}},
}
THETA = {"theta": {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}}}

# The families after Llama and Qwen 3, as small as shows what they add.
TINY = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)  # fmt: skip


def rope(rope_type="default", **fields):
    return {"rope_parameters": {"rope_type": rope_type, "rope_theta": 10000.0} | fields}


def without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


GEMMA = TINY | dict(head_dim=12, tie_word_embeddings=True)
GEMMA2 = GEMMA | dict(query_pre_attn_scalar=20, sliding_window=9, attn_logit_softcapping=4.0, final_logit_softcapping=6.0)
GEMMA2_MATTERS = {
    "window": {"sliding_window": 10}, "pattern": {"layer_types": ["full_attention", "sliding_attention", "full_attention"]},
    "scale": {"query_pre_attn_scalar": 12}, "attention softcap": {"attn_logit_softcapping": None},
    "logit softcap": {"final_logit_softcapping": None}, "activation": {"hidden_activation": "silu"},
}  # fmt: skip
TWO_ROPES = {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 300.0},
             "sliding_attention": {"rope_type": "default", "rope_theta": 40.0}}  # fmt: skip
SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
GEMMA3 = GEMMA | dict(query_pre_attn_scalar=20, sliding_window=9, layer_types=SLIDING, rope_parameters=TWO_ROPES)
GEMMA3_MATTERS = {
    "window": {"sliding_window": 10}, "scale": {"query_pre_attn_scalar": 12},
    "pattern": {"layer_types": SLIDING[::-1][:2] + ["full_attention"]},
    "global theta": {"rope_parameters": TWO_ROPES | {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}},
    "global factor": {"rope_parameters": TWO_ROPES | {"full_attention": {"rope_type": "default", "rope_theta": 300.0}}},
    "local theta": {"rope_parameters": TWO_ROPES | {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
}  # fmt: skip
LONGROPE = rope("longrope", short_factor=[1.0, 1.3, 2.0], long_factor=[1.5, 3.0, 9.0], partial_rotary_factor=0.75,
                original_max_position_embeddings=48)  # fmt: skip
PHI3 = TINY | LONGROPE | dict(original_max_position_embeddings=48, max_position_embeddings=192)
NEOX = without(TINY, "num_key_value_heads", "rms_norm_eps") | rope(partial_rotary_factor=0.5)
NEOX_MATTERS = {
    "order": {"use_parallel_residual": False}, "part that turns": rope(partial_rotary_factor=0.25), "activation": {"hidden_act": "relu"},
    "epsilon": {"layer_norm_eps": 1e-2},
}  # fmt: skip
MOE = TINY | dict(moe_intermediate_size=24, num_experts=6, num_experts_per_tok=2, head_dim=8)
COHERE = without(TINY, "rms_norm_eps") | dict(layer_norm_eps=1e-3, logit_scale=0.25, tie_word_embeddings=True)
STABLELM = without(TINY, "rms_norm_eps") | rope(partial_rotary_factor=0.5) | dict(use_qkv_bias=True)
GLM = TINY | rope(partial_rotary_factor=0.5) | dict(head_dim=8)
YARN = rope("yarn", rope_theta=300.0, factor=4.0, original_max_position_embeddings=32, beta_fast=4.0, beta_slow=0.5)

# The families added last are smaller still: one run, of every site.
MINI = dict(vocab_size=48, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
            max_position_embeddings=64, rope_parameters={"rope_type": "default", "rope_theta": 10000.0})  # fmt: skip
RMS = MINI | dict(rms_norm_eps=1e-3)
EPSILON = {"epsilon": {"rms_norm_eps": 1e-6}}
GRANITE4 = RMS | dict(layer_types=["full_attention"] * 2, num_local_experts=0, shared_intermediate_size=32, mamba_n_heads=2, position_embedding_type="rope",
                      embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=4.0)  # fmt: skip
MINI_MOE = without(RMS, "intermediate_size") | dict(num_experts=4, num_experts_per_tok=2)
GPT_J = dict(vocab_size=48, n_embd=24, n_head=3, n_layer=2, n_inner=32, n_positions=64, rotary_dim=4, layer_norm_epsilon=1e-3)


MINISTRAL3 = rope("yarn", rope_theta=300.0, factor=4.0, original_max_position_embeddings=6, beta_fast=4.0, beta_slow=0.5, mscale=1.0, mscale_all_dim=1.0,
                  llama_4_scaling_beta=0.5)  # fmt: skip


def mini(name, model_type, config, **options):
    return Case(name, model_type, config, {}, **(dict(n_prompt=13, n_new=6, bias_std=0.1, dtype="bfloat16") | options))

# Left at the original length, as many were published: the text is longer than `max_position_embeddings`.
SHORT_YARN = TINY | YARN | dict(num_hidden_layers=2, max_position_embeddings=32)

CASES = [
    Case("llama-gqa-untied", "llama", LLAMA, EVERY_HOOK, matters=THETA),
    Case("llama-tied", "llama", LLAMA | SMALL | dict(num_attention_heads=6, num_key_value_heads=3, tie_word_embeddings=True),
         PLAIN_AND_FLOOR, dtype="bfloat16", embed_std=0.15),
    Case("llama-rope-llama3", "llama", LLAMA3_CONFIG, PLAIN_AND_FLOOR, n_prompt=44, n_new=16, matters=LLAMA3_MATTERS),
    Case("llama-rope-llama3-4x", "llama", LLAMA3_CONFIG, PLAIN_AND_FLOOR, n_prompt=44, n_new=16, style="4.x",
         same_as="llama-rope-llama3", matters=LLAMA3_MATTERS),
    Case("llama-biases", "llama", LLAMA | SMALL | dict(num_attention_heads=3, num_key_value_heads=3, attention_bias=True, mlp_bias=True),
         PLAIN_AND_FLOOR),
    Case("llama-odd-sizes", "llama",
         dict(vocab_size=131, hidden_size=51, intermediate_size=91, num_hidden_layers=2, num_attention_heads=3,
              num_key_value_heads=1, head_dim=14, max_position_embeddings=99, rms_norm_eps=1e-3,
              rope_parameters={"rope_type": "default", "rope_theta": 777.0}),
         EACH_KIND, n_prompt=29, n_new=14, matters={"epsilon": {"rms_norm_eps": 1e-6}} | THETA),
    Case("llama-sharded", "llama", LLAMA | SMALL, PLAIN_AND_FLOOR, n_prompt=48, n_new=17, max_shard_size="64KB"),
    Case("llama-f16", "llama", LLAMA | SMALL, PLAIN_AND_FLOOR, dtype="float16"),
    Case("qwen3-qk-norm", "qwen3", QWEN3, EVERY_HOOK, n_prompt=31, n_new=14, matters={"epsilon": {"rms_norm_eps": 1e-6}} | THETA),
    Case("qwen3-tied", "qwen3", QWEN3 | SMALL | dict(hidden_size=40, num_key_value_heads=1, tie_word_embeddings=True),
         PLAIN_AND_FLOOR, dtype="bfloat16", embed_std=0.15),
    Case("llama-rope-linear", "llama", TINY | rope("linear", factor=3.0), PLAIN_AND_FLOOR, matters={"scaling": rope()}),
    Case("llama-rope-yarn", "llama", TINY | YARN | dict(head_dim=16), PLAIN_AND_FLOOR,
         matters={"scaling": rope(rope_theta=300.0), "ramp": YARN | rope("yarn", rope_theta=300.0, factor=4.0, original_max_position_embeddings=32),
                  "factor": {"rope_parameters": YARN["rope_parameters"] | {"factor": 2.0}},
                  "attention factor": {"rope_parameters": YARN["rope_parameters"] | {"attention_factor": 1.0}}}),
    Case("llama-rope-yarn-beyond", "llama", SHORT_YARN, {"plain": []}, matters={"scaling": rope(rope_theta=300.0)}),
    Case("llama-rope-dynamic", "llama", TINY | rope("dynamic", factor=4.0) | dict(max_position_embeddings=24), {"plain": []},
         by_length=True, crossing=(20, 14), matters={"scaling": rope()}),
    Case("qwen2", "qwen2", TINY, PLAIN_AND_FLOOR, dtype="bfloat16", matters=THETA),
    Case("qwen2-window-4x", "qwen2", TINY | dict(use_sliding_window=True, sliding_window=7, max_window_layers=1, tie_word_embeddings=True),
         PLAIN_AND_FLOOR, style="4.x", implied=("layer_types",), embed_std=0.15, matters={"window": {"sliding_window": 8}, "layers": {"layer_types": SLIDING}}),
    Case("mistral-window", "mistral", TINY | dict(sliding_window=7, head_dim=12), PLAIN_AND_FLOOR, matters={"window": {"sliding_window": 8}}),
    Case("mistral-full-4x", "mistral", TINY | dict(sliding_window=None), PLAIN_AND_FLOOR, style="4.x", dtype="bfloat16"),
    Case("gemma2", "gemma2", GEMMA2, EACH_KIND, embed_std=0.15, matters=GEMMA2_MATTERS),
    Case("gemma2-4x", "gemma2", GEMMA2, PLAIN_AND_FLOOR, style="4.x", implied=("layer_types",), same_as="gemma2", embed_std=0.15, dtype="bfloat16"),
    Case("gemma3", "gemma3_text", GEMMA3, EACH_KIND, embed_std=0.15, norm_mean=0.0, matters=GEMMA3_MATTERS),
    Case("gemma3-4x", "gemma3_text", GEMMA3 | dict(num_hidden_layers=2, layer_types=SLIDING[:2], sliding_window_pattern=2), PLAIN_AND_FLOOR,
         style="4.x", implied=("layer_types",), embed_std=0.15),
    Case("gemma3-multimodal", "gemma3",
         dict(text_config=GEMMA3 | dict(num_hidden_layers=2, layer_types=SLIDING[:2], model_type="gemma3_text"), mm_tokens_per_image=4, image_token_index=95, boi_token_index=94, eoi_token_index=93,
              vision_config=dict(model_type="siglip_vision_model", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=8, patch_size=4)),
         {"plain": []}, embed_std=0.15),
    Case("gemma", "gemma", GEMMA, PLAIN_AND_FLOOR, embed_std=0.1, norm_mean=0.0, std=0.2, dtype="bfloat16", matters={"activation": {"hidden_act": "silu"}}),
    Case("phi3-longrope-short", "phi3", PHI3, EACH_KIND, by_length=True, crossing=(41, 14),
         matters={"factors": LONGROPE | rope("longrope", **without(LONGROPE["rope_parameters"], "rope_type") | {"short_factor": [1.0, 1.0, 1.0]}),
                  "attention factor": {"max_position_embeddings": 48}}),
    Case("phi3-longrope-long-4x", "phi3", PHI3, PLAIN_AND_FLOOR, n_prompt=53, n_new=9, by_length=True, style="4.x"),
    Case("phi3-window", "phi3", TINY | dict(sliding_window=7), PLAIN_AND_FLOOR, dtype="bfloat16",
         matters={"window": {"sliding_window": 8}}),
    Case("gpt-neox", "gpt_neox", NEOX, EACH_KIND, bias_std=0.1, matters=NEOX_MATTERS),
    Case("gpt-neox-sequential", "gpt_neox", NEOX | dict(use_parallel_residual=False, attention_bias=False), PLAIN_AND_FLOOR, dtype="float16", bias_std=0.1),
    Case("gpt2", "gpt2", dict(vocab_size=96, n_embd=36, n_head=3, n_layer=3, n_positions=64), PLAIN_AND_FLOOR, bias_std=0.1, matters={"activation": {"activation_function": "relu"}}),
    Case("gpt2-scaled-by-depth", "gpt2", dict(vocab_size=96, n_embd=24, n_head=2, n_layer=3, n_positions=64, scale_attn_by_inverse_layer_idx=True), {"plain": []}, bias_std=0.1,
         matters={"depth": {"scale_attn_by_inverse_layer_idx": False}}),
    Case("mixtral", "mixtral", TINY | dict(num_local_experts=4, num_experts_per_tok=2, intermediate_size=24), PLAIN_AND_FLOOR, dtype="bfloat16",
         matters={"experts": {"num_experts_per_tok": 1}}),
    Case("mixtral-window", "mixtral", TINY | dict(num_local_experts=3, num_experts_per_tok=1, intermediate_size=20, sliding_window=13, num_hidden_layers=2),
         {"plain": []}, matters={"window": {"sliding_window": 14}}),
    Case("qwen3-moe-mixed", "qwen3_moe", MOE | dict(norm_topk_prob=True, mlp_only_layers=[1]), PLAIN_AND_FLOOR, matters={"shares": {"norm_topk_prob": False}}),
    Case("qwen3-moe-raw", "qwen3_moe", MOE | dict(norm_topk_prob=False, decoder_sparse_step=2, num_hidden_layers=4), PLAIN_AND_FLOOR, dtype="bfloat16",
         matters={"shares": {"norm_topk_prob": True}, "experts": {"num_experts_per_tok": 3}}),
    Case("olmo2", "olmo2", TINY, PLAIN_AND_FLOOR, matters={"epsilon": {"rms_norm_eps": 1e-1}} | THETA),
    Case("olmo3", "olmo3", TINY | dict(sliding_window=7, layer_types=SLIDING, rope_parameters={
        "full_attention": YARN["rope_parameters"], "sliding_attention": {"rope_type": "default", "rope_theta": 300.0}}), PLAIN_AND_FLOOR,
         dtype="bfloat16", matters={"window": {"sliding_window": 8}}),
    Case("smollm3", "smollm3", TINY | dict(num_hidden_layers=4, no_rope_layers=[1, 0, 1, 1], tie_word_embeddings=True), PLAIN_AND_FLOOR, embed_std=0.15,
         matters={"layers without rope": {"no_rope_layers": [1, 1, 0, 1]}} | THETA),
    Case("granite", "granite", TINY | dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=4.0), PLAIN_AND_FLOOR,
         matters={"embedding": {"embedding_multiplier": 2.0}, "residual": {"residual_multiplier": 0.5}, "attention": {"attention_multiplier": 0.3},
                  "logits": {"logits_scaling": 2.0}}),
    Case("cohere", "cohere", COHERE, PLAIN_AND_FLOOR, embed_std=0.15, matters={"scale": {"logit_scale": 0.5}}),
    Case("cohere-qk-norm", "cohere", COHERE | dict(use_qk_norm=True, num_hidden_layers=2), PLAIN_AND_FLOOR, embed_std=0.15, dtype="bfloat16"),
    Case("cohere2", "cohere2", COHERE | dict(sliding_window=7, layer_types=SLIDING), PLAIN_AND_FLOOR, embed_std=0.15,
         matters={"window": {"sliding_window": 8}, "pattern": {"layer_types": SLIDING[:1] * 3}}),
    Case("starcoder2", "starcoder2", without(TINY, "rms_norm_eps") | dict(norm_epsilon=1e-3, sliding_window=7, tie_word_embeddings=True), PLAIN_AND_FLOOR, bias_std=0.1, embed_std=0.15,
         matters={"window": {"sliding_window": 8}, "activation": {"hidden_act": "relu"}}),
    Case("stablelm", "stablelm", STABLELM | dict(qk_layernorm=True), PLAIN_AND_FLOOR, bias_std=0.1, matters={"part that turns": rope(partial_rotary_factor=0.25)}),
    Case("stablelm-parallel", "stablelm", STABLELM | dict(use_parallel_residual=True, num_hidden_layers=2), PLAIN_AND_FLOOR, dtype="bfloat16", bias_std=0.1),
    Case("glm", "glm", GLM, PLAIN_AND_FLOOR, dtype="bfloat16", matters={"part that turns": rope(partial_rotary_factor=0.25)}),
    Case("glm4", "glm4", GLM, PLAIN_AND_FLOOR, matters={"part that turns": rope(partial_rotary_factor=0.25)}),
    mini("ernie4_5", "ernie4_5", RMS | dict(head_dim=10, use_bias=True), embed_std=0.15, matters=THETA | EPSILON),
    mini("granite4-dense", "granitemoehybrid", GRANITE4, style="4.x", matters={"embedding": {"embedding_multiplier": 2.0}, "residual": {"residual_multiplier": 0.5},
         "attention": {"attention_multiplier": 0.3}, "logits": {"logits_scaling": 2.0}, "rope": {"position_embedding_type": None}}),
    mini("granite4-nope", "granitemoehybrid", GRANITE4 | dict(position_embedding_type=None), std=0.25,
         matters={"rope": {"position_embedding_type": "rope"}}),
    mini("exaone4", "exaone4", RMS | dict(num_hidden_layers=3, sliding_window=4, layer_types=SLIDING), matters=THETA | EPSILON | {
         "window": {"sliding_window": 5}, "layers without rope": {"layer_types": ["sliding_attention"] * 3}}),
    mini("olmoe", "olmoe", MINI_MOE | dict(intermediate_size=16), matters={"shares": {"norm_topk_prob": True}, "experts": {"num_experts_per_tok": 1}} | EPSILON),
    mini("gpt-neo", "gpt_neo", dict(vocab_size=48, hidden_size=24, num_layers=2, num_heads=3, intermediate_size=32, max_position_embeddings=32, window_size=4,
         attention_types=[[["global", "local"], 1]], layer_norm_epsilon=1e-3), embed_std=0.15,
         matters={"window": {"window_size": 5}, "pattern": {"attention_layers": ["local", "global"]}, "epsilon": {"layer_norm_epsilon": 1e-6}}),
    mini("seed-oss", "seed_oss", RMS | dict(head_dim=10, mlp_bias=True), matters=THETA | EPSILON),
    mini("mellum", "mellum", MINI_MOE | dict(num_hidden_layers=3, head_dim=8, intermediate_size=32, moe_intermediate_size=12, sliding_window=4, layer_types=SLIDING,
         mlp_layer_types=["sparse", "dense", "sparse"], rope_parameters=TWO_ROPES), matters={
         "window": {"sliding_window": 5}, "shares": {"norm_topk_prob": False}, "sliding theta": {"rope_parameters": TWO_ROPES | {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
         "full factor": {"rope_parameters": TWO_ROPES | {"full_attention": {"rope_type": "default", "rope_theta": 300.0}}}}),
    mini("helium", "helium", RMS | dict(head_dim=8, attention_bias=True), matters=THETA | EPSILON),
    mini("ministral", "ministral", RMS | dict(head_dim=8, sliding_window=4, layer_types=SLIDING[:2]), matters={"window": {"sliding_window": 5}, "pattern": {"layer_types": SLIDING[1::-1]}}),
    mini("vaultgemma", "vaultgemma", RMS | dict(head_dim=10, query_pre_attn_scalar=20, sliding_window=4, attn_logit_softcapping=4.0, final_logit_softcapping=6.0, layer_types=SLIDING[:2]),
         std=0.25, embed_std=0.1, norm_mean=0.0, matters=GEMMA2_MATTERS | {"window": {"sliding_window": 5}, "pattern": {"layer_types": SLIDING[1::-1]}}),
    mini("ministral3", "ministral3", RMS | MINISTRAL3 | dict(head_dim=8), matters=EPSILON | {
         "q scale": {"rope_parameters": MINISTRAL3["rope_parameters"] | {"llama_4_scaling_beta": 0.4}},
         "original length": {"rope_parameters": MINISTRAL3["rope_parameters"] | {"original_max_position_embeddings": 7}},
         "attention factor": {"rope_parameters": MINISTRAL3["rope_parameters"] | {"mscale": 2.0}}}),
    mini("ministral3-multimodal", "mistral3", dict(text_config=RMS | MINISTRAL3 | dict(head_dim=8, model_type="ministral3", eos_token_id=None, bos_token_id=None, pad_token_id=None), tie_word_embeddings=False, image_token_index=47,
         vision_config=dict(model_type="pixtral", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, head_dim=8, image_size=8, patch_size=4))),
    mini("phi", "phi", MINI | rope(partial_rotary_factor=0.5) | dict(layer_norm_eps=1e-3), style="4.x", dtype="float16",
         matters={"part that turns": rope(partial_rotary_factor=0.25), "activation": {"hidden_act": "relu"}, "epsilon": {"layer_norm_eps": 1e-6}}),
    mini("gptj", "gptj", GPT_J, matters={"part that turns": {"rotary_dim": 8}, "activation": {"activation_function": "relu"}, "epsilon": {"layer_norm_epsilon": 1e-6}}),
    mini("opt", "opt", dict(vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, ffn_dim=32, max_position_embeddings=30, word_embed_proj_dim=24),
         embed_std=0.15, matters={"activation": {"activation_function": "gelu"}}),
    mini("arcee", "arcee", RMS | YARN | dict(head_dim=8), matters=EPSILON | {"activation": {"hidden_act": "relu"}, "scaling": rope(rope_theta=300.0)}),
    mini("nemotron", "nemotron", without(RMS, "rms_norm_eps") | rope(partial_rotary_factor=0.5) | dict(norm_eps=1e-3, head_dim=8), norm_mean=0.0,
         matters={"part that turns": rope(partial_rotary_factor=0.25), "activation": {"hidden_act": "relu"}, "epsilon": {"norm_eps": 1e-6}}),
    mini("jais2", "jais2", without(RMS, "rms_norm_eps") | dict(layer_norm_eps=1e-3), matters=THETA | {"activation": {"hidden_act": "relu"}, "epsilon": {"layer_norm_eps": 1e-6}}),
    mini("qwen3-own-head", "qwen3", RMS | dict(head_dim=8), says={"tie_word_embeddings": True}, max_shard_size="6KB"),
]  # fmt: skip
