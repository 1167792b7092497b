"""IQFormer's spectrogram and attention, against scipy and against loops."""

import numpy as np
import torch
from scipy.signal import stft

from tamis.radio.baselines.iqformer import AdditiveAttention, IQFormer, IQFormerConfig
from tamis.radio.cost import parameters


def test_the_spectrogram_is_that_of_scipy() -> None:
    iq = torch.randn(3, 2, 128, generator=torch.Generator().manual_seed(0))
    _, _, transform = stft(iq[:, 0].numpy(), window="blackman", nperseg=31, noverlap=30, nfft=128)
    np.testing.assert_allclose(IQFormer().spectrum(iq).numpy(), transform.real[:, :32], atol=1e-6)


def test_attention_is_the_sum_written_out() -> None:
    torch.manual_seed(0)
    attention = AdditiveAttention(4)
    tokens = torch.randn(1, 3, 4)
    unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
    layers = {
        name: (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for name, layer in attention.named_children()
    }
    apply = lambda name, v: layers[name][0] @ v + layers[name][1]  # noqa: E731
    rows = tokens[0].numpy()
    queries, keys = [unit(apply("query", row)) for row in rows], [unit(apply("key", row)) for row in rows]
    direction = attention.direction.detach().numpy()[:, 0]
    weights = unit(np.array([query @ direction / 4**0.5 for query in queries]))
    pooled = sum(weight * query for weight, query in zip(weights, queries, strict=True))
    expected = [apply("out", apply("mix", pooled * key) + query) for query, key in zip(queries, keys, strict=True)]
    np.testing.assert_allclose(attention(tokens)[0].detach().numpy(), expected, atol=1e-6)


def test_its_length_costs_no_parameters_and_its_spectrogram_is_not_saved() -> None:
    assert parameters(IQFormer(IQFormerConfig(samples=1024))) == parameters(IQFormer())
    assert "cosines" not in IQFormer().state_dict()
