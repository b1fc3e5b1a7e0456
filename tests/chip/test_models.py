"""Models as records, and the analogue half that they describe, against pyresidfp and against measured curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from sidlearn._kernel import numba
from sidlearn.chip import models, tables, waveforms
from sidlearn.clock import NTSC, PAL
from sidlearn.errors import ModelError
from tests.reference import analogue

CHIPS = ("6581", "8580")
FULL_SCALE = 32768
TOLERANCES = {
    "error": 10 ** (-50 / 20),  # of one sample a cycle, filter on; two instances of pyresidfp differ by -50 to -77 dB
    "dither_lsb": 4,  # root mean square error that is never counted: what pyresidfp adds to its sound
    "level": 0.01,  # of static levels, of the span of all of them
    "cutoff": 0.02,
    "q": 0.05,
    "curve": 0.01,  # of measured cutoff curves
}
needs_jit = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="hundreds of thousands of cycles")


@pytest.mark.parametrize("name", models.MODELS)
def test_a_record_is_finite_and_read_only(name):
    model = models.load(name)
    assert model.dtype == models.MODEL_DTYPE
    assert model.shape == (1,)
    assert isinstance(model, np.recarray)
    for field in models.MODEL_DTYPE.names:
        assert np.isfinite(model[field]).all(), field
        with pytest.raises(ValueError, match="read-only"):
            model[field] = 0


@pytest.mark.parametrize("name", models.MODELS)
def test_tables_of_gain_stages_stay_within_the_range_and_invert(name):
    model = models.load(name)[0]
    for field in ("summer", "mixer", "volume", "resonance"):
        table = model[field]
        assert table.min() >= 0, field
        assert table.max() <= 1, field
        assert (np.diff(table) <= 1e-7).all(), field  # rounding to single precision
    assert (np.diff(model.opamp_reverse) >= 0).all()
    assert (np.diff(model.vcr_current) >= 0).all()


@pytest.mark.parametrize("name", models.MODELS)
def test_a_chip_that_is_left_alone_is_silent(name):
    model = models.load(name)
    chip = analogue.at_rest(model)
    cycles = 200
    quiet = np.zeros((cycles, 3), dtype=np.int64)
    assert not analogue.render(chip, quiet, quiet, np.zeros(cycles), model).any()


def test_the_same_arguments_give_the_same_record():
    assert models.load("6581", combined="weak") is models.load("6581", combined="weak")
    assert models.load("6581") is models.load("6581", clock_hz=PAL.clock_hz)


@pytest.mark.parametrize(
    ("name", "profile", "message"),
    [
        ("6582", {}, r"model '6582': expected 6581, 8580, .* \(did you mean 6581\?\)"),
        ("8580-resid", {}, r"did you mean 8580-residfp\?"),
        ("6581", {"dac_leek": 0.1}, r"'dac_leek'.* \(did you mean dac_leak\?\)"),
        ("6581", {"combined": "loud"}, "combined: expected average, reference, weak, .* or strong 3384, not 'loud'"),
        ("8580-residfp", {"combined": "reference"}, "combined: expected average, weak or strong, not 'reference'"),
        ("6581", {"dac_leak": 2}, "dac_leak: expected 0 to 1, not 2"),
        ("6581", {"voice_dc_v": math.nan}, "voice_dc_v: expected a number above 0, not nan"),
        ("6581", {"residfp": "yes"}, "residfp: expected True or False, not 'yes'"),
        ("6581", {"cutoff_curve": 250.0}, "cutoff_curve: expected None or a tuple"),
        ("8580", {"cutoff_curve": (250.0, 0.0)}, "cutoff_curve is for a 6581"),
        ("6581", {"clock_hz": 0}, "expected a clock above 0 Hz, not 0"),
    ],
)
def test_a_wrong_name_or_value_is_told_in_one_line(name, profile, message):
    with pytest.raises(ModelError, match=message):
        models.load(name, **profile)


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ("", {}),
        ("galway", {"cutoff_curve": (280.0, -405.0)}),
        ("digi boost", {"ext_in": -1.0}),
        (" galway ,combined = weak, ", {"cutoff_curve": (280.0, -405.0), "combined": "weak"}),
        ("galway, follin", {"cutoff_curve": (240.0, -785.0)}),
        (
            "fade_t0=100, dac_leak=0.01, wave_saturates=False",
            {"fade_t0": 100, "dac_leak": 0.01, "wave_saturates": False},
        ),
        ("cutoff_curve=250:-100.5", {"cutoff_curve": (250, -100.5)}),
        ("cutoff_curve=none", {"cutoff_curve": None}),
        ({"ext_in": 0.5}, {"ext_in": 0.5}),
    ],
)
def test_a_profile_is_names_and_single_parameters(given, changes):
    assert models.profile(given) == changes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("galwey", r"profile 'galwey': expected follin, galway, .* or PARAMETER=VALUE \(did you mean galway\?\)"),
        ("dac_leek=0.1", r"'dac_leek'.* \(did you mean dac_leak\?\)"),
        ("dac_leak=much", "dac_leak: expected 0 to 1, not 'much'"),
        ("dac_leak=nan", "dac_leak: expected 0 to 1, not nan"),
        ("wave_saturates=1", "wave_saturates: expected True or False, not '1'"),
        ("cutoff_curve=250", "cutoff_curve: expected None or a tuple"),
        ("=3", "chip parameter '': there is none of that name"),
        (3, "profile 3: expected a name or a mapping of parameters"),
        ({"dac_leak": 2}, "dac_leak: expected 0 to 1, not 2"),
    ],
)
def test_a_wrong_profile_is_told_in_one_line(given, message):
    with pytest.raises(ModelError, match=message):
        models.profile(given)


@pytest.mark.parametrize("name", models.PROFILES)
def test_every_profile_changes_a_6581(name):
    assert models.load("6581", **models.profile(name)).tobytes() != models.load("6581").tobytes()


def test_only_compatibility_models_follow_residfp():
    for name in models.MODELS:
        model = models.load(name)[0]
        assert model.residfp == model.pw_delay == model.bus_halves == name.endswith("-residfp")
        assert model.is_8580 == name.startswith("8580")
        assert model.latch_always == (name == "8580")


@pytest.mark.parametrize("clock_hz", [PAL.clock_hz, NTSC.clock_hz])
@pytest.mark.parametrize("name", CHIPS)
def test_the_boards_filter_has_its_corners_at_any_clock(name, clock_hz):
    model = models.load(name, clock_hz=clock_hz)[0]
    for field, resistor, capacitor in (("low_pass", 10e3, 1e-9), ("high_pass", 10e3, 10e-6)):
        corner_hz = -math.log(1 - model[field]) * clock_hz / (2 * math.pi)
        assert corner_hz == pytest.approx(1 / (2 * math.pi * resistor * capacitor))


def test_digi_boost_holds_ext_in():
    assert models.load("8580", **models.PROFILES["digi boost"])[0].ext_in == -1


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("combined", ["average", "weak", "strong"])
def test_a_profile_picks_the_set_of_combined_waveforms(name, combined):
    """Real chips have a circuit, residfp's its formula."""
    key = f"{name[:4]} {combined}"
    if name.endswith("residfp"):
        expected = waveforms.by_pull_down(waveforms.PULL_DOWNS[key])
    else:
        expected = waveforms.by_circuit(waveforms.CIRCUITS[key])
    assert (models.load(name, combined=combined)[0].combined == expected).all()


