"""Real chips at a port: they get what a file would hold, from any source, and catch up when plugged in again."""

from __future__ import annotations

import subprocess
import sys

import mido
import numpy as np
import pytest

import sidlearn
from sidlearn import sources
from sidlearn.config import Config
from sidlearn.errors import DeviceError
from sidlearn.midi import asid, ports
from sidlearn.midi.player import Player
from sidlearn.play.hardware import Hardware, play_on
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.writes import RegisterFrames, RegisterWrites
from tests.midi.jack import jack_system, server

LISTING = "10 S=54272:POKE S+24,15:POKE S+5,9:POKE S+1,25:POKE S+4,17:FOR T=1 TO 60:NEXT:POKE S+4,16\n"


class Box:
    """A MIDI system with one output, which keeps what is sent to it and can be pulled out."""

    name = "box"

    def __init__(self):
        self.names, self.sent = ["Box 20:0"], []

    def outputs(self):
        return list(self.names)

    def talk(self, name):
        if name not in self.names:
            raise RuntimeError("gone")
        return self

    def send(self, message):
        if not self.names:
            raise OSError("no such device")
        self.sent.append(message)

    def close(self):
        pass

    def writes(self):
        """What the chips were told, as (chip, register, value)."""
        return [(d[0], r, v) for m in self.sent if (d := asid.decode(m)) for r, v in d[1]]


def registers_of(rows):
    return {(sid, register): value for sid, register, value in rows}


def sources_of_every_kind(folder):
    (folder / "song.bas").write_text(LISTING)
    song = mido.MidiFile(type=0, ticks_per_beat=100)
    song.tracks.append(
        mido.MidiTrack([mido.Message("note_on", note=60, velocity=90), mido.Message("note_off", note=60, time=20)])
    )
    song.save(folder / "song.mid")
    values = np.zeros((8, 25), np.uint8)
    values[:, 24], values[:, 1], values[:, 4] = 15, np.arange(20, 28), 33
    learned = RegisterFrames(values, 19_656, 985_248).writes()  # what `learn` gives
    sidlearn.save(learned, folder / "learned.csv")
    sidlearn.save(learned, folder / "tune.sid")
    return [folder / name for name in ("song.bas", "song.mid", "learned.csv", "tune.sid")]


@pytest.mark.parametrize("place", range(4))
def test_every_kind_of_source_reaches_the_hardware_whole(place, tmp_path):
    path = sources_of_every_kind(tmp_path)[place]
    box = Box()
    hardware = Hardware(box, "box")
    request = sources.Request()
    play_on(hardware, sources.open_source(path, request), Config(), seconds=0.6)
    told = box.writes()
    hardware.close()
    meant = sidlearn.load(path, seconds=0.6).events.tolist()
    assert len(meant) >= 5
    assert registers_of(told) == registers_of((0, r, v) for _, r, v in meant if r < 25)
    for control in asid.CONTROLS:  # no gate is lost
        assert [v for _, r, v in told if r == control] == [v for _, r, v in meant if r == control]
    assert box.sent[0] == asid.START_MESSAGE
    assert box.sent[-1] == asid.STOP_MESSAGE
    assert registers_of(box.writes())[0, 24] == 0


def test_live_play_and_pokes_reach_the_hardware():
    box = Box()
    hardware = Hardware(box, "Box")
    with Engine(keep=True) as engine:
        engine.open("file", 256)
        performer = Performer(engine, Player, hardware.send)
        performer.receive(bytes((0x90, 60, 100)))
        engine.pull(4096)
        performer.tick()
        performer.receive(bytes((0x80, 60, 0)))
        performer.write(21, 5)
        engine.pull(4096)
        log = engine.log().events.tolist()
    hardware.close()
    told = registers_of(box.writes())
    meant = registers_of((0, r, v) for _, r, v in log)
    assert meant[0, 21] == 5
    assert {**told, (0, 24): 15} == {**meant, **{(0, r): told[0, r] for r in asid.CONTROLS}}


def test_a_box_that_was_pulled_out_gets_all_registers_when_it_is_back():
    box, told = Box(), []
    hardware = Hardware(box, "Box", told=told.append)
    rows = RegisterWrites.from_rows([(0, 24, 15), (0, 1, 40), (0, 4, 33), (0, 32 + 4, 17)]).events
    hardware.send(rows[:2])
    box.names = []
    hardware.send(rows[2:])  # nobody is there
    hardware.look()
    box.sent.clear()
    box.names = ["Box 24:0"]
    hardware.look()
    assert registers_of(box.writes()) == {(0, 24): 15, (0, 1): 40, (0, 4): 33, (1, 4): 17}
    assert [t.split(":")[0] for t in told] == ["Box has gone", "Box is back"]
    hardware.close()


def test_no_such_port_is_told():
    with pytest.raises(DeviceError, match=r"MIDI output 'Bax': no such port; did you mean|there is Box"):
        Hardware(Box(), "Bax")


@pytest.mark.slow
def test_the_command_line_plays_a_listing_over_a_real_port(tmp_path):
    pytest.importorskip("rtmidi")
    (tmp_path / "song.bas").write_text(LISTING)
    heard = []
    with server() as environ:
        system = jack_system()
        listener = system.listen(ports.VIRTUAL, lambda message, _: heard.append(message))
        try:
            command = [sys.executable, "-m", "sidlearn", "run", str(tmp_path / "song.bas"), "--asid", "sidlearn"]
            done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
        finally:
            listener.close()
    assert done.returncode == 0, done.stderr
    assert heard[0] == asid.START_MESSAGE
    assert heard[-1] == asid.STOP_MESSAGE
    told = [(r, v) for m in heard if (d := asid.decode(m)) for r, v in d[1]]
    meant = [(r, v) for _, r, v in sidlearn.load(tmp_path / "song.bas").events.tolist()]
    assert [v for r, v in told if r == 4][:2] == [17, 16]
    assert dict(meant).items() <= {**dict(told), 24: 15}.items()
