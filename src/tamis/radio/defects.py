"""Look for what is wrong with a data set before a network learns it.

Frames with NaN are not looked for: `Frames` refuses them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis.radio.data import Frames, Splits, cells

if TYPE_CHECKING:
    from jaxtyping import Float64
    from numpy.typing import NDArray

    from tamis.radio.config import Normalisation

Severity = Literal["error", "warning", "note"]
"""Of a finding: results would be wrong, results mean something else than they seem to, or good to know."""

CONSTANT_ENVELOPE = frozenset(("CPFSK", "GFSK", "GMSK", "WBFM", "FM", "PM", "2FSK", "4FSK", "8FSK", "16FSK"))
"""Classes whose magnitude does not change."""
AMPLITUDE = frozenset(
    (
        *("OOK", "2ASK", "4ASK", "8ASK", "PAM4", "PAM8", "4PAM", "8PAM", "16PAM"),
        *("QAM16", "QAM64", "QAM256", "16QAM", "32QAM", "64QAM", "128QAM", "256QAM"),
    )
)
"""Classes that carry symbols in the magnitude."""

_SCALES: dict[Normalisation, str] = {
    "rms": "mean power",
    "energy": "energy",
    "max": "greatest magnitude",
    "l1": "sum of magnitudes",
}
_CLEAR_SNR_DB = 10
_ENOUGH = 10
_NOISY = 0.7
_UNEVEN = 1.5
_BLOCK = 8192

_NOISE = (
    "the label is not the SNR: noise of amplitude 10^(-label/10) was added, so that its power falls at twice the dB"
)
_L1 = "frames were scaled to a sum of magnitudes of 1, not to unit energy: scale them before a network sees them"
_TRANSIENT = "frames begin 50 to 500 samples into a stream, within the channel's transient: some hold no signal"
_CHANNEL = "all frames went through one multipath profile, with hardly any frequency offset or fading within a frame"
_SSB = "AM-SSB is noise alone: its message was multiplied by a sine of 0 Hz"
_SILENCE = "pauses in the speech make WBFM and AM-DSB bare carriers, which nothing can tell apart"
_RML2016 = (
    (None, _NOISE),
    (None, _L1),
    (None, _TRANSIENT),
    (None, _CHANNEL),
    (("AM-SSB",), _SSB),
    (("WBFM", "AM-DSB"), _SILENCE),
)
_ORDER = "the classes.txt that comes with the set is in the wrong order; tamis reads the corrected order of its users"
_ROLLOFF = "the roll-off is reported not to vary as the set's description says"
_VARIANTS = "one of five variants (clean, AWGNOnly, ClockOnly, FadingOnly, All), which the file does not name"
_AGAIN = "published accuracy is about 0.61; users who generated the set anew report 0.68 to 0.70"
DEFECTS: dict[str, tuple[tuple[tuple[str, ...] | None, str], ...]] = {
    "RML2016.10a": _RML2016,
    "RML2016.10b": _RML2016,
    "RML2016.04C": _RML2016,
    "RML2018.01A": ((None, _ORDER), (None, _ROLLOFF)),
    "RML22": ((None, _VARIANTS), (None, _AGAIN)),
}
"""Known defects by data set: the classes that have them (None is all), and one sentence."""


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found."""

    severity: Severity
    """How bad it is."""
    message: str
    """One sentence."""
    count: int
    """How many frames it concerns, or cells if it is about missing ones."""


def audit(frames: Frames) -> list[Finding]:
    """Check labels, duplicates, scale and completeness, and say what is known of the set; the worst comes first.

    Args:
        frames: A whole data set.

    Source:
        Defects of RML2016: radioML/dataset (4ecf612) generate_RML2016.10a.py and its issues 19, 25 and 38; of 2018.01A:
        its users and C. Spooner; of RML22: venkateshsathya/RML22 Datasetgeneration.py and its issue 2. That the power
        of a frequency-modulated signal varies less than that of one with symbols in its magnitude is physics; that the
        check needs 10 dB and ten frames and a spread of twice the other's, or of 0.7 where noise has 1, and that 1.5
        times as many frames are uneven, is our choice.
    """
    found = [
        *_envelopes(frames),
        *_duplicates(frames),
        *_silent(frames),
        *_missing(frames),
        *_uneven(frames),
        *_defects(frames),
        *_scale(frames),
    ]
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def audit_splits(splits: Splits) -> list[Finding]:
    """Check that no frame, channel or recording is in two parts of a split.

    Args:
        splits: Of one data set.
    """
    found = []
    hashes = [Counter(_hashes(part)) for part in splits]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        names = f"{Splits._fields[first]} and {Splits._fields[second]}"
        if same := sum(count for key, count in hashes[second].items() if key in hashes[first]):
            found.append(Finding("error", f"{names} share frames that are equal to the last bit", same))
        groups = splits[first].groups, splits[second].groups
        if groups[0] is not None and groups[1] is not None and (shared := np.isin(groups[1], groups[0]).sum()):
            found.append(Finding("error", f"{names} share channels or recordings", int(shared)))
    return found


def normalisation(frames: Frames) -> Normalisation | None:
    """Tell how frames are scaled; frames of zeros are left out.

    Args:
        frames: Any.

    Returns:
        What 99 of 100 frames have within 1 %, or None if it is none of the usual ones.
    """
    scales = _scales(frames)
    scales = scales[scales[:, 0] > 0]
    for how, scale in zip(_SCALES, scales.T, strict=True):
        if len(scale) and np.quantile(np.abs(scale - 1), 0.99) < 0.01:
            return how
    return None


