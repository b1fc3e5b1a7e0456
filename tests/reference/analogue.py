"""The SID's analogue half, one cycle at a time, written plainly: what the fast kernel must equal.

Per cycle: voices, high-pass (a summing stage), band-pass and low-pass (two integrators), mixer, volume, output stage.
Every stage inverts. All functions work on one chip record and one model record of `sidlearn.chip.models`.
"""

from __future__ import annotations

import math

import numpy as np

from sidlearn._kernel import kernel
from sidlearn.chip.models import VCR_ZERO

ANALOGUE_DTYPE = np.dtype(
    [
        # registers
        ("cutoff", "i8"),  # FC, 11 bits
        ("resonance", "i8"),  # RES
        ("routing", "i8"),  # FILT1, FILT2, FILT3, FILTEX
        ("mode", "i8"),  # 1 low-pass, 2 band-pass, 4 high-pass, 8 voice 3 off
        ("volume", "i8"),
        # outputs of the filter's stages, u
        ("vhp", "f8"),
        ("vbp", "f8"),
        ("vlp", "f8"),
        # the two integrators: input of the op-amp, charge on the capacitor
        ("bp_vx", "f8"),
        ("bp_vc", "f8"),
        ("lp_vx", "f8"),
        ("lp_vc", "f8"),
        # output stage: behind the low-pass, and what the high-pass takes away
        ("ext_vlp", "f8"),
        ("ext_vhp", "f8"),
    ],
    align=True,
)

LOW_PASS, BAND_PASS, HIGH_PASS, VOICE_3_OFF = 1, 2, 4, 8


def at_rest(model):
    """A chip without sound, every stage of its filter at rest."""
    chip = np.zeros(1, dtype=ANALOGUE_DTYPE).view(np.recarray)
    for name in ("vhp", "vbp", "vlp", "bp_vx", "lp_vx"):
        chip[name] = model[0].rest
    return chip


@kernel
def between(table, position):
    """Value of a table at a position that lies between its entries, on a straight line."""
    position = min(max(position, 0.0), table.size - 1.001)
    index = int(position)
    return table[index] + (position - index) * (table[index + 1] - table[index])


@kernel
def voice_output(wave, envelope, model):
    """Voltage of one voice: 12-bit waveform times 8-bit envelope."""
    level = model.dac_env[envelope]
    return model.voice_dc + model.voice_drift * level + model.voice_range * (model.dac_wave[wave] * level)


@kernel
def gain_stage(table, total, inputs):
    """Output of an inverting stage for the sum of its inputs; its table goes by their mean."""
    return between(table, total * (table.size - 1) / max(inputs, 1))


@kernel
def summer(chip, total, inputs, model):
    """High-pass output: inverted sum of the routed inputs, of band-pass by the resonance stage, and of low-pass."""
    damping = gain_stage(model.resonance[chip.resonance], chip.vbp, 1)
    return gain_stage(model.summer[inputs + 2], total + damping + chip.vlp, inputs + 2)


@kernel
def vcr_current(over, model):
    """Charge per cycle from one end of the voltage-controlled resistor, its gate's overdrive there being `over`."""
    return between(model.vcr_current, over * model.vcr_current.size + VCR_ZERO)


@kernel
def integrate_6581(vi, vx, vc, fc, model):
    """One cycle of an integrator of the 6581; gives the new op-amp input and charge.

    Two transistors in parallel feed it: the long thin "snake" in triode, and a voltage-controlled resistor by the EKV
    law, whose gate follows cutoff and input.
    """
    over_in = model.drive - vi
    over_x = model.drive - vx
    snake = model.snake * (over_x * over_x - over_in * over_in)
    gate = model.drive - math.sqrt(model.vcr_gate[fc] + over_in * over_in / 2) - model.threshold
    vc = vc + snake + vcr_current(gate - vx, model) - vcr_current(gate - vi, model)
    return between(model.opamp_reverse, (vc + 1) / 2 * (model.opamp_reverse.size - 1)), vc


