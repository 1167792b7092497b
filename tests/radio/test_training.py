"""Training: it learns, repeats itself to the bit, goes on where it was cut off, and leaves the process as it was."""

import json
import logging
import pickle
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.radio.small import CLASSES, EVERY, clst, cnn, mobile, noise, same, splits, state, tones
from torch.nn import functional

from tamis.core.errors import ConfigError, FileError, InputError, ShapeError, TamisError
from tamis.core.results import Run
from tamis.radio.config import TrainConfig
from tamis.radio.data import Frames, Splits
from tamis.radio.methods import load_network
from tamis.radio.network import Network
from tamis.radio.training import Objective, rotated, train, turned

pytestmark = pytest.mark.filterwarnings("ignore:small. the training collapsed")  # after three steps it may well have
FILES = ["README.md", "best.ckpt", "config.json", "last.ckpt", "model.safetensors", "training.json"]


def recipe(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"epochs": 3, "batch": 32, "learning_rate": 1e-2, **changes})


def run(network: Network, out: Path | None = None, data: Splits | None = None, **changes: Any) -> Run:
    return train(network, data or splits(), recipe(**changes), method="small", out=out)


class Crash(Exception):
    """The process dies here."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the next training die in an epoch, counted from 0, before a step."""

    def plan(epoch: int, step: int, error: BaseException) -> None:
        original = Objective.training_step

        def dying(self: Objective, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
            if (self.current_epoch, self.trainer.global_step) == (epoch, 3 * epoch + step):
                monkeypatch.setattr(Objective, "training_step", original)
                raise error
            return original(self, batch)

        monkeypatch.setattr(Objective, "training_step", dying)

    return plan


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, torch.Tensor]]]:
    """Say which validation accuracies trainings reach, and keep the weights after each epoch."""
    original = Objective.on_validation_epoch_end

    def plan(*accuracies: float) -> list[dict[str, torch.Tensor]]:
        states: list[dict[str, torch.Tensor]] = []

        def scripted(self: Objective) -> None:
            original(self)
            self.curves["val_accuracy"][self.current_epoch + 1] = accuracies[self.current_epoch]
            states.append(state(self.network))

        monkeypatch.setattr(Objective, "on_validation_epoch_end", scripted)
        return states

    return plan


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_the_loss_falls_and_the_classes_are_learnt(make: Callable[..., Network]) -> None:
    network = make()
    judged = run(network, epochs=8, learning_rate=2e-2)
    losses = list(judged.curves["train_loss"].values())
    assert losses[-1] < 0.5 * losses[0]
    assert judged.metrics["accuracy"] > 0.9
    assert not network.training


def test_a_line_says_what_was_trained_on_what_and_how() -> None:
    data = splits()
    judged = run(cnn(), data=data, seed=4, epochs=2)
    assert (judged.task, judged.method, judged.split) == ("radio/accuracy", "small", "val")
    assert (judged.dataset, judged.n, judged.seeds) == (data.val.dataset, 48, [4])
    told = {"preset": "tones", "frames": 96, "epochs": 2, "batch": 32, "learning_rate": 1e-2, "rotate": True}
    assert told.items() <= judged.config.items()
    assert list(judged.curves["val_accuracy"]) == list(judged.curves["train_loss"]) == ["1", "2"]
    assert judged.metrics["accuracy"] == pytest.approx(max(judged.curves["val_accuracy"].values()))


def test_test_frames_are_not_looked_at() -> None:
    run(cnn(), data=splits()._replace(test=None), epochs=1)


@pytest.mark.parametrize("make", [cnn, clst])
def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_gives_others(make: Callable[..., Network]) -> None:
    changes = {"dropout": 0.5} if make is cnn else {"drop_path": 0.3}
    trained = []
    for seed in (0, 0, 1):
        network = make(**changes)
        run(network, seed=seed)
        trained.append(state(network))
    assert same(trained[0], trained[1])
    assert not same(trained[0], trained[2])


