"""The speakers, on SDL's disk driver, which writes what a device would have played."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from sidlearn.errors import DeviceError
from sidlearn.play import speaker
from tests.play.disk import holds


@pytest.fixture
def disk(monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_AUDIODRIVER", "disk")
    monkeypatch.setenv("SDL_DISKAUDIOFILE", str(tmp_path / "out.raw"))
    monkeypatch.setenv("SDL_DISKAUDIODELAY", "0")
    return tmp_path / "out.raw"


def test_what_is_written_is_played_sample_for_sample(disk):
    sound = np.random.default_rng(3).normal(0, 0.2, 20_000).astype(np.float32)
    with speaker.Speaker(44_100, 512) as device:
        assert device.driver == "disk"
        device.write(sound[:7_000])
        device.write(sound[7_000:])
        assert device.queued == len(sound)
        device.start()
        until = time.monotonic() + 10
        while device.queued and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
    assert holds(disk, sound)


def test_no_device_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "nosuchdriver")
    with pytest.raises(DeviceError, match=r"no sound device: .*-o out\.wav"):
        speaker.Speaker(44_100)


def test_devices_names_the_driver(disk):
    driver, _ = speaker.devices()
    assert driver == "disk"


def test_library_is_the_one_inside_pygame_and_pygame_is_not_imported():
    code = "import sys; from sidlearn.play import speaker; print(speaker.library_path(), 'pygame' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "pygame" in out[0]
    assert out[1] == "False"
