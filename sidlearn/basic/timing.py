"""From pure CPU cycles to the machine's own clock: badlines, the jiffy interrupt, and what programs do to both.

The interpreter counts the cycles that the 6510 spends on the program. On a running machine the VIC stops the CPU for
40 to 43 cycles in 25 lines of every picture, and the timer interrupt takes 219 cycles away some 60 times a second.
"""

from __future__ import annotations

from sidlearn import clock

IRQ_CYCLES = 219  # entry, jiffy handler without a key and return: measured on the original code
BADLINE_CYCLES = 42.8  # mean cycles that one badline takes away: measured on the original code
BADLINES = 25
JIFFIES_A_DAY = 5_184_000


class WallClock:
    """The clock of a machine without badlines and interrupts: wall cycles are pure cycles.

    TI counts on as if it were a PAL machine, so that programs that wait for it go on.
    """

    clock_hz = clock.PAL.clock_hz

    def __init__(self, video: clock.Video = clock.PAL):
        self.video = video
        self.clock_hz = video.clock_hz
        self.latch = video.jiffy_cycles - 1
        self.irq_on = True
        self._jiffies_base = 0
        self._jiffies_from = 0

    def cycle(self, cycles: int) -> int:
        """Return the log cycle of a bus access that ends at pure cycle `cycles`."""
        return cycles

    def pure(self, wall: int) -> int:
        """Return a pure cycle at or before which the wall clock has not passed `wall`."""
        return wall

    def raster(self, cycles: int) -> int:
        """Return the raster line at pure cycle `cycles`."""
        return self.cycle(cycles) // self.video.line_cycles % self.video.lines

    def timer(self, cycles: int) -> int:
        """Return CIA 1 timer A."""
        return self.latch - self.cycle(cycles) % (self.latch + 1)

    def jiffies(self, cycles: int) -> int:
        """Return TI."""
        if not self.irq_on:
            return self._jiffies_base
        passed = (self.cycle(cycles) - self._jiffies_from) // (self.latch + 1)
        return (self._jiffies_base + passed) % JIFFIES_A_DAY

    def set_jiffies(self, cycles: int, value: int) -> None:
        """Set TI."""
        now = self.cycle(cycles)
        self._jiffies_base = value
        self._jiffies_from = now - now % (self.latch + 1)

    def set_screen(self, cycles: int, shown: bool) -> None:
        """The program has written VIC register 17: without a picture there are no badlines."""

    def set_cia(self, cycles: int, register: int, value: int) -> None:
        """The program has written a register of CIA 1."""


def wall_clock(video: str | None) -> WallClock:
    """Return the clock for ``video`` None, "pal" or "ntsc"."""
    return WallClock(clock.video(video) if video else clock.PAL)
