"""Logs as programs for a C64: what our own machine hears when it plays them."""

from __future__ import annotations

import io

import numpy as np
import pytest

from sidlearn import clock, registers
from sidlearn.c64 import player, tune
from sidlearn.errors import OutputError
from sidlearn.export import packed, prg_file, sid_file
from sidlearn.writes import RegisterFrames, RegisterWrites

VIDEOS = (clock.PAL, clock.NTSC)


def random_frames(seed: int, count: int, frame_cycles: int, clock_hz: int) -> RegisterFrames:
    """Frames in which notes come and go and repeat, as in music."""
    chance = np.random.default_rng(seed)
    bars = [chance.integers(0, 256, (16, registers.WRITABLE)) for _ in range(3)]
    rows = np.concatenate([bars[n] for n in chance.integers(0, 3, -(-count // 16))])[:count]
    keep = chance.random(rows.shape) < 0.7  # most registers hold their value
    for f in range(1, count):
        rows[f, keep[f]] = rows[f - 1, keep[f]]
    rows[count // 2 : count // 2 + 130] = rows[count // 2]  # longer than one pause
    return RegisterFrames(rows.astype(np.uint8), frame_cycles, clock_hz)


def as_sid(writes: RegisterWrites) -> bytes:
    file = io.BytesIO()
    sid_file.write(writes, file)
    return file.getvalue()


def play(read: tune.Tune, video: clock.Video, cycles: int) -> RegisterWrites:
    ran = player.TunePlayer(read, 1, video)
    events = ran.advance(cycles)
    assert ran.error is None
    return RegisterWrites(events, cycles, video.clock_hz)


@pytest.mark.parametrize("video", VIDEOS, ids=lambda v: v.name)
@pytest.mark.parametrize("speed", packed.SPEEDS)
def test_a_sid_reads_back_to_the_same_frames(video, speed):
    frames = random_frames(speed, 400 * speed, video.frame_cycles // speed, video.clock_hz)
    writes = frames.writes()
    read = tune.read(as_sid(writes))
    assert read.video == video.name
    assert bool(read.speed) == (speed > 1)
    back = play(read, video, writes.length)
    assert back.frames(frames.frame_cycles) == frames


@pytest.mark.parametrize("video", VIDEOS, ids=lambda v: v.name)
@pytest.mark.parametrize("speed", [1, 4])
def test_a_program_reads_back_to_the_same_frames(video, speed):
    frames = random_frames(speed, 200 * speed, video.frame_cycles // speed, video.clock_hz)
    file = io.BytesIO()
    prg_file.write(frames.writes(), file)
    code = player.machine_code(file.getvalue())
    back = play(code, video, frames.writes().length)
    assert back.frames(frames.frame_cycles) == frames


def test_the_line_of_basic_is_a_line():
    from sidlearn import basic

    file = io.BytesIO()
    prg_file.write(RegisterFrames(np.ones((3, 25), np.uint8)).writes(), file)
    program = file.getvalue()
    start = player.machine_code(program).init_address
    line = basic.detokenize(program[: 2 + start - 0x0801]).lower()
    assert line.replace(" ", "").strip() == f"10sys{start}"


def test_more_writes_than_a_player_can_make_are_refused():
    rows = [(n * 40, n % 24, n * 37 & 255) for n in range(20_000)]
    with pytest.raises(OutputError, match="times a second"):
        as_sid(RegisterWrites.from_rows(rows))


def test_order_and_repeats_within_a_tick_are_kept():
    rows = []
    for f in range(50):
        base = f * clock.PAL.frame_cycles + 300
        values = ((4, 0x08), (5, f), (4, 0x41), (6, 255 - f), (4, 0x40))
        rows += [(base + 20 * n, register, value) for n, (register, value) in enumerate(values)]
    writes = RegisterWrites.from_rows(rows, 50 * clock.PAL.frame_cycles)
    back = play(tune.read(as_sid(writes)), clock.PAL, writes.length)
    voice = back.events[(back.events["register"] >= 4) & (back.events["register"] <= 6)]
    heard = [(int(e["register"]), int(e["value"])) for e in voice[3:]]  # behind the silence of the start
    wanted, image = [], {}
    for _, register, value in rows:
        if image.get(register, 0) != value:
            wanted.append((register, value))
        image[register] = value
    assert heard == wanted


def test_a_period_of_its_own_is_found():
    period = 16_000
    rows = [(n * period + 5_000 + 11 * r, r, (n * 7 + r) & 255) for n in range(200) for r in range(7)]
    cut = packed.ticks(RegisterWrites.from_rows(rows))
    assert abs(cut.period - period) <= 1
    read = tune.read(as_sid(RegisterWrites.from_rows(rows)))
    back = play(read, clock.PAL, 200 * period)
    freq = back.events[back.events["register"] == 1]
    assert abs(np.diff(freq["cycle"][2:]) - period).max() < 100  # two bad lines


def test_samples_are_too_fast_for_calls():
    rows = [(n * 250, 24, n & 15) for n in range(4000)]
    with pytest.raises(packed.TooFastError, match=r"register 24 \(MODE_VOL\) changes \d+ times a second.*\.csv"):
        packed.ticks(RegisterWrites.from_rows(rows))


def test_what_does_not_fit_is_told_with_the_longest_length():
    chance = np.random.default_rng(1)
    frames = RegisterFrames(chance.integers(0, 256, (4000, 25), np.uint8))
    with pytest.raises(OutputError, match=r"expected at most \d+ bytes, which is about [\d.]+ s") as caught:
        as_sid(frames.writes())
    seconds = float(str(caught.value).split("about ")[1].split(" s")[0])
    fits = frames.writes().cut(round((seconds - 0.1) * clock.PAL.clock_hz))
    read = tune.read(as_sid(fits))
    assert read.end_address < sid_file.END_ADDRESS
    assert play(read, clock.PAL, fits.length).frames() == fits.frames()


def test_two_sids_are_refused():
    with pytest.raises(OutputError, match="one SID"):
        as_sid(RegisterWrites.from_rows([(0, 24, 1), (5, 56, 1)]))


def test_an_empty_log_is_a_silent_tune():
    read = tune.read(as_sid(RegisterWrites.empty(1)))
    assert not play(read, clock.PAL, 100_000).frames().values[1:].any()
