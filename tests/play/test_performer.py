"""A flood of messages, garbage on the wire, time that stands still: nothing MIDI promises is lost, nothing hangs."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.midi.instruments import Bank, Instrument, Program
from sidlearn.midi.player import Player
from sidlearn.midi.wire import Parser
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.play.record import RING
from sidlearn.registers import CONTROL, GATE, VOICE_STRIDE
from sidlearn.writes import LogPort

TONE = Instrument("Tone", programs=(0,), sustain=15, waveform=Program(((0x20, 1),)))
GATES = [v * VOICE_STRIDE + CONTROL for v in range(3)]


def make(port):
    return Player(port, Bank([TONE]), instrument=TONE)


def storm(seed, count=10_000):
    """Ten thousand events: controllers, bends, pressure, and among them notes, each of which ends."""
    rng, down, events = random.Random(seed), [], []
    while len(events) < count:
        what = rng.random()
        if what < 0.1 and len(down) < 3:
            note = rng.choice([n for n in range(40, 90) if n not in down])
            down.append(note)
            events.append(bytes((0x90, note, 100)))
        elif what < 0.2 and down:
            events.append(bytes((0x80, down.pop(rng.randrange(len(down))), 0)))
        elif what < 0.6:
            events.append(bytes((0xB0, rng.choice((1, 7, 11, 16, 48, 70, 71, 73, 74, 79, 106)), rng.randrange(128))))
        else:
            events.append(bytes((rng.choice((0xD0, 0xE0)), rng.randrange(128), rng.randrange(128))))
            if events[-1][0] == 0xD0:
                events[-1] = events[-1][:2]
    return [*events, *(bytes((0x80, note, 0)) for note in down)]


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_thousand_events_in_a_second_lose_nothing(seed, monkeypatch):
    """The registers end as if each event had come alone, every note has had its gate, and no writes are left over."""
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    events = storm(seed)
    with Engine(keep=True) as engine:
        engine.open("sdl", 512)
        performer = Performer(engine, make)
        performer.start()
        begun = time.perf_counter()
        for n, message in enumerate(events):
            performer.receive(message, begun + n / 10_000)
        until = time.monotonic() + 60
        while performer.messages < len(events) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        performer.close()
        assert performer.messages == len(events)
        assert performer.player.held_keys == []
        deadline = time.monotonic() + 20
        while (engine.record.head != engine.record.tail).any() and time.monotonic() < deadline:
            time.sleep(0.05)
        log = engine.log().events.tolist()
        image = performer.player.image.copy()
    alone, port = [], LogPort()
    slow = make(port)
    for n, message in enumerate(events):
        slow.message(1000 + n * 99, message)
        alone.append(message)
    opened, state = 0, [0] * 25
    for _, register, value in log:
        opened += register in GATES and bool(value & ~state[register] & GATE)
        state[register] = value
    assert opened == sum(m[0] == 0x90 for m in events)
    assert state == image
    for register in (21, 22, 23, 24, *GATES):  # what no vibrato moves
        assert state[register] == slow.image[register]


def test_while_time_stands_still_keys_may_go_on_and_the_registers_are_right_afterwards():
    with Engine(keep=True) as engine:
        engine.open("file", 256, running=False)
        performer = Performer(engine, make)
        for n in range(RING // 4):
            performer.receive(bytes((0x90, 40 + n % 40, 100)))
            performer.receive(bytes((0x80, 40 + n % 40, 0)))
        performer.receive(bytes((0x90, 60, 100)))
        engine.run()
        engine.pull(4096)
        performer.receive(bytes((0xB0, 71, 127)))
        engine.pull(4096)
        assert engine.record.registers[0][:25].tolist() == performer.player.image


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=20), st.integers(0, 127), st.integers(1, 127))
def test_after_any_bytes_a_note_sounds_and_ends(parts, note, velocity):
    """Running-status garbage and system exclusive that breaks off, then all notes off and a note."""
    port, parser = LogPort(), Parser()
    player = make(port)
    cycle = 1000
    for part in (*parts, b"\xf0\x7d\x01", b"\xb0\x7b\x00\x79\x00", bytes((0x90, note, velocity))):
        for message in parser.feed(part):
            cycle += 500
            player.message(cycle, message)
    if player.mode == "poly" and player._zone is None:
        assert (0, note) in player.held_keys
    player.message(cycle + 100, bytes((0x80, note, 0)))
    player.message(cycle + 200, b"\xb0\x78\x00")
    assert all(0 <= r < 25 and 0 <= v < 256 for r, v in zip(port.registers, port.values, strict=True))
    assert (np.diff(port.cycles) >= 0).all()
    assert not any(k[0] == 0 for k in player.held_keys)
