"""The MOS 6526: two timers, the time-of-day clock, interrupts and ports, cycle by cycle.

What takes place some cycles after its cause travels through a pipeline of bits (`delay`): a bit moves up one place a
cycle, `feed` enters new ones. One step of the chip is `clock_cia`; `skip_cia` does many at once where nothing happens.

Sources: MOS 6526 data sheet; Wolfgang Lorenz, "A Software Model of the CIA6526" (1998); the CIA programs of VICE's
test collection.
"""

from __future__ import annotations

import numpy as np

from sidlearn import clock
from sidlearn._kernel import inline_kernel, kernel

CIA_DTYPE = np.dtype(
    [
        ("counter", "i8", (2,)),
        ("latch", "i8", (2,)),
        ("control", "i8", (2,)),
        ("delay", "i8"),
        ("feed", "i8"),
        ("flags", "i8"),  # interrupt sources, bits 0 to 4; bit 7: the line has been pulled
        ("mask", "i8"),
        ("irq", "i8"),  # 1: the line is pulled
        ("ports", "i8", (2,)),
        ("directions", "i8", (2,)),
        ("inputs", "i8", (2,)),  # what the outside puts on the pins
        ("toggle", "i8"),  # bits 6 and 7: timer outputs in toggle mode
        ("serial", "i8"),
        ("serial_halves", "i8"),  # half periods of CNT until the byte is out
        ("serial_waits", "i8"),  # 1: a byte waits for the one that goes out
        ("serial_low", "i8"),  # 1: CNT is low
        ("tod", "i8", (4,)),  # tenths, seconds, minutes, hours in BCD
        ("alarm", "i8", (4,)),
        ("alarm_agrees", "i8"),
        ("tod_shown", "i8", (4,)),  # what reads give while the hours have been read and the tenths have not
        ("tod_held", "i8"),
        ("tod_stopped", "i8"),
        ("tod_count", "i8"),  # mains periods since the last tenth
        ("tod_left", "i8"),  # cycles until the next mains period
        ("tod_period", "i8"),
    ],
    align=True,
)

TIMER_A, TIMER_B, ALARM, SERIAL, FLAG = 1, 2, 4, 8, 16
LINE = 0x80

# Bits of the pipeline, named after what the bit does when it arrives.
COUNT_A0, COUNT_A1, COUNT_A2, COUNT_A3 = 1, 2, 4, 8
COUNT_B0, COUNT_B1, COUNT_B2, COUNT_B3 = 1 << 4, 1 << 5, 1 << 6, 1 << 7
LOAD_A0, LOAD_A1 = 1 << 8, 1 << 9
LOAD_B0, LOAD_B1 = 1 << 10, 1 << 11
PULSE_A0, PULSE_A1 = 1 << 12, 1 << 13
PULSE_B0, PULSE_B1 = 1 << 14, 1 << 15
INTERRUPT0, INTERRUPT1 = 1 << 16, 1 << 17
ONE_SHOT_A0, ONE_SHOT_B0 = 1 << 18, 1 << 19
# Timer A moves the serial port; CNT falls, falls for the last bit of a byte, rises; the byte is out.
SERIAL0, SERIAL1 = 1 << 20, 1 << 21
FALL0, FALL1, FALL2, FALL3 = 1 << 22, 1 << 23, 1 << 24, 1 << 25
LAST_FALL0, LAST_FALL3 = 1 << 26, 1 << 29
RISE0, RISE4 = 1 << 30, 1 << 34
OUT0, OUT4 = 1 << 35, 1 << 39
SEND0 = 1 << 40
ICR_READ = 1 << 41
"""The interrupt flags have been read in this cycle."""
_FIRST = COUNT_A0 | COUNT_B0 | LOAD_A0 | LOAD_B0 | PULSE_A0 | PULSE_B0 | INTERRUPT0 | ONE_SHOT_A0 | ONE_SHOT_B0
_FIRST |= SERIAL0 | FALL0 | LAST_FALL0 | RISE0 | OUT0 | SEND0
MOVES = (1 << 41) - 1 & ~_FIRST
"""Places that a bit can move up into."""
SERIAL_PIPELINE = (1 << 41) - SERIAL0
HALVES = 16
"""Half periods of CNT for a byte."""

START, PORT_OUT, TOGGLE, ONE_SHOT, FORCE_LOAD, COUNT_CNT, SERIAL_OUT, HZ_50 = (1 << bit for bit in range(8))
CASCADE = 0x40
SET_ALARM = 0x80

MAINS_HZ = {clock.PAL.name: 50, clock.NTSC.name: 60}
NEVER = 1 << 60


