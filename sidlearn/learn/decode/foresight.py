"""What voices may do next where the state of the chip is not known: as players go on, from the frames before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from sidlearn.learn.decode import filtering, kernel
from sidlearn.learn.decode.cutoffs import HIGHEST_CUTOFF, cutoff_of
from sidlearn.learn.decode.forward import field
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.path import HIGHEST
from sidlearn.registers import NOISE, PULSE, RES_FILT, VOICES
from sidlearn.writes import WRITE_GAP_CYCLES

KNOTS = 4
"""Of the level of a voice in a frame."""
HEARD_LEVEL = 0.02
"""Of a voice whose phase is followed."""
LOWEST = 300
"""FREQ from which on notes are looked for: below 18 Hz anything is explained."""
LOW, LEAST_WIDTH, ODD_DB = 800, 100, 0.8
"""FREQ and PW below which notes are seldom, and what that costs; guess."""
TAKEN_COST = 0.38
"""Cost of FREQ with which another voice may go on; guess."""
DAMPED = 0.7
"""Share of the slope of FC that goes on: often nothing tells of it; guess."""
LEAST_CUTOFF = 100
"""FC below which nothing changes much; guess."""


@dataclass(frozen=True)
class Note:
    """What one voice may do in a frame."""

    freq: int
    width: int
    control: int
    """Without the gate."""
    phase: int
    """Of its oscillator at the frame's start."""
    cost: float
    """In dB: how unlikely it is."""
    register: int = 0
    """Of noise at the frame's start."""


