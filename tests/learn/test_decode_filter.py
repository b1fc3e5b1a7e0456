"""The decoder's filter is the chip's."""

from __future__ import annotations

import numpy as np
import pytest

import sidlearn
from sidlearn.chip import models
from sidlearn.chip.decimate import delay_cycles
from sidlearn.clock import PAL
from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.cutoffs import with_cutoff
from sidlearn.learn.decode.forward import Forward, with_voice
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.target import CENTRE, convert
from sidlearn.registers import GATE, MODE_VOL, RES_FILT
from sidlearn.writes import RegisterFrames

SAMPLE_RATE = 44_100


def tune(frames: int, routing: int = 2, mode: int = 1, resonance: int = 8, model: str = "6581") -> RegisterFrames:
    """Return pulse, sawtooth and triangle, some of them through a filter that moves."""
    image = np.zeros(25, np.uint8)
    image[RES_FILT], image[MODE_VOL] = resonance << 4 | routing, mode << 4 | 15
    values = []
    for f in range(frames):
        image = with_voice(image, 0, 7072 if f < 3 else 8410, 1500, 0x40 | GATE, 0x08, 0x89)
        image = with_voice(image, 1, 1403, 2048, 0x20 | GATE, 0x07, 0x97)
        image = with_voice(image, 2, 11_226, 1024, 0x40 | GATE, 0x09, 0x7A)
        image = with_cutoff(image, (714 if model == "6581" else 300) + 30 * f)
        values.append(image)
    return RegisterFrames(np.array(values))


def decoder_for(frames: RegisterFrames, model: str) -> Decoder:
    """Return a decoder for the sound of our own chip."""
    sound = sidlearn.render(frames.writes(), model, SAMPLE_RATE)
    start = PAL.clock_hz / SAMPLE_RATE - delay_cycles(SAMPLE_RATE, PAL.clock_hz) - CENTRE
    target = convert(sound, SAMPLE_RATE, models.load(model)[0], start_cycles=start)
    searcher = Decoder(Forward(model, target, PAL.frame_cycles))
    searcher.everything = False
    return searcher


@pytest.mark.parametrize("model", ["6581", "8580"])
@pytest.mark.parametrize(("routing", "mode"), [(2, 1), (5, 2), (7, 6), (0, 1)])
def test_right_registers_explain_a_filtered_sound(model, routing, mode):
    frames = tune(5, routing, mode, model=model)
    searcher = decoder_for(frames, model)
    for k, image in enumerate(frames.values[:4]):
        searcher.accept(searcher.evaluate(searcher.before(), k, image, (0, 0, 0, 0)))
    target = searcher.forward.target[:4]
    assert all(f.energy < 4e-3 * len(t) * np.var(t) for f, t in zip(searcher.path[1:], target[1:], strict=True))
    other = searcher.evaluate(searcher.path[2].before, 2, with_cutoff(frames.values[2], 1800), (0, 0, 0, 0))
    if routing:
        assert other.energy > 3 * searcher.path[2].energy


def test_parts_of_a_frame_add_up_to_it():
    frames = tune(4)
    searcher = decoder_for(frames, "6581")
    for k, image in enumerate(frames.values[:3]):
        searcher.accept(searcher.evaluate(searcher.before(), k, image, (0, 0, 0, 0)))
    frame = searcher.path[2]
    left = searcher.sums(frame) - searcher.parts(frame).sum(axis=0)
    assert np.std(left[24:]) < 0.05 * np.std(searcher.sums(frame)[24:])


def test_what_went_into_the_filter_is_told_from_what_came_out():
    frames = tune(4)
    searcher = decoder_for(frames, "6581")
    searcher.accept(searcher.evaluate(searcher.before(), 0, frames.values[0], (0, 0, 0, 0)))
    frame = searcher.evaluate(searcher.before(), 1, frames.values[1], (0, 0, 0, 0))
    searcher.share(frame.image)
    before = searcher.input_of(frame, 1)[:: kernel.STEP]
    wanted = np.interp(searcher.at, np.arange(len(before)), before)[40:]
    found = searcher.ahead(1, searcher.rest(frame, 1))[40:]
    assert np.corrcoef(wanted, found)[0, 1] > 0.95
