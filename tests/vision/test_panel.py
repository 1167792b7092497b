from __future__ import annotations

import numpy as np
import torch

from tamis.vision.panel import draw


def cell(panel: np.ndarray, row: int, column: int) -> np.ndarray:
    """The pixels of one picture of a panel, below its label."""
    top, left = row * (224 + 38 + 12) + 38, column * (224 + 12)
    return panel[top : top + 224, left : left + 224, :3].astype(int)


def test_kept_patches_keep_their_colours_and_dropped_ones_lose_them() -> None:
    shown = np.zeros((32, 32, 3), dtype=np.uint8)
    shown[..., 0] = 220
    mask = np.zeros(16, dtype=bool)
    mask[[0, 5]] = True
    nothing = np.zeros(16, dtype=bool)
    scores = [torch.arange(16.0), torch.ones(16)]
    panel = np.asarray(draw(shown, (4, 4), scores, {("ours", "2"): mask, ("none", "2"): nothing}))
    photograph, kept, dropped = cell(panel, 0, 0), cell(panel, 1, 0), cell(panel, 1, 1)
    assert (photograph == [220, 0, 0]).all()
    blocks = kept.reshape(4, 56, 4, 56, 3)
    for patch in range(16):
        block = blocks[patch // 4, :, patch % 4]
        assert (block == [220, 0, 0]).all() == bool(mask[patch])
    assert np.ptp(dropped, axis=-1).max() < 20  # grey


def test_a_panel_has_a_line_per_method_and_a_column_per_budget() -> None:
    masks = {(method, keep): np.ones(4, dtype=bool) for method in "ab" for keep in ("4", "3", "2", "1", "50%")}
    panel = draw(np.zeros((8, 8, 3), dtype=np.uint8), (2, 2), [torch.ones(4), torch.ones(4)], masks)
    assert panel.size == (5 * (224 + 12) - 12, 3 * (224 + 38 + 12) - 12)


def test_many_budgets_go_on_in_the_next_line() -> None:
    masks = {("a", str(budget)): np.ones(4, dtype=bool) for budget in range(20)}
    panel = draw(np.zeros((8, 8, 3), dtype=np.uint8), (2, 2), [torch.ones(4), torch.ones(4)], masks)
    assert panel.size == (8 * (224 + 12) - 12, 4 * (224 + 38 + 12) - 12)


def test_methods_stand_side_by_side_where_budgets_are_few() -> None:
    masks = {(method, "1"): np.ones(4, dtype=bool) for method in "abcde"}
    panel = draw(np.zeros((8, 8, 3), dtype=np.uint8), (2, 2), [torch.ones(4), torch.ones(4)], masks)
    assert panel.size == (4 * (224 + 12) - 12, 3 * (224 + 38 + 12) - 12)
