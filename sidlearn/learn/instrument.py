"""A learned note as an instrument: what its voice does frame by frame, in the format that `sidlearn play` reads.

The instrument engine, given the same key for as long, writes the frames that were learned. An envelope that was planned
frame by frame becomes the four nibbles whose course, on the chip's own generator, comes closest to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sidlearn.clock import PAL
from sidlearn.errors import LearnError
from sidlearn.files import whole_file
from sidlearn.learn import envelopes
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
    PW_HI,
    PW_LO,
    RES_FILT,
    SUSTAIN_RELEASE,
    TEST,
    TRIANGLE,
    VOICES,
    voice_register,
)
from sidlearn.writes import RegisterFrames, RegisterWrites

if TYPE_CHECKING:
    from sidlearn.midi.instruments import Instrument, Program

SUFFIXES = (".toml", ".ins")
"""Files that hold an instrument: our own, and GoatTracker's."""
AUDIBLE = 3  # guess: envelope counter below which a note is over, 38 dB under full
MOST_INTERVAL, MOST_CENTS = 96, 2_400
READY_FRAMES = 2
"""Frames with all rates at zero before a note, as the instrument engine gives it: hard restart."""
SUSTAINED_DB = 3.0  # guess: a note that is still this near to its sustain level when its gate closes was held
HOLDS = 12
"""Places that are tried for the closing of the gate of a planned envelope."""


@dataclass(frozen=True)
class Note:
    """An instrument, and how it is played to sound as learned."""

    instrument: Instrument
    key: int
    """MIDI note."""
    held: int
    """Frames for which the key is down."""
    frames: int
    """How long the note is."""
    frame_cycles: int
    voice: int = 0
    """That played it."""
    first: int = 0
    """Frame in which it began."""

    def play(self) -> RegisterFrames:
        """Return what the instrument engine writes for the key: voice 1 of `frames` frames."""
        from sidlearn.midi.player import Player

        port = _Log()
        player = Player(port, frame_cycles=PAL.frame_cycles, instrument=self.instrument, drums=False)
        start = READY_FRAMES * self.frame_cycles
        player.message(start, bytes((0x90, self.key, 127)))
        if self.held < self.frames:
            player.message(start + self.held * self.frame_cycles, bytes((0x80, self.key, 0)))
        player.advance(start + self.frames * self.frame_cycles)
        writes = RegisterWrites.from_rows(port.rows, start + self.frames * self.frame_cycles)
        return RegisterFrames(writes.frames(self.frame_cycles).values[READY_FRAMES:], self.frame_cycles)


