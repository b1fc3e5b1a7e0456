"""What one voice of the chip can sound like: harmonics of every waveform, noise, and what the filter leaves of them.

Waveforms come from the chip's own tables, one period at a time; loudness, noise and filter are measured on the chip.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sidlearn.chip import models
from sidlearn.chip.sid import render_batch
from sidlearn.learn.analyse import GRID_HZ, RATE_HZ, Bands, band_power, bands_for
from sidlearn.registers import (
    CONTROL,
    FC_HI,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    GATE,
    MODE_VOL,
    NOISE,
    PULSE,
    PW_HI,
    PW_LO,
    RES_FILT,
    RING,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    SYNC,
    TRIANGLE,
    voice_register,
)
from sidlearn.writes import RegisterWrites

HARMONICS = 160
PERIOD = 8_192
"""Points of one period of a waveform."""

PLAIN_PARTIALS = 16
PULSE_WIDTHS = (2_048, 1_024, 512, 256, 128, 64)
SYNC_RATIOS = tuple(float(r) for r in np.round(1.25 * 2 ** (np.arange(27) / 5.5), 3))  # 1.25 to 33, 5.5 an octave
RING_RATIOS = tuple(range(1, 17))
NOISE_FREQS = tuple(round(700 * 2 ** (n * 0.5)) for n in range(14))  # 700 to 63 000, half an octave apart
FILTER_CUTOFFS = (0, 192, 320, 384, 432, 480, 544, 608, 704, 800, 896, 1_008, 1_216, 1_472, 1_792)
FILTER_RESONANCES = (0, 15)
LOW_PASS, BAND_PASS, HIGH_PASS = 0x10, 0x20, 0x40
FILTER_MODES = (LOW_PASS, BAND_PASS, HIGH_PASS)

SETTLE_SECONDS, MEASURE_SECONDS = 1.0, 0.5


class Shapes(NamedTuple):
    """Tonal atoms: one row each."""

    control: np.ndarray
    """uint8 (shapes,): waveform, SYNC and RING bits."""
    pulse_width: np.ndarray
    """int64 (shapes,)."""
    ratio: np.ndarray
    """float64 (shapes,): FREQ of the voice over FREQ of the pitch."""
    power: np.ndarray
    """float32 (shapes, HARMONICS): of the pitch's harmonics, from the first, at full envelope."""
    mean: np.ndarray
    """float64 (shapes,): constant part, in units of the waveform DAC."""


class Noises(NamedTuple):
    """Noise atoms."""

    freq: np.ndarray
    """int64 (noises,)."""
    power: np.ndarray
    """float32 (noises, bands)."""


class Filters(NamedTuple):
    """Settings of the filter; the first one is none at all."""

    cutoff: np.ndarray
    """int64 (filters,)."""
    resonance: np.ndarray
    mode: np.ndarray
    """Upper half of MODE_VOL."""
    gain: np.ndarray
    """float32 (filters, bands): of power."""


class Constants(NamedTuple):
    """The constant part of a voice's output at full envelope, as a straight line over that of its waveform."""

    per_wave: float
    offset: float
    low_pass: float
    """By how much the low-pass multiplies it; band-pass and high-pass take it away."""
    start: dict[tuple[int, int], float]
    """(mode, voices through the filter) -> by how much the output steps when the chip is switched on."""


class Dictionary(NamedTuple):
    """All there is to choose from."""

    shapes: Shapes
    noises: Noises
    filters: Filters
    constants: Constants
    click: np.ndarray
    """float32 (bands,): power of a step of 1 at the edge of a frame."""
    bands: Bands


@lru_cache(maxsize=4)
def dictionary(model: str, frame_seconds: float) -> Dictionary:
    """Return the atoms of a chip, measured on it, for frames of a length."""
    bands = bands_for(frame_seconds)
    noise, filter_gain, loudness = _measure(model, bands)
    shapes = _shapes(model)
    shapes = shapes._replace(power=(shapes.power * loudness).astype(np.float32))
    return Dictionary(shapes, noise, filter_gain, _measure_constants(model), _click(frame_seconds, bands), bands)


