"""The sound-effects network: its size, its blocks, and, where the wheel was pulled, its weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tamis.audio.aisfx import BLOCK, MEL, WIDTH, EffectsCNN, blocks
from tamis.audio.mel import log_mel
from tamis.audio.models import MODELS
from tamis.core.models import installed

PULLED = installed(MODELS["aisfx"])  # before tests get a cache of their own


def test_the_network_has_the_size_of_the_published_one() -> None:
    convolutions = sum(9 * a * b + 9 * b * b for a, b in ((1, 64), (64, 128), (128, 256), (256, 512)))
    normalisations = sum(4 * b for b in (64, 128, 256, 512))
    assert sum(p.numel() for p in EffectsCNN().parameters()) == convolutions + normalisations == 4_686_144


def test_a_block_gives_the_same_vector_in_any_batch() -> None:
    torch.manual_seed(0)
    network = EffectsCNN().eval()
    mels = torch.rand(3, BLOCK, MEL.bands)
    with torch.inference_mode():
        together = network(mels)
        assert together.shape == (3, WIDTH)
        for i in range(3):
            torch.testing.assert_close(network(mels[i : i + 1])[0], together[i], rtol=1e-4, atol=1e-5)


def test_features_are_the_mean_over_frequency_and_the_maximum_over_time() -> None:
    torch.manual_seed(0)
    network, mels = EffectsCNN().eval(), torch.rand(2, BLOCK, MEL.bands)
    with torch.inference_mode():
        picture = mels[:, None]
        for block, pool in zip(network.blocks, (2, 2, 2, 1), strict=True):
            picture = torch.nn.functional.max_pool2d(block(picture), pool)
        torch.testing.assert_close(network(mels), picture.mean(3).max(2).values)


@pytest.mark.parametrize(("seconds", "count"), [(0.1, 1), (2.3, 1), (2.4, 2), (5.0, 3)])
def test_a_sound_is_cut_into_blocks_and_the_last_is_filled_with_silence(seconds: float, count: int) -> None:
    samples = np.random.default_rng(0).normal(size=round(44_100 * seconds)).astype(np.float32)
    cut = blocks(samples)
    mel = log_mel(samples / np.abs(samples).max(), MEL) / 9.457798957824707
    assert cut.shape == (count, BLOCK, MEL.bands)
    joined = cut.reshape(-1, MEL.bands)
    np.testing.assert_allclose(joined[: len(mel)], mel, rtol=1e-5)
    assert not joined[len(mel) :].any()


def test_blocks_may_overlap() -> None:
    samples = np.random.default_rng(0).normal(size=44_100 * 5).astype(np.float32)
    half, whole = blocks(samples, hop=50), blocks(samples)
    assert np.array_equal(half[::2][:2], whole[:2])


def test_loudness_does_not_matter_and_silence_is_silent() -> None:
    samples = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    np.testing.assert_allclose(blocks(samples), blocks(samples / 100), atol=1e-4)
    assert not blocks(np.zeros(1000, np.float32)).any()


@pytest.mark.skipif(PULLED is None, reason="aisfx is not in the cache: tamis models pull aisfx")
def test_the_weights_of_the_wheel_fit_the_network() -> None:
    assert PULLED is not None
    EffectsCNN().load_state_dict(load_file(PULLED / "model.safetensors"), strict=True)
