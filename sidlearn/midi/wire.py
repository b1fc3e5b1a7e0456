"""MIDI as it comes down a wire: bytes to whole messages, with running status and whatever may go wrong.

Source: MIDI 1.0 detailed specification, "Running status", "System real time messages", "System exclusive".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SYSEX, SYSEX_END, REAL_TIME = 0xF0, 0xF7, 0xF8
_DATA = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1}

MOST_SYSEX = 65_536
"""Bytes of a system exclusive message at the most; a longer one is let go."""


def data_bytes(status: int) -> int:
    """Return how many data bytes follow a status byte; those of system exclusive are not counted."""
    return _DATA.get(status & 0xF0, 0) if status < SYSEX else _SYSTEM_DATA.get(status, 0)


def is_whole(message: bytes) -> bool:
    """Whether bytes are one whole message: a status, and as many data bytes as it has."""
    if not message or message[0] < 0x80:
        return False
    if message[0] == SYSEX:
        return len(message) >= 2 and message[-1] == SYSEX_END and all(b < 0x80 for b in message[1:-1])
    return len(message) == 1 + data_bytes(message[0]) and all(b < 0x80 for b in message[1:])


class Parser:
    """Takes bytes in any portions and gives whole messages; what makes none is dropped."""

    def __init__(self) -> None:
        self._status = 0
        self._data = bytearray()
        self._sysex: bytearray | None = None

    def feed(self, data: Iterable[int]) -> Iterator[bytes]:
        """Take some bytes; give the messages that they complete."""
        for byte in data:
            if byte >= REAL_TIME:
                yield bytes((byte,))  # may stand inside any other message
            elif byte >= 0x80:
                message = self._take_status(byte)
                if message:
                    yield message
            else:
                message = self._take_data(byte)
                if message:
                    yield message

    def _take_status(self, byte: int) -> bytes:
        sysex, self._sysex = self._sysex, None  # any status ends it; only F7 makes it whole
        self._data.clear()
        if byte == SYSEX:
            self._sysex = bytearray((SYSEX,))
            self._status = 0
        elif byte == SYSEX_END:
            self._status = 0
            return bytes(sysex) + bytes((SYSEX_END,)) if sysex else b""
        elif byte > SYSEX:
            self._status = byte if data_bytes(byte) else 0
            return b"" if data_bytes(byte) or byte != 0xF6 else bytes((byte,))
        else:
            self._status = byte
        return b""

    def _take_data(self, byte: int) -> bytes:
        if self._sysex is not None:
            self._sysex.append(byte)
            if len(self._sysex) > MOST_SYSEX:
                self._sysex = None
            return b""
        if not self._status:
            return b""
        self._data.append(byte)
        if len(self._data) < data_bytes(self._status):
            return b""
        message = bytes((self._status,)) + bytes(self._data)
        self._data.clear()
        if self._status >= SYSEX:
            self._status = 0  # system messages have no running status
        return message
