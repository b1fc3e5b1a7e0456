"""One log in lanes: stretches of it whose filters are solved side by side, for a render that need not wait for itself.

The digital half is known anywhere after a run through it without sound, and the filter forgets how it began. Each
stretch starts `WARM_BLOCKS` early; that it has forgotten is checked, at the end of the stretch before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sidlearn.chip import decimate, models
from sidlearn.chip.state import BLOCK_FRAMES, FRAME, LANES, ROOM_DTYPE, SIDE_DTYPE, power_on
from sidlearn.writes import RegisterWrites

BLOCK = BLOCK_FRAMES * FRAME
WARM_BLOCKS = 48
"""50 ms: a filter forgets its start within 20 ms, unless its cutoff is below 60 Hz or so."""
FORGOTTEN = 1e-5
"""Of a charge's range: what is left of another start at -100 dB. `6581-residfp`, whose resistor's smallest currents are
rounded to nothing, may keep more for long."""


def render_lanes(
    writes: RegisterWrites,
    model: str,
    sample_rate: int,
    profile: str | Mapping[str, Any],
    lanes: int,
    threads: int | None = None,
) -> np.ndarray | None:
    """Play the log of one SID in exact mode, in so many lanes; None where it has to be played in one.

    That is for a log too short for it, a sample rate above what is resampled, and a filter that does not forget.

    Parameters
    ----------
    writes : RegisterWrites
    model, sample_rate, profile
        As in `sidlearn.chip.sid.render`.
    lanes : int
        Rounded up to a multiple of `LANES`.
    threads : int, optional
        How many times `LANES` of them run at a time; without it all cores. The sound is the same for any number.
    """
    from sidlearn.chip import kernel

    lanes = -(-lanes // LANES) * LANES
    tables = models.load(model, writes.clock_hz, **models.profile(profile))[0]
    decimator = decimate.design(sample_rate, writes.clock_hz, float(tables.low_pass))
    blocks = -(-(-(-writes.length // BLOCK) + (lanes - 1) * WARM_BLOCKS) // lanes)
    if blocks < 2 * WARM_BLOCKS or decimator.step == 1:
        return None
    events = writes.events.copy().view(np.recarray)
    starts = np.arange(lanes) * (blocks - WARM_BLOCKS)
    voices, chips, next_events = _states(kernel, tables, writes, events, starts * BLOCK)
    begun = np.where(np.arange(lanes) > 0, WARM_BLOCKS, 0)
    sounds = np.empty((lanes, blocks * BLOCK_FRAMES), np.float32)
    held = np.empty((lanes, 2), np.float32)

    def play(first: int) -> None:
        group = slice(first, first + LANES)
        kernel.clock_lanes(
            voices[group], chips[group], tables, events, next_events[group], blocks, decimator,
            np.zeros(LANES + 1, ROOM_DTYPE).view(np.recarray), np.zeros(1, kernel.LANES_WORK),
            np.zeros(1, SIDE_DTYPE).view(np.recarray), sounds[group], begun[group], held[group],
        )  # fmt: skip

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(play, range(0, lanes, LANES)))
    if np.abs(held[1:] - chips["filter"][:-1, :2]).max() > FORGOTTEN:
        return None
    _, fresh = power_on(tables, writes.clock_hz)
    audio = np.empty(decimate.sample_count(writes.length, sample_rate, writes.clock_hz), np.float32)
    room = np.zeros(1, ROOM_DTYPE).view(np.recarray)[0]
    kernel.finish_lanes(fresh[0], tables, decimator, room, sounds, begun, writes.length, audio)
    return audio


def _states(
    kernel: Any, tables: np.record, writes: RegisterWrites, events: np.recarray, starts: np.ndarray
) -> tuple[np.recarray, np.recarray, np.ndarray]:
    """Return voices, chip and next event of each lane at its start."""
    one, chip = power_on(tables, writes.clock_hz)
    voices = np.empty((len(starts), len(one)), one.dtype).view(np.recarray)
    chips = np.empty(len(starts), chip.dtype).view(np.recarray)
    next_events = np.zeros(len(starts), np.int64)
    room = np.zeros(1, ROOM_DTYPE).view(np.recarray)[0]
    next_event = 0
    for lane, start in enumerate(starts.tolist()):
        next_event = kernel.skip_voices(one, chip[0], tables, events, np.int64(next_event), start, room)
        voices[lane], chips[lane], next_events[lane] = one, chip[0], next_event
    return voices, chips, next_events
