"""Distillation: its loss by hand, its soft targets by a loop, and what it leaves alone."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.radio.small import CLASSES, EVERY, clst, cnn, mobile, noise, same, splits, state, tones
from torch.nn import functional

from tamis.core.errors import ConfigError, FileError, ShapeError
from tamis.core.results import source_state
from tamis.radio.config import SKDConfig, TrainConfig
from tamis.radio.data import Frames, Splits
from tamis.radio.network import Network
from tamis.radio.skd import _Distillation, distill, fingerprint, skd_loss, soft_targets, trust
from tamis.radio.training import train

pytestmark = pytest.mark.filterwarnings("ignore:.* the training collapsed")  # after three steps it may well have
RECIPE = TrainConfig(epochs=2, batch=32, learning_rate=1e-2)


def plain(**changes: Any) -> SKDConfig:
    return SKDConfig(**{"weight": 0.7, "temperature": 4.0, "views": 1, **changes})


def three(seed: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))


LABELS = torch.tensor([0, 1, 2, 0, 1])


def test_the_loss_is_the_hand_worked_one() -> None:
    # T = 4: the teacher believes 3/4 and 1/4, the student 1/2 and 1/2; a = 0.7.
    student, teacher = torch.zeros(1, 2), torch.tensor([[4 * math.log(3), 0.0]])
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    loss = skd_loss(student, teacher, torch.tensor([1]), plain())
    assert float(loss) == pytest.approx(0.3 * math.log(2) + 0.7 * 16 * divergence)


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 4.0), (0.3, 1.0), (0.7, 4.0), (1.0, 8.0)])
def test_the_loss_is_cross_entropy_and_divergence_as_torch_has_them(weight: float, temperature: float) -> None:
    student, teacher = three(0), three(1)
    soft = torch.nn.KLDivLoss(reduction="batchmean")(
        (student / temperature).log_softmax(dim=1), (teacher / temperature).softmax(dim=1)
    )
    wanted = (1 - weight) * torch.nn.CrossEntropyLoss()(student, LABELS) + weight * temperature**2 * soft
    got = skd_loss(student, teacher, LABELS, plain(weight=weight, temperature=temperature))
    torch.testing.assert_close(got, wanted)


def test_a_student_that_says_what_the_teacher_says_has_the_loss_of_the_labels_only() -> None:
    logits = three(0)
    wanted = 0.3 * functional.cross_entropy(logits, LABELS)
    torch.testing.assert_close(skd_loss(logits, logits + 5, LABELS, plain()), wanted)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 50.0])
def test_the_gradient_of_the_soft_part_is_the_difference_of_beliefs_times_the_temperature(temperature: float) -> None:
    student, teacher = three(0).requires_grad_(), three(1)
    skd_loss(student, teacher, LABELS, plain(weight=1.0, temperature=temperature)).backward()
    apart = (student / temperature).softmax(dim=1) - (teacher / temperature).softmax(dim=1)
    assert student.grad is not None
    torch.testing.assert_close(student.grad, temperature * apart.detach() / 5)


def test_at_high_temperatures_the_gradient_has_one_scale() -> None:
    sizes = []
    for temperature in (100.0, 200.0):
        student = three(0).requires_grad_()
        skd_loss(student, three(1), LABELS, plain(weight=1.0, temperature=temperature)).backward()
        assert student.grad is not None
        sizes.append(float(student.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_label_smoothing_is_in_the_part_of_the_labels() -> None:
    student = three(0)
    spread = 0.8 * functional.one_hot(LABELS, 3) + 0.2 / 3
    wanted = -(spread * student.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(skd_loss(student, three(1), LABELS, plain(weight=0.0), 0.2), wanted)


def test_gates_trust_the_teacher_as_they_say() -> None:
    teacher = torch.tensor([[math.log(6), math.log(3), 0.0], [math.log(6), math.log(3), 0.0]])
    labels = torch.tensor([0, 1])
    assert trust(teacher, labels, plain()).tolist() == [1, 1]
    assert trust(teacher, labels, plain(gate="correct")).tolist() == [1, 0]
    torch.testing.assert_close(trust(teacher, labels, plain(gate="prob")), torch.tensor([0.6, 0.3]))


@pytest.mark.parametrize("gate", ["none", "correct", "prob"])
def test_trust_weighs_each_frame_of_the_soft_part(gate: Any) -> None:
    student, teacher, skd = three(0), three(1), plain(weight=1.0, temperature=2.0, gate=gate)
    alone = [
        float(trust(teacher[i : i + 1], LABELS[i : i + 1], skd))
        * float(skd_loss(student[i : i + 1], teacher[i : i + 1], LABELS[i : i + 1], plain(weight=1.0, temperature=2.0)))
        for i in range(5)
    ]
    assert float(skd_loss(student, teacher, LABELS, skd)) == pytest.approx(sum(alone) / 5)


def test_trust_is_where_the_teacher_is() -> None:
    assert trust(torch.zeros(2, 3, device="meta"), torch.zeros(2, dtype=torch.int64), plain()).device.type == "meta"


@pytest.mark.parametrize("views", [1, 2, 5])
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_soft_targets_are_the_mean_over_turned_frames(make: Callable[..., Network], views: int) -> None:
    teacher, frames = make(), tones(7, 0)
    wanted = torch.zeros(7, 3)
    complex_frames = frames.iq[:, 0] + 1j * frames.iq[:, 1]
    for view in range(views):
        looked = complex_frames * np.exp(2j * np.pi * view / views)
        iq = torch.from_numpy(np.stack([looked.real, looked.imag], axis=1).astype(np.float32))
        with torch.inference_mode():
            wanted += teacher.eval()(iq) / views
    got = soft_targets(teacher.train(), frames, views)
    assert not teacher.training
    torch.testing.assert_close(got, wanted)


def test_soft_targets_of_many_frames_are_those_of_each() -> None:
    frames = tones(1030, 0)
    whole = soft_targets(cnn(), frames, 2)
    for number in (0, 511, 512, 1029):
        torch.testing.assert_close(whole[number], soft_targets(cnn(), frames.take(np.array([number])), 2)[0])


def silenced(network: Network) -> Network:
    """The same network, which can only be recognised, not asked."""

    def forward(iq: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the teacher was asked")

    network.forward = forward
    return network


def test_kept_targets_are_read_and_not_computed_again(tmp_path: Path) -> None:
    frames, cache = tones(9, 0), tmp_path / "new" / "targets.safetensors"
    fresh = soft_targets(cnn(), frames, 2, cache=cache)
    assert torch.equal(soft_targets(silenced(cnn()), frames, 2, cache=cache), fresh)
    assert [path.name for path in cache.parent.iterdir()] == ["targets.safetensors"]


@pytest.mark.parametrize(
    ("teacher", "frames", "views"),
    [
        (lambda: cnn(seed=1), tones(9, 0), 2),
        (lambda: cnn(normalisation="max"), tones(9, 0), 2),
        (cnn, tones(9, 1), 2),
        (cnn, tones(8, 0), 2),
        (cnn, tones(9, 0), 3),
    ],
    ids=["weights", "configuration", "frames", "fewer", "views"],
)
def test_targets_kept_of_something_else_are_replaced(
    teacher: Callable[[], Network], frames: Frames, views: int, tmp_path: Path
) -> None:
    cache = tmp_path / "targets.safetensors"
    soft_targets(cnn(), tones(9, 0), 2, cache=cache)
    got = soft_targets(teacher(), frames, views, cache=cache)
    assert torch.equal(got, soft_targets(teacher(), frames, views))
    assert torch.equal(soft_targets(silenced(teacher()), frames, views, cache=cache), got)


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "foreign", "other names"])
def test_a_damaged_cache_is_made_again(damage: str, tmp_path: Path) -> None:
    frames, cache = tones(9, 0), tmp_path / "targets.safetensors"
    fresh = soft_targets(cnn(), frames, 2, cache=cache)
    whole = cache.read_bytes()
    if damage == "foreign":
        save_file({"key": torch.zeros(3), "logits": torch.zeros(9, 3)}, cache)
    elif damage == "other names":
        save_file({"weight": torch.zeros(3)}, cache)
    else:
        cache.write_bytes({"empty": b"", "cut": whole[:-8], "noise": b"\xff" * 200}[damage])
    assert torch.equal(soft_targets(cnn(), frames, 2, cache=cache), fresh)
    assert cache.read_bytes() == whole
    assert set(load_file(cache)) == {"key", "logits"}


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        soft_targets(cnn(), tones(3, 0), 1, cache=tmp_path)


def test_a_fingerprint_tells_weights_and_configurations_apart() -> None:
    first = fingerprint(cnn())
    assert len(first) == 64
    assert first == fingerprint(cnn().eval().to(memory_format=torch.channels_last))
    assert len({first, fingerprint(cnn(seed=1)), fingerprint(cnn(normalisation="l1")), fingerprint(clst())}) == 4


@pytest.mark.parametrize("views", [1, 4])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weight_0_is_plain_training_to_the_bit(views: int, smoothing: float) -> None:
    recipe = TrainConfig(epochs=2, batch=32, learning_rate=1e-2, label_smoothing=smoothing)
    alone, taught = cnn(dropout=0.5), cnn(dropout=0.5)
    train(alone, splits(), recipe, method="cnn")
    distill(clst(seed=3), taught, splits(), recipe, plain(weight=0.0, views=views))
    assert same(state(taught), state(alone))


def test_a_teacher_that_knows_changes_the_student_and_stays_as_it_is() -> None:
    teacher, alone, taught = mobile(), cnn(), cnn()
    train(teacher, splits(), RECIPE, method="teacher")
    before = state(teacher)
    train(alone, splits(), RECIPE, method="cnn")
    student, run = distill(teacher.train(), taught, splits(), RECIPE, plain())
    assert student is taught
    assert not same(state(taught), state(alone))
    assert same(state(teacher), before)
    assert not teacher.training
    assert not taught.training
    assert (run.method, run.split, run.dataset) == ("kd-cnn+skd", "val", splits().val.dataset)
    commit, dirty = source_state()
    assert run.config["trained_at"] == [f"{commit}+" if dirty else commit]
    told = {"weight": 0.7, "temperature": 4.0, "views": 1, "gate": "none", "teacher": fingerprint(teacher)}
    assert told.items() <= run.config.items()


def test_a_student_learns_from_its_teacher_alone_without_true_labels() -> None:
    teacher, student, data = clst(seed=1), clst(), splits()
    recipe = TrainConfig(epochs=6, batch=32, learning_rate=2e-2)
    train(teacher, data, recipe, method="teacher")
    wrong = Frames(
        iq=data.train.iq,
        labels=np.roll(data.train.labels, 1),
        snr_db=data.train.snr_db,
        classes=CLASSES,
        name="wrong",
    )
    _, run = distill(
        teacher, student, data._replace(train=wrong), recipe, SKDConfig(weight=1.0, temperature=1.0, views=1)
    )
    assert run.metrics["accuracy"] > 0.7  # chance is a third, and the labels say less than that


def test_distillation_repeats_itself_to_the_bit_with_features_too() -> None:
    students = [cnn(dropout=0.5), cnn(dropout=0.5)]
    for seed, student in enumerate(students):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        distill(clst(), student, splits(), RECIPE, plain(feature_weight=1.0))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert same(*map(state, students))


def features(student: Network, teacher: Network, **changes: Any) -> _Distillation:
    return _Distillation(student, teacher, three(1, 1.0), RECIPE, plain(feature_weight=0.5, **changes))


def test_feature_distillation_trains_student_and_projector_only() -> None:
    student, teacher = cnn(widths=(8, 4)), clst(dims=(8, 16))
    objective = features(student, teacher)
    assert objective.projector is not None
    trained = {id(value) for value in objective.parameters()}
    assert trained == {id(value) for value in (*student.parameters(), objective.projector.weight)}
    assert objective.projector.weight.shape == (16, 4)
    assert {name.split(".")[0] for name in objective.state_dict()} == {"network", "projector"}


def test_feature_distillation_leaves_the_teacher_alone_and_trains_the_student_in_training_mode() -> None:
    student, teacher = cnn(), clst(drop_path=0.3)
    start, before = state(student), state(teacher)
    distill(teacher, student, splits(), RECIPE, plain(feature_weight=1.0, weight=0.0))
    assert same(state(teacher), before)
    assert not teacher.training
    assert all(value.grad is None for value in teacher.parameters())
    for name, value in state(student).items():
        assert not torch.equal(value, start[name]), name  # the running statistics too


@pytest.mark.parametrize("gate", ["none", "prob"])
def test_the_feature_term_is_the_distance_of_directions(gate: Any) -> None:
    student, teacher = cnn().eval(), clst().eval()
    objective = features(student, teacher, gate=gate).eval()
    frames, labels, index = noise(5), LABELS, torch.tensor([4, 2, 0, 1, 3])
    targets = three(1, 1.0)[index]
    assert objective.projector is not None
    with torch.inference_mode():
        scaled = frames / frames.square().sum(dim=1, keepdim=True).mean(dim=2, keepdim=True).sqrt()
        mine, wanted = student.embed(scaled) @ objective.projector.weight.T, teacher.embed(scaled)
        cosine = functional.cosine_similarity(mine, wanted)
        weight = targets.softmax(dim=1)[torch.arange(5), labels] if gate == "prob" else torch.ones(5)
        soft = skd_loss(student(frames), targets, labels, plain(gate=gate))
        torch.testing.assert_close(
            objective.loss(frames, labels, index), soft + 0.5 * (weight * (2 - 2 * cosine)).mean()
        )


def test_embeddings_come_closer_when_only_they_count() -> None:
    teacher, student = clst(), cnn()
    recipe = TrainConfig(epochs=6, batch=32, learning_rate=2e-2)
    run = distill(teacher, student, splits(), recipe, plain(feature_weight=100.0, weight=0.0))[1]
    losses = list(run.curves["train_loss"].values())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("teacher", "student", "says"),
    [
        (lambda: cnn(classes=CLASSES[::-1]), cnn, r"the network was made for high, middle, low; use frames\.reorder"),
        (cnn, lambda: cnn(classes=CLASSES[::-1]), r"the network was made for high, middle, low; use frames\.reorder"),
        (cnn, lambda: cnn(classes=("low", "high")), r"the network was made for low, high; "),
    ],
)
def test_teacher_student_and_data_of_different_classes_are_refused_before_the_teacher_works(
    teacher: Callable[[], Network], student: Callable[[], Network], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        distill(silenced(teacher()), student(), splits(), RECIPE, plain(), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_length_and_no_frames_are_refused() -> None:
    with pytest.raises(ShapeError, match="the network was made for 64"):
        distill(cnn(samples=64), cnn(), splits(), RECIPE, plain())
    data: Splits = splits()
    with pytest.raises(ConfigError, match="there are no frames"):
        distill(cnn(), cnn(), data._replace(train=data.train.take(np.arange(0))), RECIPE, plain())


def test_the_folder_of_another_distillation_or_of_plain_training_is_refused(tmp_path: Path) -> None:
    distill(clst(), cnn(), splits(), RECIPE, plain(), out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "training.json").read_text())["temperature"] == 4.0
    with pytest.raises(ConfigError, match=r"another training: temperature is 4\.0 there and 2\.0 here"):
        distill(clst(), cnn(), splits(), RECIPE, plain(temperature=2.0), out=tmp_path / "out")
    with pytest.raises(ConfigError, match="another training: teacher is "):
        distill(clst(seed=1), cnn(), splits(), RECIPE, plain(), out=tmp_path / "out")
    with pytest.raises(ConfigError, match=r"another training: feature_weight is 0\.0 there and None here"):
        train(cnn(), splits(), RECIPE, method="cnn", out=tmp_path / "out")
