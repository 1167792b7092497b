import numpy as np
import pytest

from tamis.vision.silhouettes import DISTRACTORS, SHAPES, TEXTURES, WINDOW, silhouettes, textures

AREAS = {"circle": np.pi * 0.98**2, "square": 1.8**2, "diamond": 2 * 0.75, "ring": np.pi * (0.98**2 - 0.5**2)}


@pytest.mark.parametrize("extent", [9, 16, 28])
@pytest.mark.parametrize("shape", AREAS)
def test_a_shape_has_the_area_of_its_formula(shape: str, extent: int) -> None:
    area = silhouettes()[SHAPES.index(shape), extent].sum() / (extent / 2) ** 2
    assert area == pytest.approx(AREAS[shape], rel=0.03)


def test_every_outline_fills_its_square_from_edge_to_edge_and_nothing_beyond() -> None:
    for outline in silhouettes()[:, 20]:
        rows, columns = (np.nonzero(outline.any(axis))[0] for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) >= 16
        assert max(rows.max(), columns.max()) < 20


def test_shapes_can_be_told_apart_even_when_small() -> None:
    small = silhouettes()[: len(SHAPES), 9].reshape(len(SHAPES), -1)
    differ = np.abs(small[:, None] - small[None]).sum(2) + 99 * np.eye(len(SHAPES))
    assert differ.min() > 9


def test_there_is_an_outline_for_everything_at_every_size() -> None:
    assert silhouettes().shape == (len(SHAPES) + len(DISTRACTORS), WINDOW + 1, WINDOW, WINDOW)
    assert (silhouettes()[:, 3:].sum((2, 3)) > 1).all()


def test_textures_differ_and_only_the_plain_one_is_never_dark() -> None:
    dark = textures().mean((1, 2))
    assert (dark == 0).tolist() == [name == "plain" for name in TEXTURES]
    assert (dark < 0.55).all()
