"""The chip's filter as a recursion over steps, with its own op-amps and transistors, forwards and backwards.

The filter is two charges, of the band-pass and the low-pass integrator. A step goes by the implicit midpoint rule,
which is stable at any cutoff: the charges m in its middle solve ``m = before + step / 2 * flow(m)``, by Newton's method
from where the slopes of the step before lead, and ``after = 2 m - before``. Its own slopes follow from the solution,
not from the way to it. The step is made longer for high cutoffs by just what the rule bends them down.

Chips are worked on `LANES` at a time, in short loops over the lanes that become vectors; table look-ups stand in loops
of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from sidlearn._kernel import kernel, part_kernel
from sidlearn.chip import models
from sidlearn.chip.models import LINES, VCR_SIZE, VCR_ZERO
from sidlearn.chip.vectors import look_up
from sidlearn.surrogate.batch import LANES, array, over_rows, tensor_like
from sidlearn.surrogate.grid import Cells

BLOCK = 64
"""Steps whose inputs are laid out for that at a time."""
AFTER_WRITE = 3
"""Iterations more in the first cell after a write, which no forecast can foresee."""
MOST_CHARGE = 0.999
"""Charges that a forecast may not pass; the tables end at 1."""
MOST_BEND = 1.3
"""How far a step may differ for a cutoff: up to where the midpoint rule's own bend is of no use any more. A guess."""


_PER_LANE = (
    # given: charges, input, gate, half of a step and of the cell, share of the next resonance, lines of the summer per
    # unit of sum
    "band", "low", "v_in", "gate", "whole", "half", "share", "per_sum",
    # look-ups, as intercept and slope
    "x_band", "x_band_slope", "x_low", "x_low_slope", "damped", "damped_slope", "next", "next_slope",
    "high", "summer_slope",
    # found
    "out_band", "out_low", "damping_step", "total", "over_high", "over_band", "root_high", "root_band",
    "from_x_band", "from_high", "from_x_low", "from_band",
    "slope_x_band", "slope_high", "slope_x_low", "slope_out", "near_1", "near_2", "near_3", "near_4",
    # where flows are taken: at what was found, or at what the slopes of the step before lead to
    "at_high", "at_x_band", "at_x_low", "at_out_band", "at_total",
    "flow_band", "flow_low", "by_high", "by_out_band", "by_x_band", "by_x_low", "band_by_gate", "low_by_gate",
    "j00", "j01", "j10", "j11", "high_by_band", "high_by_low",
    # carried along
    "band_before", "low_before", "band_at", "low_at", "v_at", "per", "to_band", "to_low", "taken",
    # slopes of one step
    "given", "by_resonance", "by_gate", "by_bend",
    # which outputs are selected, 0 or 1
    "takes_low", "takes_band", "takes_high",
)  # fmt: skip
_INDICES = (
    "at_band", "at_low", "at_damping", "damping_row", "summer_row", "at_sum", "at_1", "at_2", "at_3", "at_4",
)  # fmt: skip
_CONSTANTS = (
    "drive", "pinch", "snake", "zero", "half_", "one", "two", "lines_half", "top", "vcr_size", "vcr_zero", "vcr_top",
    "most",
)  # fmt: skip


@lru_cache
def _work_dtype(kind: type) -> np.dtype:
    """Room for one step of all lanes, as one record: its parts lie at fixed places, so that loops become vectors.

    They do so only where all else that a loop reads is in variables of its own: what is read from the record at one
    place might, for all the compiler knows, be written at another.
    """
    lanes = [(name, kind, (LANES,)) for name in _PER_LANE] + [(name, np.int32, (LANES,)) for name in _INDICES]
    return np.dtype(lanes + [(name, kind) for name in _CONSTANTS], align=True)


