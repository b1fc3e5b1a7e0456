"""The VIC as far as it takes time: the raster, its interrupt, bad lines and the DMA of sprites.

Source: Christian Bauer, "The MOS 6567/6569 video controller (VIC-II)" (1996).
"""

from __future__ import annotations

import numpy as np

from sidlearn import clock
from sidlearn._kernel import kernel

VIC_DTYPE = np.dtype(
    [
        ("line", "i8"),
        ("column", "i8"),  # cycle in the line, from 0
        ("lines", "i8"),
        ("line_cycles", "i8"),
        ("compare", "i8"),
        ("flags", "i8"),
        ("mask", "i8"),
        ("control", "i8"),  # $D011
        ("shown", "i8"),  # the picture was on at some time in line 48
        ("sprites", "i8"),  # bit n: sprite n fetches its data
        ("sprite_lines", "i8", (8,)),  # lines for which it still does
        ("registers", "u1", (64,)),
    ],
    align=True,
)

CONTROL, RASTER, SPRITES_ON, EXPAND_Y, FLAGS, MASK = 0x11, 0x12, 0x15, 0x17, 0x19, 0x1A
COLORS = 0x20
REGISTERS = 0x2F

FIRST_BAD_LINE, END_OF_BAD_LINES = 48, 248
SCREEN_ON = 0x10
BA_FROM, BA_TO = 11, 54
"""Cycles of a bad line, from 0, in which the CPU cannot read."""

SPRITE_COLUMN, SPRITE_COUNT_COLUMN = 54, 15
SPRITE_BA_CYCLES = 5
NEVER = 1 << 60


def power_on(video: clock.Video) -> np.recarray:
    """Return the chip with the picture on, as the KERNAL leaves it: recarray of `VIC_DTYPE`, shape (1,)."""
    vic = np.zeros(1, VIC_DTYPE).view(np.recarray)
    vic.lines, vic.line_cycles = video.lines, video.line_cycles
    vic.control, vic.compare = 0x1B, 0x137
    for register, value in ((CONTROL, 0x1B), (0x16, 0xC8), (0x18, 0x14), (0x20, 0x0E), (0x21, 0x06)):
        vic.registers[0, register] = value
    return vic


@kernel
def clock_vic(vic):
    """Move the beam by one cycle; the raster interrupt comes with the first cycle of its line."""
    vic.column += 1
    if vic.column == vic.line_cycles:
        vic.column = 0
        next_line(vic)
    if vic.line == FIRST_BAD_LINE and vic.control & SCREEN_ON:
        vic.shown = 1
    if vic.column == SPRITE_COLUMN and vic.registers[SPRITES_ON]:
        start_sprites(vic)
    elif vic.column == SPRITE_COUNT_COLUMN and vic.sprites:
        count_sprites(vic)


@kernel
def next_line(vic):
    """Begin a line."""
    vic.line += 1
    if vic.line == vic.lines:
        vic.line = 0
        vic.shown = 0
    if vic.line == vic.compare:
        vic.flags |= 1


@kernel
def skip_vic(vic, cycles):
    """Move the beam by many cycles; sprites are left out."""
    vic.column += cycles
    if vic.line == FIRST_BAD_LINE and vic.control & SCREEN_ON:
        vic.shown = 1
    while vic.column >= vic.line_cycles:
        vic.column -= vic.line_cycles
        next_line(vic)
        if vic.line == FIRST_BAD_LINE and vic.control & SCREEN_ON:
            vic.shown = 1


@kernel
def start_sprites(vic):
    """Sprites whose line it is begin to fetch: 21 lines, or 42 when they are expanded."""
    for n in range(8):
        enabled = vic.registers[SPRITES_ON] >> n & 1
        if enabled and vic.registers[2 * n + 1] == vic.line & 0xFF and not vic.sprites >> n & 1:
            vic.sprites |= 1 << n
            vic.sprite_lines[n] = 42 if vic.registers[EXPAND_Y] >> n & 1 else 21


