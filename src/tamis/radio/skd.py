"""SKD: signal knowledge distillation (arXiv 2312.17446), as far as its description goes.

The paper trains lightweight students by soft targets and a hybrid loss that also preserves the teacher's knowledge.
Neither weights, temperature nor further terms are public. This is our reading, and each part is a field of `SKDConfig`:

- The loss mixes the labels with the teacher's softened belief (Hinton et al., arXiv 1503.02531).
- What is specific to signals: the carrier's phase says nothing of the modulation, so the teacher looks at every frame
  under several phases and its logits are averaged. That is meant as a better teacher, is computed once, and costs a
  student nothing; what it brought is among the results. `views=1` switches it off, which is plain distillation.
- Two further readings of "preserves the teacher's knowledge" are options, off by default and not attributed to the
  paper: agreement of the embeddings, and distrust of the teacher where it errs.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from tamis.core import checkpoint
from tamis.core.errors import InputError
from tamis.core.files import write_whole
from tamis.core.results import Run
from tamis.core.seed import derive
from tamis.core.training import check_device
from tamis.radio.config import SKDConfig, TrainConfig
from tamis.radio.network import Network, check_frames, normalise
from tamis.radio.training import Objective, fit, turned

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from tamis.radio.data import Frames, Splits


_STUDENTS = {"KDCNN": "kd-cnn", "KDMobileNet": "kd-mobilenet"}


def distill(
    teacher: Network,
    student: Network,
    data: Splits,
    config: TrainConfig = TrainConfig(),
    skd: SKDConfig = SKDConfig(),
    *,
    method: str | None = None,
    out: str | Path | None = None,
    cache: str | Path | None = None,
    device: str = "cpu",
) -> tuple[Network, Run]:
    """Train a student on the labels and on what a teacher believes.

    Args:
        teacher: Trained; its weights are not changed, and it ends in evaluation mode.
        student: Is trained in place.
        data: Frames to train on and to validate on; the test frames are not looked at.
        config: The recipe.
        skd: How the teacher enters the loss.
        method: What result lines call the student; by default its name with "+skd", such as "kd-cnn+skd".
        out: A folder for checkpoints and the trained model. If a training was cut off there, it goes on.
        cache: A `.safetensors` file that keeps the teacher's logits for the next student.
        device: "cpu" or "cuda".

    Returns:
        The student, and its result on the validation frames.

    Raises:
        ConfigError: If teacher, student and data do not have the same classes, the folder holds another training, or
            there is no such device.
        FileError: If folder or cache cannot be written, or what the folder holds is damaged.
        InputError: If a logit of the teacher is NaN or infinite.
        ShapeError: If the frames have another length.

    Source:
        arXiv 2312.17446, abstract; see the module.
    """
    check_device(device)
    for network in (teacher, student):
        check_frames(network, data.train)
    method = method or f"{_STUDENTS.get(type(student).__name__, type(student).__name__)}+skd"
    targets = soft_targets(teacher, data.train, skd.views, cache=cache)
    objective = _Distillation(student, teacher, targets, config, skd)
    extra = {**dataclasses.asdict(skd), "teacher": fingerprint(teacher)}
    run = fit(objective, data, config, method=method, out=out, device=device, extra=extra)
    return student, run


def skd_loss(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    skd: SKDConfig,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Mix cross-entropy with the labels and the divergence from the teacher's softened belief.

    (1 - a) CE(y, s) + a T² w KL(softmax(t / T) || softmax(s / T)); the factor T² keeps the scale of the gradient.

    Args:
        student: Logits.
        teacher: Logits.
        labels: True classes.
        skd: a is `weight`, T is `temperature`, w is what `gate` says of each frame.
        label_smoothing: Share of each label that is spread over all classes in CE.
    """
    t = skd.temperature
    belief = functional.log_softmax(teacher / t, dim=1)
    divergence = functional.kl_div(
        functional.log_softmax(student / t, dim=1), belief, reduction="none", log_target=True
    )
    hard = functional.cross_entropy(student, labels, label_smoothing=label_smoothing)
    return (1 - skd.weight) * hard + skd.weight * t**2 * (trust(teacher, labels, skd) * divergence.sum(dim=1)).mean()


