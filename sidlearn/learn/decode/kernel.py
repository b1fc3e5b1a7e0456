"""Compiled parts of the decoder: one voice, one frame and one hypothesis at a time.

Sound is handled at an eighth and a twenty-fourth of the chip clock: a PAL frame of 19 656 cycles is 2 457 steps of
eight cycles and 819 samples. Oscillators and envelopes are exact to the cycle, as in `sidlearn.chip.kernel`; within a
step the waveform is averaged and the envelope holds, which leaves an error of some -55 dB.

Voices are rows of two int64 arrays, `OSCILLATOR` and `ENVELOPE` fields, so that a snapshot is a copy of a few words.
"""

from __future__ import annotations

import numpy as np

from sidlearn._kernel import inline_kernel, kernel, part_kernel
from sidlearn.chip import generator
from sidlearn.chip.generator import (
    COUNTER,
    FOREVER,
    IN_ATTACK,
    IN_DECAY,
    IN_RELEASE,
    RATE_COUNTER,
    RATE_MATCH,
    RATE_STATES,
    STATE,
    SUSTAIN_RELEASE,
    TARGET,
    hold,
    turn_length,
    turns_over,
    write_attack_decay,
    write_gate,
    write_sustain_release,
)
from sidlearn.chip.kernel import noise_output, rate_period

STEP = 8
"""Cycles of a step."""
DECIMATION = 3
"""Steps of a sample."""

# Oscillator fields.
ACC, FREQ, PW, CTRL, NOISE_REG, NOISE_PIPE, COMPARED, OUT, CARRY = range(9)
OSCILLATOR_FIELDS = 9
CARRY_UNIT = 1 << 32
"""CARRY is what the last cycles of a frame give to the first step of the next, in this unit."""
MASK = 0xFFFFFF
ALL_ONES = 0x7FFFFF
POWER_ON_ACC = 0x555555
POWER_ON_NOISE = 0x7FFFFE


def power_on() -> tuple[np.ndarray, np.ndarray]:
    """Return what a chip that just got its power has: oscillators, int64 (3, 8), and generators, int64 (3, FIELDS)."""
    osc = np.zeros((3, OSCILLATOR_FIELDS), np.int64)
    osc[:, ACC] = POWER_ON_ACC
    osc[:, COMPARED] = POWER_ON_ACC >> 12
    osc[:, NOISE_REG] = POWER_ON_NOISE
    env = np.stack([generator.power_on()] * 3)
    return osc, env


# --- Envelope ----------------------------------------------------------------------------------------------------


@part_kernel
def write_envelope(e, offset, value):
    """Write CONTROL (4), ATTACK_DECAY (5) or SUSTAIN_RELEASE (6) as far as the envelope minds."""
    if offset == 5:
        write_attack_decay(e, value)
    elif offset == 6:
        write_sustain_release(e, value)
    elif offset == 4:
        write_gate(e, value & 1)


@part_kernel
def follow(e, first, end, spacing, due, n, levels):
    """Clock an envelope from cycle `first` to `end`; its level in cycle `due` and every `spacing` after is kept.

    `levels[n]` is the next to be set; returned are the next `n` and `due`.
    """
    done = first
    while done < end:
        turn = turn_length(e)
        if turn and done + turn <= end:
            # as long as it only counts, every step takes as long and leaves all else as it was
            way = 1 if e[STATE] == IN_ATTACK else -1
            sustain = (e[SUSTAIN_RELEASE] >> 4) * 17 if e[STATE] == IN_DECAY else -1
            level = e[COUNTER] + way
            while done + turn <= end and not turns_over(level & 0xFF) and level != sustain:
                done += turn
                while due < done:
                    levels[n] = level
                    n += 1
                    due += spacing
                level += way
            e[COUNTER] = level - way
            if done == end:
                break
        done += hold(e, end - done)
        level = e[COUNTER]
        while due < done:
            levels[n] = level
            n += 1
            due += spacing
    return n, due


@kernel
def frame_envelope(e, voice, events, cycles, levels):
    """Run one envelope through a frame with its `events`, rows of (cycle, register, value).

    The level in the first cycle of each step goes to `levels`.
    """
    done = n = due = 0
    for k in range(events.shape[0]):
        if events[k, 1] // 7 != voice or events[k, 1] % 7 < 4:
            continue
        if events[k, 0] > done:
            n, due = follow(e, done, events[k, 0], STEP, due, n, levels)
            done = events[k, 0]
        write_envelope(e, events[k, 1] % 7, events[k, 2])
    follow(e, done, cycles, STEP, due, n, levels)


# --- Oscillator --------------------------------------------------------------------------------------------------


