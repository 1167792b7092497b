"""Mixtures: what their captions and times say is what is in them."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tamis.audio.data import load
from tamis.audio.mixtures import PATTERNS, Clip, ComposeConfig, Mixture, active, compose, write
from tamis.core.errors import ConfigError, InputError

CONFIG = ComposeConfig(rate=8000, floor_db=-80.0)
HERTZ = {"low": 200.0, "middle": 700.0, "high": 2500.0}


def clips() -> list[Clip]:
    """Tones of three kinds, two recordings each, with silence before and after."""
    made = []
    for label, hertz in HERTZ.items():
        for take, seconds in (("1", 0.5), ("2", 4.0)):
            tone = np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)
            samples = np.concatenate([np.zeros(800), tone, np.zeros(2400)]).astype(np.float32)
            made.append(Clip(samples, label, (f"a {label} tone sounds",), f"{label}-{take}"))
    return made


def power(mixture: Mixture, label: str, start_s: float, end_s: float) -> float:
    part = mixture.samples[round(start_s * 8000) : round(end_s * 8000)]
    wave = np.exp(-2j * np.pi * HERTZ[label] * np.arange(len(part)) / 8000)
    return float(abs((part * wave).mean()) ** 2)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_event_sounds_where_it_is_said_to_and_nowhere_else(pattern: str) -> None:
    config = ComposeConfig(rate=8000, floor_db=-80.0, patterns=(pattern,))
    for mixture in compose(clips(), 20, config, seed=1):
        assert mixture.pattern == pattern
        assert mixture.samples.shape == (80_000,)
        assert mixture.samples.dtype == np.float32
        assert np.abs(mixture.samples).max() <= 1
        starts = [event.start_s for event in mixture.events]
        assert starts == sorted(starts)
        silent = np.ones(80_000, dtype=bool)
        for event in mixture.events:
            assert power(mixture, event.label, event.start_s + 0.02, event.end_s - 0.02) > 1e-4
            silent[round(event.start_s * 8000) : round(event.end_s * 8000)] = False
        assert np.abs(mixture.samples[silent]).max() < 1e-3


def test_captions_say_the_events_in_the_order_in_which_they_happen() -> None:
    config = ComposeConfig(rate=8000, patterns=("then", "three", "twice"))
    seen = set()
    for mixture in compose(clips(), 200, config):
        order = [event.label for event in mixture.events]
        for caption in mixture.captions:
            spoken = sorted(set(order), key=caption.index)
            if " after " in caption:
                spoken.reverse()
            assert order == (spoken * 2 if mixture.pattern == "twice" else spoken)
            seen.add(caption.replace("low", "x").replace("middle", "x").replace("high", "x"))
    assert len(seen) == 4 + 2 + 3


def test_sounds_at_the_same_time_lie_within_each_other_and_others_do_not_overlap() -> None:
    for mixture in compose(clips(), 100, CONFIG, seed=2):
        spans = [(event.start_s, event.end_s) for event in mixture.events]
        if mixture.pattern == "while":
            (a, b), (c, d) = sorted(spans, key=lambda span: span[0] - span[1])
            assert a <= c
            assert d <= b
        else:
            assert all(start - end >= 0.2 - 1e-3 for (_, end), (start, _) in pairwise(spans))


def test_a_mixture_depends_on_its_seed_and_number_alone() -> None:
    few, many = list(compose(clips(), 3, CONFIG)), list(compose(clips(), 5, CONFIG))
    for one, same in zip(few, many, strict=False):
        assert np.array_equal(one.samples, same.samples)
        assert one[1:] == same[1:]
    assert next(compose(clips(), 1, CONFIG, seed=1)).captions != few[0].captions


def test_an_event_is_no_longer_than_the_longest_and_without_the_silence_around_it() -> None:
    for mixture in compose(clips(), 50, CONFIG):
        for event in mixture.events:
            assert event.end_s - event.start_s == pytest.approx(0.5 if event.source.endswith("1") else 2.5, abs=0.02)


def test_where_a_clip_sounds_is_found_to_ten_milliseconds() -> None:
    clip = clips()[0]
    assert active(clip.samples, 8000) == slice(800, 4800)


def test_clips_that_make_no_mixture_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"clips of 2 kinds \(low, middle\)"):
        next(compose(clips()[:4], 1, CONFIG))
    silent = [Clip(np.zeros(800, np.float32), label, (label,), label) for label in "abc"]
    with pytest.raises(InputError, match="a clip is silent"):
        next(compose(silent, 1, CONFIG))
    denormal = [Clip(np.full(800, 1e-42, np.float32), label, (label,), label) for label in "abc"]
    with pytest.raises(InputError, match="a clip is silent"):
        next(compose(denormal, 1, CONFIG))


def test_a_folder_holds_the_last_mixtures_only(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    other = tmp_path / "mixture-notes.flac"
    other.write_text("mine")
    for count in (5, 2):
        write(compose(clips(), count, CONFIG), 8000, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.flac")) == [
        "mixture-000000.flac",
        "mixture-000001.flac",
        "mixture-notes.flac",
    ]
    mixtures = list(compose(clips(), 2, CONFIG))
    for item, mixture in zip(load("folder", tmp_path).items, mixtures, strict=True):
        assert set(item.sources) == {event.source for event in mixture.events}


def test_what_makes_no_mixture_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    write(compose(clips(), 3, CONFIG), 8000, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match="clips of 2 kinds"):
        write(compose(clips()[:4], 3, CONFIG), 8000, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,caption\na.wav,x\n"),
        ("metadata.jsonl", '{"file_name": "a.wav", "caption": "x"}\n'),
        ("metadata.jsonl", '{"file_name": "take.flac", "pattern": "one", "events": []}\n'),
        ("metadata.jsonl", "{"),
    ],
)
def test_another_data_set_is_not_written_over(tmp_path: Path, name: str, content: str) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="holds another data set; give a folder of its own"):
        write(compose(clips(), 2, CONFIG), 8000, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_run_that_was_cut_off_wrote_goes(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    write(compose(clips(), 3, CONFIG), 8000, tmp_path)

    def cut_off() -> Iterator[Mixture]:
        yield from compose(clips(), 7, CONFIG)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(cut_off(), 8000, tmp_path)
    assert not (tmp_path / "metadata.jsonl").exists()
    write(compose(clips(), 2, CONFIG), 8000, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metadata.jsonl",
        "mixture-000000.flac",
        "mixture-000001.flac",
    ]


def test_sounds_of_the_same_name_that_nobody_composed_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mixture-000000.flac").write_text("mine")
    with pytest.raises(ConfigError, match="holds another data set"):
        write(compose(clips(), 2, CONFIG), 8000, tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_captions_of_one_mixture_differ_while_there_are_other_words() -> None:
    for mixture in compose(clips(), 50, ComposeConfig(rate=8000, patterns=("then",), captions=4)):
        assert len(set(mixture.captions)) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patterns": ("two",)}, "expected some of one, twice"),
        ({"seconds": 5.0}, "three events with gaps of 1 s need 9.5 s"),
        ({"seconds": float("nan")}, "three events with gaps of 1 s need 9.5 s"),
        ({"seconds": float("inf")}, "the limit of a sound is 600 s"),
        ({"captions": 0}, "expected a whole number from 1 to 100"),
        ({"rate": 100}, "at least 1000 Hz"),
        ({"gain_db": (0.0, -9.0)}, r"\(least, greatest\)"),
    ],
)
def test_what_makes_no_mixture_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ComposeConfig(**changes)  # type: ignore[arg-type]


def test_a_clip_with_a_long_pause_is_heard_where_it_sounds() -> None:
    rate, noise = 8000, np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    samples = np.concatenate([noise, np.zeros(8 * rate, np.float32), noise])
    clips = [Clip(samples, label, (f"a {label}",), label) for label in ("dog", "bell", "rain")]
    for mixture in compose(clips, 20, ComposeConfig(rate=rate), seed=0):
        assert np.isfinite(mixture.samples).all()
        for event in mixture.events:
            heard = mixture.samples[round(event.start_s * rate) : round(event.end_s * rate)]
            assert np.abs(heard).max() > 0.02
