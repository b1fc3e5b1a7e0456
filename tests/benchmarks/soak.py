"""Everything at once for a minute: window, MIDI keyboard, BASIC program, compute thread; every sample is compared.

    python -m tests.benchmarks.soak [--host portaudio --block 256] [--seconds 60] [--busy]

The sound goes through PulseAudio into a null sink whose monitor is recorded. What was recorded has to be, sample by
sample, what `sidlearn.render` makes of the engine's own log. A witness process of the highest priority sees when the
computer itself stood still: only gaps that it does not explain count. Exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np

import sidlearn
from sidlearn import sources
from sidlearn.midi import instruments, ports
from sidlearn.midi.player import Player
from sidlearn.play import session
from sidlearn.play.live import SOURCE_LANE, Engine
from sidlearn.play.performer import Performer
from sidlearn.play.record import BLOCKS_KEPT
from sidlearn.registers import MIRROR
from tests.benchmarks.parts import Recorder, Witness, display, sound_server
from tests.midi import jack

RATE = 44_100
PROGRAM = """10 S=54272:POKE S+24,15:POKE S+5,0:POKE S+6,240:POKE S+4,33
20 A=A+1:IF A>60 THEN A=20
30 POKE S,A*3 AND 255:POKE S+1,A:X=SIN(A)*COS(A)
40 GOTO 20
"""
SAME = 64
"""Samples in a row that have to be equal for a place to be found again."""
LOST_SECONDS = 3
AHEAD_SECONDS = 0.1
KEYBOARD = """
import random, sys, time, rtmidi
out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="Toy keyboard")
out.open_virtual_port("keys")
rng, until = random.Random(1), time.monotonic() + float(sys.argv[1])
time.sleep(1.5)
while time.monotonic() < until:
    notes = [rng.randrange(40, 80) for _ in range(rng.randrange(1, 4))]
    for note in notes:
        out.send_message([0x90, note, 100])
    for n in range(8):
        out.send_message([0xE0, 0, 48 + rng.randrange(32)])
        out.send_message([0xB0, 74, rng.randrange(128)])
        time.sleep(0.02)
    for note in notes:
        out.send_message([0x80, note, 0])
"""


@numba.njit(nogil=True)
def burn(count: int) -> float:
    """Numbers, without the GIL: what training a net takes of a core."""
    total = 0.0
    for i in range(count):
        total += (i * 0.5) % 3.0
    return total


class Load:
    """Threads that keep the computer busy while the sound plays."""

    def __init__(self, engine: Engine, busy: bool) -> None:
        self._engine = engine
        self._stop = threading.Event()
        burn(10)
        program = sidlearn.basic.tokenize(PROGRAM)
        self._basic = sources.BasicPerformance(program, sources.Request())
        work = [self._play_basic, self._compute, *([self._spin] if busy else [])]
        self._threads = [threading.Thread(target=w, daemon=True) for w in work]
        for thread in self._threads:
            thread.start()

    def _play_basic(self) -> None:
        """The program plays on the second chip, a little ahead of what is heard."""
        while not self._stop.wait(0.005):
            until = self._engine.cycle + round(AHEAD_SECONDS * self._engine.clock_hz)
            events = self._basic.advance(until)
            events["register"] += MIRROR
            self._engine.write(events, SOURCE_LANE)

    def _compute(self) -> None:
        while not self._stop.is_set():
            burn(5_000_000)

    def _spin(self) -> None:
        x = 0
        while not self._stop.is_set():
            x = (x * 1_103_515_245 + 12_345) & 0x7FFF_FFFF

    def stop(self) -> None:
        """End them."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Journal:
    """What is to be known afterwards: when each block was asked for, when underruns were counted."""

    def __init__(self, engine: Engine) -> None:
        self._record = engine.record
        self._seen_blocks = self._seen_underruns = 0
        self.blocks: list[np.ndarray] = []
        self.underruns: list[float] = []
        self.ahead = 0.0

    def look(self, engine: Engine) -> None:
        """Take what is new; at least every few seconds."""
        blocks, underruns = int(self._record.blocks), int(self._record.underruns)
        index = np.arange(self._seen_blocks, blocks) % BLOCKS_KEPT
        self.blocks.append(self._record.block_log[index].copy())
        self._seen_blocks = blocks
        self.underruns += [time.monotonic()] * (underruns - self._seen_underruns)
        self._seen_underruns = underruns
        self.ahead = engine.ticks_ahead

    def time_of(self, sample: int) -> float:
        """Return the time of `time.monotonic` at which a sample was to be heard."""
        rows = np.concatenate(self.blocks)
        at = max(int(np.searchsorted(rows["sample"], sample, "right")) - 1, 0)
        row = rows[at]
        return float(row["asked"]) + self.ahead + float(row["speakers"]) + (sample - int(row["sample"])) / RATE


def find(needle: np.ndarray, hay: np.ndarray) -> int | None:
    """Return where `needle` stands in `hay`."""
    for place in np.flatnonzero(hay[: len(hay) - len(needle) + 1] == needle[0]):
        if np.array_equal(hay[place : place + len(needle)], needle):
            return int(place)
    return None


