"""Register writes and frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sidlearn import registers
from sidlearn.errors import WritesError
from sidlearn.writes import FRAME_ORDER, WRITE_DTYPE, LogPort, RegisterFrames, RegisterWrites

images = st.integers(0, 12).flatmap(lambda n: arrays(np.uint8, (n, registers.WRITABLE), elements=st.integers(0, 255)))


@settings(max_examples=1000, deadline=None)
@given(values=images, frame_cycles=st.sampled_from([1, 24, 25, 313, 999, 1000, 4914, 9828, 17_095, 19_656]))
def test_frames_to_writes_to_frames_is_exact(values, frame_cycles):
    frames = RegisterFrames(values, frame_cycles)
    assert frames.writes().frames(frame_cycles) == frames


@settings(max_examples=200, deadline=None)
@given(values=images)
def test_writes_of_frames_are_changes_only_and_end_with_control(values):
    frames = RegisterFrames(values)
    image = np.zeros(registers.WRITABLE, np.uint8)
    rank = {register: i for i, register in enumerate(FRAME_ORDER)}
    before = (-1, -1)
    for cycle, register, value in frames.writes().events.tolist():
        assert image[register] != value
        image[register] = value
        place = (cycle // frames.frame_cycles, rank[register])
        assert place > before
        before = place


def test_writes_of_a_frame_are_forty_cycles_apart_from_its_first_cycle():
    values = np.zeros((2, registers.WRITABLE), np.uint8)
    values[1, :] = 7
    cycles = RegisterFrames(values).writes().events["cycle"]
    assert cycles.tolist() == [19_656 + 40 * i for i in range(25)]


def test_frame_is_the_image_after_its_last_write():
    writes = RegisterWrites.from_rows([(0, 24, 15), (99, 0, 1), (99, 0, 2), (100, 0, 3), (250, 1, 9)], length=300)
    values = writes.frames(100).values
    assert values[:, 0].tolist() == [2, 3, 3]
    assert values[:, 1].tolist() == [0, 0, 9]
    assert values[:, 24].tolist() == [15, 15, 15]


def test_a_begun_frame_counts():
    assert len(RegisterWrites.from_rows([], length=19_657).frames()) == 2
    assert len(RegisterWrites.from_rows([], length=0).frames()) == 0


def test_second_sid_has_its_own_frames():
    writes = RegisterWrites.from_rows([(0, 24, 15), (5, 32 + 24, 7)], length=10)
    assert writes.sids == 2
    assert writes.frames(10).values[0, 24] == 15
    assert writes.frames(10, sid=1).values[0, 24] == 7
    assert writes.sid(1).events.tolist() == [(5, 24, 7)]


@pytest.mark.parametrize(
    ("rows", "length", "what"),
    [
        ([(5, 0, 1), (4, 0, 1)], 10, "cycle 4 comes after cycle 5"),
        ([(-1, 0, 1)], 10, "cycle -1"),
        ([(0, 25, 1)], 10, "register 25"),
        ([(0, 96, 1)], 10, "register 96"),
        ([(0, 300, 1)], 10, "0 to 255"),
        ([(0, 1, 256)], 10, "0 to 255"),
        ([(11, 1, 1)], 10, "past the length of 10"),
        ([(0, 1, 1)], -1, "length -1"),
        ([("x", 1, 1)], 10, "whole numbers"),
    ],
)
def test_a_broken_rule_is_told(rows, length, what):
    with pytest.raises(WritesError, match=what):
        RegisterWrites.from_rows(rows, length)


def test_wrong_array_is_told():
    with pytest.raises(WritesError, match="expected a"):
        RegisterWrites(np.zeros((3, 3)), 10)
    with pytest.raises(WritesError, match="expected uint8"):
        RegisterFrames(np.zeros((3, 25)))


def test_a_log_cannot_be_changed_from_outside():
    events = np.zeros(1, WRITE_DTYPE)
    writes = RegisterWrites(events, 10)
    events["value"] = 9
    assert writes.events["value"][0] == 0
    with pytest.raises(ValueError, match="read-only"):
        writes.events["value"] = 1


def test_log_port_keeps_what_is_poked():
    port = LogPort()
    port.poke(3, 24, 15)
    port.poke(3, 4, 17)
    assert port.peek(9, 27) == 0
    assert port.writes(20).events.tolist() == [(3, 24, 15), (3, 4, 17)]


def test_cut_keeps_what_acts_before_the_end():
    writes = RegisterWrites.from_rows([(0, 24, 15), (50, 24, 0)], length=100)
    assert len(writes.cut(50)) == 1
    assert writes.cut(50).length == 50
