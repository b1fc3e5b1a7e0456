"""The steps at which the surrogate works, the cells that writes cut them into, and the samples that are made of them.

A step is `clock_hz / (sample_rate * oversampling)` cycles. Step i stands for the cycles around its middle,
``(i + 1) * step_cycles - delay``: the chip's own sample k, which is delayed by its decimator, is the sound around the
middle of step ``(k + 1) * oversampling - 1``. Where the filter, the routing or the volume may be written, a step is cut
into two cells, so that nothing is set but at the border of a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np

from sidlearn.chip import decimate
from sidlearn.registers import WRITABLE
from sidlearn.writes import WRITE_GAP_CYCLES

LEAST_STEPS_HZ = 120_000
"""Steps a second, at least: voices averaged over a step then alias 50 dB under a 440 Hz sawtooth. As the chip's fast
mode, which works every eighth cycle."""
SLOTS = 4
"""Times within a frame at which FC_LO, FC_HI, RES_FILT and MODE_VOL can be written: they come first."""
SAME_EDGE = 1e-6
"""Share of a step within which a write is at its border."""


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


@dataclass(frozen=True)
class Cells:
    """The cells of some frames."""

    edges: np.ndarray
    """Cycles between which the cells lie, float64 (cells + 1,)."""
    shares: np.ndarray
    """What part of its step a cell is, float64 (cells,); below 1 only where one is cut."""
    step: np.ndarray
    """The step that a cell is of, int64 (cells,)."""
    slots: np.ndarray
    """The cell with which each slot begins, and the end: int64 (frames * SLOTS + 1,)."""
    steps: int
    samples: int
    frame_cycles: int

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.shares)

    @property
    def start(self) -> int:
        """The cell in which cycle 0 begins; before it there is no sound."""
        return int(self.slots[0])


def write_gap(frame_cycles: int) -> int:
    """Return the cycles from one write of a frame to the next."""
    return min(WRITE_GAP_CYCLES, frame_cycles // WRITABLE)


@lru_cache(maxsize=16)
def cells(grid: Grid, frames: int, frame_cycles: int) -> Cells:
    """Return the cells of so many frames from power-on."""
    samples = grid.samples(frames * frame_cycles)
    steps = (samples + grid.oversampling) * grid.oversampling + int(grid.delay / grid.step_cycles)
    times = (np.arange(frames)[:, None] * frame_cycles + np.arange(SLOTS) * write_gap(frame_cycles)).ravel()
    at = (times - grid.first_edge) / grid.step_cycles  # in steps
    at = np.where(np.abs(at - np.rint(at)) < SAME_EDGE, np.rint(at), at)
    places = np.union1d(np.arange(steps + 1), at[(at > 0) & (at < steps)])
    step = np.floor((places[1:] + places[:-1]) / 2).astype(np.int64)
    slots = np.append(np.searchsorted(places, at), len(places) - 1)
    return Cells(
        edges=grid.first_edge + places * grid.step_cycles,
        shares=np.diff(places),
        step=step,
        slots=np.minimum(slots, len(places) - 1),
        steps=steps,
        samples=samples,
        frame_cycles=frame_cycles,
    )
