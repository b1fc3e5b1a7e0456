"""A signal at EXT IN: how it is checked, how it is drawn out, and what the chip makes of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.chip.ext_in import ExtIn
from sidlearn.chip.sid import MODES, SID
from sidlearn.clock import PAL
from sidlearn.errors import AudioError
from sidlearn.registers import FC_HI, MODE_VOL, RES_FILT
from tests.chip import traffic
from tests.chip.test_kernel import Bench

CHIPS = ("6581", "8580")
JIT = not numba.config.DISABLE_JIT
CYCLES = 20_000 if JIT else 700
FILTEX = 8
LOW_PASS = 0x10
TOLERANCE = 10 ** (-50 / 20)  # of the sound; two instances of pyresidfp differ by -57 dB and less
DITHER = 4 / 32_768  # root mean square of what pyresidfp adds to its sound


def sine(hz, cycles=CYCLES, rate=PAL.clock_hz, level=0.5):
    return level * np.sin(2 * np.pi * hz * np.arange(cycles) / rate)


def sound(model="8580", signal=None, cycles=CYCLES, profile="", routing=0, mode="exact"):
    """What comes out at full volume, the filter low and without resonance."""
    sid = SID(model, 48_000, profile=profile, mode=mode)
    sid[MODE_VOL], sid[RES_FILT], sid[FC_HI] = 0x0F | LOW_PASS, routing, 20
    return sid.clock(cycles, ext_in=signal)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ([0, np.nan, 0], "expected numbers, sample 1 is nan"),
        ([0, 0, np.inf], "expected numbers, sample 2 is inf"),
        ([0, 0], "expected 3 samples, one a cycle, given 2"),
        (np.zeros((3, 2)), r"expected an array of one dimension, given shape \(3, 2\)"),
        ([0, -1.5, 0], "expected samples within -1..1, given up to 1.5"),
        (["a", "b", "c"], "expected an array of numbers, given list"),
        (([0, 0], 0), "expected a sample rate from 1 to 985248 Hz, given 0"),
        (([0, 0], 2e6), "expected a sample rate from 1 to 985248 Hz, given 2000000.0"),
        (([0, 0], np.nan), "expected a sample rate from 1 to 985248 Hz, given nan"),
        (([0, 0], "fast"), "expected a sample rate from 1 to 985248 Hz, given 'fast'"),
        (([0, np.nan], 44_100), "expected numbers, sample 1 is nan"),
        (([0, 0], 44_100, 1), r"expected samples, or \(samples, sample_rate\), given a tuple of 3"),
    ],
)
def test_a_wrong_signal_is_told_before_anything_runs(signal, message):
    sid = SID("8580")
    with pytest.raises(AudioError, match=message):
        sid.clock(3, ext_in=signal)
    assert sid.cycle == 0
    assert sid.ext_in is None
    if "one a cycle" not in message:
        with pytest.raises(AudioError, match=message):
            sid.ext_in = signal


def test_a_signal_is_drawn_out_to_the_clock():
    samples = np.array([0, 1, -1, 0.5], np.float32)
    rate = PAL.clock_hz / 8
    signal = ExtIn.of((samples, rate), PAL.clock_hz)
    assert signal.left == 32
    assert signal.rest()[::8] == pytest.approx(samples)
    assert signal.rest() == pytest.approx(np.interp(np.arange(32) / 8, np.arange(4), samples))


def test_a_signal_is_the_same_in_pieces():
    signal = ExtIn.of((sine(700, 50, 9_000), 9_000), PAL.clock_hz)
    whole, parts, rest = signal.rest(), [], signal
    for size in (1, 2, 1_000, 7, 4_000, 1):
        part, rest = rest.take(size)
        parts.append(part)
    parts.append(rest.rest())
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("model", CHIPS)
@pytest.mark.parametrize("mode", MODES)
def test_a_constant_signal_is_the_level_that_a_profile_holds(model, mode):
    held = sound(model, profile={"ext_in": -0.75}, mode=mode)
    fed = sound(model, np.full(CYCLES, -0.75), mode=mode)
    assert fed == pytest.approx(held, abs=1e-5)
    assert np.abs(fed - sound(model, mode=mode)).max() > 0.05  # it is heard


@pytest.mark.parametrize("mode", MODES)
def test_silence_at_ext_in_changes_nothing(mode):
    assert np.array_equal(sound(signal=np.zeros(CYCLES), mode=mode), sound(mode=mode))


@pytest.mark.parametrize("model", CHIPS)
@pytest.mark.parametrize("mode", MODES)
def test_filtex_leads_it_through_the_filter(model, mode):
    """The filter is low and inverts what the mixer lets through as it is."""
    hz, skip = 6_000, 200 if JIT else 10
    past = sound(model, sine(hz), mode=mode)[skip:] - sound(model, mode=mode)[skip:]
    through = sound(model, sine(hz), routing=FILTEX, mode=mode)[skip:] - sound(model, routing=FILTEX, mode=mode)[skip:]
    assert past.std() > 0.02
    assert through.std() < past.std() / 10


@pytest.mark.parametrize("mode", MODES)
def test_the_sound_is_the_same_however_the_signal_is_cut(mode):
    signal = sine(1_000)
    whole = sound(signal=signal, mode=mode)
    sid = SID("8580", 48_000, mode=mode)
    sid[MODE_VOL], sid[FC_HI] = 0x0F | LOW_PASS, 20
    sid.ext_in = signal
    parts, rng = [], np.random.default_rng(1)
    while sid.cycle < CYCLES:
        parts.append(sid.clock(min(int(rng.integers(1, CYCLES // 4)), CYCLES - sid.cycle)))
        sid.restore(pickle.loads(pickle.dumps(sid.snapshot())))
    assert np.array_equal(np.concatenate(parts), whole)
    assert sid.ext_in is None


def test_a_signal_ends_and_writes_come_in_time():
    sid, other = SID("8580", 48_000), SID("8580", 48_000)
    for one in (sid, other):
        one.poke(CYCLES // 3, MODE_VOL, 15)
    sid.ext_in = ([0.25] * 10, 48_000)
    cycles = int(np.ceil(10 * PAL.clock_hz / 48_000))
    assert len(sid.ext_in) == cycles
    sid.clock(cycles // 2)
    assert len(sid.ext_in) == cycles - cycles // 2
    sid.clock(CYCLES - cycles // 2)
    other.clock(CYCLES)
    assert sid.ext_in is None
    assert sid.peek(MODE_VOL) == other.peek(MODE_VOL) == 15
    with pytest.raises(AudioError):
        sid.clock(5, ext_in=[0] * 4)


@pytest.mark.skipif(not JIT, reason="hundreds of thousands of cycles")
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("routing", [0, FILTEX])
def test_ext_in_equals_pyresidfp(chip, routing):
    hold, settle, count = 16, 400_000, 4_000
    levels = np.round(np.random.default_rng(2).uniform(-9_000, 9_000, count))
    oracle, bench = traffic.oracle(chip), Bench(f"{chip}-residfp")
    for register, value in ((MODE_VOL, 0x0F | LOW_PASS), (RES_FILT, routing), (FC_HI, 128)):
        oracle.write(register, value)
        bench.write(register, value)
    oracle.clock(settle)
    expected = []
    for level in levels:
        oracle.input(int(level))
        expected += oracle.clock(hold)
    ours = chip_rate(bench, np.concatenate([np.zeros(settle), levels.repeat(hold) / 32_768]))[settle:]
    expected = np.array(expected) / 32_768
    error = (ours - expected)[2_000:]
    slow = np.convolve(error, np.ones(5_000) / 5_000, "same")  # rounding in their DC block
    error = (error - slow)[5_000:-5_000]
    assert expected.std() > 100 * DITHER
    assert error.std() < max(expected.std() * TOLERANCE, DITHER)


def chip_rate(bench, signal):
    """Our sound at one sample a cycle while a signal comes in, from the state of `bench` on."""
    sid = SID(bench.name, PAL.clock_hz)
    sid._voices[:], sid._chips[:] = bench.voices, bench.chip
    return sid.clock(len(signal), ext_in=signal)