@dataclass(frozen=True)
class Filter:
    """The tables of one chip's filter. Straight lines stand as complex numbers: intercept and slope."""

    reverse: np.ndarray
    """Op-amp input by charge, (LINES + 1,) lines."""
    damping: np.ndarray
    """Resonance stage by the band-pass's charge, (16 * (LINES + 1),) lines."""
    summer: np.ndarray
    """Summer by the sum of its inputs, (7 * (LINES + 1),) lines."""
    current: np.ndarray
    """6581: of the voltage-controlled resistor, and what is added to the next entry: complex (VCR_SIZE,)."""
    gate: np.ndarray
    """By FC: 6581 `vcr_gate`, 8580 `cutoff`; (2048,)."""
    bend: np.ndarray
    """By FC: what a step is to be multiplied by, (2048,)."""
    is_8580: bool
    drive: float
    threshold: float
    snake: float

    def astype(self, kind: type) -> Filter:
        """Return the same in another float type."""
        arrays = {n: v for n, v in self.__dict__.items() if isinstance(v, np.ndarray)}
        pair = np.result_type(kind, np.complex64)
        fields: dict[str, Any] = {n: v.astype(pair if np.iscomplexobj(v) else kind) for n, v in arrays.items()}
        return replace(self, **fields)

    def work(self, kind: type) -> np.ndarray:
        """Return room for the work on `LANES` chips, with the constants filled in."""
        work = np.zeros(1, _work_dtype(kind))
        values = {
            "drive": self.drive, "pinch": self.drive - self.threshold, "snake": self.snake, "zero": 0, "half_": 0.5,
            "one": 1, "two": 2, "lines_half": LINES / 2, "top": LINES - 0.01, "vcr_size": VCR_SIZE,
            "vcr_zero": VCR_ZERO, "vcr_top": VCR_SIZE - 2, "most": MOST_CHARGE,
        }  # fmt: skip
        for name, value in values.items():
            work[name] = value
        return work


@lru_cache(maxsize=8)
def tables(name: str, step_cycles: float, clock_hz: int, profile: str = "") -> Filter:
    """Return the tables of a chip for steps of so many cycles; `name` and `profile` as in `sidlearn.chip.models`."""
    model = models.load(name, clock_hz, **models.profile(profile))[0]
    made = Filter(
        _lines(model.reverse_lines),
        _lines(model.damping_lines),
        _lines(model.summer_lines),
        _steps(np.asarray(model.vcr_current, np.float64)),
        np.asarray(model.cutoff if model.is_8580 else model.vcr_gate, np.float64),
        np.ones(2048),
        bool(model.is_8580),
        float(model.drive),
        float(model.threshold),
        float(model.snake),
    )
    bend = np.empty(2048)
    work = made.work(np.float64)
    bends(
        work[0], made.reverse, made.damping, made.summer, made.current, made.gate, made.is_8580, model.voice_dc,
        step_cycles, bend,
    )  # fmt: skip
    return replace(made, bend=bend)


def _lines(words: np.ndarray) -> np.ndarray:
    """Return lines as complex numbers (intercept, slope) from words of two float32."""
    return np.asarray(words).reshape(-1).view(np.complex64).astype(np.complex128)


def _steps(values: np.ndarray) -> np.ndarray:
    """Return a table as complex numbers: an entry, and what leads to the next."""
    return values + 1j * np.diff(values, append=values[-1:])