class Foresight:
    """The frames so far, and what they let expect of the next one."""

    def __init__(self, searcher: Decoder, first: int | None = None) -> None:
        self.searcher = searcher
        self.forward = f = searcher.forward
        self.path = path = searcher.path[:first]
        self.state = state = path[-1].after if path else searcher.start
        self.image = state.image.copy()
        self.number = len(path)
        self.routing = int(self.image[RES_FILT]) & 7 if filtering.in_use(self.image) else 0
        self.phases = state.osc[:, kernel.ACC].copy()
        self.registers = state.osc[:, kernel.NOISE_REG].copy()
        self.known = np.ones(VOICES, bool)
        self.times = [0] * VOICES
        self.past_freqs: list[np.ndarray] = []
        self.past_widths: list[np.ndarray] = []
        self.past_controls: list[np.ndarray] = []
        self.past_levels: list[np.ndarray] = []
        self.cutoffs: list[int] = []
        self.left: list[float] = []
        for frame in path:
            some = [field(frame.image, v) for v in range(VOICES)]
            level = f.dac_env[frame.levels[:, :: (f.steps - 1) // (KNOTS - 1)]]
            self.keep(
                np.array([s[0] for s in some]),
                np.array([s[1] for s in some]),
                np.array([s[2] & 0xFE for s in some]),
                level[:, :KNOTS],
                cutoff_of(frame.image),
                -40.0,
            )

    def keep(self, freqs, widths, controls, levels, cutoff, left) -> None:
        self.past_freqs.append(freqs)
        self.past_widths.append(widths)
        self.past_controls.append(controls)
        self.past_levels.append(levels)
        self.cutoffs.append(cutoff)
        self.left.append(left)

    def written(self, v: int) -> int:
        """Return about when FREQ of a voice is written: after what is likely to be written to others."""
        return self.times[v]

    def foresee_times(self) -> None:
        """Guess when FREQ of each voice is written."""
        at = 2 if self.routing else 0
        for v in range(VOICES):
            old, width = int(self.past_freqs[-1][v]), int(self.past_widths[-1][v])
            self.times[v] = WRITE_GAP_CYCLES * (at + 1)
            likely = next(iter(self.freqs(v)))
            at += Decoder.changed_bytes(old, likely) + Decoder.changed_bytes(width, self.widths(v)[0])

    def widths(self, v: int) -> list[int]:
        """Return PW with which a voice may go on, the likeliest first."""
        past = [int(w[v]) for w in self.past_widths[-8:]]
        if not past:
            return [0x800]
        slope = round(float(np.median(np.diff(past)))) if len(past) > 2 else 0
        new = past[-1] + slope
        return [new, past[-1]] if abs(slope) > 3 and LEAST_WIDTH < new < 4096 - LEAST_WIDTH else [past[-1]]

    def freqs(self, v: int) -> dict[int, float]:
        """Return FREQ with which a voice may go on, and what they cost."""
        past = [int(f[v]) for f in self.past_freqs[-60:]][::-1]
        found: dict[int, float] = {}
        if not past:
            return found
        found[past[0]] = 0.0
        for period in (2, 3, 4, 6):
            cycle = len(past) >= 2 * period and all(abs(past[i] - past[i + period]) <= 3 for i in range(period))
            if cycle and past[period - 1] != past[0]:
                found = {past[period - 1]: 0.0, past[0]: 0.3}
                break
        if len(past) > 1 and (slope := past[0] - past[1]) and abs(slope) < 0.07 * past[0]:
            for f in (past[0] + slope, past[0] - slope):
                found.setdefault(min(max(f, LOWEST), HIGHEST), 0.2)
        ago: dict[int, int] = {}
        for k, f in enumerate(past):
            ago.setdefault(f, k)
        for n, f in enumerate(list(ago)[:14]):
            found.setdefault(f, 0.3 + 0.02 * n)
        return found

    def controls(self, v: int) -> dict[int, float]:
        """Return waveforms with which a voice may go on, and what they cost."""
        past = self.past_controls[-120:]
        if not past:
            return {}
        found = {int(past[-1][v]) & 0xF6: 0.0}
        for c, level in zip(past[::-1], self.past_levels[-120:][::-1], strict=True):
            if level[v].max() > HEARD_LEVEL:
                found.setdefault(int(c[v]) & 0xF6, 0.6)
        return {c: cost for c, cost in found.items() if c & 0xF0 and not c & NOISE and c >> 4 in (1, 2, 4)}

    def likely(self, v: int) -> list[Note]:
        """Return how a voice may go on."""
        made: dict[tuple, Note] = {}
        phase = int(self.phases[v])
        widths = self.widths(v)
        for (c, dear), (f, dearer) in product(self.controls(v).items(), self.freqs(v).items()):
            if dear and dearer > 0.3 + 0.02 * 7:
                continue
            for k, w in enumerate(widths if c & PULSE else widths[:1]):
                made.setdefault((f, w, c), Note(f, w, c, phase, dear + dearer + 0.1 * k))
        return list(made.values())

    def jump(self, v: int) -> float:
        """Return what it costs that the phase of a voice is another than thought."""
        return 0.5 if not self.known[v] else 1.0

    def priced(self, v: int, note: Note) -> Note:
        """Return a note at a higher cost if it explains anything a little, or another voice plays it."""
        thin = note.control & PULSE and not LEAST_WIDTH < note.width < 4096 - LEAST_WIDTH
        taken = False
        for u in range(VOICES):
            if u != v and self.past_levels[-1][u].max() > HEARD_LEVEL:
                likely = [f for f, cost in self.freqs(u).items() if cost < TAKEN_COST]
                taken |= any(abs(np.log2(note.freq / f)) < 1 / 24 for f in likely if f)
        return replace(note, cost=note.cost + ODD_DB * ((note.freq < LOW) + bool(thin) + taken))

    def foreseen_cutoff(self) -> int:
        """Return FC where the frames before lead to."""
        past = self.cutoffs[-5:]
        if len(past) < 3:
            return past[-1] if past else cutoff_of(self.image)
        slope = (past[-1] - past[0]) / (len(past) - 1)
        return int(min(max(round(past[-1] + DAMPED * slope), LEAST_CUTOFF), HIGHEST_CUTOFF))
