"""Exported `.sid` and `.prg` files beside the logs that they were made from.

``python -m tests.accuracy.exports [--tunes FOLDER] [--logs FILE...] [--count 50] [--seconds 8] [--sound 0]`` makes logs
(random frames at one, two and four calls a picture, PAL and NTSC, the sounds of the examples, and tunes of a folder),
exports each as `.sid` and `.prg`, and tells for both

- "to the cycle" where every write that changes something is at its cycle, when our own machine plays it and when
  `sidplayfp` does; else how many are not, and by how many cycles at most;
- how many frames differ, where the file is played from streams, or how many values, where it is played by cycles: none
  should;
- with ``--sound N``, for the first N of them, how far `sidplayfp -w` is from pyresidfp playing the same writes (LSD in
  dB; the two are versions of one emulator, which are about 1 dB apart, for some sounds up to 5), and from pyresidfp
  playing the log itself, as much later as the file plays it. In a file played from streams every write comes up to a
  few hundred cycles sooner or later than in the log, by which noise and beating partials come out otherwise: as little
  as two cycles are worth 2 to 3 dB. Bursts keep them.

A `.prg` gets the header of an RSID that begins at its SYS address: sidplayfp starts a `.prg` with Commodore's BASIC.
"""

from __future__ import annotations

import argparse
import io
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sidlearn import clock, registers, sources
from sidlearn.c64 import player, tune
from sidlearn.errors import OutputError
from sidlearn.export import packed, prg_file, sid_file
from sidlearn.export.program import program as made
from sidlearn.writes import WRITE_DTYPE, RegisterWrites
from tests.accuracy import sidplayfp
from tests.export.test_players import random_frames

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAMPLE_RATE = 44_100


def logs(seconds: float, folder: Path | None, more: Sequence[Path] = ()) -> Iterator[tuple[str, RegisterWrites]]:
    """Give names and logs, real ones first."""
    for path in more:
        yield path.name, sources.load(path, seconds=seconds)
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


def differing(cut: packed.Ticks, events: np.ndarray, clock_hz: int) -> int:
    """Return in how many frames `events`, played from an exported file, differ from what was cut into its ticks.

    A frame is a call of the player; the first of them comes a constant time after the file begins.
    """
    wanted = images(cut)
    least = cut.count
    for eighths in range(25):
        shift = eighths * cut.period // 8
        shifted = events[events["cycle"] < shift + cut.count * cut.period].copy()
        shifted["cycle"] = np.maximum(shifted["cycle"] - shift, 0)  # what comes before is there in the first frame
        values = RegisterWrites(shifted, cut.count * cut.period, clock_hz).frames(cut.period).values[: cut.count]
        least = min(least, int((values != wanted).any(1).sum()))
        if not least:
            break
    return least


def own_writes(content: tune.Tune, cycles: int, video: clock.Video) -> np.ndarray:
    """Return what our machine writes when it plays a file."""
    ran = player.TunePlayer(content, 1, video)
    events = ran.advance(cycles)
    assert ran.error is None, ran.error
    return events


def peer_writes(content: bytes, cycles: int) -> np.ndarray:
    """Return what sidplayfp writes when it plays a file."""
    rows = sidplayfp.writes(content, 1, cycles)
    events = np.empty(len(rows), WRITE_DTYPE)
    events["cycle"], events["register"], events["value"] = rows.T
    return events


def as_sid(writes: RegisterWrites, timing: str = "auto") -> bytes:
    """Return a log as a `.sid`."""
    file = io.BytesIO()
    sid_file.write(writes, file, timing=timing)
    return file.getvalue()


def as_prg(writes: RegisterWrites, timing: str = "auto") -> bytes:
    """Return a log as a `.prg`."""
    file = io.BytesIO()
    prg_file.write(writes, file, timing)
    return file.getvalue()


def in_rsid(program: bytes, video: clock.Video) -> bytes:
    """Return a `.prg` of ours with the header that starts it at its SYS address."""
    code = player.machine_code(program)
    assert code is not None
    flags = (1 << 2 if video is clock.PAL else 2 << 2) | 1 << 4
    header = b"RSID" + struct.pack(">HHHHHHHI", 2, 0x7C, 0, code.init_address, 0, 1, 1, 0) + bytes(96)
    return header + struct.pack(">HBBBB", flags, 0, 0, 0, 0) + program


