"""PET-CGDNN's two ways of saying what the authors say otherwise."""

import cmath

import torch

from tamis.radio.baselines.petcgdnn import PETCGDNN, turn


def test_turning_multiplies_by_a_complex_number() -> None:
    turned = turn(torch.tensor([[[1.0, 0.0, 3.0], [0.0, 2.0, -1.0]]]), torch.tensor([[0.7]]))
    expected = [value * cmath.exp(-0.7j) for value in (1, 2j, 3 - 1j)]
    torch.testing.assert_close(turned[0], torch.tensor([[z.real for z in expected], [z.imag for z in expected]]))


def test_i_and_q_as_channels_are_i_and_q_as_rows_of_one_kernel() -> None:
    first = PETCGDNN().convolutions[0]
    iq = torch.randn(3, 2, 128)
    rows = torch.nn.functional.conv2d(iq.unsqueeze(1), first.weight.transpose(1, 2), first.bias)
    torch.testing.assert_close(first(iq.unsqueeze(2)), rows)