@pytest.mark.parametrize(
    ("epoch", "step", "patience"), [(0, 1, None), (1, 0, None), (2, 0, None), (2, 2, None), (3, 1, 2)]
)
def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(
    epoch: int, step: int, patience: int | None, tmp_path: Path, crash: Callable[..., None]
) -> None:
    whole, cut = cnn(dropout=0.5), cnn(dropout=0.5)
    judged = run(whole, epochs=4, patience=patience)
    crash(epoch, step, Crash())
    with pytest.raises(Crash):
        run(cut, tmp_path / "cut", epochs=4, patience=patience)
    assert (tmp_path / "cut" / "last.ckpt").exists() == (epoch > 0)
    other_start = cnn(seed=5, dropout=0.5) if epoch else cnn(dropout=0.5)  # what is resumed has its own weights
    again = run(other_start, tmp_path / "cut", epochs=4, patience=patience)
    assert same(state(other_start), state(whole))
    assert again.curves == judged.curves
    assert again.metrics == judged.metrics


def test_a_folder_may_be_moved_before_a_training_goes_on(
    tmp_path: Path, crash: Callable[..., None], script: Callable[..., list[dict[str, torch.Tensor]]]
) -> None:
    states = script(0.9, 0.5, 0.6, 0.7)
    crash(2, 0, Crash())
    with pytest.raises(Crash):
        run(cnn(), tmp_path / "here", epochs=4)
    shutil.move(tmp_path / "here", tmp_path / "there")
    network = cnn()
    run(network, tmp_path / "there", epochs=4)
    assert len(states) == 4
    assert same(state(network), states[0])


def test_the_weights_of_the_best_epoch_are_kept_and_the_first_of_equals(
    tmp_path: Path, script: Callable[..., list[dict[str, torch.Tensor]]]
) -> None:
    states = script(0.5, 0.8, 0.8, 0.7)
    network = cnn()
    judged = run(network, tmp_path / "out", epochs=4)
    assert len(states) == 4
    assert same(state(network), states[1])
    assert same(state(load_network(tmp_path / "out")), states[1])
    assert judged.curves["val_accuracy"] == {"1": 0.5, "2": 0.8, "3": 0.8, "4": 0.7}


def test_patience_counts_the_epochs_that_were_not_better_and_a_finished_training_stays_finished(
    tmp_path: Path, script: Callable[..., list[dict[str, torch.Tensor]]]
) -> None:
    states = script(0.5, 0.6, 0.6, 0.4, 0.9, 0.9)
    network, again = cnn(), cnn()
    judged = run(network, tmp_path / "out", epochs=6, patience=2)
    assert len(states) == 4
    assert list(judged.curves["val_accuracy"].values()) == [0.5, 0.6, 0.6, 0.4]
    assert run(again, tmp_path / "out", epochs=6, patience=2).curves == judged.curves
    assert len(states) == 4
    assert same(state(again), states[1])


def test_a_training_that_ran_all_its_epochs_is_not_run_again(
    tmp_path: Path, script: Callable[..., list[dict[str, torch.Tensor]]]
) -> None:
    states = script(0.5, 0.6)
    network, again = cnn(), cnn(seed=1)
    first = run(network, tmp_path / "out", epochs=2)
    assert run(again, tmp_path / "out", epochs=2).metrics == first.metrics
    assert len(states) == 2
    assert same(state(again), state(network))


def test_a_network_in_evaluation_mode_is_trained_in_training_mode(tmp_path: Path) -> None:
    fresh, loaded = cnn(), cnn().eval()
    for network in (fresh, loaded):
        run(network)
    assert same(state(fresh), state(loaded))


def test_training_leaves_the_process_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Objective, "on_fit_start", lambda self: inside.append(torch.get_num_threads()))
    logger = logging.getLogger("pytorch_lightning")
    torch.manual_seed(3)
    before = torch.random.get_rng_state(), torch.get_num_threads(), logger.level, signal.getsignal(signal.SIGINT)
    run(cnn(), epochs=1, threads=torch.get_num_threads() + 1)
    after = torch.random.get_rng_state(), torch.get_num_threads(), logger.level, signal.getsignal(signal.SIGINT)
    assert inside == [before[1] + 1]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [Crash(), KeyboardInterrupt()])
def test_a_training_that_dies_leaves_the_process_as_it_was(error: BaseException, crash: Callable[..., None]) -> None:
    logger = logging.getLogger("pytorch_lightning")
    torch.manual_seed(3)
    before = torch.random.get_rng_state(), torch.get_num_threads(), logger.level, signal.getsignal(signal.SIGINT)
    crash(0, 1, error)
    with pytest.raises(type(error)):
        run(cnn(), threads=torch.get_num_threads() + 1)
    after = torch.random.get_rng_state(), torch.get_num_threads(), logger.level, signal.getsignal(signal.SIGINT)
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_a_training_in_bfloat16_ends_in_float32() -> None:
    network = cnn()
    judged = run(network, precision="bfloat16", epochs=4)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert judged.metrics["accuracy"] > 0.5


