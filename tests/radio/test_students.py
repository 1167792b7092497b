"""KD-CNN and KD-MobileNet: their counts, and their layouts against functions written out."""

import itertools

import pytest
import torch
from tests.radio.small import cnn, mobile, noise
from torch import Tensor
from torch.nn import functional

from tamis.radio.config import KDCNNConfig, KDMobileNetConfig
from tamis.radio.cost import parameters
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet


def cnn_count(widths: tuple[int, ...], hidden: int, classes: int) -> int:
    """Convolutions of 7 without bias, batch normalisation, two linear layers with bias."""
    convolutions = sum(7 * a * b + 2 * b for a, b in zip((2, *widths), widths, strict=False))
    return convolutions + (widths[-1] + 1) * hidden + (hidden + 1) * classes


def mobile_count(widths: tuple[int, ...], expansion: int, classes: int) -> int:
    total = 7 * 2 * widths[0] + 2 * widths[0]
    for a, b in itertools.pairwise(widths):
        for before in (a, b):
            inside = expansion * before
            total += before * inside + 2 * inside + 5 * inside + 2 * inside + inside * b + 2 * b
    return total + (widths[-1] + 1) * classes


@pytest.mark.parametrize(
    ("factor", "golden"), [(0.25, None), (0.5, 11_259), (0.75, None), (1.0, 37_867), (1.5, None), (2.0, None)]
)
def test_kd_cnn_has_the_parameters_of_its_widths(factor: float, golden: int | None) -> None:
    config = KDCNNConfig.scaled(factor)
    count = parameters(KDCNN(config))
    assert count == cnn_count(config.widths, 64, 11)
    assert golden in (None, count)


@pytest.mark.parametrize(
    ("factor", "golden"), [(0.25, None), (0.5, 17_715), (0.75, None), (1.0, 63_739), (1.5, None), (2.0, None)]
)
def test_kd_mobilenet_has_the_parameters_of_its_widths(factor: float, golden: int | None) -> None:
    config = KDMobileNetConfig.scaled(factor)
    count = parameters(KDMobileNet(config))
    assert count == mobile_count(config.widths, 3, 11)
    assert golden in (None, count)


def test_both_students_have_the_parameters_of_their_own_fields() -> None:
    assert parameters(cnn(widths=(4, 12), hidden=10)) == cnn_count((4, 12), 10, 3)
    assert parameters(mobile(widths=(4, 12), expansion=5)) == mobile_count((4, 12), 5, 3)


def normalised(signal: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{one}"][:, None] for one in ("running_mean", "running_var", "weight", "bias")
    )
    return (signal - mean) / (variance + 1e-5).sqrt() * weight + bias


def test_kd_cnn_is_three_steps_of_convolution_and_pooling_then_a_mean() -> None:
    network = cnn(widths=(4, 8, 8))
    network(noise(16))
    state = network.eval().state_dict()
    signal = noise()
    for layer in range(3):
        signal = functional.conv1d(signal, state[f"convolutions.{4 * layer}.weight"][:, :, 0], padding=3)
        signal = normalised(signal, state, f"convolutions.{4 * layer + 1}").relu()
        signal = torch.stack([signal[..., 0::2], signal[..., 1::2]]).amax(dim=0)
    assert signal.shape == (4, 8, 32 // 8)
    with torch.inference_mode():
        torch.testing.assert_close(network.embed(noise()), signal.mean(dim=2))
        hidden = (signal.mean(dim=2) @ state["head.0.weight"].T + state["head.0.bias"]).relu()
        logits = hidden @ state["head.3.weight"].T + state["head.3.bias"]
        torch.testing.assert_close(network.head(network.embed(noise())), logits)


def test_kd_mobilenet_is_a_stem_then_pairs_of_inverted_residuals_then_a_mean() -> None:
    network = mobile(widths=(4, 8, 8), expansion=2)
    network(noise(16))
    state = network.eval().state_dict()

    def convolved(signal: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"][:, :, 0]
        return functional.conv1d(signal, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)

    signal = normalised(convolved(noise(), "convolutions.0"), state, "convolutions.1").clamp(0, 6)
    for number, (before, stride) in enumerate([(4, 2), (8, 1), (8, 2), (8, 1)], start=3):
        name = f"convolutions.{number}.layers"
        inside = normalised(convolved(signal, f"{name}.0"), state, f"{name}.1").clamp(0, 6)
        inside = normalised(convolved(inside, f"{name}.3", stride, 2 * before), state, f"{name}.4").clamp(0, 6)
        inside = normalised(convolved(inside, f"{name}.6"), state, f"{name}.7")
        signal = signal + inside if stride == 1 else inside  # between two of stride 2 the shapes differ
    assert signal.shape == (4, 8, 32 // 4)
    with torch.inference_mode():
        torch.testing.assert_close(network.embed(noise()), signal.mean(dim=2))
        logits = signal.mean(dim=2) @ state["head.weight"].T + state["head.bias"]
        torch.testing.assert_close(network.head(network.embed(noise())), logits)


def test_kd_cnn_drops_out_in_training_only() -> None:
    network = cnn(dropout=0.5).eval()
    head = network.head
    hidden = torch.rand(1, 8).expand(2000, 8) + 1
    with torch.inference_mode():
        plain = head[2](hidden)
        assert torch.equal(plain, hidden)
        dropped = head.train()[2](hidden)
    assert set((dropped / hidden).unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(dropped.mean(dim=0), hidden[0], rtol=0.1, atol=0)
