import dataclasses

import numpy as np
import pytest

from tamis.radio.config import RML2016_CLASSES
from tamis.radio.data import Frames, Splits, load, split
from tamis.radio.defects import Finding, audit, audit_splits, normalisation
from tamis.radio.radioml import RML2018_CLASSES

FILE_ORDER = (
    "32PSK", "16APSK", "32QAM", "FM", "GMSK", "32APSK", "OQPSK", "8ASK", "BPSK", "8PSK", "AM-SSB-SC", "4ASK",
    "16PSK", "64APSK", "128QAM", "128APSK", "AM-DSB-SC", "AM-SSB-WC", "64QAM", "QPSK", "256QAM", "AM-DSB-WC", "OOK",
    "16QAM",
)  # fmt: skip
"""The order of the `classes.txt` that comes with RadioML 2018.01A, which is wrong."""


def noise(frames: int = 60, classes: int = 3, seed: int = 0, **fields: object) -> Frames:
    """Frames of white noise, which nothing is wrong with."""
    rng = np.random.default_rng(seed)
    made = Frames(
        iq=rng.standard_normal((frames, 2, 16)).astype(np.float32),
        labels=np.arange(frames) % classes,
        snr_db=(np.arange(frames) // classes % 2 * 10).astype(np.float32),
        classes=tuple("ABCDEFGH"[:classes]),
        name="noise",
    )
    return dataclasses.replace(made, **fields)


def messages(found: list[Finding], severity: str) -> list[str]:
    return [finding.message for finding in found if finding.severity == severity]


@pytest.fixture(scope="module")
def generated() -> Frames:
    return load("rml2016", per_cell=20, seed=0, snrs_db=[-10, 18])


@pytest.mark.parametrize("preset", ["rml2016", "rml22", "default", "clean"])
def test_nothing_is_wrong_with_what_is_generated(preset: str) -> None:
    found = audit(load(preset, per_cell=20, seed=1, snrs_db=[-10, 18]))
    assert [finding.severity for finding in found] == ["note"]
    assert "scaled to a mean power of 1 ('rms')" in found[0].message


def test_nothing_but_the_scale_is_said_of_noise() -> None:
    assert [finding.message.split(":")[0] for finding in audit(noise())] == ["frames have no common scale"]


@pytest.mark.parametrize("seed", range(5))
def test_labels_in_the_wrong_order_are_found_by_their_envelopes(seed: int, generated: Frames) -> None:
    """Whatever the order, it is found where a class of constant envelope has changed places with one of amplitudes."""
    order = list(np.random.default_rng(seed).permutation(RML2016_CLASSES))
    for constant, varied in (("CPFSK", "QAM16"), ("WBFM", "PAM4"), ("GFSK", "QAM64")):
        one, other = order.index(constant), RML2016_CLASSES.index(varied)
        order[one], order[other] = order[other], order[one]
    said = messages(audit(dataclasses.replace(generated, classes=tuple(map(str, order)))), "error")
    assert len(said) == 1
    assert said[0].startswith("the labels are in the wrong order: the power of ")


def test_the_wrong_order_of_2018_is_found_and_the_right_one_is_not() -> None:
    """Constant envelopes where GMSK and FM are, pulses of two or more levels where OOK, ASK and QAM are."""
    rng = np.random.default_rng(0)
    constant = {"FM", "GMSK"}
    levels = {"OOK": [0, 1], "4ASK": [1, 2, 3, 4], "8ASK": range(1, 9), "BPSK": [0.6, 1], "OQPSK": [0.8, 1]}
    iq = []
    for name in RML2018_CLASSES:
        phase = np.exp(2j * np.pi * rng.random((10, 64)))
        magnitude = rng.choice(levels.get(name, [1, 2, 3]), (10, 64)) if name not in constant else np.ones((10, 64))
        signal = phase * magnitude + 0.02 * rng.standard_normal((10, 64))
        iq.append(np.stack([signal.real, signal.imag], axis=1))
    frames = Frames(
        iq=np.concatenate(iq).astype(np.float32),
        labels=np.repeat(np.arange(24), 10),
        snr_db=np.full(240, 30, np.float32),
        classes=RML2018_CLASSES,
        name="RML2018.01A",
    )
    assert messages(audit(frames), "error") == []
    said = messages(audit(dataclasses.replace(frames, classes=FILE_ORDER)), "error")
    assert len(said) == 1
    assert "though FM has a constant envelope" in said[0] or "though GMSK has a constant envelope" in said[0]


def test_noise_that_is_labelled_as_a_clear_signal_is_found() -> None:
    rng = np.random.default_rng(0)
    frames = noise(classes=2, iq=rng.standard_normal((60, 2, 128)).astype(np.float32))
    frames = dataclasses.replace(frames, classes=("GFSK", "PAM4"))
    said = messages(audit(frames), "error")
    assert len(said) == 1
    assert said[0].startswith("the power of GFSK varies as that of noise does (")


def test_labels_are_not_judged_by_noisy_frames() -> None:
    frames = load("rml2016", per_cell=20, seed=0, snrs_db=[-10, 8])
    assert messages(audit(dataclasses.replace(frames, classes=RML2016_CLASSES[::-1])), "error") == []


def test_equal_frames_are_counted_once_each_and_frames_of_zeros_apart() -> None:
    frames = noise()
    frames.iq[[6, 9]] = frames.iq[3]  # of one class, for they are three apart
    frames.iq[10] = frames.iq[11]
    frames.iq[[20, 30, 40]] = 0
    found = {finding.message: finding.count for finding in audit(frames) if finding.severity != "note"}
    assert found == {
        "frames are equal to the last bit to another one": 3,
        "equal frames have different classes": 1,
        "frames hold nothing but zeros": 3,
    }


@pytest.mark.parametrize("how", ["rms", "energy", "max", "l1"])
def test_the_scale_of_frames_is_told(how: str) -> None:
    frames = noise()
    magnitude = np.hypot(frames.iq[:, 0], frames.iq[:, 1])
    scale = {
        "rms": np.sqrt(np.mean(magnitude**2, axis=1)),
        "energy": np.sqrt(np.sum(magnitude**2, axis=1)),
        "max": magnitude.max(axis=1),
        "l1": magnitude.sum(axis=1),
    }[how]
    scaled = frames.iq / scale[:, None, None]
    scaled[5] = 0  # a frame of zeros has no scale
    assert normalisation(dataclasses.replace(frames, iq=scaled)) == how
    assert normalisation(dataclasses.replace(frames, iq=scaled * np.float32(1.1))) is None
    assert f"({how!r})" in messages(audit(dataclasses.replace(frames, iq=scaled)), "note")[0]


def test_frames_of_any_magnitude_are_looked_at() -> None:
    for factor in (1e-30, 1e30):
        audit(noise(iq=noise().iq * np.float32(factor)))


def test_missing_cells_and_uneven_classes_are_found() -> None:
    frames = noise()
    kept = frames.take(~((frames.labels == 1) & (frames.snr_db == 10)))
    found = audit(kept)
    assert Finding("warning", "cells of class and SNR are empty, the first of them B at 10 dB", 1) in found
    assert Finding("warning", "classes are uneven: 20 frames of A, 10 of B; look at macro-F1", 10) in found
    assert [finding.severity for finding in found] == ["warning", "warning", "note"]


def test_what_is_known_of_a_set_is_said_by_its_name(generated: Frames) -> None:
    known = {finding.message: finding.count for finding in audit(dataclasses.replace(generated, name="RML2016.10a"))}
    said = {
        key.split(": ", 1)[1].split(" ")[0]: count
        for key, count in known.items()
        if key.startswith("known of RML2016.10a")
    }
    assert said == {"the": 440, "frames": 440, "all": 440, "AM-SSB": 40, "pauses": 80}
    without = generated.take(generated.labels != RML2016_CLASSES.index("AM-SSB"))
    assert not [
        one for one in audit(dataclasses.replace(without, name="RML2016.10b")) if "AM-SSB is noise" in one.message
    ]
    assert any("classes.txt" in one.message for one in audit(noise(name="RML2018.01A")))
    assert any("five variants" in one.message for one in audit(noise(name="RML22")))


def test_no_frames_at_all_are_no_error() -> None:
    assert messages(audit(noise().take(np.arange(0))), "error") == []


def test_splits_that_share_frames_or_recordings_are_found() -> None:
    frames = noise(groups=np.arange(60) // 4)
    clean = split(frames, "group")
    assert audit_splits(clean) == []
    leaking = Splits(frames.take(np.arange(30)), frames.take(np.arange(28, 50)), frames.take(np.arange(50, 60)))
    assert audit_splits(leaking) == [
        Finding("error", "train and val share frames that are equal to the last bit", 2),
        Finding("error", "train and val share channels or recordings", 4),
        Finding("error", "val and test share channels or recordings", 2),
    ]
