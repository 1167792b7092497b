from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.radio.test_modulation import ROLLOFF, pulse

from tamis.core.errors import ConfigError
from tamis.core.results import read_runs
from tamis.radio import modulation, signals
from tamis.radio.alrt import above_limit, alrt_limit, esn0_db, limit_of, log_likelihood
from tamis.radio.config import LINEAR_CLASSES
from tamis.radio.evaluation import evaluate
from tamis.radio.modulation import CONSTELLATIONS
from tamis.radio.signals import generate

# An independent simulation: 16 symbols, 8 samples each; 1,500 frames a class with the phase known, 200 without.
KNOWN = {-20: 0.182, -10: 0.337, -6: 0.539, 0: 0.845, 4: 0.964}
KNOWN_QAM = {-8: (0.08, 0.31), -2: (0.46, 0.46), 2: (0.74, 0.72)}
UNKNOWN = {-16: 0.179, -6: 0.468, 2: 0.893}


def numbers(trials: int, symbols: int) -> NDArray[np.complex128]:
    real, imaginary = np.random.default_rng(0).normal(size=(2, trials, symbols))
    return np.asarray(real + 1j * imaginary)


@pytest.mark.parametrize("snr_db", KNOWN)
def test_the_limit_agrees_with_an_independent_simulation(snr_db: int) -> None:
    limit = alrt_limit(LINEAR_CLASSES, float(snr_db), trials=600, seed=3)
    assert limit.symbols == 16
    table_error = limit.standard_error * np.sqrt(600 / 1500)
    tolerance = 4 * np.hypot(limit.standard_error, table_error) + 0.0005  # the table's rounding
    assert limit.accuracy == pytest.approx(KNOWN[snr_db], abs=tolerance)


@pytest.mark.parametrize("snr_db", KNOWN_QAM)
def test_each_class_agrees_with_an_independent_simulation(snr_db: int) -> None:
    limit = alrt_limit(LINEAR_CLASSES, float(snr_db), trials=600, seed=3)
    for name, expected in zip(("QAM16", "QAM64"), KNOWN_QAM[snr_db], strict=True):
        error = limit.per_class_standard_error[name]
        tolerance = 4 * np.hypot(error, error * np.sqrt(600 / 1500)) + 0.005
        assert limit.per_class[name] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("snr_db", UNKNOWN)
def test_the_limit_without_phase_agrees_with_an_independent_simulation(snr_db: int) -> None:
    limit = alrt_limit(LINEAR_CLASSES, float(snr_db), phase="unknown", trials=100, seed=3)
    tolerance = 4 * np.hypot(limit.standard_error, limit.standard_error * np.sqrt(100 / 200)) + 0.0005
    assert limit.accuracy == pytest.approx(UNKNOWN[snr_db], abs=tolerance)


@pytest.mark.parametrize("pair", [("BPSK", "QPSK"), ("PAM4", "BPSK"), ("QAM16", "QAM64")])
@pytest.mark.parametrize("snr_db", [-10.0, -4.0, 2.0])
def test_one_symbol_is_recognised_as_often_as_the_densities_say(pair: tuple[str, str], snr_db: float) -> None:
    noise = 10 ** (-esn0_db(snr_db, 8.0) / 10)
    step = 0.05 * np.sqrt(noise)
    axis = np.arange(-1.6 - 5 * np.sqrt(noise), 1.6 + 5 * np.sqrt(noise), step)
    plane = (axis[:, None] + 1j * axis).ravel()
    first, second = (
        np.mean([np.exp(-(np.abs(plane - s) ** 2) / noise) for s in CONSTELLATIONS[name]], axis=0) / (np.pi * noise)
        for name in pair
    )
    expected = 0.5 * np.sum(np.maximum(first, second)) * step**2
    limit = alrt_limit(pair, snr_db, samples=8, trials=20_000, seed=0)
    assert limit.accuracy == pytest.approx(expected, abs=4 * limit.standard_error)


def test_one_symbol_of_unknown_phase_does_not_tell_one_phase_keying_from_another() -> None:
    limit = alrt_limit(("BPSK", "QPSK", "8PSK"), 10.0, samples=8, phase="unknown", trials=3000, seed=0)
    assert limit.accuracy == pytest.approx(1 / 3, abs=4 * limit.standard_error)


