"""The last step: registers are changed one by one and played on the chip itself, and what sounds more like the target
stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sidlearn.chip import generator
from sidlearn.chip.sid import SID, render_batch
from sidlearn.clock import PAL
from sidlearn.learn import envelopes, intonation, likeness
from sidlearn.learn.analyse import FFT_SIZE, RATE_HZ, Bands
from sidlearn.learn.checkpoint import Store
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
from sidlearn.writes import FRAME_ORDER, WRITE_DTYPE, WRITE_GAP_CYCLES, RegisterFrames

ORDER = np.array(FRAME_ORDER)
LEAST_GAIN = 0.004
"""What a change must win, so that nothing is written for nothing."""


class Moves(NamedTuple):
    """What is tried in each frame."""

    levels: tuple[float, ...]
    """Factors of each voice's level."""
    widths: tuple[float, ...]
    """Factors of pulse widths."""
    ratios: tuple[float, ...]
    """Factors of FREQ, for noise and voices that are synced."""
    partials: tuple[int, ...]
    """Steps among the harmonics of voice 1."""
    cutoffs: tuple[int, ...]
    waveforms: bool
    """Whether waveforms are changed, and the resonance."""
    detunings: tuple[float, ...] = ()
    """Factors of FREQ for voices 2 and 3, too small to be heard as pitch: partials of two voices add up otherwise."""
    lacks: int = 0
    """How many of the bands that lack most are given to a voice, as a harmonic or as noise."""
    rounds: int = 1
    """How often all of them are gone through in each frame, as long as there is something to win."""
    again: tuple[Moves, ...] = ()
    """What is tried instead, from the beginning, in a stretch in which the pitch was lost."""


FEW = Moves((0.7, 1.4), (), (), (), (-48, 48), False)
SOME = Moves((0.7, 1.4), (0.8, 1.25), (0.93, 1.07), (-1, 1), (-64, 64), False, lacks=2)
MANY = Moves(
    (0.7, 1.4, 0.4, 0.85, 1.18), (0.7, 0.87, 1.15, 1.4), (0.89, 0.96, 1.04, 1.12), (-2, -1, 1, 2),
    (-96, -32, 32, 96), True, (0.9945, 1.0055), 1, 2,
)  # fmt: skip
MANY = MANY._replace(again=(MANY._replace(waveforms=False, detunings=()), FEW))


class Goal(NamedTuple):
    """What a sound is compared with: one column in the middle and at the edges of each frame, or fewer."""

    target: likeness.Likeness
    compressed: np.ndarray
    """float32 (columns, bands)."""
    floor: np.ndarray
    weight: np.ndarray
    weights: np.ndarray
    """float64 (3,): of the distance of levels, the likeness of courses and that of spectrograms."""
    bands: Bands
    switch_cost: float
    """What it costs that a voice changes, where drums sound."""
    column_cycles: int
    """Column c is the sound around cycle c * column_cycles."""


def column_cycles(frame_cycles: int) -> int:
    """Return the cycles from one column to the next: about 10 ms."""
    return round(frame_cycles * max(1, round(2 * COLUMN_SECONDS * PAL.clock_hz / frame_cycles)) / 2)


COLUMN_SECONDS = 0.00998