@part_kernel
def run_noise(o, size, dac, wave, wanted):
    """Move the noise register for `size` cycles, ahead of the accumulator; its levels go to `wave` if wanted."""
    freq = o[FREQ]
    done = 0
    register = o[NOISE_REG]
    if not o[CTRL] & 8:
        way = ((0x07FFFF - o[ACC]) & 0xFFFFF) + 1
        rise = o[NOISE_PIPE] - 3
        if o[NOISE_PIPE] == 0:
            rise = (way + freq - 1) // freq - 1 if freq else FOREVER
            way += 0x100000
        while rise + 2 < size:
            if wanted:
                level = dac[noise_output(register)]
                for i in range(done, rise + 2):
                    wave[i] = level
            done = rise + 2
            register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
            rise = (way + freq - 1) // freq - 1 if freq else FOREVER
            way += 0x100000
        o[NOISE_PIPE] = max(rise + 3 - size, 0) if rise < size else 0
    o[NOISE_REG] = register
    if wanted:
        level = dac[noise_output(register)]
        for i in range(done, size):
            wave[i] = level


@part_kernel
def fill_wave(o, s, size, dac, table, has_table, wave):
    """Fill `wave` with the DAC levels of one voice for `size` cycles without writes; `s` is the voice that rings it."""
    waveform = o[CTRL] >> 4
    test = o[CTRL] & 8
    step = 0 if test else o[FREQ]
    phase = o[ACC]
    if waveform == 0:
        level = dac[o[OUT]]
        for i in range(size):
            wave[i] = level
        return
    if waveform == 8:
        return
    width = o[PW] << 12
    if waveform == 4:
        low, high = dac[0], dac[0xFFF]
        wave[0] = high if test or o[COMPARED] >= o[PW] else low
        for i in range(1, size):
            wave[i] = high if test or ((phase + step * i) & MASK) >= width else low
        o[OUT] = 0
        return
    ring = 0x800000 if o[CTRL] & 4 and not o[CTRL] & 0x20 else 0
    source, source_step = s[ACC], 0 if s[CTRL] & 8 else s[FREQ]
    first_pulse = test or o[COMPARED] >= o[PW]
    pulse = waveform & 4
    if waveform & 2:
        both = waveform & 1
        for i in range(size):
            here = (phase + step * (i + 1)) >> 12 & 0xFFF
            if both:
                here &= here << 1
            if pulse and not (first_pulse if i == 0 else (test or ((phase + step * i) & MASK) >= width)):
                here = 0
            wave[i] = dac[table[here]] if has_table else dac[here]
        return
    for i in range(size):
        at = phase + step * (i + 1)
        fold = (at ^ (~(source + source_step * (i + 1)) & ring)) >> 23 & 1
        here = (at >> 11 ^ -fold) & 0xFFE
        if pulse and not (first_pulse if i == 0 else (test or ((phase + step * i) & MASK) >= width)):
            here = 0
        wave[i] = dac[table[here]] if has_table else dac[here]


@part_kernel
def run_oscillator(o, s, size, dac, combined, wave, wanted):
    """Run one voice for `size` cycles without writes; `s`, which rings and syncs it, is left where it is."""
    waveform = o[CTRL] >> 4
    row = waveform & 7
    table = combined[0]
    has_table = row == 3 or row > 4
    if has_table:
        table = combined[0 if row == 3 else row - 4]
    source, source_step = s[ACC], 0 if s[CTRL] & 8 else s[FREQ]
    done = 0
    while done < size:
        piece = size - done
        reset = False
        if o[CTRL] & 2 and source_step:
            way = ((0x7FFFFF - source - source_step * done) & MASK) + 1
            rise = (way + source_step - 1) // source_step
            if rise <= piece:
                piece, reset = rise, True
        part = wave[done : done + piece]
        run_noise(o, piece, dac, part, wanted and waveform >= 8)
        if wanted and waveform < 8:
            # the source's phase at the start of this piece
            keep = s[ACC]
            s[ACC] = source + source_step * done
            fill_wave(o, s, piece, dac, table, has_table, part)
            s[ACC] = keep
        step = 0 if o[CTRL] & 8 else o[FREQ]
        o[COMPARED] = ((o[ACC] + step * (piece - 1)) & MASK) >> 12 if piece > 1 else (o[ACC] & MASK) >> 12
        o[ACC] = (o[ACC] + step * piece) & MASK
        o[COMPARED] = o[ACC] >> 12
        if reset:
            o[ACC] = 0
        done += piece


@part_kernel
def write_oscillator(o, offset, value):
    """Write FREQ, PW or CONTROL as far as the oscillator minds."""
    if offset == 0:
        o[FREQ] = (o[FREQ] & 0xFF00) | value
    elif offset == 1:
        o[FREQ] = value << 8 | (o[FREQ] & 0xFF)
    elif offset == 2:
        o[PW] = (o[PW] & 0xF00) | value
    elif offset == 3:
        o[PW] = (value & 15) << 8 | (o[PW] & 0xFF)
    elif offset == 4:
        if value & 8 and not o[CTRL] & 8:
            o[ACC] = 0
            o[NOISE_PIPE] = 0
        elif o[CTRL] & 8 and not value & 8:
            register = o[NOISE_REG]
            o[NOISE_REG] = (register << 1 & ALL_ONES) | ((~register >> 17) & 1)
        o[CTRL] = value


