"""Distances between sounds: laws that each metric keeps, and the libraries where they are installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sidlearn.errors import AudioError, LearnError, SidlearnError
from sidlearn.learn import onsets, pairs, spectra
from sidlearn.learn.metrics import METRICS, lsd, score

RATE = 44_100
NOISE = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
SECONDS = np.arange(2 * RATE) / RATE


def vowels(hz: float = 140.0, rate: int = RATE, seconds: float = 2.0) -> np.ndarray:
    """Four syllables of a harmonic sound with moving formants: enough like speech for every metric."""
    t = np.arange(round(seconds * rate)) / rate
    glide = hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(glide) / rate
    formant = 700 + 300 * np.sin(2 * np.pi * 2.3 * t)
    sound = np.zeros(len(t))
    for harmonic in range(1, 30):
        hz = harmonic * glide
        level = np.exp(-((hz - formant) ** 2) / 4e5) + 0.3 * np.exp(-((hz - 2_300) ** 2) / 4e5)
        sound += level * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2 * t) + 0.3, 0, 1)
    hiss = np.random.default_rng(5).normal(0, 0.002, len(t))
    return (0.2 * sound * syllables + hiss).astype(np.float32)


SPEECH = vowels()


def test_a_sound_is_no_distance_from_itself():
    assert lsd(NOISE, NOISE, RATE) == pytest.approx(0, abs=1e-6)


def test_gain_and_lag_do_not_count():
    later = np.concatenate([np.zeros(777, np.float32), NOISE * 0.3])
    assert lsd(NOISE, later, RATE) < 0.02
    assert lsd(later, NOISE, RATE) < 0.02


def test_one_decibel_in_half_of_the_spectrum_is_half_a_decibel():
    spectrum = np.fft.rfft(NOISE)
    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    tilted = np.fft.irfft(spectrum * np.where(hz < 8_010, 10 ** (1 / 20), 1.0))
    assert lsd(NOISE, tilted, RATE) == pytest.approx(0.5, abs=0.02)


def test_what_lies_under_the_floor_does_not_count():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    hiss = 1e-6 * NOISE
    assert lsd(tone, tone + hiss, RATE) < 0.01
    assert lsd(tone, tone + NOISE, RATE) > 1


@pytest.mark.parametrize("wrong", [np.zeros(RATE), np.ones(100), np.full(RATE, np.nan), np.zeros((RATE, 2))])
def test_what_cannot_be_compared_is_told(wrong):
    with pytest.raises(AudioError):
        lsd(NOISE, wrong, RATE)


BEST = {"stoi": 1, "estoi": 1, "rpa": 1, "rms_cosine": 1, "onset_f": 1, "mss": 0, "lsd": 0, "sot": 0, "wmfcc": 0}


@pytest.mark.parametrize("name", METRICS)
def test_the_same_sound_scores_best_and_a_worse_one_worse(name):
    hiss = np.random.default_rng(2).normal(0, 1, len(SPEECH)).astype(np.float32)
    other = 0.3 * vowels(200.0)[::-1] + 0.05 * hiss  # another pitch, another rhythm, and hiss
    itself, worse = (METRICS[name](SPEECH, sound, RATE) for sound in (SPEECH, other))
    assert itself > worse if METRICS[name].higher_is_better else itself < worse
    if name in BEST:
        assert itself == pytest.approx(BEST[name], abs=1e-3)
    else:
        assert itself > 4  # MOS; speech mode's polynomial gives 5 at its best, the audio mode's model 4.7


@pytest.mark.parametrize("name", METRICS)
def test_a_lag_between_equal_waveforms_does_not_count(name):
    later = np.concatenate([np.zeros(1_500, np.float32), SPEECH])
    value, itself = METRICS[name](SPEECH, later, RATE), METRICS[name](SPEECH, SPEECH, RATE)
    assert value == pytest.approx(itself, abs=0.02 * max(1, abs(itself)))


def test_what_a_candidate_leaves_out_counts():
    half = SPEECH[: len(SPEECH) // 2]
    for name in ("stoi", "rms_cosine", "rpa"):
        assert METRICS[name](SPEECH, half, RATE) < 0.8


@pytest.mark.parametrize(
    ("module", "names"),
    [("pystoi", {"stoi", "estoi"}), ("visqol", {"visqol", "visqol_audio"}), ("swift_f0", {"rpa"})],
)
def test_a_missing_library_costs_its_own_metrics_only(monkeypatch, module, names):
    monkeypatch.setitem(sys.modules, module, None)
    caches = [pairs.need]
    from sidlearn.learn import intelligibility, pitch

    caches += [intelligibility._visqol_api, pitch._detector]
    for cache in caches:
        cache.cache_clear()
    values, reasons = score(SPEECH, SPEECH, RATE)
    for cache in caches:
        cache.cache_clear()
    assert reasons.keys() == names
    assert all("pip install 'sidlearn[learn]'" in reason and "\n" not in reason for reason in reasons.values())
    assert values.keys() == METRICS.keys() - names


def test_sounds_that_do_not_fit_a_metric_are_told_and_the_others_go_on():
    drum = NOISE * np.exp(-np.arange(RATE) / 800)
    values, reasons = score(drum, drum, RATE)
    assert "no frame has a clear pitch" in reasons["rpa"]
    assert "loud enough" in reasons["stoi"]
    assert values["onset_f"] == 1


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(LearnError, match="did you mean stoi"):
        score(SPEECH, SPEECH, RATE, ["stoy"])


@pytest.mark.parametrize("sound", [np.zeros(RATE), NOISE[:100]])
@pytest.mark.parametrize("name", METRICS)
def test_silence_and_scraps_are_one_line(name, sound):
    with pytest.raises(SidlearnError) as told:
        METRICS[name](sound, SPEECH, RATE)
    assert "\n" not in str(told.value)


def test_rpa_is_the_share_of_frames_in_tune():
    def tone(hz):
        phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, len(SECONDS))) / RATE
        return sum(0.3 / n * np.sin(n * phase) for n in range(1, 12)).astype(np.float32)

    half = np.where(SECONDS < 1, 220 * 2 ** (30 / 1_200), 220 * 2 ** (80 / 1_200))
    assert METRICS["rpa"](tone(220), tone(220 * 2 ** (30 / 1_200)), RATE) == 1
    assert METRICS["rpa"](tone(220), tone(220 * 2 ** (80 / 1_200)), RATE) == 0
    assert METRICS["rpa"](tone(220), tone(half), RATE) == pytest.approx(0.5, abs=0.05)


def test_transport_of_a_tone_is_its_way_in_hz():
    low, high = (np.sin(2 * np.pi * hz * SECONDS) for hz in (1_000, 1_500))
    assert METRICS["sot"](low, high, RATE) == pytest.approx(500, rel=0.02)


def test_mel_filters_have_equal_area_and_cover_all():
    filters = spectra.mel_filters(RATE, 4_096, 64)
    step_hz = RATE / 4_096
    assert filters[20:].sum(axis=1) * step_hz == pytest.approx(np.ones(44), rel=0.05)
    assert (filters.sum(axis=1) > 0).all()


def test_ten_decibels_of_level_in_one_half_are_heard_by_mss():
    louder = np.where(np.arange(RATE) < RATE // 2, NOISE, NOISE * 10**-0.5)
    assert METRICS["mss"](NOISE, louder, RATE) == pytest.approx(5, abs=0.4)


def test_warping_forgives_a_little_time():
    clicks = np.zeros((2, 2 * RATE))
    for i, shift in enumerate((0, 0.03)):
        for beat in (0.3, 0.8, 1.2, 1.7):
            at = int((beat + shift) * RATE)
            clicks[i, at : at + 2_000] += NOISE[:2_000]
    first, second = (spectra._cepstra(sound, RATE) for sound in clicks)
    cost, steps = spectra._warp(first, second)
    assert cost / steps < 0.5 * np.abs(first - second).mean()


def test_warping_is_the_plain_dynamic_program():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(30, 4)), rng.normal(size=(26, 4))
    best = np.full((31, 27), np.inf)
    best[0, 0] = 0
    for i in range(30):
        for j in range(26):
            step = np.abs(first[i] - second[j]).mean()
            best[i + 1, j + 1] = step + min(best[i, j], best[i, j + 1], best[i + 1, j])
    assert spectra._warp(first, second)[0] == pytest.approx(best[30, 26])


def test_onsets_are_found_where_clicks_begin():
    sound = np.zeros(2 * RATE)
    beats = np.array([0.1, 0.35, 0.9, 1.25, 1.6])
    for beat, level in zip(beats, (1, 0.1, 0.5, 0.05, 1), strict=True):
        at = int(beat * RATE)
        sound[at : at + 8_000] += level * NOISE[:8_000] * np.exp(-np.arange(8_000) / 2_000)
    assert onsets.detect(sound, RATE) == pytest.approx(beats, abs=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_pairs_of_onsets_are_the_most_possible(seed):
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(seed)
    wanted, found = np.sort(rng.uniform(0, 1, 12)), np.sort(rng.uniform(0, 1, 9))
    near = np.abs(wanted[:, None] - found) <= 0.05
    rows, columns = linear_sum_assignment(near, maximize=True)
    assert onsets.f_measure(wanted, found) == pytest.approx(2 * near[rows, columns].sum() / 21)