def test_label_smoothing_is_in_the_loss() -> None:
    network = cnn().eval()
    objective = Objective(network, recipe(label_smoothing=0.2))
    frames, labels = noise(6), torch.tensor([0, 1, 2, 0, 1, 2])
    spread = 0.8 * functional.one_hot(labels, 3) + 0.2 / 3
    expected = -(spread * network(frames).log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(objective.loss(frames, labels, torch.arange(6)), expected)


def test_frames_are_turned_as_complex_numbers_are() -> None:
    frames, phase = noise(5), torch.linspace(0, 6, 5)[:, None]
    wanted = torch.complex(frames[:, 0], frames[:, 1]) * torch.polar(torch.ones(5, 1), phase)
    got = turned(frames, phase)
    torch.testing.assert_close(torch.complex(got[:, 0], got[:, 1]), wanted)


def test_every_frame_is_turned_by_a_phase_of_its_own_from_the_whole_turn() -> None:
    torch.manual_seed(0)
    one = torch.zeros(4000, 2, 1)
    one[:, 0] = 1
    phases = torch.atan2(*rotated(one)[:, :, 0].flip(1).T)
    assert torch.histc(phases, 8, -torch.pi, torch.pi).sub(500).abs().max() < 100  # five standard deviations


def test_a_frame_is_turned_anew_in_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    data, phases = splits(), []

    def noting(self: Objective, frames: torch.Tensor, labels: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        before, after = (torch.complex(iq[:, 0], iq[:, 1]) for iq in (torch.from_numpy(data.train.iq)[index], frames))
        phases.append((after * before.conj()).sum(dim=1).angle())
        return self.network(frames).sum()

    monkeypatch.setattr(Objective, "loss", noting)
    run(cnn(), data=data, epochs=2, batch=96)
    apart = (phases[0][:, None] - phases[1]).abs().min(dim=0).values
    assert (apart > 1e-5).float().mean() > 0.9  # not the same phases for other frames either


def test_without_rotation_every_frame_is_seen_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = splits(), {}

    def noting(self: Objective, frames: torch.Tensor, labels: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        for frame, label, number in zip(frames, labels.tolist(), index.tolist(), strict=True):
            seen[number] = (frame.numpy(), label)
        return self.network(frames).sum()

    monkeypatch.setattr(Objective, "loss", noting)
    run(cnn(), data=data, rotate=False, epochs=1)
    assert sorted(seen) == list(range(96))
    assert all(np.array_equal(frame, data.train.iq[number]) for number, (frame, _) in seen.items())
    assert all(label == data.train.labels[number] for number, (_, label) in seen.items())


@pytest.mark.parametrize("make", [cnn, mobile])
def test_a_collapse_is_said(make: Callable[..., Network], tmp_path: Path) -> None:
    def silent(frames: Frames) -> Frames:
        return Frames(
            iq=np.zeros_like(frames.iq), labels=frames.labels, snr_db=frames.snr_db, classes=CLASSES, name="silence"
        )

    data = splits()
    with pytest.warns(UserWarning, match=r"^small: the training collapsed: .*chance is 0\.333; lower"):
        run(make(), tmp_path, data=Splits(*map(silent, data)), epochs=1)
    with pytest.warns(UserWarning, match="the training collapsed"):  # taken up again when it is finished
        run(make(), tmp_path, data=Splits(*map(silent, data)), epochs=1)


def test_frames_that_a_network_was_not_made_for_are_refused() -> None:
    data = splits()
    with pytest.raises(ConfigError, match=r"use frames\.reorder"):
        run(cnn(), data=data._replace(val=data.val.reorder(CLASSES[::-1])))
    with pytest.raises(ConfigError, match=r"^tones: there are no frames; "):
        run(cnn(), data=data._replace(val=data.val.take(np.arange(0))))
    with pytest.raises(ConfigError, match=r"^tones: there are no frames; "):
        run(cnn(), data=data._replace(train=data.train.take(np.arange(0))))
    with pytest.raises(ShapeError, match="the network was made for 64"):
        run(cnn(samples=64))


def test_frames_that_hold_no_numbers_are_refused_before_any_training() -> None:
    frames = tones(6, 0)
    frames.iq[4, 1, 3] = np.nan
    with pytest.raises(InputError, match="frame 4 and 0 others hold NaN"):
        Frames(iq=frames.iq, labels=frames.labels, snr_db=frames.snr_db, classes=CLASSES, name="tones")


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:7", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"device is '{device}'; torch can compute on cpu here"):
        train(cnn(), splits(), recipe(), method="small", device=device)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    with warnings.catch_warnings(action="ignore"):
        run(cnn(), folder, epochs=1)
    return folder


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> Path:
    """A folder of a finished training of one epoch."""
    return shutil.copytree(finished, tmp_path / "out")


def test_a_folder_holds_the_model_and_what_is_needed_to_go_on(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == FILES
    about = json.loads((trained / "training.json").read_text())
    assert (about["network"], about["seed"], about["widths"], about["epochs"]) == ("KDCNN", 0, [8, 8], 1)
    assert about["train"] == splits().train.dataset


@pytest.mark.parametrize(
    ("make", "data", "changes", "says"),
    [
        (cnn, {}, {"learning_rate": 2e-2}, "learning_rate is 0.01 there and 0.02 here"),
        (cnn, {}, {"seed": 1}, "seed is 0 there and 1 here"),
        (cnn, {}, {"epochs": 2}, "epochs is 1 there and 2 here"),
        (lambda: cnn(widths=(8, 4)), {}, {}, "widths is [8, 8] there and [8, 4] here"),
        (clst, {}, {}, "activation is None there and 'relu' here"),
        (cnn, {"train": tones(96, 9)}, {}, "train is 'tones@sha256:"),
        (cnn, {"val": tones(48, 9)}, {}, "val is 'tones@sha256:"),
    ],
)
def test_the_folder_of_another_training_is_refused(
    make: Callable[..., Network], data: dict[str, Frames], changes: dict[str, Any], says: str, trained: Path
) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    with pytest.raises(ConfigError) as raised:
        run(make(), trained, splits()._replace(**data), **{"epochs": 1, **changes})
    assert f"another training: {says}" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_threads_do_not_make_another_training(trained: Path) -> None:
    run(cnn(), trained, epochs=1, threads=2)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_folder_whose_description_is_damaged_or_lost_is_refused(content: bytes, trained: Path) -> None:
    (trained / "training.json").write_bytes(content)
    with pytest.raises(FileError, match=r"training\.json: not the description of a training"):
        run(cnn(), trained, epochs=1)
    (trained / "training.json").unlink()
    with pytest.raises(ConfigError, match=r"holds last\.ckpt, but no training\.json"):
        run(cnn(), trained, epochs=1)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        run(cnn(), tmp_path / "file" / "out", epochs=1)


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.file, "w"))


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
@pytest.mark.parametrize("kind", ["pickle", "torch", "truncated", "empty", "other"])
def test_a_checkpoint_that_is_hostile_or_damaged_is_refused_and_not_executed(
    kind: str, name: str, trained: Path, tmp_path: Path
) -> None:
    file, written = trained / name, tmp_path / "written"
    if kind == "pickle":
        file.write_bytes(pickle.dumps({"state_dict": Hostile(written)}))
    elif kind == "torch":
        torch.save({"state_dict": {}, "curves": Hostile(written)}, file)
    elif kind == "other":
        torch.save([1, 2], file)
    else:
        file.write_bytes(file.read_bytes()[: 1000 if kind == "truncated" else 0])
    with pytest.raises(TamisError) as raised:
        run(cnn(), trained, epochs=1)
    assert f"{file}: not a checkpoint" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not written.exists()
    pickle.loads(pickle.dumps(Hostile(written))).close()
    assert written.exists()  # so the bait was good


def test_a_batch_larger_than_the_data_is_one_step() -> None:
    judged = run(cnn(), batch=1000, epochs=2)
    assert len(judged.curves["train_loss"]) == 2


@pytest.mark.parametrize("make", [mobile, clst])
def test_two_frames_can_be_trained_on_and_one_has_no_variance(make: Callable[..., Network]) -> None:
    data = splits()
    network = make()
    before = state(network)
    with pytest.raises(ConfigError, match="tones: one frame to train on; give more"):
        run(network, data=data._replace(train=data.train.take(np.arange(1))), epochs=1)
    run(network, data=data._replace(train=data.train.take(np.arange(2))), epochs=1)
    assert not same(state(network), before)
