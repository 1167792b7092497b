from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.vision.test_tiny import SMALL

from tamis.core.errors import FileError, InputError
from tamis.vision import questions, scenes, sprites
from tamis.vision.config import Layout
from tamis.vision.fastervlm import FasterVLM
from tamis.vision.selector import choose
from tamis.vision.tiny import BOS, EOS, IMAGE, TOKENS, build
from tamis.vision.tiny_data import (
    KINDS,
    NAMED,
    Kind,
    attention,
    batch,
    names,
    pack,
    read,
    tokens_of,
    write_scenes,
)
from tamis.vision.tower import look
from tamis.vision.view import Reads
from tamis.vision.vocabulary import vocabulary


def has_font() -> bool:
    try:
        sprites.font_path()
    except FileError:
        return False
    return True


FONT = pytest.param("sprites", marks=pytest.mark.skipif(not has_font(), reason="needs the font Noto Color Emoji"))


@pytest.fixture(scope="module")
def model() -> Any:
    made: Any = build(SMALL).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # so that answers differ
    return made


@pytest.mark.parametrize("positions", ["original", "contiguous", None])
def test_reading_packed_questions_is_reading_each_by_itself(model: Any, positions: Any) -> None:
    drawn = scenes.draw(0, "validation", 0, 3)
    asked = questions.ask(drawn)
    packed = pack(asked, 3, KINDS["scenes"].room)
    pixels = torch.from_numpy(drawn.images) / 127.5 - 1
    selector = FasterVLM(20, layout=Layout(positions=positions or "original"))
    with torch.inference_mode():
        view = look(model.model.vision_tower, pixels, Reads(rows=(1,)), -2)
        kept = None if positions is None else choose(selector, view).mask
        logits = read(model, view.patches, packed, kept, contiguous=positions == "contiguous")
        seen = []
        for row, place in (packed["questions"] >= 0).nonzero().tolist():
            number = int(packed["questions"][row, place])
            ids = torch.tensor([[BOS, *[IMAGE] * TOKENS, *tokens_of(asked.text[number])]])
            stock = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels[row : row + 1]}
            if positions is not None:
                stock = dict(selector.prepare(model, **stock))
            torch.testing.assert_close(logits[row, place], model(**stock).logits[0, -1], atol=2e-4, rtol=2e-4)
            seen.append(number)
    assert sorted(seen) == list(range(len(asked)))


def test_labels_stand_before_the_answer_and_before_its_end() -> None:
    drawn = scenes.draw(0, "train", 0, 8)
    asked = questions.ask(drawn)
    packed = pack(asked, 8, KINDS["scenes"].room)
    words = vocabulary()
    for row, place in (packed["questions"] >= 0).nonzero().tolist():
        number = int(packed["questions"][row, place])
        start = place - len(asked.text[number].split()) + 1
        assert " ".join(words[token] for token in packed["ids"][row, start : place + 1]) == asked.text[number]
        assert words[packed["labels"][row, place]] == asked.answer[number]
        assert packed["labels"][row, place + 1] == EOS
        assert packed["positions"][row, start : place + 3].tolist() == list(range(place + 3 - start))
    assert int((packed["labels"] >= 0).sum()) == 2 * len(asked)


@pytest.mark.parametrize("kind", ["scenes", "scenes-tiles", "scenes-video", FONT])
def test_all_questions_have_room(kind: Kind) -> None:
    subject = KINDS[kind]
    for split in scenes.SPLITS[: 3 if kind == "scenes-video" else 4]:
        asked = subject.ask(subject.draw(1, split, 0, 300))
        assert int((pack(asked, 300, subject.room)["questions"] >= 0).sum()) == len(asked)


def test_what_has_no_room_is_left_out_whole() -> None:
    asked = questions.ask(scenes.draw(0, "train", 0, 2))
    packed = pack(asked, 2, 30)
    assert set(packed["segments"].max(dim=1).values.tolist()) <= {2, 3, 4}
    assert int((packed["labels"] == EOS).sum()) == int((packed["questions"] >= 0).sum())


