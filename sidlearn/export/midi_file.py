"""A standard MIDI file with the notes of each voice: a track a voice, noise on the drum channel.

A note lasts as long as the gate is open. Within it, a pitch that holds begins a note of its own; shorter ones belong to
the note that they stand beside, or are one note together where pitches change all the time, as arpeggios do. Vibrato,
sweeps, filter and pulse width are left out: the file is a score, the sound is in the registers.

Source: Standard MIDI Files 1.0 (RP-001), General MIDI level 1.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from sidlearn import clock, registers
from sidlearn.registers import CONTROL, FREQ_HI, FREQ_LO, GATE, MODE_VOL, voice_register
from sidlearn.writes import RegisterWrites

if TYPE_CHECKING:
    import mido

SETTLE_CYCLES = 300
"""A pitch that is gone sooner was the one between two bytes of FREQ: a guess, players take 5 to 100 cycles."""
HELD_SECONDS = 0.045
"""A pitch that lasts longer than two pictures is a note, not a step of an arpeggio: a guess."""
SAME_SEMITONES = 0.6
"""Vibrato stays within that of its note: a guess."""
A4_KEY, A4_HZ, SEMITONES = 69, 440.0, 12
TEST, TRIANGLE, SAWTOOTH, PULSE, NOISE = 0x08, 0x10, 0x20, 0x40, 0x80
WAVEFORMS = TRIANGLE | SAWTOOTH | PULSE | NOISE

DIVISION, QUARTER_MICROSECONDS = 960, 500_000
TICKS_A_SECOND = DIVISION * 1_000_000 // QUARTER_MICROSECONDS
DRUM_CHANNEL = 9
CHANNELS = tuple(c for c in range(16) if c != DRUM_CHANNEL)
# General MIDI programs from 0: waveform -> lead 1 (square), lead 2 (sawtooth), ocarina.
PROGRAMS = {TRIANGLE: 79, SAWTOOTH: 81, PULSE: 80}
# (below this many noise steps a second, General MIDI drum): bass drum, snare, closed hi-hat.
DRUMS = ((4_000.0, 36), (30_000.0, 38), (math.inf, 42))
NOISE_STEPS = 16
"""The noise register moves so often in a turn of the accumulator: it is clocked by bit 19."""


@dataclass(frozen=True)
class Note:
    """One note of a voice.

    Attributes
    ----------
    sid, voice : int
        From 0.
    start, end : int
        In cycles.
    key : int
        MIDI note, 0 to 127; for noise what it is at the pitch of FREQ.
    hz : float
        The pitch that is held longest.
    volume : int
        1 to 15.
    waveform : int
        The waveform bits of CONTROL that last longest.
    """

    sid: int
    voice: int
    start: int
    end: int
    key: int
    hz: float
    volume: int
    waveform: int

    @property
    def is_noise(self) -> bool:
        """Whether it is a drum more than a tone."""
        return self.waveform == NOISE


def notes(writes: RegisterWrites) -> list[Note]:
    """Return the notes of all voices in the order of their starts."""
    voices = [(sid, voice) for sid in range(max(writes.sids, 1)) for voice in range(registers.VOICES)]
    found = [note for sid, voice in voices for note in _voice(writes, sid, voice)]
    return sorted(found, key=lambda note: (note.start, note.sid, note.voice))


def write(writes: RegisterWrites, file: BinaryIO) -> None:
    """Write the notes of a log as a MIDI file of type 1."""
    import mido

    song = mido.MidiFile(type=1, ticks_per_beat=DIVISION, charset="latin-1")
    first = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=QUARTER_MICROSECONDS)])
    last = round(writes.seconds * TICKS_A_SECOND)
    first.append(mido.MetaMessage("end_of_track", time=last))
    song.tracks.append(first)
    every = notes(writes)
    for sid in range(max(writes.sids, 1)):
        for voice in range(registers.VOICES):
            own = [note for note in every if (note.sid, note.voice) == (sid, voice)]
            song.tracks.append(_track(own, sid, voice, writes.clock_hz, last))
    song.save(file=file)


# --- Notes ---------------------------------------------------------------------------------------------------------


def _voice(writes: RegisterWrites, sid: int, voice: int) -> list[Note]:
    """Return the notes of one voice."""
    events = writes.events
    number = events["register"].astype(int) - sid * registers.MIRROR
    low, high, control = (voice_register(voice, r) for r in (FREQ_LO, FREQ_HI, CONTROL))
    of_pitch, of_gate, of_volume = (np.isin(number, r) for r in ((low, high), control, MODE_VOL))
    pitch = _settled(events[of_pitch], number[of_pitch] == high)
    loud = events[of_volume]
    found = []
    for start, end, waveform in _gated(events[of_gate], writes.length):
        volume = _at(loud["cycle"], loud["value"] & 0x0F, end)
        if volume:
            pieces = _pieces(pitch, start, end, writes.clock_hz, waveform == NOISE)
            found += [Note(sid, voice, a, b, _key(hz), hz, volume, waveform) for a, b, hz in pieces]
    return found


def _settled(events: np.ndarray, is_high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return from which cycle on FREQ has which value, bytes that are on their way left out."""
    value = events["value"].astype(int)
    place = np.arange(len(events))
    halves = []
    for chosen in (is_high, ~is_high):
        last = np.maximum.accumulate(np.where(chosen, place, -1)) if len(events) else place
        halves.append(np.where(last >= 0, value[last], 0))
    cycle = events["cycle"]
    stays = np.diff(cycle, append=np.iinfo(np.int64).max) >= SETTLE_CYCLES
    return cycle[stays], (halves[0] << 8 | halves[1])[stays]