class _Log:
    """A port that keeps what is written."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int]] = []

    def poke(self, cycle: int, register: int, value: int) -> None:
        self.rows.append((cycle, register, value))

    def peek(self, cycle: int, register: int) -> int:
        return 0


def note_of(frames: RegisterFrames, name: str = "Learned", model: str = "6581", whole: bool = False) -> Note:
    """Return the loudest note of some frames as an instrument.

    Parameters
    ----------
    frames : RegisterFrames
    name : str
        Of the instrument.
    model : str
        The chip that the frames are for.
    whole : bool
        Whether all that the loudest voice plays is one note, as where envelopes are planned frame by frame; else a note
        begins where a gate opens.

    Raises
    ------
    LearnError
        If no voice sounds.
    """
    from sidlearn.midi.instruments import Instrument, Program

    counters = [_counters(frames, v) for v in range(VOICES)]
    voice, first, end = max(
        ((v, *span) for v in range(VOICES) for span in _spans(frames, v, counters[v], whole)),
        key=lambda found: _loudness(frames, found[0], slice(*found[1:]), counters[found[0]], model),
        default=(0, 0, 0),
    )
    if end == first:
        raise LearnError("no voice of these registers sounds: there is no note to make an instrument of")
    rows, counter = frames.values[first:end], counters[voice][first:end]
    nibbles, closes, belongs_to_key = _envelope(rows, voice, counter, frames.frame_cycles, model)
    control = rows[:, voice_register(voice, CONTROL)].astype(int) & ~GATE
    if not belongs_to_key:
        control[closes:] |= GATE  # upside down: the program takes the gate away
    freq = _word(rows, voice, FREQ_LO, FREQ_HI)
    key, arpeggio, detune = _pitch(freq, control)
    width = _word(rows, voice, PW_LO, PW_HI)
    made = Instrument(
        name,
        attack=nibbles.attack,
        decay=nibbles.decay,
        sustain=nibbles.sustain,
        release=nibbles.release,
        speed=PAL.frame_cycles // frames.frame_cycles,
        waveform=_program(control),
        arpeggio=_program(arpeggio),
        detune=_program(detune) if any(detune) else Program(),
        pulse_width=int(width[0]),
        pulse_sweep=_sweep(width),
        **_filter(rows, voice),
    )
    held = closes if belongs_to_key else len(rows)
    return Note(made, key, held, len(rows), frames.frame_cycles, voice, first)


def save(note: Note, path: str | Path) -> None:
    """Write a note's instrument; a ``.toml`` says in its first lines how it was played.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    from sidlearn.midi import instruments
    from sidlearn.midi.tuning import note_name

    path = Path(path)
    if path.suffix.lower() != ".toml":
        instruments.save(note.instrument, path)
        return
    rate = round(PAL.clock_hz / note.frame_cycles)
    told = f"# As learned: key {note_name(note.key)}, down for {note.held} of {note.frames} frames, {rate} a second\n"
    with whole_file(path) as file:
        file.write((told + instruments.text_of(note.instrument)).encode())


def is_instrument(path: str | Path) -> bool:
    """Whether a file of that name holds an instrument."""
    return Path(path).suffix.lower() in SUFFIXES


# --- Which note --------------------------------------------------------------------------------------------------


def _counters(frames: RegisterFrames, voice: int) -> np.ndarray:
    """Return a voice's envelope counter at the end of each frame."""
    control = frames.values[:, voice_register(voice, CONTROL)]
    plan = envelopes.Plan(
        frames.values[:, voice_register(voice, ATTACK_DECAY)],
        frames.values[:, voice_register(voice, SUSTAIN_RELEASE)],
        (control & GATE) > 0,
        np.zeros(len(control), np.float32),
    )
    timing = envelopes.timing_of(frames.values, voice, frames.frame_cycles)
    return envelopes.follow(plan, control & ~np.uint8(GATE), timing)


def _spans(frames: RegisterFrames, voice: int, counter: np.ndarray, whole: bool) -> list[tuple[int, int]]:
    """Return where a voice's notes begin and end, in frames."""
    gate = frames.values[:, voice_register(voice, CONTROL)] & GATE
    opens = np.flatnonzero(np.diff(gate, prepend=np.uint8(0)) == 1)
    if not len(opens):
        return []
    if whole:
        opens = opens[:1]
    found = []
    for first, following in zip(opens, np.append(opens[1:], len(gate)), strict=True):
        stop = following if whole else first + _before_restart(frames.values[first:following], voice)
        heard = np.flatnonzero(counter[first:stop] > AUDIBLE)
        if len(heard):
            found.append((int(first), int(min(first + heard[-1] + 2, stop))))
    return found


def _before_restart(rows: np.ndarray, voice: int) -> int:
    """Return how many frames there are until the voice is made ready for the next note: other rates, gate closed."""
    closed = np.flatnonzero(rows[:, voice_register(voice, CONTROL)] & GATE == 0)
    if not len(closed):
        return len(rows)
    release = rows[:, voice_register(voice, SUSTAIN_RELEASE)] & 15
    other = np.flatnonzero(release[closed[0] :] != release[closed[0]])
    return int(closed[0] + other[0]) if len(other) else len(rows)


def _loudness(frames: RegisterFrames, voice: int, span: slice, counter: np.ndarray, model: str) -> float:
    rows = frames.values[span]
    control = rows[:, voice_register(voice, CONTROL)]
    heard = (control >= TRIANGLE) & (control & TEST == 0) & (_word(rows, voice, FREQ_LO, FREQ_HI) > 0)
    return float((envelopes.levels(model)[counter[span]] ** 2)[heard].sum())


