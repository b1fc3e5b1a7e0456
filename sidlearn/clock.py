"""The clocks of the machine, and every conversion between cycles, seconds, hertz and FREQ.

Sources: PAL 17.734475 MHz / 18, NTSC 14.318181 MHz / 14 (C64 service manual); lines and cycles per line:
VIC-II 6569 and 6567R8 (Christian Bauer, "The MOS 6567/6569 video controller", 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

from sidlearn.errors import ConfigError, nearest, one_of


@dataclass(frozen=True)
class Video:
    """A television standard: what the C64's clock and picture follow."""

    name: str
    clock_hz: int
    line_cycles: int
    lines: int
    jiffy_cycles: int
    """Cycles between two timer interrupts (latch of CIA 1 timer A plus one)."""

    @property
    def frame_cycles(self) -> int:
        """Cycles of one picture."""
        return self.line_cycles * self.lines


PAL = Video("pal", 985_248, 63, 312, 16_422)
NTSC = Video("ntsc", 1_022_727, 65, 263, 17_046)
VIDEO = {v.name: v for v in (PAL, NTSC)}

ACCUMULATOR_BITS = 24
"""Width of an oscillator's phase accumulator. Source: MOS 6581 data sheet."""


def video(name: str) -> Video:
    """Return the standard called `name`.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name in VIDEO:
        return VIDEO[name]
    raise ConfigError(f"video {name!r}: expected {one_of(VIDEO)}{nearest(name, VIDEO)}")


def seconds_to_cycles(seconds: float, clock_hz: int = PAL.clock_hz) -> int:
    """Return the whole number of cycles nearest to `seconds`."""
    return round(seconds * clock_hz)


def cycles_to_seconds(cycles: int, clock_hz: int = PAL.clock_hz) -> float:
    """Return the seconds that `cycles` last."""
    return cycles / clock_hz


def freq_to_hz(freq: float, clock_hz: int = PAL.clock_hz) -> float:
    """Return the pitch in Hz of a FREQ value 0 to 65535."""
    return freq * clock_hz / (1 << ACCUMULATOR_BITS)


def hz_to_freq(hz: float, clock_hz: int = PAL.clock_hz) -> int:
    """Return the FREQ value nearest to `hz`, held within 0 to 65535."""
    return min(max(round(hz * (1 << ACCUMULATOR_BITS) / clock_hz), 0), 0xFFFF)


def frame_cycles(frame_rate: int, clock_hz: int = PAL.clock_hz) -> int:
    """Return the cycles of a register frame at 50, 100 or 200 Hz (60, 120, 240 on NTSC).

    One frame is one picture of the machine; multispeed divides it, so that 50 Hz means 19 656 cycles (50.12 Hz).

    Raises
    ------
    ConfigError
        If the rate is not one picture or a whole multiple of it.
    """
    standard = NTSC if abs(clock_hz - NTSC.clock_hz) < abs(clock_hz - PAL.clock_hz) else PAL
    pictures = clock_hz / standard.frame_cycles  # 50.12 or 59.83 a second
    speed = round(frame_rate / pictures)
    if speed < 1 or abs(frame_rate / pictures - speed) > 0.02 * speed:
        base = round(pictures)
        raise ConfigError(f"frame rate {frame_rate}: expected {base}, {2 * base} or {4 * base} Hz")
    return standard.frame_cycles // speed
