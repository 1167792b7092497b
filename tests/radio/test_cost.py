"""Costs are held to counts that were worked out by hand, and to those that the authors of a network print."""

import pytest
import torch
from torch import nn

from tamis.radio.baselines.iqformer import IQFormer
from tamis.radio.baselines.vtcnn2 import VTCNN2
from tamis.radio.clst import ClST
from tamis.radio.config import ClSTConfig, KDCNNConfig, KDMobileNetConfig, NetworkConfig
from tamis.radio.cost import macs, parameters
from tamis.radio.kdcnn import KDCNN
from tamis.radio.kdmobilenet import KDMobileNet
from tamis.radio.network import Network


@pytest.mark.parametrize(
    ("network", "numbers", "millions"),
    [
        (ClST(ClSTConfig.tiny()), 533_595, "9.17"),
        (ClST(ClSTConfig.small()), 1_305_547, "23.8"),
        (ClST(ClSTConfig.base()), 3_931_123, "65.4"),
        (KDCNN(), 37_867, "1.44"),
        (KDCNN(KDCNNConfig.scaled(0.5)), 11_259, "0.375"),
        (KDMobileNet(), 63_739, "1.7"),
        (KDMobileNet(KDMobileNetConfig.scaled(0.5)), 17_715, "0.455"),
        (VTCNN2(), 2_830_427, "19.1"),
        (IQFormer(), 355_049, "44.4"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_parameters_and_macs_are_the_known_ones(network: Network, numbers: int, millions: str) -> None:
    assert parameters(network) == numbers
    assert f"{macs(network) / 1e6:.3g}" == millions


def test_the_largest_clst_has_the_known_cost() -> None:
    network = ClST(ClSTConfig.large())
    assert parameters(network) == 19_609_379
    assert f"{macs(network) / 1e6:.3g}" == "298"


class _Mixed(Network):
    """One of every layer that is counted, small enough to count by hand."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.conv = nn.Conv2d(2, 4, (1, 3), (1, 2), groups=2)  # 7 outputs of 4 channels, 3 weights each: 84
        self.lstm = nn.LSTM(4, 5, bidirectional=True, batch_first=True)  # 7 steps of 2 * 4 * 5 * (4 + 5): 2520
        self.gru = nn.GRU(10, 3, num_layers=2, batch_first=True)  # 7 steps of 3 * 3 * (10 + 3) + 3 * 3 * (3 + 3): 1197
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 11)  # 33

    def embed(self, iq: torch.Tensor) -> torch.Tensor:
        signal = self.conv(iq.unsqueeze(2)).squeeze(2).transpose(1, 2)
        states = self.gru(self.lstm(signal)[0])[0]
        features: torch.Tensor = self.norm(states[:, -1])
        return features


def test_every_counted_layer_counts_what_it_counts_by_hand() -> None:
    assert macs(_Mixed(NetworkConfig(samples=16))) == 84 + 2520 + 1197 + 33


def test_counting_leaves_the_network_as_it_was() -> None:
    network = _Mixed(NetworkConfig(samples=16))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    macs(network)
    assert network.training
    assert not network.head._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