def power_on(video: clock.Video) -> np.recarray:
    """Return both CIAs after a reset: recarray of `CIA_DTYPE`, shape (2,)."""
    cias = np.zeros(2, CIA_DTYPE).view(np.recarray)
    cias.latch = cias.counter = 0xFFFF
    cias.inputs = 0xFF
    cias.tod[:, 3] = 1
    cias.tod_shown[:, 3] = 1
    cias.tod_stopped = 1
    cias.tod_period = cias.tod_left = round(video.clock_hz / MAINS_HZ[video.name])
    return cias


@kernel
def clock_cia(cia):
    """End one cycle."""
    delay = cia.delay
    if delay & COUNT_A3:
        cia.counter[0] -= 1
    if cia.counter[0] == 0 and delay & COUNT_A2:
        if (delay | cia.feed) & ONE_SHOT_A0:
            cia.control[0] &= ~START
            delay &= ~(COUNT_A0 | COUNT_A1 | COUNT_A2)
            cia.feed &= ~COUNT_A0
        if cia.control[1] & 0x41 == 0x41:  # CNT is pulled up, so that both cascade modes count
            delay |= COUNT_B1
        cia.toggle ^= 0x40
        delay |= PULSE_A0 | LOAD_A1
        flag(cia, TIMER_A)
        if cia.mask & TIMER_A:
            delay |= INTERRUPT0
        if cia.serial_halves:
            delay |= SERIAL0
            if not delay & SERIAL1:  # at latch 0 there is but one edge
                delay = shift_out(cia, delay)
    if delay & LOAD_A1:
        cia.counter[0] = cia.latch[0]
        delay &= ~COUNT_A2
    if delay & COUNT_B3:
        cia.counter[1] -= 1
    if cia.counter[1] == 0 and delay & COUNT_B2:
        if (delay | cia.feed) & ONE_SHOT_B0:
            cia.control[1] &= ~START
            delay &= ~(COUNT_B0 | COUNT_B1 | COUNT_B2)
            cia.feed &= ~COUNT_B0
        cia.toggle ^= 0x80
        delay |= PULSE_B0 | LOAD_B1
        if not delay & ICR_READ:  # a bug of the 6526; source: readings in the VICE test programs ciavarious
            flag(cia, TIMER_B)
        if cia.mask & TIMER_B:
            delay |= INTERRUPT0
    if delay & LOAD_B1:
        cia.counter[1] = cia.latch[1]
        delay &= ~COUNT_B2
    if delay & SERIAL_PIPELINE:
        delay = drive_cnt(cia, delay)
    if delay & INTERRUPT1:
        cia.flags |= LINE
        cia.irq = 1
    cia.delay = (delay << 1 & MOVES) | cia.feed
    cia.tod_left -= 1
    if cia.tod_left == 0:
        clock_tod(cia)


@kernel
def shift_out(cia, delay):
    """Half a period of CNT; gives the pipeline."""
    cia.serial_halves -= 1
    if cia.serial_halves == 1:
        delay |= LAST_FALL0 | OUT0
    elif cia.serial_halves & 1:
        delay |= FALL0
    else:
        delay |= RISE0
    if cia.serial_halves == 0 and cia.serial_waits:
        cia.serial_waits = 0
        cia.serial_halves = HALVES
    return delay


@kernel
def drive_cnt(cia, delay):
    """What has come to the end of the serial port's pipeline; gives the pipeline.

    CNT that falls is low, then high again for one cycle, then low; it takes longer to rise; the byte is out four cycles
    after its last bit falls. Source: readings of 6526s in the VICE test programs cia-sdr-icr.
    """
    if delay & (RISE4 | FALL2):
        cia.serial_low = 0
    if delay & (FALL1 | FALL3 | LAST_FALL3):
        cia.serial_low = 1
    if delay & SEND0:
        cia.serial_halves = HALVES
    if delay & OUT4:
        flag(cia, SERIAL)
        if cia.mask & SERIAL:
            delay |= INTERRUPT0
    return delay


@inline_kernel
def flag(cia, source):
    """Remember an interrupt source."""
    cia.flags |= source


@kernel
def clock_tod(cia):
    """One period of the mains: a counter to 6, and a tenth when it stands at its fifth or sixth place.

    So switching to 50 Hz at the sixth leaves a tenth out. Source: VICE test program hzsync6.
    """
    cia.tod_left = cia.tod_period
    if cia.tod_stopped:
        return
    last = 4 if cia.control[0] & HZ_50 else 5
    if cia.tod_count != last:
        cia.tod_count = 0 if cia.tod_count == 5 else cia.tod_count + 1
        return
    cia.tod_count = 0
    cia.tod[0], carry = next_digit(cia.tod[0], 9, 0xF)
    for place in range(1, 3):
        if carry:
            low, carry = next_digit(cia.tod[place] & 0xF, 9, 0xF)
            high = cia.tod[place] >> 4
            if carry:
                high, carry = next_digit(high, 5, 7)
            cia.tod[place] = high << 4 | low
    if carry:
        next_hour(cia)
    look_at_alarm(cia)


