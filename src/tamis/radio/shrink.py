"""A student for a budget: the widest that fits, trained with a teacher and without."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tamis.core.budget import Budget, Keep
from tamis.core.errors import BudgetError, ConfigError
from tamis.core.files import write_whole
from tamis.core.report import Report
from tamis.core.results import Run
from tamis.core.training import ABOUT, check_device
from tamis.radio.bench import costs, one_thread, timed
from tamis.radio.config import KDCNNConfig, KDMobileNetConfig, SKDConfig, TrainConfig
from tamis.radio.data import Frames, Splits
from tamis.radio.defects import audit_splits
from tamis.radio.evaluation import Classifier
from tamis.radio.evaluation_report import Judged, judge, report_on
from tamis.radio.methods import build
from tamis.radio.network import Network, check_frames, check_weights
from tamis.radio.onnx_export import OnnxClassifier, export_onnx
from tamis.radio.skd import distill
from tamis.radio.training import train

STUDENTS: dict[str, Callable[[float], KDCNNConfig | KDMobileNetConfig]] = {
    "kd-cnn": KDCNNConfig.scaled,
    "kd-mobilenet": KDMobileNetConfig.scaled,
}
"""Students whose width can be chosen: by name, what makes a configuration of a width."""
_WIDTHS = tuple(step / 8 for step in range(1, 33))


def shrink(
    teacher: Network,
    name: str,
    student: str,
    budget: Keep,
    data: Splits,
    recipe: TrainConfig,
    skd: SKDConfig,
    *,
    out: Path,
    device: str = "cpu",
) -> list[Judged]:
    """Train the widest student within a budget with a teacher and without, and judge both beside the teacher.

    Args:
        teacher: Trained on the same classes.
        name: What the teacher is called.
        student: "kd-cnn" or "kd-mobilenet".
        budget: Bytes of the int8 ONNX file, or processor time for one frame in it.
        data: Frames to train on, to validate on and to judge by.
        recipe: How both are trained.
        skd: How the teacher enters the loss.
        out: Folder: the student in skd/ with model.int8.onnx, the one trained alone in alone/, and the teacher's logits
            of the training frames; and width.json, by which the next call takes the same width, since times are never
            measured twice alike.
        device: "cpu" or "cuda".

    Returns:
        The teacher, the student with it, the same in int8, and the student alone, judged on the test frames.

    Raises:
        BudgetError: If the budget is neither bytes nor a time, or even the narrowest student exceeds it.
        ConfigError: If there is no such student or device, or teacher and data do not have the same classes.
        InputError: If a weight of the teacher is NaN or infinite.
        ShapeError: If the frames have another length than those of the teacher.
    """
    check_device(device)
    check_weights(teacher)
    check_frames(teacher, data.train)
    width, taught = _chosen(student, budget, data.train, out, seed=recipe.seed)
    alone = copy.deepcopy(taught)
    both = f"{student}+skd"
    cache = out / "teacher-logits.safetensors"
    _, with_teacher = distill(
        teacher, taught, data, recipe, skd, method=both, out=out / "skd", cache=cache, device=device
    )
    by_itself = train(alone, data, recipe, method=student, out=out / "alone", device=device)
    int8 = OnnxClassifier(export_onnx(taught, out / "skd" / "model.int8.onnx", calibration=data.train))
    cost = costs({name: teacher, both: taught, student: alone}, data.train)
    classifiers: list[tuple[str, Classifier, Run]] = [
        (both, taught, with_teacher),
        (f"{both} int8", int8, with_teacher),
        (student, alone, by_itself),
    ]
    judged = [judge(teacher, data.test, method=name, cost=cost[name])]
    for method, classifier, run in classifiers:
        told = {**run.config, "width": width, "budget": str(spending(budget))}
        judged.append(judge(classifier, data.test, method=method, cost=cost.get(method), config=told, seeds=run.seeds))
    return judged


def receipt(
    judged: Sequence[Judged], data: Splits, budget: Keep, *, limit: Mapping[str, float] | None, command: str
) -> Report:
    """Lay out what `shrink` returned as a report on the student.

    Args:
        judged: The teacher, the student with it, the same in int8, and the student alone.
        data: The frames that all were given.
        budget: What the student had to fit in.
        limit: The accuracy that no classifier can exceed, by signal-to-noise ratio in dB; None where it is not known.
        command: The command line that gives the same.
    """
    teacher, taught, _, alone = judged
    found = audit_splits(data)
    page = report_on(judged, data.test, about=taught.run.method, limit=limit, findings=found, command=command)
    page.title = f"A student within {budget}"
    page.lead = (
        f"{alone.run.method} fits with {taught.run.config['width']:g} of its usual width. It is right on "
        f"{taught.run.metrics['accuracy']:.1%} of {len(data.test):,} frames with its teacher and on "
        f"{alone.run.metrics['accuracy']:.1%} alone; the teacher is on {teacher.run.metrics['accuracy']:.1%}."
    )
    return page


def widest(student: str, budget: Keep, calibration: Frames, *, seed: int) -> tuple[float, Network]:
    """Find the widest student whose int8 ONNX file, or whose time for one frame in it, is within a budget.

    Args:
        student: "kd-cnn" or "kd-mobilenet".
        budget: Bytes such as "50KB", or a time such as "2ms", of the processor on one core of this machine.
        calibration: Frames that the student is for; they set its classes, its length and the int8 ranges.
        seed: Of the initial weights.

    Returns:
        The factor of the widths, a multiple of 1/8 up to 4, and an untrained student of that width.

    Raises:
        BudgetError: If the budget is neither bytes nor a time, or even the narrowest student exceeds it.
        ConfigError: If there is no such student.
    """
    if student not in STUDENTS:
        raise ConfigError(f"{student!r} is no student of which the width can be chosen; expected {', '.join(STUDENTS)}")
    limit = spending(budget)
    low, high, best = 0, len(_WIDTHS) - 1, None
    while low <= high:
        middle = (low + high) // 2
        network = _untrained(student, _WIDTHS[middle], calibration, seed)
        spent = _spent(network, calibration, limit)
        if spent <= limit.value:
            best, low = (_WIDTHS[middle], network), middle + 1
        else:
            least, high = spent, middle - 1
    if best is None:
        need = f"{least:.0f} bytes" if limit.kind == "bytes" else f"{least * 1000:.2g} ms"
        raise BudgetError(f"budget is {limit}; the narrowest {student} takes {need}; give that much")
    return best


def _chosen(student: str, budget: Keep, calibration: Frames, out: Path, *, seed: int) -> tuple[float, Network]:
    """Take the width that was found for this student and budget before, or find it and note it."""
    file = out / "width.json"
    asked = {"student": student, "budget": str(spending(budget)), "samples": calibration.samples}
    with suppress(OSError, ValueError, RecursionError):
        noted = json.loads(file.read_text(encoding="utf-8"))
        for width in _WIDTHS:
            if noted == {**asked, "width": width}:
                return width, _untrained(student, width, calibration, seed)
    width, network = widest(student, budget, calibration, seed=seed)
    if not (out / "skd" / ABOUT).exists():
        write_whole(file, json.dumps({**asked, "width": width}) + "\n")
    return width, network


def _untrained(student: str, width: float, calibration: Frames, seed: int) -> Network:
    return build(student, seed=seed, widths=STUDENTS[student](width).widths, **calibration.task)


def spending(budget: Keep) -> Budget:
    """Read a budget of bytes or of time.

    Raises:
        BudgetError: If it is neither.
    """
    limit = Budget.parse(budget)
    if limit.kind not in ("bytes", "seconds"):
        raise BudgetError(f"budget is {limit}; expected bytes such as 50KB, or a time such as 2ms")
    return limit


def _spent(network: Network, calibration: Frames, limit: Budget) -> float:
    with TemporaryDirectory() as folder:
        file = export_onnx(network, Path(folder) / "student.onnx", calibration=calibration)
        if limit.kind == "bytes":
            return float(file.stat().st_size)
        with one_thread():
            return timed({0: (OnnxClassifier(file), 1)}, 9)[0]
