from tamis.core.errors import FileError
from tamis.vision import questions, scenes, sprites
from tamis.vision.scenes import SPLITS
from tamis.vision.vocabulary import SPECIAL, tokenizer, vocabulary


def test_words_are_sorted_and_each_is_there_once() -> None:
    words = vocabulary()
    assert words[: len(SPECIAL)] == list(SPECIAL)
    assert words[len(SPECIAL) :] == sorted(set(words) - set(SPECIAL))


def texts() -> list[str]:
    made = []
    for split in SPLITS:
        drawn = scenes.draw(0, split, 0, 100)
        asked = questions.ask(drawn)
        made += [*asked.text, *asked.answer, *questions.captions(drawn)]
        try:
            sprites.font_path()
        except FileError:
            continue
        shown = sprites.draw(0, split, 0, 50)
        about = sprites.ask(shown)
        made += [*about.text, *about.answer, *sprites.captions(shown)]
    return made


def test_every_text_survives_the_tokenizer() -> None:
    reader, words = tokenizer(), vocabulary()
    made = texts()
    for text, ids in zip(made, reader(made)["input_ids"], strict=True):
        assert " ".join(words[token] for token in ids) == f"<s> {text}"


def test_the_image_token_and_the_ends_are_single_tokens() -> None:
    reader = tokenizer()
    assert reader("<image> what color is the background ?")["input_ids"][:2] == [1, 4]
    assert (reader.pad_token_id, reader.bos_token_id, reader.eos_token_id, reader.unk_token_id) == (0, 1, 2, 3)
    assert reader("zebrafish")["input_ids"] == [1, 3]


def test_people_write_capitals_and_put_the_question_mark_where_it_belongs() -> None:
    reader = tokenizer()
    assert reader("Where is the top-left dog?") == reader("where is the top-left dog ?")
