"""The waveform generators: level at the waveform DAC in each step, from phases exact to the cycle.

Between writes, syncs and ring flips a voice runs at one rate through one table, so its average over a part of a step is
the difference of the table's integral at two phases: band-limited without a trick, aligned with the chip, and smooth in
frequency and pulse width. The parts around a step's middle, weighted, are its level. Combined waveforms are so spiky
that it is heard which spikes the chip's own cycles hit; they are added up cycle by cycle, with the slopes of the
integral. Noise moves its register in the chip's own cycles. Phases here are in steps of the waveform's 4096, as the
accumulator over 2 ** 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sidlearn._kernel import kernel, part_kernel
from sidlearn.chip.state import POWER_ON_ACCUMULATOR, POWER_ON_NOISE
from sidlearn.chip.vectors import MANY, look_up_many
from sidlearn.registers import NOISE, PULSE, RING, SAWTOOTH, SYNC, TEST, TRIANGLE, VOICES
from sidlearn.surrogate.controls import EVENTS

PHASES = 4096
HALF = PHASES // 2
STILL = 1e-9
"""Phases a cycle under which an oscillator stands."""

# How the average of a segment comes about.
TABLE, PULSE_ONLY, GATED, NOISE_ONLY, CONSTANT = range(5)

# Columns of a segment: what a voice does between two events. CELL is the one that it begins in.
START, END, PHASE, RATE, KIND, WAVE, WIDTH, OFFSET, PERIOD, RATE_ID, WIDTH_ID, JOINED, CELL, SEGMENT = range(14)
# Columns of a voice's state while it is followed. SINCE is where the segment begins that is not yet filled in.
(
    S_SINCE, S_PHASE, S_RATE, S_WIDTH, S_CONTROL, S_RATE_ID, S_WIDTH_ID, S_JOINED, S_OFFSET, S_CELL, S_COUNT, S_LFSR,
    S_SHIFT, S_CODE, S_FLOATS, S_STATE,
) = range(16)  # fmt: skip

NEVER = 1e18
"""A cycle that never comes."""
ALL_ONES = 0x7FFFFF
NOISE_STEP, NOISE_RISE, NOISE_DELAY = 256, 128, 2
"""Phases from one rise of accumulator bit 19 to the next, the first of them, and cycles until the register moves."""
UPSIDE_DOWN = 8
"""Row of the waveform tables for triangle with pulse where ring modulation turns the triangle over."""
BLOCK = 256
"""Borders of cells that are worked on at a time."""
LEAST_QUICK = 0.25
"""Phases a part of a step from which on single precision is enough for the difference of integrals."""
FRACTION_BITS = 20
"""Bits behind the point of a phase that is counted cycle by cycle: whole FREQ are whole there."""


@dataclass(frozen=True)
class Waves:
    """Tables of the eight waveforms without noise (lower three bits: triangle, sawtooth, pulse), and `UPSIDE_DOWN`."""

    codes: np.ndarray
    """12-bit output for each phase, pulse high: int64 (9, 4096)."""
    low_codes: np.ndarray
    """The same while the pulse is low, int64 (9,)."""
    levels: np.ndarray
    """Level at the DAC for each phase, float64 (9, 4096)."""
    integrals: np.ndarray
    """The same summed up over the phases before: float64 (9, 4097)."""
    means: np.ndarray
    """Levels' means, float64 (9,)."""
    lines: np.ndarray
    """The same of what is above the mean, and that itself: complex64 (9, 4096)."""
    low_levels: np.ndarray
    """Float64 (9,)."""
    periods: np.ndarray
    """Phases until all repeats: half where the 6581's output pulls the accumulator's top bit down. Float64 (9,)."""
    dac: np.ndarray
    """Level for each code, float64 (4096,)."""
    fade: np.ndarray
    """Cycles until a floating output loses its first bits, and between further steps: int64 (2,)."""


def waves(dac_wave: np.ndarray, combined: np.ndarray, model: Any) -> Waves:
    """Return the tables from the fields of a chip model."""
    phase = np.arange(PHASES)
    triangle = (np.where(phase & HALF, phase ^ 0xFFF, phase) << 1) & 0xFFF
    both = phase & phase << 1 & 0xFFF
    combined = combined.astype(np.int64)
    codes = np.stack([
        np.zeros(PHASES, np.int64),
        triangle,
        phase,
        combined[5][phase] if model.by_phase else combined[0][both],
        np.full(PHASES, 0xFFF),
        combined[1][triangle],
        combined[2][phase],
        combined[6][phase] if model.by_phase else combined[3][both],
        combined[1][triangle ^ 0xFFE],
    ])  # fmt: skip
    by_both = combined[6 if model.by_phase else 3][0]
    low_codes = np.array([0, 0, 0, 0, 0, combined[1][0], combined[2][0], by_both, combined[1][0]])
    dac = dac_wave.astype(np.float64)
    periods = np.full(len(codes), float(PHASES))
    for wave in (3, 6, 7):
        if not model.is_8580 and not codes[wave, HALF] & 0x800:
            periods[wave] = HALF
    levels = dac[codes]
    integrals = np.concatenate((np.zeros((len(codes), 1)), np.cumsum(levels, axis=1)), axis=1)
    fade = np.array([model.fade_t0, model.fade_t1], np.int64)
    means = levels.mean(axis=1)
    above = integrals[:, :-1] - means[:, None] * phase
    lines = (above + 1j * (levels - means[:, None])).astype(np.complex64)
    return Waves(codes, low_codes, levels, integrals, means, lines, dac[low_codes], periods, dac, fade)


