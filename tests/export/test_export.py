"""Register logs as text: what is written is read back."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidlearn.errors import SourceError, WritesError
from sidlearn.export import EXPORTERS, csv_log, vice_dump
from sidlearn.writes import RegisterWrites

READERS = {".csv": csv_log.read, ".dump": vice_dump.read}

rows = st.lists(
    st.tuples(st.integers(0, 100_000), st.sampled_from([0, 4, 24, 32, 88]), st.integers(0, 255)), max_size=30
)


@pytest.mark.parametrize("suffix", READERS)
@given(steps=rows)
def test_log_comes_back_exactly(suffix, steps):
    cycle = 0
    log = []
    for delta, register, value in steps:
        cycle += delta
        log.append((cycle, register, value))
    writes = RegisterWrites.from_rows(log)
    file = io.BytesIO()
    EXPORTERS[suffix](writes, file)
    assert READERS[suffix](file.getvalue().decode()) == writes


def test_csv_has_the_header_and_a_line_a_write():
    file = io.BytesIO()
    csv_log.write(RegisterWrites.from_rows([(0, 24, 15), (7, 4, 33)]), file)
    assert file.getvalue() == b"cycle,register,value\n0,24,15\n7,4,33\n"


def test_dump_counts_from_write_to_write():
    file = io.BytesIO()
    vice_dump.write(RegisterWrites.from_rows([(10, 24, 15), (17, 4, 33)]), file)
    assert file.getvalue() == b"10 24 15\n7 4 33\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "log:1: expected the header"),
        ("1,2,3\n", "log:1: expected the header"),
        ("cycle,register,value\n1,2\n", "log:2: expected three whole numbers"),
        ("cycle,register,value\n1,2,3\n\n1,x,3\n", "log:4: expected three whole numbers"),
        ("cycle,register,value\n1,2,300\n", "log:2: expected a cycle"),
        ("cycle,register,value\n99999999999999999999,2,3\n", "log:2: expected a cycle"),
    ],
)
def test_broken_csv_is_told_with_its_line(text, what):
    with pytest.raises(SourceError, match=what):
        csv_log.read(text)


@pytest.mark.parametrize("text", ["cycle,register,value\n5,0,1\n4,0,1\n", "cycle,register,value\n5,54272,1\n"])
def test_rules_of_the_log_hold_for_files(text):
    with pytest.raises((WritesError, SourceError)):
        csv_log.read(text)
