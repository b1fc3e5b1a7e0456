"""The two clocks: laws of the conversion, and what programs do to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn import clock
from sidlearn.basic import run
from sidlearn.basic.timing import LOG_CYCLES, PureClock, WallClock, wall_clock

VIDEO = [clock.PAL, clock.NTSC]
# Wall time over CPU time of the original machine, long programs (timing.json, meta, factors).
FACTOR = {"pal": 1.07276, "ntsc": 1.0817}
BLANKED = 1.0133
DELAY = "10 fort=1to8000:next"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=2, max_size=60), st.sampled_from(VIDEO))
def test_wall_time_rises_with_pure_time_and_never_slower(steps, video):
    wall = WallClock(video)
    pure, before = 0, wall.cycle(0)
    for step in steps:
        pure += step
        now = wall.cycle(pure)
        assert now - before >= step
        before = now


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200_000), st.integers(1, 997), st.sampled_from(VIDEO))
def test_the_way_does_not_change_the_time(end, step, video):
    """Asked at many moments or at one, the clock says the same."""
    often, once = WallClock(video), WallClock(video)
    for pure in range(0, end, step):
        often.cycle(pure)
    assert often.cycle(end) == once.cycle(end)


@pytest.mark.parametrize("video", ["pal", "ntsc"])
def test_a_second_is_as_much_longer_as_on_the_machine(video):
    assert wall_clock(video).cycle(10_000_000) / 10_000_000 == pytest.approx(FACTOR[video], abs=1e-4)


def test_a_program_without_video_takes_pure_cycles():
    assert isinstance(wall_clock(None), PureClock)
    assert wall_clock(None).cycle(12_345) == 12_345 + LOG_CYCLES


def factor(setup: str, video: str = "pal") -> float:
    """Return wall over pure time of a delay loop after `setup`."""
    program = f"5 {setup}\n{DELAY}"
    return run(program, video=video).cycles / run(program).cycles


def test_without_a_picture_there_are_no_badlines():
    assert factor("poke 53265,11") == pytest.approx(BLANKED, abs=5e-4)
    assert factor("poke 53265,27") == pytest.approx(FACTOR["pal"], abs=5e-4)


def test_without_interrupts_only_badlines_are_left():
    assert factor("poke 56333,127") == pytest.approx(1.05765, abs=5e-4)
    assert factor("poke 56334,peek(56334)and254") == pytest.approx(1.05765, abs=5e-4)


def test_a_faster_timer_slows_the_program_and_speeds_ti():
    assert factor("poke 56325,16") > factor("poke 56325,64") > factor("poke 56325,128")
    crawl = "10 poke 56325,0:fori=1to20:next"  # faster than its own handler
    assert run(crawl, video="pal").cycles > 5 * run(crawl).cycles
    program = "10 poke 56325,{}:t=ti:fori=1to2000:next:print ti-t"
    slow, fast = (int(run(program.format(n), video="pal").output.strip(b" \x1d\r")) for n in (64, 32))
    assert fast == pytest.approx(2 * slow, rel=0.03)


def test_a_switched_off_interrupt_stops_ti():
    assert run("10 poke 56333,127:t=ti:fori=1to500:next:print ti-t", video="pal").output == b" 0\x1d\r"


def test_raster_and_timer_move():
    program = "10 fori=1to40:a=peek(53266):b=peek(56324):if a<>c and b<>d then n=n+1\n20 c=a:d=b:next:print n>30"
    assert run(program, video="pal").output == b"-1\x1d\r"
    assert run("10 wait 53265,128:print peek(53266)<120", video="pal").output == b"-1\x1d\r"


def test_ti_counts_sixty_a_second():
    result = run("10 t=ti:fori=1to3000:next:print ti-t", video="pal")
    jiffies = int(result.output.strip(b" \x1d\r"))
    assert jiffies == pytest.approx(result.cycles / clock.PAL.jiffy_cycles, abs=2)
