"""TorchSig, asked for frames by radio_generate.py from a Python environment of its own.

Reads `LEVEL SAMPLES FRAMES` a line, makes so many frames one after the other, and writes the CPU-seconds that it took.
Needs TorchSig and nothing of tamis.

The published torchaudio does not load beside a torch without CUDA. TorchSig uses one class of it, so that one stands
here in its place: it does the same through torch.
"""

from __future__ import annotations

import functools
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch

CLASSES = ["8psk", "am-dsb", "am-usb", "bpsk", "2fsk", "2gfsk", "4ask", "16qam", "64qam", "qpsk", "fm"]
"""TorchSig's names for what comes nearest to the eleven classes of RML2016.10a."""


class Spectrogram:
    """The power of the short-time Fourier transform, as torchaudio's class of that name gives it."""

    def __init__(
        self, n_fft: int, window_fn: Callable[[int], torch.Tensor], win_length: int, hop_length: int, **_: Any
    ) -> None:
        self.transform = functools.partial(
            torch.stft,
            n_fft=n_fft,
            hop_length=hop_length,
            window=window_fn(win_length),
            center=False,
            onesided=False,
            return_complex=True,
        )

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Transform one signal."""
        return self.transform(samples).abs().square()


@functools.cache
def frames(level: int, samples: int) -> Any:
    """Make TorchSig's endless data set of frames with one signal each, and let it compile what it compiles."""
    from torchsig.datasets.datasets import TorchSigIterableDataset
    from torchsig.transforms.impairments import Impairments
    from torchsig.utils.defaults import TorchSigDefaults

    metadata = TorchSigDefaults().default_dataset_metadata
    metadata |= {"num_iq_samples_dataset": samples, "snr_db_min": -20.0, "snr_db_max": 18.0}
    metadata |= dict.fromkeys(("signal_duration_in_samples_min", "signal_duration_in_samples_max"), samples)
    metadata |= dict.fromkeys(("fft_size", "fft_stride"), min(512, samples))
    impairments = Impairments(level)
    made = TorchSigIterableDataset(
        signal_generators=CLASSES,
        metadata=metadata,
        transforms=[impairments.dataset_transforms],
        component_transforms=[impairments.signal_transforms],
    )
    made.seed(0)
    for _ in range(100):
        next(made)
    return made


def main() -> None:
    """Answer until there are no more questions."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    audio = types.ModuleType("torchaudio")
    audio.transforms = types.SimpleNamespace(Spectrogram=Spectrogram)  # type: ignore[attr-defined]
    sys.modules["torchaudio"] = audio
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the library prints is no answer
    for line in sys.stdin:
        level, samples, count = map(int, line.split())
        source = frames(level, samples)
        start = time.process_time()
        for _ in range(count):
            assert next(source).data.shape == (samples,)
        print(time.process_time() - start, file=answers, flush=True)


if __name__ == "__main__":
    main()
