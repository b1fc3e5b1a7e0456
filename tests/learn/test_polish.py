"""What the polish starts from: the same sound in shorter frames, envelopes as they are, bands that lack most."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sidlearn.learn import envelopes, polish, pursue
from sidlearn.learn.analyse import bands_for
from sidlearn.registers import CONTROL, GATE, NOISE, TRIANGLE, VOICE_STRIDE
from sidlearn.writes import RegisterFrames

FRAME_CYCLES = 19_656


def random_frames(seed: int, count: int = 40) -> RegisterFrames:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (count, 25)).astype(np.uint8)
    held = rng.random((count, 25)) < 0.6
    for t in range(1, count):
        values[t, held[t]] = values[t - 1, held[t]]
    return RegisterFrames(values, FRAME_CYCLES)


@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_shorter_frames_are_the_same_writes(seed, times):
    frames = random_frames(seed)
    shorter, level = polish.finer(frames, times, len(frames) * times, "6581")
    assert np.array_equal(shorter.writes().events, frames.writes().events)
    assert level.shape == (len(frames) * times, 3)
    assert polish.finer(frames, times, 77, "6581")[0].values.shape == (77, 25)


@pytest.mark.parametrize("seed", range(3))
def test_levels_of_given_registers_are_those_that_the_planner_counts(seed):
    rng = np.random.default_rng(seed)
    wanted = np.abs(np.convolve(rng.normal(size=60), np.hanning(9), "same"))
    control = np.full(60, 0x20, np.uint8)
    none = np.zeros(60, np.int64)
    timing = envelopes.Timing(none, none, FRAME_CYCLES)
    plan = envelopes.plan(wanted / wanted.max(), control, timing)
    rows = np.stack((plan.attack_decay, plan.sustain_release, plan.gate), axis=1)
    found = envelopes.reached(rows, timing, envelopes.levels().astype(np.float64))
    assert np.allclose(found.mean(axis=1), plan.level, atol=1e-6)


def test_what_stands_already_is_kept_where_no_plan_is_better():
    # Levels that these registers come to exactly: nothing that is planned anew can miss them by less.
    frames = random_frames(5)
    _, level = polish.finer(frames, 1, len(frames), "6581")
    level_of = envelopes.levels().astype(np.float64)
    rows = np.vstack((np.zeros((1, 25), np.uint8), frames.values))[: polish.HORIZON + 1]
    start = [envelopes.power_on() for _ in range(3)]
    for voice in range(3):
        missed = polish.miss(rows, start, level[: polish.HORIZON], voice, FRAME_CYCLES, level_of)
        worst = polish.miss(rows, start, np.zeros_like(level[: polish.HORIZON]), voice, FRAME_CYCLES, level_of)
        assert missed < 0.35 * worst  # halves of a frame differ from its mean; nothing else is missed


def test_bands_that_lack_are_given_harmonics_of_the_pitch_or_noise():
    row = np.zeros(25, np.uint8)
    master = 2_000
    row[0], row[1] = master & 255, master >> 8
    for voice in range(3):
        row[voice * VOICE_STRIDE + CONTROL] = 0x40 | GATE
    found = list(polish._filled(1, row, 1_500.0, master))
    made = [dict(change.registers) for change in found]
    controls = {m[VOICE_STRIDE + CONTROL] for m in made}
    assert controls == {TRIANGLE | GATE, NOISE | GATE}
    tone = next(m for m in made if m[VOICE_STRIDE + CONTROL] == TRIANGLE | GATE)
    freq = tone[VOICE_STRIDE] | tone[VOICE_STRIDE + 1] << 8
    assert freq % master == 0
    assert abs(freq / polish.FREQ_PER_HZ - 1_500) <= master / polish.FREQ_PER_HZ / 2


def test_lacking_bands_are_those_with_the_greatest_deficit():
    bands = bands_for(0.02)
    wanted = np.full((3, len(bands.hz)), 0.1, np.float32)
    wanted[:, 7], wanted[:, 20] = 0.9, 0.8
    search = SimpleNamespace(
        bench=SimpleNamespace(goal=SimpleNamespace(compressed=wanted, floor=np.float32(1e-9), bands=bands)),
        columns=range(3),
        power=np.full((3, len(bands.hz)), 0.1**8, np.float32),
    )
    found = polish.FrameSearch.lacking(search, 2)
    assert found == [float(bands.hz[7]), float(bands.hz[20])]


def test_voices_may_go_on_as_they_were_and_strokes_begin_where_the_target_has_one():
    before, row = random_frames(3).values[:2].astype(int)
    going_on = list(polish.strokes(np.stack((before, row)), False))
    for change in going_on:
        for register, value in change.registers:
            kept = before[register] & ~GATE | row[register] & GATE if register % 7 == CONTROL else before[register]
            assert value == kept
    assert len(list(polish.strokes(np.stack((before, row)), True))) > len(going_on)


def test_drums_are_struck_and_a_voice_with_its_pauses_is_not():
    def struck(f0):
        none = np.zeros((len(f0), 1))
        return pursue.struck_frames(pursue.Target(none, np.asarray(f0, float), none, none), 0.02)

    assert struck(np.zeros(20)).all()
    assert struck([100] * 12 + [0] * 88 + [80] * 5 + [0] * 95).all()
    assert not struck(([120] * 30 + [0] * 25) * 4).any()
    assert struck([120] * 200 + [0] * 200)[250:].all()
