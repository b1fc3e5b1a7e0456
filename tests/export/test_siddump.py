"""Tables as siddump prints them."""

from __future__ import annotations

import pytest

from sidlearn import clock, sources
from sidlearn.errors import SidlearnError, SourceError
from sidlearn.export import siddump

HEAD = """Load address: $1000 Init address: $1000 Play address: $1003
Calling initroutine with subtune 0
Calling playroutine for 3 frames, starting from frame 0
Middle C frequency is $1168

| Frame | Freq Note/Abs WF ADSR Pul | Freq Note/Abs WF ADSR Pul | Freq Note/Abs WF ADSR Pul | FCut RC Typ V |
+-------+---------------------------+---------------------------+---------------------------+---------------+
"""
TABLE = (
    HEAD
    + """|     0 | 1168  C-4 B0  41 0FA9 800 | 0000  ... ..  08 .... ... | 1D46  A-4 B9  11 00F0 ... | 3160 F1 Low F |
|     1 | 1170 (+ 0008) .. .... 820 | ....  ... ..  .. .... ... | ....  ... ..  10 .... ... | .... .. ... . |
+=======+===========================+===========================+===========================+===============+
|     4 | ....  ... ..  40 .... ... | 1D46 (A-4 B9) 21 .... ... | ....  ... ..  .. .... ... | 30E0 .. B+H A |
"""
)
FRAME = clock.PAL.frame_cycles


def test_the_frames_are_those_of_the_table():
    frames = siddump.read(TABLE).frames()
    assert len(frames.values) == 5
    assert frames.values[0].tolist()[:7] == [0x68, 0x11, 0x00, 0x08, 0x41, 0x0F, 0xA9]
    assert frames.values[0].tolist()[21:] == [0x60 >> 5 & 7, 0x31, 0xF1, 0x1F]
    assert frames.values[1].tolist()[:5] == [0x70, 0x11, 0x20, 0x08, 0x41]
    assert frames.values[1][18] == 0x10
    assert (frames.values[1] == frames.values[3]).all()
    assert frames.values[4].tolist()[4] == 0x40
    assert frames.values[4].tolist()[7:12] == [0x46, 0x1D, 0, 0, 0x21]
    assert frames.values[4].tolist()[21:] == [7, 0x30, 0xF1, 0x6A]


def test_times_may_stand_in_place_of_frames():
    frames = siddump.read(TABLE.replace("|     0 |", "| 0:01.00 |").replace("|     1 |", "| 0:01.01 |").replace(
        "|     4 |", "| 0:01.04 |")).frames()  # fmt: skip
    assert frames == siddump.read(TABLE).frames()


def test_a_text_file_with_such_a_table_is_a_log(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TABLE)
    assert sources.open_source(path).kind == "siddump table"
    assert len(sources.load(path)) == len(siddump.read(TABLE))


@pytest.mark.parametrize("line", ["0FA9 800 | 0000", "Low F", "1168  C-4", "41 0FA9"])
def test_a_broken_line_is_named(line):
    with pytest.raises(SourceError, match=r"^t:8: expected a line of siddump"):
        siddump.read(TABLE.replace(line, "zz |" if "|" in line else "zz", 1), "t")


def test_a_table_without_frames_is_refused():
    with pytest.raises(SidlearnError, match="no frames"):
        siddump.read(HEAD, "t")
