"""MCLDNN's paddings, against sums written out."""

import torch

from tamis.radio.baselines.mcldnn import MCLDNN


def test_the_convolution_of_one_row_sees_the_past_only() -> None:
    branch = MCLDNN().in_phase
    weight, bias = branch[1].weight[:, 0, 0], branch[1].bias
    row = torch.randn(12)
    with torch.no_grad():
        out = branch(row[None, None, None])[0, :, 0]
    for time in range(12):
        past = [row[time - lag] if time >= lag else torch.tensor(0.0) for lag in range(7, -1, -1)]
        expected = (weight @ torch.stack(past) + bias).relu()
        torch.testing.assert_close(out[:, time], expected)


def test_the_convolution_of_both_rows_looks_three_samples_back_and_four_ahead() -> None:
    branch = MCLDNN().both
    weight, bias = branch[1].weight[:, 0], branch[1].bias
    rows = torch.randn(2, 12)
    with torch.no_grad():
        out = branch(rows[None, None])[0]
    for height, pair in enumerate([rows, torch.stack([rows[1], torch.zeros(12)])]):
        for time in range(12):
            window = torch.zeros(2, 8)
            for tap in range(8):
                if 0 <= time + tap - 3 < 12:
                    window[:, tap] = pair[:, time + tap - 3]
            expected = ((weight * window).sum(dim=(1, 2)) + bias).relu()
            torch.testing.assert_close(out[:, height, time], expected)