class Recur(torch.autograd.Function):
    """(b, cells) voltages into the filter, (b, slots) cutoffs 0..2047 and resonances 0..15 to (b, cells): the sum of
    the selected outputs."""

    @staticmethod
    def forward(
        ctx, routed, cutoff, resonance, inputs, selected, cells: Cells, step_cycles, made: Filter, iterations: int
    ):
        kind = np.float64 if routed.dtype == torch.float64 else np.float32
        made = made.astype(kind)
        values, fc, res = array(routed), array(cutoff).astype(kind), array(resonance).astype(kind)
        out = np.zeros_like(values)
        shares = cells.shares.astype(kind)
        keep = bool(ctx.needs_input_grad[0] or ctx.needs_input_grad[1] or ctx.needs_input_grad[2])
        middles: dict[tuple[int, int], np.ndarray] = {}  # by the rows that are worked on side by side

        def work(begin: int, end: int) -> None:
            middles[begin, end] = np.empty((values.shape[1] if keep else 1, 2, LANES), kind)
            recur(
                made.work(kind)[0], values[begin:end], fc[begin:end], res[begin:end], inputs[begin:end],
                selected[begin:end], cells.slots, shares, kind(step_cycles), made.reverse, made.damping, made.summer,
                made.current, made.gate, made.bend, made.is_8580, iterations, out[begin:end],
                middles[begin, end], keep,
            )  # fmt: skip

        over_rows(work, len(values), LANES)
        ctx.save_for_backward(routed, cutoff, resonance)
        ctx.setting = inputs, selected, cells, shares, step_cycles, made, middles
        return tensor_like(out, routed)

    @staticmethod
    def backward(ctx, grad):
        routed, cutoff, resonance = ctx.saved_tensors
        inputs, selected, cells, shares, step_cycles, made, middles = ctx.setting
        values, given = array(routed), array(grad)
        kind = values.dtype.type
        fc, res = array(cutoff).astype(kind), array(resonance).astype(kind)
        to_input = np.zeros_like(values)
        to_cutoff, to_resonance = np.zeros(fc.shape), np.zeros(res.shape)

        def work(begin: int, end: int) -> None:
            slope_recur(
                made.work(kind)[0], values[begin:end], fc[begin:end], res[begin:end], inputs[begin:end],
                selected[begin:end], cells.slots, shares, kind(step_cycles), made.reverse, made.damping, made.summer,
                made.current, made.gate, made.bend, made.is_8580, middles[begin, end], given[begin:end],
                to_input[begin:end], to_cutoff[begin:end], to_resonance[begin:end],
            )  # fmt: skip

        parts = sorted(middles)  # as they were, whatever the number of threads is now

        def work_parts(first: int, last: int) -> None:
            for part in parts[first:last]:
                work(*part)

        over_rows(work_parts, len(parts))
        return (
            tensor_like(to_input, routed),
            tensor_like(to_cutoff, cutoff).to(cutoff.dtype),
            tensor_like(to_resonance, resonance).to(resonance.dtype),
            *[None] * 6,
        )


# --- Kernels -----------------------------------------------------------------------------------------------------


