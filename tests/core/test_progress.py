import io
import sys

import pytest

from tamis.core.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work() -> None:
    with progress("looking at pictures", total=3) as advance:
        advance(2)


def test_a_pipe_gets_nothing_even_where_colours_are_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    work()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_told_what_is_done_and_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    work()
    assert "looking at pictures" in terminal.getvalue()
    assert "2/3" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_an_error_in_the_work_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), progress("dividing"):
        _ = 1 / 0
