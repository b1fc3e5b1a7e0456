"""The decoder finds the registers again that a chip was told."""

from __future__ import annotations

import numpy as np
import pytest

import sidlearn
from sidlearn.learn.checkpoint import Forgetful
from sidlearn.learn.decode import decode, decoder
from sidlearn.learn.decode.forward import field, with_voice
from sidlearn.registers import GATE, MODE_VOL
from sidlearn.writes import RegisterFrames

SAMPLE_RATE = 44_100


def tune(frames: int, voices: int = 3) -> RegisterFrames:
    """Return notes on pulse, sawtooth and triangle, each voice with its own instrument and rhythm."""
    instruments = ((0x40, 0x19, 0x6A, 7, 4), (0x20, 0x08, 0xA6, 9, 6), (0x10, 0x29, 0x87, 5, 3))
    notes = ((4291, 5407, 6430), (1072, 1607), (8583, 10814, 12860, 6430))
    image = np.zeros(25, np.uint8)
    image[MODE_VOL] = 15
    values = []
    for f in range(frames):
        for v, (wave, ad, sr, length, held) in enumerate(instruments[:voices]):
            gate = GATE if f % length < held else 0
            image = with_voice(
                image,
                v,
                notes[v][f // length % len(notes[v])],
                (1500 + 37 * f) % 4096 if v == 0 else 0,
                wave | gate,
                ad,
                sr,
            )
        values.append(image)
    return RegisterFrames(np.array(values))


@pytest.mark.parametrize("model", ["6581"])
def test_registers_of_our_own_chip_come_back(model):
    frames = tune(6)
    found = decode(sidlearn.render(frames.writes(), model, SAMPLE_RATE), SAMPLE_RATE, model=model)
    assert found.locked
    n = 5
    for v in range(3):
        true = np.array([field(image, v) for image in frames.values[:n]])
        ours = np.array([field(image, v) for image in found.frames.values[:n]])
        assert np.mean(np.abs(true[:, 0] - ours[:, 0]) <= 1) > 0.9
        assert np.mean(true[:, 2] & 0xF0 == ours[:, 2] & 0xF0) > 0.9
    assert np.mean(found.confidence[:n] > 0.5) > 0.7


class Kept(Forgetful):
    """A store in memory that says when it was used."""

    def __init__(self):
        self.arrays = {}

    def get(self, name):
        return self.arrays.get(name)

    def put(self, name, /, **arrays):
        self.arrays[name] = {key: np.asarray(value) for key, value in arrays.items()}


def test_a_run_that_is_taken_up_again_ends_with_the_same(monkeypatch):
    monkeypatch.setattr(decoder, "KEPT_EVERY", 2)
    frames = tune(4, voices=1)
    sound = sidlearn.render(frames.writes(), "6581", SAMPLE_RATE)
    store = Kept()
    whole = decode(sound, SAMPLE_RATE, checkpoint=store)
    assert 0 < len(store.arrays["decode"]["images"]) <= 4
    store.arrays["decode"] = {
        **store.arrays["decode"],
        **{key: store.arrays["decode"][key][:2] for key in ("images", "pads")},
    }
    again = decode(sound, SAMPLE_RATE, checkpoint=store)
    assert np.array_equal(whole.frames.values, again.frames.values)
    assert np.array_equal(whole.confidence, again.confidence)


def test_noise_is_not_decoded():
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE // 5).astype(np.float32)
    found = decode(noise, SAMPLE_RATE)
    assert not found.locked
    assert found.confidence.max() < 0.5
