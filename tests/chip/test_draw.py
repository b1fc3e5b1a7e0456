"""Fast mode's voices, drawn as lines, against what the decimator's first stage makes of their level in every cycle."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.chip import decimate, kernel, models, state
from sidlearn.clock import PAL
from sidlearn.registers import RES_FILT
from sidlearn.writes import RegisterWrites
from tests.chip.test_engine import KINDS, events_of, random_log, same_state

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="many cycles")

MOST_OFF = {"6581": 0.003, "8580": 0.0002}  # of a voice's range: bits of the DAC that no line follows; half a step
CYCLES = 100_000


class First:
    """A chip up to the decimator's first stage."""

    def __init__(self, model):
        self.model = models.load(model)[0]
        self.decimator = decimate.design(44_100, PAL.clock_hz, float(self.model.low_pass), True)
        self.responses = decimate.responses(self.decimator)
        self.voices, chips = state.power_on(self.model, PAL.clock_hz)
        self.chip, self.room = chips[0], np.zeros(1, state.ROOM_DTYPE).view(np.recarray)[0]
        self.event = np.int64(0)

    def level(self, events, size):
        """Clock by `size` cycles, one level a cycle; return the samples of what is routed and of what is mixed."""
        first, chip, room = self.chip.cycle % state.FRAME, self.chip, self.room
        self.event, changes = kernel.clock_block(self.voices, chip, self.model, events, self.event, room, size)
        frames = (first + size) // state.FRAME
        samples = np.empty((2, frames), np.float32)
        for sums, row in zip((room.routed, room.mixed), samples, strict=True):
            kernel.filter_frames(self.decimator.stage1, sums[: state.PAST + frames * state.FRAME], room, row)
        kernel.keep_block(chip, room, first + size, changes)
        return samples

    def draw(self, events, size):
        """The same by lines."""
        first, chip, room = self.chip.cycle % state.FRAME, self.chip, self.room
        self.event, changes = kernel.draw_block(
            self.voices, chip, self.model, self.responses, events, self.event, room, size
        )
        frames = (first + size) // state.FRAME
        kernel.decimate_inputs(chip, self.decimator, room, frames)
        samples = np.stack([room.routed_samples[:frames], room.mixed_samples[:frames]])
        kernel.keep_drawn_block(chip, room, first + size, changes)
        return samples


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", models.MODELS)
def test_lines_give_the_samples_of_the_levels_and_leave_the_same_voices(model, kind):
    writes = random_log([0, 5], kind, CYCLES)
    events = events_of(RegisterWrites.from_rows([(0, RES_FILT, 5), *writes.events.tolist()], length=CYCLES))
    ours, theirs = First(model), First(model)
    rng = np.random.default_rng(0)
    worst, done, loudest = 0.0, 0, 0.0
    while done < CYCLES:
        size = min(CYCLES - done, kernel.BLOCK - done % state.FRAME, int(rng.integers(1, kernel.BLOCK + 1)))
        drawn, levels = ours.draw(events, size), theirs.level(events, size)
        same_state((ours.voices,), (theirs.voices,))
        worst = max(worst, float(np.abs(drawn - levels).max(initial=0)))
        loudest = max(loudest, float(np.abs(levels).max(initial=0)))
        done += size
    assert worst < MOST_OFF[model[:4]] * 3 * ours.model.voice_range
    assert loudest > 0.05 * ours.model.voice_range