@part_kernel
def expand(w, reverse, damping, summer, current, is_8580, between=True, ahead=False):
    """Flows of both charges, their slopes and the outputs of all lanes, at the charges that stand in `w`.

    `between`: whether the row of the next resonance is asked for. `ahead`: outputs are known so well beforehand
    (`begin_step`) that the lines to look up are those at them, and all are looked up at once instead of one output
    after the other; flows follow the outputs from there on their slopes.
    """
    zero, one, lines_half, top = w["zero"], w["one"], w["lines_half"], w["top"]
    for i in range(LANES):
        w["at_band"][i] = np.int32(min(max(zero, (w["band"][i] + one) * lines_half), top))
    for i in range(LANES):
        w["at_low"][i] = np.int32(min(max(zero, (w["low"][i] + one) * lines_half), top))
    for i in range(LANES):
        w["at_damping"][i] = w["at_band"][i] + w["damping_row"][i]
    look_up(reverse, w["at_band"], LANES, w["x_band"], w["x_band_slope"])
    look_up(reverse, w["at_low"], LANES, w["x_low"], w["x_low_slope"])
    look_up(damping, w["at_damping"], LANES, w["damped"], w["damped_slope"])
    if between:
        for i in range(LANES):
            w["at_damping"][i] += LINES + 1
        look_up(damping, w["at_damping"], LANES, w["next"], w["next_slope"])
    for i in range(LANES):
        band, low, share = w["band"][i], w["low"][i], w["share"][i]
        w["x_band"][i] += w["x_band_slope"][i] * band
        w["x_low"][i] += w["x_low_slope"][i] * low
        w["out_band"][i], w["out_low"][i] = w["x_band"][i] - band, w["x_low"][i] - low
        damped = w["damped"][i] + w["damped_slope"][i] * band
        step = w["next"][i] + w["next_slope"][i] * band - damped
        w["damping_step"][i] = step
        w["damped_slope"][i] += share * (w["next_slope"][i] - w["damped_slope"][i])
        w["total"][i] = w["v_in"][i] + (damped + share * step) + w["out_low"][i]
    if not ahead:
        for i in range(LANES):
            w["at_total"][i] = w["total"][i]
    for i in range(LANES):
        w["at_sum"][i] = np.int32(min(max(zero, w["at_total"][i] * w["per_sum"][i]), top)) + w["summer_row"][i]
    look_up(summer, w["at_sum"], LANES, w["high"], w["summer_slope"])
    for i in range(LANES):
        w["high"][i] += w["summer_slope"][i] * w["total"][i]
    if not ahead:
        for i in range(LANES):
            w["at_high"][i], w["at_out_band"][i] = w["high"][i], w["out_band"][i]
            w["at_x_band"][i], w["at_x_low"][i] = w["x_band"][i], w["x_low"][i]
    if is_8580:
        flow_8580(w)
    else:
        flow_6581(w, current)
    if ahead:
        for i in range(LANES):
            w["flow_band"][i] += w["by_high"][i] * (w["high"][i] - w["at_high"][i])
            w["flow_band"][i] += w["by_x_band"][i] * (w["x_band"][i] - w["at_x_band"][i])
            w["flow_low"][i] += w["by_out_band"][i] * (w["out_band"][i] - w["at_out_band"][i])
            w["flow_low"][i] += w["by_x_low"][i] * (w["x_low"][i] - w["at_x_low"][i])
    for i in range(LANES):
        by_high, by_out_band = w["by_high"][i], w["by_out_band"][i]
        w["high_by_band"][i] = w["summer_slope"][i] * w["damped_slope"][i]
        w["high_by_low"][i] = w["summer_slope"][i] * (w["x_low_slope"][i] - one)
        half = w["half"][i]
        w["j00"][i] = one - half * (by_high * w["high_by_band"][i] + w["by_x_band"][i] * w["x_band_slope"][i])
        w["j01"][i] = -half * (by_high * w["high_by_low"][i])
        w["j10"][i] = -half * (by_out_band * (w["x_band_slope"][i] - one))
        w["j11"][i] = one - half * (w["by_x_low"][i] * w["x_low_slope"][i])


@part_kernel
def flow_8580(w):
    """Charge per cycle of both integrators, fed by transistors in triode; and its slopes."""
    drive, zero, two = w["drive"], w["zero"], w["two"]
    for i in range(LANES):
        gate = w["gate"][i]
        over_in, over_x = max(drive - w["at_high"][i], zero), drive - w["at_x_band"][i]
        w["band_by_gate"][i] = over_x * over_x - over_in * over_in
        w["flow_band"][i] = gate * w["band_by_gate"][i]
        w["by_high"][i], w["by_x_band"][i] = two * gate * over_in, -(two * gate * over_x)
        over_in, over_x = max(drive - w["at_out_band"][i], zero), drive - w["at_x_low"][i]
        w["low_by_gate"][i] = over_x * over_x - over_in * over_in
        w["flow_low"][i] = gate * w["low_by_gate"][i]
        w["by_out_band"][i], w["by_x_low"][i] = two * gate * over_in, -(two * gate * over_x)