@pytest.mark.parametrize("answer", ["red red", ""])
def test_an_answer_that_is_not_one_token_is_refused(answer: str) -> None:
    asked = questions.ask(scenes.draw(0, "train", 0, 1))
    wrong = dataclasses.replace(asked, answer=[*asked.answer[:-1], answer])
    with pytest.raises(InputError, match=f"an answer is '{answer}'; expected one word"):
        pack(wrong, 1, KINDS["scenes"].room)


@pytest.mark.parametrize("kind", ["scenes", FONT])
def test_captions_are_as_long_as_is_said(kind: Kind) -> None:
    drawn = KINDS[kind].draw(0, "train", 0, 2)
    assert KINDS[kind].targets(drawn).shape == (2, KINDS[kind].facts)


def test_a_question_sees_the_picture_and_itself_so_far() -> None:
    seen = attention(torch.tensor([[1, 1, 2, 0]]), before=2)[0, 0]
    wanted = [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]
    assert seen.int().tolist() == wanted


def test_patches_are_named_after_what_lies_on_them() -> None:
    drawn = scenes.draw(0, "train", 0, 40)
    told = names(drawn)
    order = list(NAMED)
    for row in range(40):
        for patch in range(TOKENS):
            on = np.nonzero(drawn.object_patches[row, :, patch])[0]
            for trait in ("size", "texture", "color", "shape"):
                wanted = drawn.traits[trait][row, on[0]] if len(on) else -100
                assert told[row, order.index(trait), patch] == wanted
            label = np.nonzero(drawn.label_patches[row, :, patch])[0]
            assert told[row, order.index("word"), patch] == (drawn.words[row, label[0]] if len(label) else -100)
    assert (told[:, order.index("name")] == -100).all()


@pytest.mark.skipif(not has_font(), reason="needs the font Noto Color Emoji")
def test_two_of_three_batches_are_scenes_and_none_is_seen_twice() -> None:
    made = [batch(0, "train", number, 4) for number in range(4)]
    assert [one["facts"].shape[1] == questions.FACTS for one in made] == [True, True, False, True]
    assert made[2]["facts"].shape[1] == sprites.FACTS
    assert torch.equal(made[1]["images"], torch.from_numpy(scenes.draw(0, "train", 4, 8).images))
    assert torch.equal(made[2]["images"], torch.from_numpy(sprites.draw(0, "train", 8, 12).images))
    assert len({one["images"].numpy().tobytes() for one in made}) == 4


@pytest.mark.skipif(not has_font(), reason="needs the font Noto Color Emoji")
def test_facts_of_sprites_say_what_there_is_and_where() -> None:
    drawn = sprites.draw(0, "train", 0, 50)
    facts = sprites.targets(drawn).reshape(50, -1, len(sprites.NAMES))
    for row in range(50):
        things = [i for i in range(6) if drawn.cells[row, i] >= 0]
        sizes = {(drawn.traits["size"][row, i], drawn.traits["name"][row, i]) for i in things}
        places = {(3 + drawn.cells[row, i], drawn.traits["name"][row, i]) for i in things}
        assert {tuple(pair) for pair in np.argwhere(facts[row])} == sizes | places


def test_written_scenes_are_those_that_are_drawn(tmp_path: Path) -> None:
    file = write_scenes(tmp_path / "new", kind="scenes", split="test", count=3)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    drawn = scenes.draw(0, "test", 0, 3)
    asked = questions.ask(drawn)
    assert [line["question"] for line in lines] == asked.text
    assert [line["answer"] for line in lines] == asked.answer
    shown = np.asarray(Image.open(file.parent / lines[-1]["image"]))
    assert np.array_equal(shown, drawn.images[2].transpose(1, 2, 0))
