from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from tamis.vision.lettering import WORDS
from tamis.vision.questions import CHOICES, Questions, ask, captions, contents, merged, targets
from tamis.vision.scenes import CELLS, HARD, HELD_OUT, HUES, LABEL_COLORS, TRAITS, Scenes, draw

Thing = dict[str, str]


@pytest.fixture(scope="module", params=["train", "ood"])
def scenes(request: pytest.FixtureRequest) -> Scenes:
    return draw(0, request.param, 0, 250)


@pytest.fixture(scope="module")
def questions(scenes: Scenes) -> Questions:
    return ask(scenes)


@pytest.fixture(scope="module")
def many() -> Questions:
    return ask(draw(1, "train", 0, 2500))


def things(scenes: Scenes, row: int) -> list[Thing]:
    """The objects of a scene in words."""
    found = []
    for slot in range(6):
        if scenes.cells[row, slot] >= 0:
            thing = {name: TRAITS[name][scenes.traits[name][row, slot]] for name in TRAITS}
            found.append({**thing, "where": CELLS[scenes.cells[row, slot]]})
    return found


def named(words: Iterable[str], seen: list[Thing]) -> list[int]:
    """Which objects fit all words that say a trait."""
    said = {word.removesuffix("es") if word == "crosses" else word.removesuffix("s") for word in words}
    said |= set(words)
    wanted = [word for values in TRAITS.values() for word in values if word in said]
    return [slot for slot, thing in enumerate(seen) if set(wanted) <= set(thing.values())]


def test_every_answer_is_what_one_finds_by_reading_the_question(scenes: Scenes, questions: Questions) -> None:
    order = {name: place for place, name in enumerate(TRAITS["size"])}
    for index, (text, answer) in enumerate(zip(questions.text, questions.answer, strict=True)):
        row, kind = int(questions.scene[index]), questions.kind[index]
        seen = things(scenes, row)
        words = text.split()
        assert words[-1] == "?"
        asked: list[int] = []
        match kind:
            case "size" | "texture" | "color" | "shape" | "where":
                asked = named(words[words.index("the") :], seen)
                assert len(asked) == 1
                assert seen[asked[0]][kind] == answer
            case "count":
                asked = named(words[2:-3], seen)
                assert ["one", "two", "three"].index(answer) + 1 == len(asked)
            case "exists":
                asked = named(words[3:], seen)
                assert (answer == "yes") == bool(asked)
            case "compare":
                parts = re.fullmatch(
                    r"is the (.*) (bigger|smaller|left|right|above|below)(?: of| than)? the (.*) \?", text
                )
                assert parts
                pair = [named(parts[place].split(), seen) for place in (1, 3)]
                assert [len(found) for found in pair] == [1, 1]
                first, second = (seen[found[0]] for found in pair)
                places = [divmod(CELLS.index(thing["where"]), 3) for thing in (first, second)]
                sizes = [order[thing["size"]] for thing in (first, second)]
                holds = {
                    "bigger": sizes[0] > sizes[1],
                    "smaller": sizes[0] < sizes[1],
                    "left": places[0][1] < places[1][1],
                    "right": places[0][1] > places[1][1],
                    "above": places[0][0] < places[1][0],
                    "below": places[0][0] > places[1][0],
                }
                assert holds[parts[2]] == (answer == "yes")
                asked = [*pair[0], *pair[1]]
            case "read":
                shown = [label for label in (0, 1) if scenes.words[row, label] >= 0]
                shown = (
                    [one for one in shown if text[20:] == "?" or LABEL_COLORS[scenes.label_colors[row, one]] in words]
                    if "label" in words
                    else shown
                )
                assert len(shown) == 1
                assert WORDS[scenes.words[row, shown[0]]] == answer
                assert (questions.patches[index] == scenes.label_patches[row, shown[0]]).all()
            case "prior":
                assert (words[1] in TRAITS[words[3]]) == (answer == "yes")
            case "background":
                assert HUES[scenes.hue[row]] == answer
                assert (questions.patches[index] == scenes.background_patches[row]).all()
        if kind not in ("read", "background"):
            patches = scenes.object_patches[row][asked].any(0)
            assert (questions.patches[index] == patches).all()


def test_every_answer_is_one_of_the_choices_and_every_kind_is_asked(questions: Questions) -> None:
    assert set(questions.kind) == set(CHOICES)
    assert all(answer in CHOICES[kind] for kind, answer in zip(questions.kind, questions.answer, strict=True))
    assert 9 < len(questions) / 250 < 15


def test_no_question_is_asked_twice_of_a_scene(questions: Questions) -> None:
    asked = list(zip(questions.scene.tolist(), questions.text, strict=True))
    assert len(set(asked)) == len(asked)
    assert (np.diff(questions.scene) >= 0).all()


def test_questions_are_the_same_whatever_batch_the_scene_is_in() -> None:
    whole, part = ask(draw(0, "test", 0, 60)), ask(draw(0, "test", 30, 60))
    here = np.nonzero(whole.scene >= 30)[0]
    assert [whole.text[i] for i in here] == part.text
    assert [whole.answer[i] for i in here] == part.answer
    assert (whole.patches[here] == part.patches).all()
    assert (whole.hard[here] == part.hard).all()