def compare(heard: np.ndarray, meant: np.ndarray) -> tuple[int, list[tuple[int, int]]]:
    """Return how many samples were heard as meant, and the bad stretches (sample meant, how many were bad)."""
    i = j = None
    for probe in range(0, len(meant) - SAME, 128):
        wanted = meant[probe : probe + SAME]
        if np.ptp(wanted) > 0 and (place := find(wanted, heard[: LOST_SECONDS * RATE])) is not None:
            i, j = place, probe
            break
    if i is None:
        return 0, [(0, len(meant))]
    back = 0  # what led up to the probe
    while back < min(i, j) and heard[i - back - 1] == meant[j - back - 1]:
        back += 1
    i, j = i - back, j - back
    good, bad = 0, [(0, j)] if j else []
    while i < len(heard) and j < len(meant):
        size = min(len(heard) - i, len(meant) - j)
        different = np.flatnonzero(heard[i : i + size] != meant[j : j + size])
        run = int(different[0]) if len(different) else size
        good, i, j = good + run, i + run, j + run
        if not len(different):
            break
        step, place = 0, None
        while place is None and i + step + SAME <= len(heard) and step < LOST_SECONDS * RATE:
            low = max(j - RATE // 4, 0)
            place = find(heard[i + step : i + step + SAME], meant[low : j + LOST_SECONDS * RATE])
            step += 0 if place is not None else 1
        if place is None:
            bad.append((j, len(heard) - i))
            break
        bad.append((j, max(step, abs(low + place - j), 1)))
        i, j = i + step, low + place
    return good, bad


def soak(host: str, block: int, seconds: float, busy: bool) -> dict[str, Any]:
    """Play, record, compare; return the figures."""
    bank = instruments.bank()
    chosen = bank.named("Lead") if "Lead" in bank.instruments else next(iter(bank.instruments.values()))
    with sound_server(RATE) as folder, display(), jack.server():
        os.environ["SDL_AUDIODRIVER"] = "pulseaudio"
        with Engine(sample_rate=RATE, sids=2, scopes=True, keep=True) as engine:
            performer = Performer(engine, lambda port: Player(port, bank, instrument=chosen))
            from sidlearn.play.window import Window

            window = Window(session.LiveDesk(performer, "6581", list(bank.instruments), chosen.name))
            recorder = Recorder(Path(folder) / "heard.raw", RATE)
            witness = Witness()
            engine.open(host, block, "pulse" if host == "portaudio" else None)
            performer.start()
            keys = subprocess.Popen([sys.executable, "-c", KEYBOARD, str(seconds + 1)])
            told: list[str] = []
            watcher = ports.Watcher(jack.jack_system(), "Toy", performer.receive, told.append, performer.lost)
            load = Load(engine, busy)
            journal, rates = Journal(engine), []
            end = time.monotonic() + seconds

            def going() -> bool:
                journal.look(engine)
                rates.append(window.view.frames_per_second)
                return time.monotonic() < end

            window.run(going)
            load.stop()
            watcher.close()
            performer.close()
            time.sleep(0.3)
            engine.hold()
            time.sleep(0.5)
            journal.look(engine)
            recorder.stop()
            witness.stop()
            facts = engine.facts()
            log = engine.log()
            samples = int(engine.record.samples)
        keys.wait()
        if host == "portaudio":  # before its JACK server goes: PortAudio would abort
            import sounddevice

            sounddevice._terminate()
        meant = sidlearn.render(log, sample_rate=RATE)[:samples]
        both = np.fromfile(recorder.path, np.float32).reshape(-1, 2)
    heard = both[:, 0]
    good, bad = compare(heard, meant)
    unexplained = [
        (j, n) for j, n in bad if not witness.explains(journal.time_of(j), journal.time_of(min(j + n, samples)))
    ]
    alone = [t for t in journal.underruns if not witness.explains(t, t)]
    blocks = np.concatenate(journal.blocks)
    gaps = np.diff(blocks["asked"])
    return {
        **facts,
        "messages": performer.messages,
        "ports": told,
        "pictures_a_second": round(float(np.median(rates)), 1),
        "samples_played": samples,
        "samples_equal": good,
        "channels_equal": bool(np.array_equal(both[:, 0], both[:, 1])),
        "bad_stretches": [(round(j / RATE, 2), n) for j, n in bad][:20],
        "bad_samples": sum(n for _, n in bad),
        "bad_samples_unexplained": sum(n for _, n in unexplained),
        "underruns_unexplained": len(alone),
        "stalls_of_the_computer": len(witness.stalls),
        "longest_stall_ms": round(1000 * max((e - s for s, e in witness.stalls), default=0), 1),
        "long_intervals": [
            (round(float(a), 2), round(1000 * float(g), 1), witness.explains(a + journal.ahead, a + g + journal.ahead))
            for a, g in zip(blocks["asked"][1:] - blocks["asked"][0], gaps, strict=True)
            if g > 2.5 * block / RATE
        ][:20],
        "block_interval_ms": [round(float(v) * 1000, 2) for v in np.percentile(gaps, (50, 99, 100))],
    }


def main() -> int:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="portaudio", choices=("portaudio", "sdl"))
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--busy", action="store_true", help="a thread of pure Python too that never rests")
    options = parser.parse_args()
    result = soak(options.host, options.block, options.seconds, options.busy)
    print(json.dumps(result, indent=1))
    return int(bool(result["bad_samples_unexplained"] or result["underruns_unexplained"]))


if __name__ == "__main__":
    sys.exit(main())
