"""How far a sound is from another: `METRICS` maps a name to a `Metric`.

No single one of them tells whether a learned tune is good, and some fall while the sound gets worse, so `score` gives
the whole panel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sidlearn.errors import LearnError, SidlearnError, nearest, one_of
from sidlearn.learn import intelligibility, onsets, pitch, spectra
from sidlearn.learn.spectra import lsd

__all__ = ["METRICS", "Metric", "lsd", "score"]


@dataclass(frozen=True)
class Metric:
    """One measure of how alike two sounds are; call it with reference, candidate and sample rate in Hz.

    What it needs beyond NumPy it loads when it is called; where that is missing, or the sounds do not allow it, it
    raises a `SidlearnError` of one line.
    """

    function: Callable[[np.ndarray, np.ndarray, int], float]
    unit: str
    higher_is_better: bool
    text: str
    """What it tells, in a few words."""

    def __call__(self, reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
        """Return the value for two mono sounds."""
        return float(self.function(reference, candidate, sample_rate))


METRICS: dict[str, Metric] = {
    "stoi": Metric(intelligibility.stoi, "", True, "intelligibility of speech, 0..1"),
    "estoi": Metric(intelligibility.estoi, "", True, "the same, stricter where the background moves"),
    "visqol": Metric(intelligibility.visqol_speech, "MOS", True, "quality of speech, 1..5, by ViSQOL"),
    "visqol_audio": Metric(intelligibility.visqol_audio, "MOS", True, "quality of music, 1..5, by ViSQOL"),
    "rpa": Metric(pitch.rpa, "", True, "share of pitched frames within 50 cents"),
    "rms_cosine": Metric(spectra.rms_cosine, "", True, "likeness of the loudness over time"),
    "onset_f": Metric(onsets.onset_f, "", True, "onsets found again within 50 ms, F-measure"),
    "mss": Metric(spectra.mss, "dB", False, "log-mel spectra at three resolutions"),
    "lsd": Metric(lsd, "dB", False, "log spectra, lag and gain fitted"),
    "sot": Metric(spectra.sot, "Hz", False, "how far energy must be moved along frequency"),
    "wmfcc": Metric(spectra.wmfcc, "", False, "timbre, time warped"),
}
"""The panel, in the order in which it is printed."""


def score(
    reference: np.ndarray, candidate: np.ndarray, sample_rate: int, names: Iterable[str] | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the values of metrics, and for those that have none the reason.

    Parameters
    ----------
    reference, candidate : ndarray, shape (samples,)
        Mono.
    sample_rate : int
        Of both, in Hz.
    names : iterable of str, optional
        Keys of `METRICS`; all of them if not given.

    Returns
    -------
    values : dict
        Metric by name.
    reasons : dict
        One line by name: what is missing, or what about the sounds is not fit for it.

    Raises
    ------
    LearnError
        If there is no metric of a name.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0, 0.1, 16_000)
    >>> score(noise, noise, 16_000, ["lsd"])
    ({'lsd': 0.0}, {})
    """
    names = list(METRICS if names is None else names)
    for name in names:
        if name not in METRICS:
            raise LearnError(f"metric {name!r}: expected {one_of(METRICS)}{nearest(name, METRICS)}")
    values, reasons = {}, {}
    for name in names:
        try:
            values[name] = METRICS[name](reference, candidate, sample_rate)
        except SidlearnError as error:
            reasons[name] = str(error)
    return values, reasons
