"""How tamis's own encoders are made: small ones that learn, from nothing, to give what large frozen ones give.

`MelCNN` learns the latents of aisfx, window by window, and `Words` the mean of MiniLM's tokens, sentence by sentence.
Both start from random weights; the table of word pieces is MiniLM's own opinion of each piece alone, in 64 dimensions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tamis.audio.aisfx import MEL as TEACHER_MEL
from tamis.audio.aisfx import SCALE as TEACHER_SCALE
from tamis.audio.aisfx import AisfxSounds
from tamis.audio.latents import Rows
from tamis.audio.mel import cut, log_mel, to_full_scale
from tamis.audio.melcnn import FRAMES, HOP, MEL, MelCNN
from tamis.audio.minilm import MiniLM
from tamis.audio.sound import Sound, resample
from tamis.audio.space import averaged
from tamis.audio.words import TABLE, Words
from tamis.core.errors import InputError
from tamis.core.lightning import KeepEveryEpoch, Lesson, one_validation, run_through
from tamis.core.progress import progress
from tamis.core.seed import derive, generator
from tamis.core.training import Shuffle, quietly, trainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float32
    from torch import Tensor

_TEACHER_FRAMES = round(FRAMES * MEL.hop / MEL.rate * TEACHER_MEL.rate / TEACHER_MEL.hop)
_PIECE = re.compile(r"(##)?[a-z]+|[0-9]|[',.]")


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """How a small encoder is taught. All numbers are our choice."""

    epochs: int = 10
    """Times that every window or sentence is seen."""
    batch: int = 256
    """Windows or sentences in a batch."""
    learning_rate: float = 2e-3
    """The highest of the one-cycle schedule of AdamW."""
    seed: int = 0
    """Of the weights and the order."""
    threads: int = 1
    """Of torch."""


def teach_sounds(
    teacher: AisfxSounds, sounds: Iterable[Sound], lessons: Lessons = Lessons(), *, out: str | Path | None = None
) -> tuple[MelCNN, dict[str, dict[int, float]]]:
    """Teach a `MelCNN` what aisfx hears in windows of a second.

    Args:
        teacher: With its weights.
        sounds: What both listen to; no labels are used.
        lessons: How.
        out: A folder for checkpoints. If a training was cut off there, it goes on.

    Returns:
        The encoder, and by epoch the loss: one minus the mean cosine of standardised latents.

    Raises:
        InputError: If there is no sound.
    """
    seen, wanted = [], []
    with torch.random.fork_rng():
        torch.manual_seed(lessons.seed)
        pupil = MelCNN()
    with progress("listening") as report, torch.inference_mode():
        for done, sound in enumerate(sounds, start=1):
            windows = pupil.prepare(resample(sound, MEL.rate).samples)
            seen.append(windows.astype(np.float16))
            wanted.append(_taught(teacher, resample(sound, TEACHER_MEL.rate).samples, len(windows)))
            report(done)
    if not seen:
        raise InputError("no sound to learn from; give some")
    data = [np.concatenate(seen), np.concatenate(wanted)]

    def loss(batch: list[Tensor]) -> Tensor:
        heard = pupil(augmented(batch[0].float()))
        return 1 - functional.cosine_similarity((heard - mean) / deviation, (batch[1] - mean) / deviation, dim=1).mean()

    mean, deviation = (torch.from_numpy(of(data[1], axis=0)) for of in (np.mean, np.std))
    deviation.clamp_(min=1e-3)
    curves = _teach(pupil, data, loss, lessons, out)
    return pupil, curves


def teach_sentences(
    teacher: MiniLM, sentences: Sequence[str], lessons: Lessons = Lessons(), *, out: str | Path | None = None
) -> tuple[Words, dict[str, dict[int, float]]]:
    """Teach a `Words` what MiniLM makes of sentences.

    Args:
        teacher: With its weights.
        sentences: What both read.
        lessons: How.
        out: A folder for checkpoints. If a training was cut off there, it goes on.

    Returns:
        The encoder, and by epoch the loss: one minus the mean cosine of the sentences' vectors.

    Raises:
        InputError: If a sentence is empty.
    """
    pieces = ["[UNK]", *sorted(piece for piece in teacher.tokenizer.get_vocab() if _PIECE.fullmatch(piece))]
    with torch.random.fork_rng():
        torch.manual_seed(lessons.seed)
        pupil = Words.of(pieces, table(teacher, pieces))
    tokens = Rows.of([pupil.prepare(sentence) for sentence in sentences])
    wanted = np.stack([rows.mean(axis=0) for rows in teacher.encode(sentences)])

    def loss(batch: list[Tensor]) -> Tensor:
        ids, mask = (torch.from_numpy(part) for part in tokens.padded(batch[0].numpy()))
        return 1 - functional.cosine_similarity(averaged(pupil(ids, mask), mask), batch[1], dim=1).mean()

    curves = _teach(pupil, [np.arange(len(sentences)), wanted], loss, lessons, out)
    return pupil, curves


def table(teacher: MiniLM, pieces: Sequence[str]) -> Float32[np.ndarray, "pieces table"]:
    """Give MiniLM's vector of each piece alone, in its 64 main directions.

    Source:
        Model2Vec (github.com/MinishLab/model2vec), without its weights by rank.
    """
    start, end = teacher.tokenizer.cls_token_id, teacher.tokenizer.sep_token_id
    ids = torch.tensor([[start, teacher.tokenizer.convert_tokens_to_ids(piece), end] for piece in pieces])
    with torch.inference_mode():
        rows = [
            teacher(ids[i : i + 512], torch.ones_like(ids[i : i + 512], dtype=torch.bool)).mean(dim=1)
            for i in range(0, len(ids), 512)
        ]
    vectors = torch.cat(rows).double()
    centred = vectors - vectors.mean(dim=0)
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -TABLE:]
    return np.asarray((centred @ directions).float())


def invented(words: Sequence[str], count: int, *, seed: int = 0) -> list[str]:
    """Make up short descriptions of anything, so that a pupil reads more words than captions hold.

    Args:
        words: To draw from.
        count: How many descriptions.
        seed: Another seed draws others.
    """
    frames = (
        "{a}", "a {a}", "a {a} {b}", "the sound of a {a}", "{a} and {b}", "a {a}, then a {b}", "{a} {b} in the {c}",
        "{a} near a {b}", "first a {a}, then a {b}", "a {a} while a {b}", "a {a} {b} twice", "a {b} after a {a}",
    )  # fmt: skip
    rng = generator(seed, "audio", "invented")
    made = []
    for _ in range(count):
        a, b, c = (words[i] for i in rng.integers(len(words), size=3))
        made.append(frames[rng.integers(len(frames))].format(a=a, b=b, c=c))
    return made


def augmented(windows: Tensor) -> Tensor:
    """Raise or lower the contrast of each window's log-mel spectrogram a little."""
    gain = 1 + 0.2 * torch.randn(len(windows), 1, 1)
    return (windows * gain).clamp_min(0)


