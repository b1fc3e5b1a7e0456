"""Standard MIDI files: when each message comes, and a performance of it.

Source: Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from sidlearn import clock
from sidlearn.errors import MidiError
from sidlearn.midi.controls import ALL_NOTES_OFF
from sidlearn.midi.instruments import Bank
from sidlearn.midi.player import CHANNELS, DRUM_CHANNEL, Player
from sidlearn.writes import WRITE_DTYPE

DEFAULT_TEMPO = 500_000
"""Microseconds a quarter note before any tempo event."""


@dataclass(frozen=True)
class Timed:
    """One message of a song and the cycle it comes at."""

    cycle: int
    data: bytes

    @property
    def is_on(self) -> bool:
        """Whether it begins a note."""
        return self.data[0] & 0xF0 == 0x90 and self.data[2] > 0

    @property
    def is_off(self) -> bool:
        """Whether it ends one."""
        return self.data[0] & 0xF0 == 0x80 or (self.data[0] & 0xF0 == 0x90 and not self.data[2])

    @property
    def key(self) -> tuple[int, int]:
        """Channel and note."""
        return self.data[0] & 15, self.data[1]


def read(path: str | Path, clock_hz: int = clock.PAL.clock_hz) -> list[Timed]:
    """Return the messages of a file in the order of their times, cycles counted from its beginning.

    Raises
    ------
    MidiError
        If it is no standard MIDI file.
    """
    import mido

    try:
        file = mido.MidiFile(path, clip=True)
    except (OSError, EOFError, ValueError, KeyError, IndexError, LookupError, TypeError) as error:
        reason = str(error) or type(error).__name__
        raise MidiError(f"{path}: expected a standard MIDI file: {reason}") from None
    if not file.ticks_per_beat:
        raise MidiError(f"{path}: expected a division above 0, given 0 ticks a quarter note")
    rows: list[tuple[int, int, mido.Message]] = []
    start = 0
    for track in file.tracks:
        tick = start
        for message in track:
            tick += message.time
            rows.append((tick, len(rows), message))
        if file.type == 2:  # tracks of their own, one after the other
            start = tick
    rows.sort(key=lambda row: row[:2])
    return _in_order(_timed(rows, file.ticks_per_beat, clock_hz))


def _timed(rows: list, division: int, clock_hz: int) -> list[Timed]:
    """Turn ticks into cycles by the tempo map."""
    song = []
    tempo, tick, seconds = DEFAULT_TEMPO, 0, Fraction(0)
    for at, _, message in rows:
        seconds += (at - tick) * _tick_seconds(division, tempo)
        tick = at
        if message.type == "set_tempo":
            tempo = max(message.tempo, 1)
        elif not message.is_meta:
            data = bytes(message.bytes())
            song.append(Timed(round(seconds * clock_hz), data))
    return song


def _tick_seconds(division: int, tempo: int) -> Fraction:
    if division > 0:
        return Fraction(tempo, 1_000_000 * division)
    frames, ticks = -(division >> 8), division & 0xFF  # SMPTE: frames a second, ticks a frame
    rate = Fraction(30_000, 1001) if frames == 29 else Fraction(frames)
    return 1 / (rate * max(ticks, 1))


def _in_order(song: list[Timed]) -> list[Timed]:
    """Let notes that end at a time end before others begin at it."""
    ordered: list[Timed] = []
    first = 0
    while first < len(song):
        last = first
        while last < len(song) and song[last].cycle == song[first].cycle:
            last += 1
        together = song[first:last]
        begun: set[tuple[int, int]] = set()
        early, late = [], []
        for event in together:
            if event.is_off and event.key not in begun:
                early.append(event)
            else:
                late.append(event)
                if event.is_on:
                    begun.add(event.key)
        ordered += early + late
        first = last
    return ordered


class SongPerformance:
    """A MIDI file at play on three voices.

    Parameters
    ----------
    path : str or Path
    clock_hz : int
    bank : Bank, optional
    """

    kind = "MIDI file"
    sids = 1
    error: str | None = None

    def __init__(self, path: str | Path, clock_hz: int = clock.PAL.clock_hz, bank: Bank | None = None) -> None:
        self.clock_hz = clock_hz
        self.cycle = 0
        self.song = read(path, clock_hz)
        self._events: list[tuple[int, int, int]] = []
        self._player = Player(self, bank, clock_hz)
        self._plan = self._planned()
        self._next = 0

    def poke(self, cycle: int, register: int, value: int) -> None:
        """Take a write of the player."""
        self._events.append((cycle, register, value))

    def peek(self, cycle: int, register: int) -> int:
        """Return 0: no chip answers."""
        return 0

    def _planned(self) -> list[tuple[int, int, Timed]]:
        """Return what to do when: (cycle, 0 for making ready and 1 for the message, message), in order."""
        plan = []
        programs = [self._player.channels[n].instrument for n in range(CHANNELS)]
        for event in self.song:
            plan.append((event.cycle, 1, event))
            if event.data[0] & 0xF0 == 0xC0:
                programs[event.data[0] & 15] = self._player.bank.program(event.data[1])
            if event.is_on:
                channel, note = event.key
                instrument = self._player.bank.drum(note) if channel == DRUM_CHANNEL else programs[channel]
                frames = instrument.hard_restart if instrument else 0
                if frames:
                    plan.append((max(event.cycle - frames * self._player.frame_cycles, 0), 0, event))
        if plan:  # what is still held at the end of the file ends there
            end = max(row[0] for row in plan)
            plan += [(end, 1, Timed(end, bytes((0xB0 | n, ALL_NOTES_OFF, 0)))) for n in range(CHANNELS)]
        return sorted(plan, key=lambda row: row[0])

    def _ending(self, event: Timed) -> set[tuple[int, int]]:
        """The keys that will have been let go when a note begins."""
        keys = set()
        for cycle, what, other in self._plan[self._next :]:
            if cycle > event.cycle or (other is event and what):
                break
            if what and other.is_off:
                keys.add(other.key)
            elif what and other.is_on:
                keys.discard(other.key)
        return keys

    @property
    def ended(self) -> bool:
        """Whether all messages have been played, and the voices have nothing left to do."""
        return self._next >= len(self._plan) and not self._player.sounding and not self._events

    def advance(self, until_cycle: int) -> np.ndarray:
        """Play on to `until_cycle` or the end; return the writes before it."""
        while self._next < len(self._plan) and self._plan[self._next][0] < until_cycle:
            cycle, what, event = self._plan[self._next]
            self._next += 1
            if what:
                self._player.message(cycle, event.data)
            else:
                self._player.prepare(cycle, *event.key, self._ending(event))
        self._player.advance(until_cycle)
        due = next((i for i, e in enumerate(self._events) if e[0] >= until_cycle), len(self._events))
        part, self._events = self._events[:due], self._events[due:]
        if self.ended:
            last = max([self.cycle, *(row[0] for row in self._plan[-1:]), *(e[0] for e in part[-1:])])
            self.cycle = min(last + 1, until_cycle)
        else:
            self.cycle = until_cycle
        return np.array(part, WRITE_DTYPE)

    def printed(self) -> bytes:
        """Return nothing: a song does not print."""
        return b""

    def facts(self) -> list[tuple[str, str]]:
        """Return its size."""
        notes = sum(event.is_on for event in self.song)
        channels = sorted({event.key[0] + 1 for event in self.song if event.is_on})
        return [
            ("messages", str(len(self.song))),
            ("notes", f"{notes} on channels {', '.join(map(str, channels)) or 'none'}"),
        ]