def room(rates: np.ndarray, control: np.ndarray, frame_cycles: int) -> int:
    """Return how many segments a voice has at most: cut by writes, and by its neighbour's turns where that leads it."""
    writes = (EVENTS + 2) * (control.shape[1] + 1)
    if not (control & (SYNC | RING)).any():
        return writes
    turns = rates.max(axis=2).sum(axis=1).max() * (frame_cycles + 1) / HALF
    return 3 * writes + 3 * int(turns) + 64


# --- Kernels: following the voices -------------------------------------------------------------------------------


@part_kernel
def power_on(states, edges, parts):
    """Set three voices to how a chip begins."""
    for v in range(VOICES):
        state = states[v]
        state[:] = 0
        state[S_PHASE] = POWER_ON_ACCUMULATOR / PHASES
        state[S_RATE_ID] = state[S_WIDTH_ID] = -1
        state[S_LFSR] = POWER_ON_NOISE
        state[S_SHIFT] = state[S_FLOATS] = NEVER
        first = cell_at(edges, 0, 0.0)
        state[S_CELL] = first
        for n in range(first + 1):
            parts[v, n] = 0


@part_kernel
def follow_frame(
    states, f, rates, widths, control, cycles, codes, low_codes, tables, integrals, lines, means, low_levels, periods,
    dac, fade, edges, per_cell, quick, keep, segments, parts,
):  # fmt: skip
    """Follow three voices up to the last write of frame f, or behind the last frame to the end; fill in their parts.

    With `keep` their segments are noted.
    """
    rise, offsets, led = np.empty(VOICES), np.empty(VOICES), np.empty(VOICES, np.int64)
    due, order = np.empty(VOICES * EVENTS), np.empty(VOICES * EVENTS, np.int64)
    now = max(states[0, S_SINCE], states[1, S_SINCE], states[2, S_SINCE])
    frames = control.shape[1]
    sort_events(cycles, min(f, frames - 1), due, order)
    for n in range(order.size if f < frames else 1):
        v, event, at = order[n] // EVENTS, order[n] % EVENTS, due[n]
        if f == frames:  # the last frame lasts as long as there is sound
            at = np.ceil(max(edges[-1], now + 1))
        elif is_idle(states[v], event, rates[v, f], widths[v, f], control[v, f]):
            continue
        while now < at:
            until = next_lead(states, now, at, rise, offsets, led, periods, codes)
            for w in range(VOICES):
                if led[w] or (f == frames and until == at):
                    fill_segment(
                        states[w], until, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac,
                        fade, edges, per_cell, quick, keep, segments[w], parts[w],
                    )  # fmt: skip
            for w in range(VOICES):
                states[w, S_OFFSET] = offsets[w]
                if led[w] == 2:
                    states[w, S_PHASE] = states[w, S_JOINED] = 0.0
            now = until
        if f == frames:
            break
        fill_segment(
            states[v], at, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade, edges,
            per_cell, quick, keep, segments[v], parts[v],
        )  # fmt: skip
        write_event(states[v], event, f, rates[v, f], widths[v, f], control[v, f], at, codes, low_codes, periods, fade)


