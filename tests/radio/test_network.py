"""What every network of this package keeps to: scaling, shapes, batches, memory layout, and coming back from disk."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.radio.small import CLASSES, EVERY, SAMPLES, TASK, cnn, noise, tones

from tamis.core.errors import ConfigError, ShapeError
from tamis.radio.config import Normalisation
from tamis.radio.network import Network, check_frames, normalise

every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
KINDS: tuple[Normalisation, ...] = ("rms", "energy", "max", "l1", "none")


def magnitudes(frame: torch.Tensor) -> list[float]:
    return [math.hypot(i, q) for i, q in frame.double().T.tolist()]


@pytest.mark.parametrize("how", KINDS)
def test_a_frame_is_scaled_as_its_name_says(how: Normalisation) -> None:
    frames = noise(3) * torch.tensor([1e-17, 1.0, 1e17])[:, None, None]
    for before, after in zip(frames, normalise(frames, how), strict=True):
        size = magnitudes(before)
        scale = {
            "rms": math.sqrt(sum(m * m for m in size) / len(size)),
            "energy": math.sqrt(sum(m * m for m in size)),
            "max": max(size),
            "l1": sum(size),
            "none": 1.0,
        }[how]
        torch.testing.assert_close(after, before / scale)


@pytest.mark.parametrize("how", KINDS)
def test_a_frame_of_zeros_stays_one(how: Normalisation) -> None:
    frames = torch.cat([torch.zeros(1, 2, SAMPLES), noise(1)])
    assert normalise(frames, how)[0].eq(0).all()
    assert normalise(frames, how).isfinite().all()


@pytest.mark.parametrize("how", KINDS[:-1])
@every
def test_the_scale_of_a_frame_does_not_matter(make: Callable[..., Network], how: Normalisation) -> None:
    network = make(normalisation=how).eval()
    with torch.inference_mode():
        plain = network(noise())
        torch.testing.assert_close(network(1024 * noise()), plain, rtol=0, atol=0)  # a power of two rounds nothing
        torch.testing.assert_close(network(1e-4 * noise()), plain)


@every
def test_a_network_sees_scaled_frames(make: Callable[..., Network]) -> None:
    network = make().eval()
    with torch.inference_mode():
        assert torch.equal(network(5 * noise()), network.head(network.embed(normalise(5 * noise(), "rms"))))


@every
def test_frames_give_logits_and_vectors(make: Callable[..., Network]) -> None:
    network = make(samples=48).eval()
    with torch.inference_mode():
        assert network(noise(5, samples=48)).shape == (5, 3)
        assert network.embed(noise(5, samples=48)).shape == (5, 8)


@pytest.mark.parametrize("shape", [(1, 2, 31), (1, 1, 32), (1, 32, 2), (1, 3, 32)])
@every
def test_frames_of_another_shape_are_refused(make: Callable[..., Network], shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(batch, 2, 32\): I and Q are rows$"):
        make()(torch.zeros(shape))


@every
def test_a_frame_is_classified_alike_in_every_batch_and_every_time(make: Callable[..., Network]) -> None:
    network = make().eval()
    with torch.inference_mode():
        together = network(noise(6))
        assert torch.equal(network(noise(6)), together)
        alone = torch.cat([network(frame[None]) for frame in noise(6)])
        torch.testing.assert_close(alone, together)
        torch.testing.assert_close(network(noise(6).flip(0)).flip(0), together)


@every
def test_channels_last_in_memory_give_the_same_numbers(make: Callable[..., Network]) -> None:
    network, frames = make().eval(), noise()
    with torch.inference_mode():
        plain = network(frames)
        torch.testing.assert_close(network.to(memory_format=torch.channels_last)(frames), plain)


@every
def test_a_gradient_reaches_every_parameter(make: Callable[..., Network]) -> None:
    network = make()
    network(noise(16)).square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@every
def test_what_was_saved_comes_back_to_the_bit(make: Callable[..., Network], tmp_path: Path) -> None:
    network = make(samples_per_symbol=4.0, normalisation="max")
    network(noise(8))  # in training mode: moves the running means off their first values
    network.eval().save_pretrained(tmp_path / "model")
    loaded = type(network).from_pretrained(tmp_path / "model")
    assert loaded.config == network.config
    assert hash(loaded.config) == hash(network.config)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(noise()), network(noise()), rtol=0, atol=0)


def test_frames_without_a_single_one_or_with_classes_in_another_order_or_of_another_length_are_refused() -> None:
    frames = tones(6, 0)
    check_frames(cnn(), frames)
    with pytest.raises(ConfigError, match=r"^tones: there are no frames; "):
        check_frames(cnn(), frames.take(np.zeros(6, dtype=bool)))
    with pytest.raises(ConfigError, match=r"high, middle, low; .*made for low, middle, high; use frames\.reorder"):
        check_frames(cnn(), frames.reorder(CLASSES[::-1]))
    with pytest.raises(ShapeError, match=r"^tones: 32 samples a frame; the network was made for 64$"):
        check_frames(cnn(**{**TASK, "samples": 64}), frames)