# --- Its envelope ------------------------------------------------------------------------------------------------


class Nibbles(NamedTuple):
    """An envelope's registers."""

    attack: int
    decay: int
    sustain: int
    release: int


def _envelope(
    rows: np.ndarray, voice: int, counter: np.ndarray, frame_cycles: int, model: str
) -> tuple[Nibbles, int, bool]:
    """Return the envelope of a note, the frame in which its gate closes, and whether the key closes it."""
    gate = (rows[:, voice_register(voice, CONTROL)] & GATE) > 0
    ad, sr = rows[:, voice_register(voice, ATTACK_DECAY)], rows[:, voice_register(voice, SUSTAIN_RELEASE)]
    closes = int(np.argmin(gate)) if not gate.all() else len(gate)
    once = not gate[closes:].any()
    held, left = slice(0, closes), slice(closes, None)
    if once and np.ptp(ad[held]) == 0 and np.ptp(sr[held] >> 4) == 0 and (sr[left] & 15 == sr[-1] & 15).all():
        nibbles = Nibbles(*(int(n) for n in (ad[0] >> 4, ad[0] & 15, sr[0] >> 4, sr[-1] & 15)))
    else:
        nibbles, closes = _fit(counter, frame_cycles, model)
        counter = _course(nibbles, closes, len(counter), frame_cycles)
    level = envelopes.levels(model)
    near = level[17 * nibbles.sustain] * 10 ** (SUSTAINED_DB / 20)
    belongs_to_key = nibbles.sustain > 0 and (closes == len(rows) or level[counter[closes - 1]] <= near)
    return nibbles, closes, bool(belongs_to_key)


