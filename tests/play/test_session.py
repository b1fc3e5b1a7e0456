"""Live play as the window has it: knobs for every parameter, instruments taken and saved with what was turned."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.midi import controls, instruments
from sidlearn.midi.instruments import shipped
from sidlearn.midi.player import Player
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.play.session import KNOBS, LiveDesk
from sidlearn.writes import LogPort


@pytest.fixture(scope="module")
def desk():
    with Engine() as engine:
        engine.open("file", 1024)
        performer = Performer(engine, Player)
        names = list(performer.player.bank.instruments)
        yield LiveDesk(performer, "6581", names, names[0])


def test_there_is_a_knob_for_every_parameter_and_its_words_fit():
    assert set(KNOBS) == set(controls.CONTROLS)
    assert len(set(KNOBS.values())) == len(KNOBS)
    assert all(len(name) <= 7 for name in KNOBS.values())


@pytest.mark.parametrize("place", range(len(KNOBS)))
def test_a_knob_stands_where_it_was_turned_to(desk, place):
    knob, name = desk.knobs[place], list(KNOBS)[place]
    steps = controls.CONTROLS[name].steps
    for step in {0, 1, steps // 2, steps - 1}:
        knob.set(step / (steps - 1))
        assert knob.get() == pytest.approx(step / (steps - 1))
        assert 1 <= len(knob.text()) <= 7
        desk.engine.pull(256)
    knob.set(0.0)
    knob.set(min(knob.get() + knob.least, 1.0))  # one step of the wheel moves it
    assert knob.get() > 0 or steps > 64


def test_a_fresh_instrument_shows_what_it_is(desk):
    for place, instrument in enumerate(shipped()[:28]):
        desk.choose(desk.instruments.index(instrument.name))
        player = desk._performer.player
        assert player.step_of("attack") == instrument.attack
        assert player.step_of("pulse_width") == instrument.pulse_width
        assert player.step_of("waveform") == instrument.control_at(10_000) >> 4, place
        assert (
            abs(controls.rate_hz(player.step_of("vibrato_rate"), *controls.VIBRATO_HZ) - instrument.vibrato_rate) < 0.2
        )


def played(instrument, turned=()):
    """The writes of a note, with some controls turned before it."""
    port = LogPort()
    player = Player(port, instrument=instrument)
    for name, step in turned:
        player.turn(100, 0, name, player.value_for(name, step))
    fresh = len(port.cycles)
    player.message(50_000, bytes((0x90, 57, 100)))
    player.advance(600_000)
    player.message(600_000, bytes((0x80, 57, 0)))
    player.advance(900_000)
    image = [0] * 25
    rows = []
    for n, (cycle, register, value) in enumerate(zip(port.cycles, port.registers, port.values, strict=True)):
        image[register] = value
        if n >= fresh:
            rows.append((cycle // 19_656, tuple(image[:7])))
    return dict(rows), player  # the voice at the end of each frame


SOUND = (
    "attack",
    "decay",
    "sustain",
    "release",
    "pulse_width",
    "waveform",
    "ring",
    "sync",
    "vibrato_depth",
    "vibrato_rate",
)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(shipped()[:28]),
    st.lists(st.tuples(st.sampled_from(SOUND), st.integers(0, 4095)), max_size=4, unique_by=lambda t: t[0]),
)
def test_what_is_saved_sounds_as_it_was_turned(instrument, turned):
    turned = [(name, step % controls.CONTROLS[name].steps) for name, step in turned]
    voice, player = played(instrument, turned)
    text = instruments.text_of(player.instrument_as_turned())
    again, _ = played(instruments.parse(text))
    assert {f: v[2:] for f, v in again.items()} == {f: v[2:] for f, v in voice.items()}
    for frame, image in voice.items():  # rates are written with four digits
        freq, other = (v[0] | v[1] << 8 for v in (image, again[frame]))
        assert abs(freq - other) <= 2 + freq // 500


def test_saving_writes_a_file_of_ones_own(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(instruments, "own_folder", lambda: tmp_path / "own")
    desk.choose(3)
    told = desk.save()
    saved = list((tmp_path / "own").iterdir())
    assert len(saved) == 1
    assert str(saved[0]) in told
    assert instruments.load(saved[0]).name == desk.instruments[3]