@part_kernel
def flow_6581(w, current):
    """The same for the 6581: the snake in triode, beside the voltage-controlled resistor."""
    drive, pinch, snake, zero, half_unit, two, vcr_size, vcr_zero, vcr_top = (
        w["drive"],
        w["pinch"],
        w["snake"],
        w["zero"],
        w["half_"],
        w["two"],
        w["vcr_size"],
        w["vcr_zero"],
        w["vcr_top"],
    )
    for i in range(LANES):
        over = drive - w["at_high"][i]
        w["root_high"][i] = np.sqrt(w["gate"][i] + half_unit * (over * over))
        w["over_high"][i] = over
        edge = pinch - w["root_high"][i]
        # Positions in the table of currents; their whole part is the entry.
        w["from_x_band"][i] = (edge - w["at_x_band"][i]) * vcr_size + vcr_zero
        w["from_high"][i] = (edge - w["at_high"][i]) * vcr_size + vcr_zero
        over = drive - w["at_out_band"][i]
        w["root_band"][i] = np.sqrt(w["gate"][i] + half_unit * (over * over))
        w["over_band"][i] = over
        edge = pinch - w["root_band"][i]
        w["from_x_low"][i] = (edge - w["at_x_low"][i]) * vcr_size + vcr_zero
        w["from_band"][i] = (edge - w["at_out_band"][i]) * vcr_size + vcr_zero
    for i in range(LANES):
        w["at_1"][i] = np.int32(min(max(zero, w["from_x_band"][i]), vcr_top))
    for i in range(LANES):
        w["at_2"][i] = np.int32(min(max(zero, w["from_high"][i]), vcr_top))
    for i in range(LANES):
        w["at_3"][i] = np.int32(min(max(zero, w["from_x_low"][i]), vcr_top))
    for i in range(LANES):
        w["at_4"][i] = np.int32(min(max(zero, w["from_band"][i]), vcr_top))
    look_up(current, w["at_1"], LANES, w["near_1"], w["slope_x_band"])
    look_up(current, w["at_2"], LANES, w["near_2"], w["slope_high"])
    look_up(current, w["at_3"], LANES, w["near_3"], w["slope_x_low"])
    look_up(current, w["at_4"], LANES, w["near_4"], w["slope_out"])
    for i in range(LANES):
        w["from_x_band"][i] = w["near_1"][i] + (w["from_x_band"][i] - np.float32(w["at_1"][i])) * w["slope_x_band"][i]
        w["from_high"][i] = w["near_2"][i] + (w["from_high"][i] - np.float32(w["at_2"][i])) * w["slope_high"][i]
        w["from_x_low"][i] = w["near_3"][i] + (w["from_x_low"][i] - np.float32(w["at_3"][i])) * w["slope_x_low"][i]
        w["from_band"][i] = w["near_4"][i] + (w["from_band"][i] - np.float32(w["at_4"][i])) * w["slope_out"][i]
    for i in range(LANES):
        size = vcr_size
        out_slope, back_slope = w["slope_x_band"][i] * size, w["slope_high"][i] * size
        over_in, over_x, root = w["over_high"][i], drive - w["at_x_band"][i], w["root_high"][i]
        by_over = (out_slope - back_slope) * half_unit / root
        w["flow_band"][i] = snake * (over_x * over_x - over_in * over_in) + (w["from_x_band"][i] - w["from_high"][i])
        w["by_high"][i] = two * snake * over_in + back_slope + by_over * over_in
        w["by_x_band"][i] = -(two * snake * over_x + out_slope)
        w["band_by_gate"][i] = -by_over
        out_slope, back_slope = w["slope_x_low"][i] * size, w["slope_out"][i] * size
        over_in, over_x, root = w["over_band"][i], drive - w["at_x_low"][i], w["root_band"][i]
        by_over = (out_slope - back_slope) * half_unit / root
        w["flow_low"][i] = snake * (over_x * over_x - over_in * over_in) + (w["from_x_low"][i] - w["from_band"][i])
        w["by_out_band"][i] = two * snake * over_in + back_slope + by_over * over_in
        w["by_x_low"][i] = -(two * snake * over_x + out_slope)
        w["low_by_gate"][i] = -by_over


@part_kernel
def gate_at(cutoff, table):
    """Value of a table of the cutoff between its entries, and the slope."""
    n = min(int(cutoff), 2046)
    step = table[n + 1] - table[n]
    return table[n] + (cutoff - n) * step, step


