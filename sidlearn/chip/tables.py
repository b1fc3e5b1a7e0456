"""Every table of the SID's analogue half, from physics or measurement: DACs, op-amps, gain stages.

Voltages are in volts here. `sidlearn.chip.models` scales them to the kernel's units and packs them into one record.
Pure NumPy, so that a torch twin of the chip can use the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Op-amp of the filter as an inverter, (input V, output V), measured on a 6581 R4AR 0687 14.
# Source: the reSID op-amp measurements.
OPAMP_6581 = (
    (0.81, 10.31), (2.40, 10.31), (2.60, 10.30), (2.70, 10.29), (2.80, 10.26), (2.90, 10.17), (3.00, 10.04),
    (3.10, 9.83), (3.20, 9.58), (3.30, 9.32), (3.50, 8.69), (3.70, 8.00), (4.00, 6.89), (4.40, 5.21), (4.54, 4.54),
    (4.60, 4.19), (4.80, 3.00), (4.90, 2.30), (4.95, 2.03), (5.00, 1.88), (5.05, 1.77), (5.10, 1.69), (5.20, 1.58),
    (5.40, 1.44), (5.60, 1.33), (5.80, 1.26), (6.00, 1.21), (6.40, 1.12), (7.00, 1.02), (7.50, 0.97), (8.50, 0.89),
    (10.00, 0.81), (10.31, 0.81),
)  # fmt: skip
# The same on an 8580 R5 1690 25.
OPAMP_8580 = (
    (1.30, 8.91), (4.76, 8.91), (4.77, 8.90), (4.78, 8.88), (4.785, 8.86), (4.79, 8.80), (4.795, 8.60), (4.80, 8.25),
    (4.805, 7.50), (4.81, 6.10), (4.815, 4.05), (4.82, 2.27), (4.825, 1.65), (4.83, 1.55), (4.84, 1.47), (4.85, 1.43),
    (4.87, 1.37), (4.90, 1.34), (5.00, 1.30), (5.10, 1.30), (8.91, 1.30),
)  # fmt: skip

# Resonance resistors of the 8580 in units of the input resistor Ri, read from the die.
# Feedback: 1.4 in parallel with one of these by bits 1-0; input: one of these by bits 3-2.
RESONANCE_8580_FEEDBACK = (np.inf, 15.3, 7.3, 4.7)
RESONANCE_8580_INPUT = (1.0, 1.4, 2.0, 2.8)

# Cutoff curves of five kinds of 6581: (lowest cutoff in Hz, shift in FC steps) for `cutoff_hz_6581`.
# Source: the fits of reDIP-SID to the published collection of measured chips.
CUTOFF_CURVES_6581 = {
    "follin": (240.0, -785.0),
    "galway": (280.0, -405.0),
    "average": (250.0, 0.0),
    "strong": (260.0, 400.0),
    "extreme": (200.0, 760.0),
}


def ladder_weights(bits: int, ratio: float, terminated: bool) -> np.ndarray:
    """Weights of the bits of an R-2R ladder, by solving its node equations.

    Parameters
    ----------
    bits : int
        Length of the ladder.
    ratio : float
        Resistance of a rung over that of the rail between two rungs: 2 in an ideal ladder, about 2.2 in the 6581.
    terminated : bool
        Whether a last rung ties the low end to ground; the 6581 has none.

    Returns
    -------
    weights : ndarray, float64, shape (bits,)
        Bit 0 first; they add up to 1.
    """
    rung = 1 / ratio  # conductances; the rail's is 1
    nodes = np.diag(np.full(bits, rung))
    nodes[0, 0] += rung if terminated else 0
    for low in range(bits - 1):
        nodes[low : low + 2, low : low + 2] += [[1, -1], [-1, 1]]
    weights = np.linalg.solve(nodes, np.eye(bits) * rung)[-1]
    return weights / weights.sum()


def dac(bits: int, ratio: float, terminated: bool, leak: float) -> np.ndarray:
    """Output of a ladder DAC for every code.

    Parameters
    ----------
    bits, ratio, terminated
        As in `ladder_weights`.
    leak : float
        Share of a bit's weight that still comes through when the bit is off.

    Returns
    -------
    levels : ndarray, float64, shape (2**bits,)
        1 for the highest code.
    """
    weights = ladder_weights(bits, ratio, terminated)
    on = (np.arange(1 << bits)[:, None] >> np.arange(bits)) & 1
    return np.where(on, weights, leak * weights).sum(axis=1)


def saturate_6581(level: np.ndarray) -> np.ndarray:
    """Saturation of the 6581's waveform DAC: y = 1.1 x - 0.11 x^3. Source: measured on pyresidfp 0.17.0."""
    return 1.1 * level - 0.11 * level**3


