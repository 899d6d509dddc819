"""The reference cases, as data. A new architecture is one more entry in CASES.

`config` is what transformers' config class takes. `runs` names hook lists; a cap's bounds are
percentiles of the projections that the model itself shows at that point, so every cap bites on some
tokens and spares others. `matters` lists what a careless reader of config.json would do instead:
the generator proves that each of these would miss the reference by far.
"""

from dataclasses import dataclass, field


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
    matters: dict = field(default_factory=dict)  # what it is -> config fields that must not mean the same
    max_shard_size: str = "1GB"
    style: str = "5.x"  # "4.x": config.json rewritten as transformers 4 wrote it
    same_as: str | None = None  # the case whose weights and prompts it shares

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
]  # fmt: skip
