"""The waveform generators: level at the waveform DAC, averaged over each step, from phases exact to the cycle.

Between writes, syncs and ring flips a voice runs at one rate through one table, so its average over a step is the
difference of the table's integral at two phases: band-limited without a trick, aligned with the chip, and smooth in
frequency and pulse width. Noise moves its register in the chip's own cycles. Phases here are in steps of the
waveform's 4096, as the accumulator over 2 ** 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sidlearn._kernel import kernel
from sidlearn.chip.state import POWER_ON_ACCUMULATOR, POWER_ON_NOISE
from sidlearn.registers import NOISE, PULSE, RING, SAWTOOTH, SYNC, TEST, TRIANGLE, VOICES
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.controls import EVENTS, Controls
from sidlearn.surrogate.grid import Grid

PHASES = 4096
HALF = PHASES // 2
STILL = 1e-9
"""Phases a cycle under which an oscillator stands."""

# How the average of a segment comes about.
TABLE, PULSE_ONLY, GATED, NOISE_ONLY, CONSTANT = range(5)

# Columns of a segment: what a voice does between two events.
START, END, PHASE, RATE, KIND, WAVE, WIDTH, OFFSET, PERIOD, RATE_ID, WIDTH_ID, JOINED, SEGMENT = range(13)
# Columns of a voice's state while it is followed.
(
    S_PHASE, S_RATE, S_WIDTH, S_CONTROL, S_RATE_ID, S_WIDTH_ID, S_JOINED, S_LFSR, S_SHIFT, S_CODE, S_FLOATS, S_STATE,
) = range(12)  # fmt: skip

NEVER = 1e18
"""A cycle that never comes."""
ALL_ONES = 0x7FFFFF
NOISE_STEP, NOISE_RISE, NOISE_DELAY = 256, 128, 2
"""Phases from one rise of accumulator bit 19 to the next, the first of them, and cycles until the register moves."""


@dataclass(frozen=True)
class Waves:
    """Tables of the eight waveforms without noise (lower three bits: triangle, sawtooth, pulse)."""

    codes: np.ndarray
    """12-bit output for each phase, pulse high: int64 (8, 4096)."""
    low_codes: np.ndarray
    """The same while the pulse is low, int64 (8,)."""
    integrals: np.ndarray
    """Level at the DAC summed up over the phases before: float64 (8, 4097)."""
    low_levels: np.ndarray
    """Float64 (8,)."""
    periods: np.ndarray
    """Phases until all repeats: half where the 6581's output pulls the accumulator's top bit down. Float64 (8,)."""
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
    ])  # fmt: skip
    low_codes = np.array([0, 0, 0, 0, 0, combined[1][0], combined[2][0], combined[6 if model.by_phase else 3][0]])
    dac = dac_wave.astype(np.float64)
    periods = np.full(8, float(PHASES))
    for wave in (3, 6, 7):
        if not model.is_8580 and not codes[wave, HALF] & 0x800:
            periods[wave] = HALF
    integrals = np.concatenate((np.zeros((8, 1)), np.cumsum(dac[codes], axis=1)), axis=1)
    fade = np.array([model.fade_t0, model.fade_t1], np.int64)
    return Waves(codes, low_codes, integrals, dac[low_codes], periods, dac, fade)


class Oscillate(torch.autograd.Function):
    """(b, 3, f, 2) frequencies and (b, 3, f) pulse widths to (b, 3, steps) levels at the waveform DACs."""

    @staticmethod
    def forward(ctx, frequency, pulse_width, controls: Controls, tables: Waves, grid: Grid, frame_cycles: int, steps):
        rates = array(frequency).astype(np.float64).reshape(*frequency.shape[:3], 2) / PHASES
        widths = array(pulse_width).astype(np.float64)
        kind = np.float64 if frequency.dtype == torch.float64 else np.float32
        levels = np.zeros((*rates.shape[:2], steps), kind)
        segments: list[list[np.ndarray]] = [[np.empty((0, SEGMENT))] * VOICES for _ in range(len(rates))]
        times = np.array([grid.first_edge, grid.step_cycles, frame_cycles])

        def work(first: int, end: int) -> None:
            for b in range(first, end):
                setting = rates[b], widths[b], controls.control[b], controls.voice_cycles[b]
                segments[b] = _follow_voices(setting, tables, times, levels[b])

        over_rows(work, len(rates))
        ctx.segments, ctx.tables, ctx.times = segments, tables, times
        ctx.save_for_backward(frequency, pulse_width)
        return tensor_like(levels, frequency)

    @staticmethod
    def backward(ctx, grad):
        frequency, pulse_width = ctx.saved_tensors
        slopes = array(grad)
        rate_slopes = np.zeros((*frequency.shape[:2], 2 * frequency.shape[2]))
        width_slopes = np.zeros(pulse_width.shape)
        t = ctx.tables

        def work(first: int, end: int) -> None:
            for b in range(first, end):
                for v in range(VOICES):
                    slope_segments(
                        ctx.segments[b][v], slopes[b, v], t.integrals, t.low_levels, t.periods, t.dac, ctx.times,
                        rate_slopes[b, v], width_slopes[b, v],
                    )  # fmt: skip

        over_rows(work, len(slopes))
        rate_slopes = (rate_slopes / PHASES).reshape(frequency.shape)
        return (
            tensor_like(rate_slopes, frequency).to(frequency.dtype),
            tensor_like(width_slopes, frequency).to(pulse_width.dtype),
            *[None] * 5,
        )


def _follow_voices(setting: tuple, tables: Waves, times: np.ndarray, levels: np.ndarray) -> list[np.ndarray]:
    """Fill the levels of three voices and return their segments, a voice that syncs or rings another one first."""
    rates, widths, control, cycles = setting
    led = (control & (SYNC | RING)).any(axis=1)
    segments = [np.empty((0, SEGMENT))] * VOICES
    done: list[int] = []
    # A ring of three voices has no first one: then the first is followed as if nothing synced it, and again at the end.
    order = [v for v in range(VOICES) if not led[v]] or [0]
    while len(done) < VOICES:
        v = order.pop(0) if order else next(v for v in range(VOICES) if v not in done)
        if v in done:
            continue
        done.append(v)
        order.append((v + 1) % VOICES)
        segments[v] = _follow(rates[v], widths[v], control[v], cycles[v], segments[v - 1], tables, times, levels[v])
    if led.all():
        levels[0] = 0
        segments[0] = _follow(rates[0], widths[0], control[0], cycles[0], segments[2], tables, times, levels[0])
    return segments


def _follow(rates, widths, control, cycles, source, tables: Waves, times, levels) -> np.ndarray:
    turns = ((source[:, END] - source[:, START]) * source[:, RATE]).sum() / PHASES
    room = (
        2 * (EVENTS + 1) * len(control) + 4 * len(source) + 3 * int(turns) + 64
    )  # cut by writes, the source, its turns
    segments = np.empty((room, SEGMENT))
    t = tables
    count = follow_voice(
        rates, widths, control, cycles, source, t.codes, t.low_codes, t.integrals, t.low_levels, t.periods, t.dac,
        t.fade, times, segments, levels,
    )  # fmt: skip
    return segments[:count].copy()


# --- Kernels -----------------------------------------------------------------------------------------------------


@kernel
def follow_voice(
    rates, widths, control, cycles, source, codes, low_codes, integrals, low_levels, periods, dac, fade, times,
    segments, levels,
):  # fmt: skip
    """Follow one voice through all frames: its segments, and its levels in each step. Returns how many segments."""
    state = np.zeros(S_STATE)
    state[S_PHASE] = POWER_ON_ACCUMULATOR / PHASES
    state[S_RATE_ID] = state[S_WIDTH_ID] = -1
    state[S_LFSR] = POWER_ON_NOISE
    state[S_SHIFT] = state[S_FLOATS] = NEVER
    frame_cycles = times[2]
    frames = control.size
    now = 0.0
    count = lead = 0
    for f in range(frames):
        for event in range(EVENTS):
            at = float(cycles[f, event])
            if event < 2 and rates[f, 0] == rates[f, 1]:  # FREQ_HI stays, so FREQ_LO alone counts
                if event == 0:
                    continue
                at = max(now, float(cycles[f, 0]))
            if event == 3 and control[f] == int(state[S_CONTROL]):
                continue
            if at > now:
                count, lead = run_voice(
                    state, now, at, source, lead, codes, low_codes, integrals, low_levels, periods, dac, fade, times,
                    segments, count, levels,
                )  # fmt: skip
                now = at
            if event < 2:
                state[S_RATE], state[S_RATE_ID] = rates[f, event], 2 * f + event
            elif event == 2:
                state[S_WIDTH], state[S_WIDTH_ID] = widths[f], f
            else:
                write_control(state, control[f], now, codes, low_codes, periods, fade)
    end = max(
        frames * frame_cycles, times[0] + levels.size * times[1]
    )  # the last frame lasts as long as there is sound
    count, lead = run_voice(
        state, now, end, source, lead, codes, low_codes, integrals, low_levels, periods, dac, fade, times,
        segments, count, levels,
    )  # fmt: skip
    for i in range(levels.size):
        levels[i] /= times[1]
    return count


@kernel
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


@kernel
def output_code(state, control, codes, low_codes, periods):
    """The 12-bit output of a voice right now."""
    wave = control >> 4 & 7
    if control & NOISE:
        return noise_code(int(state[S_LFSR])) if wave == 0 else 0
    phase = state[S_PHASE] % periods[wave]
    if control & PULSE and not control & TEST and phase < state[S_WIDTH]:
        return low_codes[wave]
    return codes[wave, int(phase)]


@kernel
def noise_code(register):
    """The taps of the noise register as waveform bits 11 to 4. Source: the 6581 die (reSID's documentation)."""
    return (
        (register >> 20 & 1) << 11 | (register >> 18 & 1) << 10 | (register >> 14 & 1) << 9 | (register >> 11 & 1) << 8
        | (register >> 9 & 1) << 7 | (register >> 5 & 1) << 6 | (register >> 2 & 1) << 5 | (register & 1) << 4
    )  # fmt: skip


@kernel
def run_voice(
    state, now, until, source, lead, codes, low_codes, integrals, low_levels, periods, dac, fade, times, segments,
    count, levels,
):  # fmt: skip
    """Go from cycle `now` to `until` without a write, cut where the source syncs or flips the voice."""
    control = int(state[S_CONTROL])
    rings = control & RING and control & TRIANGLE and not control & SAWTOOTH
    syncs = control & SYNC and not control & TEST
    while now < until:
        end = until
        offset = 0.0
        reset = False
        if (rings or syncs) and len(source):
            while lead + 1 < len(source) and source[lead, END] <= now:
                lead += 1
            rise, high, flip, known = next_rise(source, lead, now)
            end = min(end, max(known, now + 1))
            if rings:
                offset = 0.0 if high else float(HALF)
                if flip > now and flip < end:
                    end = flip
            if syncs and rise <= end:
                end, reset = rise, True
        count = store_segment(state, control, now, end, offset, low_levels, periods, segments, count)
        fill_segment(
            state, segments[count - 1], codes, low_codes, integrals, low_levels, periods, dac, fade, times, levels
        )
        if reset:
            state[S_PHASE] = 0.0
            state[S_JOINED] = 0.0
        now = end
    return count, lead


@kernel
def next_rise(source, lead, now):
    """After `now`: when a sync of the source acts, whether its top bit is high in that cycle, and when that flips.

    Last comes how far the source was looked at.
    """
    rise, flip, known = NEVER, NEVER, now
    high = False
    for n in range(lead, min(lead + 3, len(source))):
        segment = source[n]
        known = segment[END]
        rate = segment[RATE]
        began = segment[START]
        at = segment[PHASE]
        cycle = max(now, began)
        here = at + rate * (cycle + 1 - began)  # after the clock of `cycle`
        up = here % segment[PERIOD] >= HALF
        if n == lead:
            high = up
        elif flip == NEVER and up != high:
            flip = cycle
        if rate > STILL and segment[PERIOD] == PHASES:
            if flip == NEVER:
                way = np.ceil(((np.floor(here / HALF) + 1) * HALF - at) / rate)
                if began + way - 1 < segment[END]:
                    flip = began + way - 1
            turns = np.floor((at + rate * (cycle - began) - HALF) / PHASES) + 1
            way = np.ceil((turns * PHASES + HALF - at) / rate)
            while began + way <= now:
                turns += 1
                way = np.ceil((turns * PHASES + HALF - at) / rate)
            if rise == NEVER and began + way <= segment[END]:
                rise = began + way
        if rise < NEVER and flip < NEVER:
            break
    return rise, high, flip, known


@kernel
def store_segment(state, control, now, end, offset, low_levels, periods, segments, count):
    """Note what the voice does until `end`."""
    wave = control >> 4 & 7
    s = segments[count]
    s[START], s[END] = now, end
    s[PHASE] = state[S_PHASE]
    s[RATE] = 0.0 if control & TEST else state[S_RATE]
    if control & NOISE:
        s[KIND] = NOISE_ONLY if wave == 0 else CONSTANT
    elif wave == 0:
        s[KIND] = CONSTANT
    elif not control & PULSE or control & TEST:
        s[KIND] = TABLE
    else:
        s[KIND] = PULSE_ONLY if wave == PULSE >> 4 else GATED
    s[WAVE], s[WIDTH], s[OFFSET] = wave, state[S_WIDTH], offset
    s[PERIOD] = float(PHASES) if control & NOISE else periods[wave]
    s[RATE_ID] = -1.0 if control & TEST else state[S_RATE_ID]
    s[WIDTH_ID], s[JOINED] = state[S_WIDTH_ID], state[S_JOINED]
    state[S_JOINED] = 1.0
    return count + 1


@kernel
def fill_segment(state, s, codes, low_codes, integrals, low_levels, periods, dac, fade, times, levels):
    """Add a segment to the levels and take phase and noise register to its end."""
    control = int(state[S_CONTROL])
    wave = int(s[WAVE])
    if s[KIND] == NOISE_ONLY or (s[KIND] == CONSTANT and control >> 4):
        level = dac[0]
        shifts_level = s[KIND] == NOISE_ONLY
        if shifts_level:
            level = dac[noise_code(int(state[S_LFSR]))]
        run_noise(state, s, dac, shifts_level, level, times, levels)
    else:
        if s[KIND] == CONSTANT:
            run_floating(state, s, dac, fade, times, levels)
        elif s[RATE] <= STILL:
            add_constant(levels, times, s[START], s[END], dac[output_code(state, control, codes, low_codes, periods)])
        else:
            fill_average(s, integrals[wave], low_levels[wave], periods[wave], times, levels)
        run_noise(state, s, dac, False, np.nan, times, levels)
    phase = s[PHASE] + s[RATE] * (s[END] - s[START])
    state[S_PHASE] = phase - s[PERIOD] * np.floor(phase / s[PERIOD])


@kernel
def run_noise(state, s, dac, heard, level, times, levels):
    """Move the noise register through a segment; add its levels, a constant one, or (not a number) nothing."""
    register = int(state[S_LFSR])
    shift, done = state[S_SHIFT], s[START]
    rate, phase = s[RATE], s[PHASE]
    rise = np.floor((phase - NOISE_RISE) / NOISE_STEP) + 1
    silent = np.isnan(level)
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
                add_constant(levels, times, done, shift, level)
                done = shift
            register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
            shift = NEVER
            if heard:
                level = dac[noise_code(register)]
    state[S_LFSR], state[S_SHIFT] = register, shift
    if not silent:
        add_constant(levels, times, done, s[END], level)


@kernel
def run_floating(state, s, dac, fade, times, levels):
    """No waveform: the output holds, and loses bits step by step."""
    done, code = s[START], int(state[S_CODE])
    while state[S_FLOATS] < s[END] and code:
        add_constant(levels, times, done, max(done, state[S_FLOATS]), dac[code])
        done = max(done, state[S_FLOATS])
        code &= code >> 1
        state[S_FLOATS] += fade[1]
    add_constant(levels, times, done, s[END], dac[code])
    state[S_CODE] = code


@kernel
def add_constant(levels, times, start, end, level):
    """Add a level that holds from `start` to `end` to the steps."""
    first_edge, step = times[0], times[1]
    i = max(int(np.floor((start - first_edge) / step)), -1)
    while i < levels.size:
        low, high = first_edge + i * step, first_edge + (i + 1) * step
        if i >= 0:
            levels[i] += level * (min(high, end) - max(low, start))
        if high >= end:
            break
        i += 1


@kernel
def shift_of(kind):
    """Cycles by which the middle of a cycle's level is later than the phase it comes from: pulse sees the one before.

    A cycle shows the accumulator's phase after its clock; the pulse shows that of the cycle before.
    """
    return -0.5 if kind == PULSE_ONLY else 0.5


@kernel
def fill_average(s, integral, low, period, times, levels):
    """Add the averages of a voice that runs to the steps, each the difference of an integral over its phases."""
    first_edge, step = times[0], times[1]
    kind, start, end, rate = int(s[KIND]), s[START], s[END], s[RATE]
    begin = s[PHASE] + s[OFFSET] + rate * shift_of(kind)
    width = s[WIDTH] + (rate if kind == GATED else 0.0)
    last = integral_at(begin, kind, width, integral, low, period)
    i = int(np.floor((start - first_edge) / step))
    final = min(int(np.floor((end - first_edge) / step)), levels.size)
    per_rate = 1 / rate
    if i < 0:
        i = min(-1, final)
    at_edge = begin + rate * (first_edge + (i + 1) * step - start)
    if kind == TABLE:
        per_period = 1 / period
        total = integral[int(period)]
        for k in range(i, final):
            x = at_edge + rate * step * (k - i)
            turns = np.floor(x * per_period)
            x -= turns * period
            n = int(x)
            value = turns * total + integral[n] + (x - n) * (integral[n + 1] - integral[n])
            if k >= 0:
                levels[k] += (value - last) * per_rate
            last = value
    else:
        for k in range(i, final):
            value = integral_at(at_edge + rate * step * (k - i), kind, width, integral, low, period)
            if k >= 0:
                levels[k] += (value - last) * per_rate
            last = value
    if 0 <= final < levels.size:
        value = integral_at(begin + rate * (end - start), kind, width, integral, low, period)
        levels[final] += (value - last) * per_rate


@kernel
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


@kernel
def table_at(x, integral):
    """An integral between its entries, on a straight line."""
    n = min(int(x), integral.size - 2)
    return integral[n] + (x - n) * (integral[n + 1] - integral[n])


@kernel
def level_at(phase, kind, width, integral, low, period):
    """The level itself: slope of `integral_at` by the phase."""
    x = phase - np.floor(phase / period) * period
    if kind != TABLE and x < width:
        return low
    n = min(int(x), integral.size - 2)
    return integral[n + 1] - integral[n]


@kernel
def width_slope_at(phase, kind, width, integral, low, period):
    """Slope of `integral_at` by the pulse width."""
    if kind == TABLE or width >= period:
        return 0.0
    turns = np.floor(phase / period)
    n = min(int(width), integral.size - 2)
    step = low - (integral[n + 1] - integral[n])
    return step * (turns + (1.0 if phase - turns * period > width else 0.0))


@kernel
def slope_segments(segments, slopes, integrals, low_levels, periods, dac, times, rate_slopes, width_slopes):
    """Slopes by rates and pulse widths from those by levels, from the last segment back to the first."""
    first_edge, step = times[0], times[1]
    to_phase = 0.0  # slope by the phase at the end of the segment
    size = slopes.size
    for at in range(len(segments) - 1, -1, -1):
        s = segments[at]
        kind, wave, start, end, rate = int(s[KIND]), int(s[WAVE]), s[START], s[END], s[RATE]
        to_rate = to_phase * (end - start)
        to_width = 0.0
        if kind <= GATED and rate > STILL:
            integral, low, period = integrals[wave], low_levels[wave], periods[wave]
            shift = shift_of(kind)
            begin = s[PHASE] + s[OFFSET] + rate * shift
            width = s[WIDTH] + (rate if kind == GATED else 0.0)
            value0 = integral_at(begin, kind, width, integral, low, period)
            level0 = level_at(begin, kind, width, integral, low, period)
            width0 = width_slope_at(begin, kind, width, integral, low, period)
            i = max(int(np.floor((start - first_edge) / step)), -1)
            final = min(int(np.floor((end - first_edge) / step)), size)
            for k in range(i, final + 1):
                here = slopes[k] / step if 0 <= k < size else 0.0
                after = slopes[k + 1] / step if k < final and k + 1 < size else 0.0
                since = (first_edge + (k + 1) * step if k < final else end) - start
                weight = (here - after) / rate
                phase = begin + rate * since
                level = level_at(phase, kind, width, integral, low, period)
                value = integral_at(phase, kind, width, integral, low, period)
                to_rate += weight * (level * (since + shift) - level0 * shift - (value - value0) / rate)
                to_phase += weight * (level - level0)
                to_width += weight * (width_slope_at(phase, kind, width, integral, low, period) - width0)
            if kind == GATED:
                to_rate += to_width
        if s[RATE_ID] >= 0:
            rate_slopes[int(s[RATE_ID])] += to_rate
        if s[WIDTH_ID] >= 0:
            width_slopes[int(s[WIDTH_ID])] += to_width
        if s[JOINED] == 0.0:
            to_phase = 0.0
