"""How alike two sounds move: the distances that choices are weighed by, worked out anew where a few columns change.

A sound is a table of band power, one column about every 10 or 20 ms. Levels (compressed band power) alone reward a
sound that is right on average; what makes speech understood and instruments known is how each band rises and falls and
how the spectrum is shaped meanwhile. So two likenesses go with the distance of levels. One is that of the bands' course
over 0.4 s, each by itself as in STOI (C. Taal et al., "An algorithm for intelligibility prediction of time-frequency
weighted noisy speech", 2011) and all of a column together as in ESTOI (J. Jensen and C. Taal, "An algorithm for
predicting the intelligibility of speech masked by modulated noise maskers", 2016). The other is that of spectrograms in
dB, point by point with their neighbours, as in NSIM (A. Hines and N. Harte, "Speech intelligibility prediction using a
neurogram similarity index measure", 2012).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sidlearn._kernel import inline_kernel, kernel
from sidlearn.learn.analyse import BANDS
from sidlearn.learn.search import squared_distance

SEGMENT_SECONDS = 0.384  # as in ESTOI
THIRDS = 15  # of an octave, from 150 Hz, as in ESTOI
FIRST_THIRD_HZ = 150.0
AUDITORY_BANDS = 21  # from 50 Hz to 8 kHz, as in ViSQOL's speech mode
AUDITORY_HZ = (50.0, 8_000.0)
NEIGHBOUR_SECONDS = 0.02  # ViSQOL: a window of 80 ms every 20 ms
WINDOW_SECONDS = 0.08
CENTRE, SIDE, CORNER = 0.6194858, 0.0838251, 0.0113034  # NSIM's Gaussian of 3 x 3 points
STRUCTURE_FLOOR, LEVEL_FLOOR = 4.5e-4, 1e-4  # NSIM's constants for a range of 1
LOUD_DB = 40.0  # quieter columns do not count for intelligibility (STOI)
QUIET_WEIGHT = 0.3  # guess: share of a pause in the likeness of spectrograms
ALONE = 0.5  # guess: share of the bands one by one in the likeness of courses, against that of all together
RISE_SECONDS = 0.02
RISE_RANGE_DB = 70.0
"""How far under the loudest band a rise still counts; onset detectors look down 50 to 80 dB."""
ONSET_DB = 4.0  # guess: mean rise of the bands from which on it may be an onset
EXTRA_RISE, MISSING_RISE = 0.8, 0.4
"""Cost of a decibel: an onset that the target has not is heard more than one that is softer."""
SEGMENTS = 10
"""How many of the overlapping segments that hold a column are looked at."""


class Rises(NamedTuple):
    """By how much a target rises from column to column, which is what makes an onset."""

    decibels: np.ndarray
    """float64 (columns,): mean rise of the auditory bands against `lag` columns before."""
    extra: np.ndarray
    """float64 (columns,): cost of a decibel more."""
    missing: np.ndarray
    """float64 (columns,): cost of a decibel less."""
    lag: int
    floor: float
    """Power in an auditory band that nobody hears beside the loudest one."""
    share: np.ndarray
    """float64 (AUDITORY_BANDS,): share of an auditory band in the mean."""


class Likeness(NamedTuple):
    """A target, ready to be compared with."""

    thirds: np.ndarray
    """float32 (bands, THIRDS): which bands make a third of an octave."""
    auditory: np.ndarray
    """float32 (bands, AUDITORY_BANDS): how much of a band's power an auditory filter lets through."""
    place: np.ndarray
    """int64 (columns,): number among the loud columns, -1 for a quiet one."""
    shape: np.ndarray
    """float32 (segments, THIRDS, segment columns): rows, then columns of each segment without mean, of length 1."""
    rows: np.ndarray
    """float32 (segments, THIRDS, segment columns): rows of each segment without mean, of length 1."""
    stride: int
    """Loud columns from one segment to the next."""
    levels: np.ndarray
    """float64 (columns, AUDITORY_BANDS + 2): auditory levels of the target in half dB, first and last band twice."""
    moments: np.ndarray
    """float64 (2, columns, AUDITORY_BANDS): their local mean and variance."""
    spread: np.ndarray
    """float64 (2 reach + 1,): what a column gives to the window around each of its neighbours."""
    near: int
    """Columns to a neighbour in time."""
    importance: np.ndarray
    """float64 (columns,): weight in the likeness of spectrograms."""
    gain: float
    """The target's power was multiplied by this."""
    rises: Rises