def _gated(rows: np.ndarray, length: int) -> list[tuple[int, int, int]]:
    """Return start, end and longest waveform of every stretch with an open gate and a waveform."""
    found = []
    start, lasted = -1, Counter[int]()
    cycles = [*rows["cycle"].tolist(), length]
    for cycle, value, until in zip(cycles[:-1], rows["value"].tolist(), cycles[1:], strict=True):
        if not value & GATE:
            if lasted:
                found.append((start, cycle, lasted.most_common(1)[0][0]))
            start, lasted = -1, Counter()
            continue
        start = cycle if start < 0 else start
        if value & WAVEFORMS and not value & TEST:
            lasted[value & WAVEFORMS] += until - cycle
    if lasted:
        found.append((start, length, lasted.most_common(1)[0][0]))
    return found


def _at(cycles: np.ndarray, values: np.ndarray, cycle: int) -> int:
    """Return the value that holds just before `cycle`, 0 before the first."""
    place = int(np.searchsorted(cycles, cycle)) - 1
    return int(values[place]) if place >= 0 else 0


def _pieces(
    pitch: tuple[np.ndarray, np.ndarray], start: int, end: int, clock_hz: int, whole: bool
) -> list[tuple[int, int, float]]:
    """Return start, end and pitch in Hz of the notes within an open gate; `whole`: there is one only."""
    cycles, values = pitch
    first = max(int(np.searchsorted(cycles, start + SETTLE_CYCLES, side="right")) - 1, 0)
    last = int(np.searchsorted(cycles, end - SETTLE_CYCLES))
    edges = [start, *cycles[first + 1 : last].tolist(), end]
    runs: list[tuple[int, int, Counter[int]]] = []
    for begin, until, freq in zip(edges[:-1], edges[1:], values[first : max(last, first + 1)].tolist(), strict=False):
        if not freq or until <= begin:
            continue
        if runs and (whole or _semitones(freq, runs[-1][2].most_common(1)[0][0]) <= SAME_SEMITONES):
            runs[-1] = (runs[-1][0], until, runs[-1][2] + Counter({freq: until - begin}))
        else:
            runs.append((begin, until, Counter({freq: until - begin})))
    joined: list[tuple[int, int, Counter[int]]] = []
    for run in _without_short(runs, HELD_SECONDS * clock_hz):
        same = joined and _semitones(*(r[2].most_common(1)[0][0] for r in (run, joined[-1]))) <= SAME_SEMITONES
        if same:
            joined[-1] = (joined[-1][0], run[1], joined[-1][2] + run[2])
        else:
            joined.append(run)
    return [(begin, until, clock.freq_to_hz(held.most_common(1)[0][0], clock_hz)) for begin, until, held in joined]


def _without_short(runs: list[tuple[int, int, Counter[int]]], least: float) -> list[tuple[int, int, Counter[int]]]:
    """Join pitches that are too short for notes: with each other, and what is short still with its neighbour."""
    groups: list[tuple[int, int, Counter[int], bool]] = []
    for begin, until, held in runs:
        short = until - begin < least
        if groups and short and groups[-1][3]:
            groups[-1] = (groups[-1][0], until, groups[-1][2] + held, True)
        else:
            groups.append((begin, until, held, short))
    out: list[tuple[int, int, Counter[int]]] = []
    waiting = -1
    for begin, until, held, _ in groups:
        first, waiting = (waiting if waiting >= 0 else begin), -1
        if until - begin >= least or len(groups) == 1:
            out.append((first, until, held))
        elif out:
            out[-1] = (out[-1][0], until, out[-1][2])
        else:
            waiting = first
    return out if waiting < 0 else [*out, (waiting, groups[-1][1], groups[-1][2])]


def _semitones(first: int, second: int) -> float:
    """Return how far two values of FREQ are apart."""
    return abs(SEMITONES * math.log2(first / second))


def _key(hz: float) -> int:
    """Return the nearest MIDI note."""
    return min(max(round(A4_KEY + SEMITONES * math.log2(hz / A4_HZ)), 0), 127)


# --- The file ------------------------------------------------------------------------------------------------------


def _track(found: list[Note], sid: int, voice: int, clock_hz: int, last: int) -> mido.MidiTrack:
    """Return the track of one voice."""
    import mido

    name = f"voice {voice + 1}" + (f" of SID {sid + 1}" if sid else "")
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    channel = CHANNELS[sid * registers.VOICES + voice]
    rows: list[tuple[int, int, mido.Message]] = []
    program = None
    for note in found:
        begin, end = (round(c * TICKS_A_SECOND / clock_hz) for c in (note.start, note.end))
        end = max(end, begin + 1)
        where, key = (DRUM_CHANNEL, _drum(note.hz)) if note.is_noise else (channel, note.key)
        if not note.is_noise and _program(note.waveform) != program:
            program = _program(note.waveform)
            rows.append((begin, 1, mido.Message("program_change", channel=channel, program=program)))
        velocity = round(note.volume * 127 / 15)
        rows.append((begin, 2, mido.Message("note_on", channel=where, note=key, velocity=velocity)))
        rows.append((end, 0, mido.Message("note_off", channel=where, note=key)))
    now = 0
    for tick, _, message in sorted(rows, key=lambda row: row[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(last - now, 0)))
    return track


def _program(waveform: int) -> int:
    """Return the General MIDI program of a waveform; combined ones sound most like the narrow one in them."""
    return next(PROGRAMS[w] for w in (PULSE, SAWTOOTH, TRIANGLE) if waveform & w)


def _drum(hz: float) -> int:
    """Return the General MIDI drum of noise."""
    return next(key for below, key in DRUMS if hz * NOISE_STEPS < below)