def partial_power(power: np.ndarray, f0_hz: float, bands: Bands) -> np.ndarray:
    """Return the band power of atoms with harmonics of a pitch: float32 (atoms, bands)."""
    count = min(HARMONICS, int((len(bands.response) - 1) * GRID_HZ / f0_hz))
    rows = np.round(np.arange(1, count + 1) * f0_hz / GRID_HZ).astype(np.int64)
    return power[:, :count] @ bands.response[rows]


# --- Waveforms ---------------------------------------------------------------------------------------------------


def _shapes(model: str) -> Shapes:
    """Return the tonal atoms, in units of the waveform DAC."""
    tables = models.load(model)[0]
    rows: list[tuple[int, int, float, np.ndarray, float]] = []
    phase = np.arange(PERIOD) / PERIOD
    for k in range(1, PLAIN_PARTIALS + 1):
        waves = [(TRIANGLE, 0), (SAWTOOTH, 0)] + [(PULSE, w) for w in PULSE_WIDTHS[: 6 if k <= 2 else 3]]
        for control, width in waves[: 1 if k > 10 else None]:
            wave = _wave(control, width, phase, tables)
            rows.append((control, width, float(k), _spread(wave, k), float(wave.mean())))
    for ratio in SYNC_RATIOS:
        for control, width in ((TRIANGLE, 0), (SAWTOOTH, 0), (PULSE, 2_048), (PULSE, 1_024)):
            wave = _wave(control, width, phase * ratio % 1.0, tables)
            rows.append((control | SYNC, width, ratio, _harmonics(wave), float(wave.mean())))
    for r in RING_RATIOS:
        fold = (np.arange(PERIOD) * 2 < PERIOD).astype(np.int64)
        wave = _wave(TRIANGLE, 0, phase * r % 1.0, tables, fold)
        rows.append((TRIANGLE | RING, 0, float(r), _harmonics(wave), float(wave.mean())))
    control, width, ratio, power, mean = zip(*rows, strict=True)
    return Shapes(
        np.array(control, np.uint8), np.array(width, np.int64), np.array(ratio), np.array(power), np.array(mean)
    )


def _wave(control: int, width: int, phase: np.ndarray, tables, fold: np.ndarray | int = 0) -> np.ndarray:
    """Return the DAC's output for phases 0..1 of an oscillator; `fold` is what ring modulation adds to the top bit."""
    accumulator = (phase * 4_096).astype(np.int64) & 0xFFF
    if control & PULSE:
        value = np.where(accumulator >= width, 0xFFF, 0)
    elif control & SAWTOOTH:
        value = accumulator
    else:
        mirrored = (accumulator >> 11 ^ fold) & 1
        value = ((accumulator ^ -mirrored) << 1) & 0xFFE
    return np.asarray(tables.dac_wave, np.float64)[value]


def _harmonics(wave: np.ndarray) -> np.ndarray:
    """Return the power of the harmonics of one period."""
    spectrum = np.fft.rfft(wave)[1 : HARMONICS + 1] / len(wave)
    return 2 * np.abs(spectrum) ** 2