class Course(NamedTuple):
    """What a candidate sounds like at the moment."""

    magnitude: np.ndarray
    """float32 (THIRDS, loud columns)."""
    sums: np.ndarray
    """float64 (segments, THIRDS, 2): of magnitudes and of their squares."""
    power: np.ndarray
    """float64 (columns, AUDITORY_BANDS)."""
    level: np.ndarray
    """float64 (columns, AUDITORY_BANDS + 2): half dB, over the window, first and last band twice."""


def likeness(
    power: np.ndarray, hz: np.ndarray, column_seconds: float, gain: float, free: np.ndarray | None = None
) -> Likeness:
    """Return what is compared, for a target's band power.

    Parameters
    ----------
    power : ndarray, float32, shape (columns, bands)
        Of the target, in units of the chip.
    hz : ndarray, shape (bands,)
        Middles of the bands, 0 for those that do not count.
    column_seconds : float
    gain : float
        What the target's power was multiplied by to come to units of the chip.
    free : ndarray, bool, shape (columns,), optional
        Where it does not matter how the sound rises: in voices, whose pitch and formants move all the time.
    """
    thirds, auditory = _thirds(hz), _auditory(hz)
    magnitude = np.sqrt(np.maximum(power @ thirds, 0))  # (columns, THIRDS)
    total = np.asarray(power, np.float64) @ (hz > 0)
    loud = total > total.max() * 10 ** (-LOUD_DB / 10)
    place = np.where(loud, np.cumsum(loud) - 1, -1).astype(np.int64)
    size = round(SEGMENT_SECONDS / column_seconds)
    stride = max(1, size // SEGMENTS)
    rows = magnitude[loud].T.astype(np.float64)
    starts = range(0, rows.shape[1] - size + 1, stride)
    both = np.zeros((2, len(starts), THIRDS, size), np.float32)
    for i, start in enumerate(starts):
        both[0, i], both[1, i] = _normal(rows[:, start : start + size])
    reach = max(0, math.ceil(WINDOW_SECONDS / 2 / column_seconds) - 1)
    spread = np.cos(np.pi * np.arange(-reach, reach + 1) * column_seconds / WINDOW_SECONDS) ** 4
    spread /= spread.sum()
    near = max(1, round(NEIGHBOUR_SECONDS / column_seconds))
    levels = np.zeros((len(power), AUDITORY_BANDS + 2))
    inner = np.asarray(power, np.float64) @ auditory
    _window_levels(inner, spread, gain, 0, len(power), levels)
    moments = np.zeros((2, len(power), AUDITORY_BANDS))
    for c in range(len(power)):
        _moments(levels, c, near, moments[:, c])
    importance = np.where(loud, 1.0, QUIET_WEIGHT)
    rises = rises_of(inner, column_seconds, np.zeros(len(power), bool) if free is None else free)
    return Likeness(
        thirds, auditory, place, both[0], both[1], stride, levels, moments, spread, near, importance, gain, rises
    )


def rises_of(power: np.ndarray, column_seconds: float, free: np.ndarray) -> Rises:
    """Return how a sound rises, for its power in auditory bands (columns, AUDITORY_BANDS)."""
    lag = max(1, round(RISE_SECONDS / column_seconds))
    floor = float(power.max()) * 10 ** (-RISE_RANGE_DB / 10) + 1e-30
    decibels = np.zeros(len(power))
    share = rise_share()
    for c in range(len(power)):
        decibels[c] = _rise(np.asarray(power, np.float64), floor, lag, share, c)
    reach = np.lib.stride_tricks.sliding_window_view(np.pad(decibels, 2 * lag), 4 * lag + 1)
    onset = (decibels >= reach.max(axis=1)) & (decibels > ONSET_DB)
    costs = np.where(free, 0.0, column_seconds / lag / RISE_SECONDS)
    return Rises(decibels, EXTRA_RISE * costs, MISSING_RISE * costs * onset, lag, floor, share)


def rise_share() -> np.ndarray:
    """Return how many of an onset detector's mel bands, up to 20 kHz, lie nearest to each auditory band, of all."""
    to_mel = lambda hz: np.log1p(np.asarray(hz) / 700)  # noqa: E731
    edges = to_mel(_auditory_hz())
    nearest = np.abs(np.linspace(to_mel(50.0), to_mel(20_000.0), 256)[:, None] - edges).argmin(axis=1)
    return np.bincount(nearest, minlength=AUDITORY_BANDS) / 256


def course(target: Likeness, power: np.ndarray) -> Course:
    """Return what a candidate sounds like, for its band power (columns, bands)."""
    magnitude = np.sqrt(np.maximum(power @ target.thirds, 0))[target.place >= 0].T
    inner = np.maximum(np.asarray(power, np.float64) @ target.auditory, 0)
    level = np.zeros((len(inner), AUDITORY_BANDS + 2))
    _window_levels(inner, target.spread, target.gain, 0, len(inner), level)
    found = Course(np.ascontiguousarray(magnitude, np.float32), np.zeros((len(target.shape), THIRDS, 2)), inner, level)
    _add_up(found.magnitude, found.sums, target.stride, target.shape.shape[2])
    return found


def overall(target: Likeness, now: Course) -> tuple[float, float]:
    """Return both likenesses of a whole sound: of the bands' course and of the spectrogram, about 0..1."""
    size = target.shape.shape[2]
    found = []
    for s in range(len(target.shape)):
        shape, rows = _normal(now.magnitude[:, s * target.stride : s * target.stride + size])
        found.append(
            (1 - ALONE) * (shape * target.shape[s]).sum() / size + ALONE * (rows * target.rows[s]).sum() / THIRDS
        )
    points = _points(target.levels, target.moments, now.level, target.near, target.importance, 0, len(now.level))
    return float(np.mean(found)) if found else 0.0, float(points / (target.importance.sum() * AUDITORY_BANDS))


def _normal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a segment whose rows, then its columns, are without mean and of length 1; and with only the rows so."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
    shape = rows - rows.mean(axis=0)
    return shape / (np.linalg.norm(shape, axis=0) + 1e-9), rows


def _thirds(hz: np.ndarray) -> np.ndarray:
    """Return which bands lie in which third of an octave; one that holds none gets the nearest."""
    out = np.zeros((THIRDS, len(hz)), np.float32)
    for i, middle in enumerate(FIRST_THIRD_HZ * 2 ** (np.arange(THIRDS) / 3)):
        inside = (hz >= middle * 2 ** (-1 / 6)) & (hz < middle * 2 ** (1 / 6))
        if not inside.any():
            inside[np.argmin(np.abs(np.log(np.maximum(hz, 1) / middle)))] = True
        out[i, inside] = 1
    return np.ascontiguousarray(out.T)


def _auditory(hz: np.ndarray) -> np.ndarray:
    """Return the power gain of gammatone filters at the bands' middles, middles even in ERB.

    Source: B. Glasberg and B. Moore, "Derivation of auditory filter shapes from notched-noise data" (1990); a fourth
    order gammatone falls off as (1 + ((f - middle) / (1.019 ERB))^2)^-4.
    """
    middles = _auditory_hz()
    width = 1.019 * (middles / EAR_Q + LEAST_ERB_HZ)
    out = (1 + ((hz[None] - middles[:, None]) / width[:, None]) ** 2) ** -4.0
    out[:, hz == 0] = 0
    for row, middle in zip(out, middles, strict=True):  # a band wider than the filter still gives it its part
        row[:BANDS][np.argmin(np.abs(hz[:BANDS] - middle))] += 1e-3
    return np.ascontiguousarray(out.T, np.float32)


EAR_Q, LEAST_ERB_HZ = 9.26449, 24.7


def _auditory_hz() -> np.ndarray:
    """Return the middles of the auditory filters: float64 (AUDITORY_BANDS,)."""
    low, high = (np.log(hz + EAR_Q * LEAST_ERB_HZ) for hz in AUDITORY_HZ)
    steps = np.arange(AUDITORY_BANDS, 0, -1) / AUDITORY_BANDS
    return -EAR_Q * LEAST_ERB_HZ + np.exp(high + steps * (low - high))


# --- Kernels: what changes when some columns do --------------------------------------------------------------------


@kernel
def _add_up(magnitude, sums, stride, size):
    """Sums over each segment."""
    for s in range(sums.shape[0]):
        for b in range(sums.shape[1]):
            first = second = 0.0
            for c in range(s * stride, s * stride + size):
                value = float(magnitude[b, c])
                first += value
                second += value * value
            sums[s, b, 0], sums[s, b, 1] = first, second


@kernel
def _window_levels(power, spread, gain, first, last, out):
    """Half decibels of the power in the window around columns `first` to `last` - 1, above 90 dB under full scale."""
    reach = spread.size // 2
    columns, bands = power.shape
    total = np.empty(bands)
    for c in range(max(first, 0), min(last, columns)):
        total[:] = 0
        for k in range(spread.size):
            at = min(max(c + k - reach, 0), columns - 1)
            for b in range(bands):
                total[b] += spread[k] * power[at, b]
        for b in range(bands):
            out[c, b + 1] = 45 + 5 * math.log10(total[b] / gain + 1e-9)
        out[c, 0], out[c, bands + 1] = out[c, 1], out[c, bands]


@kernel
def _rise(power, floor, lag, share, c):
    """Mean rise of the bands of a column against the one `lag` before, in dB; what falls does not count."""
    total = 0.0
    for b in range(share.size):
        ratio = (power[c, b] + floor) / (power[max(c - lag, 0), b] + floor)
        if ratio > 1:
            total += share[b] * math.log10(ratio)
    return 10 * total


@kernel
def _rise_cost(rises, power, first, last):
    """Cost of columns `first` to `last` - 1 that rise by more or by less than the target does."""
    cost = 0.0
    for c in range(max(first, 0), min(last, power.shape[0])):
        if rises.extra[c] == 0:
            continue
        more = _rise(power, rises.floor, rises.lag, rises.share, c) - rises.decibels[c]
        cost += rises.extra[c] * max(more, 0.0) + rises.missing[c] * max(-more, 0.0)
    return cost


@inline_kernel
def _mean(before, here, after, b):
    """Weighted mean over a point and its eight neighbours; `b` counts the band that stands twice."""
    return (
        CENTRE * here[b]
        + SIDE * (before[b] + after[b] + here[b - 1] + here[b + 1])
        + CORNER * (before[b - 1] + before[b + 1] + after[b - 1] + after[b + 1])
    )


@inline_kernel
def _product(before, here, after, other_before, other_here, other_after, b):
    """Weighted mean of products over a point and its eight neighbours."""
    return (
        CENTRE * here[b] * other_here[b]
        + SIDE
        * (
            before[b] * other_before[b]
            + after[b] * other_after[b]
            + here[b - 1] * other_here[b - 1]
            + here[b + 1] * other_here[b + 1]
        )
        + CORNER
        * (
            before[b - 1] * other_before[b - 1]
            + before[b + 1] * other_before[b + 1]
            + after[b - 1] * other_after[b - 1]
            + after[b + 1] * other_after[b + 1]
        )
    )


@kernel
def _moments(levels, c, near, out):
    """Local mean and variance of a column; edges go on as they are."""
    before, here, after = levels[max(c - near, 0)], levels[c], levels[min(c + near, levels.shape[0] - 1)]
    for b in range(levels.shape[1] - 2):
        mean = _mean(before, here, after, b + 1)
        out[0, b] = mean
        out[1, b] = max(_product(before, here, after, before, here, after, b + 1) - mean * mean, 0.0)


@kernel
def _points(levels, moments, other, near, importance, first, last):
    """Sum of the likenesses of all points in columns `first` to `last` - 1."""
    total = 0.0
    bands = levels.shape[1] - 2
    like = np.empty(bands)
    for c in range(max(first, 0), min(last, levels.shape[0])):
        m, n = max(c - near, 0), min(c + near, levels.shape[0] - 1)
        b0, b1, b2 = levels[m], levels[c], levels[n]
        o0, o1, o2 = other[m], other[c], other[n]
        for b in range(bands):
            mean, variance = moments[0, c, b], moments[1, c, b]
            own = _mean(o0, o1, o2, b + 1)
            own_variance = max(_product(o0, o1, o2, o0, o1, o2, b + 1) - own * own, 0.0)
            both = _product(b0, b1, b2, o0, o1, o2, b + 1) - mean * own
            brightness = (2 * mean * own + LEVEL_FLOOR) / (mean * mean + own * own + LEVEL_FLOOR)
            like[b] = brightness * (both + STRUCTURE_FLOOR) / (math.sqrt(variance * own_variance) + STRUCTURE_FLOOR)
        column = 0.0
        for b in range(bands):
            column += like[b]
        total += importance[c] * column
    return total


@kernel
def _segments(shape, rows, stride, magnitude, sums, first, count, trial, room):
    """Sum of the likenesses of the segments that hold loud columns `first` to `first + count - 1`, these as in `trial`.

    `trial` is float32 (THIRDS, count); `room` float32 (4, segment columns). What is in `magnitude` is put back.
    """
    bands, size = shape.shape[1], shape.shape[2]
    for b in range(bands):
        for k in range(count):
            kept = magnitude[b, first + k]
            magnitude[b, first + k] = trial[b, k]
            trial[b, k] = kept
    total = 0.0
    begin, end = (first - size + stride) // stride, (first + count - 1) // stride + 1
    for s in range(max(0, begin), min(shape.shape[0], end)):
        start = s * stride
        room[:] = 0
        for b in range(bands):
            linear, square = sums[s, b, 0], sums[s, b, 1]
            for k in range(count):
                if start <= first + k < start + size:
                    old, new = float(trial[b, k]), float(magnitude[b, first + k])
                    linear += new - old
                    square += new * new - old * old
            mean = linear / size
            length = math.sqrt(max(square - size * mean * mean, 0.0)) + 1e-9
            middle, factor = np.float32(mean), np.float32(1 / length)
            for j in range(size):
                value = (magnitude[b, start + j] - middle) * factor
                room[0, j] += value
                room[1, j] += value * value
                room[2, j] += value * shape[s, b, j]
                room[3, j] += value * rows[s, b, j]
        for j in range(size):
            variance = max(room[1, j] - room[0, j] * room[0, j] / bands, np.float32(1e-12))
            total += (1 - ALONE) * room[2, j] / (size * math.sqrt(variance)) + ALONE * room[3, j] / bands
    for b in range(bands):
        for k in range(count):
            kept = magnitude[b, first + k]
            magnitude[b, first + k] = trial[b, k]
            trial[b, k] = kept
    return total


@kernel
def alike(target, now, first, fresh, keep):
    """How much a sound is like its target around some columns, with these columns as in `fresh`; keep them so or not.

    Returns the sums over columns of both likenesses, and what wrong rises cost; only the difference between two calls
    for the same columns means anything. `fresh` is float32 (count, bands): power without any floor.
    """
    count, bands = fresh.shape
    columns = now.power.shape[0]
    # The bands' course
    course_like = 0.0
    loud = 0
    first_place = 0
    trial = np.zeros((THIRDS, count), np.float32)
    thirds = np.empty(THIRDS, np.float32)
    for k in range(count):
        place = target.place[first + k]
        if place < 0:
            continue
        if loud == 0:
            first_place = place
        thirds[:] = 0
        for b in range(bands):
            value = fresh[k, b]
            for g in range(THIRDS):
                thirds[g] += target.thirds[b, g] * value
        for g in range(THIRDS):
            trial[g, loud] = math.sqrt(max(thirds[g], np.float32(0)))
        loud += 1
    size = target.shape.shape[2]
    if loud and target.shape.shape[0]:
        room = np.empty((4, size), np.float32)
        course_like = target.stride * _segments(
            target.shape, target.rows, target.stride, now.magnitude, now.sums, first_place, loud, trial, room
        )
        if keep:
            _keep_magnitude(now, target.stride, size, first_place, loud, trial)
    # The spectrogram
    reach = target.spread.size // 2
    low, high = max(first - reach, 0), min(first + count + reach, columns)
    old_power = now.power[first : first + count].copy()
    old_level = now.level[low:high].copy()
    for k in range(count):
        inner = now.power[first + k]
        inner[:] = 0
        for b in range(bands):
            value = fresh[k, b]
            for a in range(AUDITORY_BANDS):
                inner[a] += target.auditory[b, a] * value
    _window_levels(now.power, target.spread, target.gain, low, high, now.level)
    spectrogram_like = _points(
        target.levels, target.moments, now.level, target.near, target.importance, low - target.near, high + target.near
    )
    rise_cost = _rise_cost(target.rises, now.power, first, first + count + target.rises.lag)
    if not keep:
        now.power[first : first + count] = old_power
        now.level[low:high] = old_level
    return course_like, spectrogram_like / AUDITORY_BANDS, rise_cost


@kernel
def _keep_magnitude(now, stride, size, first, count, trial):
    """Take loud columns over for good."""
    begin, end = (first - size + stride) // stride, (first + count - 1) // stride + 1
    for s in range(max(0, begin), min(now.sums.shape[0], end)):
        for k in range(count):
            if s * stride <= first + k < s * stride + size:
                for b in range(THIRDS):
                    old, new = float(now.magnitude[b, first + k]), float(trial[b, k])
                    now.sums[s, b, 0] += new - old
                    now.sums[s, b, 1] += new * new - old * old
    for k in range(count):
        for b in range(THIRDS):
            now.magnitude[b, first + k] = trial[b, k]


# --- Kernels: choosing again ---------------------------------------------------------------------------------------

OFF = -1
MARGIN = 0.35
"""Worse than this by levels alone, no likeness makes up for: such candidates are not looked at any further."""
LEVEL_MOVES = np.array((-6, -3, -2, -1, 1, 2, 3, 6))
LEAST_GAIN = 1e-4


class Frame(NamedTuple):
    """What may sound in one frame, and what it is compared with."""

    atoms: np.ndarray
    """float32 (atoms, bands)."""
    allowed: np.ndarray
    """bool (slots, atoms)."""
    cost: np.ndarray
    """float64 (slots, atoms + 1): of an atom that differs from the neighbours' ones; the last one: of none."""
    constant: np.ndarray
    """float64 (slots, atoms): constant part at full level."""
    rows: np.ndarray
    """int64 (settings,): rows of the filter's gains."""
    row_cost: np.ndarray
    """float64 (settings,)."""
    around: np.ndarray
    """float64 (2,): constant parts of the frames before and after."""
    compressed: np.ndarray
    """float32 (bands,)."""


class Terms(NamedTuple):
    """What is the same for all frames."""

    gains: np.ndarray
    """float32 (filters, bands)."""
    routed: np.ndarray
    """bool (slots,)."""
    level_of: np.ndarray
    """float32 (levels,): power."""
    coarse: np.ndarray
    """int64: levels at which new atoms are tried."""
    floor: np.ndarray
    weight: np.ndarray
    click: np.ndarray
    weights: np.ndarray
    """float64 (3,): of the distance of levels, the likeness of courses, that of spectrograms."""


@kernel
def _mix(frame, terms, chosen, row, out):
    """Power of a candidate without floor, its clicks with it, and its constant part."""
    out[:] = 0
    constant = 0.0
    for v in range(chosen.shape[0]):
        a = chosen[v, 0]
        if a == OFF:
            continue
        through = terms.gains[row] if terms.routed[v] else terms.gains[0]
        level = terms.level_of[chosen[v, 1]]
        constant += math.sqrt(level) * frame.constant[v, a]
        for b in range(out.size):
            out[b] += level * frame.atoms[a, b] * through[b]
    step = np.float32((constant - frame.around[0]) ** 2 + (constant - frame.around[1]) ** 2)
    for b in range(out.size):
        out[b] += step * terms.click[b]
    return constant


@kernel
def _distance(power, floor, compressed, weight, room):
    """Weighted squared distance between compressed band powers."""
    for b in range(power.size):
        room[b] = math.sqrt(math.sqrt(math.sqrt(power[b] + floor[b])))
    return squared_distance(room, compressed, weight)


@kernel
def _loss(target, now, column, frame, terms, chosen, row, bound, keep, room):
    """Loss of a candidate, and what of it is not likeness; inf where that alone is above `bound`."""
    _mix(frame, terms, chosen, row, room[0])
    plain = terms.weights[0] * float(_distance(room[0], terms.floor, frame.compressed, terms.weight, room[1]))
    for r in range(frame.rows.size):
        if frame.rows[r] == row:
            plain += frame.row_cost[r]
    for v in range(chosen.shape[0]):
        plain += frame.cost[v, chosen[v, 0]]  # OFF is the last one
    if plain > bound:
        return np.inf, plain
    courses, points, rises = alike(target, now, column, room[0:1], keep)
    return plain - terms.weights[1] * courses - terms.weights[2] * points + rises, plain


@kernel
def choose_again(target, now, column, frame, terms, chosen, row, thorough):
    """Change levels, filter setting and atoms of a frame while that makes the sound more like its target.

    `chosen` is int64 (slots, 2), atom or OFF and level, changed in place. Returns the new setting and the loss.
    """
    room = np.empty((2, terms.floor.size), np.float32)
    trial = chosen.copy()
    lowest, plain = _loss(target, now, column, frame, terms, chosen, row, np.inf, False, room)
    for _ in range(2):
        start = lowest
        for r in range(frame.rows.size):
            if frame.rows[r] == row:
                continue
            loss, own = _loss(target, now, column, frame, terms, chosen, frame.rows[r], plain + MARGIN, False, room)
            if loss < lowest - LEAST_GAIN:
                lowest, plain, row = loss, own, frame.rows[r]
        for v in range(chosen.shape[0]):
            kept = chosen[v, 1]
            for n in range(LEVEL_MOVES.size + 1):
                if chosen[v, 0] == OFF:
                    break
                trial[:] = chosen
                if n == LEVEL_MOVES.size:
                    trial[v, 0] = OFF
                else:
                    trial[v, 1] = kept + LEVEL_MOVES[n]
                    if not 0 <= trial[v, 1] < terms.level_of.size:
                        continue
                loss, own = _loss(target, now, column, frame, terms, trial, row, plain + MARGIN, False, room)
                if loss < lowest - LEAST_GAIN:
                    lowest, plain = loss, own
                    chosen[:] = trial
            if not thorough:
                continue
            for a in range(frame.atoms.shape[0]):
                if not frame.allowed[v, a] or a == chosen[v, 0]:
                    continue
                for n in range(terms.coarse.size):
                    trial[:] = chosen
                    trial[v, 0], trial[v, 1] = a, terms.coarse[n]
                    loss, own = _loss(target, now, column, frame, terms, trial, row, plain + MARGIN, False, room)
                    if loss < lowest - LEAST_GAIN:
                        lowest, plain = loss, own
                        chosen[:] = trial
        if lowest > start - 1e-3:
            break
    _loss(target, now, column, frame, terms, chosen, row, np.inf, True, room)
    return row, lowest, plain
