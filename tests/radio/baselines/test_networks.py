"""What every baseline network keeps to."""

from pathlib import Path

import pytest
import torch

from tamis.core.errors import ShapeError
from tamis.radio.baselines.iqformer import IQFormer, IQFormerConfig
from tamis.radio.baselines.lstm2 import LSTM2, LSTM2Config
from tamis.radio.baselines.mcldnn import MCLDNN, MCLDNNConfig
from tamis.radio.baselines.petcgdnn import PETCGDNN, PETCGDNNConfig
from tamis.radio.baselines.resnet1d import ResNet1D, ResNet1DConfig
from tamis.radio.baselines.vtcnn2 import VTCNN2, VTCNN2Config
from tamis.radio.cost import macs, parameters
from tamis.radio.network import Network

ALL = {
    VTCNN2: VTCNN2Config,
    ResNet1D: ResNet1DConfig,
    MCLDNN: MCLDNNConfig,
    PETCGDNN: PETCGDNNConfig,
    LSTM2: LSTM2Config,
    IQFormer: IQFormerConfig,
}

every = pytest.mark.parametrize("kind", ALL)


@pytest.mark.parametrize(
    ("kind", "numbers", "multiplications"),
    [
        (VTCNN2, 2_830_427, 19_126_016),
        (ResNet1D, 100_843, 3_212_672),
        (MCLDNN, 406_199, 48_589_568),
        (PETCGDNN, 71_871, 8_117_723),
        (LSTM2, 201_099, 25_298_304),
        (IQFormer, 355_049, 44_447_424),
    ],
)
def test_parameters_are_those_of_the_public_layout(kind: type[Network], numbers: int, multiplications: int) -> None:
    network = kind(ALL[kind]())
    assert parameters(network) == numbers
    assert macs(network) == multiplications


@every
@pytest.mark.parametrize("samples", [16, 256, 1024])
def test_frames_of_other_lengths_and_classes_are_embedded_and_classified(kind: type[Network], samples: int) -> None:
    network = kind(ALL[kind](samples=samples, classes=("BPSK", "QPSK", "noise"))).eval()
    iq = torch.randn(2, 2, samples, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert network(iq).shape == (2, 3)
        assert network.embed(iq).ndim == 2


@every
def test_a_gradient_reaches_every_parameter(kind: type[Network]) -> None:
    torch.manual_seed(0)
    network = kind(ALL[kind]())
    network(torch.randn(16, 2, 128)).square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@every
def test_scale_does_not_matter(kind: type[Network]) -> None:
    network = kind(ALL[kind]()).eval()
    iq = torch.randn(2, 2, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(iq), network(iq * 1e-3), atol=1e-4, rtol=1e-4)


@every
def test_a_frame_of_zeros_gives_finite_logits(kind: type[Network]) -> None:
    network = kind(ALL[kind]())
    logits = network(torch.zeros(2, 2, 128))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(value.grad is None or value.grad.isfinite().all() for value in network.parameters())


@every
def test_a_frame_of_another_length_is_refused(kind: type[Network]) -> None:
    with pytest.raises(ShapeError, match=r"\(1, 2, 100\); expected \(batch, 2, 128\)"):
        kind(ALL[kind]())(torch.zeros(1, 2, 100))


@every
def test_what_was_saved_is_loaded(kind: type[Network], tmp_path: Path) -> None:
    network = kind(ALL[kind](classes=("BPSK", "QPSK"), samples=64)).eval()
    network.save_pretrained(tmp_path / "network")
    loaded = kind.from_pretrained(tmp_path / "network")
    iq = torch.randn(3, 2, 64)
    assert loaded.config == network.config
    with torch.inference_mode():
        torch.testing.assert_close(loaded(iq), network(iq), rtol=0, atol=0)


@every
def test_channels_last_in_memory_changes_nothing(kind: type[Network]) -> None:
    network = kind(ALL[kind]()).eval()
    iq = torch.randn(2, 2, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = network(iq)
        torch.testing.assert_close(network.to(memory_format=torch.channels_last)(iq), plain, atol=1e-5, rtol=1e-4)


@every
def test_a_seed_repeats_the_first_weights(kind: type[Network]) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(kind(ALL[kind]()).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
