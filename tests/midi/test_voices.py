"""Allocation against the rule table, by a second version that keeps times instead of states."""

from __future__ import annotations

import random

import pytest

from sidlearn.midi.instruments import Bank, Instrument
from sidlearn.midi.player import RELEASE_MS, WRAP_CYCLES, Player
from sidlearn.midi.voices import FREE, HELD, PEDAL, RELEASED, Allocator
from sidlearn.writes import LogPort

CLOCK = 985_248
TONE = Instrument("Tone", programs=(0,), release=8)
TAIL = round(RELEASE_MS[8] / 1000 * CLOCK) + WRAP_CYCLES


class Table:
    """The stated rules once more, from the times of things: who is silent, released, held by a pedal, by a key."""

    def __init__(self):
        self.voices = [{"key": None, "off": None, "pedal": None, "on": None, "seen": (0, n)} for n in range(3)]
        self.pedal = False
        self.order = 0

    def state(self, voice, now):
        if voice["key"] is None or (voice["off"] is not None and now > voice["off"] + TAIL):
            return FREE
        if voice["off"] is not None:
            return RELEASED
        return PEDAL if voice["pedal"] else HELD

    def on(self, note, now):
        self.order += 1
        for voice in self.voices:
            if self.state(voice, now) == FREE and voice["key"] is not None:
                voice["key"], voice["seen"] = None, (voice["off"] + TAIL, 0)
        ranks = []
        for n, voice in enumerate(self.voices):
            state = self.state(voice, now)
            same = voice["key"] == note and state != FREE
            rank = 0 if same else (FREE, RELEASED, PEDAL, HELD).index(state) + 1
            since = {FREE: voice["seen"][0], RELEASED: voice["off"], PEDAL: voice["pedal"], HELD: voice["on"]}[state]
            ranks.append((rank, since, n))
        n = min(ranks)[2]
        self.voices[n] = {"key": note, "off": None, "pedal": None, "on": now, "seen": (now, n)}
        return n

    def off(self, note, now):
        for voice in self.voices:
            if voice["key"] == note and voice["off"] is None and not voice["pedal"]:
                voice["pedal" if self.pedal else "off"] = now

    def pedal_to(self, down, now):
        self.pedal = down
        if not down:
            for voice in self.voices:
                if voice["key"] is not None and voice["pedal"] and voice["off"] is None:
                    voice["off"], voice["pedal"] = now, None


def phrase(seed):
    """A phrase of notes and pedals, each at a time of its own."""
    rng = random.Random(seed)
    now, down, events = 0, [], []
    for _ in range(60):
        now += rng.randrange(1_000, rng.choice((20_000, 80_000, 600_000)))
        what = rng.random()
        if what < 0.08:
            events.append((now, "pedal", rng.random() < 0.5))
        elif what < 0.5 and down:
            events.append((now, "off", down.pop(rng.randrange(len(down)))))
        else:
            note = rng.randrange(40, 60)
            if note in down:
                continue
            down.append(note)
            events.append((now, "on", note))
    return events


@pytest.mark.parametrize("seed", range(200))
def test_notes_get_the_voices_that_the_rules_say(seed):
    player = Player(LogPort(), Bank([TONE]), CLOCK, instrument=TONE)
    table = Table()
    for now, what, value in phrase(seed):
        if what == "on":
            expected = table.on(value, now)
            player.message(now, bytes((0x90, value, 100)))
            voice = player.voices[expected]
            assert (voice.note, voice.gate, voice.begun) == (value, True, now)
        elif what == "off":
            table.off(value, now)
            player.message(now, bytes((0x80, value, 0)))
        else:
            table.pedal_to(value, now)
            player.message(now, bytes((0xB0, 64, 127 if value else 0)))
        for n, voice in enumerate(table.voices):
            assert player.voices[n].gate == (table.state(voice, now) in (HELD, PEDAL))


def test_released_voices_go_before_sounding_ones_and_silent_ones_before_released():
    allocator = Allocator()
    for n, note in enumerate((60, 62, 64)):
        assert allocator.choose((0, note)) == n
        allocator.set(n, HELD, (0, note))
    assert allocator.choose((0, 65)) == 0  # all held: the oldest
    allocator.set(1, RELEASED)
    assert allocator.choose((0, 65)) == 1
    allocator.set(2, FREE)
    assert allocator.choose((0, 65)) == 2
    assert allocator.choose((0, 60)) == 0  # the same key again


def test_a_voice_that_is_made_ready_is_kept_for_its_note():
    allocator = Allocator()
    allocator.reserve(0, (0, 60))
    assert allocator.choose((0, 72)) == 1
    assert allocator.choose((0, 60)) == 0
