"""Training of a network, with pytorch-lightning: progress, resume, early stop, seeds, and a warning of collapse."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tamis.core.errors import ConfigError
from tamis.core.lightning import KeepEveryEpoch, Lesson, load_weights, run_through
from tamis.core.progress import progress
from tamis.core.results import Run
from tamis.core.seed import derive
from tamis.core.training import BEST, Shuffle, quietly, trainer
from tamis.radio.config import TrainConfig
from tamis.radio.evaluation import logits, report
from tamis.radio.network import Network, check_frames

if TYPE_CHECKING:
    from jaxtyping import Float32

    from tamis.radio.data import Frames, Splits


def train(
    network: Network,
    data: Splits,
    config: TrainConfig = TrainConfig(),
    *,
    method: str,
    out: str | Path | None = None,
    device: str = "cpu",
) -> Run:
    """Train a network in place; it ends with the weights of the epoch that was best on the validation frames.

    Args:
        network: Is changed; its initial weights are those it has.
        data: Frames to train on and to validate on; the test frames are not looked at.
        config: The recipe.
        method: What result lines call the network, such as "clst-t".
        out: A folder for checkpoints and the trained model. If a training was cut off there, it goes on.
        device: "cpu" or "cuda".

    Returns:
        The result on the validation frames, with learning curves.

    Raises:
        ConfigError: If the classes of the data are not those of the network, there is but one frame to train on, the
            folder holds another training, or there is no such device.
        FileError: If the folder cannot be written, or what it holds is damaged.
        ShapeError: If the frames have another length.
    """
    return fit(Objective(network, config), data, config, method=method, out=out, device=device)


class Objective(Lesson):
    """Cross-entropy of randomly rotated frames; a subclass may add to it."""

    watched = "val_accuracy"

    def __init__(self, network: Network, config: TrainConfig) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.curves["train_loss"] = {}
        self._losses: list[torch.Tensor] = []
        self._right: list[torch.Tensor] = []

    def loss(self, frames: torch.Tensor, labels: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Give the loss of a batch.

        Args:
            frames: Rotated, of shape (batch, 2, samples).
            labels: True classes.
            index: Numbers of the frames in the training data.
        """
        return functional.cross_entropy(self.network(frames), labels, label_smoothing=self.config.label_smoothing)

    def on_train_epoch_start(self) -> None:
        """Seed dropout and rotation of the epoch by its number, so that a resumed run is the same run."""
        torch.manual_seed(derive(self.config.seed, "epoch", self.current_epoch))

    def training_step(self, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Give the loss of a batch, after rotation."""
        frames, labels, index = batch
        if self.config.rotate:
            frames = rotated(frames)
        loss = self.loss(frames, labels, index)
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the validation before."""
        self._right.clear()

    def validation_step(self, batch: tuple[torch.Tensor, ...]) -> None:
        """Note which frames are classified rightly."""
        frames, labels, _ = batch
        self._right.append(self.network(frames).argmax(dim=1) == labels)

    def on_validation_epoch_end(self) -> None:
        """Extend the learning curves by this epoch."""
        self.curves["val_accuracy"][self.current_epoch + 1] = float(torch.cat(self._right).float().mean())
        self.curves["train_loss"][self.current_epoch + 1] = float(torch.stack(self._losses).mean())
        self._losses.clear()

    def configure_optimizers(self) -> Any:
        """Make AdamW and its one-cycle schedule."""
        fused = self.config.precision == "float32"  # Lightning does not clip gradients of a fused one in bfloat16
        return self.one_cycle(self.config.learning_rate, self.config.weight_decay, fused=fused)


def fit(
    objective: Objective,
    data: Splits,
    config: TrainConfig,
    *,
    method: str,
    out: str | Path | None,
    device: str,
    extra: Mapping[str, Any] | None = None,
) -> Run:
    """Minimise an objective over the training frames; see `train`. `extra` goes into the line's `config`."""
    network = objective.network
    for frames in (data.train, data.val):
        check_frames(network, frames)
    if len(data.train) < 2:  # batch normalisation knows no variance of one
        raise ConfigError(f"{data.train.name}: one frame to train on; give more")
    objective.train()  # Lightning trains a network in the mode that it is in, and a loaded one is in evaluation mode
    with TemporaryDirectory() as scratch, quietly(config.threads), progress(f"training {method}") as advance:
        folder = Path(out if out is not None else scratch)
        made = trainer(
            epochs=config.epochs,
            device=device,
            callbacks=[KeepEveryEpoch(folder, advance, config.patience)],
            precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        )
        told = _told(objective, data, {**_recipe(config), "seed": config.seed, **(extra or {})})
        run_through(
            made, objective, folder, told, _loader(data.train, config.batch, config.seed), _loader(data.val, 1024, None)
        )
        load_weights(network, folder / BEST, "network.")
    scores = logits(network.to(device), data.val)
    run = report(
        scores,
        data.val,
        method=method,
        split="val",
        config={
            "preset": data.train.name,
            "frames": len(data.train),
            **_recipe(config),
            **(extra or {}),
            "trained_at": objective.commits,
        },
        curves=objective.curves,
        seeds=[config.seed],
        seconds=objective.seconds,
    )
    _warn_of_collapse(scores, run)
    network.to("cpu")
    if out is not None:
        network.save_pretrained(out)
    return run


def rotated(frames: torch.Tensor) -> torch.Tensor:
    """Turn each frame by a random phase."""
    phase = torch.rand(len(frames), 1, device=frames.device) * (2 * math.pi)
    return turned(frames, phase)


def turned(frames: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Turn frames by phases in radians."""
    cos, sin = phase.cos(), phase.sin()
    i, q = frames[:, 0], frames[:, 1]
    return torch.stack([cos * i - sin * q, sin * i + cos * q], dim=1)


def _told(objective: Objective, data: Splits, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Say what makes a training the one that it is."""
    network = objective.network
    told = {"network": type(network).__name__, **dataclasses.asdict(network.config), **recipe}
    return {**told, "train": data.train.dataset, "val": data.val.dataset}


class _Numbered(Dataset[Any]):
    """Frames with their labels and numbers, fetched a batch at a time."""

    def __init__(self, frames: Frames) -> None:
        self.iq, self.labels = torch.from_numpy(frames.iq), torch.from_numpy(frames.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, index: list[int]) -> tuple[torch.Tensor, ...]:
        chosen = torch.tensor(index)
        return self.iq[chosen], self.labels[chosen], chosen


def _loader(frames: Frames, batch: int, seed: int | None) -> DataLoader[Any]:
    """Load batches, shuffled by a seed, or in order if there is none."""
    sampler = None if seed is None else Shuffle(len(frames), seed)
    last = sampler is not None and len(frames) >= batch  # a last batch of one frame would upset batch normalisation
    return DataLoader(_Numbered(frames), batch, sampler=sampler, drop_last=last, collate_fn=lambda fetched: fetched)


def _warn_of_collapse(scores: Float32[np.ndarray, "frames classes"], run: Run) -> None:
    accuracy, classes = run.metrics["accuracy"], scores.shape[1]
    silent = len(np.unique(scores.argmax(axis=1))) == 1 and accuracy < 1
    if silent or accuracy < 1.2 / classes:
        warnings.warn(
            f"{run.method}: the training collapsed: validation accuracy {accuracy:.3f}, chance is {1 / classes:.3f}; "
            "lower the learning rate, and look at the normalisation of the frames",
            stacklevel=4,
        )


def _recipe(config: TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in ("seed", "threads")}
