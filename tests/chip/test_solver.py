"""The filter's solver and fast mode: against exact mode, however the work is cut, and under any traffic."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.chip import models
from sidlearn.chip.sid import MODES, SID, render, render_batch
from sidlearn.clock import PAL
from sidlearn.errors import ModelError
from sidlearn.learn.metrics import lsd
from sidlearn.registers import (
    CONTROL,
    FC_HI,
    FREQ_HI,
    GATE,
    MODE_VOL,
    PULSE,
    PW_HI,
    RES_FILT,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    VOICE_STRIDE,
)
from sidlearn.writes import RegisterWrites
from tests.chip.traffic import traffic

JIT = not numba.config.DISABLE_JIT
needs_jit = pytest.mark.skipif(not JIT, reason="many cycles")
RATE = 44_100
TOLERANCES = {
    # dB to exact, with filter and without. Asked for is 1.2 and .6 to pyresidfp; 1.06 was measured here (6581),
    # which is worse than ordinary music (.6), .04 to .07 without.
    "fast_lsd": {True: 1.2, False: 0.3},
    "digi": 0.002,  # of full scale
}


def sweep(seconds, routing, mode=1):
    """Three voices whose cutoff, resonance and mode move every frame."""
    rows = [(0, RES_FILT, 0xF0 | routing), (0, MODE_VOL, mode << 4 | 15)]
    for voice, (pitch, control) in enumerate(((5, SAWTOOTH), (11, PULSE), (17, SAWTOOTH))):
        first = VOICE_STRIDE * voice
        rows += [(0, first + FREQ_HI, pitch), (0, first + PW_HI, 6), (0, first + SUSTAIN_RELEASE, 0xF0)]
        rows += [(0, first + CONTROL, control | GATE)]
    length = round(seconds * PAL.clock_hz)
    for n, cycle in enumerate(range(1_003, length, PAL.frame_cycles)):
        rows.append((cycle, FC_HI, 40 + abs(n * 9 % 300 - 150)))
        rows.append((cycle + 21, RES_FILT, (n // 8 % 16) << 4 | routing))
        if routing and n % 12 == 0:
            rows.append((cycle + 40, MODE_VOL, (1, 2, 4, 3, 5)[n // 12 % 5] << 4 | 15))
    return RegisterWrites.from_rows(rows, length=length)


@needs_jit
@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("routing", [0, 3])
def test_fast_mode_sounds_like_exact_mode(model, routing):
    writes = sweep(2, routing, 1 if routing else 0)
    exact, fast = (render(writes, model, RATE, mode)[RATE // 4 :] for mode in MODES)
    assert lsd(exact, fast, RATE) < TOLERANCES["fast_lsd"][routing > 0]
    assert exact.std() == pytest.approx(fast.std(), rel=0.01)


@needs_jit
@pytest.mark.parametrize("shift", range(8))
def test_fast_mode_keeps_the_edges_of_volume_to_the_cycle(shift):
    """A square played through $D418, whose edges stand on every cycle of a frame in turn."""
    period = 1_601
    rows = [(c + shift, MODE_VOL, 15 * (n & 1)) for n, c in enumerate(range(0, 200_000, period))]
    writes = RegisterWrites.from_rows(rows, length=200_000)
    late = {mode: SID("6581", mode=mode).delay_seconds for mode in MODES}
    exact, fast = (render(writes, "6581", RATE, mode).astype(float) for mode in MODES)
    hz = np.fft.rfftfreq(len(exact), 1 / RATE)
    fast = np.fft.irfft(np.fft.rfft(fast) * np.exp(2j * np.pi * hz * (late["fast"] - late["exact"])), len(fast))
    low = np.hanning(9) / np.hanning(9).sum()  # below what fast mode keeps
    difference = np.convolve(exact - fast, low, "same")[RATE // 20 : -RATE // 20]
    assert np.abs(difference).max() < TOLERANCES["digi"]
    assert np.convolve(exact, low, "same")[RATE // 20 :].std() > 0.05


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", ["6581", "8580"])
def test_any_cut_gives_the_same_bytes(model, mode):
    length = 60_000 if JIT else 400
    writes = traffic(seed=2, length=length, gap=60, everything=True)
    whole = render(writes, model, mode=mode)
    rng = np.random.default_rng(3)
    for cuts in ([1] * 200, rng.integers(1, 40, 300), rng.integers(1, 3_000, 30)) if JIT else ([1] * 100,):
        sid = SID(model, mode=mode)
        for event in writes.events.tolist():
            sid.poke(*event)
        parts = []
        for cut in cuts:
            parts.append(sid.clock(min(int(cut), length - sid.cycle)))
            if rng.random() < 0.2:
                sid = pickle.loads(pickle.dumps(sid))
        parts.append(sid.clock(length - sid.cycle))
        assert np.concatenate(parts).tobytes() == whole.tobytes()


@needs_jit
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", models.MODELS)
def test_any_traffic_gives_sound_within_its_range(model, mode):
    for seed, gap in enumerate((2, 10, 300)):
        sound = render(traffic(seed=seed, length=60_000, gap=gap, everything=True), model, mode=mode)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 1


def test_a_batch_is_what_each_chip_gives_alone_for_any_number_of_threads():
    length = 30_000 if JIT else 200
    logs = [traffic(seed=n, length=length + 100 * n, everything=True) for n in range(5)]
    alone = [render(log, "8580", RATE, "fast").tobytes() for log in logs]
    for threads in (1, 2, 4):
        assert [sound.tobytes() for sound in render_batch(logs, "8580", RATE, threads=threads)] == alone


def test_a_batch_needs_a_thread():
    with pytest.raises(ModelError, match=r"^threads 0: expected a whole number from 1 up$"):
        render_batch([], threads=0)
