"""Low-pass filters for the decimator with as few taps as their two tolerances allow, designed with NumPy alone.

A window spends as much on the pass band as on the stop band: 144 taps where these take 112. A filter is a sum of
windowed cosines and sines, fitted by least squares to the response that is wanted; where it is worst the fit counts
more the next time, until the error is level (C. L. Lawson, "Contributions to the theory of linear least maximum
approximation", 1961).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

PASS_RIPPLE = 0.0006
"""Largest error in the pass band: 0.005 dB, 63 dB below the sound."""
STOP_RIPPLE = 4e-6
"""And beyond the transition: -108 dB."""
_SLOPE_RIPPLE = 0.2  # and within, from a cosine's slope: guess, what keeps a wide one from going anywhere

_BETA = 2.0  # of the Kaiser window over each cosine: makes the response fall far beyond the last of them
_ROUNDS = 30
_MORE = 10  # cosines beyond the middle of the transition
_PER_LOBE = 8  # frequencies looked at for each lobe of the response
_NEAR_LOBES, _FAR_EVERY, _FAR = 12, 4, 3  # beyond so many lobes fewer, up to so many times the rate
_OVERSAMPLED = 8


def length(transition_hz: float, rate_hz: float) -> float:
    """Taps for that transition. Source: J. F. Kaiser's estimate for equiripple filters (1974)."""
    db = -10 * np.log10(PASS_RIPPLE * STOP_RIPPLE)
    return (db - 13) / (14.6 * transition_hz / rate_hz) + 1


def prototype(
    taps: int, phases: int, pass_hz: float, stop_hz: float, rate_hz: float, response: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return a filter at `phases` positions for each tap.

    Parameters
    ----------
    taps, phases : int
    pass_hz, stop_hz : float
        It follows `response` up to the first, and lets nothing through from the second on.
    rate_hz : float
        Taps a second.
    response : callable
        From frequencies in Hz to the complex response in the pass band, for time 0 in the middle of the filter.

    Returns
    -------
    values : ndarray, float64, shape (taps * phases + 1,)
    """
    count = 1 + _MORE + int((pass_hz + stop_hz) / 2 * taps / rate_hz)
    hz, even, odd = _spectra(taps, count, stop_hz, rate_hz)
    below, slope = hz < stop_hz - hz[1], np.clip((hz - pass_hz) / (stop_hz - pass_hz), 0, 1)
    wanted = np.zeros(len(hz), np.complex128)
    wanted[below] = response(np.minimum(hz[below], (pass_hz + stop_hz) / 2)) * (
        0.5 + 0.5 * np.cos(np.pi * slope[below])
    )
    scale = np.where(below, np.where(hz < pass_hz + hz[1], PASS_RIPPLE, _SLOPE_RIPPLE), STOP_RIPPLE)
    scale[0] = STOP_RIPPLE  # a steady level comes through as it is
    weights, least, best = np.ones(len(hz)), np.inf, (np.zeros(count), np.zeros(count - 1))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights) / scale
        found = _fit(even, wanted.real, root), _fit(odd, wanted.imag, root)
        error = np.hypot(even @ found[0] - wanted.real, odd @ found[1] - wanted.imag) / scale
        if error.max() < least:
            least, best = error.max(), found
        weights *= error
        weights /= weights.max()
    return _values(np.arange(taps * phases + 1) / phases - taps / 2, taps, *best)


def _spectra(taps: int, count: int, stop_hz: float, rate_hz: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies to look at, and there the real spectra of the cosines and the imaginary ones of the sines."""
    half = taps * _OVERSAMPLED // 2
    time = np.arange(-half, half + 1) / _OVERSAMPLED
    share = np.full(len(time), 1 / _OVERSAMPLED)
    share[[0, -1]] /= 2
    hz = np.arange(taps * _PER_LOBE * _FAR) * rate_hz / taps / _PER_LOBE
    place = np.arange(len(hz))
    near = place < stop_hz / hz[1] + _NEAR_LOBES * _PER_LOBE
    keep = near | (place % _FAR_EVERY == 0)
    size = taps * _PER_LOBE * _OVERSAMPLED
    found = []
    for number in range(count):
        turn = 2 * np.pi * number / taps * time
        for wave in (np.cos(turn), np.sin(turn))[: 1 if number == 0 else 2]:
            circle = np.zeros(size)
            circle[np.arange(-half, half + 1)] = _window(time, taps) * share * wave
            found.append(np.fft.rfft(circle)[place[keep]])
    spectra = np.array(found).T
    return (
        hz[keep],
        np.ascontiguousarray(spectra[:, [0, *range(1, 2 * count - 1, 2)]].real),
        np.ascontiguousarray(spectra[:, 2::2].imag),
    )


def _fit(spectra: np.ndarray, wanted: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Least squares, each frequency with the root of its weight."""
    weighted = spectra * root[:, None]
    return np.linalg.solve(weighted.T @ weighted, weighted.T @ (wanted * root))


def _window(time: np.ndarray, taps: int) -> np.ndarray:
    return np.i0(_BETA * np.sqrt(np.maximum(1 - (2 * time / taps) ** 2, 0))) / np.i0(_BETA)


def _values(time: np.ndarray, taps: int, cosines: np.ndarray, sines: np.ndarray) -> np.ndarray:
    """The filter at some times, in taps from its middle."""
    turn = np.exp(2j * np.pi / taps * time)
    series = np.zeros(len(time), np.complex128)
    for cosine, sine in zip(cosines[:0:-1], sines[::-1], strict=True):  # Horner's rule
        series = (series + (cosine - 1j * sine)) * turn
    return _window(time, taps) * (cosines[0] + series.real)