# --- Small signals through the filter, which are linear: its poles by linear prediction ---


def poles_hz(model, cutoff, clock_hz=PAL.clock_hz):
    """The two poles of the filter with one silent voice routed, RES 0, from its answer to a tiny impulse."""
    chips = analogue.at_rest(model)
    chips.cutoff = cutoff
    level = model[0].voice_dc
    settle(chips, level, model, 60_000)
    kicked = chips.copy()
    cycles = 400
    answer = trace_band_pass(kicked, level, 1e-4, model, cycles) - trace_band_pass(chips, level, 0.0, model, cycles)
    history = np.stack([answer[2:-1], answer[1:-2]], axis=1)
    coefficients = np.linalg.lstsq(history, answer[3:], rcond=None)[0]
    poles = np.roots([1, *-coefficients])
    return math.sqrt(abs(np.log(poles.astype(complex)).prod())) * clock_hz / (2 * math.pi)


@analogue.kernel
def settle(chips, level, models_, cycles):
    """Clock the filter with one routed input at a constant level."""
    for _ in range(cycles):
        analogue.clock_filter(chips[0], level, 1, models_[0])


@analogue.kernel
def trace_band_pass(chips, level, kick, models_, cycles):
    """Band-pass output for one routed input at a constant level, with a kick in the first cycle."""
    out = np.empty(cycles)
    for cycle in range(cycles):
        analogue.clock_filter(chips[0], level + (kick if cycle == 0 else 0.0), 1, models_[0])
        out[cycle] = chips[0].vbp
    return out