def trust(
    teacher: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"], skd: SKDConfig
) -> Float[Tensor, " batch"]:
    """Say how much the teacher is believed, frame by frame, from 0 to 1."""
    if skd.gate == "correct":
        return (teacher.argmax(dim=1) == labels).to(teacher.dtype)
    if skd.gate == "prob":
        return teacher.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    return teacher.new_ones(len(labels))


def soft_targets(
    teacher: Network, frames: Frames, views: int, *, cache: str | Path | None = None
) -> Float[Tensor, "frames classes"]:
    """Average a teacher's logits over phases of the carrier, evenly spread over a turn.

    Args:
        teacher: Trained.
        frames: What it looks at.
        views: How many phases; 1 is the frame as it is.
        cache: A `.safetensors` file to keep them in; one that was made for other frames, teacher or views, or that is
            damaged, is replaced.

    Raises:
        FileError: If the cache cannot be written.
        InputError: If a logit is NaN or infinite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save

    teacher.eval()
    key = torch.frombuffer(bytearray(f"{frames.dataset} {fingerprint(teacher)} {views}".encode()), dtype=torch.uint8)
    if cache is not None and Path(cache).is_file():
        try:
            kept = load_file(cache)
        except SafetensorError:
            kept = {}
        if kept.keys() == {"key", "logits"} and torch.equal(kept["key"], key):
            return kept["logits"]
    iq = torch.from_numpy(frames.iq).to(next(teacher.parameters()).device)
    parts = []
    with torch.inference_mode():
        for part in torch.split(iq, 512):
            looks = [teacher(turned(part, torch.full((len(part), 1), math.tau * v / views))) for v in range(views)]
            parts.append(torch.stack(looks).mean(dim=0))
    logits = torch.cat(parts).cpu()
    if bad := int((~logits.isfinite()).any(dim=1).sum()):
        raise InputError(f"the teacher's logits of {bad} frames are NaN or infinite; train it anew, or take another")
    if cache is not None:
        write_whole(cache, save({"key": key, "logits": logits}))
    return logits


def fingerprint(network: Network) -> str:
    """Hash the configuration and the weights of a network, 64 hexadecimal digits."""
    return checkpoint.fingerprint(network, repr(network.config))


class _Distillation(Objective):
    def __init__(
        self, student: Network, teacher: Network, targets: Tensor, config: TrainConfig, skd: SKDConfig
    ) -> None:
        super().__init__(student, config)
        self.skd = skd
        self.targets: Tensor
        self.register_buffer("targets", targets, persistent=False)
        self.projector: nn.Linear | None = None
        if skd.feature_weight:
            probe = torch.zeros(1, 2, student.config.samples)
            with torch.inference_mode():
                narrow, wide = (network.eval().embed(probe).shape[1] for network in (student, teacher))
            with torch.random.fork_rng():
                torch.manual_seed(derive(config.seed, "projector"))
                self.projector = nn.Linear(narrow, wide, bias=False)
            self._teacher = [copy.deepcopy(teacher)]  # in a list, so that it is neither trained nor saved

    def on_fit_start(self) -> None:
        """Take the teacher to where the student is."""
        super().on_fit_start()
        if self.projector is not None:
            self._teacher[0].to(self.device)

    def loss(self, frames: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        embedding = self.network.embed(normalise(frames, self.network.config.normalisation))
        targets = self.targets[index]
        loss = skd_loss(self.network.head(embedding), targets, labels, self.skd, self.config.label_smoothing)
        if self.projector is None:
            return loss
        teacher = self._teacher[0]
        with torch.no_grad():
            wanted = teacher.embed(normalise(frames, teacher.config.normalisation))
        mine = functional.normalize(self.projector(embedding), dim=1)
        distance = (mine - functional.normalize(wanted, dim=1)).square().sum(dim=1)
        return loss + self.skd.feature_weight * (trust(targets, labels, self.skd) * distance).mean()
