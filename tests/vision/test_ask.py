from __future__ import annotations

import pytest

from tamis.vision.ask import Answer, table


def answer(method: str, keep: str, *, same: bool) -> Answer:
    return Answer(method, keep, "a dog", 14.0, 22.0, 0.01, 1000, same)


@pytest.mark.parametrize(
    ("chance", "method", "says"),
    [
        (True, False, "At 10% random selection gives the unpruned answer where fastervlm does not"),
        (True, True, "At 10% random selection gives the unpruned answer too"),
        (False, True, None),
        (False, False, None),
    ],
)
def test_a_method_is_held_against_chance(chance: bool, method: bool, says: str | None) -> None:
    answers = [
        answer("all", "100%", same=True),
        answer("fastervlm", "10%", same=method),
        answer("uniform", "10%", same=False),
        answer("random", "10%", same=chance),
        answer("tamis", "5%", same=False),
    ]
    first, *others = table(answers).notes
    assert first.startswith(f"{4 - method - chance} of 4 pruned answers differ")
    assert (says is None) == (not others)
    assert all(says is not None and note.startswith(says) for note in others)
