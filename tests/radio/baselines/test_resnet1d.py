"""ResNet1D's stacks and units."""

import pytest
import torch

from tamis.radio.baselines.resnet1d import ResNet1D, ResNet1DConfig


@pytest.mark.parametrize(
    ("samples", "stacks", "left"), [(1024, 6, 16), (256, 6, 4), (128, 5, 4), (16, 2, 4), (100, 4, 6)]
)
def test_stacks_halve_the_length_and_leave_four_samples_or_more(samples: int, stacks: int, left: int) -> None:
    network = ResNet1D(ResNet1DConfig(samples=samples))
    assert len(network.stacks) == stacks
    assert network.stacks(torch.zeros(1, 2, 1, samples)).shape == (1, 32, 1, left)


def test_a_residual_unit_adds_its_two_convolutions_to_what_came_in() -> None:
    unit = ResNet1D().stacks[0][1]
    signal = torch.randn(2, 32, 1, 10)
    first, _, second = unit.layers
    torch.testing.assert_close(unit(signal), signal + second(first(signal).clamp_min(0)))
    with torch.no_grad():
        second.weight.zero_()
        second.bias.zero_()
    torch.testing.assert_close(unit(signal), signal)
