"""Playing aloud: the same sound as a file, shown while it plays."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

import sidlearn
from sidlearn import config, sources
from sidlearn.play import player
from sidlearn.writes import RegisterWrites
from tests.conftest import need_real_part
from tests.play.disk import holds, sounding_seconds

BLIP = [(0, 24, 15), (100, 5, 0x09), (140, 6, 0x00), (180, 1, 25), (220, 4, 33), (200_000, 4, 32)]


@pytest.fixture
def disk(monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_AUDIODRIVER", "disk")
    monkeypatch.setenv("SDL_DISKAUDIOFILE", str(tmp_path / "out.raw"))
    return tmp_path / "out.raw"


def test_sound_aloud_is_the_rendered_sound_bit_for_bit(disk):
    writes = RegisterWrites.from_rows(BLIP, length=985_248 // 2)
    source = sources.LogPerformance(writes, "register log")
    assert not player.play(source, config.Config(), seconds=0.5)
    expected = sidlearn.render(writes)
    assert len(expected) > 20_000
    assert holds(disk, expected)


def test_two_sids_aloud_are_the_stereo_file_bit_for_bit(disk, tmp_path):
    rows = sorted([*BLIP, *((c + 30_000, r + 32, v) for c, r, v in BLIP)], key=lambda row: row[0])
    writes = RegisterWrites.from_rows(rows, length=985_248 // 4)
    assert not player.play(sources.LogPerformance(writes, "register log"), config.Config(), seconds=0.25)
    expected = sidlearn.render(writes, stereo=True)
    assert np.abs(expected[:, 0] - expected[:, 1]).max() > 0.01
    assert holds(disk, expected.ravel(), block=2 * 512)
    sidlearn.save(writes, tmp_path / "two.wav", wav_bits=32)
    stored, _ = soundfile.read(tmp_path / "two.wav", dtype="float32")
    assert np.array_equal(stored, expected)


def test_sound_ends_when_the_last_note_has_died_away(disk):
    writes = RegisterWrites.from_rows(BLIP)
    player.play(sources.LogPerformance(writes, "register log"), config.Config())
    assert writes.seconds < sounding_seconds(disk) < writes.seconds + 1


def test_limit_cuts_an_endless_source(disk):
    performance = sources.BasicPerformance(sidlearn.basic.tokenize("5 POKE 54296,15\n10 GOTO 10\n"), sources.Request())
    assert player.play(performance, config.Config(), seconds=0.3)
    assert sounding_seconds(disk) == pytest.approx(0.3, abs=0.05)


def test_printing_arrives_while_playing(disk):
    program = sidlearn.basic.tokenize('10 PRINT "A":FOR T=1 TO 100:NEXT:PRINT "B"\n')
    said = []
    player.play(sources.BasicPerformance(program, sources.Request()), config.Config(), printed=said.append)
    assert b"".join(said).replace(b"\r", b"") == b"AB"
    assert len(said) == 2


def test_meter_names_what_is_heard_not_what_is_sent():
    meter = player.Meter(985_248, seconds=60)
    rows = [(0, 0, 37), (0, 1, 17), (0, 4, 65), (900_000, 4, 64)]
    meter.note(RegisterWrites.from_rows(rows).events)
    assert "C-4 pulse" in meter.line(0.5)
    assert "0:00.5 / 1:00.0" in meter.line(0.5)
    assert "C-4" not in meter.line(0.95)


@pytest.mark.parametrize(("hz", "name"), [(440, "A-4"), (261.63, "C-4"), (16.35, "C-0"), (3951, "B-7"), (0, "---")])
def test_note_names(hz, name):
    assert player.note_name(hz) == name


@pytest.fixture
def null_sink(tmp_path, monkeypatch):
    """A real sound server with a null sink."""
    need_real_part("pulseaudio", "parec", "pactl")
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "HOME": str(tmp_path / "home")}
    for folder in ("run", "home"):
        (tmp_path / folder).mkdir(mode=0o700)
    # Each flag was needed: without enable-memfd=no the server aborts, without norewinds a stream stalls at its start.
    command = [
        "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--realtime=no", "--high-priority=no",
        "--disable-shm=yes", "--enable-memfd=no", "--log-target=stderr",
        "--load=module-null-sink sink_name=sid rate=44100 norewinds=1",
        "--load=module-native-protocol-unix auth-anonymous=1",
    ]  # fmt: skip
    server = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=environ, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the sound server did not start")
        yield environ
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_a_real_sound_server_gets_the_tune_whole(null_sink, tmp_path):
    """Record the monitor of the null sink, and look for the rendered sound in it."""
    (tmp_path / "p.bas").write_text(
        "10 S=54272:POKE S+24,15:POKE S+5,9:POKE S+6,240\n20 POKE S+1,25:POKE S+4,17\n"
        "30 FOR T=1 TO 1000:NEXT:POKE S+4,16:FOR T=1 TO 300:NEXT\n"
    )
    recorder = subprocess.Popen(
        ["parec", "-d", "sid.monitor", "--format=float32le", "--rate=44100", "--channels=1", "--raw"],
        env=null_sink, stdout=(tmp_path / "rec.raw").open("wb"),
    )  # fmt: skip
    time.sleep(0.5)
    environ = {**null_sink, "SDL_AUDIODRIVER": "pulseaudio"}
    play = subprocess.run([sys.executable, "-m", "sidlearn", "run", "p.bas"], cwd=tmp_path, env=environ, check=False)
    time.sleep(0.5)
    recorder.terminate()
    recorder.wait()
    assert play.returncode == 0
    heard = np.fromfile(tmp_path / "rec.raw", np.float32)
    expected = sidlearn.render(sidlearn.load(tmp_path / "p.bas"))
    # The server's own sample clock and mixing leave the shape: compare the loudness in 50 ms steps, where it fits best.
    step = 2_205
    loud, wanted = (
        np.sqrt(np.mean(x[: len(x) // step * step].reshape(-1, step) ** 2, axis=1)) for x in (heard, expected)
    )
    assert len(loud) >= len(wanted) >= 20
    fits = [np.corrcoef(loud[n : n + len(wanted)], wanted)[0, 1] for n in range(len(loud) - len(wanted) + 1)]
    assert np.nanmax(fits) > 0.8  # a stretch of silence correlates with nothing