@inline_kernel
def next_digit(digit, last, mask):
    """One more, and 1 if the next place counts too. Values that no clock shows count on within their bits."""
    if digit == last:
        return 0, 1
    return digit + 1 & mask, 0


@kernel
def next_hour(cia):
    """1 to 12, with bit 7 for the afternoon, which changes from 11 to 12."""
    hour, afternoon = cia.tod[3] & 0x1F, cia.tod[3] & 0x80
    if hour == 0x12:
        hour = 1
    elif hour == 9:  # 19, which no clock shows, goes on to 1A. Source: VICE test program fix-hour
        hour = 0x10
    else:
        hour = hour & 0x10 | hour + 1 & 0xF
        if hour == 0x12:
            afternoon ^= 0x80
    cia.tod[3] = hour | afternoon


@kernel
def look_at_alarm(cia):
    """The alarm goes off when all four places come to agree."""
    agreed = cia.alarm_agrees
    cia.alarm_agrees = 1
    for place in range(4):
        if cia.tod[place] != cia.alarm[place]:
            cia.alarm_agrees = 0
    if agreed or not cia.alarm_agrees:
        return
    flag(cia, ALARM)
    if cia.mask & ALARM:
        cia.delay |= INTERRUPT0


@kernel
def quiet_cycles(cia):
    """How many cycles are nothing but counting, 0 if the pipeline is busy."""
    if (cia.delay << 1 & MOVES) | cia.feed != cia.delay or cia.delay & (LOAD_A1 | LOAD_B1 | INTERRUPT1):
        return 0
    cycles = cia.tod_left - 1
    if cia.delay & COUNT_A3:
        cycles = min(cycles, cia.counter[0] - 1)
    if cia.delay & COUNT_B3:
        cycles = min(cycles, cia.counter[1] - 1)
    return max(cycles, 0)


@kernel
def skip_cia(cia, cycles):
    """End many cycles."""
    while cycles > 0:
        quiet = min(quiet_cycles(cia), cycles)
        if quiet:
            if cia.delay & COUNT_A3:
                cia.counter[0] -= quiet
            if cia.delay & COUNT_B3:
                cia.counter[1] -= quiet
            cia.tod_left -= quiet
            cycles -= quiet
        else:
            clock_cia(cia)
            cycles -= 1


@kernel
def cycles_to_event(cia):
    """In how many cycles the interrupt line can change at the earliest: what the mask lets through."""
    if cia.delay & (INTERRUPT0 | INTERRUPT1):
        return 1
    if not cia.mask:
        return NEVER
    cycles = NEVER
    if cia.mask & TIMER_A and cia.control[0] & START:
        cycles = cia.counter[0] + 1
    if cia.mask & TIMER_B and cia.control[1] & START:
        cycles = min(cycles, (cia.counter[0] if cia.control[1] & CASCADE else cia.counter[1]) + 1)
    if cia.mask & ALARM and not cia.tod_stopped:
        cycles = min(cycles, cia.tod_left)
    if cia.mask & SERIAL:
        if cia.delay & SERIAL_PIPELINE:
            return 1
        if cia.serial_halves:
            cycles = min(cycles, cia.counter[0] + 1)
    return max(cycles, 1)


# --- Registers -----------------------------------------------------------------------------------------------------


@kernel
def read_cia(cia, register):
    """Read a register 0 to 15."""
    if register < 2:
        return read_port(cia, register)
    if register < 4:
        return cia.directions[register - 2]
    if register < 8:
        return cia.counter[(register - 4) >> 1] >> 8 * (register & 1) & 0xFF
    if register < 12:
        return read_tod(cia, register - 8)
    if register == 12:
        return cia.serial
    if register == 13:
        value = cia.flags
        cia.flags = cia.irq = 0
        cia.delay = cia.delay & ~(INTERRUPT0 | INTERRUPT1) | ICR_READ
        return value
    return cia.control[register - 14]


@kernel
def read_port(cia, port):
    """Outputs, inputs, and the timers' pins 6 and 7 on port B."""
    value = (cia.ports[port] | ~cia.directions[port] & 0xFF) & (cia.inputs[port] | cia.directions[port])
    if port == 1:
        for timer in range(2):
            bit = 0x40 << timer
            if cia.control[timer] & PORT_OUT:
                high = cia.toggle & bit if cia.control[timer] & TOGGLE else pulse(cia, timer)
                value = value | bit if high else value & ~bit
    return value


