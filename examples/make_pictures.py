"""Pictures of the window for the README, and a film of it with sound: no display, no sound device and no hands needed.

    python examples/make_pictures.py                    # examples/pictures/*.png
    python examples/make_pictures.py --film demo.mp4    # a film of half a minute; needs ffmpeg

The engine's file host gives the sound, picture by picture: every run makes the same, but for the CPU's share in the
corner, which is measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import numpy as np
import soundfile

from sidlearn import sources
from sidlearn.config import Config
from sidlearn.midi import instruments
from sidlearn.midi.player import Player
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.play.session import LiveDesk
from sidlearn.play.watched import SourceDesk
from sidlearn.play.window import Window

HERE = Path(__file__).parent
RATE, PICTURES_A_SECOND = 44_100, 50
STEP = RATE // PICTURES_A_SECOND
SIZES = ((960, 600), (1920, 1200))
PLAYED, RUN = 157, 330
"""Pictures into each scene, where one is kept."""
LEAD = "Acid bass"
LISTING = HERE / "three_voices.tok64"

ON, OFF, CONTROL = 0x90, 0x80, 0xB0
CUTOFF = 74

# What is played live: (picture at which it is played, message). A line over two held notes, the filter opening.
SONG: list[tuple[int, bytes]] = []
for bar, (root, fifth) in enumerate(((45, 52), (41, 48), (48, 55), (43, 50))):
    first = bar * 64
    SONG += [(first, bytes((ON, note, 100))) for note in (root, fifth)]
    SONG += [(first + 62, bytes((OFF, note, 0))) for note in (root, fifth)]
    for n, step in enumerate((12, 16, 19, 24, 19, 16, 12, 7)):
        note = root + step + 12
        SONG += [(first + n * 8, bytes((ON, note, 90 + 4 * n))), (first + n * 8 + 7, bytes((OFF, note, 0)))]
    SONG += [(first + n * 4, bytes((CONTROL, CUTOFF, 20 + 5 * n))) for n in range(16)]
SONG.sort(key=lambda event: event[0])


def live(pictures: int, size: tuple[int, int], instrument: str) -> Iterator[tuple[Window, np.ndarray]]:
    """Play `SONG`; give the window and the sound of each picture."""
    bank = instruments.bank()
    chosen = bank.named(instrument)
    with Engine(sample_rate=RATE, scopes=True) as engine:
        performer = Performer(engine, lambda port: Player(port, bank, instrument=chosen))
        engine.open("file", STEP)
        window = Window(LiveDesk(performer, "6581", list(bank.instruments), chosen.name), size)
        window.view.frames_per_second = PICTURES_A_SECOND
        waiting = list(SONG)
        for picture in range(pictures):
            while waiting and waiting[0][0] <= picture:
                performer.receive(waiting.pop(0)[1])
            performer.tick()
            sound = engine.pull(STEP)
            window.step()
            yield window, sound
        window.close()


def listing(pictures: int, size: tuple[int, int]) -> Iterator[tuple[Window, np.ndarray]]:
    """Run a BASIC listing; give the window and the sound of each picture."""
    source = sources.open_source(LISTING, sources.Request())
    with Engine(sample_rate=RATE, clock_hz=source.clock_hz, scopes=True) as engine:
        desk = SourceDesk(source, engine, Config(), LISTING.name, pictures / PICTURES_A_SECOND)
        engine.open("file", STEP)
        window = Window(desk, size)
        window.view.frames_per_second = PICTURES_A_SECOND
        for _ in range(pictures):
            desk.feed()
            sound = engine.pull(STEP)
            window.step()
            yield window, sound
        window.close()


def save_pictures(folder: Path) -> None:
    """Save the window at play and at work on a listing, at its own size and at twice that."""
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        twice = "" if size == SIZES[0] else "-2x"
        for name, scene, count in (("play", live(PLAYED, size, LEAD), PLAYED), ("run", listing(RUN, size), RUN)):
            path = folder / f"{name}{twice}.png"
            for number, (window, _) in enumerate(scene, 1):
                if number == count:
                    window.picture(str(path))
            print(path)


def save_film(path: Path, size: tuple[int, int] = SIZES[0]) -> None:
    """Save a film: live play, then a listing."""
    if shutil.which("ffmpeg") is None:
        sys.exit("a film needs ffmpeg")
    with tempfile.TemporaryDirectory() as folder:
        silent = Path(folder) / "silent.mp4"
        command = [
            "ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}",
            "-r", str(PICTURES_A_SECOND), "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20",
            str(silent),
        ]  # fmt: skip
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert encoder.stdin is not None
        parts = []
        import pygame

        for scene in (live(4 * 64 + 60, size, LEAD), listing(12 * PICTURES_A_SECOND, size)):
            for window, sound in scene:
                encoder.stdin.write(pygame.image.tobytes(window.screen.surface, "RGB"))
                parts.append(sound)
        encoder.stdin.close()
        if encoder.wait():
            sys.exit("ffmpeg has failed")
        sound_file = Path(folder) / "sound.wav"
        soundfile.write(sound_file, np.concatenate(parts), RATE, subtype="PCM_16")
        both = ["-i", str(silent), "-i", str(sound_file), "-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "-shortest"]
        subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *both, str(path)], check=True)
    print(path)


def main() -> None:
    """Make what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE / "pictures")
    parser.add_argument("--film", type=Path, metavar="FILE.mp4")
    options = parser.parse_args()
    if options.film:
        save_film(options.film)
    else:
        save_pictures(options.folder)


if __name__ == "__main__":
    main()
