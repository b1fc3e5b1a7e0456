"""Chip models: the tables of `sidlearn.chip.tables`, scaled to the kernel's units and packed into one record a chip.

`MODELS` names the chips, `load` builds the record of one. A profile is a set of changes to a chip's `Parameters`:
``load("6581", **PROFILES["follin"])``.

Units inside the record: every voltage v of the filter stands as u = (v - v_min) / (v_max - v_min), 0..1; a charge on
an integrator's capacitor as voltage difference over (v_max - v_min), -1..1; sound as -1..1 of full scale.
"""
from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache

import numpy as np

from sidlearn.chip import tables
from sidlearn.clock import PAL
from sidlearn.errors import ModelError, nearest, one_of

STEPS = 4096
"""Intervals of every table over 0..1; between its points the kernel draws straight lines."""
VCR_SIZE = 65536
"""Entries of the `vcr_current` table, and their number per u."""
VCR_ZERO = 4096
"""Its entry for a gate voltage that is just the threshold above the channel's end."""

_COMBINED = len(tables.COMBINED_ROWS)

MODEL_DTYPE = np.dtype(
    [
        # Which chip, and where the digital half follows residfp instead of silicon.
        ("is_8580", "i8"),
        ("residfp", "i8"),  # 1: follow pyresidfp 0.17.0 where it and real chips or the netlist part
        ("pw_delay", "i8"),  # cycles until a written pulse width is compared, beyond the next
        ("latch_always", "i8"),  # 8580: the triangle and saw latch of OSC3 loads whatever is selected
        ("bus_halves", "i8"),  # reading a write-only register halves the time left to the bus value
        ("bus_decay", "i8"),  # cycles until the bus value has faded to 0
        ("fade_t0", "i8"),  # cycles until a waveform output that floats loses its first bits,
        ("fade_t1", "i8"),  # and then between two such steps
        ("test_t0", "i8"),  # the same for the noise register while TEST is held
        ("test_t1", "i8"),
        # Voices: u = voice_dc + voice_range * dac_wave[w] * dac_env[e] + voice_drift * dac_env[e].
        ("voice_range", "f8"),  # also EXT IN: u = voice_dc + voice_range * level
        ("voice_dc", "f8"),
        ("voice_drift", "f8"),
        ("ext_in", "f8"),  # level that stands at EXT IN, -1..1
        # Filter.
        ("filter_out_scale", "f8"),  # what the mixer gets of the sum s of the selected outputs: scale * s + offset
        ("filter_out_offset", "f8"),
        ("rest", "f8"),  # u at which every stage rests; capacitors then hold 0
        ("drive", "f8"),  # gate drive of the integrators' transistors: 6581 Vdd - Vth, 8580 gate voltage - Vth
        ("threshold", "f8"),  # 6581: Vth
        ("snake", "f8"),  # 6581: charge per cycle through the snake, for one square unit
        # Output stage, charges per cycle.
        ("output_zero", "f8"),  # u of the volume stage that is sound 0
        ("output_scale", "f8"),  # full scales per u, gain of the output stage included
        ("low_pass", "f8"),
        ("high_pass", "f8"),
        ("clip_knee", "f8"),
        # Tables. Those of gain stages go by the mean of the stage's inputs, u * STEPS.
        ("dac_wave", "f4", (4096,)),
        ("dac_env", "f4", (256,)),
        ("combined", "u2", (_COMBINED, 4096)),
        ("summer", "f4", (7, STEPS + 1)),  # [number of inputs]; 2..6 are in use
        ("mixer", "f4", (8, STEPS + 1)),  # [number of inputs]
        ("volume", "f4", (16, STEPS + 1)),  # [VOL]
        ("resonance", "f4", (16, STEPS + 1)),  # [RES]
        ("opamp_reverse", "f4", (STEPS + 1,)),  # input of an integrator's op-amp, by (charge + 1) / 2 * STEPS
        ("vcr_current", "f4", (VCR_SIZE,)),  # 6581: charge per cycle through the voltage-controlled resistor from one end,
        # by (gate voltage - threshold - voltage of that end) * VCR_SIZE + VCR_ZERO
        ("vcr_gate", "f8", (2048,)),  # 6581 [FC]: (drive - u of the gate voltage)**2 / 2
        ("cutoff", "f8", (2048,)),  # 8580 [FC]: charge per cycle through the integrator's switches, per square unit
    ],
    align=True,
)


@dataclass(frozen=True)
class Parameters:
    """What makes one chip differ from another. Voltages in V, times in cycles."""

    is_8580: bool
    residfp: bool
    combined: str  # key of tables.PULL_DOWNS without the chip: "average", "weak" or "strong"
    # DACs
    dac_ratio: float  # 2R / R
    dac_terminated: bool
    dac_leak: float
    wave_saturates: bool
    # voices
    voice_range_v: float
    voice_dc_v: float
    voice_drift_v: float
    ext_in: float
    # filter
    supply_v: float
    threshold_v: float
    max_v: float  # of the normalised range; its minimum is the op-amp's
    capacitor_f: float
    transistor_a_v2: float  # u Cox
    filter_curve: float  # 0..1, the position on residfp's scale: 0 bright, 1 dark
    filter_out: float
    # digital
    fade_t0: int
    fade_t1: int
    test_t0: int
    test_t1: int
    bus_decay: int
    # output stage
    output_gain: float


