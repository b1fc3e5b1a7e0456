"""Sound files."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from sidlearn import audio
from sidlearn.errors import AudioError, OutputError

SINE = np.sin(np.arange(4_410) / 10).astype(np.float32) * 0.5


@pytest.mark.parametrize(
    ("name", "bits", "step"), [("a.wav", 16, 2**-15), ("a.wav", 24, 2**-23), ("a.wav", 32, 0), ("a.flac", 16, 2**-23)]
)
def test_sound_comes_back_within_half_a_step(tmp_path, name, bits, step):
    audio.write(tmp_path / name, SINE, 44_100, bits)
    back, rate = audio.read(tmp_path / name)
    assert rate == 44_100
    assert np.abs(back - SINE).max() <= step / 2 + 1e-9


def test_channels_are_averaged(tmp_path):
    audio.write(tmp_path / "s.wav", np.column_stack([SINE, -SINE]), 8_000, 32)
    back, _ = audio.read(tmp_path / "s.wav")
    assert np.abs(back).max() == 0


def test_a_file_with_what_is_no_number_is_named(tmp_path):
    sound = np.zeros(100, np.float32)
    sound[41] = np.nan
    path = tmp_path / "broken.wav"
    soundfile.write(path, sound, 44_100, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"broken\.wav: expected finite numbers, sample 41 is nan"):
        audio.read(path)


@pytest.mark.parametrize("wrong", [np.array([0.0, np.nan]), np.array([np.inf]), np.zeros((3, 5)), "sound"])
def test_what_is_no_sound_is_told(tmp_path, wrong):
    with pytest.raises(AudioError):
        audio.write(tmp_path / "x.wav", wrong, 44_100)
    assert not list(tmp_path.iterdir())


def test_unreadable_files_are_told(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"no sound at all")
    (tmp_path / "e.wav").write_bytes(b"")
    for name, what in (
        ("x.wav", "expected a sound file"),
        ("e.wav", "expected a sound file"),
        ("none.wav", "no such file"),
    ):
        with pytest.raises(AudioError, match=what):
            audio.read(tmp_path / name)


def test_an_old_file_stays_when_writing_fails(tmp_path):
    audio.write(tmp_path / "a.wav", SINE, 44_100)
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(AudioError):
        audio.write(tmp_path / "a.wav", np.array([np.nan]), 44_100)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "d.wav").mkdir()
    with pytest.raises(OutputError, match="folder"):
        audio.write(tmp_path / "d.wav", SINE, 44_100)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_is_what_libsndfile_writes(tmp_path, bits, channels):
    import soundfile

    sound = SINE[:1_001] if channels == 1 else np.column_stack([SINE, -SINE])[:1_001]
    audio.write(tmp_path / "a.wav", sound, 48_000, bits)
    facts = soundfile.info(tmp_path / "a.wav")
    assert (facts.format, facts.subtype) == ("WAV", {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[bits])
    assert (facts.frames, facts.channels, facts.samplerate) == (1_001, channels, 48_000)
    content = (tmp_path / "a.wav").read_bytes()
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    assert len(content) % 2 == 0
    kind = "float32" if bits == 32 else "int32"
    back, _ = soundfile.read(tmp_path / "a.wav", dtype=kind)
    wanted = audio._quantise(sound, bits).astype(np.float32 if bits == 32 else np.int64)
    if bits == 16:
        wanted = wanted << 16
    assert np.array_equal(back, wanted)
