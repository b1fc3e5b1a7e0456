"""A source in the window: the sound is that of the file, bit for bit; POKEs act; it ends by itself."""

from __future__ import annotations

import numpy as np
import pytest

import sidlearn
from sidlearn.config import Config
from sidlearn.play.live import Engine
from sidlearn.play.watched import SourceDesk, play_in_window
from sidlearn.sources import LogPerformance

pygame = pytest.importorskip("pygame")


@pytest.fixture
def writes():
    rows = [(0, 24, 15), (40, 5, 0x09), (80, 6, 0), (120, 1, 28), (160, 4, 17), (200_000, 4, 16), (300_000, 4, 33)]
    return sidlearn.RegisterWrites.from_rows(rows, 500_000)


def desk_of(writes, seconds=None):
    source = LogPerformance(writes, "register log")
    engine = Engine("6581", 44_100, writes.clock_hz, "exact", 1, scopes=True)
    return SourceDesk(source, engine, Config(), "log", seconds)


def test_what_is_watched_sounds_as_the_file_does(writes):
    desk = desk_of(writes)
    parts = []
    with desk.engine as engine:
        engine.open("file", block=256)
        while engine.cycle < 480_000:
            desk.feed()
            parts.append(engine.pull(256))
    sound = np.concatenate(parts)
    wanted = sidlearn.render(writes)
    count = min(len(sound), len(wanted))
    assert count > 20_000
    assert np.array_equal(sound[:count], wanted[:count])


def test_it_is_over_when_the_last_note_has_died(writes):
    desk = desk_of(writes)
    with desk.engine as engine:
        engine.open("file", block=1024)
        while not desk.over:
            desk.feed()
            engine.pull(1024)
            assert engine.cycle < 6_000_000
        assert 500_000 <= engine.cycle < 1_200_000
    assert not desk.cut


def test_a_poke_reaches_the_chip_between_the_writes(writes):
    desk = desk_of(writes)
    with desk.engine as engine:
        engine.open("file", block=256)
        desk.feed()
        engine.pull(256)
        desk.poke(24, 3)
        engine.pull(256)
        assert engine.record.registers[0, 24] == 3


@pytest.mark.parametrize(("seconds", "cut"), [(0.3, True), (20, False)])
def test_the_window_plays_to_the_end(writes, monkeypatch, seconds, cut):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    pygame.display.quit()
    log = LogPerformance(writes, "log")
    started = []
    assert play_in_window(log, Config(), "log", seconds, started=lambda: started.append(log.ended)) is cut
    assert started == [False]
    pygame.display.quit()
