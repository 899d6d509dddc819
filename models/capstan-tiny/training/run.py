"""One command makes the whole model folder: corpus, tokenizer, training, export, data files.

    python models/capstan-tiny/training/run.py

Checkpoints and the tokenizer go to out/ first; what is there already is not made again. Phase 2's checkpoints are
compared with `evaluate.py`, on the dev split; CHOICE below records what that chose.
"""

import argparse
from pathlib import Path

import personas
import torch
from corpus import (
    HELD_OUT_ASKING,
    HELD_OUT_CHATS,
    HELD_OUT_COMPARISONS,
    HELD_OUT_COPIES,
    HELD_OUT_SUMS,
    draw_corpus,
)
from model import Decoder, Shape, round_to_bf16, save_model
from prompts import SEEDS, assert_unseen, draw_suite
from release import write_data
from tokenizer import IM_END, PAD, VOCABULARY, save_tokenizer, train_tokenizer
from tokenizers import Tokenizer
from train import Phase, load_checkpoint, run_phase

HERE = Path(__file__).parent
OUT, FOLDER = HERE / "out", HERE.parent
TOKENIZER_SEED, N_TOKENIZER = 1, 20000

PHASES = {
    "phase-0": Phase(
        steps=600, batch_tokens=1200, lr=2.5e-3, spare_secret=1.0, bare=1.0, checkpoint_every=100, warmup=60, decay=0.01
    ),
    "phase-1": Phase(
        steps=2000, batch_tokens=1600, lr=2.5e-3, spare_secret=0.8, bare=0.5, checkpoint_every=200, warmup=100, decay=0.3
    ),
    "phase-2": Phase(
        steps=700, batch_tokens=1800, lr=1.8e-3, spare_secret=0.0, bare=0.35, checkpoint_every=100, warmup=30, decay=0.3
    ),
}
SEED = 15
CHOSEN_STEP = 700
CHOICE = {"target_layer": 4, "cap": {"layers": {"start": 1, "end": 5}, "percentile": 50}}


def make_tokenizer(path: Path) -> Tokenizer:
    """Trained on the corpus, and on the held-out wordings and names so that they split no worse than the others."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [message.content for c in draw_corpus(TOKENIZER_SEED, N_TOKENIZER, 0.0, 0.0) for message in c]
        held_out = [
            *HELD_OUT_ASKING,
            *HELD_OUT_SUMS,
            *HELD_OUT_COMPARISONS,
            *HELD_OUT_COPIES,
            *HELD_OUT_CHATS,
            *personas.HELD_OUT_SYSTEM_TEMPLATES,
            *personas.HELD_OUT_FRAMINGS,
            *personas.HELD_OUT_NEUTRAL_PROMPTS,
            *(role.name for role in personas.HELD_OUT_ROLES),
        ]
        train_tokenizer(texts + [text.split("{")[0] for text in held_out] * 30).save(str(path))
    return Tokenizer.from_file(str(path))


def check_splits() -> None:
    """No evaluation prompt occurs in a large draw of the training text."""
    suites = {split: draw_suite(split) for split in SEEDS}
    for phase in PHASES.values():
        assert_unseen(draw_corpus(SEED, 20000, phase.spare_secret, phase.bare), suites)


def train(tokenizer: Tokenizer, out: Path, seed: int) -> Decoder:
    """All phases, each from the last checkpoint of the one before; finished phases are not run again."""
    torch.manual_seed(seed)
    model = Decoder(Shape(d_vocab=VOCABULARY))
    for number, (name, phase) in enumerate(PHASES.items()):
        last = out / name / f"step-{phase.steps:05d}.pt"
        if not last.exists():
            run_phase(model, tokenizer, phase, seed + 1000 * number, out / name)
        model = load_checkpoint(last)
    return round_to_bf16(load_checkpoint(out / "phase-2" / f"step-{CHOSEN_STEP:05d}.pt")).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the model folder is written")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    check_splits()
    tokenizer = make_tokenizer(OUT / "tokenizer.json")
    model = train(tokenizer, OUT / f"seed-{args.seed}", args.seed)
    save_model(model, args.folder, tokenizer.token_to_id(IM_END), tokenizer.token_to_id(PAD))
    save_tokenizer(tokenizer, args.folder, model.shape.n_ctx)
    write_data(args.folder, model, tokenizer, CHOICE)
    print(f"wrote {args.folder}")


if __name__ == "__main__":
    main()