@pytest.mark.parametrize("name", ["OOK", "BPSK", "QPSK", "8PSK", "PAM4"])
@pytest.mark.parametrize("phase", ["known", "unknown"])
def test_the_likelihood_is_the_mean_over_every_sequence_and_every_phase(name: str, phase: Any) -> None:
    received, noise = numbers(5, 2), 0.4
    points = CONSTELLATIONS[name]
    turns = np.exp(2j * np.pi * np.arange(64) / 64) if phase == "unknown" else np.ones(1)
    expected = []
    for trial in received:
        total = 0.0
        for turn in turns:
            for sequence in itertools.product(points, repeat=2):
                total += np.exp(-np.sum(np.abs(trial - turn * np.array(sequence)) ** 2) / noise)
        expected.append(np.log(total / len(turns) / len(points) ** 2))
    common = np.sum(np.abs(received) ** 2, axis=1) / noise  # the same for every constellation
    np.testing.assert_allclose(log_likelihood(received, points, noise, phase) - common, expected, rtol=1e-5)


def test_many_trials_at_once_are_many_trials_one_by_one_and_no_noise_overflows() -> None:
    received = numbers(120, 40)
    points = CONSTELLATIONS["QAM64"]
    together = log_likelihood(received, points, 1e-6, "unknown")
    alone = np.concatenate([log_likelihood(row[None], points, 1e-6, "unknown") for row in received])
    np.testing.assert_allclose(together, alone)
    assert np.isfinite(together).all()


def test_knowing_more_symbols_or_the_phase_never_hurts() -> None:
    def accuracy(**changes: Any) -> float:
        return alrt_limit(LINEAR_CLASSES, -4.0, trials=100, seed=0, **changes).accuracy

    tight, rigorous, blind = accuracy(), accuracy(symbols="rigorous"), accuracy(phase="unknown")
    assert blind < tight < rigorous < accuracy(samples=512)


@pytest.mark.parametrize(
    ("samples", "per_symbol", "tight", "rigorous"),
    [(128, 8.0, 16, 27), (128, 2.0, 64, 75), (100, 8.0, 12, 24), (4, 8.0, 1, 12), (1024, 8.0, 128, 139)],
)
def test_a_frame_shows_its_own_symbols_or_all_that_reach_into_it(
    samples: int, per_symbol: float, tight: int, rigorous: int
) -> None:
    for symbols, expected in (("tight", tight), ("rigorous", rigorous)):
        limit = alrt_limit(
            ("BPSK", "QPSK"), 0.0, samples=samples, samples_per_symbol=per_symbol, symbols=symbols, trials=2, seed=0
        )
        assert limit.symbols == expected


def test_standard_errors_are_those_of_counts() -> None:
    limits = [alrt_limit(("QAM16", "QAM64"), -2.0, trials=100, seed=seed) for seed in range(60)]
    spread = np.std([limit.accuracy for limit in limits], ddof=1)
    stated = np.mean([limit.standard_error for limit in limits])
    assert spread == pytest.approx(stated, rel=4 / np.sqrt(2 * 59))
    assert limits[0].accuracy == pytest.approx(np.mean(list(limits[0].per_class.values())))
    for name, right in limits[0].per_class.items():
        assert limits[0].per_class_standard_error[name] == pytest.approx(np.sqrt(right * (1 - right) / 100))


def test_the_same_seed_gives_the_same_limit_and_a_class_does_not_depend_on_the_order() -> None:
    first = alrt_limit(("QAM16", "QAM64"), -2.0, trials=200, seed=1)
    assert alrt_limit(("QAM16", "QAM64"), -2.0, trials=200, seed=1) == first
    assert alrt_limit(("QAM64", "QAM16"), -2.0, trials=200, seed=1).per_class == first.per_class
    assert alrt_limit(("QAM16", "QAM64"), -2.0, trials=200, seed=2) != first


def test_classes_that_are_always_right_raise_the_limit_in_proportion() -> None:
    limit = alrt_limit(LINEAR_CLASSES, -6.0, trials=200, seed=0)
    assert limit.among(6) == pytest.approx(limit.accuracy)
    assert limit.among(11) == pytest.approx((6 * limit.accuracy + 5) / 11)


def test_ratios_convert_as_tables_have_them() -> None:
    assert esn0_db(0.0, 8.0) == pytest.approx(9.0309, abs=1e-4)
    assert esn0_db(4.0, 2.0) == pytest.approx(7.0103, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"modulations": ("BPSK", "GFSK")}, "'GFSK' has no constellation, so its limit is not known; "),
        ({"modulations": ("BPSK", "QAM46")}, "'QAM46' has no constellation, so its limit is not known; did you mean"),
        ({"modulations": ("BPSK",)}, "modulations are ('BPSK',); expected at least two different names"),
        ({"modulations": ("BPSK", "BPSK")}, "modulations are ('BPSK', 'BPSK'); expected at least two different"),
        ({"samples": 0}, "samples is 0, trials is 10 and samples_per_symbol is 8.0; expected 1 to 1000000"),
        ({"trials": 0}, "samples is 128, trials is 0 and"),
        ({"samples_per_symbol": float("nan")}, "samples is 128, trials is 10 and samples_per_symbol is nan;"),
    ],
)
def test_what_has_no_limit_is_refused_in_one_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        alrt_limit(**{"modulations": LINEAR_CLASSES, "snr_db": 0.0, "trials": 10, "seed": 0, **changes})
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("snr_db", [np.nan, np.inf, -4000.0])
def test_a_ratio_that_is_none_is_refused(snr_db: float) -> None:
    with pytest.raises(ConfigError, match="expected -200 to 200"):
        alrt_limit(LINEAR_CLASSES, snr_db, seed=0)


