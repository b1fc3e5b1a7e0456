"""ASID: register writes as MIDI system exclusive, to real chips and from other players.

A message carries each register once and the three CONTROL registers twice: a mask of the slots that are there, the top
bits of their values, then the lower seven bits. Source: the ASID protocol of Elektron's SidStation, as spoken by
DeepSID, SID Factory II and USBSID; identifiers 50 and 51 for a second and third chip are an extension of these.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sidlearn import registers
from sidlearn.registers import CONTROL, VOICES, WRITABLE, voice_register
from sidlearn.writes import SIDS, WRITE_DTYPE

START, STOP, DISPLAY = 0x4C, 0x4D, 0x4F
WRITES = (0x4E, 0x50, 0x51)
"""Identifiers of the writes to the first, second and third chip."""

HEAD = bytes((0xF0, 0x2D))
END = b"\xf7"

CONTROLS = tuple(voice_register(v, CONTROL) for v in range(VOICES))
SLOTS = tuple(r for r in range(WRITABLE) if r not in CONTROLS) + CONTROLS + CONTROLS
"""Register of each of the 28 slots: all but CONTROL, the three CONTROLs, and the same again."""

FIRST_CONTROL, SECOND_CONTROL = len(SLOTS) - 2 * VOICES, len(SLOTS) - VOICES
MASK_BYTES = 4
BITS = 7

START_MESSAGE = HEAD + bytes((START,)) + END
STOP_MESSAGE = HEAD + bytes((STOP,)) + END

_SLOT = {register: slot for slot, register in reversed(tuple(enumerate(SLOTS)))}


def encode(writes: Iterable[tuple[int, int]], sid: int = 0) -> list[bytes]:
    """Return the messages that carry writes of (register, value) to a chip.

    A receiver writes the slots of a message in their order, so CONTROL comes after all others and its second value
    last. What has no slot left begins another message: every register ends with its last value, and of CONTROL no value
    is lost.

    Parameters
    ----------
    writes : iterable of (int, int)
        Registers 0 to 24.
    sid : int
        0, 1 or 2.
    """
    messages: list[bytes] = []
    slots: dict[int, int] = {}
    for register, value in writes:
        slot = _SLOT[register]
        if slot in slots and slot >= FIRST_CONTROL:
            slot += VOICES
        if slot in slots:
            messages.append(_message(slots, sid))
            slots = {}
            slot = _SLOT[register]
        slots[slot] = value
    if slots:
        messages.append(_message(slots, sid))
    return messages


def _message(slots: dict[int, int], sid: int) -> bytes:
    mask, top = bytearray(MASK_BYTES), bytearray(MASK_BYTES)
    data = bytearray()
    for slot in sorted(slots):
        byte, bit = divmod(slot, BITS)
        mask[byte] |= 1 << bit
        top[byte] |= slots[slot] >> 7 << bit
        data.append(slots[slot] & 0x7F)
    return HEAD + bytes((WRITES[sid],)) + bytes(mask) + bytes(top) + bytes(data) + END


def decode(message: bytes) -> tuple[int, list[tuple[int, int]]] | None:
    """Return the chip and the writes (register, value) of a message; None if it is no message of writes.

    A message that breaks off gives the writes that are whole.
    """
    if len(message) < len(HEAD) + 1 + 2 * MASK_BYTES or not message.startswith(HEAD) or message[2] not in WRITES:
        return None
    body = message[3:-1] if message[-1:] == END else message[3:]
    if len(body) < 2 * MASK_BYTES or any(b > 0x7F for b in body):
        return None
    mask, top, data = body[:MASK_BYTES], body[MASK_BYTES : 2 * MASK_BYTES], body[2 * MASK_BYTES :]
    present = [slot for slot in range(len(SLOTS)) if mask[slot // BITS] >> slot % BITS & 1]
    writes = [
        (SLOTS[slot], low | (top[slot // BITS] >> slot % BITS & 1) << 7)
        for slot, low in zip(present, data, strict=False)
    ]
    return WRITES.index(message[2]), writes


class Sender:
    """Turns timed writes into messages, a frame at a time.

    Parameters
    ----------
    frame_cycles : int
        Writes within so many cycles share messages.
    """

    def __init__(self, frame_cycles: int) -> None:
        self.frame_cycles = frame_cycles

    def messages(self, events: np.ndarray) -> list[tuple[int, bytes]]:
        """Return (cycle, message) for events of `WRITE_DTYPE`, in order; the cycle is that of a group's first write."""
        out: list[tuple[int, bytes]] = []
        group: list[tuple[int, int, int]] = []
        for event in events.tolist():
            if group and event[0] - group[0][0] >= self.frame_cycles:
                out += _grouped(group)
                group = []
            group.append(event)
        return out + _grouped(group)


def _grouped(group: list[tuple[int, int, int]]) -> list[tuple[int, bytes]]:
    out = []
    for sid in range(SIDS):
        own = [(r % registers.MIRROR, v) for _, r, v in group if r // registers.MIRROR == sid]
        own = [(r, v) for r, v in own if r < WRITABLE]
        out += [(group[0][0], message) for message in encode(own, sid)]
    return out


def events(cycle: int, message: bytes) -> np.ndarray:
    """Return the writes of a message as events of `WRITE_DTYPE` at a cycle; none if it is no message of writes."""
    decoded = decode(message)
    rows = [] if decoded is None else [(cycle, decoded[0] * registers.MIRROR + r, v) for r, v in decoded[1]]
    return np.array(rows, WRITE_DTYPE)
