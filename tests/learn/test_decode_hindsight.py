"""What later frames tell of earlier ones, and what nobody can tell."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sidlearn.clock import PAL
from sidlearn.learn.decode.forward import NO_PADS, Forward, field, with_gate, with_voice
from sidlearn.learn.decode.gates import tidy
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.registers import GATE, MODE_VOL, PULSE, SAWTOOTH
from sidlearn.writes import RegisterFrames

HIDDEN = (0x18, 0x88)
"""AD and SR: released at the rate of the decay."""
HEARD = (0x18, 0xA3)


def notes(envelope: tuple[int, int], held: tuple[int, ...], length: int = 6) -> np.ndarray:
    """Return frames with a note of one voice after the other, held so long, above a voice that goes on."""
    image = with_voice(np.zeros(25, np.uint8), 1, 2649, 0, SAWTOOTH | GATE, 0x00, 0xF0)
    image[MODE_VOL] = 15
    values = []
    for n, frames in enumerate(held):
        for k in range(length):
            image = with_voice(image, 0, 5298 + 700 * n, 1024, PULSE | (GATE if k < frames else 0), *envelope)
            values.append(image)
    return np.array(values)


def decoder_for(values: np.ndarray, told: np.ndarray) -> Decoder:
    """Return a decoder of the sound of `values` that thinks of frames `told`."""
    silent = Forward("6581", np.zeros(len(values) * PAL.frame_cycles // 24, np.float32), PAL.frame_cycles)
    state, outs = silent.power_on(), []
    for k, image in enumerate(values):
        frame = silent.evaluate(state, k, image, NO_PADS, 0, k == 0)
        outs.append(frame.out)
        state = frame.after
    found = Decoder(Forward("6581", np.concatenate(outs), PAL.frame_cycles))
    for k, image in enumerate(told):
        found.accept(found.evaluate(found.before(), k, image, NO_PADS))
    return found


def test_a_sustain_that_is_heard_late_was_so_all_the_time():
    values = notes(HIDDEN, (3, 2, 6))
    decoder = decoder_for(values, np.array([with_voice(image, 0, sr=0x08) for image in values[:14]]))
    while len(decoder.path) < len(values):
        decoder.decode_next()
    tidy(decoder)
    assert {field(frame.image, 0)[4] for frame in decoder.path} == {0x88}
    assert max(decoder.floor) < 2e-4


def test_all_gates_that_sound_the_same_are_followed():
    values = notes(HIDDEN, (3, 2, 5))
    decoder = decoder_for(values, values)
    (lineage,) = decoder.follow(0, HIDDEN, 0, 6, [decoder.founder(0, 0)])
    first = lineage.notes[0]
    assert {2, 3} <= set(first.offs)
    assert decoder.follow(0, (HIDDEN[0], 0x83), 0, 6, [decoder.founder(0, 0)]) == []


def test_what_was_followed_goes_on_as_if_it_began_anew():
    values = notes(HIDDEN, (3, 2, 5))
    decoder = decoder_for(values, values[:1])
    for number in range(1, len(values)):
        decoder.accept(decoder.evaluate(decoder.before(), number, values[number], NO_PADS))
        decoder.renew()
        for sr in (HIDDEN[1], 0x83, 0x08):
            whole = decoder.follow(0, (HIDDEN[0], sr), 0, number + 1, [decoder.founder(0, 0)])
            assert decoder.noted(0, sr, 0) == whole


def test_what_nobody_can_hear_is_not_sure_and_sounds_the_same():
    values = notes(HIDDEN, (8, 2, 8, 2), 10)
    decoder = decoder_for(values, values)
    unknown = tidy(decoder)
    assert unknown[12:14, 0].all()
    assert not unknown[:10].any()
    assert not unknown[:, 1:].any()
    assert max(decoder.floor) < 1e-5
    heard = notes(HEARD, (8, 2, 8, 2), 10)
    decoder = decoder_for(heard, heard)
    assert not tidy(decoder)[1:16].any()
    assert np.array_equal(np.array([f.image for f in decoder.path]), heard)


def test_a_gate_that_was_missed_is_moved_to_where_the_other_notes_have_it():
    values = notes(HIDDEN, (3, 3, 3, 3))
    told = values.copy()
    told[9] = with_gate(told[9], 0, GATE)
    decoder = decoder_for(values, told)
    tidy(decoder)
    lengths = {sum(int(field(f.image, 0)[2] & GATE) for f in decoder.path[at : at + 6]) for at in (0, 6, 12, 18)}
    assert len(lengths) == 1


@pytest.mark.parametrize(("register", "values"), [("freq", (5297, 5299, 5298)), ("width", (1022, 1023, 1024))])
def test_a_note_that_was_misjudged_is_held_steady(register, values):
    truth = notes(HEARD, (5,))
    told = truth.copy()
    for k, value in enumerate(values):
        told[k] = with_voice(told[k], 0, **{register: value})
    decoder = decoder_for(truth, told[:4])
    decoder.steady()
    assert np.array_equal(np.array([f.image for f in decoder.path]), truth[:4])


def test_a_vibrato_is_left_as_it_is():
    truth = notes(HEARD, (6,))
    for k, by in enumerate((0, 2, 3, 2, 0, -2)):
        truth[k] = with_voice(truth[k], 0, freq=5298 + by)
    decoder = decoder_for(truth, truth)
    decoder.steady()
    assert np.array_equal(RegisterFrames(np.array([f.image for f in decoder.path])).values, truth)


@pytest.mark.parametrize(("freq", "held"), [(10, 250), (65_530, 20), (1000, 1010)])
def test_a_freq_that_takes_one_write_less_is_one_that_there_is(freq, held):
    before = SimpleNamespace(image=with_voice(np.zeros(25, np.uint8), 0, held))
    frame = SimpleNamespace(image=with_voice(np.zeros(25, np.uint8), 0, freq))
    found = Decoder.round_freqs(SimpleNamespace(before=lambda: before), frame, 0)
    assert found[0] == freq
    assert all(0 <= f <= 65_535 for f in found)
    assert [f & 0xFF == held & 0xFF for f in found[1:]] == [True] * (len(found) - 1)
