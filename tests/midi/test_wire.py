"""Bytes on the wire: whole messages out of anything, nothing lost that MIDI promises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidlearn.midi.wire import Parser, data_bytes, is_whole

CHANNEL = st.builds(
    lambda status, a, b: bytes((status, a, b)[: 1 + data_bytes(status)]),
    st.integers(0x80, 0xEF), st.integers(0, 127), st.integers(0, 127),
)  # fmt: skip
SYSEX = st.binary(max_size=20).map(lambda d: b"\xf0" + bytes(b & 0x7F for b in d) + b"\xf7")


def fed(*parts):
    parser = Parser()
    return [m for part in parts for m in parser.feed(part)]


@given(st.lists(CHANNEL | SYSEX, max_size=30), st.integers(1, 7))
def test_whole_messages_come_out_as_they_went_in_however_they_are_cut(messages, size):
    stream = b"".join(messages)
    assert fed(*(stream[i : i + size] for i in range(0, len(stream), size))) == messages


@given(st.lists(CHANNEL, min_size=1, max_size=30))
def test_running_status_is_the_same_as_none(messages):
    stream, status = b"", None
    for message in messages:
        stream += message[1:] if message[0] == status else message
        status = message[0]
    assert fed(stream) == messages


@given(st.lists(CHANNEL, max_size=10), st.data())
def test_clock_bytes_may_stand_anywhere(messages, data):
    stream = bytearray(b"".join(messages))
    for _ in range(5):
        stream.insert(data.draw(st.integers(0, len(stream))), 0xF8)
    assert [m for m in fed(stream) if m != b"\xf8"] == messages


@given(st.binary(max_size=200), CHANNEL)
def test_after_any_garbage_the_next_message_is_heard(garbage, message):
    heard = fed(garbage, message)
    assert all(is_whole(m) for m in heard)
    assert heard[-1] == message


def test_sysex_that_breaks_off_is_let_go_and_what_ended_it_is_heard():
    assert fed(b"\xf0\x7d\x01\x02\x90\x40\x40") == [b"\x90\x40\x40"]
    assert fed(b"\x40\x41\xf7\x42") == []
    assert fed(b"\xf0" + b"\x01" * 100_000 + b"\xf7\x90\x01\x02")[-1] == b"\x90\x01\x02"