@kernel
def pulse(cia, timer):
    """Whether the timer's pin is high for the one cycle after an underflow."""
    return cia.delay & (PULSE_B1 if timer else PULSE_A1)


@kernel
def read_tod(cia, place):
    """Reading the hours holds the display until the tenths are read."""
    if place == 3 and not cia.tod_held:
        cia.tod_held = 1
        cia.tod_shown[:] = cia.tod
    value = cia.tod_shown[place] if cia.tod_held else cia.tod[place]
    if place == 0:
        cia.tod_held = 0
    return value


@kernel
def write_cia(cia, register, value):
    """Write a register 0 to 15."""
    if register < 2:
        cia.ports[register] = value
    elif register < 4:
        cia.directions[register - 2] = value
    elif register < 8:
        write_latch(cia, (register - 4) >> 1, register & 1, value)
    elif register < 12:
        write_tod(cia, register - 8, value)
    elif register == 12:
        cia.serial = value
        if cia.control[0] & SERIAL_OUT:
            if cia.serial_halves > 1:
                cia.serial_waits = 1
            else:
                cia.delay |= SEND0
    elif register == 13:
        if value & 0x80:
            cia.mask |= value & 0x1F
        else:
            cia.mask &= ~value & 0x1F
        if cia.flags & cia.mask and not cia.flags & LINE:
            cia.delay |= INTERRUPT0
    else:
        write_control(cia, register - 14, value)


@kernel
def write_latch(cia, timer, high, value):
    """The high byte goes on into a counter that stands still, two cycles later; either into one that is just loading.

    Source of the latter: Lorenz' cia1ta to cia2tb.
    """
    if high:
        cia.latch[timer] = cia.latch[timer] & 0xFF | value << 8
        if not cia.control[timer] & START:
            cia.delay |= LOAD_B0 if timer else LOAD_A0
    else:
        cia.latch[timer] = cia.latch[timer] & 0xFF00 | value
    if cia.delay & (PULSE_B1 if timer else PULSE_A1):
        cia.counter[timer] = cia.latch[timer]


@kernel
def write_control(cia, timer, value):
    """Start, stop, load, and what a timer counts."""
    if value & START and not cia.control[timer] & START:
        cia.toggle |= 0x40 << timer
    if timer == 0 and (value ^ cia.control[0]) & SERIAL_OUT:
        turn_serial(cia, value & SERIAL_OUT)
    shift = 4 * timer
    counts = value & (START | COUNT_CNT if timer == 0 else START | COUNT_CNT | CASCADE) == START
    if counts:
        cia.delay |= (COUNT_A0 | COUNT_A1) << shift
        cia.feed |= COUNT_A0 << shift
    else:
        cia.delay &= ~((COUNT_A0 | COUNT_A1) << shift)
        cia.feed &= ~(COUNT_A0 << shift)
    one_shot = ONE_SHOT_B0 if timer else ONE_SHOT_A0
    if value & ONE_SHOT:
        cia.feed |= one_shot
    else:
        cia.feed &= ~one_shot
    if value & FORCE_LOAD:
        cia.delay |= LOAD_B0 if timer else LOAD_A0
    cia.control[timer] = value & ~FORCE_LOAD


@kernel
def turn_serial(cia, out):
    """The serial port becomes an output or an input, which gives up the byte that goes out.

    CNT that was left low counts as the end of a byte when the port is an output again.
    """
    cia.serial_halves = cia.serial_waits = 0
    cia.delay &= ~SERIAL_PIPELINE
    if out and cia.serial_low:
        cia.serial_low = 0
        flag(cia, SERIAL)
        if cia.mask & SERIAL:
            cia.delay |= INTERRUPT0


@kernel
def write_tod(cia, place, value):
    """Writing the hours stops the clock, writing the tenths starts it; the same addresses set the alarm."""
    if place == 0:
        value &= 0xF
    elif place == 3:
        value &= 0x9F
    else:
        value &= 0x7F
    if cia.control[1] & SET_ALARM:
        cia.alarm[place] = value
    else:
        if place == 3:
            cia.tod_stopped = 1
            if value & 0x1F == 0x12:  # 12 set is 12 with the other half of the day. Source: VICE test programs, tod
                value ^= 0x80
        elif place == 0 and cia.tod_stopped:
            cia.tod_stopped = 0
            cia.tod_count = 0  # the mains go on as they were. Source: VICE test program hzsync1
        cia.tod[place] = value
    look_at_alarm(cia)
