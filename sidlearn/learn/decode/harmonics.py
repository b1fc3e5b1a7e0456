"""What one voice explains at every FREQ at once, by the Fourier series of its waveform.

A voice at FREQ f is a sum of harmonics m f, and how far each of them explains a sound is in the sound's spectrum at
m f: one transform serves all FREQ of an even grid. Energies are those of the averaged waveform and of the first
harmonics of its square, so that scores are near to those of `kernel.scan_frequencies`, which looks at every sample of
every FREQ; who wants the best value asks that one about the neighbours of what is found here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sidlearn._kernel import kernel as compiled
from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import SAMPLE_CYCLES

SIZE = 24_576
"""Of the transform: a 28th of a period of the fundamental after a PAL frame lies between two FREQ."""
PERIOD = 1 << 24
TOP = round(SIZE * 0.37)
"""Highest place of a harmonic, 15 kHz on a PAL chip: little passes the low-pass above."""
HARMONICS = 128
FIRST = 4
"""Harmonics of the energy and of the mean."""
LOWEST_PLACE = 4


@lru_cache(maxsize=1)
def grid() -> np.ndarray:
    """Return the FREQ, int64."""
    places = np.arange(LOWEST_PLACE, int(0xFFFF * SAMPLE_CYCLES * SIZE / PERIOD) + 1)
    return np.round(places * (PERIOD / (SAMPLE_CYCLES * SIZE))).astype(np.int64)


def series(table: np.ndarray, harmonics: int) -> np.ndarray:
    """Return the Fourier coefficients of a waveform whose integral `table` is, complex128 (harmonics + 1,)."""
    levels = np.diff(table)
    m = np.arange(harmonics + 1)
    return np.fft.rfft(levels)[: harmonics + 1] / len(levels) * np.exp(-1j * np.pi * m / len(levels))


@lru_cache(maxsize=1)
def averaging() -> np.ndarray:
    """Return what is left of a harmonic at each place after a sample's average, float64 (TOP + 1,)."""
    return np.sinc(np.arange(TOP + 1) / SIZE)


@compiled
def harmonic_scores(crosses, firsts, squares, kept, wave, square, begin, turn, low, least, most, scores):
    """Set `scores` to what a voice explains at the places from `low` on; see `explained`.

    `crosses`, `firsts` and `squares` are spectra, `wave` and `square` Fourier coefficients, `kept` what averages leave.
    The phase of the first sample is `begin` and `turn` more a place, in periods.
    """
    top = kept.size - 1
    for i in range(scores.size):
        k = low + i
        angle = 2 * np.pi * ((begin + turn * k) % 1.0)
        rotation = complex(np.cos(angle), np.sin(angle))
        now = complex(1.0, 0.0)
        cross = wave[0].real * crosses[0].real
        mean = wave[0].real * firsts[0].real
        power = wave[0].real * wave[0].real
        energy = 0.0
        m = 1
        while m < wave.size and m * k <= top:
            now *= rotation
            at = m * k
            c = wave[m] * kept[at]
            cross += 2 * (c * now * crosses[at]).real
            power += 2 * (c.real * c.real + c.imag * c.imag)
            if m < square.size:
                mean += 2 * (c * now * firsts[at]).real
                energy += 2 * (square[m] * now * squares[at]).real
            m += 1
        energy += power * squares[0].real - mean * mean / firsts[firsts.size - 1].real
        g = min(max(cross / max(energy, 1e-12), least), most)
        scores[i] = 2 * g * cross - g * g * energy


def explained(
    rest: np.ndarray,
    gain: np.ndarray,
    constant: float,
    table: np.ndarray,
    phase: float,
    written: int,
    skip: int,
    least: float,
    most: float,
) -> np.ndarray:
    """Return the energy of `rest` that a voice explains at each FREQ of `grid`, float64.

    Parameters
    ----------
    rest, gain : ndarray, float64, shape (samples,)
        What is left, and what the waveform is multiplied by, from the frame's first sample on.
    constant : float
        What is added to the waveform.
    table : ndarray, float64, shape (4097,)
        Integral of the waveform.
    phase : float
        Of the accumulator as FREQ is written, in cycle `written`.
    skip : int
        Samples that are not looked at.
    least, most : float
        What levels may be multiplied by.
    """
    used = gain.copy()
    used[:skip] = 0
    spectra = np.conj(np.fft.rfft(np.stack((used * rest, used, used * used)), SIZE, axis=1)[:, : TOP + 1])
    wave = series(table, HARMONICS)
    wave[0] += constant
    levels = np.diff(table) + constant
    square = series(np.concatenate(([0.0], np.cumsum(levels * levels))), FIRST)
    spectra[1, TOP] = len(rest) - skip
    delay = (SAMPLE_CYCLES - kernel.SAMPLE_DELAY - written) / (SAMPLE_CYCLES * SIZE)
    scores = np.empty(len(grid()))
    cross, first, energy = spectra
    harmonic_scores(
        cross, first, energy, averaging(), wave, square, phase / PERIOD, delay, LOWEST_PLACE, least, most, scores
    )
    return scores
