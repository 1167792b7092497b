"""Judge a classifier on labelled frames: a result line, and the confusion behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tamis.core.errors import ConfigError, InputError, ShapeError
from tamis.core.results import Run
from tamis.core.statistics import wilson
from tamis.radio.metrics import confusion, expected_calibration_error, macro_f1
from tamis.radio.network import MadeFor, Network, check_frames

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray

    from tamis.radio.data import Frames

Classifier = Callable[[torch.Tensor], torch.Tensor]
"""Frames of shape (batch, 2, samples) in, logits or log-probabilities of shape (batch, classes) out."""


def evaluate(
    classifier: Classifier,
    frames: Frames,
    *,
    method: str,
    split: str = "test",
    task: str = "radio/accuracy",
    config: Mapping[str, Any] | None = None,
    curves: Mapping[str, Mapping[Any, float]] | None = None,
    seeds: Sequence[int] = (),
    seconds: float | None = None,
) -> Run:
    """Classify frames and count.

    Args:
        classifier: A network, which ends in evaluation mode, one that was exported, or any function from frames to
            logits.
        frames: With the classes of the classifier, in its order.
        method: What the result line calls it.
        split: Which part of the data the frames are.
        task: What was asked.
        config: What the run was told.
        curves: More curves for the line.
        seeds: Every seed used.
        seconds: Wall time of all that led to the result; by default that of the classification.

    Returns:
        A line with `accuracy` over all frames, `accuracy_from_0_db` if there are any, `macro_f1`, `calibration_error`,
        and the curves `accuracy`, `accuracy_low` and `accuracy_high` over the signal-to-noise ratio in dB.

    Raises:
        ConfigError: If there are no frames, or a network was made for other classes.
        InputError: If the greatest score of a frame is NaN or infinite.
        ShapeError: If a network was made for frames of another length, or there is not one score a class.
    """
    start = time.perf_counter()
    scores = logits(classifier, frames)
    return report(
        scores,
        frames,
        method=method,
        split=split,
        task=task,
        config=config,
        curves=curves,
        seeds=seeds,
        seconds=time.perf_counter() - start if seconds is None else seconds,
    )


def logits(classifier: Classifier, frames: Frames, batch: int = 512) -> Float32[np.ndarray, "frames classes"]:
    """Run a classifier over frames.

    Args:
        classifier: A network, which ends in evaluation mode, one that was exported, or any function from frames to
            logits.
        frames: What to classify.
        batch: Frames at a time.

    Raises:
        ConfigError: If a network was made for other classes, or there are no frames.
        ShapeError: If it was made for frames of another length.
    """
    if not len(frames):
        raise ConfigError(f"{frames.name}: there are no frames to judge on; give more, or another split")
    if isinstance(classifier, MadeFor):
        check_frames(classifier, frames)
    iq = torch.from_numpy(frames.iq)
    if isinstance(classifier, Network):
        iq = iq.to(next(classifier.eval().parameters()).device)
    with torch.inference_mode():
        return torch.cat([classifier(part) for part in torch.split(iq, batch)]).float().cpu().numpy()


def report(
    scores: Float32[np.ndarray, "frames classes"],
    frames: Frames,
    *,
    method: str,
    seconds: float,
    split: str = "test",
    task: str = "radio/accuracy",
    config: Mapping[str, Any] | None = None,
    curves: Mapping[str, Mapping[Any, float]] | None = None,
    seeds: Sequence[int] = (),
) -> Run:
    """Make the result line of logits that are there already; the rest is as `evaluate` has it.

    Args:
        scores: Of each frame and class.
        frames: What was classified.
        method: What the result line calls the classifier.
        seconds: Wall time of all that led to the result.
        split: Which part of the data the frames are.
        task: What was asked.
        config: What the run was told.
        curves: More curves for the line.
        seeds: Every seed used.

    Raises:
        InputError: If the greatest score of a frame is NaN or infinite.
        ShapeError: If there is not one score for each frame and class.
    """
    if scores.shape != (len(frames), len(frames.classes)):
        raise ShapeError(
            f"{method}: scores of shape {scores.shape}; expected ({len(frames)}, {len(frames.classes)}), "
            "a score for each frame and class"
        )
    if bad := int((~np.isfinite(scores.max(axis=1))).sum()):  # -inf says "never", of some classes
        raise InputError(f"{method}: {bad} frames have scores that are NaN or infinite; train anew")
    predicted = scores.argmax(axis=1)
    right = predicted == frames.labels
    loud = frames.snr_db >= 0
    exponent = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponent / exponent.sum(axis=1, keepdims=True)
    metrics = {
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1(confusion(frames.labels, predicted, len(frames.classes))),
        "calibration_error": expected_calibration_error(probabilities, frames.labels),
    }
    intervals = {"accuracy": wilson(int(right.sum()), len(right))}
    if loud.any():
        metrics["accuracy_from_0_db"] = float(right[loud].mean())
        intervals["accuracy_from_0_db"] = wilson(int(right[loud].sum()), int(loud.sum()))
    return Run.measured(
        task,
        method,
        dataset=frames.dataset,
        split=split,
        n=len(frames),
        metrics=metrics,
        intervals=intervals,
        curves={**by_snr(right, frames.snr_db), **(curves or {})},
        config=config,
        seeds=seeds,
        seconds=seconds,
    )


def by_snr(right: NDArray[np.bool_], snr_db: Float32[np.ndarray, " frames"]) -> dict[str, dict[str, float]]:
    """Give accuracy over the signal-to-noise ratio, with its 95 % Wilson interval.

    Args:
        right: Whether each frame was classified rightly.
        snr_db: Of each frame.
    """
    curves: dict[str, dict[str, float]] = {"accuracy": {}, "accuracy_low": {}, "accuracy_high": {}}
    for snr in np.unique(snr_db):
        here = right[snr_db == snr]
        low, high = wilson(int(here.sum()), len(here))
        for name, value in zip(curves, (float(here.mean()), low, high), strict=True):
            curves[name][f"{snr:g}"] = round(value, 6)
    return curves
