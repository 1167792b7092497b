"""The classical baseline: higher-order cumulants and instantaneous statistics, read by a classifier of scikit-learn.

Cumulants follow Swami and Sadler (IEEE Transactions on Communications 48(3), 2000), the statistics of amplitude, phase
and frequency Azzouz and Nandi (1996). None of them depends on the scale or on the phase of a frame.

- C42 and C63 are real whatever the phase and keep their sign; of the others the magnitude is taken.
- Moments are taken about zero, so a carrier is part of the signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tamis.core.errors import ConfigError, ShapeError, check_choice

if TYPE_CHECKING:
    from jaxtyping import Complex, Float
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from tamis.radio.data import Frames

_Classifier = Literal["boosting", "logistic"]
_TINY = 1e-12


class Cumulants:
    """A classifier of frames without a network.

    Args:
        classifier: Reads the features: gradient-boosted trees, or logistic regression, the simplest that is honest.
        seed: Of the trees' own validation split.

    Raises:
        ConfigError: If there is no such classifier.
    """

    def __init__(self, classifier: _Classifier = "boosting", seed: int = 0) -> None:
        check_choice("classifier", classifier, _Classifier)
        self.classifier = classifier
        self.seed = seed
        self.classes: tuple[str, ...] = ()
        self._pipeline: Pipeline | None = None

    def fit(self, frames: Frames) -> Cumulants:
        """Learn from labelled frames.

        Args:
            frames: At least two classes of them.

        Raises:
            ConfigError: If the frames are all of one class.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if len(np.unique(frames.labels)) < 2:
            raise ConfigError(f"{frames.name}: {len(frames)} frames of one class or none; expected two classes or more")
        if self.classifier == "boosting":
            reader: Any = HistGradientBoostingClassifier(random_state=self.seed)
        else:
            reader = LogisticRegression(max_iter=1000)
        self._pipeline = make_pipeline(StandardScaler(), reader).fit(features(frames.iq), frames.labels)
        self.classes = frames.classes
        return self

    def predict_proba(self, iq: Float[np.ndarray, "frames 2 samples"]) -> Float[np.ndarray, "frames classes"]:
        """Tell how probable each class is.

        Args:
            iq: I in row 0, Q in row 1; of any scale.

        Returns:
            Probabilities in the order of `classes`; 0 for a class that no frame had in training.

        Raises:
            ConfigError: If nothing was learnt yet.
            ShapeError: If the frames do not have two rows.
        """
        if self._pipeline is None:
            raise ConfigError("Cumulants has not learnt anything yet; call fit(frames) first")
        probabilities = np.zeros((len(iq), len(self.classes)))
        probabilities[:, self._pipeline.classes_] = self._pipeline.predict_proba(features(iq))
        return probabilities


def features(iq: Float[np.ndarray, "frames 2 samples"]) -> Float[np.ndarray, "frames features"]:
    """Compute the six cumulants and the ten statistics of each frame, side by side.

    Raises:
        ShapeError: If the frames do not have two rows.
    """
    return np.hstack([cumulants(iq), statistics(iq)])


def cumulants(iq: Float[np.ndarray, "frames 2 samples"]) -> Float[np.ndarray, "frames 6"]:
    """Compute |C20|, |C40|, |C41|, C42, |C60| and C63 of each frame at mean power 1.

    Without noise, at one sample a symbol: BPSK 1, 2, 2, -2, 16, 16; QPSK 0, 1, 0, -1, 0, 4.

    Args:
        iq: I in row 0, Q in row 1; of any scale.

    Raises:
        ShapeError: If the frames do not have two rows.

    Source:
        Swami and Sadler 2000, equations 1 to 3; those of order six by the partitions of six variables, of which none or
        three are conjugate. Moments of odd order are taken to be 0.
    """
    x = _complex(iq)
    square, power = x**2, np.abs(x) ** 2
    m20, m40, m41, m60 = (moment.mean(axis=1) for moment in (square, square**2, square * power, square**3))
    m21, m42, m63 = (moment.mean(axis=1) for moment in (power, power**2, power**3))
    c40 = m40 - 3 * m20**2
    c41 = m41 - 3 * m20 * m21
    c42 = m42 - np.abs(m20) ** 2 - 2 * m21**2
    c60 = m60 - 15 * m20 * m40 + 30 * m20**3
    c63 = m63 - 6 * (m20 * m41.conj()).real - 9 * m21 * m42 + 18 * np.abs(m20) ** 2 * m21 + 12 * m21**3
    return np.stack([np.abs(m20), np.abs(c40), np.abs(c41), c42, np.abs(c60), c63], axis=1)


