"""Notes are found without the state of the chip."""

from __future__ import annotations

import numpy as np
import pytest

import sidlearn
from sidlearn.chip import models
from sidlearn.chip.decimate import delay_cycles
from sidlearn.clock import PAL
from sidlearn.learn.decode import kernel, tracks_kernel
from sidlearn.learn.decode.cutoffs import with_cutoff
from sidlearn.learn.decode.fallback import go_on
from sidlearn.learn.decode.forward import Forward, field, with_voice
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.target import CENTRE, convert
from sidlearn.registers import GATE, MODE_VOL, PULSE, RES_FILT, SAWTOOTH, SYNC, TRIANGLE, VOICES
from sidlearn.writes import RegisterFrames

SAMPLE_RATE, FRAMES, MISLED = 44_100, 22, 8
ARPEGGIO = (5613, 7072, 8410)


def tune(extra: int = 0) -> RegisterFrames:
    """Return a melody, a bass through a filter that moves, and an arpeggio."""
    image = np.zeros(25, np.uint8)
    image[RES_FILT], image[MODE_VOL] = 0x82, 0x1F
    values = []
    for f in range(FRAMES):
        note = (11_226, 14_985)[f // 12]
        image = with_voice(image, 0, note, 1500 + 20 * f, PULSE | extra | GATE * (f % 12 < 8), 0x08, 0xA9)
        image = with_voice(image, 1, 2807 if f < 16 else 2104, 2048, SAWTOOTH | GATE * (f % 16 < 12), 0x08, 0xB8)
        image = with_voice(image, 2, ARPEGGIO[f % 3], 1024, PULSE | GATE, 0x09, 0xA9)
        values.append(with_cutoff(image, 700 + 20 * f))
    return RegisterFrames(np.array(values))


def misled(frames: RegisterFrames) -> Decoder:
    """Return a decoder that knows the first frames and has lost its way in the two after them."""
    sound = sidlearn.render(frames.writes(), "6581", SAMPLE_RATE)
    start = PAL.clock_hz / SAMPLE_RATE - delay_cycles(SAMPLE_RATE, PAL.clock_hz) - CENTRE
    target = convert(sound, SAMPLE_RATE, models.load("6581")[0], start_cycles=start)
    searcher = Decoder(Forward("6581", target, PAL.frame_cycles))
    searcher.everything = False
    for k, image in enumerate(frames.values[: MISLED + 2]):
        shown = image if k < MISLED else with_voice(image, 0, 9000, 100)
        searcher.accept(searcher.evaluate(searcher.before(), k, shown, (0, 0, 0, 0)))
    return searcher


def near(a: int, b: int) -> bool:
    """Whether two FREQ are the same note."""
    return abs(np.log2(a / b)) < 0.5 / 12


def test_a_decoder_that_is_lost_still_tells_notes_and_waveforms():
    frames = tune(SYNC)
    searcher = misled(frames)
    total = len(searcher.forward.target)
    values, left = go_on(searcher, total)
    truth = frames.values[total - len(values) : total]
    assert total - len(values) == MISLED
    assert np.median(left) < -15
    right = [near(field(a, v)[0], field(b, v)[0]) for a, b in zip(truth, values, strict=True) for v in range(VOICES)]
    assert np.mean(right) > 0.85
    waves = [
        (a[4 + 7 * v] ^ b[4 + 7 * v]) & 0xF0 == 0 for a, b in zip(truth, values, strict=True) for v in range(VOICES)
    ]
    assert np.mean(waves) > 0.85


def test_noise_is_found_by_its_register():
    dac = np.asarray(models.load("6581")[0].dac_wave)
    rest, room = np.empty(819), np.empty(819)
    tracks_kernel.play_noise(0x2A51F3, 0x123456, 9000, 120, 12_288, dac, rest)
    rest -= rest[24:].mean()
    for by in (0, 11):
        near_to = tracks_kernel.register_after(0x2A51F3, 0, 0, 0, by << 20, 1)
        freqs = np.array([8192, 12_288, 4000], np.int64)
        freq, _, register, score = tracks_kernel.find_noise(
            near_to, 0x123456, 9000, 120, freqs, 12, 2, rest, 24, 1.05, dac, room
        )
        assert (freq, register) == (12_288, 0x2A51F3)
        assert score > 0.97 * float(rest[24:] @ rest[24:])


@pytest.mark.parametrize("control", [PULSE, SAWTOOTH, TRIANGLE, PULSE | SYNC])
def test_quick_waves_are_near_to_exact_ones(control):
    frames = tune()
    searcher = misled(frames)
    f = searcher.forward
    image = with_voice(searcher.image(MISLED - 1), 0, control=control | GATE)
    frame = searcher.evaluate(searcher.path[MISLED - 1].before, MISLED - 1, image, (0, 0, 0, 0))
    exact = np.empty(f.samples, np.float32)
    kernel.decimate(frame.waves[0], f.taps, np.zeros(f.taps.size - 1, np.float32), exact)
    events = f.events_between(frame.before.image, image)
    written = [int(events[events[:, 1] // 7 == v, 0].max(initial=0)) for v in range(VOICES)]
    old = [field(frame.before.image, v)[0] for v in range(VOICES)]
    freq, width = field(image, 0)[:2]
    rows = np.array([[frame.before.osc[0, kernel.ACC], old[0], written[0], freq, width, control]], np.int64)
    source = np.array([frame.before.osc[2, kernel.ACC], old[2], field(image, 2)[0], written[2] - 40], np.int64)
    quick = np.empty((1, f.samples))
    tracks_kernel.play_all(rows, source, f.dac, quick)
    assert np.corrcoef(exact[60:], quick[0, 60:])[0, 1] > 0.98