def peer_sound(content: bytes, seconds: float, folder: Path) -> np.ndarray:
    """Return what sidplayfp makes of a `.sid`."""
    from sidlearn import audio

    path = folder / "peer.sid"
    path.write_bytes(content)
    seconds = max(round(seconds), 1)
    command = ["sidplayfp", f"-w{folder / 'peer.wav'}", f"-t{seconds}", "-q", "-m", "--delay=0", str(path)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
    return audio.read(folder / "peer.wav")[0]


def sound_of(writes: RegisterWrites) -> np.ndarray:
    """Return what pyresidfp makes of writes."""
    import pyresidfp._pyresidfp as residfp

    from sidlearn.bench.chip import play_residfp

    return np.asarray(play_residfp(residfp, writes, "6581"), np.float64)


def distance(reference: np.ndarray, sound: np.ndarray) -> float:
    """Return the LSD between two sounds, in dB."""
    from sidlearn.learn.metrics import lsd

    count = min(len(reference), len(sound))
    return lsd(reference[:count], sound[:count], SAMPLE_RATE)


def moved(writes: RegisterWrites, events: np.ndarray) -> tuple[int, int, int, int]:
    """Return how many writes are wrong, how many are off their cycle, the furthest, and by how much all are later."""
    wrong, shifts = 0, []
    for register in range(registers.WRITABLE):
        rows = packed.changes(writes).copy()
        rows = rows[rows["register"] == register]
        heard = events[events["register"] == register][-len(rows) :] if len(rows) else rows
        if not np.array_equal(rows["value"], heard["value"]):
            wrong += len(rows)
            continue
        shifts.append(heard["cycle"] - rows["cycle"])
    shift = np.concatenate(shifts) if shifts else np.zeros(1, np.int64)
    later = int(np.median(shift))
    off = shift - later
    return wrong, int((off != 0).sum()), int(abs(off).max()), later


def delayed(writes: RegisterWrites, cycles: int) -> RegisterWrites:
    """Return a log that begins some cycles later, cut to its length."""
    events = writes.events.copy()
    events["cycle"] = np.maximum(events["cycle"] + cycles, 0)
    return RegisterWrites(events[events["cycle"] < writes.length], writes.length, writes.clock_hz)


def report(title: str, writes: RegisterWrites, hear: bool, folder: Path, timing: str) -> tuple[bool, list[float]]:
    """Print how one log comes back; return whether exactly, and how far its sounds are off."""
    video = packed.video_of(writes)
    cut = made(writes, "sid", sid_file.LOAD_ADDRESS, sid_file.END_ADDRESS, timing).cut
    cycles = (cut.count + 4) * cut.period if cut else writes.length + 5 * video.frame_cycles
    program, content = as_prg(writes, timing), as_sid(writes, timing)
    files = {"sid": (tune.read(content), content), "prg": (player.machine_code(program), in_rsid(program, video))}
    exact, distances, texts = True, [], []
    for kind, (read, content) in files.items():
        assert read is not None
        heard = [own_writes(read, cycles, video)]
        if sidplayfp.available():
            heard.append(peer_writes(content, cycles))
        found = [moved(writes, events) for events in heard]
        count = len(packed.changes(writes))
        if not any(wrong or off for wrong, off, _, _ in found):
            text = f"{kind} to the cycle"
        elif cut:
            frames = [differing(cut, events, video.clock_hz) for events in heard]
            exact &= not any(frames)
            text = f"{kind} {' and '.join(map(str, frames))} of {cut.count} frames"
        else:
            exact &= not any(wrong for wrong, _, _, _ in found)
            text = f"{kind} {' and '.join(f'{w} wrong, {m} moved (by {f})' for w, m, f, _ in found)} of {count}"
        if hear and sidplayfp.available():
            played = heard[1]
            sound = peer_sound(content, writes.seconds, folder)
            of_file = sound_of(RegisterWrites(played[played["cycle"] < writes.length], writes.length, writes.clock_hz))
            of_log = sound_of(delayed(writes, found[1][3]))
            distances.append(distance(of_file, sound))
            text += f" ({distances[-1]:.2f} dB, {distance(of_log, sound):.2f} dB to the log)"
        texts.append(text)
    print(f"{title}: {', '.join(texts)}", flush=True)
    return exact, distances


def main() -> None:
    """Print a line a log, and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tunes", type=Path, help="a folder of .sid files")
    parser.add_argument("--logs", type=Path, nargs="*", default=[], help="any sources: logs, listings, learned results")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--sound", type=int, default=0, metavar="N", help="compare the sound of the first N as well")
    parser.add_argument("--cycles", action="store_true", help="export all by their cycles")
    options = parser.parse_args()
    timing = "cycles" if options.cycles else "auto"
    count = same = 0
    distances: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for title, writes in logs(options.seconds, options.tunes, options.logs):
            try:
                exact, near = report(title, writes, count < options.sound, Path(name), timing)
            except OutputError as error:
                print(f"{title}: not exported: {error}", flush=True)
                continue
            count += 1
            same += exact
            distances += near
            if count == options.count:
                break
    print(f"{same} of {count} logs come back exactly from both files")
    if distances:
        print(f"LSD to pyresidfp: median {np.median(distances):.2f} dB, most {max(distances):.2f} dB")


if __name__ == "__main__":
    main()
