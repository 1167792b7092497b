"""Encoded sets: sequences of different lengths, kept and read again, cut and joined."""

import json
import os
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import safetensors.numpy
from tests.audio.encoding import RATE, SENTENCES, SOUNDS, described, encoded, spectrum

from tamis.audio.data import Collection, Item
from tamis.audio.latents import Described, Encoded, Rows, encode, encode_collection, joined
from tamis.audio.sound import Sound, checked, hear
from tamis.core.errors import ConfigError, FileError, InputError, LimitError


def test_sequences_come_out_as_they_went_in_and_are_filled_up_with_nothing() -> None:
    sequences = [np.ones((2, 3)), np.full((5, 3), 2.0), np.full((1, 3), 3.0)]
    rows = Rows.of(sequences)
    for i, sequence in enumerate(sequences):
        np.testing.assert_array_equal(rows.item(i), sequence)
    values, mask = rows.padded([2, 0])
    assert values.shape == (2, 2, 3)
    assert mask.tolist() == [[True, False], [True, True]]
    assert not values[0, 1].any()
    np.testing.assert_array_equal(rows.take([1, 1]).item(1), sequences[1])


def test_a_sound_is_encoded_as_by_itself_and_every_caption_knows_its_sound() -> None:
    sounds = described(5)
    made = encode(sounds, "tones", SOUNDS, SENTENCES)
    for i, one in enumerate(sounds):
        np.testing.assert_array_equal(made.sounds.item(i), spectrum(one.sound.samples))
    assert made.owners.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert made.captions[4] == sounds[2].captions[0]
    assert made.events[3] == sounds[3].events


def test_the_hash_tells_other_sounds_and_other_words() -> None:
    sounds = described(3)
    same, louder = (
        encoded(3),
        encode([sounds[0], sounds[1], sounds[2]._replace(sound=sounds[1].sound)], "tones", SOUNDS, SENTENCES),
    )
    said = encode([*sounds[:2], sounds[2]._replace(captions=("low",))], "tones", SOUNDS, SENTENCES)
    assert len({same.dataset, encoded(3).dataset}) == 1
    assert len({same.dataset, louder.dataset, said.dataset}) == 3


