"""From pure CPU cycles to the machine's own clock: badlines, the jiffy interrupt, and what programs do to both.

The interpreter counts the cycles that the 6510 spends on the program. On a running machine the VIC stops the CPU for
40 to 43 cycles in 25 lines of every picture, and the timer interrupt takes 219 cycles away some 60 times a second.
Sources: Christian Bauer, "The MOS 6567/6569 video controller" (1996); 6526 CIA data sheet.
"""

from __future__ import annotations

from collections.abc import Callable

from sidlearn import clock

LOG_CYCLES = 4
"""How much later than the instructions' cycles tell the measured logs show a bus access: part of what they call the
dispatch of the first statement."""

IRQ_CYCLES = 219  # entry, jiffy handler without a key, and return: measured on the original code
INSTRUCTION_CYCLES = 6  # what the program gets at least between two interrupts: guess, one instruction
SHORTEST_PERIOD = 64  # of the timer here: shorter ones only keep the interrupt pending, as this does
BADLINE_HUNDREDTHS = 4285  # of a cycle that one badline takes on average: measured on the original code
FIRST_LINE, LAST_LINE = 0x30, 0xF7  # where badlines can be
BA_CYCLE = 11  # cycles into a line when the CPU is told to wait
JIFFIES_A_DAY = 5_184_000
START_LINE = 147  # raster line in which programs start here: half of the badlines of that picture are over
PICTURE_ON, SCROLL = 16, 7  # bits of VIC register 17
TIMER_LOW, TIMER_HIGH, INTERRUPT_CONTROL, TIMER_CONTROL = 4, 5, 13, 14  # registers of CIA 1
TIMER_ON, FORCE_LOAD = 1, 16  # bits of the timer's control register
SET_MASK, TIMER_A = 128, 1  # bits of the interrupt control register
_NEVER = 1 << 62