class MonotoneCubic:
    """Cubic interpolation that keeps the data's direction (Fritsch-Butland: weighted harmonic mean of the slopes).

    Parameters
    ----------
    x, y : array_like, shape (points,)
        `x` strictly rising.
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        self.x = np.asarray(x, dtype=np.float64)
        self.y = np.asarray(y, dtype=np.float64)
        width = np.diff(self.x)
        secant = np.diff(self.y) / width
        slope = np.concatenate([secant[:1], np.zeros(len(secant) - 1), secant[-1:]])
        same = secant[:-1] * secant[1:] > 0
        before, after, w0, w1 = secant[:-1][same], secant[1:][same], width[:-1][same], width[1:][same]
        slope[1:-1][same] = 3 * (w0 + w1) / ((w0 + 2 * w1) / before + (2 * w0 + w1) / after)
        total = slope[:-1] + slope[1:] - 2 * secant
        self._slope = slope
        self._square = (secant - slope[:-1] - total) / width
        self._cube = total / width**2

    def __call__(self, at: ArrayLike) -> np.ndarray:
        """Value at `at`, a straight line beyond the ends."""
        value, _ = self.value_and_slope(at)
        return value

    def value_and_slope(self, at: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Value and first derivative at `at`, both in the shape of `at`."""
        inside = np.clip(at, self.x[0], self.x[-1])
        i = np.clip(np.searchsorted(self.x, inside, side="right") - 1, 0, len(self.x) - 2)
        t = inside - self.x[i]
        value = self.y[i] + t * (self._slope[i] + t * (self._square[i] + t * self._cube[i]))
        slope = self._slope[i] + t * (2 * self._square[i] + 3 * t * self._cube[i])
        return value + (at - inside) * slope, slope


def opamp(points: Sequence[tuple[float, float]]) -> MonotoneCubic:
    """Transfer curve of an op-amp, input V to output V, from measured points."""
    return MonotoneCubic(*zip(*points, strict=True))


def opamp_reverse(points: Sequence[tuple[float, float]]) -> MonotoneCubic:
    """Op-amp input V from the voltage across its capacitor (input V - output V), from measured points."""
    x, y = np.array(points).T
    return MonotoneCubic(x - y, x)


def opamp_rest(curve: MonotoneCubic) -> float:
    """The voltage at which an op-amp's input equals its output: where the whole filter rests, in V."""
    low, high = curve.x[0], curve.x[-1]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if curve(middle) > middle else (low, middle)
    return (low + high) / 2


def gain_stage(curve: MonotoneCubic, v_drive: float, ratio: ArrayLike, v_in: np.ndarray) -> np.ndarray:
    """Output of an inverting op-amp stage whose two resistors are MOS transistors in triode.

    The currents through input and feedback transistor are equal:
    (n+1) (B-vx)^2 = n (B-vi)^2 + (B-vo(vx))^2, with B the gate drive and negative brackets taken as 0.

    Parameters
    ----------
    curve : MonotoneCubic
        The op-amp, from `opamp`.
    v_drive : float
        B = Vdd - Vth in V.
    ratio : float or ndarray, shape (stages, 1)
        n, strength of the input over that of the feedback transistor.
    v_in : ndarray, shape (points,)
        Input voltages vi in V.

    Returns
    -------
    v_out : ndarray, float64, shape (points,) or (stages, points)
        In V.
    """
    ratio, v_in = np.broadcast_arrays(np.asarray(ratio, dtype=np.float64), v_in)
    target = ratio * np.maximum(v_drive - v_in, 0) ** 2

    low, high = _bracket(curve, v_drive, ratio, target)
    v_x = (low + high) / 2
    for _ in range(4):  # Newton; within such a bracket the surplus of input current is all but straight
        v_out, slope = curve.value_and_slope(v_x)
        across_in, across_feedback = np.maximum(v_drive - v_x, 0), np.maximum(v_drive - v_out, 0)
        surplus = (ratio + 1) * across_in**2 - across_feedback**2 - target
        v_x = v_x - surplus / (2 * (across_feedback * slope - (ratio + 1) * across_in))
        v_x = np.clip(v_x, low, high)
    return curve(v_x)


