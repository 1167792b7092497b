"""Training of a network, with pytorch-lightning: progress, resume, early stop, seeds, and a warning of collapse."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from tamis.core.progress import progress
from tamis.core.results import Run
from tamis.core.seed import derive
from tamis.core.training import LAST, check_device, claim, quietly, read_checkpoint
from tamis.radio.config import TrainConfig
from tamis.radio.evaluation import evaluate
from tamis.radio.network import Network, check_frames

if TYPE_CHECKING:
    from tamis.radio.data import Frames, Splits

_BEST = "best.ckpt"


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
        ConfigError: If the classes of the data are not those of the network, the folder holds another training, or
            there is no such device.
        FileError: If the folder cannot be written, or what it holds is damaged.
        ShapeError: If the frames have another length.
    """
    return fit(Objective(network, config), data, config, method=method, out=out, device=device)


class Objective(pl.LightningModule):
    """Cross-entropy of randomly rotated frames; a subclass may add to it."""

    def __init__(self, network: Network, config: TrainConfig) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.curves: dict[str, dict[int, float]] = {"train_loss": {}, "val_accuracy": {}}
        self._losses: list[torch.Tensor] = []
        self._right: list[torch.Tensor] = []
        self._predicted: set[int] = set()

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
        self._predicted.clear()

    def validation_step(self, batch: tuple[torch.Tensor, ...]) -> None:
        """Note which frames are classified rightly, and which classes are named at all."""
        frames, labels, _ = batch
        predicted = self.network(frames).argmax(dim=1)
        self._right.append(predicted == labels)
        self._predicted.update(predicted.unique().tolist())

    def on_validation_epoch_end(self) -> None:
        """Extend the learning curves by this epoch."""
        self.curves["val_accuracy"][self.current_epoch + 1] = float(torch.cat(self._right).float().mean())
        self.curves["train_loss"][self.current_epoch + 1] = float(torch.stack(self._losses).mean())
        self._losses.clear()

    def epochs_since_best(self) -> int:
        """Count the epochs after the first that reached the highest validation accuracy."""
        accuracies = list(self.curves["val_accuracy"].values())
        return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0

    def configure_optimizers(self) -> Any:
        """Make AdamW and its one-cycle schedule."""
        steps = int(self.trainer.estimated_stepping_batches)
        rate = self.config.learning_rate
        parameters = [p for p in self.parameters() if p.requires_grad]
        fused = self.config.precision == "float32"  # Lightning does not clip gradients of a fused one in bfloat16
        optimiser = torch.optim.AdamW(parameters, rate, weight_decay=self.config.weight_decay, fused=fused)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curves."""
        checkpoint["curves"] = self.curves

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the curves up again."""
        self.curves = checkpoint["curves"]


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
    check_device(device)
    start = time.perf_counter()
    objective.train()  # Lightning trains a network in the mode that it is in, and a loaded one is in evaluation mode
    told = {"network": type(network).__name__, **dataclasses.asdict(network.config), **_recipe(config)}
    told |= {"seed": config.seed, **(extra or {}), "train": data.train.dataset, "val": data.val.dataset}
    with TemporaryDirectory() as scratch, quietly(config.threads), progress(f"training {method}") as report:
        folder = Path(out if out is not None else scratch)
        last = claim(folder, told)
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            callbacks=[_EveryEpoch(folder, config.patience, report)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=1.0,
            precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        )
        trainer.fit(
            objective,
            _loader(data.train, config.batch, config.seed),
            _loader(data.val, 1024, None),
            ckpt_path=last,
            weights_only=True,
        )
        state = read_checkpoint(folder / _BEST)["state_dict"]
        network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
    _warn_of_collapse(objective, method)
    run = evaluate(
        network.to(device),
        data.val,
        method=method,
        split="val",
        config={"preset": data.train.name, "frames": len(data.train), **_recipe(config), **(extra or {})},
        curves={name: curve for name, curve in objective.curves.items()},
        seeds=[config.seed],
        seconds=time.perf_counter() - start,
    )
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


class _Numbered(Dataset[Any]):
    """Frames with their labels and numbers, fetched a batch at a time."""

    def __init__(self, frames: Frames) -> None:
        self.iq, self.labels = torch.from_numpy(frames.iq), torch.from_numpy(frames.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, index: list[int]) -> tuple[torch.Tensor, ...]:
        chosen = torch.tensor(index)
        return self.iq[chosen], self.labels[chosen], chosen


class _Shuffle(Sampler[int]):
    """Another order every epoch, the same in every run of the seed; Lightning says which epoch it is."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng(derive(self.seed, "order", self.epoch)).permutation(self.count)
        return iter(order.tolist())


def _loader(frames: Frames, batch: int, seed: int | None) -> DataLoader[Any]:
    """Load batches, shuffled by a seed, or in order if there is none."""
    sampler = None if seed is None else _Shuffle(len(frames), seed)
    last = sampler is not None and len(frames) >= batch  # a last batch of one frame would upset batch normalisation
    return DataLoader(_Numbered(frames), batch, sampler=sampler, drop_last=last, collate_fn=lambda fetched: fetched)


class _EveryEpoch(Callback):
    """Keep the best weights, and all that is needed to go on; stop when the best is long ago; report progress."""

    def __init__(self, folder: Path, patience: int | None, report: Any) -> None:
        self.folder, self.patience, self.report = folder, patience, report

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        trainer.should_stop = self._enough(pl_module)  # of a training that had stopped already

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.report(trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.epochs_since_best() == 0:
            trainer.save_checkpoint(self.folder / _BEST)
        trainer.save_checkpoint(self.folder / LAST)
        trainer.should_stop = self._enough(pl_module)

    def _enough(self, objective: Objective) -> bool:
        return self.patience is not None and objective.epochs_since_best() >= self.patience


def _warn_of_collapse(objective: Objective, method: str) -> None:
    best = max(objective.curves["val_accuracy"].values())
    classes = len(objective.network.config.classes)
    if len(objective._predicted) == 1 or best < 1.2 / classes:
        warnings.warn(
            f"{method}: the training collapsed: validation accuracy {best:.3f}, chance is {1 / classes:.3f}; "
            "lower the learning rate, and look at the normalisation of the frames",
            stacklevel=4,
        )


def _recipe(config: TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in ("seed", "threads")}
