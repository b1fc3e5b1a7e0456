"""How many pictures a second the window draws under Xvfb while the chip plays and a keyboard is played.

    python -m tests.benchmarks.window [--seconds 10] [--size 960x600]

A shared computer gives the process only a share of a core, so the CPU time of a picture is told too: 55 pictures a
second need at most 18 ms of it. Exit status 1 where neither the rate nor the CPU time reaches `LEAST`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time

from sidlearn.midi import instruments
from sidlearn.midi.player import Player
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.play.session import LiveDesk
from tests.benchmarks.parts import display

LEAST = 55.0
"""Pictures a second."""


def measure(seconds: float, size: tuple[int, int]) -> dict[str, float | str]:
    """Play and draw; return the figures."""
    os.environ["SDL_AUDIODRIVER"] = "dummy"
    bank = instruments.bank()
    chosen = next(iter(bank.instruments.values()))
    rng = random.Random(1)
    with display(max(1280, size[0]), max(800, size[1])), Engine(scopes=True) as engine:
        engine.open("sdl", 512)
        performer = Performer(engine, lambda port: Player(port, bank, instrument=chosen))
        performer.start()
        from sidlearn.play.window import Window

        window = Window(LiveDesk(performer, "6581", list(bank.instruments), chosen.name), size)
        for _ in range(30):
            window.step()  # fonts and pictures of texts
        drawn, drawing = 0, 0.0
        begun = time.perf_counter()

        def going() -> bool:
            nonlocal drawn
            drawn += 1
            if drawn % 6 == 0:
                note = rng.randrange(40, 80)
                performer.receive(bytes((0x90, note, 100)))
                performer.receive(bytes((0x80, note, 0)))
                performer.receive(bytes((0xB0, 74, rng.randrange(128))))
            return time.perf_counter() - begun < seconds

        window.run(going)
        rate = drawn / (time.perf_counter() - begun)
        window = Window(LiveDesk(performer, "6581", list(bank.instruments), chosen.name), size)
        window.step()
        for _ in range(100):
            before = time.thread_time()
            window.step()
            drawing += time.thread_time() - before
        window.close()
        performer.close()
    return {
        "size": f"{size[0]}x{size[1]}",
        "pictures_a_second": round(rate, 1),
        "cpu_ms_a_picture": round(1000 * drawing / 100, 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> int:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--size", default="960x600", help="WIDTHxHEIGHT")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    result = measure(options.seconds, (width, height))
    print(json.dumps(result, indent=1))
    return int(result["pictures_a_second"] < LEAST and result["cpu_ms_a_picture"] > 1000 / LEAST)  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main())