@pytest.mark.parametrize("kind", [kind for kind in CHOICES if kind != "prior"])
def test_who_reads_the_questions_only_is_at_chance(many: Questions, kind: str) -> None:
    learnt: dict[str, Counter[str]] = defaultdict(Counter)
    overall: Counter[str] = Counter()
    asked = [
        (scene, text, answer)
        for scene, this, text, answer in zip(many.scene.tolist(), many.kind, many.text, many.answer, strict=True)
        if this == kind
    ]
    for scene, text, answer in asked:
        if scene % 2:
            learnt[text][answer] += 1
            overall[answer] += 1
    tested = [
        (learnt.get(text, overall).most_common(1)[0][0], answer) for scene, text, answer in asked if not scene % 2
    ]
    accuracy = sum(guess == answer for guess, answer in tested) / len(tested)
    assert accuracy < 1 / len(CHOICES[kind]) + 0.06


def test_the_answers_of_each_kind_are_equally_frequent(many: Questions) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, answer in zip(many.kind, many.answer, strict=True):
        counts[kind][answer] += 1
    for kind, choices in CHOICES.items():
        expected = counts[kind].total() / len(choices)
        assert all(abs(counts[kind][choice] - expected) < 5 * expected**0.5 for choice in choices), kind


def test_a_no_is_mostly_about_traits_that_are_there_on_other_objects(scenes: Scenes, questions: Questions) -> None:
    near = [
        all(any(word in thing.values() for thing in things(scenes, int(row))) for word in text.split()[3:-1])
        for row, kind, text, answer in zip(
            questions.scene, questions.kind, questions.text, questions.answer, strict=True
        )
        if (kind, answer) == ("exists", "no")
    ]
    assert np.mean(near) > 0.6


def test_held_out_pairs_are_not_spoken_of_in_training() -> None:
    scenes = draw(0, "train", 0, 300)
    said = [*ask(scenes).text, *captions(scenes)]
    for color, shape in np.argwhere(HELD_OUT):
        pair = f"{TRAITS['color'][color]} {TRAITS['shape'][shape]}"
        assert not any(pair in text for text in said)


def test_what_is_asked_about_is_hard_for_the_reason_that_is_told(scenes: Scenes, questions: Questions) -> None:
    for index, hard in enumerate(questions.hard.tolist()):
        row = int(questions.scene[index])
        if HARD[hard] in ("faint", "clutter"):
            assert scenes.hard[row] == hard
        if questions.kind[index] == "size" and scenes.hard[row] in (0, HARD.index("small")):
            assert (hard == HARD.index("small")) == (questions.answer[index] == "small")


def test_a_caption_tells_every_object_and_every_label(scenes: Scenes) -> None:
    for row, caption in enumerate(captions(scenes)):
        parts = caption.split(" and ")
        seen = things(scenes, row)
        labels = [label for label in (0, 1) if scenes.words[row, label] >= 0]
        assert len(parts) == len(seen) + len(labels)
        for part, thing in zip(parts, seen, strict=False):
            assert (
                part
                == f"a {thing['size']} {thing['texture']} {thing['color']} {thing['shape']} at the {thing['where']}"
            )
        for part, label in zip(parts[len(seen) :], labels, strict=True):
            color, word = LABEL_COLORS[scenes.label_colors[row, label]], WORDS[scenes.words[row, label]]
            assert part == f"a {color} label that says {word} at the {CELLS[scenes.label_cells[row, label]]}"


def test_targets_hold_what_the_captions_say(scenes: Scenes) -> None:
    pairs = (("color", "shape"), ("size", "shape"), ("texture", "shape"), ("where", "shape"), ("where", "color"))
    order = [(a, b) for one, two in pairs for a in CHOICES[one] for b in CHOICES[two]]
    for row, hot in enumerate(targets(scenes)[:, : len(order)]):
        bound = {(thing[one], thing[two]) for thing in things(scenes, row) for one, two in pairs}
        assert {order[place] for place in np.nonzero(hot)[0]} == bound
    words = targets(scenes)[:, len(order) :]
    for row, hot in enumerate(words):
        assert set(np.nonzero(hot)[0].tolist()) == set(scenes.words[row].tolist()) - {-1}


def test_contents_of_parts_joined_are_those_of_the_whole_and_every_letter_and_pixel_counts() -> None:
    whole = draw(0, "test", 0, 7)
    cut = [draw(0, "test", start, stop) for start, stop in ((0, 3), (3, 4), (4, 7))]
    known = contents(whole, ask(whole))
    assert b"".join(contents(part, ask(part)) for part in cut) == known
    asked = ask(whole)
    for place in (0, len(asked) - 1):
        for name in ("text", "answer"):
            column = list(getattr(asked, name))
            column[place] += "s"
            assert contents(whole, replace(asked, **{name: column})) != known
    images = whole.images.copy()
    images[6, 2, 95, 95] ^= 1
    assert contents(replace(whole, images=images), asked) != known


def test_questions_that_are_put_together_are_asked_once_and_scene_by_scene(scenes: Scenes) -> None:
    first, other = ask(scenes), ask(replace(scenes, seed=5))
    together = merged([first, other, first])
    said = [*zip(together.scene.tolist(), together.text, strict=True)]
    assert len(said) == len(set(said)) > 1.3 * len(first)
    assert together.scene.tolist() == sorted(together.scene.tolist())
    known = {
        (row, text): (kind, answer, patches.tobytes())
        for asked in (other, first)
        for row, text, kind, answer, patches in zip(
            asked.scene.tolist(), asked.text, asked.kind, asked.answer, asked.patches, strict=True
        )
    }
    assert set(said) == set(known)
    for place, one in enumerate(said):
        assert (together.kind[place], together.answer[place], together.patches[place].tobytes()) == known[one]
