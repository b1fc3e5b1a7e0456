"""Many logs in fast mode, each on a chip of its own: `LANES` chips whose filters are solved side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from sidlearn.chip import decimate, models
from sidlearn.chip.state import CHIP_DTYPE, LANES, ROOM_DTYPE, SIDE_DTYPE, VOICE_DTYPE, power_on
from sidlearn.registers import VOICES
from sidlearn.writes import RegisterWrites

LEAST = 3
"""Fewer chips are done sooner one by one."""


class Bench(NamedTuple):
    """Room for a group of chips: what a kernel finds there from the group before does not matter to it."""

    voices: np.recarray
    chips: np.recarray
    rooms: np.recarray
    side: np.recarray


_FREE: list[Bench] = []
"""Those in nobody's use: pages that the system has given once cost a tenth of a short batch."""


def render_lots(
    logs: Sequence[RegisterWrites],
    model: str,
    sample_rate: int,
    profile: str | Mapping[str, Any],
    threads: int,
) -> list[np.ndarray]:
    """Play logs of one SID each in fast mode; return what `sidlearn.chip.sid.render` gives for them, to the last bit.

    Parameters
    ----------
    logs : sequence of RegisterWrites
        All with the same clock.
    model, sample_rate, profile
        As in `sidlearn.chip.sid.render`.
    threads : int
        How many times `LANES` of them are clocked at a time.
    """
    clock_hz = logs[0].clock_hz
    tables = models.load(model, clock_hz, **models.profile(profile))[0]
    decimator = decimate.design(sample_rate, clock_hz, float(tables.low_pass), True)
    by_length = sorted(range(len(logs)), key=lambda n: logs[n].length)
    groups = [by_length[n : n + LANES] for n in range(0, len(logs), LANES)]
    begun, responses = power_on(tables, clock_hz), decimate.responses(decimator)

    def play(group: list[int]) -> list[np.ndarray]:
        return _play([logs[n] for n in group], tables, decimator, begun, responses)

    if threads == 1:
        played = [play(group) for group in groups]
    else:
        with ThreadPoolExecutor(threads) as pool:
            played = list(pool.map(play, groups))
    sounds = dict(zip(by_length, (sound for group in played for sound in group), strict=True))
    return [sounds[n] for n in range(len(logs))]


def _play(
    logs: list[RegisterWrites],
    tables: np.record,
    decimator: decimate.Decimator,
    begun: tuple[np.recarray, np.recarray],
    responses: np.ndarray,
) -> list[np.ndarray]:
    """Play up to `LANES` logs on chips that have `begun` alike."""
    from sidlearn.chip import kernel

    try:
        bench = _FREE.pop()  # as one step: other threads do the same
    except IndexError:
        bench = Bench(
            np.zeros((LANES, VOICES), VOICE_DTYPE).view(np.recarray),
            np.zeros(LANES, CHIP_DTYPE).view(np.recarray),
            np.zeros(LANES + 1, ROOM_DTYPE).view(np.recarray),
            np.zeros(1, SIDE_DTYPE).view(np.recarray),
        )
    bench.voices[:], bench.chips[:] = begun
    bench.side.fed[:] = 0
    lengths = np.array([writes.length for writes in logs])
    counts = [decimate.sample_count(writes.length, decimator.sample_rate, decimator.clock_hz) for writes in logs]
    places = np.cumsum([0, *counts])
    audio = np.empty(places[-1], np.float32)
    kernel.clock_batch(
        bench.voices, bench.chips, tables, np.concatenate([writes.events for writes in logs]).view(np.recarray),
        np.cumsum([0, *(len(writes.events) for writes in logs)]), lengths, decimator,
        responses, bench.rooms, np.zeros(1, kernel.BATCH_WORK), bench.side, audio, places[:-1],
    )  # fmt: skip
    _FREE.append(bench)
    return [audio[place : place + count].copy() for place, count in zip(places.tolist(), counts, strict=False)]