@kernel
def frame_wave(o, source, voice, events, cycles, dac, combined, room, wave):
    """Run one voice through a frame with all `events`; mean DAC level of each step goes to `wave`, float32.

    `o` is left at the end of the frame, `source` where it was. `room` is float32 (cycles,).
    """
    s = source.copy()
    from_voice = (voice + 2) % 3
    done = 0
    for k in range(events.shape[0] + 1):
        cycle = events[k, 0] if k < events.shape[0] else cycles
        if k < events.shape[0]:
            of = events[k, 1] // 7
            if events[k, 1] >= 21 or of not in (voice, from_voice):
                continue
        if cycle > done:
            run_oscillator(o, s, cycle - done, dac, combined, room[done:cycle], True)
            step = 0 if s[CTRL] & 8 else s[FREQ]
            s[ACC] = (s[ACC] + step * (cycle - done)) & MASK
            done = cycle
        if k < events.shape[0]:
            if events[k, 1] // 7 == voice:
                write_oscillator(o, events[k, 1] % 7, events[k, 2])
            else:
                write_oscillator(s, events[k, 1] % 7, events[k, 2])
    # triangular windows of 16 cycles, about the first cycle of each step
    rising = np.float32(o[CARRY] / CARRY_UNIT)
    for i in range(wave.size):
        at = STEP * i
        r0, r1, r2, r3 = room[at], room[at + 1], room[at + 2], room[at + 3]
        r4, r5, r6, r7 = room[at + 4], room[at + 5], room[at + 6], room[at + 7]
        total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
        ramp = (
            np.float32(0.5) * r0
            + np.float32(1.5) * r1
            + (np.float32(2.5) * r2 + np.float32(3.5) * r3)
            + (np.float32(4.5) * r4 + np.float32(5.5) * r5)
            + (np.float32(6.5) * r6 + np.float32(7.5) * r7)
        ) * np.float32(1 / STEP)
        wave[i] = (rising + total - ramp) * np.float32(1 / STEP)
        rising = ramp
    o[CARRY] = np.int64(rising * CARRY_UNIT)


# --- Mixer and decimation ----------------------------------------------------------------------------------------


@kernel
def mix_steps(sums, lines, per_sum, zero, scale, out):
    """Mixer and volume, by straight lines: sound before the board's output stage, for sums of the mixer's inputs."""
    top = lines.shape[0] - 1
    for i in range(sums.size):
        at = int(sums[i] * per_sum)
        at = min(max(at, 0), top)
        out[i] = (lines[at, 0] + lines[at, 1] * sums[i] - zero) * scale


EDGE = 1e-6
"""Square of a change of the sum within which the mixer is a straight line; guess."""


@part_kernel
def mix_edges(sums, mixed):
    """Put right what `mix_steps` makes of steps in which a voice jumps.

    The mean of two levels goes into the mixer there, but what is heard is the mean of what the mixer makes of them.
    The steps two before and two behind show the levels: windows are two steps wide.
    """
    before, last = mixed[0], mixed[1]
    for i in range(2, sums.size - 2):
        now = mixed[i]
        rise, whole = sums[i] - sums[i - 2], sums[i + 2] - sums[i - 2]
        if rise * (whole - rise) > EDGE:
            mixed[i] = before + (mixed[i + 2] - before) * (rise / whole)
        before, last = last, now