class PureClock:
    """The clock of a machine without badlines and interrupts: wall cycles are pure cycles.

    TI counts on as on a PAL machine, so that programs that wait for it go on.

    Methods that take `cycles` are asked with pure cycles that rise, those that take `when` with a log cycle that
    `cycle` has given.
    """

    video = clock.PAL
    hooked = False
    """Whether machine code of the program hangs on the interrupt."""

    def __init__(self) -> None:
        self._jiffies = 0
        self._from = 0
        self._latch = self.video.jiffy_cycles - 1
        self._loaded_at = LOG_CYCLES
        self._flags_read = 0

    def cycle(self, cycles: int) -> int:
        """Return the log cycle of what happens at pure cycle `cycles`."""
        return cycles + LOG_CYCLES

    def pure(self, wall: int, cycles: int) -> int:
        """Return a pure cycle after `cycles` before which the log does not pass `wall`."""
        return max(wall - LOG_CYCLES, cycles + 1)

    def raster(self, when: int) -> int:
        """Return the raster line."""
        return ((when - LOG_CYCLES) // self.video.line_cycles + START_LINE) % self.video.lines

    def timer(self, when: int) -> int:
        """Return CIA 1 timer A."""
        return self._latch - (when - self._loaded_at) % (self._latch + 1)

    def flags(self, when: int) -> int:
        """Read the interrupt control register of CIA 1: whether timer A has run out since the last time."""
        rounds = (when - self._loaded_at) // (self._latch + 1)
        seen, self._flags_read = self._flags_read, rounds
        return TIMER_A if rounds > seen else 0

    def jiffies(self, cycles: int) -> int:
        """Return TI."""
        return (self._jiffies + cycles // self.video.jiffy_cycles - self._from) % JIFFIES_A_DAY

    def set_jiffies(self, value: int, cycles: int) -> None:
        """Set TI."""
        self._jiffies, self._from = value, cycles // self.video.jiffy_cycles

    def calm(self, cycles: int, least: int) -> int:
        """Return for how many pure cycles from `cycles` on no timer interrupt can come, but no fewer than `least`."""
        return _NEVER

    def mask(self, off: bool, cycles: int) -> None:
        """Take the flag I of the CPU at pure cycle `cycles`: with it set, interrupts wait."""

    def set_screen(self, value: int) -> None:
        """VIC register 17 has been written: without a picture there are no badlines."""

    def set_timer(self, register: int, value: int, when: int) -> None:
        """A register of CIA 1 has been written. Here the timer never stands."""
        if register == TIMER_LOW:
            self._latch = self._latch & 0xFF00 | value
        elif register == TIMER_HIGH:
            self._latch = self._latch & 0x00FF | value << 8
        elif register == TIMER_CONTROL and value & FORCE_LOAD:
            self._loaded_at = when
            self._flags_read = 0


class WallClock(PureClock):
    """The clock of a PAL or NTSC machine.

    Between two events (a badline, an interrupt) wall time passes as pure time does; `cycle` goes from event to event.

    Parameters
    ----------
    video : clock.Video

    Attributes
    ----------
    interrupt : callable
        Called at every timer interrupt; gives the cycles that the handler takes and whether TI counts.
    """

    def __init__(self, video: clock.Video):
        super().__init__()
        self.video = video
        self.interrupt: Callable[[], tuple[int, bool]] = lambda: (IRQ_CYCLES, True)
        self._pure = 0
        self._wall = 0
        self._stolen = 0  # hundredths of a cycle left over from the last badline
        self._scroll = 3
        self._shown = True
        self._latch = video.jiffy_cycles - 1
        self._underflow = video.jiffy_cycles // 2
        self._left = 0  # of the timer, while it stands
        self._running = True
        self._enabled = True
        self._flag = False  # of the timer in the interrupt control register, until that is read
        self._pending = False
        self._masked = False
        self._free_at = 0  # pure cycle from which the next interrupt can be taken
        self._phase = START_LINE * video.line_cycles  # of the raster at wall cycle 0
        self._badline = self._badline_after(0)
        self._next = min(self._badline, self._underflow)

    def cycle(self, cycles: int) -> int:
        if self._wall + cycles - self._pure > self._next:
            self._advance(cycles)
        return self._wall + cycles - self._pure + LOG_CYCLES

    def pure(self, wall: int, cycles: int) -> int:
        return cycles + max(1, int(0.85 * (wall - self.cycle(cycles))))

    def inside(self, cycles: int) -> int:
        """Return the log cycle `cycles` after the beginning of the interrupt that is being handled."""
        wall, badline, stolen = self._wall, self._badline, self._stolen
        while wall + cycles > badline:
            cycles -= badline - wall
            stolen += BADLINE_HUNDREDTHS
            wall = badline + stolen // 100
            stolen %= 100
            badline = self._badline_after(wall)
        return wall + cycles + LOG_CYCLES

    def raster(self, when: int) -> int:
        return (when - LOG_CYCLES + self._phase) // self.video.line_cycles % self.video.lines

    def timer(self, when: int) -> int:
        return max(0, self._underflow - (when - LOG_CYCLES)) if self._running else self._left

    def flags(self, when: int) -> int:
        flag, self._flag, self._pending = self._flag, False, False
        return (TIMER_A | (SET_MASK if self._enabled else 0)) if flag else 0

    def jiffies(self, cycles: int) -> int:
        self.cycle(cycles)
        return self._jiffies % JIFFIES_A_DAY

    def set_jiffies(self, value: int, cycles: int) -> None:
        self.cycle(cycles)
        self._jiffies = value

    def calm(self, cycles: int, least: int) -> int:
        self.cycle(cycles)
        return max(int(0.9 * (self._underflow - self._wall - (cycles - self._pure))), least)  # badlines: 7 % at most

    def mask(self, off: bool, cycles: int) -> None:
        self.cycle(cycles)
        self._masked = off
        self._look_for_interrupt()

    def set_screen(self, value: int) -> None:
        self._shown, self._scroll = bool(value & PICTURE_ON), value & SCROLL
        self._badline = self._badline_after(self._wall)
        self._next = min(self._badline, self._underflow)

    def set_timer(self, register: int, value: int, when: int) -> None:
        now = when - LOG_CYCLES
        if register == TIMER_LOW:
            self._latch = self._latch & 0xFF00 | value
        elif register == TIMER_HIGH:
            self._latch = self._latch & 0x00FF | value << 8
            if not self._running:
                self._left = self._latch
        elif register == INTERRUPT_CONTROL:
            if value & TIMER_A:
                self._enabled = bool(value & SET_MASK)
        elif register == TIMER_CONTROL:
            if self._running:
                self._left = max(0, self._underflow - now)
            if value & FORCE_LOAD:
                self._left = self._latch
            self._running = bool(value & TIMER_ON)
            self._underflow = now + self._left if self._running else _NEVER
        self._look_for_interrupt()

    def _look_for_interrupt(self) -> None:
        """Find the next event; an underflow that came while the interrupt was off is one at once."""
        held = self._enabled and self._pending and not self._masked
        self._next = self._wall if held else min(self._badline, self._underflow)

    def _advance(self, cycles: int) -> None:
        """Take all events up to pure cycle `cycles`."""
        while self._wall + cycles - self._pure > self._next:
            self._pure += self._next - self._wall
            self._wall = self._next
            if self._wall >= self._badline:
                self._stolen += BADLINE_HUNDREDTHS
                self._wall += self._stolen // 100
                self._stolen %= 100
                self._badline = self._badline_after(self._wall)
            elif self._wall >= self._underflow:
                self._underflow += max(self._latch + 1, SHORTEST_PERIOD)
                self._flag = self._pending = True
            self._next = min(self._badline, self._underflow)
            if self._pending and self._enabled and not self._masked:
                if self._pure < self._free_at:
                    self._next = min(self._next, self._wall + self._free_at - self._pure)
                else:
                    self._take_interrupt()
            self._next = max(self._wall, self._next)

    def _take_interrupt(self) -> None:
        """The CPU leaves the program for the handler, which runs on the same clock as the program."""
        self._pending = False
        self._free_at = self._pure + INSTRUCTION_CYCLES
        taken, counts = self.interrupt()
        self._flag = False  # read by the KERNAL, if not by the program
        self._pure -= taken
        self._jiffies += counts

    def _badline_after(self, wall: int) -> int:
        """Return the wall cycle at which the next badline stops the CPU."""
        if not self._shown:
            return _NEVER
        line_cycles, lines = self.video.line_cycles, self.video.lines
        frame, position = divmod(wall + self._phase, line_cycles * lines)
        line = max((position - BA_CYCLE) // line_cycles + 1, FIRST_LINE)
        line += (self._scroll - line) & SCROLL
        if line > LAST_LINE:
            frame += 1
            line = FIRST_LINE + (self._scroll - FIRST_LINE & SCROLL)
        return (frame * lines + line) * line_cycles + BA_CYCLE - self._phase


def wall_clock(video: str | None) -> PureClock:
    """Return the clock for ``video`` None, "pal" or "ntsc"."""
    return WallClock(clock.video(video)) if video else PureClock()
