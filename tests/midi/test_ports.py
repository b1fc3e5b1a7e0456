"""Ports by name, over a real MIDI system: keyboards come and go, nothing hangs, nothing is lost."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sidlearn.errors import DeviceError
from sidlearn.midi import asid, ports
from sidlearn.midi.keyboard import Piano
from sidlearn.midi.player import Player
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from tests.midi.jack import Keyboard, jack_system, server
from tests.midi.test_asid import random_frame


@pytest.fixture(scope="module")
def jack():
    pytest.importorskip("rtmidi")
    with server():
        yield jack_system()


def wait_for(what, seconds=5.0):
    """Wait until `what()` holds; return how long it took."""
    begun = time.monotonic()
    while not what():
        if time.monotonic() - begun > seconds:
            return None
        time.sleep(0.005)
    return time.monotonic() - begun


CYCLES = 20


@pytest.mark.slow
def test_twenty_times_pulled_out_and_in_again(jack):
    """Open again within a second, and no note hangs."""
    told = []
    with Engine() as engine:
        engine.open("file", 256)
        performer = Performer(engine, Player)
        watcher = ports.Watcher(jack, "Toy", performer.receive, told.append, performer.lost)
        try:
            took = []
            for _ in range(CYCLES):
                keyboard = Keyboard()
                opened = wait_for(lambda: watcher.open)
                assert opened is not None
                took.append(opened)

                def down(keyboard=keyboard):  # a connection takes a moment to carry
                    keyboard.send(0x90, 60, 100)
                    time.sleep(0.02)
                    return performer.player.held_keys

                assert wait_for(down) is not None
                keyboard.pull_out()
                assert wait_for(lambda: not watcher.open) is not None
                assert wait_for(lambda: not performer.player.held_keys) is not None
                engine.pull(2048)
                assert not any(v.gate for v in performer.player.voices)
        finally:
            watcher.close()
    assert max(took) <= 1.0
    assert sum("has gone" in t for t in told) == CYCLES
    assert sum("is playing" in t for t in told) == CYCLES


TURNS = 3
"""JACK drops a cycle where a client comes late, which any does on a busy machine: one turn must be whole."""


def first_of_each(messages):
    """Without repeats: JACK hands a client's last cycle on once more where the client comes late to the next."""
    return list(dict.fromkeys(messages))


@pytest.mark.slow
def test_a_thousand_asid_frames_over_a_real_port(jack):
    heard = []
    listener = jack.listen(ports.VIRTUAL, lambda message, _: heard.append(message))
    try:
        sender = jack.talk(ports.check("sidlearn", jack.outputs(), "output"))
        time.sleep(0.3)
        rng = np.random.default_rng(4)
        sent = [asid.encode(random_frame(rng), n % 3)[0] for n in range(1000)]
        for _ in range(TURNS):
            heard.clear()
            for message in sent:
                sender.send(message)
                time.sleep(0.004)
            wait_for(lambda: len(heard) >= len(sent), 3)
            if first_of_each(heard) == first_of_each(sent):
                break
        sender.close()
    finally:
        listener.close()
    assert [asid.decode(m) for m in first_of_each(heard)] == [asid.decode(m) for m in first_of_each(sent)]
    assert len(heard) < len(sent) + 10


@pytest.mark.slow
def test_a_burst_arrives_whole(jack):
    """Ten thousand events in a second from another process."""
    import subprocess
    import sys

    heard = []
    listener = jack.listen(ports.VIRTUAL, lambda message, _: heard.append(message))
    code = (
        "import rtmidi, time, sys\n"
        "out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name='burst')\n"
        "out.open_port([i for i, n in enumerate(out.get_ports()) if 'sidlearn' in n][0])\n"
        "time.sleep(0.3)\n"
        "for n in range(10000):\n"
        "    out.send_message([0xB0, n % 120, n // 120])\n"
        "    if n % 50 == 49: time.sleep(0.005)\n"
        "time.sleep(0.5)\n"
    )
    sent = [bytes((0xB0, n % 120, n // 120)) for n in range(10_000)]
    try:
        for _ in range(TURNS):
            heard.clear()
            subprocess.run([sys.executable, "-c", code], check=True)
            wait_for(lambda: len(heard) >= len(sent), 3)
            if first_of_each(heard) == sent:
                break
    finally:
        listener.close()
    assert first_of_each(heard) == sent
    assert len(heard) < 10_100


def test_names():
    names = ["Midi Through:Midi Through Port-0 14:0", "KeyLab 25:KeyLab 25 MIDI 1 20:0"]
    assert ports.match("keylab", names) == names[1]
    assert ports.bare(names[1]) == "KeyLab 25:KeyLab 25 MIDI 1"
    with pytest.raises(DeviceError, match=r"MIDI input 'KeyLap 25': no such port.*there is Midi Through"):
        ports.check("KeyLap 25", names, "input")


class Fake:
    """A MIDI system whose ports come and go as a test likes."""

    name = "fake"

    def __init__(self):
        self.names, self.opened = [], []

    def inputs(self):
        if self.names is None:
            raise RuntimeError("the server has gone")
        return list(self.names)

    def listen(self, name, receive):
        self.opened.append(name)
        return self

    def close(self):
        self.opened.append("closed")


def test_a_watcher_opens_what_comes_and_lets_go_what_goes():
    fake, told, lost = Fake(), [], []
    watcher = ports.Watcher(fake, "", lambda *_: None, told.append, lambda: lost.append(1))
    fake.names = ["A 20:0", "B"]
    watcher.look()
    assert fake.opened == ["A 20:0", "B"]
    fake.names = ["B"]
    watcher.look()
    assert lost == [1]
    assert told == ["A is playing", "B is playing", "A has gone"]
    fake.names = None
    watcher.look()
    assert lost == [1, 1]
    watcher.close()


def test_times_of_messages_are_those_of_the_wire_however_late_python_hears_of_them():
    rng = np.random.default_rng(2)
    clock, arrivals, worst = 100.0, ports.Arrivals(), 0.0
    for n in range(2000):
        since = float(rng.exponential(0.01)) if n else 0.0
        clock += since
        wait = 0.0002 + float(rng.exponential(0.002))
        came = arrivals.time_of(since, clock * (1 + 2e-5) + wait)  # the two clocks drift apart
        if n > 100:
            worst = max(worst, abs(came - clock * (1 + 2e-5) - 0.0002))
    assert worst < 0.0003


def test_a_clock_that_jumps_is_followed():
    arrivals = ports.Arrivals()
    assert arrivals.time_of(0.0, 5.0) == 5.0
    assert arrivals.time_of(0.1, 9.0) == pytest.approx(9.0)  # seconds that the system has not counted
    assert arrivals.time_of(0.1, 9.1) == pytest.approx(9.1)


def test_the_computer_keyboard_is_a_piano():
    sent = []
    piano = Piano(sent.append)
    piano.press("z")
    piano.press("z")  # a key that repeats is one note
    piano.press("q")
    piano.release("z")
    assert sent == [b"\x90\x30\x64", b"\x90\x3c\x64", b"\x80\x30\x00"]
    piano.press(">")
    piano.release("q")  # the note it began, whatever the octave now
    assert sent[-1] == b"\x80\x3c\x00"


def test_terminal_keys_end_when_they_no_longer_repeat():
    sent = []
    piano = Piano(sent.append)
    piano.typed("z", 10.0)
    piano.typed("z", 10.5)
    piano.tick(10.9)
    assert len(sent) == 1
    piano.tick(11.2)
    assert sent[-1] == b"\x80\x30\x00"