@kernel
def decimate(steps, taps, history, out):
    """Low-pass and take every third step. `history` holds the taps - 1 steps before; it moves on."""
    k = taps.size
    n = steps.size // DECIMATION
    width = n + k // DECIMATION + 1
    phases = np.zeros((DECIMATION, width), np.float32)
    for p in range(DECIMATION):
        row = phases[p]
        first = (history.size - p + DECIMATION - 1) // DECIMATION
        for i in range(first):
            row[i] = history[DECIMATION * i + p]
        at = DECIMATION * first + p - history.size
        for i in range((steps.size - at + DECIMATION - 1) // DECIMATION):
            row[first + i] = steps[at + DECIMATION * i]
    # output m looks at samples 3 m + 2 + j, j = 0 .. k - 1 of the whole, newest last
    for m in range(n):
        out[m] = 0
    for j in range(k):
        at = j + DECIMATION - 1
        p, q = at % DECIMATION, at // DECIMATION
        tap = taps[j]
        row = phases[p, q : q + n]
        for m in range(n):
            out[m] += tap * row[m]
    for i in range(history.size):
        at = steps.size + i
        history[i] = steps[at - history.size] if at >= history.size else history[at]


# --- One frame of one hypothesis ---------------------------------------------------------------------------------


@kernel
def frame_events(before, after, order, gap, pads, everything, events):
    """Write the changes from one register image to another as rows (cycle, register, value); return how many.

    `pads` are writes without effect ahead of each voice's group and, last, of the shared registers.
    """
    n = 0
    slot = pads[3]
    group = -1
    for k in range(order.size):
        register = order[k]
        if register < 21 and register // 7 != group:
            group = register // 7
            slot += pads[group]
        if everything or before[register] != after[register]:
            events[n, 0] = max(slot, 0) * gap
            events[n, 1] = register
            events[n, 2] = after[register]
            n += 1
            slot += 1
    return n


@kernel
def finish(waves, levels, model, lines, taps, history, target, dc, skip, sums, mixed, out):
    """Mix and decimate three voices; return the error energy against `target` after its first `skip` samples.

    `model` is (dac_env, constants); constants are drift, range, base, inputs' scale, output zero, output scale.
    """
    dac_env, constants = model
    drift, per_wave, base = constants[0], constants[1], constants[2]
    per_sum, zero, scale = constants[3], constants[4], constants[5]
    for i in range(sums.size):
        sums[i] = base
    for v in range(3):
        wave, level = waves[v], levels[v]
        for i in range(sums.size):
            sums[i] += dac_env[level[i]] * (drift + per_wave * wave[i])
    mix_steps(sums, lines, per_sum, zero, scale, mixed)
    mix_edges(sums, mixed)
    decimate(mixed, taps, history, out)
    return error_energy(target, out, dc, skip)


SLOTS = 512
"""Waves of a voice that are kept; a power of 2."""
KEY = 48
"""Numbers that a wave depends on, at most: two oscillators, and the writes to both."""


@kernel
def wave_key(osc, v, source, events, key, own):
    """Fill `key` with all that the wave of a voice depends on and `own` with its writes; return how many there are."""
    key[:] = 0
    key[:OSCILLATOR_FIELDS] = osc[v]
    control = osc[v, CTRL]
    for k in range(events.shape[0]):
        if events[k, 1] == 7 * v + 4:
            control |= events[k, 2]
    at = OSCILLATOR_FIELDS
    if control & 6:
        key[at : at + OSCILLATOR_FIELDS] = osc[source]
        at += OSCILLATOR_FIELDS
    n = 0
    for k in range(events.shape[0]):
        register = events[k, 1]
        if register >= 21:
            continue
        if control & 6:
            if register // 7 != v and register // 7 != source:
                continue
        elif register // 7 != v or register % 7 > 4:
            continue
        own[n] = events[k]
        key[at] = 1 + (events[k, 0] << 16 | register << 8 | events[k, 2])
        n += 1
        at += 1
    return n


@kernel
def kept_wave(osc, v, events, cycles, chip, kept, rooms, wave, end):
    """Set `wave` to what one voice plays in a frame with `events`, see `frame_wave`, and `end` to its oscillator then.

    `kept` are keys, waves and ends of those made before; `chip` and `rooms` as for `play_frame`.
    """
    keys, waves, ends = kept
    room, own, key = rooms[0], rooms[1], rooms[2]
    source = (v + 2) % 3
    n = wave_key(osc, v, source, events, key, own)
    mixed = 0
    for i in range(KEY):
        mixed = (mixed ^ key[i]) * 0x100000001B3
        mixed ^= mixed >> 29
    slot = mixed & (SLOTS - 1)
    found = True
    for i in range(KEY):
        if keys[v, slot, i] != key[i]:
            found = False
            break
    if not found:
        end[:] = osc[v]
        frame_wave(end, osc[source], v, own[:n], cycles, chip[0], chip[1], room, waves[v, slot])
        keys[v, slot] = key
        ends[v, slot] = end
    wave[:] = waves[v, slot]
    end[:] = ends[v, slot]


@kernel
def play_frame(before, after, old, image, pads, timing, chip, kept, rooms, target, dc, skip, waves, levels, out):
    """Play a frame in which the registers become `image`; return the error energy as `finish` does.

    `before` and `after` are oscillators, envelopes and history; `timing` is the order of writes, their distance,
    whether all are written, and the frame's cycles; `chip` is waveform DAC, combined waveforms, envelope DAC,
    constants, lines of the mixer and taps; `rooms` are a frame of cycles, writes, a key, writes again, sums and steps.
    """
    order, gap, everything, cycles = timing
    osc, env, history = before
    osc_after, env_after, history_after = after
    changes = rooms[3]
    events = changes[: frame_events(old, image, order, gap, pads, everything, changes)]
    env_after[:] = env
    history_after[:] = history
    for v in range(3):
        kept_wave(osc, v, events, cycles, chip, kept, rooms, waves[v], osc_after[v])
        frame_envelope(env_after[v], v, events, cycles, levels[v])
    model = (chip[2], chip[3])
    return finish(waves, levels, model, chip[4], chip[5], history_after, target, dc, skip, rooms[4], rooms[5], out)


@kernel
def play_voices(oscs, envs, v, olds, images, offset, timing, chip, kept, rooms, level, skip, out):
    """Set rows of `out` to what one voice adds to the sum of voices, without its mean, with each of its options.

    An option is a row of `oscs`, the oscillators of all voices, of `envs`, its envelope, and of `olds` and `images`,
    the registers before and after; `offset` writes to other voices come before its own. The first `skip` samples are
    left out. The rest as for `play_frame`; `level` is room for a frame's envelope.
    """
    order, gap, everything, cycles = timing
    changes = rooms[3]
    pads = np.zeros(4, np.int64)
    pads[v] = offset
    wave, end = np.empty(level.size, np.float32), np.empty(OSCILLATOR_FIELDS, np.int64)
    history = np.empty(chip[5].size - 1, np.float32)
    part = np.empty(out.shape[1] + skip, np.float32)
    for k in range(out.shape[0]):
        n = frame_events(olds[k], images[k], order, gap, pads, everything, changes)
        first = 0
        while first < n and changes[first, 1] // 7 != v:
            first += 1
        last = first
        while last < n and changes[last, 1] // 7 == v:
            last += 1
        events = changes[first:last]
        kept_wave(oscs[k], v, events, cycles, chip, kept, rooms, wave, end)
        frame_envelope(envs[k], v, events, cycles, level)
        contribution(wave, level, chip[2], chip[3][0], chip[3][1], chip[5], rooms[5], history, part)
        mean = 0.0
        for i in range(out.shape[1]):
            mean += part[skip + i]
        mean /= out.shape[1]
        for i in range(out.shape[1]):
            out[k, i] = part[skip + i] - mean


@kernel
def least_by_gates(left, first, second, third, values, places):
    """Find the least of `left` and its place for each of 8 patterns of the gates of three voices' options."""
    values[:] = np.inf
    places[:] = -1
    at = 0
    for i in range(left.shape[0]):
        for j in range(left.shape[1]):
            two = 4 * first[i] + 2 * second[j]
            for k in range(left.shape[2]):
                pattern = two + third[k]
                if left[i, j, k] < values[pattern]:
                    values[pattern] = left[i, j, k]
                    places[pattern] = at
                at += 1


DC_WEIGHT = 0.02
"""Share of a constant error that counts: the board's DC block is undone, and what that adds up to drifts."""


@part_kernel
def error_energy(target, out, dc, skip):
    """Energy of the difference, most of its mean taken away."""
    total = 0.0
    mean = 0.0
    for i in range(skip, out.size):
        d = target[i] - out[i] - dc
        total += d * d
        mean += d
    n = out.size - skip
    return total - mean * mean / n * (1 - DC_WEIGHT)


@kernel
def decimate_levels(levels, dac_env, drift, per_wave, gain, constant):
    """Level of one voice at each sample as wave gain and constant: what is looked for by scans, no low-pass."""
    for i in range(gain.size):
        # the sample's taps are centred some ten samples earlier: see `SAMPLE_DELAY`
        at = min(max(DECIMATION * i + 2 - SAMPLE_DELAY // STEP, 0), levels.size - 1)
        e = dac_env[levels[at]]
        gain[i] = per_wave * e
        constant[i] = drift * e


SAMPLE_DELAY = 252
"""Cycles by which a sample's centre lies before the end of its last step: half of the 64 taps."""


# --- Scans -------------------------------------------------------------------------------------------------------


@kernel
def integral_table(waveform, width, dac, table):
    """Running integral of a waveform over a period, float64 (4097,), in units of 1 / 4096 period."""
    total = 0.0
    for a in range(4096):
        table[a] = total
        if waveform == 1:
            total += dac[((a ^ 0xFFF if a & 0x800 else a) << 1) & 0xFFE]
        elif waveform == 2:
            total += dac[a]
        else:
            total += dac[0xFFF] if a >= width else dac[0]
    table[4096] = total


@inline_kernel
def integral_at(table, phase):
    """Integral from phase 0 up to an unwrapped 24-bit phase."""
    at = phase & MASK
    i = at >> 12
    low = table[i]
    return (phase >> 24) * table[4096] + low + (table[i + 1] - low) * ((at & 0xFFF) * (1.0 / 4096))


@kernel
def scan_frequencies(rest, gain, constant, table, acc, old, written, freqs, skip, least, most, scores, gains):
    """How much of the energy of `rest` one voice explains, for many FREQ, with its waveform and levels given.

    `rest` has mean 0; its levels may be multiplied by `least` to `most`.
    """
    n = rest.size
    for k in range(freqs.size):
        freq = freqs[k]
        per = 4096.0 / (24.0 * max(freq, 1))
        # the sample i spans cycles 24 i + 12 - SAMPLE_DELAY .. + 24
        start = acc + old * written
        t = 24 * skip + 24 - SAMPLE_DELAY - 12 - written
        before = integral_at(table, start + freq * t)
        cross = energy = mean = 0.0
        for i in range(skip, n):
            t += 24
            now = integral_at(table, start + freq * t)
            value = gain[i] * ((now - before) * per) + constant[i]
            before = now
            cross += value * rest[i]
            energy += value * value
            mean += value
        energy -= mean * mean / (n - skip)
        g = cross / max(energy, 1e-12)
        g = min(max(g, least), most)
        scores[k] = 2 * g * cross - g * g * energy
        gains[k] = g


@part_kernel
def fold(rest, gain, phase, freq, skip, sums, counts, firsts):
    """Sort `rest` from a phase on by phase into 64 bins: its product with the levels, their energy and their sum."""
    for b in range(sums.size):
        sums[b] = counts[b] = firsts[b] = 0.0
    for i in range(skip, rest.size):
        b = (phase >> 18) & 63
        phase += 24 * freq
        g = gain[i]
        sums[b] += g * rest[i]
        counts[b] += g * g
        firsts[b] += g


@kernel
def fold_frequencies(rest, gain, dac, acc, old, written, freqs, skip, full, scores, kinds, widths, gains):
    """The same with waveform and pulse width free: `rest` is folded by phase into 64 bins for each FREQ."""
    bins = 64
    n = rest.size
    tri = np.zeros(bins)
    saw = np.zeros(bins)
    for b in range(bins):
        for j in range(64):
            a = b * 64 + j
            tri[b] += dac[((a ^ 0xFFF if a & 0x800 else a) << 1) & 0xFFE] / 64
            saw[b] += dac[a] / 64
    swing = dac[0xFFF] - dac[0]
    sums, counts, firsts = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    for k in range(freqs.size):
        freq = freqs[k]
        phase = acc + old * written + freq * (24 * skip + 24 - SAMPLE_DELAY - written)
        fold(rest, gain, phase, freq, skip, sums, counts, firsts)
        best, kind, width, amount = 0.0, 0, 0, 0.0
        # triangle and sawtooth
        for which in range(2):
            shape = tri if which == 0 else saw
            cross = energy = mean = 0.0
            for b in range(bins):
                cross += shape[b] * sums[b]
                energy += shape[b] * shape[b] * counts[b]
                mean += shape[b] * firsts[b]
            energy -= mean * mean / (n - skip)
            g = min(max(cross / max(energy, 1e-12), 0.0), full)
            score = 2 * g * cross - g * g * energy
            if score > best:
                best, kind, width, amount = score, which + 1, 0, g
        cross = energy = mean = 0.0
        for b in range(bins - 1, 0, -1):  # high from bin b on
            cross += swing * sums[b]
            energy += swing * swing * counts[b]
            mean += swing * firsts[b]
            e = energy - mean * mean / (n - skip)
            g = min(max(cross / max(e, 1e-12), 0.0), full)
            score = 2 * g * cross - g * g * e
            if score > best:
                best, kind, width, amount = score, 4, b * 64, g
        scores[k], kinds[k], widths[k], gains[k] = best, kind, width, amount


@kernel
def fold_free(rest, gain, dac, kind, old, written, freqs, skip, least, most, scores, phases, widths):
    """Energy explained by one waveform (1 triangle, 2 sawtooth, 4 pulse) at many FREQ, its phase being unknown.

    `phases` are of the frame's first cycle, 24 bits; levels may be multiplied by `least` to `most`.
    """
    bins = 64
    n = rest.size
    shape = np.zeros(2 * bins)
    for b in range(bins):
        for j in range(64):
            a = b * 64 + j
            shape[b] += dac[((a ^ 0xFFF if a & 0x800 else a) << 1) & 0xFFE if kind == 1 else a] / 64
        shape[b + bins] = shape[b]
    swing = dac[0xFFF] - dac[0]
    sums, counts, firsts = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    for k in range(freqs.size):
        freq = freqs[k]
        phase = old * written + freq * (24 * skip + 24 - SAMPLE_DELAY - written)
        fold(rest, gain, phase, freq, skip, sums, counts, firsts)
        best, at, width = 0.0, 0, 0
        for s in range(bins):
            cross = energy = mean = 0.0
            if kind == 4:  # high from bin s on; the accumulator wraps where it ends
                for length in range(1, bins):
                    b = (s + length - 1) & 63
                    cross += swing * sums[b]
                    energy += swing * swing * counts[b]
                    mean += swing * firsts[b]
                    e = energy - mean * mean / (n - skip)
                    g = min(max(cross / max(e, 1e-12), least), most)
                    score = 2 * g * cross - g * g * e
                    if score > best:
                        best, at, width = score, -(s + length), (bins - length) * 64
            else:
                for b in range(bins):
                    x = shape[b + s]
                    cross += x * sums[b]
                    energy += x * x * counts[b]
                    mean += x * firsts[b]
                e = energy - mean * mean / (n - skip)
                g = min(max(cross / max(e, 1e-12), least), most)
                score = 2 * g * cross - g * g * e
                if score > best:
                    best, at = score, s
        scores[k], phases[k], widths[k] = best, (at & 63) << 18, width


@kernel
def scan_widths(rest, gain, constant, swing, low, acc, old, written, freq, skip, scores):
    """Energy explained by a pulse of every width 16 w, with FREQ and levels given; float64 (257,)."""
    bins = scores.size - 1
    n = rest.size
    cross = np.zeros(bins)
    energy = np.zeros(bins)
    first = np.zeros(bins)
    base_cross = base_energy = base_first = 0.0
    phase = acc + old * written + freq * (24 * skip + 24 - SAMPLE_DELAY - written)
    for i in range(skip, n):
        b = ((phase >> 12) & 0xFFF) * bins >> 12
        phase += 24 * freq
        off = gain[i] * low + constant[i]
        on = off + gain[i] * swing
        base_cross += off * rest[i]
        base_energy += off * off
        base_first += off
        cross[b] += gain[i] * swing * rest[i]
        energy[b] += on * on - off * off
        first[b] += gain[i] * swing
    for b in range(bins, -1, -1):
        if b < bins:
            base_cross += cross[b]
            base_energy += energy[b]
            base_first += first[b]
        scores[b] = 2 * base_cross - (base_energy - base_first * base_first / (n - skip))


@kernel
def scan_noise(rest, gain, constant, dac, oscillator, written, freqs, skip, least, most, scores):
    """Energy explained by noise at many FREQ, the noise register being known; levels times `least` to `most`."""
    n = rest.size
    o = oscillator.copy()
    for k in range(freqs.size):
        freq = freqs[k]
        o[:] = oscillator
        # up to the write at the old rate, then at the new one; a shift comes two cycles after bit 19 rises
        shifts = (((o[ACC] & 0xFFFFF) + o[FREQ] * written + 0x80000) >> 20) - ((o[ACC] & 0xFFFFF) + 0x80000 >> 20)
        register = o[NOISE_REG]
        phase = (o[ACC] & 0xFFFFF) + o[FREQ] * written
        for _ in range(shifts):
            register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
        phase &= 0xFFFFF
        to_rise = ((0x7FFFF - phase) & 0xFFFFF) + 1
        t = written + (to_rise / freq if freq else 1e18) + 2
        period = 1048576.0 / freq if freq else 1e18
        level = float(dac[noise_output(register)])
        at = 24.0 * skip + 24 - SAMPLE_DELAY - 12
        while t < at:
            register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
            level = float(dac[noise_output(register)])
            t += period
        cross = energy = mean = 0.0
        for i in range(skip, n):
            end = at + 24
            total = 0.0
            while t < end:
                total += level * (t - at)
                at = t
                register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
                level = float(dac[noise_output(register)])
                t += period
            total += level * (end - at)
            at = end
            value = gain[i] * (total / 24) + constant[i]
            cross += value * rest[i]
            energy += value * value
            mean += value
        energy -= mean * mean / (n - skip)
        g = min(max(cross / max(energy, 1e-12), least), most)
        scores[k] = 2 * g * cross - g * g * energy


@kernel
def envelope_events(old, images, image, pads, order, gap, v, ad, sr, gates, everything, cycles, changes, rows):
    """Write what the envelope of voice `v` is told from one frame on: cycle, register, value; return how many writes.

    `old` are the registers before the first of the frames `images` and `image`, the last one, `pads` their writes
    without effect; AD and SR are `ad` and `sr` in all of them, marked by a value below 0, and the gate what `gates`
    has for a frame, if that is not below 0. `changes` is room for the writes of a frame.
    """
    before, after = old.copy(), old.copy()
    n = 0
    for k in range(images.shape[0] + 1):
        after[:] = images[k] if k < images.shape[0] else image
        after[7 * v + 5] = ad
        after[7 * v + 6] = sr
        if gates[k] >= 0:
            after[7 * v + 4] = (after[7 * v + 4] & 0xFE) | gates[k]
        count = frame_events(before, after, order, gap, pads[k], everything and k == 0, changes)
        for i in range(count):
            offset = changes[i, 1] - 7 * v
            if 4 <= offset < 7:
                rows[n, 0] = changes[i, 0] + k * cycles
                rows[n, 1] = offset
                rows[n, 2] = -1 if offset > 4 else changes[i, 2]
                n += 1
        before[:] = after
    return n


@kernel
def follow_events(e, events, ad, sr, first, end, spacing, due, n, levels):
    """Clock an envelope with writes, see `follow`; AD (5) and SR (6) marked by a value below 0 are replaced.

    Returned are `end` and the next `n` and `due`.
    """
    done = first
    for j in range(events.shape[0]):
        if events[j, 0] > done:
            n, due = follow(e, done, events[j, 0], spacing, due, n, levels)
            done = events[j, 0]
        value = events[j, 2]
        if value < 0:
            value = ad if events[j, 1] == 5 else sr
        write_envelope(e, events[j, 1], value)
    n, due = follow(e, done, end, spacing, due, n, levels)
    return end, n, due


@kernel
def run_events(e, events, ad, sr, cycles):
    """Run an envelope with writes (cycle, 4 to 6, value) for so many cycles, AD and SR as in `follow_events`."""
    used = 0
    while used < events.shape[0] and events[used, 0] < cycles:
        used += 1
    follow_events(e, events[:used], ad, sr, 0, cycles, 1, FOREVER, 0, np.zeros(1, np.uint8))


@inline_kernel
def explained(total, levels, part, cross, energy, first, counts, dac_env):
    """Return `total` and the energy that the levels of one part explain, three a block; see `scan_adsr`."""
    blocks = counts.shape[1]
    mean = n = 0.0
    for q in range(blocks):
        b = part * blocks + q
        level = 0.0
        for i in range(3):
            level += dac_env[levels[3 * b + i]]
        level *= 1 / 3
        total += level * (2 * cross[b] - level * energy[b])
        mean += level * first[b]
        n += counts[part, q]
    return total + mean * mean / max(n, 1.0)


@part_kernel
def alike_but_release(a, b):
    """Whether two envelopes do the same as long as none of them is in release, SUSTAIN_RELEASE aside."""
    for i in range(a.size):
        if i != SUSTAIN_RELEASE and a[i] != b[i]:
            return False
    return a[STATE] != IN_RELEASE and a[TARGET] != IN_RELEASE


SOON = 320
"""Cycles within which CONTROL is written after AD and SR of the same frame."""
SETTLED = 16
"""Cycles after which a gate that went on has begun its attack: the state pipeline takes two."""


@kernel
def scan_adsr(state, events, steps, block, cross, energy, first, counts, dac_env, choices, levels, scores):
    """Energy explained by a voice's levels for rows (AD, SR) of `choices`.

    `state` is the envelope before the first of `steps`, `events` its writes (cycle from there, 4 to 6, value; below 0:
    from `choices`). `cross`, `energy` and `first` hold, per block of `block` steps, what a level of 1 correlates with
    the rest, its energy and its sum over `counts` samples; the mean of each of the equal parts (rows of `counts`) does
    not count. `levels` is room for three levels a block.

    Neighbours in `choices` that differ in release alone share what they do while the gate is on.
    """
    spacing, end = block // 3 * STEP, steps * STEP
    parts, blocks = counts.shape
    # events before `told` tell of AD and SR and open the gate; from `off` on the gate may be closed
    told = 0
    for j in range(events.shape[0]):
        if events[j, 2] < 0:
            told = j + 1
    while 0 < told < events.shape[0] and events[told, 1] == 4 and events[told, 0] < events[told - 1, 0] + SOON:
        told += 1
    off = told
    while off < events.shape[0] and events[off, 2] & 1:
        off += 1
    shared_end = events[off, 0] if off < events.shape[0] else end
    settled = events[told - 1, 0] + SETTLED if told else 0
    e, at_on, at_off = state.copy(), state.copy(), state.copy()
    kept = False
    kept_n = kept_due = kept_part = 0
    kept_total = 0.0
    for k in range(choices.shape[0]):
        ad, sr = choices[k, 0], choices[k, 1]
        e[:] = state
        n, due, part, total = 0, block // 6 * STEP, 0, 0.0
        at = 0
        if told and settled < shared_end:
            at, n, due = follow_events(e, events[:told], ad, sr, at, settled, spacing, due, n, levels)
            same = kept and ad == choices[k - 1, 0] and (sr ^ choices[k - 1, 1]) < 16
            if same and alike_but_release(e, at_on):
                e[:] = at_off
                e[SUSTAIN_RELEASE] = sr
                n, due, part, total = kept_n, kept_due, kept_part, kept_total
            else:
                at_on[:] = e
                at, n, due = follow_events(e, events[told:off], ad, sr, at, shared_end, spacing, due, n, levels)
                while (part + 1) * blocks * 3 <= n:
                    total = explained(total, levels, part, cross, energy, first, counts, dac_env)
                    part += 1
                at_off[:] = e
                kept = True
                kept_n, kept_due, kept_part, kept_total = n, due, part, total
            at = shared_end
            _, n, due = follow_events(e, events[off:], ad, sr, at, end, spacing, due, n, levels)
        else:
            _, n, due = follow_events(e, events, ad, sr, at, end, spacing, due, n, levels)
        for p in range(part, parts):
            total = explained(total, levels, p, cross, energy, first, counts, dac_env)
        scores[k] = total


@kernel
def scan_starts(state, events, steps, block, cross, energy, first, counts, dac_env, pair, matches, levels, scores):
    """The same for envelopes with AD and SR `pair` whose rate counters come to `matches` cycles before the period."""
    e = state.copy()
    for k in range(matches.size):
        e[:] = state
        e[RATE_MATCH] = 0
        e[RATE_COUNTER] = (rate_period(pair[0] >> 4) - 1 - matches[k]) % RATE_STATES
        follow_events(e, events, pair[0], pair[1], 0, steps * STEP, block // 3 * STEP, block // 6 * STEP, 0, levels)
        scores[k] = 0.0
        for p in range(counts.shape[0]):
            scores[k] = explained(scores[k], levels, p, cross, energy, first, counts, dac_env)


@kernel
def contribution(wave, level, dac_env, drift, per_wave, taps, mixed, history, out):
    """Sum of voices that one voice adds, low-passed and decimated as `finish` does, past its first samples."""
    for i in range(wave.size):
        mixed[i] = dac_env[level[i]] * (drift + per_wave * wave[i])
    for i in range(history.size):
        history[i] = 0
    decimate(mixed, taps, history, out)


@kernel
def add_pairs(ab, ac, bc, at1, at2, left):
    """Sum of what each pair of options of three voices leaves, for every combination.

    `ab` and `bc` have one matrix for each place (`at1`) of voice 1 in time, `ac` for each (`at2`) of voice 2.
    """
    for i in range(left.shape[0]):
        p = at1[i]
        for j in range(left.shape[1]):
            q = at2[i, j]
            own = ab[p, i, j]
            for k in range(left.shape[2]):
                left[i, j, k] = own + ac[q, i, k] + bc[p, j, k]
