"""Short further training of the small model, so that it reads canvases in tiles, or clips.

The tower stays as it is. Projector and language model are taught as in the second stage of
`tamis.vision.tiny_training`, with all image tokens, on new canvases or clips in every batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from tamis.core.checkpoint import fingerprint
from tamis.core.lightning import Lesson
from tamis.core.seed import derive
from tamis.vision.config import VariantTraining
from tamis.vision.questions import merged
from tamis.vision.tiny_data import KINDS, Kind, graded, pack, shares
from tamis.vision.tiny_training import cycle, fit
from tamis.vision.tiny_variants import as_next, as_video, order_of, read_units, units
from tamis.vision.tower import look
from tamis.vision.view import Reads

EXAMINED = 64
"""Validation pictures that are looked at after every round."""
Variant = Literal["tiles", "video"]
_KINDS: dict[Variant, Kind] = {"tiles": "scenes-tiles", "video": "scenes-video"}


def train_variant(
    variant: Variant,
    tiny: Any,
    training: VariantTraining = VariantTraining(),
    *,
    out: str | Path | None = None,
    device: str = "cpu",
) -> tuple[Any, dict[str, dict[int, float]]]:
    """Teach the small model to read canvases in tiles (LLaVA-NeXT), or clips (Video-LLaVA).

    Args:
        variant: Which of them.
        tiny: The small model, a LLaVA; it is not changed.
        training: The recipe.
        out: A folder for checkpoints. If a training was cut off there, it goes on.
        device: "cpu" or "cuda".

    Returns:
        The variant, and its learning curves: loss, and validation accuracy of each kind of question, by step.

    Raises:
        ConfigError: If there is no such device, or the folder holds another training.
        FileError: If what the folder holds is damaged.
    """
    pupil = VariantPupil(variant, tiny, training)
    told = {"variant": variant, "model_sha256": fingerprint(tiny), **asdict(training)}
    fit(pupil, told, training.steps, training.round_steps, out, device, precision="32-true")
    model: Any = pupil.model
    return model.to("cpu").eval(), pupil.curves


class VariantPupil(Lesson):
    """The variant of which projector and language model are trained."""

    def __init__(self, variant: Variant, tiny: Any, training: VariantTraining) -> None:
        super().__init__()
        self.kind = _KINDS[variant]
        self.model: Any = as_next(tiny) if variant == "tiles" else as_video(tiny)
        self.training_config = training
        self.order = order_of(self.model)
        self._losses: list[Tensor] = []
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("_tower." not in name)

    def read(self, images: Tensor, packed: dict[str, Tensor]) -> Tensor:
        """Give the logits of what follows each text token, (pictures, room, vocabulary).

        Args:
            images: (pictures, 3, 96, width) in bytes.
            packed: Their questions.
        """
        family = self.model.config.model_type
        tower = self.model.model.video_tower if family == "video_llava" else self.model.model.vision_tower
        with torch.no_grad():
            features = look(tower, units(images, family), Reads()).features.whole
        return read_units(self.model, features, self.order, packed)

    def train_dataloader(self) -> Any:
        """Give the lessons of the round that begins."""
        return self.train_dataloader_of(self.current_epoch)

    def train_dataloader_of(self, number: int) -> Any:
        """Give the lessons of a round."""
        return _Round(self.kind, self.training_config, number * self.training_config.round_steps)

    def training_step(self, data: dict[str, Tensor]) -> Tensor:
        """Give the loss of a batch."""
        logits = self.read(data["images"], data)
        loss = functional.cross_entropy(logits.flatten(0, 1), data["labels"].flatten(), ignore_index=-100)
        self._losses.append(loss.detach())
        return loss

    def configure_optimizers(self) -> Any:
        """Make AdamW with one cycle of rates."""
        told = self.training_config
        taught = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(taught, lr=told.rate, betas=(0.9, 0.98), weight_decay=told.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cycle(step, told.steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def review(self) -> None:
        """Examine the model on validation pictures, and extend the learning curves."""
        if self._losses:
            self.curves.setdefault("reading", {})[self.global_step] = float(torch.stack(self._losses).mean())
        self._losses.clear()
        for kind, accuracy in self.examine("validation", EXAMINED).items():
            self.curves.setdefault(kind, {})[self.global_step] = accuracy

    @torch.no_grad()
    def examine(self, split: str, size: int) -> dict[str, float]:
        """Measure the accuracy of each kind of question, with all image tokens."""
        self.eval()
        grades = []
        of = KINDS[self.kind]
        for start in range(0, size, self.training_config.batch):
            drawn = of.draw(self.training_config.seed, split, start, min(start + self.training_config.batch, size))
            questions = of.ask(drawn)
            data = {key: part.to(self.device) for key, part in pack(questions, len(drawn), of.room).items()}
            logits = self.read(torch.from_numpy(drawn.images).to(self.device), data)
            grades += graded(logits, data, questions)
        self.train()
        return shares(grades)


class _Round:
    """The lessons of one round: each batch has new pictures."""

    def __init__(self, kind: Kind, training: VariantTraining, first: int) -> None:
        self.kind, self.training, self.first = kind, training, first

    def __len__(self) -> int:
        return self.training.round_steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        of = KINDS[self.kind]
        size = self.training.batch
        for number in range(self.first, self.first + len(self)):
            drawn = of.draw(self.training.seed, "train", number * size, (number + 1) * size)
            again = [
                replace(drawn, seed=derive(drawn.seed, "again", str(time))) for time in range(1, self.training.asked)
            ]
            asked = merged([of.ask(one) for one in (drawn, *again)])
            yield {"images": torch.from_numpy(drawn.images), **pack(asked, size, self.training.room)}
