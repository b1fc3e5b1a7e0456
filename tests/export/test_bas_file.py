"""Logs as listings: what our own BASIC hears when it runs them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from sidlearn import basic, clock, outputs
from sidlearn.basic.listing import detokenize, tokenize, type_in
from sidlearn.errors import OutputError
from sidlearn.export import bas_file, csv_log
from sidlearn.writes import RegisterFrames, RegisterWrites

from .test_players import random_frames

DATA = Path(__file__).parents[1] / "data"
FRAME = clock.PAL.frame_cycles
LONGEST_LOADING = 4 * clock.PAL.clock_hz


def log_of(name: str) -> RegisterWrites:
    return csv_log.read((DATA / "chip" / f"{name}.csv").read_text(), name, clock.PAL.clock_hz)


def tune_of_page(name: str) -> RegisterWrites:
    with (DATA / "basic" / "logs" / f"{name}.csv").open() as file:
        rows = [(int(row["cycle_pal_mean"]), int(row["reg"]), int(row["value"])) for row in csv.DictReader(file)]
    return RegisterWrites.from_rows(rows)


def melody(count: int, every: int, video: clock.Video = clock.PAL) -> RegisterWrites:
    """A note every so many frames: frequency, gate, and the gate's end."""
    rng = np.random.default_rng(count)
    values = np.zeros((count * every, 25), np.uint8)
    values[:, [5, 6, 24]] = 9, 240, 15
    for i in range(count):
        note = slice(i * every, (i + 1) * every)
        values[note, 0], values[note, 1] = rng.integers(0, 256), rng.integers(1, 100)
        values[i * every : i * every + every // 2, 4] = 17
        values[i * every + every // 2 : (i + 1) * every, 4] = 16
    return RegisterFrames(values, video.frame_cycles, video.clock_hz).writes()


def run_again(made: bas_file.Listing, video: str | None = "pal") -> RegisterWrites:
    ran = basic.run(made.text, video=video, max_cycles=400 * clock.PAL.clock_hz)
    assert ran.error is None
    assert ran.output == b""
    return ran.writes


def assert_same_frames(writes: RegisterWrites, again: RegisterWrites, frame_cycles: int) -> None:
    """The frames of the log stand in the new run, in one piece, after the time that loading takes."""
    wanted, found = writes.frames(frame_cycles).values, again.frames(frame_cycles).values
    starts = [
        start
        for start in range(min(len(found) - len(wanted), LONGEST_LOADING // frame_cycles) + 1)
        if (found[start : start + len(wanted)] == wanted).all()
    ]
    assert starts, (len(wanted), len(found))
    assert not found[: starts[0], [4, 11, 18]].any()  # what is set before may be there, but no gate


@pytest.mark.parametrize("video", [clock.PAL, clock.NTSC], ids=lambda v: v.name)
def test_a_melody_is_plain_basic_that_keeps_every_frame(video):
    writes = melody(12, 14, video)
    made = bas_file.listing(writes)
    assert (made.form, made.slowdown) == (bas_file.PLAIN, 1)
    assert_same_frames(writes, run_again(made, video.name), video.frame_cycles)


@pytest.mark.parametrize("name", ["p01_scale", "page185_etext", "page200_etext"])
def test_tunes_of_books_stay_plain(name):
    writes = tune_of_page(name)
    made = bas_file.listing(writes)
    assert made.form == bas_file.PLAIN
    assert_same_frames(writes, run_again(made), FRAME)


def test_the_coded_form_goes_back_to_basic_with_its_memory_as_it_was():
    made = bas_file.listing(log_of("chip_g1_s1_6581").cut(50 * FRAME))
    text = made.text.replace("50 end", '50 print x;peek(43);peek(56333)and 1;"back":end')
    ran = basic.run(text, video="pal", max_cycles=20 * clock.PAL.clock_hz)
    assert ran.error is None
    assert ran.output.decode("latin-1").split("\x1d")[1:] == [" 1", " 0", "back\r".upper()]


@pytest.mark.parametrize("name", ["chip_g1_s1_6581", "chip_g2_s1_6581", "chip_g3_s1_6581"])
def test_dense_logs_become_a_player_in_data_lines(name):
    writes = log_of(name)
    made = bas_file.listing(writes, "tune")
    assert made.form == bas_file.CODED
    assert made.slowdown > 1
    assert_same_frames(writes, run_again(made), FRAME)


@pytest.mark.parametrize("speed", [1, 2, 4])
@pytest.mark.parametrize("video", ["pal", None])
def test_the_player_keeps_50_100_and_200_frames_a_second(speed, video):
    frames = random_frames(speed, 120 * speed, FRAME // speed, clock.PAL.clock_hz)
    writes = frames.writes()
    assert_same_frames(writes, run_again(bas_file.listing(writes, form="coded"), video), frames.frame_cycles)


def test_plain_form_that_is_too_slow_tells_its_drift():
    writes = log_of("chip_g1_s1_6581")
    made = bas_file.listing(writes, form="plain")
    assert made.form == bas_file.PLAIN
    again = run_again(made)
    lasts = again.events["cycle"][-1] - again.events["cycle"][25]
    assert made.slowdown == pytest.approx(lasts / writes.events["cycle"][-1], rel=0.05)
    assert made.late_frames > 100
    assert f"{made.slowdown:.1f} times as long" in made.report()
    changes = [tuple(row)[1:] for row in bas_file.changes(writes).tolist()]
    assert [tuple(row)[1:] for row in again.events.tolist()][25:] == changes


def test_lines_can_be_typed_in_and_listed():
    for made in (bas_file.listing(log_of("chip_g2_s1_6581"), "a Tune: 1"), bas_file.listing(melody(5, 20))):
        assert max(map(len, made.text.splitlines())) <= 79
        program = tokenize(made.text)
        assert program == type_in(made.text)
        assert tokenize(detokenize(program)) == program
        assert made.text.isascii()
        assert len(program) <= made.size <= bas_file.ROOM


def test_what_does_not_fit_tells_its_size_and_how_much_would():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (3000, 25)).astype(np.uint8)
    values[:, 6:] = 0
    writes = RegisterFrames(values, FRAME, clock.PAL.clock_hz).writes()
    with pytest.raises(
        OutputError, match=r"listing of \d+ bytes for 59\.9 s: expected at most \d+ bytes.*about"
    ) as told:
        bas_file.listing(writes)
    seconds = float(str(told.value).partition("about ")[2].split()[0])
    assert bas_file.listing(writes.cut(int(seconds * writes.clock_hz))).size <= bas_file.ROOM
    with pytest.raises(OutputError, match="listing of"):
        bas_file.listing(writes.cut(int((seconds + 1) * writes.clock_hz)))


def test_silence_and_single_writes_are_listings_too():
    for rows, length in (([], 5 * FRAME), ([(0, 24, 15)], 0), ([(7 * FRAME, 24, 15)], 9 * FRAME)):
        writes = RegisterWrites.from_rows(rows, length)
        made = bas_file.listing(writes)
        again = run_again(made)
        assert [tuple(e)[1:] for e in again.events.tolist()][25:] == [row[1:] for row in rows]


def test_two_sids_and_samples_are_refused():
    with pytest.raises(OutputError, match="one SID"):
        bas_file.listing(RegisterWrites.from_rows([(0, 24, 15), (1, 56, 15)]))
    samples = [(i * 120, 24, i % 16) for i in range(8000)]
    with pytest.raises(OutputError, match="times a second"):
        bas_file.listing(RegisterWrites.from_rows(samples))
    with pytest.raises(OutputError, match="expected one of"):
        bas_file.listing(RegisterWrites.from_rows([]), form="fancy")


def test_save_writes_a_listing(tmp_path):
    outputs.save(melody(4, 20), tmp_path / "tune.bas")
    assert (tmp_path / "tune.bas").read_text().startswith("10 rem tune, by sidlearn\n")
    file = io.BytesIO()
    assert bas_file.write(melody(4, 20), file).text.encode() == file.getvalue()