@needs_jit
@pytest.mark.parametrize("clock_hz", [PAL.clock_hz, NTSC.clock_hz])
@pytest.mark.parametrize("name", tables.CUTOFF_CURVES_6581)
def test_the_filter_finds_the_measured_cutoff_curve(name, clock_hz):
    model = models.load("6581", clock_hz=clock_hz, **models.PROFILES[name])
    chip = models.MODELS["6581"]
    level = tables.dac(11, chip.dac_ratio, chip.dac_terminated, chip.dac_leak)
    curve_hz = tables.cutoff_hz_6581(level, *tables.CUTOFF_CURVES_6581[name])
    for cutoff in (0, 300, 800, 1023, 1024, 1600, 2047):
        assert poles_hz(model, cutoff, clock_hz) == pytest.approx(curve_hz[cutoff], rel=TOLERANCES["curve"])


@needs_jit
def test_the_8580_cutoff_is_straight():
    model = models.load("8580")
    per_step = [poles_hz(model, cutoff) / cutoff for cutoff in (64, 256, 512, 1024)]
    # Measured on pyresidfp 0.17.0: 6.97 Hz per step (half-power points of the band-pass).
    assert per_step == pytest.approx([6.97] * 4, rel=0.03)


@needs_jit
def test_the_6581_keeps_its_cutoff_on_ntsc_and_the_8580_follows_its_clock():
    ratios = {}
    for name in CHIPS:
        pal, ntsc = (poles_hz(models.load(name, clock_hz=hz), 1200, hz) for hz in (PAL.clock_hz, NTSC.clock_hz))
        ratios[name] = ntsc / pal
    assert ratios["6581"] == pytest.approx(1, abs=2e-3)
    assert ratios["8580"] == pytest.approx(NTSC.clock_hz / PAL.clock_hz, abs=2e-3)


# --- Against pyresidfp 0.17.0, one sample a cycle ---

FREQUENCIES = (0x1D37, 0x0A91, 0x2B3F)
PULSE_WIDTH = 0x5A3
CONTROLS = (0x21, 0x41, 0x21)  # saw, pulse, saw, gate on
TEST = 8
SETTLE = 2_000_000  # cycles until the power-on step has gone


class Oracle:
    """pyresidfp with DECIMATE at a sample a cycle."""

    def __init__(self, name, clock_hz=PAL.clock_hz):
        sid = pytest.importorskip("pyresidfp._pyresidfp")
        chip = {"6581": sid.ChipModel.MOS6581, "8580": sid.ChipModel.MOS8580}[name]
        self.sid = sid.SID(chip, sid.SamplingMethod.DECIMATE, float(clock_hz), float(clock_hz))

    def write(self, first, *values):
        for register, value in enumerate(values, first):
            self.sid.write(register, int(value))

    def filter(self, cutoff, resonance, routing, mode, volume):
        self.write(21, cutoff & 7, cutoff >> 3, resonance << 4 | routing, mode << 4 | volume)

    def clock(self, cycles):
        return np.array(self.sid.clock(cycles), dtype=np.float64)

    def hold(self, frequencies, pulse_width, controls, sustain):
        """Gate all voices with TEST set, which holds their accumulators at 0 and their pulses high."""
        for voice, (frequency, control, level) in enumerate(zip(frequencies, controls, sustain, strict=True)):
            pair = (frequency & 0xFF, frequency >> 8, pulse_width & 0xFF, pulse_width >> 8)
            self.write(7 * voice, *pair, control | TEST, 0, level << 4)


def voices(cycles):
    """Waveforms of the three voices after TEST has gone: shape (cycles, 3)."""
    after = np.arange(1, cycles + 1)[:, None]
    accumulator = after * np.array(FREQUENCIES) & 0xFFFFFF
    before = (after - 1) * np.array(FREQUENCIES) & 0xFFFFFF
    waves = accumulator >> 12
    waves[:, 1] = np.where(before[:, 1] >> 12 >= PULSE_WIDTH, 0xFFF, 0)
    waves[0, 1] = 0xFFF  # TEST still held the comparator
    return waves


def at_registers(model, cutoff, resonance, routing, mode, volume):
    chips = analogue.at_rest(model)
    for key, value in zip(("cutoff", "resonance", "routing", "mode", "volume"),
                          (cutoff, resonance, routing, mode, volume), strict=True):  # fmt: skip
        chips[key] = value
    return chips


def settle_chip(chips, wave, envelope, model, rounds=50, cycles=40_000):
    """Hold all inputs, for 2 s as pyresidfp is held, and then as long as the DC block needs."""
    waves, envelopes, quiet = np.tile(wave, (cycles, 1)), np.tile(envelope, (cycles, 1)), np.zeros(cycles)
    for _ in range(rounds):
        analogue.render(chips, waves, envelopes, quiet, model)
    chips.ext_vhp = chips.ext_vlp


