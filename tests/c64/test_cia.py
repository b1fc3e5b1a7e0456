"""The clock of the 6526, as VICE's test programs fix-hour and hzsync6 found it on real chips."""

from __future__ import annotations

import pytest

from sidlearn import clock
from sidlearn.c64 import cia

HZ_50 = 0x80


def running(hour: int, minute: int = 0x59, second: int = 0x59, tenth: int = 9) -> cia.np.recarray:
    """Return the first CIA with its clock at a time, going by mains of 50 Hz."""
    chip = cia.power_on(clock.PAL)[0]
    chip.control[0] = HZ_50
    chip.tod[:] = tenth, second, minute, hour
    chip.tod_stopped = 0
    return chip


def ticks(chip: cia.np.recarray, count: int) -> None:
    for _ in range(count):
        cia.clock_tod(chip)


@pytest.mark.parametrize(
    ("hour", "following"),
    [(0x00, 0x01), (0x09, 0x10), (0x0A, 0x0B), (0x0F, 0x00), (0x10, 0x11), (0x11, 0x92), (0x91, 0x12), (0x92, 0x81),
     (0x12, 0x01), (0x13, 0x14), (0x18, 0x19), (0x19, 0x1A), (0x1E, 0x1F), (0x1F, 0x10)],
)  # fmt: skip
def test_hours_follow_each_other_even_those_that_no_clock_shows(hour, following):
    chip = running(hour)
    ticks(chip, 5)
    assert chip.tod.tolist() == [0, 0, 0, following]


def test_a_tenth_is_five_periods_of_50_hz_and_six_of_60():
    chip = running(1, 0, 0, 0)
    ticks(chip, 4)
    assert chip.tod[0] == 0
    ticks(chip, 1)
    assert chip.tod[0] == 1
    chip.control[0] = 0
    ticks(chip, 5)
    assert chip.tod[0] == 1
    ticks(chip, 1)
    assert chip.tod[0] == 2


def test_a_switch_to_50_hz_at_the_sixth_place_leaves_a_tenth_out():
    chip = running(1, 0, 0, 0)
    chip.control[0] = 0
    ticks(chip, 5)
    chip.control[0] = HZ_50
    ticks(chip, 5)
    assert chip.tod[0] == 0
    ticks(chip, 1)
    assert chip.tod[0] == 1


def test_starting_the_clock_does_not_move_the_mains():
    chip = cia.power_on(clock.PAL)[0]
    chip.tod_left = 1000
    cia.write_tod(chip, 0, 0)
    assert chip.tod_left == 1000
    assert not chip.tod_stopped