@part_kernel
def sort_events(cycles, f, due, order):
    """The writes of a frame for all voices in the order of their cycles; those of a voice keep theirs."""
    for n in range(order.size):
        at = float(cycles[n // EVENTS, f, n % EVENTS])
        place = n
        while place and due[place - 1] > at:
            due[place], order[place] = due[place - 1], order[place - 1]
            place -= 1
        due[place], order[place] = at, n


@part_kernel
def is_idle(state, event, rates, widths, control):
    """Whether a write changes nothing. Where the high byte stays, FREQ_LO and PW_LO count alone.

    A segment begins in every frame, since the slopes are by each frame's own registers.
    """
    if event == 4:
        return control == int(state[S_CONTROL])
    pair, before = (rates, state[S_RATE]) if event < 2 else (widths, state[S_WIDTH])
    if event % 2:
        return pair[0] == pair[1]
    return pair[0] == before and pair[0] != pair[1]


@part_kernel
def write_event(state, event, f, rates, widths, control, now, codes, low_codes, periods, fade):
    """Write FREQ, PW or CONTROL."""
    if event == 4:
        write_control(state, control, now, codes, low_codes, periods, fade)
        return
    pair = rates if event < 2 else widths
    last = 1 if event % 2 or pair[0] == pair[1] else 0
    if event < 2:
        state[S_RATE], state[S_RATE_ID] = pair[last], 2 * f + last
    else:
        state[S_WIDTH], state[S_WIDTH_ID] = pair[last], 2 * f + last


@part_kernel
def write_control(state, value, now, codes, low_codes, periods, fade):
    """Waveform, sync, ring and TEST."""
    before = int(state[S_CONTROL])
    if before >> 4 and not value >> 4:
        state[S_CODE] = output_code(state, before, codes, low_codes, periods)
        state[S_FLOATS] = now + fade[0] - 1
    if not before & TEST and value & TEST:
        state[S_PHASE] = 0.0
        state[S_JOINED] = 0.0
        state[S_SHIFT] = NEVER
    if before & TEST and not value & TEST:
        register = int(state[S_LFSR])
        state[S_LFSR] = (register << 1 & ALL_ONES) | (~(register >> 17) & 1)
    state[S_CONTROL] = value


@part_kernel
def is_ringed(control):
    """Whether the neighbour's top bit turns a voice's triangle over."""
    return control & RING != 0 and control & TRIANGLE != 0 and not control & SAWTOOTH


@part_kernel
def phase_at(state, cycle):
    """The phase of a voice after that many clocks, not yet taken back to its period."""
    return state[S_PHASE] + (0.0 if int(state[S_CONTROL]) & TEST else state[S_RATE]) * (cycle - state[S_SINCE])


@part_kernel
def top_bit_runs(state, periods):
    """Whether a voice's top bit comes and goes."""
    control = int(state[S_CONTROL])
    full = control & NOISE != 0 or periods[control >> 4 & 7] == PHASES
    return full and not control & TEST and state[S_RATE] > STILL


@part_kernel
def next_lead(states, now, until, rise, offsets, led, periods, codes):
    """How far the voices run on before one syncs or turns over another, at most to `until`.

    `led` tells what happens to each voice there: 0 nothing, 1 ring modulation turns it over (`now` itself is returned),
    2 sync. `offsets` are the voices' from there on.
    """
    first = until
    turned = False
    for v in range(VOICES):
        control, source = int(states[v, S_CONTROL]), states[(v + VOICES - 1) % VOICES]
        led[v], rise[v], offsets[v] = 0, NEVER, 0.0
        ringed = is_ringed(control)
        if ringed or control & SYNC:
            runs = top_bit_runs(source, periods)
            here = phase_at(source, now)
            if control & SYNC and not control & TEST and runs:
                turns = np.floor((here - HALF) / PHASES) + 1
                rise[v] = now + max(np.ceil((turns * PHASES + HALF - here) / source[S_RATE]), 1.0)
                first = min(first, rise[v])
            if ringed:
                after = here + source[S_RATE] if runs else here  # the source has been clocked when its bit is used
                period = period_of(source, periods)
                pulled = cycle_of_pull(source, until, codes) if is_top_bit_left(source, period) else now
                if pulled > now:
                    first = min(first, pulled)
                offsets[v] = 0.0 if pulled > now or after % period >= HALF else float(HALF)
                if runs:
                    flip = now + np.ceil(((np.floor(after / HALF) + 1) * HALF - after) / source[S_RATE])
                    first = min(first, max(flip, now + 1))
        if offsets[v] != states[v, S_OFFSET]:
            led[v], turned = 1, True
    if turned:
        return now
    for v in range(VOICES):  # a source that is synced in the same cycle syncs nothing
        if rise[v] == first and rise[(v + VOICES - 1) % VOICES] != first:
            led[v] = 2
    return first


@part_kernel
def output_code(state, control, codes, low_codes, periods):
    """The 12-bit output of a voice right now."""
    wave = wave_row(control, state[S_OFFSET])
    if control & NOISE:
        return noise_code(int(state[S_LFSR])) if wave == 0 else 0
    offset = state[S_OFFSET] if wave == TRIANGLE >> 4 else 0.0
    phase = state[S_PHASE] % periods[wave]
    if control & PULSE and not control & TEST and phase < state[S_WIDTH]:
        return low_codes[wave]
    return codes[wave, int((phase + offset) % PHASES)]


@part_kernel
def wave_row(control, offset):
    """Row of the waveform tables."""
    wave = control >> 4 & 7
    return UPSIDE_DOWN if wave == 5 and offset != 0.0 else wave


@part_kernel
def noise_code(register):
    """The taps of the noise register as waveform bits 11 to 4. Source: the 6581 die (reSID's documentation)."""
    return (
        (register >> 20 & 1) << 11 | (register >> 18 & 1) << 10 | (register >> 14 & 1) << 9 | (register >> 11 & 1) << 8
        | (register >> 9 & 1) << 7 | (register >> 5 & 1) << 6 | (register >> 2 & 1) << 5 | (register & 1) << 4
    )  # fmt: skip


# --- Kernels: filling in -----------------------------------------------------------------------------------------


@part_kernel
def fill_segment(
    state, until, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade, edges, per_cell,
    quick, keep, segments, levels,
):  # fmt: skip
    """Fill in what a voice does up to a cycle, and begin its next segment there."""
    if until <= state[S_SINCE]:
        return
    end, period = until, period_of(state, periods)
    if is_top_bit_left(state, period):
        pulled = cycle_of_pull(state, until, codes)
        if pulled > state[S_SINCE]:
            end, period = min(pulled, until), float(PHASES)
        else:
            state[S_PHASE] -= HALF
    fill_stretch(
        state, end, period, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade, edges,
        per_cell, quick, keep, segments, levels,
    )  # fmt: skip
    if end < until:
        state[S_PHASE] %= HALF
        fill_stretch(
            state, until, HALF, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade,
            edges, per_cell, quick, keep, segments, levels,
        )  # fmt: skip


@part_kernel
def period_of(state, periods):
    """Phases until a voice's waveform repeats."""
    control = int(state[S_CONTROL])
    return float(PHASES) if control & NOISE else periods[wave_row(control, state[S_OFFSET])]


@part_kernel
def is_top_bit_left(state, period):
    """Whether the top bit is still high from another waveform, though this one will pull it down."""
    return period == HALF and state[S_PHASE] >= HALF


@part_kernel
def cycle_of_pull(state, until, codes):
    """The cycle after which the top bit is low: the output pulls it down, or it overflows. At most just behind `until`.

    Source: VICE test program osc_topbit.
    """
    control = int(state[S_CONTROL])
    wave, width = wave_row(control, state[S_OFFSET]), state[S_WIDTH] if control & PULSE else 0.0
    phase, rate, now = state[S_PHASE], 0.0 if control & TEST else state[S_RATE], state[S_SINCE]
    if rate <= STILL:
        return until + 1 if codes[wave, int(phase)] & 0x800 and phase >= width else now
    while now <= until:
        phase += rate
        now += 1
        if phase >= PHASES or phase < width or not codes[wave, int(phase)] & 0x800:
            break
    return now


@part_kernel
def fill_stretch(
    state, until, period, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade, edges,
    per_cell, quick, keep, segments, levels,
):  # fmt: skip
    """`fill_segment` where the waveform repeats after `period` phases."""
    control = int(state[S_CONTROL])
    count = int(state[S_COUNT])
    s = segments[count if keep else 0]
    describe_segment(state, control, until, period, s)
    wave, cell = int(s[WAVE]), int(s[CELL])
    if s[KIND] == NOISE_ONLY:
        cell = run_noise(state, s, dac, True, edges, per_cell, cell, levels)
    else:
        if s[KIND] == CONSTANT and not control >> 4:
            cell = run_floating(state, s, dac, fade, edges, per_cell, cell, levels)
        elif s[KIND] == CONSTANT:
            cell = add_constant(levels, edges, per_cell, cell, s[START], s[END], dac[0])
        elif s[RATE] <= STILL:
            level = dac[output_code(state, control, codes, low_codes, periods)]
            cell = add_constant(levels, edges, per_cell, cell, s[START], s[END], level)
        elif quick and control >> 4 & 7 not in (1, 2, 4):
            cell = fill_cycles(s, tables[wave], low_levels[wave], edges, per_cell, cell, levels)
        elif quick and s[RATE] > LEAST_QUICK * per_cell[cell]:
            cell = fill_quickly(
                s, lines[wave], means[wave], integrals[wave], low_levels[wave], edges, per_cell, cell, levels
            )
        else:
            cell = fill_averages(s, integrals[wave], low_levels[wave], edges, per_cell, cell, levels)
        run_noise(state, s, dac, False, edges, per_cell, cell, levels)
    phase = s[PHASE] + s[RATE] * (until - s[START])
    state[S_PHASE] = phase - s[PERIOD] * np.floor(phase / s[PERIOD])
    state[S_SINCE], state[S_CELL], state[S_JOINED], state[S_COUNT] = until, cell, 1.0, count + 1


@part_kernel
def describe_segment(state, control, until, period, s):
    """Note what a voice does."""
    wave = wave_row(control, state[S_OFFSET])
    s[START], s[END], s[PHASE], s[CELL] = state[S_SINCE], until, state[S_PHASE], state[S_CELL]
    s[RATE] = 0.0 if control & TEST else state[S_RATE]
    if control & NOISE:
        s[KIND] = NOISE_ONLY if wave == 0 else CONSTANT
    elif wave == 0:
        s[KIND] = CONSTANT
    elif not control & PULSE or control & TEST:
        s[KIND] = TABLE
    else:
        s[KIND] = PULSE_ONLY if wave == PULSE >> 4 else GATED
    s[WAVE], s[WIDTH] = wave, state[S_WIDTH]
    s[OFFSET] = state[S_OFFSET] if wave == TRIANGLE >> 4 else 0.0
    s[PERIOD] = period
    s[RATE_ID] = -1.0 if control & TEST else state[S_RATE_ID]
    s[WIDTH_ID], s[JOINED] = state[S_WIDTH_ID], state[S_JOINED]


@part_kernel
def run_noise(state, s, dac, heard, edges, per_cell, cell, levels):
    """Move the noise register through a segment and, where it is heard, add its levels. Returns the cell of the end."""
    register = int(state[S_LFSR])
    shift, done = state[S_SHIFT], s[START]
    rate, phase = s[RATE], s[PHASE]
    rise = np.floor((phase - NOISE_RISE) / NOISE_STEP) + 1
    level = dac[noise_code(register)]
    if rate > STILL:
        while True:
            if shift == NEVER:
                way = np.ceil((rise * NOISE_STEP + NOISE_RISE - phase) / rate)
                if s[START] + way > s[END]:  # that clock is not of this segment
                    break
                shift = s[START] + way - 1 + NOISE_DELAY
                rise += 1
            if shift > s[END]:
                break
            if heard:
                cell = add_constant(levels, edges, per_cell, cell, done, shift, level)
                done = shift
            register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
            shift = NEVER
            if heard:
                level = dac[noise_code(register)]
    state[S_LFSR], state[S_SHIFT] = register, shift
    if heard:
        cell = add_constant(levels, edges, per_cell, cell, done, s[END], level)
    return cell


@part_kernel
def run_floating(state, s, dac, fade, edges, per_cell, cell, levels):
    """No waveform: the output holds, and loses bits step by step."""
    done, code = s[START], int(state[S_CODE])
    while state[S_FLOATS] < s[END] and code:
        until = max(done, state[S_FLOATS])
        cell = add_constant(levels, edges, per_cell, cell, done, until, dac[code])
        done = until
        code &= code >> 1
        state[S_FLOATS] += fade[1]
    state[S_CODE] = code
    return add_constant(levels, edges, per_cell, cell, done, s[END], dac[code])


@part_kernel
def cell_at(edges, first, cycle):
    """The cell, from `first` on, that a cycle is in; their number if it is behind all. Cells are alike."""
    final = edges.size - 1
    guess = (cycle - edges[first]) * (final / (edges[final] - edges[0]))
    cell = min(max(first + int(guess), first), final)
    while cell < final and edges[cell + 1] <= cycle:
        cell += 1
    while cell > first and edges[cell] > cycle:
        cell -= 1
    return cell


@part_kernel
def add_constant(levels, edges, per_cell, cell, start, end, level):
    """Add a level that holds from `start` to `end`; returns the cell of the end.

    As with all that fill in: a cell is set when it is reached, and added to until it is left.
    """
    final = cell_at(edges, cell, end)
    if final > cell:
        levels[cell] += level * ((edges[cell + 1] - start) * per_cell[cell])
        start = edges[final]
        here = levels[cell + 1 : final]
        for i in range(here.size):
            here[i] = level
        if final < levels.size:
            levels[final] = 0.0
    if final < levels.size:
        levels[final] += level * ((end - start) * per_cell[final])
    return final


@part_kernel
def fill_cycles(s, table, low, edges, per_cell, cell, levels):
    """Add a voice cycle by cycle, as the chip plays it; returns the cell of the end."""
    one = 1 << FRACTION_BITS
    mask = int(s[PERIOD]) * one - 1
    phase, step = int(np.rint(s[PHASE] * one)), int(np.rint(s[RATE] * one))
    width = int(np.rint(s[WIDTH] * one)) if s[KIND] == GATED else 0
    total, now = 0.0, s[START]
    while now < s[END]:
        before = phase
        phase = (phase + step) & mask
        level = table[np.uint32(phase >> FRACTION_BITS)] if before >= width else low
        until = min(now + 1, s[END])
        while cell < levels.size and edges[cell + 1] <= until:
            levels[cell] += (total + level * (edges[cell + 1] - now)) * per_cell[cell]
            now = edges[cell + 1]
            total = 0.0
            cell += 1
            if cell < levels.size:
                levels[cell] = 0.0
        total += level * (until - now)
        now = until
    if cell < levels.size:
        levels[cell] += total * per_cell[cell]
    return cell


@part_kernel
def shift_of(kind):
    """Cycles by which the middle of a cycle's level is later than the phase it comes from: pulse sees the one before.

    A cycle shows the accumulator's phase after its clock; the pulse shows that of the cycle before.
    """
    return -0.5 if kind == PULSE_ONLY else 0.5


@part_kernel
def fill_averages(s, integral, low, edges, per_cell, cell, levels):
    """Add the averages of a voice that runs, each the difference of an integral over phases; returns the cell."""
    kind, start, rate, period = int(s[KIND]), s[START], s[RATE], s[PERIOD]
    begin = s[PHASE] + s[OFFSET] + rate * shift_of(kind)
    width = s[WIDTH] + (rate if kind == GATED else 0.0)
    final = cell_at(edges, cell, s[END])
    values, phases, index = np.empty(BLOCK + 1), np.empty(BLOCK), np.empty(BLOCK, np.int32)
    last = integral_at(begin, kind, width, integral, low, period)
    per_rate = 1 / rate
    for first in range(cell, final, BLOCK):
        count = min(BLOCK, final - first)
        at = edges[first + 1 : first + 1 + count]
        values[0] = last
        after = values[1 : count + 1]
        if kind == TABLE:
            table_integrals(at, begin, start, rate, integral, period, phases, index, after)
        elif kind == PULSE_ONLY:
            pulse_integrals(at, begin, start, rate, min(width, period), low, integral[1], period, after)
        else:
            for i in range(count):
                after[i] = integral_at(begin + rate * (at[i] - start), kind, width, integral, low, period)
        here, per = levels[first : first + count], per_cell[first : first + count]
        had = levels[cell]
        for i in range(count):
            here[i] = (after[i] - values[i]) * (per_rate * per[i])
        if first == cell:
            here[0] += had
        last = values[count]
    if final < levels.size:
        value = integral_at(begin + rate * (s[END] - start), kind, width, integral, low, period)
        levels[final] = (value - last) / rate * per_cell[final] + (levels[final] if final == cell else 0.0)
    return final


@part_kernel
def fill_quickly(s, lines, mean, integral, low, edges, per_cell, cell, levels):
    """`fill_averages` of a table or a pulse in single precision, with phases in 32 bits that turn round by themselves.

    The integral is taken of what is above the `mean`, so that it never grows.
    """
    kind, start, rate, period = int(s[KIND]), s[START], s[RATE], s[PERIOD]
    begin = s[PHASE] + s[OFFSET] + rate * shift_of(kind)
    width = min(s[WIDTH], period)
    final = cell_at(edges, cell, s[END])
    until = min(s[END], edges[cell + 1]) if final > cell else s[END]
    before = integral_at(begin, kind, width, integral, low, period)
    after = integral_at(begin + rate * (until - start), kind, width, integral, low, period)
    levels[cell] += (after - before) / rate * per_cell[cell]
    if final == cell:
        return final
    if kind == PULSE_ONLY:
        mean = (low * width + integral[1] * (period - width)) / period
    values, shares = np.empty(BLOCK + MANY, levels.dtype), np.empty(BLOCK + MANY, levels.dtype)
    index, slopes = np.empty(BLOCK + MANY, np.int32), np.empty(BLOCK + MANY, levels.dtype)
    number = levels.dtype.type
    per, mean_here, edge = number(per_cell[cell] / rate), number(mean), number(width)
    below, above = number(low - mean), number(integral[1] - mean)
    step = int(np.rint(rate / per_cell[cell] * (1 << FRACTION_BITS)))
    for first in range(cell + 1, final, BLOCK):
        count = min(BLOCK, final - first)
        phase = begin + rate * (edges[first] - start)
        phase -= period * np.floor(phase / period)
        at = int(np.rint(phase * (1 << FRACTION_BITS)))
        if kind == TABLE:
            quick_lines(at, step, -(-(count + 1) // MANY) * MANY, lines, index, shares, slopes, values)
        else:
            quick_pulse(at, step, edge, below, above, values[: count + 1])
        here, ends = levels[first : first + count], values[1:]
        for i in range(count):
            here[i] = mean_here + (ends[i] - values[i]) * per
    if final < levels.size:
        before = integral_at(begin + rate * (edges[final] - start), kind, width, integral, low, period)
        after = integral_at(begin + rate * (s[END] - start), kind, width, integral, low, period)
        levels[final] = (after - before) / rate * per_cell[final]
    return final


@part_kernel
def quick_lines(at, step, count, lines, index, shares, slopes, values):
    """An integral on straight lines, at phases `step` apart, in short loops; `count` is a multiple of `MANY`."""
    per = values.dtype.type(1 / (1 << FRACTION_BITS))
    for i in range(count):
        phase = np.uint32(at + i * step)
        index[i] = np.int32(phase >> np.uint32(FRACTION_BITS))
        shares[i] = values.dtype.type(np.int32(phase & np.uint32((1 << FRACTION_BITS) - 1))) * per
    for i in range(0, count, MANY):
        look_up_many(lines, index, i, values, slopes)
    for i in range(count):
        values[i] += slopes[i] * shares[i]


@part_kernel
def quick_pulse(at, step, width, below, above, values):
    """The same of a pulse: straight up to its width, and straight behind it."""
    per, zero = values.dtype.type(1 / (1 << FRACTION_BITS)), width - width
    for i in range(values.size):
        phase = values.dtype.type(np.uint32(at + i * step)) * per
        values[i] = below * min(phase, width) + above * max(phase - width, zero)


@part_kernel
def table_integrals(at, begin, start, rate, integral, period, phases, index, values):
    """`integral_at` of a table for many cycles: in short loops, so that all but the look-ups become vectors."""
    total, per_period = integral[int(period)], 1 / period
    count = at.size
    for i in range(count):
        phase = begin + rate * (at[i] - start)
        turns = np.floor(phase * per_period)
        phases[i] = phase - turns * period
        values[i] = turns * total
    for i in range(count):
        index[i] = np.int32(phases[i])
    for i in range(count):
        n = np.uint32(index[i])
        here = integral[n]
        values[i] += here + (phases[i] - index[i]) * (integral[n + np.uint32(1)] - here)


@part_kernel
def pulse_integrals(at, begin, start, rate, width, low, high, period, values):
    """`integral_at` of a pulse for many cycles."""
    total, per_period = low * width + high * (period - width), 1 / period
    for i in range(at.size):
        phase = begin + rate * (at[i] - start)
        turns = np.floor(phase * per_period)
        phase -= turns * period
        values[i] = turns * total + (low * min(phase, width) + high * max(phase - width, 0.0))


@part_kernel
def integral_at(phase, kind, width, integral, low, period):
    """The level of a waveform summed up over the phases from 0 on."""
    turns = np.floor(phase / period)
    x = phase - turns * period
    if kind == TABLE:
        return turns * integral[int(period)] + table_at(x, integral)
    if kind == PULSE_ONLY:
        high = integral[1]  # a pulse has one level all over its table
        return turns * (low * min(width, period) + high * max(period - width, 0.0)) + (
            low * min(x, width) + high * max(x - width, 0.0)
        )
    at_width = table_at(min(width, period), integral)
    whole = low * min(width, period) + integral[int(period)] - at_width
    return turns * whole + low * min(x, width) + (table_at(x, integral) - at_width if x > width else 0.0)


@part_kernel
def table_at(x, integral):
    """An integral between its entries, on a straight line."""
    n = min(int(x), integral.size - 2)
    return integral[n] + (x - n) * (integral[n + 1] - integral[n])


@part_kernel
def level_at(phase, kind, width, integral, low, period):
    """The level itself: slope of `integral_at` by the phase."""
    x = phase - np.floor(phase / period) * period
    if kind != TABLE and x < width:
        return low
    n = min(int(x), integral.size - 2)
    return integral[n + 1] - integral[n]


@part_kernel
def width_slope_at(phase, kind, width, integral, low, period):
    """Slope of `integral_at` by the pulse width."""
    if kind == TABLE or width >= period:
        return 0.0
    turns = np.floor(phase / period)
    n = min(int(width), integral.size - 2)
    step = low - (integral[n + 1] - integral[n])
    return step * (turns + (1.0 if phase - turns * period > width else 0.0))


# --- Kernels: slopes ---------------------------------------------------------------------------------------------


@kernel
def slope_segments(
    segments, slopes, integrals, lines, low_levels, edges, per_cell, quick, rate_slopes, width_slopes
):  # fmt: skip
    """Slopes by rates and pulse widths from those by levels, from the last segment back to the first.

    `quick`: triangles and sawtooths are looked up in single precision.
    """
    to_phase = 0.0  # slope by the phase at the end of the segment
    for at in range(len(segments) - 1, -1, -1):
        s = segments[at]
        to_rate, to_width = to_phase * (s[END] - s[START]), 0.0
        if s[KIND] <= GATED and s[RATE] > STILL:
            wave = int(s[WAVE])
            by_rate, by_phase, to_width = slope_averages(
                s, slopes, integrals[wave], lines[wave], low_levels[wave], edges, per_cell, quick and wave in (1, 2)
            )
            to_rate += by_rate
            to_phase += by_phase
            if s[KIND] == GATED:
                to_rate += to_width
        if s[RATE_ID] >= 0:
            rate_slopes[int(s[RATE_ID])] += to_rate
        if s[WIDTH_ID] >= 0:
            width_slopes[int(s[WIDTH_ID])] += to_width
        if s[JOINED] == 0.0:
            to_phase = 0.0


@kernel
def slope_averages(s, slopes, integral, lines, low, edges, per_cell, quick):
    """Slopes by rate, phase and pulse width of a segment.

    A cell's average is the difference of an integral over the rate, so each border between two cells counts once, with
    the difference of their slopes.
    """
    kind, start, rate, period = int(s[KIND]), s[START], s[RATE], s[PERIOD]
    shift = shift_of(kind)
    begin = s[PHASE] + s[OFFSET] + rate * shift
    width = s[WIDTH] + (rate if kind == GATED else 0.0)
    cell = int(s[CELL])
    final = cell_at(edges, cell, s[END])
    value0 = integral_at(begin, kind, width, integral, low, period)
    level0 = level_at(begin, kind, width, integral, low, period)
    width0 = width_slope_at(begin, kind, width, integral, low, period)
    weights, since, phases = np.empty(BLOCK + 1), np.empty(BLOCK + 1), np.empty(BLOCK + 1)
    values, heights, by_width = np.empty(BLOCK + 1), np.empty(BLOCK + 1), np.zeros(BLOCK + 1)
    index = np.zeros(BLOCK + MANY, np.int32)
    bases, rises = np.empty(BLOCK + MANY, np.float32), np.empty(BLOCK + MANY, np.float32)
    if quick:  # of what is above the mean, which counts nowhere; over a period that is nothing
        mean = integral[PHASES] / PHASES
        value0, level0 = value0 - mean * begin, level0 - mean
    to_rate = to_phase = to_width = 0.0
    for first in range(cell, final + 1, BLOCK):
        count = min(BLOCK, final - first)
        for i in range(count):
            since[i] = edges[first + 1 + i] - start
            weights[i] = slopes[first + i] * per_cell[first + i]
        for i in range(count - 1):
            weights[i] -= slopes[first + 1 + i] * per_cell[first + 1 + i]
        if count and first + count < slopes.size:
            weights[count - 1] -= slopes[first + count] * per_cell[first + count]
        if first + count == final and count < BLOCK:  # the end of the segment, within a cell
            since[count] = s[END] - start
            weights[count] = slopes[final] * per_cell[final] if final < slopes.size else 0.0
            count += 1
        if quick:
            quick_slopes(since[:count], begin, rate, lines, phases, index, bases, rises, values, heights)
        elif kind == TABLE:
            table_slopes(since[:count], begin, rate, integral, period, phases, index, values, heights)
        elif kind == PULSE_ONLY:
            pulse_slopes(
                since[:count], begin, rate, width, low, integral[1], period, values, heights, by_width
            )  # fmt: skip
        else:
            for i in range(count):
                phase = begin + rate * since[i]
                values[i] = integral_at(phase, kind, width, integral, low, period)
                heights[i] = level_at(phase, kind, width, integral, low, period)
                by_width[i] = width_slope_at(phase, kind, width, integral, low, period)
        for i in range(count):
            values[i] = heights[i] * (since[i] + shift) - level0 * shift - (values[i] - value0) / rate
            heights[i] -= level0
        to_rate += np.dot(weights[:count], values[:count])
        to_phase += np.dot(weights[:count], heights[:count])
        if kind != TABLE:
            for i in range(count):
                by_width[i] -= width0
            to_width += np.dot(weights[:count], by_width[:count])
    return to_rate / rate, to_phase / rate, to_width / rate


@part_kernel
def quick_slopes(since, begin, rate, lines, phases, index, bases, rises, values, heights):
    """`table_slopes` of what is above the mean, in a table of single precision."""
    for i in range(since.size):
        phase = begin + rate * since[i]
        phases[i] = phase - np.floor(phase * (1.0 / PHASES)) * PHASES
        index[i] = np.int32(phases[i])
        phases[i] -= index[i]
    for i in range(0, since.size, MANY):
        look_up_many(lines, index, i, bases, rises)
    for i in range(since.size):
        heights[i] = rises[i]
        values[i] = bases[i] + phases[i] * heights[i]


@part_kernel
def table_slopes(since, begin, rate, integral, period, phases, index, values, heights):
    """`integral_at` and `level_at` of a table for many cycles."""
    total, per_period = integral[int(period)], 1 / period
    for i in range(since.size):
        phase = begin + rate * since[i]
        turns = np.floor(phase * per_period)
        phases[i] = phase - turns * period
        values[i] = turns * total
    for i in range(since.size):
        index[i] = np.int32(phases[i])
    for i in range(since.size):
        n = np.uint32(index[i])
        here = integral[n]
        heights[i] = integral[n + np.uint32(1)] - here
        values[i] += here + (phases[i] - index[i]) * heights[i]


@part_kernel
def pulse_slopes(since, begin, rate, width, low, high, period, values, heights, by_width):
    """`integral_at`, `level_at` and `width_slope_at` of a pulse for many cycles."""
    edge = min(width, period)
    total, per_period = low * edge + high * (period - edge), 1 / period
    step = low - high if width < period else 0.0
    for i in range(since.size):
        phase = begin + rate * since[i]
        turns = np.floor(phase * per_period)
        phase -= turns * period
        values[i] = turns * total + (low * min(phase, edge) + high * max(phase - edge, 0.0))
        heights[i] = low if phase < width else high
        by_width[i] = step * (turns + (1.0 if phase > width else 0.0))
