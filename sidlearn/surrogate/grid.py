"""The steps at which the surrogate works, and which of them the chip's samples are made of.

A step is `clock_hz / (sample_rate * oversampling)` cycles. Step i stands for the cycles around its middle,
``(i + 1) * step_cycles - delay``: the chip's own sample k, which is delayed by its decimator, is the sound around the
middle of step ``(k + 1) * oversampling - 1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sidlearn.chip import decimate

LEAST_STEPS_HZ = 120_000
"""Steps a second, at least: voices averaged over a step then alias 50 dB under a 440 Hz sawtooth. As the chip's fast
mode, which works every eighth cycle."""


@dataclass(frozen=True)
class Grid:
    """How cycles, steps and samples belong together."""

    sample_rate: int
    clock_hz: int

    @property
    def oversampling(self) -> int:
        """Steps a sample."""
        return ceil(LEAST_STEPS_HZ / self.sample_rate)

    @property
    def step_cycles(self) -> float:
        """Cycles a step."""
        return self.clock_hz / (self.sample_rate * self.oversampling)

    @property
    def delay(self) -> float:
        """Cycles by which the chip's samples lag behind its voices."""
        return decimate.delay_cycles(self.sample_rate, self.clock_hz)

    @property
    def first_edge(self) -> float:
        """Cycle in which step 0 begins."""
        return self.step_cycles / 2 - self.delay

    def samples(self, cycles: int) -> int:
        """Samples that the chip gives for so many cycles from power-on."""
        return decimate.sample_count(cycles, self.sample_rate, self.clock_hz)

    def step_at(self, cycle: float) -> int:
        """The first step whose middle is at `cycle` or later."""
        return ceil((cycle + self.delay) / self.step_cycles) - 1
