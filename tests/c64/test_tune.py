"""`.sid` files."""

from __future__ import annotations

import random

import pytest

from sidlearn.c64 import player, songlengths, tune
from sidlearn.errors import SidlearnError, SourceError
from tests.c64.tunes import COUNTER, sid


def test_header_is_read():
    read = tune.read(sid(COUNTER, songs=5, start=3, speed=0b10, flags=0b10_01_10_00, texts=(b"A\xe9", b"B", b"C")))
    assert (read.magic, read.version, read.songs, read.start_song) == ("PSID", 2, 5, 3)
    assert (read.load_address, read.init_address, read.play_address) == (0x1000, 0x1000, 0x1009)
    assert (read.title, read.author, read.released) == ("Aé", "B", "C")
    assert (read.video, read.model) == ("ntsc", "6581")
    assert [read.by_timer(song) for song in (1, 2, 3)] == [False, True, False]


def test_songs_past_32_follow_the_last_speed_bit():
    read = tune.read(sid(COUNTER, songs=64, speed=1 << 31))
    assert [read.by_timer(song) for song in (31, 32, 33, 64)] == [False, True, True, True]


@pytest.mark.parametrize(("version", "sids"), [(2, 1), (3, 2), (4, 3)])
def test_each_version_adds_a_sid(version, sids):
    read = tune.read(sid(COUNTER, version=version, extra=(0, 0, 0x42, 0xE0)))
    assert read.sid_addresses == (0xD400, 0xD420, 0xDE00)[:sids]
    assert len(read.model_bits) == sids


@pytest.mark.parametrize("middle", [0x41, 0x43, 0x40, 0x80, 0xDE])
def test_impossible_sid_addresses_do_not_count(middle):
    assert tune.read(sid(COUNTER, version=3, extra=(0, 0, middle, 0))).sid_addresses == (0xD400,)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda b: b[:40], "at least"),
        (lambda b: b"XSID" + b[4:], "begins with PSID or RSID"),
        (lambda b: b[:4] + b"\0\x09" + b[6:], "version 9"),
        (lambda b: b[:6] + b"\xff\xff" + b[8:], "data at 65535"),
        (lambda b: b[:0x7D], "load address"),
        (lambda b: b[:0x7C] + b"\xff\xff" + b[0x7E:], r"\$FFFF"),
        (lambda b: b[:14] + b"\0\0" + b[16:], "0 songs"),
        (lambda b: b"R" + b[1:], "play"),
    ],
)
def test_a_broken_file_is_told_in_one_line(change, told):
    with pytest.raises(SourceError, match=told) as caught:
        tune.read(change(sid(COUNTER)), "x.sid")
    assert "\n" not in str(caught.value)


def test_an_rsid_cannot_load_below_the_screen():
    with pytest.raises(SourceError, match="07E8"):
        tune.read(sid("init: RTS", magic=b"RSID", load=0x0400))


def test_mutated_files_give_errors_of_one_line_or_a_tune_that_plays():
    chance = random.Random(1)
    good = [sid(COUNTER), sid(COUNTER, version=4, extra=(8, 8, 0x42, 0x44)), sid("init: RTS", magic=b"RSID")]
    played = 0
    for _ in range(300):
        content = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        del content[chance.randrange(0x60, len(content) + 1) :]
        try:
            read = tune.read(bytes(content), "x.sid")
            if not read.basic:
                player.TunePlayer(read).advance(60_000)
                played += 1
        except SidlearnError as error:
            assert "\n" not in str(error)
    assert played > 50


def test_song_lengths_come_from_the_users_list(tmp_path):
    path = tmp_path / "MUSICIANS" / "x.sid"
    path.parent.mkdir()
    path.write_bytes(sid(COUNTER, songs=2))
    digest = tune.read(path.read_bytes()).digest
    assert songlengths.seconds(path, digest, 1) is None
    (tmp_path / "DOCUMENTS").mkdir()
    (tmp_path / "DOCUMENTS" / "Songlengths.md5").write_text(f"[Database]\n; /x.sid\n{digest}=1:02 0:03.500\n")
    assert [songlengths.seconds(path, digest, song) for song in (1, 2, 3)] == [62.0, 3.5, None]


def test_a_listed_tune_stops_when_its_list_says(tmp_path):
    from sidlearn import sources

    content = sid(COUNTER)
    (tmp_path / "a.sid").write_bytes(content)
    (tmp_path / "Songlengths.md5").write_text(f"[Database]\n{tune.read(content).digest}=0:01.500\n")
    writes = sources.load(tmp_path / "a.sid")
    assert writes.length == round(1.5 * writes.clock_hz)
    assert writes.events["cycle"].max() < writes.length


def test_a_song_without_a_player_is_named(tmp_path):
    from sidlearn import sources

    (tmp_path / "a.mus").write_bytes(bytes(100))
    with pytest.raises(SourceError, match="Sidplayer"):
        sources.load(tmp_path / "a.mus")
