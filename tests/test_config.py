"""Settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidlearn import config
from sidlearn.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def test_file_of_the_repository_has_every_option_with_its_built_in_value():
    assert (ROOT / "sidlearn.toml").read_text() == config.template()


def test_template_reads_back_as_the_built_in_values(tmp_path):
    (tmp_path / "sidlearn.toml").write_text(config.template())
    assert config.load(tmp_path, {}) == config.Config()


def test_nearest_file_upwards_counts(tmp_path):
    (tmp_path / "sidlearn.toml").write_text('[chip]\nmodel = "8580"\n')
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    assert config.load(folder, {}).chip.model == "8580"


def test_own_file_is_overridden_by_the_nearer_one(tmp_path):
    own = tmp_path / "home" / "sidlearn"
    own.mkdir(parents=True)
    (own / "sidlearn.toml").write_text('[chip]\nmodel = "8580"\nmode = "fast"\n')
    (tmp_path / "sidlearn.toml").write_text('[chip]\nmode = "exact"\n')
    loaded = config.load(tmp_path, {})
    assert (loaded.chip.model, loaded.chip.mode) == ("8580", "exact")


def test_environment_overrides_files_and_says_so(tmp_path):
    (tmp_path / "sidlearn.toml").write_text("[audio]\nrate = 22050\n")
    environ = {"SIDLEARN_AUDIO_RATE": "48000"}
    assert config.load(tmp_path, environ).audio.rate == 48_000
    origins = {(s.table, s.key): s.origin for s in config.describe(tmp_path, environ)}
    assert origins["audio", "rate"] == "SIDLEARN_AUDIO_RATE"
    assert origins["audio", "block"] == "built-in"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[chip]\nmodell = '6581'\n", ["chip.modell", "did you mean model"]),
        ("[chop]\nmodel = '6581'\n", ["[chop]", "did you mean chip"]),
        ("[chip]\nprofile = 3\n", ["chip.profile", "expected a text, given 3"]),
        ("[audio]\nrate = 1\n", ["audio.rate", "8000 to 192000", "given 1"]),
        ("[audio]\nrate = true\n", ["given True"]),
        ("[machine]\nvideo = 'palm'\n", ["pal or ntsc", "did you mean pal"]),
        ("chip = 3\n", ["expected a table [chip]"]),
        ("[chip\n", ["line 1"]),
        ("[chip]\nmodle = 1\n[audio]\nblock = 1\n", ["chip.modle", "audio.block"]),
    ],
)
def test_mistakes_are_told_on_one_line_with_file_and_nearest_name(tmp_path, text, parts):
    path = tmp_path / "sidlearn.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path, {})
    for part in [str(path), *parts]:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_mistake_in_the_environment_is_told(tmp_path):
    with pytest.raises(ConfigError, match="SIDLEARN_AUDIO_RATE: expected a whole number"):
        config.load(tmp_path, {"SIDLEARN_AUDIO_RATE": "fast"})
