"""The last step: registers are changed one by one and played on the chip itself, and what sounds more like the target
stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sidlearn.chip.sid import SID
from sidlearn.learn import envelopes
from sidlearn.learn.analyse import FFT_SIZE, RATE_HZ, Bands, Target
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FC_HI,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    GATE,
    MODE_VOL,
    NOISE,
    PULSE,
    PW_HI,
    PW_LO,
    RES_FILT,
    RING,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    SYNC,
    TRIANGLE,
    VOICES,
    voice_register,
)
from sidlearn.writes import FRAME_ORDER, WRITE_GAP_CYCLES, RegisterFrames

ORDER = np.array(FRAME_ORDER)
LEVEL_FACTORS = (0.7, 1.4, 0.4)
WIDTH_FACTORS = (0.7, 0.87, 1.15, 1.4)
RATIO_FACTORS = (0.89, 0.96, 1.04, 1.12)
CUTOFF_STEPS = (-96, -32, 32, 96)
LEAST_GAIN = 0.002
"""Share of a frame's loss that a change must save, so that nothing is written for nothing."""


class Bench:
    """A chip that plays one frame again and again, and is listened to.

    Parameters
    ----------
    model : str
    cycles : int
        Of a frame.
    wanted : ndarray, float32, shape (2 * frames + 2, bands)
        Compressed band power at the start and in the middle of each frame.
    floor, weight : ndarray, float32, shape (bands,)
    bands : Bands
    """

    def __init__(self, model: str, cycles: int, wanted: np.ndarray, floor, weight, bands: Bands) -> None:
        self.sid = SID(model, RATE_HZ, mode="fast")
        self.cycles = cycles
        self.wanted, self.floor, self.weight, self.bands = wanted, floor, weight, bands
        self.past = np.zeros(4 * len(bands.window))
        self.gap = min(WRITE_GAP_CYCLES, cycles // len(ORDER))
        self.size = len(bands.window)

    def play(self, before: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Play one frame from the state the chip has."""
        start = self.sid.cycle
        for i, register in enumerate(ORDER[(before != row)[ORDER]]):
            self.sid.poke(start + i * self.gap, int(register), int(row[register]))
        return self.sid.clock(self.cycles)

    def loss(self, t: int, state: dict[str, Any], before: np.ndarray, row: np.ndarray, after: np.ndarray) -> float:
        """Return how far a frame and its edges are from the target, if the next one goes on as given."""
        self.sid.restore(state)
        sound = np.concatenate((self.past, self.play(before, row), self.play(row, after)))
        return self.distance(t, sound, state)

    def distance(self, t: int, sound: np.ndarray, state: dict[str, Any]) -> float:
        """Return the loss of the windows at a frame's start, middle and end."""
        first = self.sid.delay_seconds * RATE_HZ + len(self.past) - self.size / 2  # window of the frame's start
        first += (t * self.cycles) * RATE_HZ / self.sid.clock_hz - self.first_sample
        step = 0.5 * self.cycles * RATE_HZ / self.sid.clock_hz
        starts = [round(first + i * step) for i in range(3)]
        parts = np.stack([sound[s : s + self.size] for s in starts])
        power = (np.abs(np.fft.rfft(parts * self.bands.window, FFT_SIZE, axis=1)) ** 2) @ self.bands.filters
        difference = (power + self.floor) ** 0.125 - self.wanted[2 * t : 2 * t + 3]
        return float(((difference**2) @ self.weight) @ WINDOW_SHARES)

    def go_on(self, state: dict[str, Any], before: np.ndarray, row: np.ndarray) -> None:
        """Play a frame for good."""
        self.sid.restore(state)
        sound = self.play(before, row)
        self.past = np.concatenate((self.past, sound))[-len(self.past) :]
        self.first_sample += len(sound)

    first_sample = 0
    """Number of the sample that the next frame begins with."""


WINDOW_SHARES = np.array([0.5, 1.0, 0.5])


def polish(
    frames: RegisterFrames,
    level: np.ndarray,
    target: Target,
    wanted: np.ndarray,
    floor: np.ndarray,
    weight: np.ndarray,
    bands: Bands,
    model: str,
    rounds: int = 1,
    progress: Any = None,
) -> tuple[RegisterFrames, np.ndarray]:
    """Return better registers, and the loss of each frame.

    Parameters
    ----------
    frames : RegisterFrames
    level : ndarray, shape (frames, 3)
        What the envelopes should come to.
    target : Target
    wanted, floor, weight, bands
        As in `Bench`.
    model : str
    rounds : int
        How often the changes of a frame are gone through.
    """
    bench = Bench(model, frames.frame_cycles, wanted, floor, weight, bands)
    values = frames.values.copy()
    level_of = envelopes.levels(model).astype(np.float64)
    last = np.zeros(values.shape[1], np.uint8)
    losses = np.zeros(len(values))
    factors = np.ones(VOICES)
    for t in range(len(values)):
        state = bench.sid.snapshot()
        generators = [envelopes.state_of(bench.sid._voices[v]) for v in range(VOICES)]
        ahead = np.vstack((last, values[t : t + HORIZON], np.repeat(values[-1:], max(t + 2 - len(values), 0), axis=0)))
        goals = np.vstack((level[t : t + HORIZON], np.repeat(level[-1:], max(t + 2 - len(values), 0), axis=0)))
        factors[:] = 1
        replan(ahead, generators, goals, bench.cycles, level_of, envelopes.BEAM)
        best = ahead
        lowest = bench.loss(t, state, best[0], best[1], best[2])
        for _ in range(rounds):
            start = lowest
            for kind, change in changes(best, target.f0_hz[t] > 0):
                trial = best[: 1 + SHORT_HORIZON].copy()
                scaled = goals[:SHORT_HORIZON].copy()
                scaled[0] *= factors
                if kind == "level":
                    voice, factor = change
                    scaled[0, voice] *= factor
                    if scaled[0, voice] > 1 or goals[0, voice] == 0:
                        continue
                else:
                    for register, value in change:
                        trial[1, register] = value
                    if (trial[1] == best[1]).all():
                        continue
                replan(trial, generators, scaled, bench.cycles, level_of, SHORT_BEAM)
                loss = bench.loss(t, state, trial[0], trial[1], trial[2])
                if loss < lowest * (1 - LEAST_GAIN):
                    best = np.vstack((trial, best[len(trial) :]))
                    lowest = loss
                    if kind == "level":
                        factors[voice] *= factor
            if lowest > 0.97 * start:
                break
        values[t] = best[1]
        losses[t] = lowest
        bench.go_on(state, last, best[1])
        last = best[1].copy()
        if progress is not None and t % 8 == 0:
            progress(t / len(values), "polish")
    return RegisterFrames(values, frames.frame_cycles), losses


HORIZON = 6
"""Frames for which envelopes are planned anew, from the state that the chip is in."""
SHORT_HORIZON, SHORT_BEAM = 3, 3
"""The same for each change that is tried."""


def replan(rows: np.ndarray, generators, level: np.ndarray, cycles: int, level_of, beam: int) -> None:
    """Plan the envelopes of all voices anew, in rows 1 and up: uint8 (frames + 1, 25), `level` (frames, 3)."""
    for v in range(VOICES):
        control = rows[:, voice_register(v, CONTROL)] & ~np.uint8(GATE)
        ordered = (rows[1:] != rows[:-1])[:, ORDER]
        first = 4 + 7 * v
        timing = envelopes.Timing(ordered[:, :first].sum(axis=1), ordered[:, first + 2 : first + 6].sum(axis=1), cycles)
        found = envelopes.plan_from(generators[v], level[:, v], control[1:], int(control[0]), timing, level_of, beam)
        rows[1:, voice_register(v, ATTACK_DECAY)] = found[:, 0]
        rows[1:, voice_register(v, SUSTAIN_RELEASE)] = found[:, 1]
        rows[1:, voice_register(v, CONTROL)] = control[1:] | found[:, 2].astype(np.uint8)


def changes(best, voiced: bool) -> Iterator[tuple[str, Any]]:
    """Yield what is worth trying in row 1: ("level", (voice, factor)) or ("registers", [(register, value)])."""
    for v in range(VOICES):
        for factor in LEVEL_FACTORS:
            yield "level", (v, factor)
    for change in register_changes(best[1], voiced):
        yield "registers", change


def register_changes(row, voiced: bool) -> Iterator[list[tuple[int, int]]]:
    """Yield lists of (register, value)."""
    master = int(row[voice_register(0, FREQ_LO)]) | int(row[voice_register(0, FREQ_HI)]) << 8
    for v in range(VOICES):
        control = int(row[voice_register(v, CONTROL)])
        if control & PULSE:
            width = int(row[voice_register(v, PW_LO)]) | int(row[voice_register(v, PW_HI)]) << 8
            for factor in WIDTH_FACTORS:
                new = min(max(round(width * factor), 24), 2_048)
                yield [(voice_register(v, PW_LO), new & 0xFF), (voice_register(v, PW_HI), new >> 8)]
        freq = int(row[voice_register(v, FREQ_LO)]) | int(row[voice_register(v, FREQ_HI)]) << 8
        if control & NOISE or control & SYNC:
            news = [round(freq * factor) for factor in RATIO_FACTORS]
        elif voiced and v and master and freq >= master:
            k = round(freq / master)
            news = [master * n for n in (k - 2, k - 1, k + 1, k + 2) if n >= 1]
        else:
            news = []
        for new in news:
            if 0 < new < 65_536:
                yield [(voice_register(v, FREQ_LO), new & 0xFF), (voice_register(v, FREQ_HI), new >> 8)]
        if not control & (NOISE | SYNC | RING):
            for wave in (TRIANGLE, SAWTOOTH, PULSE):
                if not control & wave:
                    yield [(voice_register(v, CONTROL), wave | (control & GATE)), *wide(v, row)]
    if row[RES_FILT] & 7 and row[MODE_VOL] & 0x70:
        cutoff = int(row[FC_LO]) & 7 | int(row[FC_HI]) << 3
        for step in CUTOFF_STEPS:
            new = min(max(cutoff + step, 0), 2_047)
            yield [(FC_LO, new & 7), (FC_HI, new >> 3)]
        yield [(RES_FILT, int(row[RES_FILT]) ^ 0xF0)]


def wide(voice: int, row: np.ndarray) -> list[tuple[int, int]]:
    """Return a pulse width for a voice that has none."""
    if row[voice_register(voice, PW_LO)] or row[voice_register(voice, PW_HI)]:
        return []
    return [(voice_register(voice, PW_HI), 8)]
