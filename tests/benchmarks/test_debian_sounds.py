from __future__ import annotations

from pathlib import Path

import pytest

from debian_sounds import sonic_pi, tuxpaint
from tamis.core.errors import FileError


def test_samples_of_sonic_pi_are_told_by_the_longest_beginning_of_their_names(tmp_path: Path) -> None:
    for name in ("drum_bass_hard", "drum_cymbal_soft", "loop_amen", "misc_burp"):
        (tmp_path / f"{name}.flac").touch()
    found = {item.id: item.labels[0] for item in sonic_pi(tmp_path).items}
    assert found == {
        "drum_bass_hard.flac": "bass drum",
        "drum_cymbal_soft.flac": "cymbal",
        "loop_amen.flac": "drum loop",
    }
    with pytest.raises(FileError, match="holds none of Sonic Pi's samples"):
        sonic_pi(tmp_path / "none")


def test_stamps_are_described_by_their_first_line_unless_it_is_a_motto(tmp_path: Path) -> None:
    for name, said in (("duck", "A duck."), ("sign", "Stop!"), ("duck_desc", "A duck."), ("long", "A b c d e")):
        (tmp_path / f"{name}.ogg").touch()
        (tmp_path / f"{name}.txt").write_text(f"{said}\nes.utf8=Un pato.\n", encoding="utf-8")
    (tmp_path / "mute.ogg").touch()
    (item,) = tuxpaint(tmp_path).items
    assert (item.id, item.captions, item.labels) == ("duck.ogg", ("a duck",), ("duck",))
    with pytest.raises(FileError, match="holds none of Tux Paint's sounds"):
        tuxpaint(tmp_path / "none")