def _scales(frames: Frames) -> Float64[np.ndarray, "frames 4"]:
    """Measure mean power, energy, greatest magnitude and sum of magnitudes."""
    found = np.empty((len(frames), 4))
    for start, power in _powers(frames):
        magnitude = np.sqrt(power)
        measures = power.mean(1), power.sum(1), magnitude.max(1, initial=0), magnitude.sum(1)
        found[start : start + len(power)] = np.stack(measures, axis=1)
    return found


def _powers(frames: Frames) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for start in range(0, len(frames), _BLOCK):
        yield start, np.square(frames.iq[start : start + _BLOCK], dtype=np.float64).sum(axis=1)


def _envelopes(frames: Frames) -> Iterator[Finding]:
    """Compare the spread of power of classes with constant envelope and of classes with symbols in the magnitude."""
    spread = np.zeros(len(frames))
    for start, power in _powers(frames):
        mean = np.maximum(power.mean(axis=1), np.finfo(np.float64).tiny)
        spread[start : start + len(power)] = np.square(power / mean[:, None]).mean(axis=1) - 1
    clear = frames.snr_db == frames.snr_db.max(initial=-np.inf)
    medians: dict[str, float] = {}
    for label, name in enumerate(frames.classes):
        here = clear & (frames.labels == label) & (frames.snr_db >= _CLEAR_SNR_DB)
        if here.sum() >= _ENOUGH and name in CONSTANT_ENVELOPE | AMPLITUDE:
            medians[name] = float(np.median(spread[here]))
    varied = {value: name for name, value in medians.items() if name in AMPLITUDE}
    steady = {value: name for name, value in medians.items() if name in CONSTANT_ENVELOPE}
    if not steady:
        return
    most, least = max(steady), min(varied, default=np.inf)
    if most > 2 * least:
        yield Finding(
            "error",
            f"the labels are in the wrong order: the power of {steady[most]} varies more ({most:.2f}) than that of "
            f"{varied[least]} ({least:.2f}), though {steady[most]} has a constant envelope",
            len(frames),
        )
    elif most > _NOISY:
        yield Finding(
            "error",
            f"the power of {steady[most]} varies as that of noise does ({most:.2f}), though its envelope is constant; "
            "labels or SNRs are wrong",
            int((frames.labels == frames.classes.index(steady[most])).sum()),
        )


def _hashes(frames: Frames) -> list[bytes]:
    """Hash every frame that holds anything."""
    return [blake2b(frame.tobytes(), digest_size=16).digest() for frame in frames.iq if frame.any()]


def _duplicates(frames: Frames) -> Iterator[Finding]:
    some = frames.iq.any(axis=(1, 2))
    hashes = _hashes(frames)
    if doubles := len(hashes) - len(set(hashes)):
        yield Finding("warning", "frames are equal to the last bit to another one", doubles)
    labelled = set(zip(hashes, frames.labels[some].tolist(), strict=True))
    if len(labelled) > len(set(hashes)):
        contradictory = len(labelled) - len(set(hashes))
        yield Finding("error", "equal frames have different classes", contradictory)


def _silent(frames: Frames) -> Iterator[Finding]:
    if silent := int((~frames.iq.any(axis=(1, 2))).sum()):
        yield Finding("error", "frames hold nothing but zeros", silent)


def _missing(frames: Frames) -> Iterator[Finding]:
    cell, number = cells(frames)
    missing = np.flatnonzero(np.bincount(cell, minlength=number) == 0)
    if len(missing):
        levels = np.unique(frames.snr_db)
        name, level = frames.classes[missing[0] // len(levels)], levels[missing[0] % len(levels)]
        yield Finding(
            "warning", f"cells of class and SNR are empty, the first of them {name} at {level:g} dB", len(missing)
        )


def _uneven(frames: Frames) -> Iterator[Finding]:
    sizes = np.bincount(frames.labels, minlength=len(frames.classes))
    if sizes.max(initial=0) > _UNEVEN * sizes.min(initial=len(frames)):
        most, least = frames.classes[int(sizes.argmax())], frames.classes[int(sizes.argmin())]
        yield Finding(
            "warning",
            f"classes are uneven: {sizes.max()} frames of {most}, {sizes.min()} of {least}; look at macro-F1",
            int(sizes.max() - sizes.min()),
        )


def _defects(frames: Frames) -> Iterator[Finding]:
    for classes, message in DEFECTS.get(frames.name, ()):
        labels = [label for label, name in enumerate(frames.classes) if classes is None or name in classes]
        if count := int(np.isin(frames.labels, labels).sum()):
            yield Finding("warning", f"known of {frames.name}: {message}", count)


def _scale(frames: Frames) -> Iterator[Finding]:
    how = normalisation(frames)
    if how is not None:
        yield Finding("note", f"frames are scaled to a {_SCALES[how]} of 1 ({how!r})", len(frames))
    elif len(frames):
        power = _scales(frames)[:, 0]
        yield Finding(
            "note",
            f"frames have no common scale: their mean power goes from {power.min():.3g} to {power.max():.3g}",
            len(frames),
        )
