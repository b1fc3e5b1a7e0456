"""Compiled parts of `tracks`: one voice in one frame by samples, its phase as known or not.

Waveforms are looked at in the middle of each quarter of a sample, which leaves an error of some -35 dB: enough to tell
notes and waveforms.
"""

from __future__ import annotations

import numpy as np

from sidlearn._kernel import kernel, part_kernel
from sidlearn.chip.kernel import noise_output
from sidlearn.learn.decode.kernel import ALL_ONES, MASK, SAMPLE_DELAY, STEP
from sidlearn.registers import RING, SYNC

CYCLES, QUARTERS = 24, 4
"""Of a sample."""
DELAY = SAMPLE_DELAY + STEP
"""Cycles by which a sample's centre lies before its end: half of the low-pass, and half of the window of a step."""
BINS = 64
"""Of a period, by which phases are looked for."""


@part_kernel
def level_at(phase, freq, width, control, source, source_freq, dac):
    """DAC level of one waveform at a phase; `source` is the phase of the voice that rings and syncs it."""
    if control & SYNC and source_freq > 0:
        since = ((source - 0x800000) & MASK) // source_freq
        phase = freq * since
    at = phase & MASK
    which = control >> 4
    if which == 4:
        return dac[0xFFF] if at >= width << 12 else dac[0]
    here = at >> 12
    if which == 2:
        return dac[here]
    fold = here >> 11
    if control & RING:
        fold ^= 1 ^ ((source & MASK) >> 23)
    if fold:
        here ^= 0xFFF
    return dac[(here << 1) & 0xFFE]


@part_kernel
def play(acc, old, written, freq, width, control, source, dac, out):
    """Fill `out` with the samples of one voice; `source` is phase, FREQ before and after it is written, and when."""
    n = out.size
    for i in range(n):
        total = 0.0
        for q in range(QUARTERS):
            c = CYCLES * i + 12 - DELAY + 3 + 6 * q
            now = freq if c >= written else old
            phase = acc + (old * c if c < written else old * written + freq * (c - written))
            other = source[0]
            other_freq = source[2] if c >= source[3] else source[1]
            other += source[1] * c if c < source[3] else source[1] * source[3] + source[2] * (c - source[3])
            total += level_at(phase, now, width, control, other, other_freq, dac)
        out[i] = total / QUARTERS


@kernel
def play_all(notes, source, dac, out):
    """Fill rows of `out` with the samples of `notes`, rows of phase, FREQ before, cycle, FREQ, PW, CONTROL."""
    for k in range(notes.shape[0]):
        a = notes[k]
        play(a[0], a[1], a[2], a[3], a[4], a[5], source, dac, out[k])


@part_kernel
def explained(x, rest, skip, most):
    """Energy of `rest`, whose mean is 0, that `x` explains with a level that is a straight line."""
    n = x.size
    aa = ab = bb = a1 = b1 = ar = br = 0.0
    for i in range(skip, n):
        t = (i + 0.5) / n
        a, b = x[i] * (1 - t), x[i] * t
        aa += a * a
        ab += a * b
        bb += b * b
        a1 += a
        b1 += b
        ar += a * rest[i]
        br += b * rest[i]
    m = n - skip
    aa -= a1 * a1 / m
    ab -= a1 * b1 / m
    bb -= b1 * b1 / m
    ridge = 0.02 * (aa + bb) + 1e-9
    aa += ridge
    bb += ridge
    det = aa * bb - ab * ab
    g, h = (ar * bb - br * ab) / det, (br * aa - ar * ab) / det
    if g < 0 or h < 0:
        g = max(ar / aa, 0.0) if h < g else 0.0
        h = max(br / bb, 0.0) if g == 0.0 else 0.0
    g, h = min(g, most), min(h, most)
    return 2 * (g * ar + h * br) - (g * g * aa + 2 * g * h * ab + h * h * bb)


@kernel
def score_all(notes, source, rest, skip, most, dac, room, scores):
    """Set `scores` to what each of `notes` explains."""
    for k in range(notes.shape[0]):
        a = notes[k]
        play(a[0], a[1], a[2], a[3], a[4], a[5], source, dac, room)
        scores[k] = explained(room, rest, skip, most)