def _fit(counter: np.ndarray, frame_cycles: int, model: str) -> tuple[Nibbles, int]:
    """Return the nibbles, and when the gate closes, that come closest to the course of an envelope."""
    frames = len(counter)
    root = np.sqrt(envelopes.levels(model))
    wanted = root[counter]
    closings = [int(c) for c in np.unique(np.linspace(1, frames, HOLDS).astype(int))]
    best: dict[int, tuple[float, Nibbles]] = {}
    for attack in range(16):
        for sustain in range(16):
            for decay in range(16 if sustain < 15 else 1):
                nibbles = Nibbles(attack, decay, sustain, 0)
                errors = np.cumsum((root[_course(nibbles, frames, frames, frame_cycles)] - wanted) ** 2)
                for closes in closings:
                    if closes not in best or errors[closes - 1] < best[closes][0]:
                        best[closes] = float(errors[closes - 1]), nibbles
    _, held, middle = min(_release(wanted, root, best[closes][1], closes, frame_cycles) for closes in closings)
    spacing = -(-frames // (HOLDS - 1))
    around = range(max(middle - spacing, 1), min(middle + spacing, frames) + 1)
    _, nibbles, closes = min(_release(wanted, root, held, closes, frame_cycles) for closes in around)
    return nibbles, closes


def _release(
    wanted: np.ndarray, root: np.ndarray, nibbles: Nibbles, closes: int, cycles: int
) -> tuple[float, Nibbles, int]:
    """Return what the best release misses, the nibbles with it, and when the gate closes."""
    found = []
    for release in range(16):
        tried = nibbles._replace(release=release)
        error = float(((root[_course(tried, closes, len(wanted), cycles)] - wanted) ** 2).sum())
        found.append((error, tried, closes))
    return min(found)


def _course(nibbles: Nibbles, closes: int, frames: int, cycles: int) -> np.ndarray:
    """Return the envelope counter at the end of each frame of a note."""
    count = READY_FRAMES + frames
    gate = np.zeros(count, bool)
    gate[READY_FRAMES : READY_FRAMES + closes] = True
    plan = envelopes.Plan(
        np.full(count, nibbles.attack << 4 | nibbles.decay, np.uint8),
        np.full(count, nibbles.sustain << 4 | nibbles.release, np.uint8),
        gate,
        np.zeros(count, np.float32),
    )
    plan.attack_decay[:READY_FRAMES] = plan.sustain_release[:READY_FRAMES] = 0
    none = np.zeros(count, np.int64)
    return envelopes.follow(plan, none, envelopes.Timing(none, none, cycles))[READY_FRAMES:]


# --- Its programs ------------------------------------------------------------------------------------------------


def _word(rows: np.ndarray, voice: int, low: int, high: int) -> np.ndarray:
    return rows[:, voice_register(voice, low)].astype(int) | rows[:, voice_register(voice, high)].astype(int) << 8


def _pitch(freq: np.ndarray, control: np.ndarray) -> tuple[int, list[int], list[int]]:
    """Return the key, and for each frame semitones above it and the rest in steps of `DETUNE_STEPS`."""
    from sidlearn.midi.instruments import DETUNE_STEPS
    from sidlearn.midi.tuning import A4_HZ, A4_NOTE, note_to_freq

    note = A4_NOTE + 12 * np.log2(np.maximum(freq, 1) * PAL.clock_hz / (1 << 24) / A4_HZ)
    tonal = (control & NOISE == 0) & (control >= TRIANGLE) & (freq > 0)
    chosen = note[tonal] if tonal.any() else note[freq > 0]
    values, counts = np.unique(np.rint(chosen), return_counts=True)
    key = int(min(max(values[np.argmax(counts)], 0), 127))
    intervals, detunings = [], []
    for one, value in zip(note, freq, strict=True):
        interval = min(max(round(one - key), -MOST_INTERVAL), MOST_INTERVAL)
        steps = 0
        if note_to_freq(key + interval) != value:
            most = MOST_CENTS * DETUNE_STEPS
            steps = min(max(round((one - key - interval) * 100 * DETUNE_STEPS), -most), most)
        intervals.append(interval)
        detunings.append(steps)
    return key, intervals, detunings


def _program(values: Iterable[int]) -> Program:
    """Return values frame by frame as a program, which goes round where the last of them do."""
    from sidlearn.midi.instruments import Program

    values = [int(v) for v in values]
    period, start = _round(values)
    if period > 1:
        head = _steps(values[:start])
        return Program((*head, *_steps(values[start : start + period])), len(head))
    while len(values) > 1 and values[-1] == values[-2]:  # the last one stays
        values.pop()
    return Program(_steps(values))


def _round(values: Sequence[int]) -> tuple[int, int]:
    """Return the shortest period with which the last values repeat at least once, and where that begins; 0 if none."""
    best = (0, len(values))
    for period in range(1, len(values) // 2 + 1):
        start = len(values) - period
        while start and values[start - 1] == values[start - 1 + period]:
            start -= 1
        if len(values) - start >= 2 * period and start + period < sum(best):
            best = (period, start)
    return best


def _steps(values: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple((value, len(list(group))) for value, group in groupby(values))


def _sweep(values: np.ndarray) -> Program:
    """Return what is added to a value from frame to frame, as a program that goes round where the last values do."""
    from sidlearn.midi.instruments import Program

    changes = [int(v) for v in np.diff(values)]
    period, start = _round(changes)
    if period > 1 and any(changes[start:]):
        head = _steps(changes[:start])
        return Program((*head, *_steps(changes[start : start + period])), len(head))
    while changes and changes[-1] == 0:
        changes.pop()
    return Program(_steps(changes))


def _filter(rows: np.ndarray, voice: int) -> dict[str, Any]:
    """Return the filter's fields, where the voice goes through it for most of the note."""
    routed = rows[:, RES_FILT] >> voice & 1
    mode = int(np.bincount(rows[:, MODE_VOL] >> 4 & 7).argmax())
    if not mode or 2 * routed.sum() < len(rows):
        return {}
    cutoff = rows[:, FC_LO].astype(int) & 7 | rows[:, FC_HI].astype(int) << 3
    return {
        "filter": mode,
        "resonance": int(np.bincount(rows[:, RES_FILT] >> 4).argmax()),
        "cutoff": int(cutoff[0]),
        "cutoff_sweep": _sweep(cutoff),
    }
