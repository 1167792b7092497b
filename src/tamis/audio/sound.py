"""Read sounds from files that nobody vouches for: limits before decoding, block by block, one line for each failure."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis.core.errors import FileError, InputError, LimitError, MissingExtraError, TamisError, one_line
from tamis.core.files import list_files, what_is

if TYPE_CHECKING:
    from jaxtyping import Float32

SUFFIXES = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")
"""How files are named that are looked at in a folder."""
SILENCE = 2.0**-16
"""What is not louder is none: half of the least step of 16 bits."""
_FORMATS = ("AIFF", "AU", "CAF", "FLAC", "MP3", "OGG", "RF64", "W64", "WAV", "WAVEX")  # others are read badly
_BLOCK = 1 << 16  # frames that are decoded at a time


@dataclass(frozen=True)
class Limits:
    """What a reader accepts; more is refused with LimitError, before or while it is decoded."""

    max_bytes: int = 4_000_000_000
    """Size of the file, in bytes."""
    max_seconds: float = 600.0
    """Length of the sound, in seconds: as its header says, and as it is decoded."""
    max_channels: int = 64
    """Channels."""
    min_rate: int = 1_000
    """Least sample rate in Hz: what a header of 1 Hz says would be resampled to gigabytes."""
    max_rate: int = 768_000
    """Greatest sample rate in Hz."""


DEFAULT = Limits()


class Sound(NamedTuple):
    """A sound in memory."""

    samples: Float32[np.ndarray, " samples"]
    """Mono, between -1 and 1 unless the file goes beyond."""
    rate: int
    """Samples a second."""

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate


class Member(NamedTuple):
    """A sound file inside of a tar file that is not compressed."""

    archive: Path
    """The tar file."""
    name: str
    """What it calls the sound; only told, never a path."""
    offset: int
    """Its first byte in the tar file."""
    size: int
    """How many bytes it has."""

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"

    def stat(self) -> os.stat_result:
        """Say size and times of the tar file, which change when a member does."""
        return self.archive.stat()

    def read(self) -> bytes:
        """Read its bytes.

        Raises:
            FileError: If the tar file is missing or ends before them.
        """
        try:
            with self.archive.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise FileError(f"{self}: {error.strerror}; check the path") from error
        if len(content) < self.size:
            raise FileError(f"{self}: cut off after {len(content)} of {self.size} bytes; get the tar file again")
        return content


class About(NamedTuple):
    """What the header of a sound file says."""

    rate: int
    """Samples a second."""
    channels: int
    """Channels."""
    frames: int
    """Samples of each channel; some formats say only after decoding, and then it is a guess."""
    format: str
    """Of the file, such as "FLAC"."""

    @property
    def seconds(self) -> float:
        """Length."""
        return self.frames / self.rate


def probe(path: str | Path | Member, limits: Limits = DEFAULT) -> About:
    """Read the header of a sound file and hold it against the limits.

    Args:
        path: A file of WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, CAF, W64, RF64 or AU; or such a file inside of a tar
            file.
        limits: What is accepted.

    Raises:
        FileError: If the file is missing, damaged or no sound.
        LimitError: If it is too large, too long, or has a rate or a number of channels that nobody records with.
        MissingExtraError: If soundfile is not installed.
    """
    with _opened(path, limits) as file:
        return _about(file)


def read(path: str | Path | Member, rate: int | None = None, limits: Limits = DEFAULT) -> Sound:
    """Read a sound file as one channel, the mean of all.

    Args:
        path: As `probe` takes it.
        rate: Samples a second to resample to; by default as the file has it.
        limits: What is accepted.

    Raises:
        FileError: If the file is missing, damaged, no sound, holds no sample, or holds NaN or infinity.
        LimitError: If it is too large or too long, whatever its header says.
        MissingExtraError: If soundfile or soxr is not installed.
    """
    if rate is not None and not (isinstance(rate, int) and limits.min_rate <= rate <= limits.max_rate):
        raise LimitError(f"rate is {rate!r} Hz; the limits are {limits.min_rate} to {limits.max_rate} Hz")
    with _opened(path, limits) as file:
        about = _about(file)
        parts, count = [], 0
        for block in file.blocks(_BLOCK, dtype="float32", always_2d=True):
            count += len(block)
            if count > limits.max_seconds * about.rate:
                raise LimitError(
                    f"{path}: longer than {limits.max_seconds:g} s, which is the limit, though its header says "
                    f"{about.seconds:.1f} s; cut it"
                )
            mono = block.mean(axis=1)
            if not np.isfinite(mono).all():
                at = (count - len(block) + int((~np.isfinite(mono)).argmax())) / about.rate
                raise FileError(f"{path}: NaN or infinity at {at:.3f} s; save it again")
            parts.append(mono)
    if not count:
        raise FileError(f"{path}: holds no sample; give a sound")
    sound = Sound(np.concatenate(parts), about.rate)
    try:
        return resample(sound, about.rate if rate is None else rate)
    except InputError as error:
        raise FileError(f"{path}: {error}") from error


def checked(sound: Sound, limits: Limits = DEFAULT) -> Sound:
    """Hold a sound that was made in memory to what `read` holds files to.

    Args:
        sound: Samples and their rate, as whoever made it says.
        limits: What is accepted; files have more of them.

    Returns:
        The sound, as float32.

    Raises:
        InputError: If the samples are no row of finite numbers, or are none.
        LimitError: If the rate is one that nobody records with, or the sound is too long.
    """
    samples, rate = np.asarray(sound.samples), sound.rate
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise InputError(
            f"samples are {samples.dtype} of shape {samples.shape}; expected one row of floating-point numbers, mono, "
            "between -1 and 1"
        )
    if not isinstance(rate, int | np.integer) or not limits.min_rate <= rate <= limits.max_rate:
        raise LimitError(f"rate is {rate!r} Hz; the limits are {limits.min_rate} to {limits.max_rate} Hz")
    if not len(samples):
        raise InputError("a sound holds no sample; give one that does")
    if len(samples) > limits.max_seconds * rate:
        raise LimitError(f"a sound of {len(samples) / rate:.1f} s; the limit is {limits.max_seconds:g} s; cut it")
    with np.errstate(over="ignore"):
        single = samples.astype(np.float32, copy=False)
    if not np.isfinite(single).all():
        raise InputError(f"NaN or infinity at {int((~np.isfinite(single)).argmax()) / rate:.3f} s; mend the sound")
    return Sound(single, int(rate))


def hear(sounds: Iterable[str | Path | Member | Sound], rate: int) -> Iterator[Sound]:
    """Give sounds one after another at one rate, whether they lie in files or in memory.

    Args:
        sounds: Files, or sounds in memory.
        rate: Samples a second.

    Raises:
        FileError: If a file is missing, damaged or no sound.
        InputError: If one was given in place of several, or one in memory is none.
        LimitError: If one is too long, or has a rate that nobody records with.
        MissingExtraError: If soundfile or soxr is not installed.
    """
    if isinstance(sounds, str | Path | Member | Sound):
        told = "a sound" if isinstance(sounds, Sound) else str(sounds)
        raise InputError(f"{told} is one sound; give a list of them")
    for sound in sounds:
        if not isinstance(sound, str | Path | Member | Sound):
            raise InputError(f"{type(sound).__name__} is no sound; give a file, or Sound(samples, rate)")
        yield resample(checked(sound), rate) if isinstance(sound, Sound) else read(sound, rate)


def resample(sound: Sound, rate: int) -> Sound:
    """Convert a sound to another sample rate, band-limited; one that has it already is given back.

    Args:
        sound: Of any rate.
        rate: Samples a second.

    Raises:
        InputError: If it is so loud that its numbers overflow.
        MissingExtraError: If soxr is not installed.

    Source:
        libsoxr, quality HQ.
    """
    if sound.rate == rate:
        return sound
    try:
        import soxr
    except ModuleNotFoundError as error:
        raise MissingExtraError("resampling sounds", "audio") from error
    samples = soxr.resample(sound.samples, sound.rate, rate, quality="HQ")
    if not np.isfinite(samples).all():
        raise InputError(f"a sound of magnitude {np.abs(sound.samples).max():.3g} overflows; scale it to 1")
    return Sound(samples, rate)


def files(folder: str | Path) -> list[Path]:
    """List the sound files in a folder and below, sorted by path; links that lead out of the folder are left out.

    Args:
        folder: Where to look; files are told by their suffix.

    Raises:
        FileError: If it is no folder, or holds no sound.
    """
    return list_files(folder, SUFFIXES, "sound")


@contextmanager
def _opened(path: str | Path | Member, limits: Limits) -> Iterator[Any]:
    """Open a sound file whose header is within the limits; what decoding raises becomes one line."""
    try:
        import soundfile
    except (ModuleNotFoundError, OSError) as error:  # OSError: the library itself is missing
        raise MissingExtraError("reading sounds", "audio") from error

    if isinstance(path, Member):
        size = path.size
    else:
        path = Path(path)
        if (found := what_is(path)) != "a file":
            raise FileError(f"{path}: {found}; give a sound file")
        size = path.stat().st_size
    if not size:
        raise FileError(f"{path}: empty; give a sound file")
    if size > limits.max_bytes:
        raise LimitError(f"{path}: {size} bytes, the limit is {limits.max_bytes}; cut it")
    try:
        with soundfile.SoundFile(io.BytesIO(path.read()) if isinstance(path, Member) else _named(path)) as file:
            _check(path, _about(file), limits)
            yield file
    except TamisError:
        raise
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:  # soundfile has its own of files without length
        raise FileError(f"{path}: not a sound, or damaged ({one_line(error)}); save it again") from error


def _named(path: Path) -> Path | bytes:
    """Give a name that libsndfile opens even where it is no Unicode text, as names of files may be on Linux."""
    return path if os.name == "nt" else os.fsencode(path)


def _about(file: Any) -> About:
    return About(file.samplerate, file.channels, file.frames, file.format)


def _check(path: Path | Member, about: About, limits: Limits) -> None:
    if about.format not in _FORMATS:
        raise FileError(f"{path}: a sound in the format {about.format}; convert it to one of {', '.join(_FORMATS)}")
    if not limits.min_rate <= about.rate <= limits.max_rate:
        raise LimitError(f"{path}: {about.rate} Hz; the limits are {limits.min_rate} to {limits.max_rate} Hz")
    if about.channels > limits.max_channels:
        raise LimitError(f"{path}: {about.channels} channels; the limit is {limits.max_channels}")
    unknown = about.frames >= 2**62  # what libsndfile says when the header does not
    if about.seconds > limits.max_seconds and not unknown:
        raise LimitError(f"{path}: {about.seconds:.1f} s; the limit is {limits.max_seconds:g} s; cut it")
