"""The first weights of the baselines that were published in Keras."""

import torch
from torch import nn

from tamis.radio.baselines.glorot import glorot


def test_weights_stay_within_the_bound_and_fill_it() -> None:
    layers = nn.Sequential(nn.Conv2d(20, 40, (1, 5)), nn.Linear(30, 70, bias=False))
    glorot(layers)
    for weight, bound in ((layers[0].weight, (6 / (100 + 200)) ** 0.5), (layers[1].weight, (6 / 100) ** 0.5)):
        assert 0.95 * bound < weight.abs().max() <= bound
    assert not layers[0].bias.any()


def test_recurrent_weights_are_orthogonal_and_only_the_forget_gate_starts_open() -> None:
    lstm, gru = nn.LSTM(3, 4, num_layers=2, bidirectional=True), nn.GRU(3, 4)
    glorot(nn.ModuleList([lstm, gru]))
    for weight in (lstm.weight_hh_l0, lstm.weight_hh_l1_reverse, gru.weight_hh_l0):
        torch.testing.assert_close(weight.T @ weight, torch.eye(4), atol=1e-5, rtol=0)
    gates = torch.tensor([0.0] * 4 + [1.0] * 4 + [0.0] * 8)
    for layer in ("l0", "l0_reverse", "l1", "l1_reverse"):
        torch.testing.assert_close(getattr(lstm, f"bias_ih_{layer}") + getattr(lstm, f"bias_hh_{layer}"), gates)
    assert not gru.bias_ih_l0.any()
