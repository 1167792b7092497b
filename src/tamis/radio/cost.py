"""What a network costs: its parameters, and the multiplications that one frame takes."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from tamis.radio.network import Network


def parameters(network: Network) -> int:
    """Count the numbers that training sets; running means and variances are none of them."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network: Network) -> int:
    """Count the multiply-accumulates of one frame.

    Counted: every weight of a convolution, a linear layer, an LSTM or a GRU, as often as it is used. Not counted:
    biases, normalisations, activations, pooling, fixed transforms, and the products of attention among activations.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d | nn.Linear):
            total += module.weight[0].numel() * output.numel()
        else:
            weights = sum(weight.numel() for name, weight in module.named_parameters() if "weight" in name)
            total += weights * math.prod(inputs[0].shape[:2])

    probe = copy.deepcopy(network).eval()
    for module in probe.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.LSTM | nn.GRU):
            module.register_forward_hook(count)
    with torch.inference_mode():
        probe(next(probe.parameters()).new_zeros(1, 2, network.config.samples))
    return total
