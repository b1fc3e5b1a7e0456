"""Exported `.sid` and `.prg` files beside the logs that they were made from.

``python -m tests.accuracy.exports [--tunes FOLDER] [--count 50] [--seconds 8] [--sound 0]`` makes logs (random frames
at one, two and four calls a picture, PAL and NTSC, the listings of the examples, and tunes of a folder), exports each
as `.sid` and `.prg`, and tells for both

- how many frames differ when our own machine plays it: none should;
- with ``--sound N``, for the first N of them, how far `sidplayfp -w` is from pyresidfp playing the log (LSD in dB). A
  `.prg` gets the header of an RSID that begins at its SYS address: sidplayfp starts a `.prg` with Commodore's BASIC.
"""

from __future__ import annotations

import argparse
import io
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sidlearn import clock, registers, sources
from sidlearn.c64 import player, tune
from sidlearn.errors import OutputError
from sidlearn.export import packed, prg_file, sid_file
from sidlearn.writes import RegisterWrites
from tests.export.test_players import random_frames

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAMPLE_RATE = 44_100


def logs(seconds: float, folder: Path | None) -> Iterator[tuple[str, RegisterWrites]]:
    """Give names and logs, real ones first."""
    files = sorted(folder.glob("*.sid")) if folder else []
    for path in [*files, *sorted(EXAMPLES.glob("*.tok64")), *sorted(EXAMPLES.glob("*.bas"))]:
        content = tune.read(path.read_bytes(), str(path)) if path.suffix == ".sid" else None
        if content is not None and (content.basic or not content.play_address or len(content.sid_addresses) > 1):
            continue
        writes = sources.load(path, seconds=seconds)
        if len(writes):
            yield path.name, writes
    for seed in range(10_000):
        video, speed = (clock.PAL, clock.NTSC)[seed % 2], packed.SPEEDS[seed % len(packed.SPEEDS)]
        period = video.frame_cycles // speed
        frames = random_frames(seed, int(seconds * video.clock_hz / period), period, video.clock_hz)
        yield f"random {seed}, {video.name}, {speed} a picture", frames.writes()


def images(cut: packed.Ticks) -> np.ndarray:
    """Return the register image after every call that the exporter has cut a log into, uint8 (calls, 25)."""
    values = np.zeros((cut.count, registers.WRITABLE), np.uint8)
    for group, stream in zip(packed.STREAMS, cut.streams, strict=True):
        for index, register in enumerate(group):
            for t, rows in stream.items():
                of_register = [v for i, v in rows if i == index]
                if of_register:
                    values[t:, register] = of_register[-1]
    return values


def differing(writes: RegisterWrites, content: tune.Tune) -> tuple[int, int]:
    """Return how many frames differ when our machine plays an exported file, and how many there are.

    A frame is a call of the player; the first of them comes a constant time after the file begins.
    """
    cut = packed.ticks(writes)
    wanted = images(cut)
    video = packed.video_of(writes)
    ran = player.TunePlayer(content, 1, video)
    cycles = (cut.count + 4) * cut.period
    back = RegisterWrites(ran.advance(cycles), cycles, video.clock_hz)
    assert ran.error is None, ran.error
    least = cut.count
    for eighths in range(25):
        shift = eighths * cut.period // 8
        events = back.events[back.events["cycle"] < shift + cut.count * cut.period].copy()
        events["cycle"] = np.maximum(events["cycle"] - shift, 0)  # what comes before is there in the first frame
        values = RegisterWrites(events, cycles, video.clock_hz).frames(cut.period).values[: cut.count]
        least = min(least, int((values != wanted).any(1).sum()))
        if not least:
            break
    return least, cut.count


def as_sid(writes: RegisterWrites) -> bytes:
    """Return a log as a `.sid`."""
    file = io.BytesIO()
    sid_file.write(writes, file)
    return file.getvalue()


def as_prg(writes: RegisterWrites) -> bytes:
    """Return a log as a `.prg`."""
    file = io.BytesIO()
    prg_file.write(writes, file)
    return file.getvalue()


def in_rsid(program: bytes, video: clock.Video) -> bytes:
    """Return a `.prg` of ours with the header that starts it at its SYS address."""
    start = player.machine_code(program).init_address
    flags = (1 << 2 if video is clock.PAL else 2 << 2) | 1 << 4
    header = b"RSID" + struct.pack(">HHHHHHHI", 2, 0x7C, 0, start, 0, 1, 1, 0) + bytes(96)
    return header + struct.pack(">HBBBB", flags, 0, 0, 0, 0) + program


def peer_sound(content: bytes, seconds: float, folder: Path) -> np.ndarray:
    """Return what sidplayfp makes of a `.sid`."""
    from sidlearn import audio

    path = folder / "peer.sid"
    path.write_bytes(content)
    command = ["sidplayfp", f"-w{folder / 'peer.wav'}", f"-t{int(seconds)}", "-q", "-m", "--delay=0", str(path)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
    return audio.read(folder / "peer.wav")[0]


def distance(writes: RegisterWrites, content: bytes, seconds: float, folder: Path) -> float:
    """Return the LSD between sidplayfp playing a file and pyresidfp playing its log, in dB."""
    import pyresidfp._pyresidfp as residfp

    from sidlearn.bench.chip import play_residfp
    from sidlearn.learn.metrics import lsd

    reference = np.asarray(play_residfp(residfp, writes, "6581"), np.float64)
    sound = np.asarray(peer_sound(content, seconds, folder), np.float64)
    count = min(len(reference), len(sound))
    return lsd(reference[:count], sound[:count], SAMPLE_RATE)


def main() -> None:
    """Print a line a log, and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tunes", type=Path, help="a folder of .sid files")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--sound", type=int, default=0, metavar="N", help="compare the sound of the first N as well")
    options = parser.parse_args()
    made = same = 0
    distances: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for title, writes in logs(options.seconds, options.tunes):
            try:
                tune_bytes, program = as_sid(writes), as_prg(writes)
            except OutputError as error:
                print(f"{title}: not exported: {error}", flush=True)
                continue
            video = packed.video_of(writes)
            results = [differing(writes, tune.read(tune_bytes)), differing(writes, player.machine_code(program))]
            made += 1
            same += not any(wrong for wrong, _ in results)
            text = ", ".join(
                f"{kind} {wrong} of {count}" for kind, (wrong, count) in zip(("sid", "prg"), results, strict=True)
            )
            if made <= options.sound and shutil.which("sidplayfp"):
                files = (tune_bytes, in_rsid(program, video))
                near = [distance(writes, file, options.seconds, Path(name)) for file in files]
                distances += near
                text += "; LSD " + ", ".join(f"{d:.2f} dB" for d in near)
            print(f"{title}: frames that differ: {text}", flush=True)
            if made == options.count:
                break
    print(f"{same} of {made} logs come back exactly from both files")
    if distances:
        print(f"LSD to pyresidfp: median {np.median(distances):.2f} dB, most {max(distances):.2f} dB")


if __name__ == "__main__":
    main()
