"""Training of the small vision-language model: LLaVA's recipe in small, on scenes that are drawn as they are needed.

Two stages, as LLaVA has them:

1. The tower learns to see. Its [CLS] token is told apart from those of other pictures by what the picture shows
   (contrastive loss against the facts of the caption), and every image token that goes to the language model names
   what it shows (a captioning loss, patch by patch; without it a contrastive tower leaves nearly no shape in its
   patch tokens).
2. Projector and language model learn to read, with all image tokens, while the tower is tuned on at a lower rate as
   in LLaVA-NeXT; the losses of the first stage go on beside that with a small weight, so that [CLS] stays informed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tamis.core.lightning import Lesson, check_loss, diverged, run_through
from tamis.core.progress import progress
from tamis.core.seed import derive
from tamis.core.training import LAST, quietly, trainer
from tamis.vision.config import TinyConfig, TinyTraining
from tamis.vision.tiny import build
from tamis.vision.tiny_data import KINDS, NAMED, Kind, batch, graded, pack, read, shares

TAUGHT: tuple[Kind, ...] = ("scenes", "sprites")
"""Kinds of scenes that the model is taught."""
EXAMINED = 512
"""Validation pictures of each kind that are looked at after every round."""
_WIDTH = 128
"""Of the space in which pictures and captions meet."""


def train_tiny(
    config: TinyConfig = TinyConfig(),
    training: TinyTraining = TinyTraining(),
    *,
    out: str | Path | None = None,
    device: str = "cpu",
) -> tuple[Any, dict[str, dict[int, float]]]:
    """Train the small model from nothing.

    Args:
        config: Its sizes.
        training: The recipe.
        out: A folder for checkpoints. If a training was cut off there, it goes on.
        device: "cpu" or "cuda".

    Returns:
        The model, and its learning curves: loss, and validation accuracy of each kind of question, by step.

    Raises:
        ConfigError: If there is no such device, or the folder holds another training.
        FileError: If the font of the sprites is not installed, or what the folder holds is damaged.
    """
    pupil = Pupil(config, training)
    told = {**asdict(config), **{k: v for k, v in asdict(training).items() if k not in ("workers", "compiled")}}
    fit(pupil, told, training.steps, training.round_steps, out, device)
    model: Any = pupil.model
    return model.to("cpu").eval(), pupil.curves


def fit(
    pupil: Lesson,
    told: dict[str, Any],
    steps: int,
    round_steps: int,
    out: str | Path | None,
    device: str,
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed",
) -> None:
    """Train round by round, with a checkpoint after each; a training that was cut off goes on.

    Args:
        pupil: What is trained; its `review` is called after every round.
        told: What makes this training another one than others.
        steps: Batches in all, a whole number of rounds.
        round_steps: Batches of a round.
        out: A folder for checkpoints, if they are to be kept.
        device: "cpu" or "cuda".
        precision: As Lightning names it.

    Raises:
        ConfigError: If there is no such device, or the folder holds another training.
        FileError: If what the folder holds is damaged.
        InputError: If the training diverges.
    """
    with TemporaryDirectory() as scratch, quietly(), progress("training", steps) as report:
        folder = Path(out if out is not None else scratch)
        made = trainer(
            epochs=steps // round_steps,
            device=device,
            callbacks=[_EveryRound(folder, report)],
            precision=precision,
            reload_dataloaders_every_n_epochs=1,
        )
        run_through(made, pupil, folder, told)
    if not all(torch.isfinite(weights).all() for weights in pupil.parameters()):
        raise diverged("a weight is NaN or infinite", steps)


class Pupil(Lesson):
    """The model with the heads that its training needs, and its losses."""

    def __init__(self, config: TinyConfig, training: TinyTraining) -> None:
        super().__init__()
        self.model = build(config, training.seed)
        self.training_config = training
        facts = {kind: KINDS[kind].facts for kind in TAUGHT}
        with torch.random.fork_rng():
            torch.manual_seed(derive(training.seed, "heads"))
            self.picture = nn.Linear(config.tower_width, _WIDTH, bias=False)
            self.caption = nn.ModuleDict(
                {kind: nn.Sequential(nn.Linear(n, 256), nn.GELU(), nn.Linear(256, _WIDTH)) for kind, n in facts.items()}
            )
            self.naming = nn.Linear(config.tower_width, sum(NAMED.values()))
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self._see = torch.compile(self.see, dynamic=False) if training.compiled else self.see
        self._read = torch.compile(self.read, dynamic=False) if training.compiled else self.read
        self._losses: dict[str, list[Tensor]] = {}
        self._lessons: _Lessons | None = None

    def see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the tower.

        Args:
            images: (batch, 3, 96, 96) in bytes.

        Returns:
            The features that go to the projector, (batch, 144, width), and [CLS] at the end, (batch, width).
        """
        tower = self.model.model.vision_tower
        parts = getattr(tower, "vision_model", tower)
        tokens = parts.pre_layrnorm(parts.embeddings(images / 127.5 - 1))
        for block in parts.encoder.layers[:-1]:
            tokens = block(tokens, None)
        features = tokens[:, 1:]
        return features, parts.post_layernorm(parts.encoder.layers[-1](tokens, None)[:, 0])

    def read(self, features: Tensor, ids: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """Run projector and language model over whole pictures and their packed questions; see `tiny_data.read`."""
        return read(self.model, features, {"ids": ids, "segments": segments, "positions": positions})

    def contrast(self, cls: Tensor, facts: Tensor, kind: str) -> Float[Tensor, ""]:
        """Tell each picture from the others of the batch by its caption, and the other way round."""
        pictures = functional.normalize(self.picture(cls).float(), dim=1)
        captions = functional.normalize(self.caption[kind](facts.to(cls.dtype)).float(), dim=1)
        logits = self.scale.exp().clamp(max=100) * pictures @ captions.T
        with torch.no_grad():
            shared = facts.float() @ facts.float().T
            counts = shared.diagonal()
            same = (shared == counts[:, None]) & (shared == counts[None, :])
            same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -math.inf)
        target = torch.arange(len(logits), device=logits.device)
        return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2

    def name(self, features: Tensor, names: Tensor) -> Float[Tensor, ""]:
        """Name what every patch shows; the mean over the traits that there are."""
        told = self.naming(features).float().split(list(NAMED.values()), dim=2)
        losses = [
            functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100, reduction="sum")
            / (target >= 0).sum().clamp(min=1)
            for logits, target in zip(told, names.long().unbind(1), strict=True)
        ]
        there = (names >= 0).any(2).any(0).sum().clamp(min=1)
        return torch.stack(losses).sum() / there

    def train_dataloader(self) -> Any:
        """Give the lessons of the round that begins."""
        told = self.training_config
        if self._lessons is None:
            self._lessons = _Lessons(told, self.trainer.strategy.root_device)
        return _Round(self._lessons, self.current_epoch * told.round_steps, told.round_steps)

    def training_step(self, data: dict[str, Tensor]) -> Tensor:
        """Give the loss of a batch."""
        step = self.global_step
        reading = step >= self.training_config.see_steps
        features, cls = self._see(data["images"])
        kind = next(kind for kind in TAUGHT if KINDS[kind].facts == data["facts"].shape[1])
        parts = {"contrast": self.contrast(cls, data["facts"], kind), "naming": self.name(features, data["names"])}
        loss = parts["contrast"] + parts["naming"]
        if reading:
            logits = self._read(features, data["ids"], data["segments"], data["positions"])
            told = functional.cross_entropy(logits.float().flatten(0, 1), data["labels"].flatten(), ignore_index=-100)
            parts["reading"] = told
            loss = told + self.training_config.beside * loss
        for name, value in parts.items():
            self._losses.setdefault(name, []).append(value.detach())
        return loss

    def configure_optimizers(self) -> Any:
        """Make AdamW, with a cycle of rates for each stage; the tower has its own rate in the second."""
        told = self.training_config
        tower = [p for n, p in self.named_parameters() if "vision_tower" in n or not n.startswith("model.")]
        rest = [p for n, p in self.named_parameters() if "vision_tower" not in n and n.startswith("model.")]
        optimiser = torch.optim.AdamW(
            [{"params": tower, "lr": told.see_rate}, {"params": rest, "lr": told.read_rate}],
            betas=(0.9, 0.98),
            weight_decay=told.weight_decay,
        )
        tune = told.tune_rate / told.see_rate

        def of_tower(step: int) -> float:
            if step < told.see_steps:
                return cycle(step, told.see_steps)
            return tune * cycle(step - told.see_steps, told.read_steps)

        def of_rest(step: int) -> float:
            return cycle(step - told.see_steps, told.read_steps) if step >= told.see_steps else 0.0

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, [of_tower, of_rest])
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def review(self) -> None:
        """Examine the model on validation scenes, and extend the learning curves."""
        for name, values in self._losses.items():
            self.curves.setdefault(name, {})[self.global_step] = float(torch.stack(values).mean())
        self._losses.clear()
        if self.global_step > self.training_config.see_steps:
            for kind, accuracy in self.examine("validation", EXAMINED).items():
                self.curves.setdefault(kind, {})[self.global_step] = accuracy

    @torch.no_grad()
    def examine(self, split: str, size: int) -> dict[str, float]:
        """Measure the accuracy of each kind of question, with all image tokens."""
        self.eval()
        grades = []
        for kind in TAUGHT:
            of = KINDS[kind]
            scenes = of.draw(self.training_config.seed, split, 0, size)
            questions = of.ask(scenes)
            data = {name: tensor.to(self.device) for name, tensor in pack(questions, size, of.room).items()}
            images = torch.from_numpy(scenes.images).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16):
                logits = self.read(self.see(images)[0], data["ids"], data["segments"], data["positions"])
            grades += [(f"{kind}/{of_question}", hit) for of_question, hit in graded(logits, data, questions)]
        self.train()
        return shares(grades)