# Measured on single chips (6581 R4AR 0687 14, 8580 R5 1690 25) for the emulators reSID and residfp; fade and creep times
# are residfp's for a 6581 R3 and an 8580 R5; leak, saturation and voltages agree with pyresidfp 0.17.0.
_6581 = Parameters(
    is_8580=False, residfp=False, combined="average",
    dac_ratio=2.20, dac_terminated=False, dac_leak=0.0075, wave_saturates=True,
    voice_range_v=1.5, voice_dc_v=5 * 1.015, voice_drift_v=0.2143, ext_in=0.0,
    supply_v=12 * 1.015, threshold_v=1.31, max_v=12 * 1.015 - 1.31, capacitor_f=470e-12, transistor_a_v2=20e-6,
    filter_curve=0.5, filter_out=0.93,
    fade_t0=54_000, fade_t1=1_400, test_t0=50_000, test_t1=15_000, bus_decay=0x1D00,
    output_gain=3 / 2,
)  # fmt: skip
_8580 = Parameters(
    is_8580=True, residfp=False, combined="average",
    dac_ratio=2.00, dac_terminated=True, dac_leak=0.0035, wave_saturates=False,
    voice_range_v=0.24, voice_dc_v=4.75 * 1.01, voice_drift_v=0.0, ext_in=0.0,
    supply_v=9 * 1.01, threshold_v=0.80, max_v=8.91, capacitor_f=22e-9, transistor_a_v2=100e-6,
    filter_curve=0.5, filter_out=1.0,
    fade_t0=800_000, fade_t1=50_000, test_t0=986_000, test_t1=314_300, bus_decay=0xA2000,
    output_gain=5 / 2,
)  # fmt: skip

MODELS: dict[str, Parameters] = {
    "6581": _6581,
    "8580": _8580,
    "6581-residfp": replace(_6581, residfp=True),
    "8580-residfp": replace(_8580, residfp=True),
}
"""The chips. Those without a suffix follow real chips and the netlist; `-residfp` ones follow pyresidfp 0.17.0."""


def load(name="6581", clock_hz=PAL.clock_hz, **profile):
    """Return the record of one chip.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    clock_hz : float
        The chip's clock; the output stage of the board is an RC network and does not follow it.
    **profile
        Changes to the fields of the chip's `Parameters`, such as ``combined="weak"``.

    Returns
    -------
    model : np.recarray, shape (1,), MODEL_DTYPE
        Read only; the same array for the same arguments.

    Raises
    ------
    ModelError
        If there is no such chip, or it has no such parameter.
    """
    check_name(name)
    known = [field.name for field in fields(Parameters)]
    for key in profile:
        if key not in known:
            raise ModelError(f"model {name}: no parameter {key!r}{nearest(key, known)}")
    return _build(replace(MODELS[name], **profile), float(clock_hz))


def check_name(name):
    """Return `name` if it is a key of `MODELS`.

    Raises
    ------
    ModelError
        If there is no such chip.
    """
    if name not in MODELS:
        raise ModelError(f"model {name!r}: expected {one_of(MODELS)}{nearest(name, MODELS)}")
    return name


@lru_cache(maxsize=16)
def _build(chip, clock_hz):
    """Pack the tables of one chip into a record."""
    model = np.zeros(1, dtype=MODEL_DTYPE).view(np.recarray)
    row = model[0]
    _fill_digital(row, chip)
    _fill_voices(row, chip)
    _fill_filter(row, chip)
    _fill_output(row, chip, clock_hz)
    model.setflags(write=False)
    return model


def _fill_digital(row, chip):
    values = asdict(chip)
    for key in ("is_8580", "residfp", "fade_t0", "fade_t1", "test_t0", "test_t1", "bus_decay"):
        row[key] = values[key]
    row["pw_delay"] = chip.residfp
    row["latch_always"] = chip.is_8580 and not chip.residfp
    row["bus_halves"] = chip.residfp
    family = "8580" if chip.is_8580 else "6581"
    row["combined"] = tables.combined_waveforms(tables.PULL_DOWNS[f"{family} {chip.combined}"])


def _fill_voices(row, chip):
    ladder = (chip.dac_ratio, chip.dac_terminated, chip.dac_leak)
    wave = tables.dac(12, *ladder)
    if chip.wave_saturates:
        wave = tables.saturate_6581(wave)
    row["dac_wave"] = wave - wave[0x7FF]
    row["dac_env"] = tables.dac(8, *ladder)
    low, span = _range(chip)
    row["voice_range"] = chip.voice_range_v / span
    row["voice_dc"] = (chip.voice_dc_v - low) / span
    row["voice_drift"] = chip.voice_drift_v / span
    row["ext_in"] = chip.ext_in