def without_drift(difference):
    """Take out a constant and the decay of the DC blocks, which pyresidfp's whole numbers never let finish."""
    decay = np.exp(-np.arange(len(difference)) / (1 << 17))
    basis = np.stack([np.ones_like(decay), decay], axis=1)
    return difference - basis @ np.linalg.lstsq(basis, difference, rcond=None)[0]


LOW, BAND, HIGH, OFF = 1, 2, 4, 8
SOUNDS = [
    # cutoff, resonance, routing, mode, volume, sustain
    (0, 0, 0, 0, 15, (15, 15, 15)),
    (0, 0, 7, LOW, 15, (15, 15, 15)),
    (350, 15, 7, BAND, 15, (15, 15, 15)),
    (500, 0, 7, BAND, 15, (15, 15, 15)),
    (700, 8, 3, LOW | BAND, 15, (15, 9, 4)),
    (1000, 8, 1, LOW | OFF, 9, (15, 15, 15)),
    (1000, 15, 7, LOW, 15, (15, 15, 15)),
    (1000, 0, 7, HIGH, 15, (15, 15, 15)),
    (1500, 8, 15, LOW | BAND | HIGH, 15, (12, 12, 12)),
    (2047, 0, 2, LOW, 15, (15, 15, 15)),
]


@needs_jit
@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: "-".join(map(str, sound[:5])))
def test_sound_of_three_voices_equals_pyresidfp(name, sound):
    compare_sound(name, sound)


@needs_jit
@pytest.mark.parametrize("name", CHIPS)
def test_sound_on_ntsc_equals_pyresidfp(name):
    compare_sound(name, SOUNDS[-2], clock_hz=NTSC.clock_hz)


@needs_jit
@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("curve", [0.0, 0.8])
def test_sound_at_other_filter_curves_equals_pyresidfp(name, curve):
    compare_sound(name, SOUNDS[4], filter_curve=curve)


def compare_sound(name, sound, clock_hz=PAL.clock_hz, **profile):
    """Play the three voices on pyresidfp and here; the difference must be its dither, or 50 dB below the sound."""
    *registers, sustain = sound
    cycles, skip = 120_000, 20_000
    oracle = Oracle(name, clock_hz)
    if profile:
        getattr(oracle.sid, f"set_filter_{name}_curve")(profile["filter_curve"])
    oracle.hold(FREQUENCIES, PULSE_WIDTH, CONTROLS, sustain)
    oracle.filter(*registers)
    oracle.clock(SETTLE)
    for voice, control in enumerate(CONTROLS):
        oracle.write(7 * voice + 4, control)
    expected = oracle.clock(cycles)

    model = models.load(f"{name}-residfp", clock_hz, **profile)
    chips = at_registers(model, *registers)
    envelopes = np.tile(np.array(sustain) * 17, (cycles, 1))
    settle_chip(chips, (0, 0xFFF, 0), envelopes[0], model)
    ours = analogue.render(chips, voices(cycles), envelopes, np.zeros(cycles), model) * FULL_SCALE
    expected, ours = expected[skip:], ours[skip:]
    error = without_drift(expected - ours).std()
    assert expected.std() > 300  # LSB: there is something to hear
    assert error < max(TOLERANCES["error"] * expected.std(), TOLERANCES["dither_lsb"])


@needs_jit
@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize(("routing", "cutoff"), [(0, 0), (3, 2047), (15, 1000)])
def test_every_mode_and_volume_gives_the_level_of_pyresidfp(name, routing, cutoff):
    hold = 400
    oracle = Oracle(name)
    oracle.hold((0, 0, 0), 0xFFF, (0x41, 0x41, 0x41), (15, 15, 15))
    oracle.filter(cutoff, 0, routing, 0, 0)
    oracle.clock(SETTLE)
    model = models.load(f"{name}-residfp")
    chips = at_registers(model, cutoff, 0, routing, 0, 0)
    settle_chip(chips, (0xFFF,) * 3, (255,) * 3, model, rounds=1)
    waves, envelopes = np.full((hold, 3), 0xFFF), np.full((hold, 3), 255)
    expected, ours = np.empty(256), np.empty(256)
    for mode_vol in range(256):
        oracle.write(24, mode_vol)
        expected[mode_vol] = oracle.clock(hold)[-1]
        chips.mode, chips.volume = mode_vol >> 4, mode_vol & 15
        ours[mode_vol] = analogue.render(chips, waves, envelopes, np.zeros(hold), model)[-1] * FULL_SCALE
    assert np.ptp(expected) > 5000
    assert ours == pytest.approx(expected, abs=TOLERANCES["level"] * np.ptp(expected))