def _taught(teacher: AisfxSounds, samples: Float32[np.ndarray, " samples"], count: int) -> Float32[np.ndarray, "n w"]:
    """Give the teacher's latents of the windows that the pupil sees."""
    mel = log_mel(to_full_scale(samples), TEACHER_MEL) / np.float32(TEACHER_SCALE)
    step = HOP * MEL.hop / MEL.rate * TEACHER_MEL.rate / TEACHER_MEL.hop
    starts = np.round(np.arange(count) * step).astype(int)
    return np.asarray(teacher(torch.from_numpy(cut(mel, _TEACHER_FRAMES, starts))))


def _teach(
    pupil: nn.Module,
    data: list[np.ndarray],
    loss: Callable[[list[Tensor]], Tensor],
    lessons: Lessons,
    out: str | Path | None,
) -> dict[str, dict[int, float]]:
    """Minimise a loss of rows of some arrays."""
    lesson = _Lesson(pupil, loss, lessons)
    rows = _RowsOf([torch.from_numpy(part) for part in data])
    digest = hashlib.sha256()
    for part in data:
        digest.update(np.ascontiguousarray(part).data)
    told = {"pupil": type(pupil).__name__, "rows": len(rows), "data": digest.hexdigest(), **vars(lessons)}
    with TemporaryDirectory() as scratch, quietly(lessons.threads), progress("learning") as report:
        folder = Path(out if out is not None else scratch)
        loader = DataLoader(
            rows, lessons.batch, sampler=Shuffle(len(rows), lessons.seed), collate_fn=lambda fetched: fetched
        )
        made = trainer(epochs=lessons.epochs, device="cpu", callbacks=[KeepEveryEpoch(folder, report)])
        run_through(made, lesson, folder, told, loader, one_validation())
    pupil.eval()
    return lesson.curves


class _Lesson(Lesson):
    def __init__(self, pupil: nn.Module, loss: Callable[[list[Tensor]], Tensor], lessons: Lessons) -> None:
        super().__init__()
        self.pupil, self.loss, self.lessons = pupil, loss, lessons
        self._losses: list[Tensor] = []

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(derive(self.lessons.seed, "epoch", self.current_epoch))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss = self.loss(batch)
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, _: Any) -> None:
        """Do nothing: there is nothing to validate on, only an epoch to end."""

    def on_validation_epoch_end(self) -> None:
        self.curves.setdefault("loss", {})[self.current_epoch + 1] = float(torch.stack(self._losses).mean())
        self._losses.clear()

    def configure_optimizers(self) -> Any:
        return self.one_cycle(self.lessons.learning_rate, 0.01)


class _RowsOf(Dataset[Any]):
    def __init__(self, parts: list[Tensor]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitems__(self, index: list[int]) -> list[Tensor]:
        return [part[torch.tensor(index)] for part in self.parts]