def _range(chip):
    """Lowest voltage and span of the normalised range, in V."""
    low = _opamp_points(chip)[0][0]
    return low, chip.max_v - low


def _opamp_points(chip):
    return tables.OPAMP_8580 if chip.is_8580 else tables.OPAMP_6581


def _fill_filter(row, chip):
    low, span = _range(chip)
    curve = tables.opamp(_opamp_points(chip))
    v_drive = chip.supply_v - chip.threshold_v
    v_in = low + span * np.arange(STEPS + 1) / STEPS

    def stages(ratios):
        return (tables.gain_stage(curve, v_drive, np.asarray(ratios)[:, None], v_in) - low) / span

    resonance = tables.resonance_ratios_8580() if chip.is_8580 else tables.resonance_ratios_6581()
    row["summer"] = stages(np.arange(7))
    row["mixer"] = stages(np.arange(8) * 8 / (5 if chip.is_8580 else 6))
    row["volume"] = stages(np.arange(16) / (16 if chip.is_8580 else 12))
    row["resonance"] = stages(resonance)
    charge_v = span * (2 * np.arange(STEPS + 1) / STEPS - 1)
    row["opamp_reverse"] = (tables.opamp_reverse(_opamp_points(chip))(charge_v) - low) / span
    row["rest"] = (tables.opamp_rest(curve) - low) / span
    row["filter_out_scale"] = chip.filter_out
    row["filter_out_offset"] = (1 - chip.filter_out) / 2
    if chip.is_8580:
        _fill_integrators_8580(row, chip)
    else:
        _fill_integrators_6581(row, chip)


CYCLE_S = 1e-6
"""Time in which an integrator charges per cycle: exactly 1 us in residfp, whatever the clock."""
THERMAL_V = 0.026
"""Thermal voltage kT/q at about 300 K, in V."""
SNAKE_STEP = 2**-13
VCR_STEP = 2 / 65535
"""residfp rounds both charges to whole numbers, which bends the 6581's lowest cutoffs: the charge of the snake to 15 steps
instead of 15.25, and that of the resistor to 0 or 1 where it is weakest. Found by trying steps against pyresidfp 0.17.0:
60 to 64 dB at FC 0 to 350 with these, 34 to 40 dB without."""


def _fill_integrators_6581(row, chip):
    low, span = _range(chip)
    per_ampere = CYCLE_S / chip.capacitor_f / span
    row["drive"] = (chip.supply_v - chip.threshold_v - low) / span
    row["threshold"] = chip.threshold_v / span
    snake = per_ampere * chip.transistor_a_v2 / 2 / 115 * span**2  # W/L of the snake: 1/115
    over_v = span * (np.arange(VCR_SIZE) - VCR_ZERO) / VCR_SIZE
    current = 2 * chip.transistor_a_v2 * THERMAL_V**2 * 9 * tables.softplus(over_v / (2 * THERMAL_V)) ** 2  # W/L: 9
    charge = per_ampere * current
    if chip.residfp:
        snake = np.round(snake / SNAKE_STEP) * SNAKE_STEP
        charge = np.round(charge / VCR_STEP) * VCR_STEP
    row["snake"] = snake
    row["vcr_current"] = charge
    cutoff_dac = tables.dac(11, chip.dac_ratio, chip.dac_terminated, chip.dac_leak)
    gate_v = 6.65 + 1 - chip.filter_curve + 2.63 * cutoff_dac
    row["vcr_gate"] = ((chip.supply_v - chip.threshold_v - gate_v) / span) ** 2 / 2


def _fill_integrators_8580(row, chip):
    low, span = _range(chip)
    per_ampere = CYCLE_S / chip.capacitor_f / span
    gate_v = 4.75 * 1.01 * (1.8 - 0.6 * chip.filter_curve)
    row["drive"] = (gate_v - chip.threshold_v - low) / span
    width = 0.00615 * np.maximum(np.arange(2048), 0.5)  # W/L of the switched transistors; FC 0 leaves half a step
    row["cutoff"] = per_ampere * chip.transistor_a_v2 / 2 * width * span**2


def _fill_output(row, chip, clock_hz):
    row["output_zero"] = 0.5
    row["output_scale"] = 2 * chip.output_gain
    if chip.residfp:
        row["low_pass"] = 12 / 128
        row["high_pass"] = 1 / 131072
    else:
        row["low_pass"] = 1 - math.exp(-1 / (clock_hz * 10e3 * 1e-9))  # 10 kohm, 1 nF on the C64's board
        row["high_pass"] = 1 - math.exp(-1 / (clock_hz * 10e3 * 10e-6))  # 10 uF into 10 kohm
    row["clip_knee"] = 28000 / 32768
