"""The frames found so far, and what every part of the search asks about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sidlearn.chip.generator import COUNTER
from sidlearn.learn.decode import filtering, harmonics, kernel
from sidlearn.learn.decode.forward import NO_PADS, Forward, Frame, State, field, with_gate, with_voice
from sidlearn.registers import ATTACK_DECAY, CONTROL, GATE, VOICE_STRIDE, VOICES, WRITABLE

HIGHEST = 65_535

LOWEST_NOISE, NOISE_STEP = 200, 24
"""Of the scan of noise: a step moves the noise register by less than half a shift in a PAL frame."""

SKIP = 24
"""Samples at the start of a frame that also depend on the frame before."""

FIRST_SKIP = 30
"""The same for the first frame, where the target rings."""

GOOD_RMS = 2e-4
"""A frame this near to its target needs no search: twice what the right registers leave in most frames."""

FLOOR_RMS = 1e-4
"""What the right registers leave of most frames; measured on pyresidfp 0.17.0."""

LIKELY_RMS = 4e-4
"""What the right registers leave at most, in frames in which fast attacks begin."""

FAIR_RMS = 3e-4
"""The same in frames in which no note begins and no waveform changes."""

ROUGHNESS = 2.0
"""What the right registers leave with a filter in use, over what they leave without: measured on pyresidfp 0.17.0."""

FAINT_RMS = 1.2e-3
"""A frame leaves about this if FREQ of a voice at level 0 is wrong, which the DACs of envelopes let through; measured.
"""

LASTING = 1.2
"""Of what was left of the frame before, how much may be left without a reason of its own; guess."""

LASTING_RMS = 8e-4
"""How much that may be at most; guess."""

KNOTS = 17
"""Of free levels in a frame."""

SMOOTHNESS = 0.3
"""How much a bend of free levels costs; guess."""

NOISE = 0x80

PULSE = 0x40

KNOWN = -1

Start = tuple[int, bytes]
"""What a voice is like at the start of a frame: the phase of its oscillator, 24 bits, and the state of its envelope;
`KNOWN` and nothing: as the frames before tell."""

Starts = tuple[Start, ...]

AS_BEFORE: Start = (KNOWN, b"")
ALL_KNOWN: Starts = (AS_BEFORE, AS_BEFORE, AS_BEFORE)

QUIET_LEVEL = 16
"""Envelope up to which FREQ of a voice, and with it what phase it has later, is not sure; guess."""

Group = tuple[int, int, int, int, int]
"""FREQ, PW, CONTROL, AD and SR of a voice."""

YOUNG_FRAMES = 4
"""Frames within which the attack of a note may still be hidden by the ADSR delay bug, or under way."""

SOME_DECAYS, SOME_SUSTAINS, SOME_RELEASES = (8, 3, 11), (8, 15, 0), (8, 0, 1, 3)
"""A release rate can delay the attack that follows."""


@dataclass(frozen=True)
class Past:
    """What was different in frames before: AD and SR from `begin` on, and gates by frame."""

    begin: int
    ad: int
    sr: int
    gates: tuple[tuple[int, int], ...] = ()
    late: int = -1
    """A frame in which one more write, that nobody hears, came before those of the voice; -1: none."""


@dataclass(frozen=True)
class Option:
    """What one voice may do in a frame."""

    group: Group
    past: Past | None = None
    env: bytes = b""
    """State of the envelope at the start of the frame, if `past` changes it or it is not as the frames before tell."""
    phase: int = KNOWN
    """Of the oscillator at the start of the frame, 24 bits; `KNOWN`: as the frames before tell."""
    unheard: int = 0
    """Writes behind those of the voice that nobody hears; less than 0: so many of those of the voice take no time."""

    @property
    def start(self) -> Start:
        """What is not as the frames before tell."""
        return self.phase, b"" if self.past is not None else self.env


def padded(pads: tuple, v: int) -> tuple:
    """Return `pads` with one more write ahead of those of a voice."""
    return (*pads[:v], pads[v] + 1, *pads[v + 1 :])


def in_time(v: int, was: np.ndarray, now: np.ndarray, new_was: np.ndarray, new_now: np.ndarray) -> np.ndarray:
    """Return by what `pads` change if a voice was told of another envelope or gate and all other writes stay in time.

    Parameters
    ----------
    v : int
    was, now : ndarray, uint8, shape (..., 25)
        Registers before and after frames.
    new_was, new_now : ndarray, uint8, shape (..., 25)
        The same, as they are now thought to have been.

    Returns
    -------
    by : ndarray, int64, shape (..., 4)
    """
    at = v * VOICE_STRIDE
    more = (was != now).astype(np.int64) - (new_was != new_now)
    by = np.zeros((*more.shape[:-1], VOICES + 1), np.int64)
    by[..., v] = more[..., at + ATTACK_DECAY : at + VOICE_STRIDE].sum(axis=-1)
    if v + 1 < VOICES:
        by[..., v + 1] = more[..., at + CONTROL]
    return by


def added(pads: tuple, by: np.ndarray) -> tuple:
    """Return the sum of `pads` and changes of them."""
    return tuple(p + int(b) for p, b in zip(pads, by, strict=True))


def shifted(state: State, starts: Starts) -> State:
    """Return a state in which some oscillators have other phases and some envelopes are other ones."""
    osc, envelopes = state.osc.copy(), state.env.copy()
    for v, (phase, env) in enumerate(starts):
        if phase != KNOWN:
            osc[v, kernel.ACC] = phase
            osc[v, kernel.COMPARED] = phase >> 12
        if env:
            envelopes[v] = np.frombuffer(env, np.int64)
    return replace(state, osc=osc, env=envelopes)


def noise_grid() -> np.ndarray:
    """Return the FREQ at which noise is looked for, int64: a 430th apart, but no nearer than `NOISE_STEP`."""
    found = [LOWEST_NOISE]
    while (new := max(found[-1] + NOISE_STEP, round(found[-1] * (1 + 1 / 430)))) <= HIGHEST:
        found.append(new)
    return np.array(found, np.int64)


def hat_functions(n: int) -> np.ndarray:
    """Return the functions that join `KNOTS` points by straight lines, float64 (KNOTS, n)."""
    at = np.linspace(0, KNOTS - 1, n)
    return np.maximum(0, 1 - np.abs(at - np.arange(KNOTS)[:, None]))


class Path:
    """Frames decoded so far with one `Forward`."""

    everything = True
    """Whether the first frame writes all registers, and not only what differs from zero."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.path: list[Frame] = []
        self.floor: list[float] = []
        self.start = forward.power_on()
        self.freqs = harmonics.grid()
        self.noise_freqs = noise_grid()
        self.hats = hat_functions(forward.samples)
        self.at = np.arange(forward.samples) * kernel.DECIMATION + 2 - kernel.SAMPLE_DELAY // kernel.STEP
        bend = np.diff(np.eye(KNOTS), 2, axis=0)
        self.bend = SMOOTHNESS * bend.T @ bend + 1e-6 * np.eye(KNOTS)
        self.trace = False
        self.freely = True
        self.deeply = False
        self.widely = False
        self.tie = 0.03 * forward.samples * (FLOOR_RMS / forward.slope) ** 2
        self._tables: dict = {}
        self.gone_over: set[int] = set()
        self._settled: dict[int, tuple[Frame, Frame]] = {}
        self._seen: dict[tuple, Frame] = {}
        self._parts: dict[tuple[int, int, int], tuple[Option, np.ndarray]] = {}
        self._told: dict[tuple[int, int], tuple[Option, tuple[np.ndarray, np.ndarray, int]]] = {}
        self._carried: dict[int, tuple[Frame, np.ndarray, np.ndarray]] = {}
        self._last: tuple[Frame, np.ndarray] | None = None
        self.jumps: dict[int, Starts] = {}
        self._shifted: dict[Starts, State] = {}
        self._instruments: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self._histories: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._behind: dict[tuple, tuple[np.ndarray, ...]] = {}
        self._measured: dict[tuple, tuple] = {}
        self._novelties: dict[tuple[int, bytes], np.ndarray] = {}
        self._lineages: dict[tuple[int, int, int, int], list] = {}
        self._ancestors: dict = {}
        self._changes = np.zeros((WRITABLE, 3), np.int64)
        self._rows = np.zeros((1024, 3), np.int64)
        self._mixed = np.empty(forward.steps, np.float32)
        self.roughness = 1.0
        self.polishing = False
        self._alone: dict = {}
        self._responses: dict = {}
        self._nothing = np.zeros(forward.frame_cycles, np.float32)
        self._rooms_through = np.zeros(forward.frame_cycles, np.float32), np.zeros(forward.steps, np.float32)
        self._history = np.zeros(forward.taps.size - 1, np.float32)

    def before(self) -> State:
        """Return the state that the next frame begins with."""
        return self.path[-1].after if self.path else self.start

    def image(self, number: int) -> np.ndarray:
        """Return the registers after frame `number`."""
        return self.path[number].image if number >= 0 else self.start.image

    def rms(self, energy: float) -> float:
        """Return the root mean square of an error per sample, by that which a filter leaves more than no filter."""
        return float(np.sqrt(max(energy, 0) / self.forward.samples)) / self.roughness

    def good(self, frame: Frame) -> bool:
        """Whether nothing is left to explain."""
        return not self.polishing and self.rms(frame.energy) < GOOD_RMS

    def likely(self, frame: Frame) -> bool:
        """Whether what is left may be what the right registers leave as notes begin or end."""
        turned = any((field(frame.image, v)[2] ^ field(frame.before.image, v)[2]) & ~6 for v in range(VOICES))
        most = LIKELY_RMS if turned else FAIR_RMS
        if self.floor:  # what the frame before could not explain is likely to stay
            most = max(most, min(LASTING * self.floor[-1], LASTING_RMS))
        return self.rms(frame.energy) < most

    def play(self, image: np.ndarray, pads: tuple = NO_PADS, starts: Starts = ALL_KNOWN) -> Frame:
        """Play the frame under way with the registers of `image`."""
        key = (image.tobytes(), pads, starts)
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self.evaluate(self.begun_at(starts), len(self.path), image, pads)
        return found

    def begun_at(self, starts: Starts) -> State:
        """Return the state that the next frame begins with if some voices are not as thought."""
        if starts == ALL_KNOWN:
            return self.before()
        found = self._shifted.get(starts)
        if found is None:
            found = self._shifted[starts] = shifted(self.before(), starts)
        return found

    def start_of(self, frame: Frame, v: int) -> Start:
        """Return in what a voice of the frame under way does not go on where the one before ended."""
        mine, known = frame.before, self.before()
        same = mine.osc[v, kernel.ACC] == known.osc[v, kernel.ACC]
        phase = KNOWN if same else int(mine.osc[v, kernel.ACC])
        return phase, b"" if np.array_equal(mine.env[v], known.env[v]) else mine.env[v].tobytes()

    def starts_of(self, frame: Frame) -> Starts:
        """Return the same of all voices."""
        return tuple(self.start_of(frame, v) for v in range(VOICES))

    def quiet(self, v: int) -> bool:
        """Whether a voice cannot be heard well as a frame begins, so that its envelope may be another than thought."""
        return self.widely and bool(self.path) and bool(self.before().env[v, COUNTER] <= QUIET_LEVEL)

    def loose(self, v: int) -> bool:
        """Whether the phase of a voice may be another than thought: it was quiet a short time ago."""
        if self.quiet(v):
            return True
        return self.widely and len(self.path) > 1 and bool(self.path[-1].before.env[v, COUNTER] <= QUIET_LEVEL)

    def evaluate(self, state: State, number: int, image: np.ndarray, pads: tuple) -> Frame:
        """Play any frame."""
        first = number == 0
        return self.forward.evaluate(state, number, image, pads, FIRST_SKIP if first else 0, first and self.everything)

    def renew(self) -> None:
        """Forget what was played for another past."""
        self._seen.clear()
        self._settled.clear()
        self._parts.clear()
        self._told.clear()
        self._shifted.clear()
        self._instruments.clear()
        self._histories.clear()
        self._behind.clear()
        self._measured.clear()
        self._novelties.clear()
        self._lineages.clear()

    def accept(self, frame: Frame) -> None:
        """Make a frame part of the path."""
        if self.path and (starts := self.starts_of(frame)) != ALL_KNOWN:
            self.jumps[frame.number] = starts
            self.path[-1].after = frame.before
        if filtering.in_use(frame.image):
            self.roughness = ROUGHNESS
        self.pass_on(frame)
        self.floor.append(self.rms(frame.energy))
        self.path.append(frame)

    def pass_on(self, frame: Frame) -> None:
        """Let the constant error of a frame be known to the next one, and what was found to be otherwise there."""
        error = self.forward.target[frame.number] - frame.out - frame.before.dc
        if frame.number:
            frame.after.dc = frame.before.dc + 0.5 * float(error.mean())
        else:
            frame.after.dc = frame.before.dc + float(error[FIRST_SKIP:].mean())
        if (starts := self.jumps.get(frame.number + 1)) is not None:
            frame.after = shifted(frame.after, starts)

    def better(self, old: Frame, new: Frame) -> Frame:
        """Return `new` if it is nearer to the target by more than noise, else `old`."""
        return new if new.energy < old.energy - max(1e-6, 0.03 * old.energy) else old

    def turned(self, v: int, end: int, gate: int) -> int | None:
        """Return the last frame before `end` in which the gate of a voice went on (GATE) or off (0), or None."""
        for k in range(end - 1, -1, -1):
            if field(self.path[k].image, v)[2] & GATE == gate and field(self.image(k - 1), v)[2] & GATE != gate:
                return k
        return None

    def instruments(self, v: int, count: int = 4) -> list[tuple[int, int, int]]:
        """Return waveform, AD and SR that a voice was played with, the newest first."""
        known = self._instruments.get((v, count))
        if known is None:
            known = self._instruments[v, count] = []
            for frame in reversed(self.path):
                _, _, control, ad, sr = field(frame.image, v)
                if control & GATE and (control & 0xFE, ad, sr) not in known:
                    known.append((control & 0xFE, ad, sr))
                    if len(known) == count:
                        break
        return known

    def heard(self, v: int, count: int = 8) -> list[int]:
        """Return the latest values of FREQ of a voice."""
        found: dict[int, None] = {}
        for frame in reversed(self.path[-100:]):
            found.setdefault(field(frame.image, v)[0])
            if len(found) == count:
                break
        return list(found)

    def guesses(self, v: int) -> list[tuple[int, int]]:
        """Return FREQ and PW with which a voice may go on, the likeliest first."""
        past = [field(self.image(k), v)[:2] for k in range(len(self.path) - 1, max(len(self.path) - 13, -2), -1)]
        freq, width = past[0]
        freqs, widths = [freq], [width]
        if len(past) > 1 and (slope := width - past[1][1]) and 0 <= width + slope < 4096:
            widths.insert(0, width + slope)
        if len(past) > 3:  # what it did most of the time: a silent voice is hard to hear
            slopes = [past[k][1] - past[k + 1][1] for k in range(len(past) - 1)]
            slope = max(sorted(set(slopes)), key=slopes.count)
            if slope and 0 <= width + slope < 4096 and width + slope not in widths:
                widths.insert(1, width + slope)
        if len(past) > 1 and (slope := freq - past[1][0]):
            freqs.append(min(max(freq + slope, 0), 65_535))
        for period in (2, 3, 4, 6):
            if len(past) > period and past[period - 1][0] != freq:
                cycle = len(past) >= 2 * period and all(past[i][0] == past[i + period][0] for i in range(period))
                new = past[period - 1][0]
                if cycle and new in freqs:
                    freqs.remove(new)
                if new not in freqs:
                    freqs.insert(0 if cycle else len(freqs), new)
        found = [(f, w) for f in freqs for w in widths]
        return sorted(found, key=lambda o: freqs.index(o[0]) + widths.index(o[1]))

    def successors(self, v: int, count: int = 4) -> list[Group]:
        """Return what came after what a voice does now, the newest first: players go through the same tables again."""
        freq, width, *rest = field(self.before().image, v)
        found: dict[Group, None] = {}
        for k in range(len(self.path) - 2, -1, -1):
            old, new = field(self.path[k].image, v), field(self.path[k + 1].image, v)
            if [old[0], *old[2:]] == [freq, *rest] and old[2] & GATE | new[2] & GATE and new[2] != old[2]:
                found.setdefault((new[0], (width + new[1] - old[1]) & 0xFFF, *new[2:]))
                if len(found) == count:
                    break
        return list(found)

    def starts(self, v: int, count: int = 3) -> list[Group]:
        """Return how the latest notes of a voice began: players begin them with the same tables."""
        found: dict[Group, None] = {}
        widths = {field(self.before().image, v)[1]: None}
        if self.widely:
            count *= 2
            widths[self.guesses(v)[0][1]] = None
        for k in range(len(self.path) - 1, 0, -1):
            old, new = field(self.path[k - 1].image, v), field(self.path[k].image, v)
            if new[2] & GATE and not old[2] & GATE:
                found.update(dict.fromkeys((new[0], w, *new[2:]) for w in widths))
                if len(found) >= count:
                    break
        return list(found)

    def open(self, v: int, frame: Frame) -> bool:
        """Whether the envelope of a voice is not yet sure: its gate changed a short time ago."""
        if field(frame.image, v)[2] & 0xF0 == 0:
            return False
        if (field(frame.image, v)[2] ^ field(self.before().image, v)[2]) & GATE:
            return True
        turned = self.turned(v, len(self.path), field(self.before().image, v)[2] & GATE)
        return turned is not None and len(self.path) - turned <= YOUNG_FRAMES

    def past_image(self, some: Sequence[Option], number: int, image: np.ndarray) -> np.ndarray:
        """Return the registers of an earlier frame as options have them."""
        for v, option in enumerate(some):
            past = option.past
            if past is None:
                continue
            if number >= past.begin:
                image = with_voice(image, v, ad=past.ad, sr=past.sr)
            for at, gate in past.gates:
                if at == number:
                    image = with_gate(image, v, gate)
        return image