@part_kernel
def set_frame(w, f, cutoff, resonance, inputs, selected, step, gates, bends_):
    """What registers set for all lanes in a frame. Returns whether a resonance is between two whole ones."""
    lanes = cutoff.shape[0]
    for i in range(LANES):
        lane = i if i < lanes else 0
        w["gate"][i] = gate_at(cutoff[lane, f], gates)[0]
        w["whole"][i] = step * gate_at(cutoff[lane, f], bends_)[0] / 2
        res = min(int(resonance[lane, f]), 14)
        w["share"][i] = resonance[lane, f] - res
        w["damping_row"][i] = res * (LINES + 1)
        w["summer_row"][i] = inputs[lane, f] * (LINES + 1)
        w["per_sum"][i] = LINES / inputs[lane, f]
        w["takes_low"][i] = selected[lane, f] & 1
        w["takes_band"][i] = selected[lane, f] >> 1 & 1
        w["takes_high"][i] = selected[lane, f] >> 2 & 1
    between = w["share"].any()
    if not between:
        for i in range(LANES):
            w["next"][i] = w["next_slope"][i] = w["zero"]
    return between


@part_kernel
def newton(w):
    """One step of Newton's method towards the middle of the step; the outputs follow it on their slopes."""
    one, most = w["one"], w["most"]
    for i in range(LANES):
        off_band = w["band_before"][i] + w["half"][i] * w["flow_band"][i] - w["band"][i]
        off_low = w["low_before"][i] + w["half"][i] * w["flow_low"][i] - w["low"][i]
        per = one / (w["j00"][i] * w["j11"][i] - w["j01"][i] * w["j10"][i])
        to_band = (w["j11"][i] * off_band - w["j01"][i] * off_low) * per
        to_low = (w["j00"][i] * off_low - w["j10"][i] * off_band) * per
        w["out_band"][i] += (w["x_band_slope"][i] - one) * to_band
        w["out_low"][i] += (w["x_low_slope"][i] - one) * to_low
        w["high"][i] += w["high_by_band"][i] * to_band + w["high_by_low"][i] * to_low
        w["total"][i] += w["damped_slope"][i] * to_band + (w["x_low_slope"][i] - one) * to_low
        w["per"][i], w["v_at"][i] = per, w["v_in"][i]
        w["band_at"][i], w["low_at"][i] = w["band"][i], w["low"][i]
        w["band"][i] = min(max(-most, w["band"][i] + to_band), most)
        w["low"][i] = min(max(-most, w["low"][i] + to_low), most)


@part_kernel
def load_inputs(values, begin, count, block):
    """Lay the inputs of some steps out lane by lane."""
    lanes = values.shape[0]
    for lane in range(LANES):
        row = values[lane if lane < lanes else 0]
        for i in range(count):
            block[i, lane] = row[begin + i]


@part_kernel
def begin_step(w, v_in, share):
    """Input, length and forecast of a step: where Newton's method leads from the slopes of the step before.

    The outputs follow on the same slopes, from where they were in the middle of that step.
    """
    one, most = w["one"], w["most"]
    for i in range(LANES):
        w["v_in"][i] = v_in[i]
    for i in range(LANES):
        half = w["whole"][i] * share
        by_input = w["by_high"][i] * w["summer_slope"][i] * (w["v_in"][i] - w["v_at"][i])
        off_band = w["band_before"][i] + half * (w["flow_band"][i] + by_input) - w["band_at"][i]
        off_low = w["low_before"][i] + half * w["flow_low"][i] - w["low_at"][i]
        to_band = (w["j11"][i] * off_band - w["j01"][i] * off_low) * w["per"][i]
        to_low = (w["j00"][i] * off_low - w["j10"][i] * off_band) * w["per"][i]
        w["half"][i] = half
        band = min(max(-most, w["band_at"][i] + to_band), most)
        low = min(max(-most, w["low_at"][i] + to_low), most)
        to_band, to_low = band - w["band"][i], low - w["low"][i]
        w["band"][i], w["low"][i] = band, low
        w["at_out_band"][i] = w["out_band"][i] + (w["x_band_slope"][i] - one) * to_band
        w["at_x_band"][i] = w["at_out_band"][i] + band
        by_low = (w["x_low_slope"][i] - one) * to_low
        w["at_x_low"][i] = w["out_low"][i] + by_low + low
        rise = (w["v_in"][i] - w["v_at"][i]) + w["damped_slope"][i] * to_band + by_low
        w["at_total"][i] = w["total"][i] + rise
        w["at_high"][i] = w["high"][i] + w["summer_slope"][i] * rise