def cycle(step: int, steps: int) -> float:
    """Rise over the first twentieth, then fall along a half cosine to a hundredth.

    Args:
        step: Steps that are done.
        steps: Steps in all.
    """
    rise = max(1, steps // 20)
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


class _Batches(Dataset[dict[str, Tensor]]):
    def __init__(self, training: TinyTraining) -> None:
        self.training = training

    def __len__(self) -> int:
        return self.training.pool

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return batch(self.training.seed, "train", number, self.training.batch)


class _Lessons:
    """Batches by step: drawn in other processes when they are first needed, then kept on the device."""

    def __init__(self, training: TinyTraining, device: torch.device) -> None:
        self.training, self.device = training, device
        self.kept: list[dict[str, Tensor]] = []
        loader = DataLoader(
            _Batches(training),
            batch_size=None,
            num_workers=training.workers,
            prefetch_factor=8 if training.workers else None,
            pin_memory=device.type == "cuda",
        )
        self._drawn = iter(loader)

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        place = step % self.training.pool
        while len(self.kept) <= place:
            drawn = next(self._drawn)
            self.kept.append({name: tensor.to(self.device, non_blocking=True) for name, tensor in drawn.items()})
        return self.kept[place]


class _Round:
    """The lessons of one round."""

    def __init__(self, lessons: _Lessons, first: int, steps: int) -> None:
        self.lessons, self.first, self.steps = lessons, first, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self.lessons[step] for step in range(self.first, self.first + self.steps))


class _EveryRound(Callback):
    """Keep all that is needed to go on; report progress."""

    def __init__(self, folder: Path, report: Any) -> None:
        self.folder, self.report = folder, report

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        check_loss(outputs, trainer.global_step)
        self.report(trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        pl_module.review()
        trainer.save_checkpoint(self.folder / LAST)
