"""Parts of a training with pytorch-lightning: a lesson that keeps its curves, and a callback that keeps the lesson."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from tamis.core.errors import FileError, InputError, TamisError, one_line
from tamis.core.results import source_state
from tamis.core.training import BEST, LAST, claim, read_checkpoint


class Lesson(pl.LightningModule):
    """What is trained, with learning curves that go into its checkpoints and out of them again."""

    watched: str | None = None
    """The curve whose highest point is the best epoch; None if every epoch is as good as the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.curves: dict[str, dict[int, float]] = {} if self.watched is None else {self.watched: {}}
        self.seconds = 0.0
        """Wall time of the training up to its last checkpoint, over all its stretches."""
        self.commits: list[str] = []
        """Of the source trees that trained it; one that was not clean has a + behind it."""
        self._since, self._commit = time.perf_counter(), ""
        self.started = False
        """Whether the training goes, and nothing that was kept is still to be taken up."""

    def epochs_since_best(self) -> int:
        """Count the epochs after the first that was best."""
        reached = list(self.curves[self.watched].values()) if self.watched else []
        return len(reached) - 1 - reached.index(max(reached)) if reached else 0

    def one_cycle(self, rate: float, weight_decay: float, *, fused: bool = False) -> Any:
        """Make AdamW and its one-cycle schedule, as `configure_optimizers` returns them.

        Args:
            rate: The highest learning rate.
            weight_decay: Of AdamW.
            fused: Whether AdamW runs in one kernel.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, rate, weight_decay=weight_decay, fused=fused)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Start the clock, and see what trains."""
        self._since = time.perf_counter()
        commit, dirty = source_state()
        self._commit = f"{commit}+" if dirty else commit

    def on_train_start(self) -> None:
        """Know that all that was kept is taken up."""
        self.started = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curves, the time that it took, and what trained it."""
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        self.commits = list(dict.fromkeys([*self.commits, self._commit]))
        checkpoint["curves"] = self.curves
        checkpoint["seconds"], checkpoint["commits"] = self.seconds, self.commits

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them up again.

        Raises:
            ValueError: If the checkpoint lacks a part.
        """
        kinds = {"curves": dict, "seconds": float, "commits": list, "optimizer_states": list, "lr_schedulers": list}
        wrong = [part for part, kind in {**kinds, "loops": dict}.items() if not isinstance(checkpoint.get(part), kind)]
        wrong += [] if wrong or all(isinstance(one, dict) for one in checkpoint["curves"].values()) else ["curves"]
        wrong += unlike(self.state_dict(), checkpoint.get("state_dict"))
        if wrong:
            raise ValueError(", ".join(wrong[:3]))
        self.curves = checkpoint["curves"]
        self.seconds, self.commits = checkpoint["seconds"], list(checkpoint["commits"])


class KeepEveryEpoch(pl.Callback):
    """Keep the best weights, and all that is needed to go on; stop when the best is long ago; report progress.

    It keeps them after a validation: a checkpoint of the end of a training epoch does not go on exactly where it was.
    """

    def __init__(self, folder: Path, report: Any, patience: int | None = None) -> None:
        self.folder, self.report, self.patience = folder, report, patience

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Stop a training that had stopped already."""
        trainer.should_stop = self._enough(pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Report the step; stop a training that has diverged.

        Raises:
            InputError: If the loss is NaN or infinite.
        """
        check_loss(outputs, trainer.global_step)
        self.report(trainer.global_step)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the checkpoints, and see whether it is enough."""
        if pl_module.watched and pl_module.epochs_since_best() == 0:
            self._keep(trainer, BEST)
        self._keep(trainer, LAST)
        trainer.should_stop = self._enough(pl_module)

    def _keep(self, trainer: Any, name: str) -> None:
        """Keep a checkpoint, whole or not at all: Lightning's own way is none if temporary files lie elsewhere."""
        part = self.folder / f".{name}"
        try:
            trainer.save_checkpoint(part)
            os.replace(part, self.folder / name)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise FileError(f"{self.folder / name}: cannot be written ({one_line(error)}); make room") from error

    def _enough(self, lesson: Lesson) -> bool:
        return self.patience is not None and lesson.epochs_since_best() >= self.patience


def run_through(
    teacher: pl.Trainer, lesson: Lesson, folder: Path, told: Mapping[str, Any], train: Any = None, val: Any = None
) -> None:
    """Train in a folder that nobody else trains in; a training that was cut off there goes on.

    Args:
        teacher: From `trainer`.
        lesson: What is trained.
        folder: Of the checkpoints; made if need be.
        told: What makes the training the one that it is.
        train: Loader of the training, if the lesson has none of its own.
        val: Loader of the validation.

    Raises:
        ConfigError: If the folder holds another training, or one is going on there.
        FileError: If what it holds is damaged, or it cannot be written.
        InputError: If the training diverges.
    """
    with claim(folder, told) as last:
        try:
            teacher.fit(lesson, train, val, ckpt_path=last, weights_only=True)
        except TamisError:
            raise
        except Exception as error:
            if last is None or lesson.started:
                raise
            raise _unfit(last, one_line(error)[:200]) from error


def load_weights(module: nn.Module, path: Path, prefix: str) -> None:
    """Take the weights of one module of a lesson out of its checkpoint.

    Args:
        module: That gets them.
        path: Of the checkpoint.
        prefix: What its names begin with there.

    Raises:
        FileError: If it is damaged, or holds other weights.
    """
    kept: Any = read_checkpoint(path).get("state_dict")
    if isinstance(kept, dict):
        kept = {name.removeprefix(prefix): v for name, v in kept.items() if str(name).startswith(prefix)}
    if wrong := unlike(module.state_dict(), kept):
        raise _unfit(path, ", ".join(wrong[:3]))
    module.load_state_dict(kept)


def _unfit(path: Path, why: str) -> FileError:
    return FileError(f"{path}: does not fit this training ({why}); remove its folder, and train again")


def unlike(own: Mapping[str, torch.Tensor], kept: Any) -> list[str]:
    """Name the tensors that are not in both, differ in shape, or are not finite."""
    if not isinstance(kept, dict):
        return ["state_dict"]
    both = own.keys() & kept.keys()
    wrong = [name for name in both if not isinstance(kept[name], torch.Tensor) or own[name].shape != kept[name].shape]
    wrong += [name for name in both - set(wrong) if not bool(torch.isfinite(kept[name]).all())]
    return sorted(map(str, own.keys() ^ kept.keys())) + sorted(wrong)


def check_loss(outputs: Any, steps: int) -> None:
    """Stop a training that has diverged.

    Args:
        outputs: Of the training step, as Lightning gives them to a callback.
        steps: After how many.

    Raises:
        InputError: If the loss is NaN or infinite.
    """
    if not bool(torch.isfinite(outputs["loss"])):
        raise diverged(f"its loss is {float(outputs['loss'])}", steps)


def diverged(what: str, steps: int) -> InputError:
    """Make the error of a training that has diverged.

    Args:
        what: By what it shows.
        steps: After how many.
    """
    told = "train again with a lower learning rate, into another folder"
    return InputError(f"the training diverged: {what} after {steps} steps; {told}")


def one_validation() -> DataLoader[Any]:
    """Give a validation of one empty step, for lessons that look at a whole set when it ends."""
    return DataLoader([0])  # type: ignore[arg-type]
