"""Short words on small labels, in a bitmap font of 5 × 7 pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import UInt8

_WORDS = """
ant ape arm ax bat bee bow box bus cap cow cup dad dog ear egg elf fan fly fox go gum gym hat hen hut ice ink jam jar
key kit leg map mud net nut owl ox pen pie pig rat sky tub van wax we web yak zoo
"""
WORDS = tuple(_WORDS.split())
"""The words that are printed."""
PLATE = (11, 21)
"""Height and width of the largest label, in pixels; a word of two letters has a narrower one."""

_LETTERS = """
A .###. #...# #...# ##### #...# #...# #...#
B ####. #...# #...# ####. #...# #...# ####.
C .#### #.... #.... #.... #.... #.... .####
D ####. #...# #...# #...# #...# #...# ####.
E ##### #.... #.... ####. #.... #.... #####
F ##### #.... #.... ####. #.... #.... #....
G .#### #.... #.... #..## #...# #...# .####
H #...# #...# #...# ##### #...# #...# #...#
I ##### ..#.. ..#.. ..#.. ..#.. ..#.. #####
J ..### ...#. ...#. ...#. ...#. #..#. .##..
K #...# #..#. #.#.. ##... #.#.. #..#. #...#
L #.... #.... #.... #.... #.... #.... #####
M #...# ##.## #.#.# #.#.# #...# #...# #...#
N #...# ##..# #.#.# #.#.# #..## #...# #...#
O .###. #...# #...# #...# #...# #...# .###.
P ####. #...# #...# ####. #.... #.... #....
Q .###. #...# #...# #...# #.#.# #..#. .##.#
R ####. #...# #...# ####. #.#.. #..#. #...#
S .#### #.... #.... .###. ....# ....# ####.
T ##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..
U #...# #...# #...# #...# #...# #...# .###.
V #...# #...# #...# #...# .#.#. .#.#. ..#..
W #...# #...# #...# #.#.# #.#.# ##.## #...#
X #...# .#.#. ..#.. ..#.. ..#.. .#.#. #...#
Y #...# .#.#. ..#.. ..#.. ..#.. ..#.. ..#..
Z ##### ....# ...#. ..#.. .#... #.... #####
"""
_FONT = {line[0]: [[dot == "#" for dot in row] for row in line.split()[1:]] for line in _LETTERS.split("\n") if line}


@cache
def plates() -> UInt8[np.ndarray, "words height width"]:
    """Draw every word on a label: 0 where the label is not, 1 where it is blank, 2 where there is ink."""
    drawn = np.zeros((len(WORDS), *PLATE), dtype=np.uint8)
    for plate, word in zip(drawn, WORDS, strict=True):
        plate[:, : 6 * len(word) + 3] = 1
        for place, letter in enumerate(word.upper()):
            plate[2:9, 2 + 6 * place : 7 + 6 * place] += np.array(_FONT[letter], dtype=np.uint8)
    return drawn