def statistics(iq: Float[np.ndarray, "frames 2 samples"]) -> Float[np.ndarray, "frames 10"]:
    """Compute the instantaneous amplitude, phase and frequency statistics of each frame.

    In order: spread, kurtosis and strongest spectral line of the amplitude, relative to its mean; spread of the phase
    about a straight line, and of its magnitude, in radians; mean, spread and kurtosis of the frequency, and spread of
    its magnitude, in cycles a sample; share of the power at positive frequencies less the share at negative ones.

    Args:
        iq: I in row 0, Q in row 1; of any scale.

    Raises:
        ShapeError: If the frames do not have two rows.

    Source:
        Azzouz and Nandi 1996: gamma_max, sigma_aa, mu42a, sigma_dp, sigma_ap, sigma_af, mu42f and P. Differs: the phase
        is taken of all samples, not of the strong ones only.
    """
    x = _complex(iq)
    samples = x.shape[1]
    amplitude = np.abs(x)
    amplitude = amplitude / np.maximum(amplitude.mean(axis=1, keepdims=True), _TINY) - 1
    line = (np.abs(np.fft.rfft(amplitude)) ** 2).max(axis=1) / samples
    time = np.arange(samples) - (samples - 1) / 2
    phase = np.unwrap(np.angle(x))
    phase -= phase.mean(axis=1, keepdims=True)
    phase -= (phase @ time / (time @ time))[:, None] * time
    frequency = np.angle(x[:, 1:] * x[:, :-1].conj()) / (2 * np.pi)
    spectrum = np.abs(np.fft.fft(x)) ** 2
    half = (samples - 1) // 2
    above, below = spectrum[:, 1 : 1 + half].sum(axis=1), spectrum[:, -half:].sum(axis=1)
    columns = [
        amplitude.std(axis=1),
        _kurtosis(amplitude),
        line,
        phase.std(axis=1),
        np.abs(phase).std(axis=1),
        frequency.mean(axis=1),
        frequency.std(axis=1),
        _kurtosis(frequency),
        np.abs(frequency).std(axis=1),
        (above - below) / np.maximum(above + below, _TINY),
    ]
    return np.stack(columns, axis=1)


def _complex(iq: NDArray[Any]) -> Complex[np.ndarray, "frames samples"]:
    """Make complex frames of mean power 1; a frame of zeros stays one."""
    if iq.ndim != 3 or iq.shape[1] != 2:
        raise ShapeError(f"iq has shape {iq.shape}; expected (frames, 2, samples): I and Q are rows")
    x = iq[:, 0].astype(np.float64) + 1j * iq[:, 1]
    root = np.sqrt((np.abs(x) ** 2).mean(axis=1, keepdims=True))
    scaled: NDArray[Any] = x / np.maximum(root, np.finfo(np.float64).tiny)
    return scaled


def _kurtosis(values: NDArray[Any]) -> NDArray[Any]:
    centred = values - values.mean(axis=1, keepdims=True)
    kurtosis: NDArray[Any] = (centred**4).mean(axis=1) / np.maximum((centred**2).mean(axis=1) ** 2, _TINY)
    return kurtosis