@pytest.mark.parametrize("name", ["phase", "symbols"])
def test_a_misspelt_choice_is_refused(name: str) -> None:
    with pytest.raises((ConfigError, jaxtyping.TypeCheckError), match="knwon"):
        alrt_limit(LINEAR_CLASSES, 0.0, trials=10, seed=0, **{name: "knwon"})


@pytest.mark.parametrize("snr_db", [-6, 0])
def test_a_receiver_of_generated_frames_comes_up_to_the_limit_and_not_beyond(
    snr_db: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaped: list[NDArray[np.complex64]] = []
    received: list[NDArray[np.complex64]] = []

    def spied(made: list[NDArray[np.complex64]], function: Any) -> Any:
        def spy(*arguments: Any) -> Any:
            out = function(*arguments)
            made.append(out.copy())
            return out

        return spy

    monkeypatch.setattr(modulation, "linear", spied(shaped, modulation.linear))
    monkeypatch.setattr(signals, "_received", spied(received, signals._received))
    frames = generate("clean", per_cell=256, seed=1, modulations=LINEAR_CLASSES, snrs_db=(snr_db,), samples=128 + 96)
    sent = np.concatenate(shaped)
    # The receiver is told phase and gain: a frame was turned, and scaled to power 1 before and after the noise.
    phase = np.angle(np.sum(np.concatenate(received) * sent.conj(), axis=1, keepdims=True))
    gain = np.sqrt(np.mean(np.abs(sent) ** 2, axis=1, keepdims=True) * (1 + 10 ** (-snr_db / 10)))
    taps = pulse(np.arange(-44, 45) / 8, ROLLOFF)
    taps /= np.sqrt(8 * np.sum(taps**2))
    iq = (frames.iq[:, 0] + 1j * frames.iq[:, 1]) * gain * np.exp(-1j * phase)
    filtered = np.stack([np.convolve(frame, taps) for frame in iq])[:, 44 + 48 : 44 + 48 + 128 : 8]
    noise = 10 ** (-esn0_db(float(snr_db), 8.0) / 10)
    points = [CONSTELLATIONS[name] for name in frames.classes]
    scores = [log_likelihood(filtered.astype(complex), those, noise, "known") for those in points]
    accuracy = np.mean(np.argmax(scores, axis=0) == frames.labels)
    limit = alrt_limit(LINEAR_CLASSES, float(snr_db), trials=1000, seed=0)
    tolerance = 4 * np.hypot(limit.standard_error, limit.standard_error * np.sqrt(1000 / 256))
    assert accuracy == pytest.approx(limit.accuracy, abs=tolerance)


def test_a_model_that_was_shown_the_labels_is_found_above_the_limit_and_an_honest_one_is_not() -> None:
    frames = generate("clean", per_cell=40, seed=3, modulations=LINEAR_CLASSES, snrs_db=(-10, 0))
    limit = limit_of(frames)
    assert limit is not None
    told = torch.nn.functional.one_hot(torch.from_numpy(frames.labels)).float()
    leaking = evaluate(lambda iq: told[: len(iq)], frames, method="leak")
    guessing = evaluate(lambda iq: torch.zeros(len(iq), 6), frames, method="guess")
    assert set(above_limit(leaking.curves["accuracy_low"], limit)) == {"-10", "0"}
    assert above_limit(guessing.curves["accuracy_low"], limit) == {}


def test_no_network_whose_result_is_committed_is_above_the_limit() -> None:
    """Fading and offsets only lower what is possible, so the limit of clean signals is one of `rml2016` too."""
    path = Path(__file__).parents[2] / "results" / "radio.jsonl"
    presets = ("rml2016", "clean", "clean-linear")
    tested = [
        run
        for run in read_runs(path)
        if run.config.get("preset") in presets and run.split == "test" and "accuracy_low" in run.curves
    ]
    assert tested
    limits = {}
    for run in tested:
        for snr in run.curves["accuracy_low"]:
            if snr not in limits:
                limits[snr] = alrt_limit(LINEAR_CLASSES, float(snr), trials=500, seed=0)
        classes = 6 if run.config["preset"] == "clean-linear" else 11
        most = {snr: limit.among(classes) + 4 * limit.standard_error for snr, limit in limits.items()}
        assert above_limit(run.curves["accuracy_low"], most) == {}, run.method
