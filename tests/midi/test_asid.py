"""ASID: what is sent is what arrives, for any frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidlearn.midi import asid
from sidlearn.midi.asid import CONTROLS, END, HEAD, SLOTS
from sidlearn.midi.wire import Parser, is_whole
from sidlearn.writes import WRITE_DTYPE


def random_frame(rng):
    """A frame of writes: any registers, each once, the CONTROLs up to twice."""
    chosen = rng.permutation(25)[: rng.integers(1, 26)].tolist()
    chosen += [r for r in CONTROLS if r in chosen and rng.random() < 0.4]
    return [(r, int(rng.integers(256))) for r in chosen]


def heard(messages):
    return [w for m in messages for w in asid.decode(m)[1]]


def test_ten_thousand_random_frames_come_back_exactly():
    rng = np.random.default_rng(8)
    parser = Parser()
    for n in range(10_000):
        frame, sid = random_frame(rng), n % 3
        messages = asid.encode(frame, sid)
        assert len(messages) == 1
        assert list(parser.feed(messages[0])) == messages
        chip, writes = asid.decode(messages[0])
        assert chip == sid
        assert sorted(writes) == sorted(frame)
        for control in CONTROLS:  # twice in their order
            assert [w for w in writes if w[0] == control] == [w for w in frame if w[0] == control]


@given(st.lists(st.tuples(st.integers(0, 24), st.integers(0, 255)), max_size=80))
def test_any_writes_leave_the_same_registers_and_lose_no_control(writes):
    messages = asid.encode(writes)
    assert all(is_whole(m) and len(m) <= 4 + 8 + 28 for m in messages)
    assert dict(heard(messages)) == dict(writes)
    for control in CONTROLS:
        assert [w for w in heard(messages) if w[0] == control] == [w for w in writes if w[0] == control]


def test_a_message_as_the_protocol_writes_it():
    """Two registers by hand: FREQ_LO of voice 1 is slot 0, CONTROL of voice 1 is slot 22."""
    message = asid.encode([(0, 0x91), (4, 0x41)])[0]
    assert message == HEAD + b"\x4e" + bytes((1, 0, 0, 2)) + bytes((1, 0, 0, 0)) + bytes((0x11, 0x41)) + END
    assert SLOTS[22:25] == (4, 11, 18) == SLOTS[25:28]
    assert [SLOTS.index(r) for r in (21, 22, 23, 24)] == [18, 19, 20, 21]


def test_top_bits_of_registers_that_are_not_there_mean_nothing():
    message = bytearray(asid.encode([(0, 0x11)])[0])
    message[7] |= 0x7E  # other senders leave stale bits
    assert asid.decode(bytes(message)) == (0, [(0, 0x11)])


@given(st.binary(max_size=60))
def test_garbage_is_no_message_or_gives_registers(data):
    for message in (data, HEAD + data, HEAD + b"\x4e" + data, HEAD + b"\x4e" + data + END):
        decoded = asid.decode(message)
        if decoded is not None:
            assert all(0 <= r <= 24 and 0 <= v <= 255 for r, v in decoded[1])


@pytest.mark.parametrize("cut", range(11, 40))
def test_a_message_that_breaks_off_gives_what_is_whole(cut):
    writes = [(r, 200 - r) for r in range(25)]
    message = asid.encode(writes)[0]
    whole = asid.decode(message)[1]
    assert asid.decode(message[:cut])[1] == whole[: cut - 11]


def test_timed_writes_go_out_by_frames_and_to_their_chips():
    rows = [(0, 24, 15), (10, 4, 0x41), (500, 32 + 4, 0x21), (19_656, 4, 0x40), (19_700, 64 + 24, 7)]
    sent = asid.Sender(19_656).messages(np.array(rows, WRITE_DTYPE))
    assert [cycle for cycle, _ in sent] == [0, 0, 19_656, 19_656]
    assert [asid.decode(m)[0] for _, m in sent] == [0, 1, 0, 2]
    back = np.concatenate([asid.events(c, m) for c, m in sent])
    assert sorted(back[["register", "value"]].tolist()) == sorted((r, v) for _, r, v in rows)
