"""Sounds that libsndfile wrote, and files that are not what they say."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tamis.audio.sound import Limits, Sound, files, probe, read, resample
from tamis.core.errors import FileError, InputError, LimitError

RATE = 8000


def tone(seconds: float = 0.5, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff", "a.mp3"])
def test_what_was_written_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(rate=44_100), 44_100)
    sound, about = read(path), probe(path)
    assert (sound.rate, about.rate, about.channels) == (44_100, 44_100, 1)
    lossy = name in ("a.ogg", "a.mp3")
    n = min(len(sound.samples), 22_050)
    assert abs(len(sound.samples) - 22_050) < (3000 if lossy else 1)
    assert np.abs(sound.samples[2000 : n - 3000] - tone(rate=44_100)[2000 : n - 3000]).max() < (0.05 if lossy else 1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(), -tone(), 3 * tone(hertz=100) / 3, np.zeros(4000, np.float32)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, RATE, subtype="FLOAT")
    np.testing.assert_allclose(read(tmp_path / "a.wav").samples, tone(hertz=100) / 4, atol=1e-6)


def test_a_resampled_tone_is_the_same_tone() -> None:
    slow = resample(Sound(tone(1.0, 44_100), 44_100), 16_000)
    assert slow.rate == 16_000
    assert slow.seconds == pytest.approx(1.0)
    np.testing.assert_allclose(slow.samples[500:-500], tone(1.0, 16_000)[500:-500], atol=1e-3)


def test_what_lies_above_half_the_new_rate_is_gone() -> None:
    slow = resample(Sound(tone(1.0, 44_100, 10_000.0), 44_100), 16_000)
    assert np.abs(slow.samples[500:-500]).max() < 1e-3


def test_a_file_is_resampled_when_another_rate_is_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    assert read(tmp_path / "a.wav", RATE).rate == RATE
    assert len(read(tmp_path / "a.wav", 16_000).samples) == 8000


def test_a_sound_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    long = np.random.default_rng(0).uniform(-1, 1, 200_001).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", long, 44_100, subtype="FLOAT")
    assert np.array_equal(read(tmp_path / "a.wav").samples, long)


def test_a_sample_that_is_no_number_is_said_with_its_time(tmp_path: Path) -> None:
    bad = tone(10.0)
    bad[72_000] = np.nan
    soundfile.write(tmp_path / "a.wav", bad, RATE, subtype="FLOAT")
    with pytest.raises(FileError, match=r"a\.wav: NaN or infinity at 9\.000 s; save it again$"):
        read(tmp_path / "a.wav")


def wav(rate: int = RATE, channels: int = 1, data: bytes = b"\0\0" * 100, claimed: int | None = None) -> bytes:
    """A 16-bit WAV file whose header may lie."""
    size = len(data) if claimed is None else claimed
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + head + b"data" + struct.pack("<I", size) + data


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"", FileError, "empty; give a sound file"),
        (b"RIFF", FileError, "not a sound, or damaged"),
        (b"<!doctype html><title>404</title>", FileError, "not a sound, or damaged"),
        (wav(data=b""), FileError, "holds no sample"),
        (wav(rate=1), LimitError, "1 Hz; the limits are 1000 to 768000 Hz"),
        (wav(rate=900_000), LimitError, "900000 Hz; the limits"),
        (wav(channels=65, data=b"\0\0" * 650), LimitError, "65 channels; the limit is 64"),
        (wav(data=b"\0\0" * 16_000), LimitError, "2.0 s; the limit is 1 s; cut it"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, content: bytes, error: type[Exception], said: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(error) as raised:
        read(path, limits=Limits(max_seconds=1.0))
    assert str(raised.value).startswith(f"{path}: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_header_that_claims_more_than_there_is_gives_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(data=b"\1\0" * 100, claimed=4000))
    assert len(read(tmp_path / "a.wav").samples) == 100


def test_a_file_that_is_missing_or_a_folder_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / "none.wav")
    with pytest.raises(FileError, match="a folder; give a sound file"):
        read(tmp_path)
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    with pytest.raises(LimitError, match="8044 bytes, the limit is 8000"):
        probe(tmp_path / "a.wav", Limits(max_bytes=8000))


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode on Windows")
def test_a_name_that_is_no_text_is_opened(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.ones(100), 8000)
    path = Path(os.fsdecode(bytes(tmp_path) + b"/bad\xff.wav"))
    (tmp_path / "a.wav").rename(path)
    assert len(read(path).samples) == 100


def test_what_overflows_is_refused(tmp_path: Path) -> None:
    loud = (tone() * 1e38).astype(np.float32)
    with pytest.raises(InputError, match=r"magnitude 5e\+37 overflows; scale it to 1"):
        resample(Sound(loud, RATE), 44_100)
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    with pytest.raises(FileError, match=r"loud\.wav: a sound of magnitude 5e\+37 overflows"):
        read(tmp_path / "loud.wav", 44_100)


def test_only_sounds_inside_the_folder_are_listed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for path in (tmp_path / "out.wav", root / "b.wav", root / "sub" / "a.FLAC", root / "-c.ogg", root / "notes.txt"):
        path.write_bytes(b"x")
    (root / "link.wav").symlink_to(tmp_path / "out.wav")
    assert [path.name for path in files(root)] == ["-c.ogg", "b.wav", "a.FLAC"]
    with pytest.raises(FileError, match="not a folder"):
        files(root / "b.wav")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileError, match="holds no sound"):
        files(tmp_path / "bare")


@pytest.mark.parametrize(("name", "kind", "subtype"), [("v.xi", "XI", "DPCM_16"), ("v.sds", "SDS", "PCM_16")])
def test_formats_that_are_read_badly_are_refused(tmp_path: Path, name: str, kind: str, subtype: str) -> None:
    soundfile.write(tmp_path / name, np.zeros(4410), 44_100, format=kind, subtype=subtype)
    with pytest.raises(FileError, match=f"a sound in the format {kind}; convert it|not a sound, or damaged"):
        read(tmp_path / name)


def test_a_wave_by_the_name_of_none_is_one_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.wav", np.zeros(4410), 44_100)
    (tmp_path / "v.wav").rename(tmp_path / "v.raw")
    with pytest.raises(FileError, match="not a sound, or damaged"):
        read(tmp_path / "v.raw")
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / ("x" * 300))


@pytest.mark.parametrize("rate", [0, -1, 10**12])
def test_a_rate_that_nobody_has_is_refused(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "v.wav", np.zeros(4410), 44_100)
    with pytest.raises(LimitError, match="the limits are 1000 to 768000 Hz"):
        read(tmp_path / "v.wav", rate)
