"""The steps at which the surrogate works, the cells that writes cut them into, and the samples that are made of them.

A step is `clock_hz / (sample_rate * oversampling)` cycles. Step i stands for the cycles around its middle,
``(i + 1) * step_cycles - delay``: the chip's own sample k, which is delayed by its decimator, is the sound around the
middle of step ``(k + 1) * oversampling - 1``. Where the filter, the routing or the volume may be written, a step is cut
into two cells, so that nothing is set but at the border of a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil

import numpy as np

from sidlearn.chip import decimate
from sidlearn.registers import WRITABLE
from sidlearn.writes import WRITE_GAP_CYCLES

LEAST_STEPS_HZ = 80_000
"""Steps a second, at least: enough for the filter, see `bend` there."""
FINER = 2
"""Waveforms are averaged over parts of a step, so many each, and brought to steps by `Grid.taps`."""
HALF_TAPS = 4
"""Taps on either side of a step's middle: what would alias into the band is 49 dB down."""
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

    @property
    def pass_hz(self) -> float:
        """Up to where the sound is flat."""
        return min(decimate.PASS_HZ, decimate.PASS_SHARE * self.sample_rate)

    @property
    def taps(self) -> np.ndarray:
        """What makes a step's level of the parts of steps around its middle: float64 (2 * HALF_TAPS,)."""
        return _taps(self)

    def voice_response(self, hz: np.ndarray) -> np.ndarray:
        """Return what averages over parts of a step and `taps` leave of a voice's frequencies."""
        parts_hz = self.sample_rate * self.oversampling * FINER
        return _cosines(hz / parts_hz) @ self.taps[HALF_TAPS:] * np.sinc(hz / parts_hz)

    def samples(self, cycles: int) -> int:
        """Samples that the chip gives for so many cycles from power-on."""
        return decimate.sample_count(cycles, self.sample_rate, self.clock_hz)


def _cosines(shares: np.ndarray) -> np.ndarray:
    """Return the response of each pair of taps at shares of the rate of parts, (n, HALF_TAPS)."""
    return 2 * np.cos(np.pi * np.outer(shares, 2 * np.arange(HALF_TAPS) + 1))


@lru_cache(maxsize=8)
def _taps(grid: Grid) -> np.ndarray:
    """Return the taps nearest to a plain average over a step in the band and to nothing in what falls on it."""
    steps_hz, points = grid.sample_rate * grid.oversampling, 256
    band = np.linspace(0, grid.pass_hz, points) / (FINER * steps_hz)
    image = np.linspace(steps_hz - grid.pass_hz, steps_hz, points) / (FINER * steps_hz)
    wanted = np.append(np.cos(np.pi * band), np.zeros(points))
    half = np.linalg.lstsq(_cosines(np.append(band, image)), wanted, rcond=None)[0]
    return np.append(half[::-1], half) / (2 * half.sum())


@dataclass(frozen=True)
class Cells:
    """The cells of some frames."""

    edges: np.ndarray
    """Cycles between which the cells lie, float64 (cells + 1,)."""
    shares: np.ndarray
    """What part of its step a cell is, float64 (cells,); below 1 only where one is cut."""
    parts: np.ndarray
    """Cycles between which the parts of steps lie, those of step i and around it from ``FINER * i`` on: float64."""
    taps: np.ndarray
    """`Grid.taps`."""
    runs: np.ndarray
    """Cells from which on another number of them was cut, and their end: int64 (cuts + 2,)."""
    slots: np.ndarray
    """The cell with which each slot begins, and the end: int64 (frames * SLOTS + 1,)."""
    slot_steps: np.ndarray
    """The step of that cell; of the first slot, which all before belongs to, step 0: int64 (frames * SLOTS,)."""
    steps: int
    samples: int
    frame_cycles: int

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.shares)

    @cached_property
    def cell_steps(self) -> np.ndarray:
        """The step of each cell, int64 (cells,)."""
        cuts = np.repeat(np.arange(len(self.runs) - 1), np.diff(self.runs))
        return np.arange(self.count) - cuts

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
    samples, step_cycles = grid.samples(frames * frame_cycles), grid.step_cycles
    steps = (samples + grid.oversampling) * grid.oversampling + int(grid.delay / step_cycles)
    times = (np.arange(frames)[:, None] * frame_cycles + np.arange(SLOTS) * write_gap(frame_cycles)).ravel()
    at = (times - grid.first_edge) / step_cycles  # in steps
    at = np.where(np.abs(at - np.rint(at)) < SAME_EDGE, np.rint(at), at)
    places = np.union1d(np.arange(steps + 1), at[(at > 0) & (at < steps)])
    step = np.floor((places[1:] + places[:-1]) / 2).astype(np.int64)
    slots = np.append(np.searchsorted(places, at), len(places) - 1)
    return Cells(
        edges=grid.first_edge + places * step_cycles,
        shares=np.diff(places),
        parts=grid.first_edge
        + (np.arange(FINER * steps + 2 * HALF_TAPS - 1) / FINER - (HALF_TAPS - 1) / 2) * step_cycles,
        taps=grid.taps,
        runs=np.concatenate(([0], 1 + np.flatnonzero(np.diff(step) == 0), [len(step)])),
        slots=(slots := np.minimum(slots, len(places) - 1)),
        slot_steps=np.append(0, step[np.minimum(slots[1:-1], len(step) - 1)]),
        steps=steps,
        samples=samples,
        frame_cycles=frame_cycles,
    )
