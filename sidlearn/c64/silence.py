"""When a tune has ended: nothing that can be heard has been written for a while."""

from __future__ import annotations

import numpy as np

from sidlearn import registers
from sidlearn.writes import SIDS

SECONDS = 10
"""How long it has to be still: a guess, longer than the rests within tunes."""

_STRIDE = 32
_CONTROLS = [
    sid * _STRIDE + registers.voice_register(voice, registers.CONTROL)
    for sid in range(SIDS)
    for voice in range(registers.VOICES)
]


class Listener:
    """Follows a tune's writes and remembers when the last one came that can be heard.

    That is one which changes a register while a gate is on, or changes MODE_VOL, with which samples are played.

    Attributes
    ----------
    last_cycle : int
        When that was.
    """

    def __init__(self) -> None:
        self.last_cycle = 0
        self._image = np.zeros(SIDS * _STRIDE, np.int64)

    def hear(self, events: np.ndarray) -> None:
        """Take the next writes, `WRITE_DTYPE`."""
        if not len(events):
            return
        register, value = events["register"].astype(np.int64), events["value"].astype(np.int64)
        order = np.argsort(register, kind="stable")
        sorted_register, sorted_value = register[order], value[order]
        before = np.concatenate(([0], sorted_value[:-1]))
        first = np.concatenate(([True], sorted_register[1:] != sorted_register[:-1]))
        before[first] = self._image[sorted_register[first]]
        changed = np.empty(len(events), bool)
        changed[order] = sorted_value != before
        audible = changed & (self._gates(register, value) | (register % _STRIDE == registers.MODE_VOL))
        heard = np.flatnonzero(audible)
        if len(heard):
            self.last_cycle = int(events["cycle"][heard[-1]])
        self._image[register] = value  # the last of equal indices stays

    def _gates(self, register: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Whether any gate is on, at every write."""
        count = len(register)
        on = np.zeros(count, bool)
        for control in _CONTROLS:
            places = np.where(register == control, np.arange(count), -1)
            latest = np.maximum.accumulate(places)
            now = np.where(latest >= 0, value[latest], self._image[control])
            on |= now & registers.GATE != 0
        return on