def test_a_set_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    made = encoded(4)
    again = Encoded.load(made.save(tmp_path / "set.safetensors"))
    for name in ("dataset", "ids", "captions", "labels", "events", "patterns", "encoders", "missing"):
        assert getattr(again, name) == getattr(made, name), name
    np.testing.assert_array_equal(again.sounds.values, made.sounds.values)
    np.testing.assert_array_equal(again.sentences.starts, made.sentences.starts)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    file = encoded(2).save(tmp_path / "set.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FileError, match="no encoded sounds"):
        Encoded.load(file)


def test_numbers_that_were_changed_are_found(tmp_path: Path) -> None:
    file = encoded(2).save(tmp_path / "set.safetensors")
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(FileError, match=r"no encoded sounds \(it was changed\)"):
        Encoded.load(file)


def test_another_folder_of_the_same_names_sizes_and_times_is_encoded_anew(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    found = []
    for folder, one in zip(("a", "b"), described(2), strict=True):
        path = tmp_path / folder / "x.wav"
        path.parent.mkdir()
        soundfile.write(path, one.sound.samples[:4000], RATE)
        os.utime(path, (0, 0))
        collection = Collection("set", (Item("x.wav", path, ("low",)),))
        found.append(encode_collection(collection, SOUNDS, SENTENCES, cache=tmp_path / "kept").dataset)
    assert found[0] != found[1]


def test_a_subset_keeps_what_belongs_together_and_joining_undoes_it() -> None:
    made = encoded(6)
    parts = [made.subset([4, 1], "some"), made.subset([0, 2, 3, 5], "others")]
    assert parts[0].ids == (made.ids[4], made.ids[1])
    assert [parts[0].captions[i] for i in np.flatnonzero(parts[0].owners == 0)] == list(made.captions[8:10])
    whole = joined(parts, "whole")
    assert len(whole) == 6
    for i, one in enumerate(whole.ids):
        number = made.ids.index(one.partition("/")[2])
        np.testing.assert_array_equal(whole.sounds.item(i), made.sounds.item(number))
        assert whole.labels[i] == made.labels[number]


def test_sets_of_other_encoders_are_not_joined() -> None:
    made = encoded(2)
    other = encode(
        described(2),
        "x",
        SOUNDS,
        type(SENTENCES)(lambda s: np.ones((len(s), 4), np.float32), name="o", width=4, version="2"),
    )
    with pytest.raises(ConfigError, match="was encoded by"):
        joined([made, other], "both")


def test_what_cannot_be_read_is_told_and_nothing_at_all_is_refused() -> None:
    with pytest.warns(UserWarning, match=r"tones: .* are left out, 1 in all \(bad.wav: damaged\)"):
        made = encode([*described(2), FileError("bad.wav: damaged")], "tones", SOUNDS, SENTENCES)
    assert (len(made), made.missing) == (2, ("bad.wav: damaged",))
    with pytest.raises(InputError, match=r"no sound could be read \(bad.wav"):
        encode([FileError("bad.wav: damaged")], "tones", SOUNDS, SENTENCES)


def test_a_collection_is_encoded_once_while_its_files_stay_the_same(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path, one in zip(paths, described(2), strict=True):
        soundfile.write(path, one.sound.samples, RATE)
    collection = Collection("two", tuple(Item(path.name, path, ("low",)) for path in paths))
    first = encode_collection(collection, SOUNDS, SENTENCES, cache=tmp_path / "kept")
    files = list((tmp_path / "kept").iterdir())
    np.testing.assert_array_equal(
        encode_collection(collection, SOUNDS, SENTENCES, cache=tmp_path / "kept").sounds.values, first.sounds.values
    )
    assert list((tmp_path / "kept").iterdir()) == files
    soundfile.write(paths[0], described(3)[2].sound.samples[:4000], RATE)
    changed = encode_collection(collection, SOUNDS, SENTENCES, cache=tmp_path / "kept")
    assert changed.dataset != first.dataset
    (kept,) = set((tmp_path / "kept").iterdir()) - set(files)
    kept.write_bytes(b"half")
    with pytest.warns(UserWarning, match="no encoded sounds"):
        mended = encode_collection(collection, SOUNDS, SENTENCES, cache=tmp_path / "kept")
    np.testing.assert_array_equal(mended.sounds.values, Encoded.load(kept).sounds.values)
    other = type(SOUNDS)(
        lambda s: np.ones((1, 3), np.float32), name="o", rate=RATE, width=3, window_s=1.0, hop_s=1.0, version="1"
    )
    encode_collection(collection, other, SENTENCES).save(kept)
    with pytest.warns(UserWarning, match="encoded by others than"):
        assert encode_collection(collection, SOUNDS, SENTENCES, cache=tmp_path / "kept").encoders == first.encoders
    paths[0].unlink()
    with pytest.warns(UserWarning, match="left out, 1 in all"):
        assert encode_collection(collection, SOUNDS, SENTENCES).ids == ("b.wav",)


def test_what_is_no_sound_is_said() -> None:
    arrays: Any = [np.zeros(8, np.float32)]
    with pytest.raises((InputError, jaxtyping.TypeCheckError), match="sound"):
        list(hear(arrays, RATE))


@pytest.mark.parametrize(
    "changes",
    [
        {"owners": np.array([999, 0])},
        {"owners": np.zeros(1, np.int64)},
        {"ids": ("a",)},
        {"labels": ()},
        {"encoders": {}},
        {"encoders": []},
        {"sounds": Rows(np.zeros((2, 4), np.float32), np.array([0, 1, 10**6]))},
        {"sounds": Rows(np.full((2, 4), np.nan, np.float32), np.array([0, 1, 2]))},
        {"sounds": Rows(np.zeros(2, np.float32), np.array([0, 1, 2]))},
        {"sentences": Rows(np.zeros((2, 4), np.float32), np.array([0, 2]))},
    ],
)
def test_a_file_whose_parts_do_not_fit_is_damaged(tmp_path: Path, changes: dict[str, Any]) -> None:
    made = encode([one._replace(captions=one.captions[:1]) for one in described(2)], "tones", SOUNDS, SENTENCES)
    made.save(tmp_path / "good")
    np.testing.assert_array_equal(Encoded.load(tmp_path / "good").owners, [0, 1])
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    told = {n: getattr(made, n) for n in ("dataset", "ids", "captions", "labels", "events", "patterns", "missing")}
    tensors = {
        "sounds": made.sounds.values,
        "sound_starts": made.sounds.starts,
        "sentences": made.sentences.values,
        "sentence_starts": made.sentences.starts,
        "owners": made.owners,
    }
    text = json.dumps({**told, "encoders": made.encoders})
    safetensors.numpy.save_file(tensors, tmp_path / "bad", {"tamis": text})
    with pytest.raises(FileError, match=r"no encoded sounds .*; encode them again"):
        Encoded.load(tmp_path / "bad")


@pytest.mark.parametrize(
    ("sound", "error", "message"),
    [
        (Sound(np.zeros((2, 100), np.float32), 8000), InputError, r"float32 of shape \(2, 100\); expected one row"),
        (Sound(np.zeros(100, np.int16), 8000), InputError, "int16 of shape"),
        (Sound(np.zeros(100, np.float32), 0), LimitError, "rate is 0 Hz; the limits are 1000 to 768000 Hz"),
        (Sound(np.zeros(0, np.float32), 8000), InputError, "holds no sample"),
        (Sound(np.array([0, np.nan], np.float32), 8000), InputError, "NaN or infinity at 0.000 s"),
        (Sound(np.array([0, 1e300]), 8000), InputError, "NaN or infinity"),
        (Sound(np.zeros(700_000, np.float32), 1000), LimitError, "700.0 s; the limit is 600 s"),
    ],
)
def test_a_sound_in_memory_is_held_to_what_files_are(sound: Sound, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked(sound)
    with pytest.raises(error, match=message):
        encode([Described("x", sound, ("a",))], "one", SOUNDS, SENTENCES)
