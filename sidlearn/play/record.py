"""The one record that the audio thread and everybody else share: its layout, and how it begins.

Who may write what: the audio thread (`sidlearn.play.stream`) everything but the fields of the first two groups;
`Engine` those. The window and all others read. Whole numbers are one machine word, so no reader sees half of one.
"""

from __future__ import annotations

import numpy as np

from sidlearn import registers
from sidlearn.chip.state import CHIP_DTYPE, ROOM_DTYPE, VOICE_DTYPE
from sidlearn.registers import VOICES
from sidlearn.writes import SIDS, WRITE_DTYPE

LANES = 2
SOURCE_LANE, HAND_LANE = range(LANES)
"""Two rings of timed writes, so that a source may be far ahead while a hand plays: each lane keeps its own order."""

RING = 16_384
"""Writes that wait in a lane at the most; a power of two."""

MAX_BLOCK = 8_192
"""Samples of a block at the most."""

SCOPE = 4_096
"""Points that a scope keeps of each voice; a power of two."""

MIX = 32_768
"""Samples that are kept of the whole sound; a power of two."""

BLOCKS_KEPT = 4_096
"""Blocks of which the times are kept; a power of two."""

BLOCK_DTYPE = np.dtype([("sample", "i8"), ("asked", "f8"), ("speakers", "f8")])
"""Of a block: its first sample, when it was asked for, and by how many seconds later it sounds, as far as one knows."""

AT_ONCE = -1
"""The cycle of a write that is to act as soon as it can."""

FOREVER = 1 << 62
"""A horizon that never comes."""

RECORD_DTYPE = np.dtype(
    [
        # Set before the device opens.
        ("clock_hz", "i8"),
        ("sample_rate", "i8"),
        ("sids", "i8"),  # 1 to 3
        ("fast", "i8"),  # 1: mode "fast"
        ("model_at", "u8"),  # addresses: record of the chip's model, arrays of the decimator
        ("stage1_at", "u8"),
        ("half_at", "u8"),
        ("half_taps", "i8"),
        ("stage2_at", "u8"),
        ("stage2_rows", "i8"),
        ("stage2_columns", "i8"),
        ("step", "i8"),
        ("responses_at", "u8"),
        ("ticks_at", "u8"),  # function that tells the time, and what it counts a second
        ("ticks_hz", "f8"),
        ("fill_at", "u8"),  # compiled functions of `stream`: what the hosts' callbacks call, and what that calls
        ("clock_at", "u8"),
        # Set at any time from outside the audio thread.
        ("running", "i8"),  # 0: silence, and no time goes by on the chips
        ("horizon", "i8"),  # the chips are clocked up to this cycle and no further: where the source has got to
        ("scope_step", "i8"),  # samples from one point of the scopes to the next; 0: none are taken
        ("tail", "i8", (LANES,)),  # writes put into each lane so far
        (
            "speakers",
            "f8",
        ),  # seconds from asking for a block to its first sample at the speakers, where a host tells
        ("slack", "f8"),  # seconds that a device holds in store: a longer gap between blocks is an underrun
        # Counters and times, kept by the audio thread.
        ("head", "i8", (LANES,)),  # writes taken out of each lane so far
        ("samples", "i8"),  # played so far
        ("blocks", "i8"),
        ("frames", "i8"),  # samples of the newest block
        ("underruns", "i8"),
        ("starved", "i8"),  # blocks that met the horizon
        ("late", "i8"),  # writes whose time had passed, and by how many cycles at the worst
        ("latest", "i8"),
        ("block_cycle", "i8"),  # first cycle of the newest block, and when it was asked for, in seconds and evened out
        ("block_time", "f8"),
        ("due_time", "f8"),  # when the next one is expected
        ("early", "f8"),  # seconds between due and asked for, of the newest block
        ("load", "f8"),  # share of real time that the chips take, evened out, and at its worst
        ("load_peak", "f8"),
        ("last_level", "f4"),  # for the way down to silence
        # What there is to see, per SID.
        ("registers", "u1", (SIDS, registers.MIRROR)),  # as last written
        ("written", "i8", (SIDS, registers.MIRROR)),  # cycle of the last write, -1 before the first
        ("scope_end", "i8"),  # points taken so far: point n of voice v of SID s is scope[s * 3 + v, n % SCOPE]
        ("scope_wait", "i8"),  # samples until the next point
        ("scope", "f4", (SIDS * VOICES, SCOPE)),  # wave times envelope, -1..1
        ("block_log", BLOCK_DTYPE, (BLOCKS_KEPT,)),  # block n is block_log[n % BLOCKS_KEPT], for n < blocks
        ("mix", "f4", (MIX,)),  # sample n of the sound is mix[n % MIX], for n < samples
        # The chips.
        ("voices", VOICE_DTYPE, (SIDS, VOICES)),
        ("chips", CHIP_DTYPE, (SIDS,)),
        # The rings: `cycle` is the time asked for, and the time it acted at once it has been taken out.
        ("ring", WRITE_DTYPE, (LANES, RING)),
        # Room for the audio thread: the writes of the block under way.
        ("due_count", "i8", (SIDS,)),
        ("due_next", "i8", (SIDS,)),
        ("due", WRITE_DTYPE, (SIDS, LANES * RING)),
        ("part", "f4", (SIDS, MAX_BLOCK)),
        ("room", ROOM_DTYPE),
    ],
    align=True,
)


def new_record() -> np.ndarray:
    """Return a record in which nothing has happened yet; on a 64-byte boundary, as `align` promises no more than 8."""
    room = np.empty(RECORD_DTYPE.itemsize + 64, np.uint8)
    room[:] = 0  # by hand: memory that has never been touched would be found by the audio thread, which then waits
    start = -room.ctypes.data % 64
    record = room[start : start + RECORD_DTYPE.itemsize].view(RECORD_DTYPE)
    record["written"] = -1
    record["horizon"] = FOREVER
    return record