def _spread(wave: np.ndarray, k: int) -> np.ndarray:
    """Return the harmonics of a pitch of which the wave sounds the k-th."""
    power = np.zeros(HARMONICS)
    own = _harmonics(wave)[: HARMONICS // k]
    power[k - 1 : k * len(own) : k] = own
    return power


# --- Measured on the chip ----------------------------------------------------------------------------------------


def _measure(model: str, bands: Bands) -> tuple[Noises, Filters, float]:
    """Return noise, filter and the power of one unit of the waveform DAC, from renders of the chip."""
    settings = [(0, 0, 0)] + [(c, r, m) for m in FILTER_MODES for r in FILTER_RESONANCES for c in FILTER_CUTOFFS]
    logs = [_log(0x1000, SAWTOOTH, (0, 0, 0))]
    logs += [_log(freq, NOISE, (0, 0, 0)) for freq in NOISE_FREQS]
    logs += [_log(0xFFFF, NOISE, setting) for setting in settings]
    sounds = render_batch(logs, model, RATE_HZ, "fast", threads=2)
    powers = [_mean_power(sound, bands) for sound in sounds]
    saw = _harmonics(_wave(SAWTOOTH, 0, np.arange(PERIOD) / PERIOD, models.load(model)[0]))
    hz = 0x1000 * 985_248 / (1 << 24)
    expected = partial_power(saw[None].astype(np.float32), hz, bands)[0]
    middle = (bands.hz > 200) & (bands.hz < 4_000)
    loudness = float(powers[0][middle].sum() / expected[middle].sum())
    noise = np.array(powers[1 : 1 + len(NOISE_FREQS)], np.float32)
    filtered = np.array(powers[1 + len(NOISE_FREQS) :])
    gain = (filtered / np.maximum(filtered[0], 1e-20)).astype(np.float32)
    cutoff, resonance, mode = np.array(settings, np.int64).T
    return Noises(np.array(NOISE_FREQS, np.int64), noise), Filters(cutoff, resonance, mode, gain), loudness


def _log(freq: int, waveform: int, setting: tuple[int, int, int]) -> RegisterWrites:
    """Return a log of one steady voice."""
    cutoff, resonance, mode = setting
    rows = [
        (voice_register(0, FREQ_LO), freq & 0xFF),
        (voice_register(0, FREQ_HI), freq >> 8),
        (voice_register(0, PW_HI), 8),
        (voice_register(0, SUSTAIN_RELEASE), 0xF0),
        (FC_LO, cutoff & 7),
        (FC_HI, cutoff >> 3),
        (RES_FILT, resonance << 4 | (1 if mode else 0)),
        (MODE_VOL, mode | 15),
        (voice_register(0, CONTROL), waveform | GATE),
    ]
    length = round((SETTLE_SECONDS + MEASURE_SECONDS) * 985_248)
    return RegisterWrites.from_rows([(0, register, value) for register, value in rows], length)


def _mean_power(sound: np.ndarray, bands: Bands) -> np.ndarray:
    """Return the mean band power once the start has died away."""
    first = SETTLE_SECONDS * RATE_HZ
    return band_power(sound, np.arange(first + 1_000, len(sound) - 1_000, 300), bands).mean(axis=0)


def _measure_constants(model: str) -> Constants:
    """Measure what a pulse that stays high or low adds to the output, past the filter and through its low-pass."""
    dac = np.asarray(models.load(model)[0].dac_wave, np.float64)
    at = round(0.02 * RATE_HZ)
    levels = {}
    for mode in (0, LOW_PASS):
        for name, control, width in (("none", 0, 0), ("high", PULSE | GATE, 0), ("low", PULSE | GATE, 0xFFF)):
            rows = [
                (MODE_VOL, mode | 15),
                (RES_FILT, 1 if mode else 0),
                (voice_register(0, SUSTAIN_RELEASE), 0xF0),
                (voice_register(0, PW_LO), width & 0xFF),
                (voice_register(0, PW_HI), width >> 8),
                (voice_register(0, CONTROL), control),
            ]
            log = RegisterWrites.from_rows([(0, register, value) for register, value in rows], 30_000)
            levels[mode, name] = float(render_batch([log], model, RATE_HZ, "fast", threads=1)[0][at])
    high, low = (levels[0, name] - levels[0, "none"] for name in ("high", "low"))
    through = (levels[LOW_PASS, "high"] - levels[LOW_PASS, "low"]) / (high - low)
    per_wave = (high - low) / (dac[0xFFF] - dac[0])
    start = {}
    for mode, count in [(0, 0)] + [(m, n) for m in FILTER_MODES for n in (1, 2, 3)]:
        rows = [(MODE_VOL, mode | 15), (RES_FILT, (1 << count) - 1)]
        log = RegisterWrites.from_rows([(0, register, value) for register, value in rows], 30_000)
        start[mode, count] = float(render_batch([log], model, RATE_HZ, "fast", threads=1)[0][at])
    return Constants(per_wave, high - per_wave * dac[0xFFF], through, start)


def _click(frame_seconds: float, bands: Bands) -> np.ndarray:
    """Return the band power of a step of 1 at the edge of a frame."""
    step = np.zeros(RATE_HZ // 4)
    middle = len(step) // 2
    step[middle:] = 1
    centres = np.array([middle - 0.5 * frame_seconds * RATE_HZ])
    return band_power(step, centres, bands)[0]