@kernel
def count_sprites(vic):
    """One line of data is behind every sprite that fetches."""
    for n in range(8):
        if vic.sprites >> n & 1:
            vic.sprite_lines[n] -= 1
            if vic.sprite_lines[n] == 0:
                vic.sprites &= ~(1 << n)


@kernel
def takes_the_bus(vic):
    """Whether BA is low: 43 cycles of a bad line, and 5 for each sprite."""
    shown = vic.shown and FIRST_BAD_LINE <= vic.line < END_OF_BAD_LINES
    if shown and BA_FROM <= vic.column < BA_TO and (vic.line ^ vic.control) & 7 == 0:
        return 1
    if vic.sprites:
        for n in range(8):
            behind = vic.column - SPRITE_COLUMN - 2 * n
            if vic.sprites >> n & 1 and (behind + vic.line_cycles) % vic.line_cycles < SPRITE_BA_CYCLES:
                return 1
    return 0


@kernel
def quiet_beam(vic):
    """For how many cycles nothing changes but the column: not the line, not who has the bus."""
    after = vic.column + 1
    if vic.sprites or vic.line == FIRST_BAD_LINE or after == vic.line_cycles:
        return 0
    end = vic.line_cycles
    if vic.registers[SPRITES_ON]:
        if after == SPRITE_COLUMN:
            return 0
        end = SPRITE_COLUMN if after < SPRITE_COLUMN else end
    if vic.shown and FIRST_BAD_LINE <= vic.line < END_OF_BAD_LINES and (vic.line ^ vic.control) & 7 == 0:
        if after < BA_FROM:
            end = BA_FROM
        elif after < BA_TO:
            end = BA_TO
    return end - after


@kernel
def cycles_to_interrupt(vic):
    """In how many cycles the raster interrupt comes, if it is let through."""
    if not vic.mask & 1:
        return NEVER
    lines = vic.compare - vic.line
    if lines <= 0:
        lines += vic.lines
    return lines * vic.line_cycles - vic.column


@kernel
def cycles_to_bad_line(vic):
    """In how many cycles the next bad line stops the CPU, as far as `control` tells now."""
    if not vic.control & SCREEN_ON and not vic.shown:
        return NEVER
    line = vic.line + (1 if vic.column >= BA_FROM else 0)
    if line >= END_OF_BAD_LINES:
        line = vic.lines
    first = FIRST_BAD_LINE if line >= vic.lines else max(line, FIRST_BAD_LINE)
    first += (vic.control - first) & 7
    if first >= END_OF_BAD_LINES:
        first = vic.lines + FIRST_BAD_LINE + (vic.control - FIRST_BAD_LINE & 7)
    elif line >= vic.lines:
        first += vic.lines
    return (first - vic.line) * vic.line_cycles + BA_FROM - vic.column


@kernel
def read_vic(vic, register):
    """Read a register 0 to 63."""
    if register == CONTROL:
        return vic.control & 0x7F | vic.line >> 1 & 0x80
    if register == RASTER:
        return vic.line & 0xFF
    if register == FLAGS:
        return vic.flags | 0x70 | (0x80 if vic.flags & vic.mask else 0)
    if register == MASK:
        return vic.mask | 0xF0
    if register >= REGISTERS or register in (0x1E, 0x1F):  # no collisions: nothing is drawn
        return 0xFF if register >= REGISTERS else 0
    value = np.int64(vic.registers[register])
    if register == 0x16:
        return value | 0xC0
    if register == 0x18:
        return value | 1
    return value | (0xF0 if register >= COLORS else 0)


@kernel
def write_vic(vic, register, value):
    """Write a register 0 to 63."""
    vic.registers[register] = value
    if register == CONTROL:
        vic.control = value
        set_compare(vic, vic.compare & 0xFF | (value & 0x80) << 1)
    elif register == RASTER:
        set_compare(vic, vic.compare & 0x100 | value)
    elif register == FLAGS:
        vic.flags &= ~value & 0xF
    elif register == MASK:
        vic.mask = value & 0xF


@kernel
def set_compare(vic, line):
    """A new line to compare with; the line under way counts."""
    if line != vic.compare:
        vic.compare = line
        if vic.line == line:
            vic.flags |= 1
