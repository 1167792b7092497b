"""LSTM2 reads amplitude and phase."""

import torch

from tamis.radio.baselines.lstm2 import polar


def test_amplitude_and_phase_in_half_turns_by_hand() -> None:
    iq = torch.tensor([[[1.0, 0.0, -2.0, 3.0, 0.0], [0.0, 1.0, 0.0, -3.0, 0.0]]])
    expected = torch.tensor([[1.0, 1.0, 2.0, 18**0.5, 0.0], [0.0, 0.5, 1.0, -0.25, 0.0]])
    torch.testing.assert_close(polar(iq)[0], expected)