@part_kernel
def end_step(w, out):
    """From the middle of a step to its end; the selected outputs."""
    two = w["two"]
    for i in range(LANES):
        w["band_before"][i] = two * w["band"][i] - w["band_before"][i]
        w["low_before"][i] = two * w["low"][i] - w["low_before"][i]
        taken = w["takes_low"][i] * w["out_low"][i] + w["takes_band"][i] * w["out_band"][i]
        w["taken"][i] = taken + w["takes_high"][i] * w["high"][i]
    for i in range(LANES):
        out[i] = w["taken"][i]


@part_kernel
def keep_step(w, middle):
    """Note the charges in the middle of a step."""
    for i in range(LANES):
        middle[0, i] = w["band"][i]
    for i in range(LANES):
        middle[1, i] = w["low"][i]


@kernel
def recur(
    w, values, cutoff, resonance, inputs, selected, first, shares, step, reverse, damping, summer, current, gates,
    bends_, is_8580, iterations, out, middles, keep,
):  # fmt: skip
    """Filter some chips side by side; `middles` keeps the charges in the middle of each step."""
    lanes = values.shape[0]
    block = np.empty((BLOCK, LANES), values.dtype)
    for f in range(cutoff.shape[1]):
        between = set_frame(w, f, cutoff, resonance, inputs, selected, step, gates, bends_)
        for begin in range(first[f] if f else 0, first[f + 1], BLOCK):
            count = min(BLOCK, first[f + 1] - begin)
            load_inputs(values, begin, count, block)
            recur_block(
                w, block, begin, count, first[f], shares, reverse, damping, summer, current, is_8580, iterations,
                between, middles, keep,
            )  # fmt: skip
            for lane in range(lanes):
                for i in range(count):
                    out[lane, begin + i] = block[i, lane]


@part_kernel
def recur_block(
    w, block, begin, count, written, shares, reverse, damping, summer, current, is_8580, iterations, between, middles,
    keep,
):  # fmt: skip
    """Filter the inputs of some cells in place; `written` is the cell at which registers were set."""
    for n in range(count):
        begin_step(w, block[n], shares[begin + n])
        after_write = begin + n == 0 or begin + n == written
        ahead = iterations == 1 and not (after_write or is_8580)  # an 8580 gains nothing
        for _ in range(iterations + AFTER_WRITE if after_write else iterations):
            expand(w, reverse, damping, summer, current, is_8580, between, ahead)
            newton(w)
        end_step(w, block[n])
        if keep:
            keep_step(w, middles[begin + n])


