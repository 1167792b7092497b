import numpy as np

from tamis.vision.lettering import WORDS, plates


def test_there_are_enough_words_of_two_or_three_letters_each_once() -> None:
    assert len(set(WORDS)) == len(WORDS) >= 40
    assert {len(word) for word in WORDS} == {2, 3}


def test_a_label_shows_its_word_in_ink_with_a_blank_edge() -> None:
    ox = plates()[WORDS.index("ox")]
    picture = ["".join(" .#"[code] for code in row) for row in ox.tolist()]
    assert [row[:15] for row in picture] == [
        "...............",
        "...............",
        "...###..#...#..",
        "..#...#..#.#...",
        "..#...#...#....",
        "..#...#...#....",
        "..#...#...#....",
        "..#...#..#.#...",
        "...###..#...#..",
        "...............",
        "...............",
    ]
    assert {row[15:] for row in picture} == {" " * 6}


def test_no_two_words_look_alike() -> None:
    drawn = (plates() == 2).reshape(len(WORDS), -1)
    differ = (drawn[:, None] != drawn[None, :]).sum(2) + 99 * np.eye(len(WORDS), dtype=int)
    assert differ.min() >= 4