def _bracket(
    curve: MonotoneCubic, v_drive: float, ratio: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For every point two close inputs of the op-amp, with no measured point between, that enclose the solution."""
    parts = 8
    knots = np.arange(parts * (len(curve.x) - 1) + 1) / parts
    v_x = np.interp(knots, np.arange(len(curve.x)), curve.x)
    across_in, across_feedback = np.maximum(v_drive - v_x, 0), np.maximum(v_drive - curve(v_x), 0)
    at = np.empty(ratio.shape, dtype=np.int64)
    for index in np.ndindex(ratio.shape[:-1]):
        falling = (ratio[index][0] + 1) * across_in**2 - across_feedback**2
        at[index] = np.searchsorted(-falling, -target[index])
    at = np.clip(at, 1, len(v_x) - 1)
    return v_x[at - 1], v_x[at]


def resonance_ratios_6581() -> np.ndarray:
    """Ratio of the 6581's resonance stage (1/Q) for RES 0..15: shape (16,). Source: the transistors on the die."""
    return (15 - np.arange(16)) / 8


def resonance_ratios_8580() -> np.ndarray:
    """Ratio of the 8580's resonance stage (1/Q) for RES 0..15: shape (16,), close to 2**((4 - RES) / 8)."""
    res = np.arange(16)
    feedback = 1 / (1 / 1.4 + 1 / np.array(RESONANCE_8580_FEEDBACK))
    return feedback[res & 3] / np.array(RESONANCE_8580_INPUT)[res >> 2]


def ekv_current(over_v: np.ndarray, gain_a_v2: float, thermal_v: float) -> np.ndarray:
    """Current of a MOS transistor in the EKV model (slope factor 1) from one end of its channel, in A.

    Parameters
    ----------
    over_v : ndarray
        Gate voltage less threshold, over the voltage of that end.
    gain_a_v2 : float
        u Cox W/L.
    thermal_v : float
        kT/q.
    """
    x = over_v / (2 * thermal_v)
    softplus = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))  # ln(1 + e^x) without overflow
    return 2 * gain_a_v2 * thermal_v**2 * softplus**2


def cutoff_hz_6581(dac_level: np.ndarray, base_hz: float, shift: float) -> np.ndarray:
    """Cutoff of a 6581 by a curve of `CUTOFF_CURVES_6581`, for the level 0..1 of its cutoff DAC, in Hz."""
    return base_hz + 12_000 * (1 + np.tanh((2047 * dac_level - (1536 + shift)) / 350))


def words(intercept: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Pairs of float32 as words of eight bytes, which one load fetches: int64, in the shape of both."""
    pair = np.stack([intercept, slope], axis=-1).astype(np.float32)
    return pair.view(np.int64)[..., 0]


def lines(values: np.ndarray, start: float, span: float) -> np.ndarray:
    """A table over ``start`` to ``start + span`` as a straight line for each interval, and one more for the end.

    Parameters
    ----------
    values : ndarray, shape (intervals + 1,)
    start, span : float

    Returns
    -------
    words : ndarray, int64, shape (intervals + 1,)
        Intercept and slope of each line, see `words`: the value at x is intercept + slope * x.
    """
    values = np.asarray(values, np.float64)
    intervals = len(values) - 1
    slope = np.diff(values) * intervals / span
    intercept = values[:-1] - slope * (start + span * np.arange(intervals) / intervals)
    return words(np.append(intercept, intercept[-1]), np.append(slope, slope[-1]))