class Bench:
    """A chip that plays one frame again and again, and is listened to."""

    def __init__(self, model: str, cycles: int, goal: Goal) -> None:
        self.sid = SID(model, RATE_HZ, mode="fast")
        self.delay = self.sid.delay_seconds * RATE_HZ
        self.cycle = 0
        chip = self.sid
        self._parts = [np.asarray(part).reshape(-1).view(np.uint8) for part in (chip._voices, chip._chips)]
        self.cycles, self.goal = cycles, goal
        self.gap = min(WRITE_GAP_CYCLES, cycles // len(ORDER))
        self.size = len(goal.bands.window)
        self.window = goal.bands.window.astype(np.float32)
        self.filters = goal.bands.filters.astype(np.float32)
        self.past = np.zeros(max(4 * self.size, round(intonation.BEFORE_SECONDS * RATE_HZ)), np.float32)
        self.first_sample = 0
        self.per_cycle = RATE_HZ / self.sid.clock_hz
        half = self.size / 2 / self.per_cycle
        self.ahead = 1 + math.ceil((half + goal.column_cycles / 2) / cycles)
        """Frames that are played for the sake of one."""

    def columns(self, t: int) -> range:
        """Return the columns that a frame is heard in."""
        cycles, step = self.cycles, self.goal.column_cycles
        first = math.ceil((t - 0.5) * cycles / step) if step > cycles else math.ceil(t * cycles / step)
        last = math.floor((t + 1.5) * cycles / step) if step > cycles else math.floor((t + 1) * cycles / step)
        return range(first, min(last + 1, len(self.goal.compressed)))

    def play(self, rows: np.ndarray) -> np.ndarray:
        """Play frames from the state the chip has; `rows` begins with the registers that stand already."""
        changed = (rows[1:] != rows[:-1])[:, ORDER]
        frame, place = np.nonzero(changed)
        events = np.empty(len(frame), WRITE_DTYPE)
        rank = (np.cumsum(changed, axis=1) - 1)[frame, place]
        events["cycle"] = self.cycle + frame * self.cycles + rank * self.gap
        events["register"] = ORDER[place]
        events["value"] = rows[frame + 1, ORDER[place]]
        cycles = (len(rows) - 1) * self.cycles
        self.cycle += cycles
        return self.sid.run(events, cycles)

    def snapshot(self) -> tuple[int, list[np.ndarray]]:
        """Return a copy of the chip's state, as plain bytes: it is put back thousands of times a second."""
        return self.cycle, [part.copy() for part in self._parts]

    def restore(self, state: tuple[int, list[np.ndarray]]) -> None:
        """Go back to a `snapshot`."""
        self.cycle, parts = state
        for part, kept in zip(self._parts, parts, strict=True):
            part[:] = kept

    def listen(self, sound: np.ndarray, first_sample: int, columns: range) -> np.ndarray:
        """Return the band power of some columns of a sound: float32 (columns, bands)."""
        delay = self.delay - self.size / 2 - first_sample
        parts = np.zeros((len(columns), self.size), np.float32)
        for i, c in enumerate(columns):
            start = round(c * self.goal.column_cycles * self.per_cycle + delay)
            part = sound[max(start, 0) : max(start + self.size, 0)]
            offset = max(-start, 0)
            parts[i, offset : offset + len(part)] = part
        spectrum = np.fft.rfft(parts * self.window, FFT_SIZE, axis=1)
        return (spectrum.real**2 + spectrum.imag**2) @ self.filters

    def try_rows(self, state: tuple[int, list[np.ndarray]], rows: np.ndarray, columns: range) -> np.ndarray:
        """Return the band power of what frames sound like from a state on."""
        self.restore(state)
        sound = np.concatenate((self.past, self.play(rows[: self.ahead + 1])))
        return self.listen(sound, self.first_sample - len(self.past), columns)

    def go_on(self, rows: np.ndarray) -> None:
        """Play one frame for good."""
        sound = self.play(rows)
        self.past = np.concatenate((self.past, sound))[-len(self.past) :]
        self.first_sample += len(sound)


def listen_to_all(bench: Bench, frames: RegisterFrames, model: str) -> np.ndarray:
    """Return the band power of all columns of registers: float32 (columns, bands)."""
    sound = render_batch([frames.writes()], model, RATE_HZ, "fast", threads=1)[0]
    columns = range(len(bench.goal.compressed))
    out = np.empty(bench.goal.compressed.shape, np.float32)
    for first in range(0, len(columns), 512):
        out[first : first + 512] = bench.listen(sound, 0, columns[first : first + 512])
    return out


def polish(
    frames: RegisterFrames,
    level: np.ndarray,
    voiced: np.ndarray,
    struck: np.ndarray,
    goal: Goal,
    model: str,
    moves: Moves,
    store: Store,
    tell: Callable[[float], None],
    name: str = "polish",
    sung: intonation.Wanted | None = None,
) -> tuple[RegisterFrames, np.ndarray]:
    """Return better registers, and what each frame loses by its levels.

    Parameters
    ----------
    frames : RegisterFrames
    level : ndarray, shape (frames, 3)
        What the envelopes should come to.
    voiced : ndarray, bool, shape (frames,)
        Where voice 1 has the pitch.
    struck : ndarray, bool, shape (frames,)
        Where drums sound, see `pursue.struck_frames`.
    goal : Goal
    model : str
    moves : Moves
    store : Store
        Where what is done already is kept.
    tell : callable
        Is told the share done.
    name : str
        Under which it is kept.
    sung : Wanted, optional
        The pitch that is to be heard.
    """  # fmt: skip
    bench = Bench(model, frames.frame_cycles, goal)
    values = frames.values
    level_of = envelopes.levels(model).astype(np.float64)
    rows = np.vstack((np.zeros((1, values.shape[1]), np.uint8), values, np.repeat(values[-1:], HORIZON, axis=0)))
    goals = np.vstack((level, np.repeat(level[-1:], HORIZON, axis=0)))
    losses = np.zeros(len(values))
    kept = store.get(name)
    if kept is None:
        first, now = 0, likeness.course(goal.target, listen_to_all(bench, frames, model))
    else:
        first, rows, losses = int(kept["first"]), kept["rows"], kept["losses"]
        now = likeness.Course(*(kept[name] for name in likeness.Course._fields))
        for t in range(first):
            bench.go_on(rows[t : t + 2])
    work = Work(bench, rows, goals, voiced, struck, now, losses, level_of)
    step = min(STRETCH_FRAMES, KEPT_FRAMES)
    for begin in range(first, len(values), step):
        if begin % KEPT_FRAMES == 0 and begin > first:
            store.put(name, first=begin, rows=rows, losses=losses, **now._asdict())
        end = min(begin + step, len(values))
        work.polish_in_tune(begin, end, moves, sung)
        tell(end / len(values))
    return RegisterFrames(rows[1 : 1 + len(values)].copy(), frames.frame_cycles), losses


KEPT_FRAMES = 100
"""After so many frames what is done is kept."""
STRETCH_FRAMES = 20
"""Frames that are polished again where the pitch was lost."""
PITCH_WORTH = 0.1
"""What may be lost otherwise for 16 ms in which the pitch is heard. A guess."""


class Work:
    """A sound that is being polished: its registers, and the chip that plays them as far as they are done."""

    def __init__(
        self, bench: Bench, rows: np.ndarray, goals: np.ndarray, voiced: np.ndarray, struck: np.ndarray,
        now: likeness.Course, losses: np.ndarray, level_of: np.ndarray,
    ) -> None:  # fmt: skip
        self.bench, self.rows, self.goals, self.voiced, self.struck = bench, rows, goals, voiced, struck
        self.now, self.losses, self.level_of = now, losses, level_of

    def polish(self, begin: int, end: int, moves: Moves) -> None:
        """Polish some frames."""
        target, rows = self.bench.goal.target, self.rows
        for t in range(begin, end):
            following = slice(t, t + 1 + HORIZON)
            frame = FrameSearch(
                self.bench, t, rows[following], self.goals[following][:HORIZON], self.now, self.level_of,
                bool(self.struck[t]),
            )  # fmt: skip
            begins = bool((target.rises.missing[frame.columns.start : frame.columns.stop] > 0).any())
            for _ in range(moves.rounds):
                before = frame.lowest
                for change in changes(frame.rows[1], bool(self.voiced[t]), moves, frame.lacking(moves.lacks)):
                    frame.attempt(change)
                for change in strokes(frame.rows[:2], begins) if self.struck[t] else ():
                    frame.attempt(change)
                if frame.lowest > before - 5 * LEAST_GAIN:
                    break
            rows[t + 1 : t + 1 + HORIZON] = frame.rows[1:]
            self.losses[t] = frame.finish()

    def polish_in_tune(self, begin: int, end: int, moves: Moves, sung: intonation.Wanted | None) -> None:
        """Polish some frames, and where the pitch is lost, again with other moves; the best of these stays."""
        if sung is None or not moves.again:
            self.polish(begin, end, moves)
            return
        start = self._keep()
        self.polish(begin, end, moves)
        done, best = self._keep(), None
        for trial in (None, *moves.again):
            if trial is not None:
                self._go_back(start)
                self.polish(begin, end, trial)
                done = self._keep()
            self._go_back(start, rows=False)
            sound = self._play(begin, end)
            missed = self._missed(sound, begin, end, sung)
            loss = self._loss(sound, begin, end) + PITCH_WORTH * missed
            if best is None or loss < best[0]:
                best = loss, done
            if not missed:
                break
        assert best is not None
        self._go_back(best[1])

    def _keep(self) -> tuple:
        """Return a copy of all that polishing changes."""
        course = [part.copy() for part in self.now]
        bench = self.bench
        return bench.snapshot(), bench.past, bench.first_sample, self.rows.copy(), self.losses.copy(), course

    def _go_back(self, kept: tuple, rows: bool = True) -> None:
        """Put all that back; without `rows`, the registers stay as they are."""
        state, self.bench.past, self.bench.first_sample, old_rows, losses, course = kept
        self.bench.restore(state)
        for part, old in zip(self.now, course, strict=True):
            part[:] = old
        if rows:
            self.rows[:], self.losses[:] = old_rows, losses

    def _play(self, begin: int, end: int) -> np.ndarray:
        """Return the sound before a stretch, of it, and of what follows as it is now, from where the chip stands."""
        after = math.ceil(intonation.AFTER_SECONDS * self.bench.sid.clock_hz / self.bench.cycles)
        return np.concatenate((self.bench.past, self.bench.play(self.rows[begin : end + after + 1])))

    def _missed(self, sound: np.ndarray, begin: int, end: int, sung: intonation.Wanted) -> int:
        """Return how often the pitch is not heard in a stretch."""
        seconds = self.bench.cycles / self.bench.sid.clock_hz
        starts = (self.bench.first_sample - len(self.bench.past) - self.bench.delay) / RATE_HZ
        return intonation.missed(sung, sound, RATE_HZ, starts, begin * seconds, end * seconds)

    def _loss(self, sound: np.ndarray, begin: int, end: int) -> float:
        """Return what a stretch loses otherwise."""
        goal = self.bench.goal
        columns = range(self.bench.columns(begin).start, self.bench.columns(end - 1).stop)
        power = self.bench.listen(sound, self.bench.first_sample - len(self.bench.past), columns)
        wanted = goal.compressed[columns.start : columns.stop]
        levels = float((((power + goal.floor) ** 0.125 - wanted) ** 2 @ goal.weight).sum())
        course, spectrogram, rises = likeness.alike(goal.target, self.now, columns.start, power, False)
        return goal.weights[0] * levels - goal.weights[1] * course - goal.weights[2] * spectrogram + rises


class Change(NamedTuple):
    """Something to try: a factor for the level of a voice, or values for registers."""

    voice: int
    """Whose envelope must be planned anew, -1 for none."""
    factor: float = 1.0
    registers: tuple[tuple[int, int], ...] = ()
    level: float = 0.0
    """In place of a factor."""


class FrameSearch:
    """The search for the best registers of one frame, from the state that the chip is in.

    `rows` are the registers before the frame, of the frame and of those that follow: uint8 (1 + HORIZON, 25).
    """

    def __init__(
        self, bench: Bench, t: int, rows: np.ndarray, goals: np.ndarray, now, level_of: np.ndarray, struck: bool
    ) -> None:
        self.bench, self.now, self.level_of, self.struck = bench, now, level_of, struck
        self.state = bench.snapshot()
        self.generators = [generator.state_of(bench.sid._voices[v]) for v in range(VOICES)]
        self.columns = bench.columns(t)
        self.goals = goals.copy()
        self.rows = rows.copy()
        self.plans: dict[bytes, tuple[np.ndarray, float]] = {}
        self.tried: set[bytes] = set()
        """What was tried on the rows as they are now; the second round tries much again."""
        self.costs = np.array([self._plan(v) for v in range(VOICES)])
        self.power = bench.try_rows(self.state, self.rows, self.columns)
        self.lowest = self.loss(self.power) + FUTURE_WEIGHT * self.costs.sum() + self.switching(self.rows)

    def _plan(self, voice: int) -> float:
        """Plan an envelope anew where that serves its goals better; return what is missed."""
        missed = miss(self.rows, self.generators, self.goals, voice, self.bench.cycles, self.level_of)
        trial = self.rows.copy()
        cost = replan(trial, self.generators, self.goals, voice, self.bench.cycles, self.level_of, self.plans)
        if cost < missed:
            self.rows = trial
        return min(cost, missed)

    def switching(self, rows: np.ndarray) -> float:
        """Return what it costs that voices sound other than in the frames around."""
        if not self.struck:
            return 0.0
        waves = rows[:3][:, SHAPES] & SHAPE_MASKS
        return self.bench.goal.switch_cost * int((waves[1:] != waves[:-1]).reshape(2, VOICES, -1).any(axis=2).sum())

    def loss(self, power: np.ndarray, keep: bool = False) -> float:
        """Return the loss of what the columns around the frame sound like."""
        goal = self.bench.goal
        wanted = goal.compressed[self.columns.start : self.columns.stop]
        own = ((power + goal.floor) ** 0.125 - wanted) ** 2 @ goal.weight
        share = np.ones(len(own))
        share[0] = share[-1] = 0.5
        self.levels = float(own @ share) / float(share.sum())
        course, spectrogram, rises = likeness.alike(goal.target, self.now, self.columns.start, power, keep)
        return (
            goal.weights[0] * self.levels * self.bench.cycles / goal.column_cycles
            - goal.weights[1] * course
            - goal.weights[2] * spectrogram
            + rises
        )

    def lacking(self, count: int) -> list[float]:
        """Return the middles, in Hz, of the bands that the target has most more of than the sound."""
        goal = self.bench.goal
        wanted = goal.compressed[self.columns.start : self.columns.stop]
        lack = (wanted - (self.power + goal.floor) ** 0.125).mean(axis=0) * (goal.bands.hz > 0)
        found = []
        for _ in range(count):
            band = int(np.argmax(lack))
            if lack[band] > 0:
                found.append(float(goal.bands.hz[band]))
            lack[max(band - 1, 0) : band + 2] = 0
        return found

    def attempt(self, change: Change) -> None:
        """Try a change, and keep it if it sounds more like the target."""
        trial, goals = self.rows.copy(), self.goals
        if change.factor != 1 or change.level:
            goals = goals.copy()
            goals[0, change.voice] = change.level or goals[0, change.voice] * change.factor
            if not 0 < goals[0, change.voice] <= 1:
                return
        for register, value in change.registers:
            trial[1, register] = value
        if change.registers and (trial[1] == self.rows[1]).all():
            return
        costs, v = self.costs, change.voice
        key = bytes((v + 1,)) + trial[1].tobytes() + goals[0].tobytes()
        if key in self.tried:
            return
        self.tried.add(key)
        if v >= 0:
            costs = costs.copy()
            costs[v] = replan(trial, self.generators, goals, v, self.bench.cycles, self.level_of, self.plans)
        if (trial[1 : self.bench.ahead + 1] == self.rows[1 : self.bench.ahead + 1]).all():
            return
        power = self.bench.try_rows(self.state, trial, self.columns)
        loss = self.loss(power) + FUTURE_WEIGHT * costs.sum() + self.switching(trial)
        if loss < self.lowest - LEAST_GAIN:
            self.lowest, self.rows, self.goals, self.power, self.costs = loss, trial, goals, power, costs
            self.tried.clear()

    def finish(self) -> float:
        """Play the frame as it is now; return what it loses by its levels."""
        self.loss(self.power, keep=True)
        self.bench.restore(self.state)
        self.bench.go_on(self.rows[:2])
        return self.levels / float(self.bench.goal.weight.sum())


HORIZON = 5
"""Frames for which envelopes are planned anew, from the state that the chip is in."""
BEAM = 8
FUTURE_WEIGHT = 1.0  # guess: of what the planner expects to miss in these frames: a state that leads nowhere costs


def replan(rows: np.ndarray, generators, level: np.ndarray, voice: int, cycles: int, level_of, plans: dict) -> float:
    """Plan the envelope of a voice anew, in rows 1 and up: uint8 (frames + 1, 25), `level` (frames, 3).

    Returns what the planner expects to miss. `plans` keeps what was planned for these generators.
    """
    control = rows[:, voice_register(voice, CONTROL)] & ~np.uint8(GATE)
    timing = envelopes.timing_of(rows[1:], voice, cycles, rows[0])
    wanted = level[:, voice]
    key = bytes((voice,)) + b"".join(part.tobytes() for part in (wanted, control, timing.before, timing.between))
    if key not in plans:
        before = int(control[0])
        plans[key] = envelopes.plan_from(generators[voice], wanted, control[1:], before, timing, level_of, BEAM)
    found, cost = plans[key]
    rows[1:, voice_register(voice, ATTACK_DECAY)] = found[:, 0]
    rows[1:, voice_register(voice, SUSTAIN_RELEASE)] = found[:, 1]
    rows[1:, voice_register(voice, CONTROL)] = control[1:] | found[:, 2].astype(np.uint8)
    return cost


def miss(rows: np.ndarray, generators, level: np.ndarray, voice: int, cycles: int, level_of) -> float:
    """Return by how much an envelope as it stands in rows 1 and up misses its levels, as `replan` counts it."""
    timing = envelopes.timing_of(rows[1:], voice, cycles, rows[0])
    found = envelopes.reached(_envelope_rows(rows[1:], voice), timing, level_of, generators[voice])
    changed = int((np.diff(rows[:, [voice_register(voice, r) for r in _ENVELOPE]], axis=0) != 0).sum())
    misses = (np.sqrt(found) - np.sqrt(level[:, voice : voice + 1])) ** 2
    return float(misses.mean(axis=1).sum()) + envelopes.WRITE_COST * changed


_ENVELOPE = (ATTACK_DECAY, SUSTAIN_RELEASE)


def _envelope_rows(values: np.ndarray, voice: int) -> np.ndarray:
    """Return AD, SR and gate of a voice, (frames, 3)."""
    ad, sr, control = (values[:, voice_register(voice, r)] for r in (*_ENVELOPE, CONTROL))
    return np.stack((ad, sr, control & GATE), axis=1)


def finer(frames: RegisterFrames, times: int, count: int, model: str) -> tuple[RegisterFrames, np.ndarray]:
    """Return the same sound in shorter frames, at most `count`, and each voice's mean level in them (frames, 3)."""
    cycles = frames.frame_cycles // times
    values = np.repeat(frames.values, times, axis=0)[:count]
    level_of = envelopes.levels(model).astype(np.float64)
    level = np.zeros((len(values), VOICES))
    for v in range(VOICES):
        timing = envelopes.timing_of(values, v, cycles)
        level[:, v] = envelopes.reached(_envelope_rows(values, v), timing, level_of).mean(axis=1)
    return RegisterFrames(values, cycles), level


def changes(row: np.ndarray, voiced: bool, moves: Moves, lacking: list[float]) -> Iterator[Change]:
    """Yield what is worth trying for the registers of a frame."""
    for v in range(VOICES):
        for factor in moves.levels:
            yield Change(v, factor)
    master = _freq(row, 0)
    for v in range(VOICES):
        control = int(row[voice_register(v, CONTROL)])
        if control & PULSE:
            width = int(row[voice_register(v, PW_LO)]) | int(row[voice_register(v, PW_HI)]) << 8
            for factor in moves.widths:
                new = min(max(round(width * factor), 24), 2_048)
                yield Change(-1, 1, ((voice_register(v, PW_LO), new & 0xFF), (voice_register(v, PW_HI), new >> 8)))
        freq = _freq(row, v)
        news: list[int] = []
        if control & (NOISE | SYNC):
            news = [round(freq * factor) for factor in moves.ratios]
        elif voiced and v and 0 < master <= freq:
            news = [master * (round(freq / master) + step) for step in moves.partials]
            news += [round(freq * factor) for factor in moves.detunings]
        for new in news:
            if 0 < new < 65_536:
                yield Change(-1, 1, ((voice_register(v, FREQ_LO), new & 0xFF), (voice_register(v, FREQ_HI), new >> 8)))
        if moves.waveforms and not control & (NOISE | SYNC | RING):
            for wave in (TRIANGLE, SAWTOOTH, PULSE):
                if not control & wave:
                    yield Change(v, 1, ((voice_register(v, CONTROL), wave | (control & GATE)), *_wide(v, row)))
    for hz in lacking:
        for v in range(1 if voiced else 0, VOICES):
            yield from _filled(v, row, hz, master if voiced else 0)
    if row[RES_FILT] & 7 and row[MODE_VOL] & 0x70:
        cutoff = int(row[FC_LO]) & 7 | int(row[FC_HI]) << 3
        for step in moves.cutoffs:
            new = min(max(cutoff + step, 0), 2_047)
            yield Change(-1, 1, ((FC_LO, new & 7), (FC_HI, new >> 3)))
        if moves.waveforms:
            yield Change(-1, 1, ((RES_FILT, int(row[RES_FILT]) ^ 0xF0),))


def strokes(rows: np.ndarray, begins: bool) -> Iterator[Change]:
    """Yield what is worth trying where drums sound: that voices go on as in the frame before, or a stroke begins.

    `rows` are the registers of the frame before and of its own. Noise that changes all the time is heard as strokes.
    """
    before, row = rows
    every: list[tuple[int, int]] = []
    for v in range(VOICES):
        gate = int(row[voice_register(v, CONTROL)]) & GATE
        wave = int(before[voice_register(v, CONTROL)]) & ~GATE
        if wave:
            kept = [(voice_register(v, r), int(before[voice_register(v, r)])) for r in (FREQ_LO, FREQ_HI, PW_LO, PW_HI)]
            kept.append((voice_register(v, CONTROL), wave | gate))
            every += kept
            yield Change(v, 1, tuple(kept))
        for freq in STROKE_FREQS if begins else ():
            for level in STROKE_LEVELS:
                yield Change(v, 1, (
                    (voice_register(v, FREQ_LO), freq & 0xFF), (voice_register(v, FREQ_HI), freq >> 8),
                    (voice_register(v, CONTROL), NOISE | gate),
                ), level)  # fmt: skip
    yield Change(-1, 1, tuple(every))


STROKE_FREQS, STROKE_LEVELS = (0x2000, 0x7000, 0xF000), (1.0, 0.5, 0.2)
SHAPES = np.array([voice_register(v, r) for v in range(VOICES) for r in (FREQ_LO, FREQ_HI, PW_LO, PW_HI, CONTROL)])
SHAPE_MASKS = np.array([0xFF, 0xFF, 0xFF, 0xFF, 0xFF & ~GATE] * VOICES, np.uint8)
"""Of what a voice sounds like, all but its envelope."""


def _filled(voice: int, row: np.ndarray, hz: float, master: int) -> Iterator[Change]:
    """Yield what gives a voice to a band: the harmonic of voice 1 that is nearest, or noise as far as that."""
    gate = int(row[voice_register(voice, CONTROL)]) & GATE
    freq = hz * FREQ_PER_HZ
    if master:
        freq = max(round(freq / master), 1) * master
    for control, new in ((TRIANGLE, round(freq)), (NOISE, round(freq * NOISE_SHARE))):
        if 0 < new < 65_536:
            yield Change(voice, 1, (
                (voice_register(voice, CONTROL), control | gate),
                (voice_register(voice, FREQ_LO), new & 0xFF), (voice_register(voice, FREQ_HI), new >> 8),
            ))  # fmt: skip


FREQ_PER_HZ = (1 << 24) / PAL.clock_hz
NOISE_SHARE = 2.5 / 16
"""A guess: noise changes 16 times in a turn of the oscillator, and its power ends well above half of that."""


def _freq(row: np.ndarray, voice: int) -> int:
    return int(row[voice_register(voice, FREQ_LO)]) | int(row[voice_register(voice, FREQ_HI)]) << 8


def _wide(voice: int, row: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return a pulse width for a voice that has none."""
    if row[voice_register(voice, PW_LO)] or row[voice_register(voice, PW_HI)]:
        return ()
    return ((voice_register(voice, PW_HI), 8),)
