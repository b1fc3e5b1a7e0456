"""A signal at EXT IN: checked once, then drawn out to the chip's clock piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sidlearn.errors import AudioError

Signal = ArrayLike | tuple[ArrayLike, float]
"""Samples at the chip's clock, or a tuple of samples and their rate in Hz; -1..1, the range of a voice."""


@dataclass(frozen=True)
class ExtIn:
    """A signal at EXT IN: samples, how many of them a cycle, and how many cycles of it have gone by."""

    samples: np.ndarray
    per_cycle: float
    gone: int = 0

    @staticmethod
    def of(signal: Signal, clock_hz: int) -> ExtIn:
        """Check a signal: samples at the chip's clock, or a tuple of samples and their rate in Hz."""
        rate: Any = clock_hz
        if isinstance(signal, tuple):
            if len(signal) != 2:
                raise AudioError(f"EXT IN: expected samples, or (samples, sample_rate), given a tuple of {len(signal)}")
            signal, rate = signal
        try:
            samples = np.array(signal, np.float32)
        except (TypeError, ValueError):
            raise AudioError(f"EXT IN: expected an array of numbers, given {type(signal).__name__}") from None
        if samples.ndim != 1:
            raise AudioError(f"EXT IN: expected an array of one dimension, given shape {samples.shape}")
        if not np.isfinite(samples).all():
            at = int(np.argmin(np.isfinite(samples)))
            raise AudioError(f"EXT IN: expected numbers, sample {at} is {samples[at]}")
        if len(samples) and np.abs(samples).max() > 1:
            raise AudioError(f"EXT IN: expected samples within -1..1, given up to {np.abs(samples).max():g}")
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 1 <= rate <= clock_hz:
            raise AudioError(f"EXT IN: expected a sample rate from 1 to {clock_hz} Hz, given {rate!r}")
        return ExtIn(samples, float(rate) / clock_hz)

    @property
    def left(self) -> int:
        """Cycles that are still to come."""
        return max(int(np.ceil(len(self.samples) / self.per_cycle)) - self.gone, 0)

    def take(self, cycles: int) -> tuple[np.ndarray, ExtIn | None]:
        """The levels of the next `cycles` cycles, or fewer at its end; and what then is left of it."""
        end = self.gone + min(cycles, self.left)
        at = np.arange(self.gone, end)
        if self.per_cycle == 1:
            levels = self.samples[self.gone : end]
        else:
            levels = np.interp(at * self.per_cycle, np.arange(len(self.samples)), self.samples).astype(np.float32)
        return levels, replace(self, gone=end) if self.left > cycles else None

    def rest(self) -> np.ndarray:
        """All levels that are still to come."""
        return self.take(self.left)[0]
