"""From a key to the speakers: another process presses keys over real JACK MIDI ports, the times are taken on the way.

    python -m tests.benchmarks.latency [--block 256] [--notes 150] [--idle] [--host portaudio] [--period 64]

A key's time is that of the process that sends it. Its gate opens at a cycle that the engine's log tells, so at a
sample; PortAudio says when the first sample of each block is at the speakers. Unless ``--idle`` a thread of pure Python
never rests meanwhile. Exit status 1 where the limits of `LIMITS_MS` are not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

from sidlearn.midi import instruments, ports
from sidlearn.midi.player import Player
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.play.record import BLOCKS_KEPT
from sidlearn.registers import CONTROL, GATE, VOICE_STRIDE
from tests.benchmarks.parts import Witness, sound_server
from tests.midi import jack

RATE = 44_100
LIMITS_MS = {256: (20.0, 28.0), 128: (15.0, 20.0)}
"""Block -> median and worst of 150 notes that are asked for."""

SENDER = """
import json, sys, time, rtmidi
out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="Toy keyboard")
out.open_virtual_port("keys")
time.sleep(2.0)
sent = []
for n in range(int(sys.argv[1])):
    sent.append(time.monotonic())
    out.send_message([0x90, 48 + n % 24, 100])
    time.sleep(0.03 + 0.011 * (n * 7 % 5) / 5)
    out.send_message([0x80, 48 + n % 24, 0])
    time.sleep(0.017 + 0.0031 * (n * 3 % 7) / 7)
print(json.dumps(sent))
"""


def measure(block: int, notes: int, busy: bool, host: str, period: int) -> dict[str, Any]:
    """Play the notes and return the figures."""
    stop = threading.Event()

    def spin() -> None:
        x = 0
        while not stop.is_set():
            x = (x * 1_103_515_245 + 12_345) & 0x7FFF_FFFF

    bank = instruments.bank()
    chosen = next(iter(bank.instruments.values()))
    arrived: list[float] = []
    with sound_server(RATE), jack.server(period):
        os.environ["SDL_AUDIODRIVER"] = "pulseaudio"
        with Engine(sample_rate=RATE, keep=True) as engine:
            performer = Performer(engine, lambda port: Player(port, bank, instrument=chosen))

            def receive(message: bytes, seconds: float) -> None:
                if message[0] & 0xF0 == 0x90:
                    arrived.append(seconds)
                performer.receive(message, seconds)

            engine.open(host, block, "pulse" if host == "portaudio" else None)
            performer.player.set_mode(0, "mono")  # a gate a note
            performer.start()
            witness = Witness()
            sender = subprocess.Popen([sys.executable, "-c", SENDER, str(notes)], stdout=subprocess.PIPE, text=True)
            watcher = ports.Watcher(jack.jack_system(), "Toy", receive, lost=performer.lost)
            if busy:
                threading.Thread(target=spin, daemon=True).start()
            blocks: list[np.ndarray] = []
            seen = 0
            while sender.poll() is None:
                time.sleep(0.5)
                now = int(engine.record.blocks)
                blocks.append(engine.record.block_log[np.arange(seen, now) % BLOCKS_KEPT].copy())
                seen = now
                told = engine.watch()
                if told:
                    print(told, file=sys.stderr)
            sent = np.array(json.loads(sender.stdout.read()))  # type: ignore[union-attr]
            time.sleep(0.3)
            stop.set()
            now = int(engine.record.blocks)
            blocks.append(engine.record.block_log[np.arange(seen, now) % BLOCKS_KEPT].copy())
            log, facts, ahead = engine.log(), engine.facts(), engine.ticks_ahead
            watcher.close()
            performer.close()
            witness.stop()
        if host == "portaudio":
            import sounddevice

            sounddevice._terminate()
    rows = np.concatenate(blocks)
    opened, image = [], [0] * 25
    for cycle, register, value in log.events.tolist():
        if register % VOICE_STRIDE == CONTROL and value & GATE and not image[register] & GATE:
            opened.append(cycle)
        image[register] = value
    samples = np.array(opened) * RATE / engine.clock_hz
    row = rows[np.searchsorted(rows["sample"], samples, "right") - 1]
    speakers = np.where(row["speakers"] > 0, row["speakers"], engine_latency(facts, block))
    heard = row["asked"] + ahead + (samples - row["sample"]) / RATE + speakers
    count = min(len(sent), len(heard), len(arrived))
    took = 1000 * (heard[:count] - sent[:count])
    arriving = 1000 * (np.array(arrived[:count]) - sent[:count])
    explained = [witness.explains(s, h, 0.03) for s, h in zip(sent[:count], heard[:count], strict=True)]
    clean = took[~np.array(explained)]

    def figures(values: np.ndarray) -> dict[str, float]:
        return {
            "median": round(float(np.median(values)), 2),
            "p95": round(float(np.percentile(values, 95)), 2),
            "worst": round(float(values.max()), 2),
        }

    return {
        "block": block,
        "jack_period": period,
        "busy": busy,
        "notes": len(sent),
        "heard": len(opened),
        "priority": facts["priority"],
        "midi_in_ms": figures(arriving),
        "key_to_speakers_ms": figures(took),
        "without_stalls_ms": figures(clean),
        "device_ms": round(1000 * float(np.median(speakers)), 2),
        "underruns": facts["underruns"],
        "late_writes": facts["late_writes"],
        "stalls_of_the_computer": len(witness.stalls),
    }


def engine_latency(facts: dict[str, Any], block: int) -> float:
    """What a host that tells no times is thought to hold."""
    return facts["latency_ms"] / 1000 - block / RATE


def main() -> int:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--notes", type=int, default=150)
    parser.add_argument("--idle", action="store_true", help="no busy thread")
    parser.add_argument("--host", default="portaudio", choices=("portaudio", "sdl"))
    parser.add_argument(
        "--period",
        type=int,
        default=64,
        help="of the JACK server, which delivers MIDI once a period; 64 samples are 1.5 ms, USB keyboards take 1 ms",
    )
    options = parser.parse_args()
    result = measure(options.block, options.notes, not options.idle, options.host, options.period)
    print(json.dumps(result, indent=1))
    median, worst = LIMITS_MS.get(options.block, (1e9, 1e9))
    kept = result["heard"] == result["notes"]
    kept &= result["without_stalls_ms"]["median"] <= median and result["without_stalls_ms"]["worst"] <= worst
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
