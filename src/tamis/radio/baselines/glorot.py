"""How the baselines that were published in Keras start: its default initial weights."""

from __future__ import annotations

import torch
from torch import nn


def glorot(network: nn.Module) -> None:
    """Draw Glorot-uniform weights, orthogonal recurrent ones, and zero biases but for forget gates, which start at 1.

    Args:
        network: Its convolutions, linear layers, LSTMs and GRUs are set in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LSTM | nn.GRU):
            for name, parameter in module.named_parameters():
                if name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(parameter)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(parameter)
                else:
                    nn.init.zeros_(parameter)
                    if isinstance(module, nn.LSTM) and name.startswith("bias_ih"):
                        with torch.no_grad():
                            parameter[module.hidden_size : 2 * module.hidden_size] = 1
