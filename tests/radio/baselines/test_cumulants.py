"""Cumulants against theory and against their definition; statistics against signals one can see through."""

from collections.abc import Callable, Iterator
from math import factorial

import jaxtyping
import numpy as np
import pytest

from tamis.core.errors import ConfigError, ShapeError
from tamis.radio.baselines.cumulants import Cumulants, cumulants, features, statistics
from tamis.radio.data import Frames

GRID = np.arange(-3, 4, 2)
WIDE = np.arange(-7, 8, 2)
SYMBOLS = {
    "BPSK": np.array([1, -1]),
    "PAM4": GRID,
    "QPSK": np.exp(1j * np.pi / 4 * np.array([1, 3, 5, 7])),
    "8PSK": np.exp(1j * np.pi / 4 * np.arange(8)),
    "QAM16": (GRID[:, None] + 1j * GRID).ravel(),
    "QAM64": (WIDE[:, None] + 1j * WIDE).ravel(),
}


def _frame(x: np.ndarray) -> np.ndarray:
    return np.stack([x.real, x.imag])[None].astype(np.float32)


@pytest.mark.parametrize(
    ("name", "c20", "c40", "c42", "c63"),
    [
        ("BPSK", 1, 2, -2, 16),
        ("PAM4", 1, 1.36, -1.36, 8.32),
        ("QPSK", 0, 1, -1, 4),
        ("8PSK", 0, 0, -1, 4),
        ("QAM16", 0, 0.68, -0.68, 2.08),
        ("QAM64", 0, 0.619, -0.619, 1.797),
    ],
)
def test_cumulants_of_constellations_are_those_of_theory(
    name: str, c20: float, c40: float, c42: float, c63: float
) -> None:
    found = cumulants(_frame(SYMBOLS[name]))[0]
    np.testing.assert_allclose(found[[0, 1, 3, 5]], [c20, c40, c42, c63], atol=6e-4)


def _partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    for rest in _partitions(items[1:]):
        yield [[items[0]], *rest]
        for index, block in enumerate(rest):
            yield [*rest[:index], [items[0], *block], *rest[index + 1 :]]


def _cumulant(variables: list[np.ndarray]) -> complex:
    """The definition: over all partitions, signed products of moments."""
    total = 0j
    for blocks in _partitions(list(range(len(variables)))):
        moments = [np.prod([variables[index] for index in block], axis=0).mean() for block in blocks]
        total += (-1) ** (len(blocks) - 1) * factorial(len(blocks) - 1) * np.prod(moments)
    return total


def test_cumulants_are_their_definition_by_partitions() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=20) ** 3 + 1j * rng.normal(size=20)
    x = np.concatenate([half, -half])  # so that moments of odd order are 0
    found = cumulants(_frame(x))[0]
    x = x / np.sqrt((np.abs(x) ** 2).mean())
    orders = [(2, 0), (4, 0), (3, 1), (2, 2), (6, 0), (3, 3)]
    expected = [_cumulant([x] * plain + [x.conj()] * conjugate) for plain, conjugate in orders]
    np.testing.assert_allclose(
        found, [*np.abs(expected[:3]), expected[3].real, abs(expected[4]), expected[5].real], rtol=1e-4
    )


def test_noise_has_no_cumulants() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 2, 200_000))
    np.testing.assert_allclose(cumulants(noise)[0], 0, atol=0.2)


@pytest.mark.parametrize("change", [lambda x: 1e-3 * x, lambda x: x * np.exp(1.1j)], ids=["scale", "phase"])
def test_features_depend_neither_on_scale_nor_on_phase(change: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=128) + 1j * rng.normal(size=128)
    np.testing.assert_allclose(features(_frame(change(x))), features(_frame(x)), rtol=1e-3, atol=1e-5)


def test_statistics_of_a_tone_are_its_frequency_and_its_side() -> None:
    tone = np.exp(2j * np.pi * 13 / 128 * np.arange(128) + 0.3j)
    np.testing.assert_allclose(statistics(_frame(tone))[0], [0, 0, 0, 0, 0, 13 / 128, 0, 0, 0, 1], atol=1e-5)
    np.testing.assert_allclose(statistics(_frame(tone.conj()))[0, [5, 9]], [-13 / 128, -1], atol=1e-5)


def test_statistics_of_amplitude_modulation_are_worked_by_hand() -> None:
    envelope = 1 + 0.5 * np.cos(2 * np.pi * 8 / 128 * np.arange(128)) + 0j
    expected = [0.5 / 2**0.5, 1.5, (0.5 * 128 / 2) ** 2 / 128, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(statistics(_frame(envelope))[0], expected, atol=1e-5)


def test_statistics_of_a_frequency_that_jumps_are_worked_by_hand() -> None:
    frequency = np.where(np.arange(127) % 2, 0.1, -0.1)
    x = np.exp(2j * np.pi * np.concatenate([[0.0], np.cumsum(frequency)]))
    found = statistics(_frame(x))[0]
    np.testing.assert_allclose(found[5:9], [frequency.mean(), frequency.std(), 1, 0], atol=1e-3)


def test_a_frame_of_zeros_has_finite_features() -> None:
    assert np.isfinite(features(np.zeros((1, 2, 64), dtype=np.float32))).all()


def _frames(names: tuple[str, ...], count: int, seed: int) -> Frames:
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(names), size=count)
    x = np.stack([rng.choice(SYMBOLS[names[label]], 64) for label in labels]).astype(complex)
    x = x / np.sqrt((np.abs(x) ** 2).mean(axis=1, keepdims=True)) * np.exp(2j * np.pi * rng.random((count, 1)))
    x += 0.1 * (rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape))
    iq = np.stack([x.real, x.imag], axis=1).astype(np.float32)
    return Frames(iq, labels, np.full(count, 17, dtype=np.float32), names, "toy")


@pytest.mark.parametrize("classifier", ["boosting", "logistic"])
def test_the_classifier_tells_easy_classes_apart(classifier: str) -> None:
    names = ("BPSK", "QPSK", "QAM16")
    model = Cumulants(classifier).fit(_frames(names, 90, 0))
    test = _frames(names, 60, 1)
    probabilities = model.predict_proba(test.iq)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == test.labels).mean() > 0.9


def test_a_class_without_frames_has_probability_zero() -> None:
    frames = _frames(("BPSK", "QPSK"), 60, 0)
    frames = Frames(frames.iq, 2 * frames.labels, frames.snr_db, ("BPSK", "QAM16", "QPSK"), "toy")
    probabilities = Cumulants("logistic").fit(frames).predict_proba(frames.iq)
    assert probabilities.shape == (60, 3)
    assert not probabilities[:, 1].any()


def test_what_cannot_be_done_is_refused() -> None:
    frames = _frames(("BPSK", "QPSK"), 10, 0)
    with pytest.raises((ConfigError, jaxtyping.TypeCheckError), match="boostin"):
        Cumulants("boostin")
    with pytest.raises(ConfigError, match=r"call fit\(frames\) first"):
        Cumulants().predict_proba(frames.iq)
    with pytest.raises(ConfigError, match="one class"):
        Cumulants().fit(frames.take(frames.labels == 0))
    with pytest.raises(ShapeError, match=r"\(10, 64, 2\)"):
        cumulants(frames.iq.transpose(0, 2, 1))
