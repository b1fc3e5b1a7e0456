"""Logs as MIDI files: the notes that were played are those in the file."""

from __future__ import annotations

import io

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidlearn import clock, sources
from sidlearn.export import midi_file
from sidlearn.writes import RegisterWrites

HZ = clock.PAL.clock_hz
FRAME = clock.PAL.frame_cycles
SECONDS = 1.0


def freq(key: float) -> int:
    return clock.hz_to_freq(440 * 2 ** ((key - 69) / 12))


def pitch(cycle: int, key: float, voice: int = 0) -> list[tuple[int, int, int]]:
    value = freq(key)
    return [(cycle, 7 * voice, value & 0xFF), (cycle + 6, 7 * voice + 1, value >> 8)]


def log(rows, seconds: float = SECONDS) -> RegisterWrites:
    return RegisterWrites.from_rows([(0, 24, 15), *sorted(rows, key=lambda row: row[0])], round(seconds * HZ))


def messages(writes: RegisterWrites) -> list[mido.Message]:
    """All messages with the absolute time in ticks."""
    file = io.BytesIO()
    midi_file.write(writes, file)
    file.seek(0)
    song = mido.MidiFile(file=file)
    rows = []
    for track in song.tracks:
        now = 0
        for message in track:
            now += message.time
            rows.append(message.copy(time=now))
    return rows


@pytest.mark.parametrize("voice", range(3))
@pytest.mark.parametrize("key", [24, 45, 69, 93])
def test_a_note_is_where_the_gate_is_open(voice, key):
    at, end = FRAME * 3, FRAME * 20
    writes = log([*pitch(at - 500, key, voice), (at, 7 * voice + 4, 0x21), (end, 7 * voice + 4, 0x20)])
    on, off = (next(m for m in messages(writes) if m.type == kind) for kind in ("note_on", "note_off"))
    assert (on.note, on.channel, on.velocity) == (key, voice, 127)
    for message, cycle in ((on, at), (off, end)):
        assert abs(message.time - cycle / HZ * midi_file.TICKS_A_SECOND) <= 0.5


def keys_of(rows) -> list[int]:
    return [note.key for note in midi_file.notes(log(rows))]


def test_pitch_may_follow_the_gate():
    assert keys_of([(FRAME, 4, 0x41), *pitch(FRAME + 40, 60), (20 * FRAME, 4, 0x40)]) == [60]


def test_a_gate_that_opens_again_is_a_new_note():
    rows = [*pitch(0, 60), (500, 4, 0x11), (10 * FRAME, 4, 0x10), (10 * FRAME + 20, 4, 0x11), (20 * FRAME, 4, 0x10)]
    assert keys_of(rows) == [60, 60]


def test_a_pitch_that_holds_is_a_new_note():
    rows = [*pitch(0, 60), (500, 4, 0x11), *pitch(10 * FRAME, 64), *pitch(20 * FRAME, 67)]
    found = midi_file.notes(log(rows))
    assert [note.key for note in found] == [60, 64, 67]
    assert [note.start // FRAME for note in found] == [0, 10, 20]


def test_vibrato_is_one_note():
    rows = [row for f in range(40) for row in pitch(f * FRAME, 60 + 0.3 * np.sin(f))]
    assert keys_of([*rows, (500, 4, 0x11)]) == [60]


def test_an_arpeggio_is_one_note():
    rows = [row for f in range(40) for row in pitch(f * FRAME, (60, 64, 67)[f % 3])]
    rows.append((40 * FRAME, 4, 0x10))
    assert keys_of([*rows, (500, 4, 0x11)]) == [60]


def test_the_tick_of_another_pitch_that_begins_a_note_is_part_of_it():
    assert keys_of([*pitch(0, 100), (500, 4, 0x11), *pitch(FRAME, 60)]) == [60]


def test_noise_is_on_the_drum_channel():
    writes = log([*pitch(0, 60), (500, 4, 0x81), (10 * FRAME, 4, 0x80)])
    on = [m for m in messages(writes) if m.type == "note_on"]
    assert [m.channel for m in on] == [midi_file.DRUM_CHANNEL]


def test_silence_has_no_notes():
    assert keys_of([*pitch(0, 60), (500, 4, 0x11), (600, 24, 0)]) == []
    assert keys_of([*pitch(0, 60), (500, 4, 0x01)]) == []
    assert midi_file.notes(RegisterWrites.empty(1)) == []


def test_the_second_sid_has_tracks_of_its_own():
    writes = log([(0, 32, 0), (0, 33, 29), (0, 56, 15), (500, 36, 0x11)])
    on = [m for m in messages(writes) if m.type == "note_on"]
    assert [m.channel for m in on] == [3]


def test_what_our_midi_player_plays_comes_back(tmp_path):
    path = tmp_path / "song.mid"
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.Message("program_change", program=80)])
    keys = [60, 64, 67, 72, 55, 48]
    for key in keys:
        track.append(mido.Message("note_on", note=key, velocity=100, time=60))
        track.append(mido.Message("note_off", note=key, time=360))
    song.tracks.append(track)
    song.save(path)
    found = midi_file.notes(sources.load(path))
    assert [note.key for note in found] == keys
    starts = np.array([note.start / HZ for note in found])
    assert abs(np.diff(starts) - 420 / 960).max() < 0.025


rows = st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 24), st.integers(0, 255)), max_size=60)


@given(steps=rows)
def test_any_log_gives_a_file_in_which_every_note_ends(steps):
    cycle, table = 0, []
    for delta, register, value in steps:
        cycle += delta
        table.append((cycle, register, value))
    open_notes: dict[tuple[int, int], int] = {}
    for message in messages(RegisterWrites.from_rows(table)):
        if message.type in ("note_on", "note_off"):
            key = message.channel, message.note
            open_notes[key] = open_notes.get(key, 0) + (1 if message.type == "note_on" else -1)
    assert not any(open_notes.values())