@kernel
def slope_recur(
    w, values, cutoff, resonance, inputs, selected, first, shares, step, reverse, damping, summer, current, gates,
    bends_, is_8580, middles, given, to_input, to_cutoff, to_resonance,
):  # fmt: skip
    """Slopes by input, cutoff and resonance from those by the output, from the last step back to the first."""
    lanes = values.shape[0]
    block, slopes = np.empty((BLOCK, LANES), values.dtype), np.empty((BLOCK, LANES), values.dtype)
    by_gate, by_bend, by_resonance = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for f in range(cutoff.shape[1] - 1, -1, -1):
        set_frame(w, f, cutoff, resonance, inputs, selected, step, gates, bends_)
        by_gate[:] = 0
        by_bend[:] = 0
        by_resonance[:] = 0
        start = first[f] if f else 0
        blocks = -(-(first[f + 1] - start) // BLOCK)
        for number in range(blocks - 1, -1, -1):
            begin = start + number * BLOCK
            count = min(BLOCK, first[f + 1] - begin)
            load_inputs(values, begin, count, block)
            load_inputs(given, begin, count, slopes)
            for n in range(count - 1, -1, -1):
                load_step(w, block[n], middles[begin + n], shares[begin + n])
                expand(w, reverse, damping, summer, current, is_8580)
                slope_step(w, slopes[n], block[n], shares[begin + n], by_gate, by_bend, by_resonance)
            for lane in range(lanes):
                for i in range(count):
                    to_input[lane, begin + i] = block[i, lane]
        for lane in range(lanes):
            to_resonance[lane, f] += by_resonance[lane]
            to_cutoff[lane, f] += by_gate[lane] * gate_at(cutoff[lane, f], gates)[1]
            to_cutoff[lane, f] += by_bend[lane] * step / 2 * gate_at(cutoff[lane, f], bends_)[1]


@part_kernel
def slope_step(w, given, to_input, share, by_gate, by_bend, by_resonance):
    """One step backwards: slopes by the charges before it, by the input, and what adds up over a frame."""
    one, two = w["one"], w["two"]
    for i in range(LANES):
        w["given"][i] = given[i]
    for i in range(LANES):
        g = w["given"][i]
        by_high = g * w["takes_high"][i]
        m_band = two * w["to_band"][i] + by_high * w["high_by_band"][i]
        m_band += g * w["takes_band"][i] * (w["x_band_slope"][i] - one)
        m_low = two * w["to_low"][i] + by_high * w["high_by_low"][i]
        m_low += g * w["takes_low"][i] * (w["x_low_slope"][i] - one)
        per = one / (w["j00"][i] * w["j11"][i] - w["j01"][i] * w["j10"][i])
        y_band = (w["j11"][i] * m_band - w["j10"][i] * m_low) * per
        y_low = (w["j00"][i] * m_low - w["j01"][i] * m_band) * per
        w["to_band"][i], w["to_low"][i] = y_band - w["to_band"][i], y_low - w["to_low"][i]
        to_sum = (w["half"][i] * y_band * w["by_high"][i] + by_high) * w["summer_slope"][i]
        w["given"][i] = to_sum
        w["by_resonance"][i] = to_sum * w["damping_step"][i]
        w["by_gate"][i] = w["half"][i] * (y_band * w["band_by_gate"][i] + y_low * w["low_by_gate"][i])
        w["by_bend"][i] = share * (y_band * w["flow_band"][i] + y_low * w["flow_low"][i])
    for i in range(LANES):
        to_input[i] = w["given"][i]
    for i in range(LANES):
        by_resonance[i] += w["by_resonance"][i]
    for i in range(LANES):
        by_gate[i] += w["by_gate"][i]
    for i in range(LANES):
        by_bend[i] += w["by_bend"][i]


@part_kernel
def load_step(w, v_in, middle, share):
    """Input, length and charges in the middle of a step that is known."""
    for i in range(LANES):
        w["v_in"][i] = v_in[i]
    for i in range(LANES):
        w["half"][i] = w["whole"][i] * share
    for i in range(LANES):
        w["band"][i] = middle[0, i]
    for i in range(LANES):
        w["low"][i] = middle[1, i]


@part_kernel
def bends(w, reverse, damping, summer, current, gates, is_8580, voice_dc, step, bend):
    """For each FC what a step is to be multiplied by so that the midpoint rule has the continuous filter's cutoff."""
    for fc in range(0, gates.size, LANES):
        for i in range(LANES):
            w["gate"][i], w["half"][i], w["v_in"][i] = gates[fc + i], 1e9, voice_dc
            w["per_sum"][i], w["summer_row"][i] = LINES / 3, 3 * (LINES + 1)
            w["band"][i] = w["low"][i] = 0.0
        for _ in range(40):  # where the filter rests with one silent voice routed: steps so long that nothing flows
            expand(w, reverse, damping, summer, current, is_8580)
            newton(w)
        for i in range(LANES):
            w["half"][i] = 1.0
        expand(w, reverse, damping, summer, current, is_8580)
        for i in range(LANES):
            own = (w["j00"][i] - 1) * (w["j11"][i] - 1) - w["j01"][i] * w["j10"][i]
            angle = np.sqrt(max(own, 0.0)) * step / 2  # half of what the filter turns in a step at its cutoff
            bend[fc + i] = min(np.tan(min(angle, 1.2)) / angle, MOST_BEND) if angle > 1e-6 else 1.0