@kernel
def integrate_8580(vi, vx, vc, fc, model):
    """One cycle of an integrator of the 8580, fed by as many transistors in triode as FC has set."""
    over_in = max(model.drive - vi, 0.0)
    over_x = model.drive - vx
    vc = vc + model.cutoff[fc] * (over_x * over_x - over_in * over_in)
    return between(model.opamp_reverse, (vc + 1) / 2 * (model.opamp_reverse.size - 1)), vc


@kernel
def clock_filter(chip, total, inputs, model):
    """Clock the state-variable filter for one cycle with the sum of so many routed inputs."""
    chip.vhp = summer(chip, total, inputs, model)
    if model.is_8580:
        chip.bp_vx, chip.bp_vc = integrate_8580(chip.vhp, chip.bp_vx, chip.bp_vc, chip.cutoff, model)
    else:
        chip.bp_vx, chip.bp_vc = integrate_6581(chip.vhp, chip.bp_vx, chip.bp_vc, chip.cutoff, model)
    chip.vbp = chip.bp_vx - chip.bp_vc
    if model.is_8580:
        chip.lp_vx, chip.lp_vc = integrate_8580(chip.vbp, chip.lp_vx, chip.lp_vc, chip.cutoff, model)
    else:
        chip.lp_vx, chip.lp_vc = integrate_6581(chip.vbp, chip.lp_vx, chip.lp_vc, chip.cutoff, model)
    chip.vlp = chip.lp_vx - chip.lp_vc


@kernel
def mixer(chip, total, inputs, model):
    """Mix so many inputs past the filter with the selected filter outputs."""
    filtered = 0.0
    selected = 0
    if chip.mode & LOW_PASS:
        filtered += chip.vlp
        selected += 1
    if chip.mode & BAND_PASS:
        filtered += chip.vbp
        selected += 1
    if chip.mode & HIGH_PASS:
        filtered += chip.vhp
        selected += 1
    total += model.filter_out_scale * filtered + model.filter_out_offset[selected]
    return gain_stage(model.mixer[inputs + selected], total, inputs + selected)


@kernel
def volume(chip, mixed, model):
    """Volume stage."""
    return gain_stage(model.volume[chip.volume], mixed, 1)


@kernel
def external_filter(chip, level, model):
    """Low-pass and DC block of the C64's board, clocked for one cycle."""
    level = (level - model.output_zero) * model.output_scale
    out = chip.ext_vlp - chip.ext_vhp
    chip.ext_vhp += model.high_pass * (chip.ext_vlp - chip.ext_vhp)
    chip.ext_vlp += model.low_pass * (level - chip.ext_vlp)
    return out


@kernel
def clip(level, knee):
    """Soft clip of the sound to -1..1: straight up to the knee, hyperbolic tangent above."""
    if abs(level) <= knee:
        return level
    room = 1 - knee
    return math.copysign(knee + room * math.tanh((abs(level) - knee) / room), level)


@kernel
def clock_analogue(chip, waves, envelopes, ext_in, model):
    """One cycle of everything behind the DACs: three 12-bit waveforms and 8-bit envelopes to one sample, -1..1."""
    routed = 0.0
    mixed = 0.0
    routed_inputs = 0
    mixed_inputs = 0
    for n in range(4):
        if n < 3:
            level = voice_output(waves[n], envelopes[n], model)
        else:
            level = model.voice_dc + model.voice_range * ext_in
        if chip.routing >> n & 1:
            routed += level
            routed_inputs += 1
        elif n != 2 or not chip.mode & VOICE_3_OFF:
            mixed += level
            mixed_inputs += 1
    clock_filter(chip, routed, routed_inputs, model)
    level = volume(chip, mixer(chip, mixed, mixed_inputs, model), model)
    return clip(external_filter(chip, level, model), model.clip_knee)


@kernel
def render(chips, waves, envelopes, ext_in, models):
    """Sound of a stretch with constant registers.

    `waves` and `envelopes` have shape (cycles, 3), `ext_in` (cycles,) in -1..1; the result is float64, (cycles,).
    """
    chip, model = chips[0], models[0]
    out = np.empty(waves.shape[0])
    for cycle in range(waves.shape[0]):
        out[cycle] = clock_analogue(chip, waves[cycle], envelopes[cycle], ext_in[cycle] + model.ext_in, model)
    return out