@kernel
def refine(note, source, rest, skip, most, turns, reach, stiff, dac, room):
    """Move FREQ, phase and PW of a note to where it explains most of `rest`; return how much that is.

    The phase goes no farther than `reach`; FREQ moves for a gain of the share `stiff` or more.
    """
    play(note[0], note[1], note[2], note[3], note[4], note[5], source, dac, room)
    best = explained(room, rest, skip, most)
    freq_step = max(note[3] // 256, 4)
    phase_step = min(max(reach // 2, 1), 1 << 19)
    middle = note[0]
    width_step = 128
    for _ in range(turns):
        for which in (3, 0, 4):
            if which == 4 and note[5] >> 4 != 4:
                continue
            if which == 0 and note[5] & SYNC:
                continue
            step = freq_step if which == 3 else phase_step if which == 0 else width_step
            for way in (step, -step):
                while True:
                    old = note[which]
                    new = old + way
                    if (which == 3 and not 100 < new < 65536) or (which == 4 and not 16 <= new < 4080):
                        break
                    if which == 0 and abs(new - middle) > reach:
                        break
                    note[which] = new
                    play(note[0], note[1], note[2], note[3], note[4], note[5], source, dac, room)
                    score = explained(room, rest, skip, most)
                    if score <= best * (1 + (stiff if which == 3 else 1e-6)):
                        note[which] = old
                        break
                    best = score
        freq_step, phase_step, width_step = max(freq_step // 3, 1), max(phase_step // 3, 1), max(width_step // 3, 4)
    note[0] &= MASK
    return best


@kernel
def find_phases(notes, rest, skip, most, dac, scores):
    """Set the phase of each of `notes` to that with which it explains most of `rest`, and `scores` to how much."""
    n = rest.size
    sums, counts = np.empty(BINS), np.empty(BINS)
    shape = np.empty(2 * BINS)
    for k in range(notes.shape[0]):
        old, written, freq, width, control = notes[k, 1], notes[k, 2], notes[k, 3], notes[k, 4], notes[k, 5]
        for b in range(BINS):
            total = 0.0
            for j in range(8):
                total += level_at((b * 8 + j) << 15, 0, width, control & 0xF0, 0, 0, dac)
            shape[b] = total / 8
            shape[b + BINS] = shape[b]
            sums[b] = 0.0
            counts[b] = 0.0
        phase = old * written + freq * (CYCLES * (skip + 1) - DELAY - written)
        for i in range(skip, n):
            b = (phase >> 18) & (BINS - 1)
            phase += CYCLES * freq
            sums[b] += rest[i]
            counts[b] += 1
        best, at = 0.0, 0
        for s in range(BINS):
            cross = energy = mean = 0.0
            for b in range(BINS):
                x = shape[b + s]
                cross += x * sums[b]
                energy += x * x * counts[b]
                mean += x * counts[b]
            energy -= mean * mean / (n - skip)
            g = min(max(cross / max(energy, 1e-9), 0.0), most)
            score = 2 * g * cross - g * g * energy
            if score > best:
                best, at = score, s
        notes[k, 0] = at << 18
        scores[k] = best


# --- Noise -------------------------------------------------------------------------------------------------------


@part_kernel
def shifted(register, shifts):
    """Noise register some shifts later, or earlier for less than 0."""
    for _ in range(shifts):
        register = (register << 1 & ALL_ONES) | ((register >> 22 ^ register >> 17) & 1)
    for _ in range(-shifts):
        was_17 = register >> 18 & 1
        register = (register >> 1) | ((register ^ was_17) & 1) << 22
    return register


@part_kernel
def shifts_between(before, after):
    """How often bit 19 rises as a phase, not wrapped, goes from one value to another."""
    return ((after + 0x80000) >> 20) - ((before + 0x80000) >> 20)


@kernel
def register_after(register, acc, old, written, freq, cycles):
    """Noise register at a frame's end."""
    end = acc + old * written + freq * (cycles - written)
    return shifted(register, shifts_between(acc, end))


@kernel
def play_noise(register, acc, old, written, freq, dac, out):
    """Fill `out` with the samples of a voice that plays noise; `register` is that of the frame's start."""
    first = 12 - DELAY
    at = acc + old * first
    register = shifted(register, shifts_between(acc, at))
    level = dac[noise_output(register)]
    for i in range(out.size):
        total = 0.0
        for q in range(QUARTERS):
            c = CYCLES * i + first + 3 + 6 * q
            now = acc + (old * c if c < written else old * written + freq * (c - written))
            shifts = shifts_between(at, now)
            if shifts > 0:
                register = shifted(register, shifts)
                level = dac[noise_output(register)]
            at = now
            total += level
        out[i] = total / QUARTERS


@kernel
def find_noise(register, acc, old, written, freqs, most_shifts, parts, rest, skip, most, dac, room):
    """Return FREQ, phase, register and score of the noise that explains most of `rest`.

    The register is taken up to `most_shifts` before and after where it was thought to be, the phase in `parts` places
    of a shift.
    """
    best = (0, 0, 0, 0.0)
    for f in range(freqs.size):
        for part in range(parts):
            phase = acc + part * (0x100000 // parts)
            now = shifted(register, -most_shifts)
            for _ in range(2 * most_shifts + 1):
                play_noise(now, phase, old, written, freqs[f], dac, room)
                score = explained(room, rest, skip, most)
                if score > best[3]:
                    best = (freqs[f], phase & MASK, now, score)
                now = shifted(now, 1)
    return best
