"""The decimator, measured through the kernel that runs it."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.chip import decimate, kernel, models, state
from sidlearn.clock import NTSC, PAL
from sidlearn.errors import SampleRateError

RATES = (8_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000)
TOLERANCES = {
    "flat_db": 0.02,
    "alias_db": -100,
    "delay_cycles": 0.01,
}
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="hundreds of thousands of cycles")


def run(signal, sample_rate, clock_hz=PAL.clock_hz, chunks=None):
    """Send a signal at chip rate through the decimator, in `chunks` of cycles."""
    model = models.load("6581")[0].copy()
    model["high_pass"], model["clip_knee"] = 0, 100  # neither DC block nor clip
    _, chips = state.power_on(model, clock_hz)
    chip, room = chips[0], np.zeros(1, state.ROOM_DTYPE).view(np.recarray)[0]
    chip.recent[:], chip.waiting[:], chip.history[:], chip.ext_vhp = 0, 0, 0, 0
    decimator = decimate.design(sample_rate, clock_hz)
    audio = np.empty(decimate.sample_count(len(signal), sample_rate, clock_hz), np.float32)
    filled, start = 0, 0
    chunks = iter(chunks or ())
    while start < len(signal):
        first = start % state.FRAME
        size = min(next(chunks, kernel.BLOCK), kernel.BLOCK - first, len(signal) - start)
        room.sound[: state.PAST + first] = chip.recent[: state.PAST + first]
        room.sound[state.PAST + first : state.PAST + first + size] = signal[start : start + size]
        start += size
        chip.cycle = start
        filled = kernel.finish_exact(chip, model, room, decimator, first, first + size, audio, filled)
    assert filled == len(audio)
    return audio


def tone(hz, cycles, clock_hz=PAL.clock_hz):
    """A sine at chip rate; cycle c is its value in the middle of the cycle."""
    return np.sin(2 * np.pi * hz * (np.arange(cycles) + 0.5) / clock_hz).astype(np.float32)


def steady(audio):
    """The middle of a sound, windowed."""
    part = audio[len(audio) // 4 :].astype(np.float64)
    return part * np.blackman(len(part)), np.blackman(len(part)).sum()


def gain_db(hz, sample_rate, clock_hz=PAL.clock_hz):
    """Gain at `hz`, measured at the same frequency."""
    part, weight = steady(run(tone(hz, 150_000, clock_hz), sample_rate, clock_hz))
    wave = np.exp(-2j * np.pi * hz / sample_rate * np.arange(len(part)))
    return 20 * np.log10(2 * abs(part @ wave) / weight)


def loudest_below_db(hz, sample_rate, limit_hz, clock_hz=PAL.clock_hz):
    """Level of the loudest line below `limit_hz` that a tone of `hz` leaves."""
    part, weight = steady(run(tone(hz, 150_000, clock_hz), sample_rate, clock_hz))
    lines = np.abs(np.fft.rfft(part))
    return 20 * np.log10(2 * lines[np.fft.rfftfreq(len(part), 1 / sample_rate) < limit_hz].max() / weight)


@pytest.mark.parametrize("sample_rate", RATES)
def test_the_pass_band_is_flat(sample_rate):
    edge = min(decimate.PASS_HZ, decimate.PASS_SHARE * sample_rate)
    for hz in np.linspace(500, edge, 8):
        assert abs(gain_db(hz, sample_rate)) < TOLERANCES["flat_db"], hz


@pytest.mark.parametrize("sample_rate", RATES)
def test_nothing_folds_back_into_the_pass_band(sample_rate):
    edge = min(decimate.PASS_HZ, decimate.PASS_SHARE * sample_rate)
    stage1_hz = PAL.clock_hz / state.FRAME
    begins = min(sample_rate, stage1_hz) - edge
    tones = [begins, begins * 1.2, stage1_hz - edge, stage1_hz - 500, stage1_hz + 700, 2 * stage1_hz + 1_000]
    for hz in [*tones, 3 * stage1_hz - 5_000, 4 * stage1_hz - 2_000, sample_rate + 1_000, 300_000]:
        if begins <= hz < PAL.clock_hz / 2:
            assert loudest_below_db(hz, sample_rate, edge) < TOLERANCES["alias_db"], hz


@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
def test_a_pure_tone_stays_pure(sample_rate):
    """Images and rounding: what lies 1 kHz and more beside the tone."""
    hz = 15_000.0
    part, weight = steady(run(tone(hz, 300_000), sample_rate))
    lines = 20 * np.log10(2 * np.abs(np.fft.rfft(part)) / weight + 1e-12)
    beside = np.abs(np.fft.rfftfreq(len(part), 1 / sample_rate) - hz) > 1_000
    assert lines[beside].max() < TOLERANCES["alias_db"]


@pytest.mark.parametrize(
    ("sample_rate", "clock_hz"), [(44_100, PAL.clock_hz), (48_000, NTSC.clock_hz), (8_000, 1_000_000)]
)
def test_sample_times_are_exact_and_the_delay_is_as_documented(sample_rate, clock_hz):
    hz = 1_000
    audio = run(tone(hz, 300_000, clock_hz), sample_rate, clock_hz).astype(np.float64)
    seconds = (np.arange(len(audio)) + 1) / sample_rate - decimate.delay_cycles(sample_rate, clock_hz) / clock_hz
    wave = np.exp(-2j * np.pi * hz * seconds)
    quarter = len(audio) // 4
    for part in (slice(quarter, 2 * quarter), slice(3 * quarter, 4 * quarter)):  # no drift
        window = np.blackman(quarter)
        turn = np.angle(2j * (audio[part] * window) @ wave[part]) / (2 * np.pi)
        assert abs(turn / hz * clock_hz) < TOLERANCES["delay_cycles"]


def test_a_steady_level_comes_through_as_it_is():
    assert np.abs(run(np.full(60_000, 0.5, np.float32), 44_100)[1_000:] - 0.5).max() < 1e-6


@pytest.mark.parametrize("sample_rate", RATES)
def test_the_cut_of_the_work_does_not_change_a_bit(sample_rate):
    rng = np.random.default_rng(sample_rate)
    signal = rng.standard_normal(60_000).astype(np.float32)
    whole = run(signal, sample_rate)
    for chunks in ([1] * 3_000, [7, 8, 9] * 500, rng.integers(1, 300, 400).tolist()):
        assert np.array_equal(run(signal, sample_rate, chunks=chunks), whole)


def test_taps_are_read_only_and_shared():
    assert decimate.design(44_100, PAL.clock_hz) is decimate.design(44_100, PAL.clock_hz)
    with pytest.raises(ValueError, match="read-only"):
        decimate.design(44_100, PAL.clock_hz).stage2[0, 0] = 1


@pytest.mark.parametrize("rate", [0, 7_999, PAL.clock_hz + 1, 44_100.5, "44100", None])
def test_a_wrong_sample_rate_is_told_in_one_line(rate):
    with pytest.raises(
        SampleRateError, match=r"^sample rate .*: expected a whole number of Hz, 8000 to 985248, the clock$"
    ):
        decimate.design(rate, PAL.clock_hz)


def test_a_wrong_clock_is_told_in_one_line():
    with pytest.raises(SampleRateError, match=r"^clock 100: expected a whole number of Hz"):
        decimate.design(44_100, 100)