@needs_jit
@pytest.mark.parametrize("name", CHIPS)
def test_volume_steps_of_a_silent_chip_equal_pyresidfp(name):
    wait = 500
    model = models.load(f"{name}-residfp")
    quiet = np.zeros((wait, 3), dtype=np.int64)
    expected, ours = [], []
    for volume in (1, 5, 10, 15):
        oracle = Oracle(name)
        oracle.clock(SETTLE)
        oracle.write(24, volume)
        expected.append(oracle.clock(wait)[-1])
        chips = at_registers(model, 0, 0, 0, 0, volume)
        ours.append(analogue.render(chips, quiet, quiet, np.zeros(wait), model)[-1] * FULL_SCALE)
    assert ours == pytest.approx(expected, rel=TOLERANCES["level"], abs=TOLERANCES["dither_lsb"])


# Through EXT IN the same noise goes to both, so that the transfer functions can be compared.
NOISE_HOLD, NOISE_CYCLES = 8, 1 << 19


def noise(seed):
    """Noise for EXT IN in LSB, held for a few cycles so that more of it is heard."""
    levels = np.random.default_rng(seed).normal(0, 1500, NOISE_CYCLES // NOISE_HOLD)
    return np.clip(np.round(levels), -FULL_SCALE, FULL_SCALE - 1)


def band_pass_fit(into, out, model):
    """Cutoff in Hz, Q and gain of the band-pass that turned one signal into the other."""
    signal = pytest.importorskip("scipy.signal")
    segment = 1 << 15
    frequency, cross = signal.csd(into, out, PAL.clock_hz, nperseg=segment)
    power = signal.welch(into, PAL.clock_hz, nperseg=segment)[1]
    audible = (frequency > 30) & (frequency < 25_000)
    frequency, response = frequency[audible], (cross / power)[audible]
    z = np.exp(2j * np.pi * frequency / PAL.clock_hz)
    response *= (z - 1 + model.low_pass) / model.low_pass * (z - 1 + model.high_pass) / (z - 1)
    peak = np.abs(response).argmax()
    near = (frequency > frequency[peak] / 3) & (frequency < 3 * frequency[peak])
    s = 1j * frequency[near] / frequency[peak]

    def error(fit):
        ratio, q, gain = fit
        difference = gain * s * ratio / q / (s * s + s * ratio / q + ratio**2) - response[near]
        return np.concatenate([difference.real, difference.imag])

    start = [1, 1, math.copysign(abs(response[peak]), response[peak].real)]
    ratio, q, gain = least_squares(error, start).x
    return frequency[peak] * ratio, q, gain


@needs_jit
@pytest.mark.parametrize(
    ("name", "cutoff", "resonance"),
    [("6581", 384, 0), ("6581", 640, 8), ("6581", 1200, 0), ("6581", 1200, 15), ("6581", 2047, 4),
     ("8580", 256, 0), ("8580", 1024, 8), ("8580", 2047, 15)],
)  # fmt: skip
def test_cutoff_and_q_equal_pyresidfp(name, cutoff, resonance):
    ext_in, band_pass, volume = 8, BAND, 15
    levels = noise(cutoff + resonance)
    oracle = Oracle(name)
    oracle.filter(cutoff, resonance, ext_in, band_pass, volume)
    oracle.clock(SETTLE)
    heard = []
    for level in levels:
        oracle.sid.input(int(level))
        heard.extend(oracle.sid.clock(NOISE_HOLD))
    model = models.load(f"{name}-residfp")
    chips = at_registers(model, cutoff, resonance, ext_in, band_pass, volume)
    into = levels.repeat(NOISE_HOLD)
    quiet = np.zeros((NOISE_CYCLES, 3), dtype=np.int64)
    settle_chip(chips, (0, 0, 0), (0, 0, 0), model, rounds=1)
    ours = analogue.render(chips, quiet, quiet, into / FULL_SCALE, model) * FULL_SCALE
    expected_hz, expected_q, expected_gain = band_pass_fit(into, np.array(heard, dtype=np.float64), model[0])
    our_hz, our_q, our_gain = band_pass_fit(into, ours, model[0])
    assert our_hz == pytest.approx(expected_hz, rel=TOLERANCES["cutoff"])
    assert our_q == pytest.approx(expected_q, rel=TOLERANCES["q"])
    assert our_gain == pytest.approx(expected_gain, rel=TOLERANCES["q"])
