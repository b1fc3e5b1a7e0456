"""The command line as a user meets it: a process with arguments, streams and an exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SCALE = "10 S=54272:POKE S+24,15:POKE S+5,9\n20 POKE S+1,17:POKE S+4,33\n30 FOR T=1 TO 50:NEXT:POKE S+4,32\n"


def sidlearn(*arguments, cwd=None, **more):
    environ = {**os.environ, "XDG_CONFIG_HOME": str(cwd or "/nonexistent")}
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "sidlearn", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environ, timeout=120, check=False, **more
    )


@pytest.fixture
def scale(tmp_path):
    path = tmp_path / "scale.bas"
    path.write_text(SCALE)
    return path


def test_run_writes_every_output_and_says_nothing(scale, tmp_path):
    result = sidlearn("run", scale, "-o", "a.csv", "-o", "a.dump", "-o", "a.wav", "--seconds", "1", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "cycle,register,value"
    assert [line.split(",")[1:] for line in lines[1:]] == [
        ["24", "15"],
        ["5", "9"],
        ["1", "17"],
        ["4", "33"],
        ["4", "32"],
    ]
    assert len((tmp_path / "a.dump").read_text().splitlines()) == 5
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"


def test_log_of_a_program_runs_again_to_the_same_log(scale, tmp_path):
    sidlearn("run", scale, "-o", "a.csv", cwd=tmp_path)
    sidlearn("run", "a.csv", "-o", "b.dump", cwd=tmp_path)
    result = sidlearn("run", "b.dump", "-o", "c.csv", cwd=tmp_path)
    assert result.returncode == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


def test_what_a_program_prints_goes_to_standard_output(tmp_path):
    (tmp_path / "p.bas").write_text('10 PRINT "HELLO"\n20 PRINT 2+2\n')
    result = sidlearn("run", "p.bas", "-o", "p.csv", cwd=tmp_path)
    assert result.returncode == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == ["HELLO", " 4"]


def test_basic_error_ends_with_status_1_and_still_writes(tmp_path):
    (tmp_path / "p.bas").write_text("10 POKE 54296,15\n20 PRIMT\n")
    result = sidlearn("run", "p.bas", "-o", "p.csv", cwd=tmp_path)
    assert result.returncode == 1
    assert "?SYNTAX  ERROR IN 20" in result.stdout
    assert result.stderr == ""
    assert (tmp_path / "p.csv").read_text().splitlines()[1].endswith(",24,15")


def test_endless_program_is_bounded_by_seconds(tmp_path):
    (tmp_path / "p.bas").write_text("10 GOTO 10\n")
    result = sidlearn("run", "p.bas", "-o", "p.wav", "--seconds", "2", cwd=tmp_path)
    assert result.returncode == 0
    import soundfile

    info = soundfile.info(tmp_path / "p.wav")
    assert info.frames == 2 * 44_100


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "none.bas", "-o", "a.wav"], ["none.bas: no such file"]),
        (["run", "scale.baz", "-o", "a.wav"], ["scale.baz: no such file", "did you mean scale.bas"]),
        (["run", "x.mod", "-o", "a.wav"], ["x.mod", ".bas"]),
        (["run", "binary.bas", "-o", "a.wav"], ["binary.bas"]),
        (["run", "line.bas", "-o", "a.wav"], ["64000", "63999"]),
        (["run", "bad.csv", "-o", "a.wav"], ["bad.csv:2", "register 0 to 24", "0,54272,1"]),
        (["run", "scale.bas", "-o", "a.wave"], ["a.wave", "did you mean .wav"]),
        (["run", "scale.bas", "-o", "none/a.wav"], ["none"]),
        (["run", "scale.bas", "-o", "a.wav", "--model", "6851"], ["6851", "did you mean 6581"]),
        (["run", "scale.bas", "-o", "a.wav", "--profile", "galwey"], ["profile 'galwey'", "did you mean galway"]),
        (["run", "scale.bas", "-o", "a.wav", "--profile", "dac_leek=1"], ["'dac_leek'", "did you mean dac_leak"]),
        (["run", "scale.bas", "-o", "a.wav", "--profile", "dac_leak=2"], ["dac_leak: expected 0 to 1, not 2"]),
        (["run", "scale.bas", "-o", "a.wav", "--profile", "combined=wet"], ["combined: expected", "not 'wet'"]),
        (["run", "scale.bas", "-o", "a.wav", "--model", "8580", "--profile", "galway"], ["8580", "cutoff_curve"]),
        (["run", "scale.bas", "-o", "a.wav", "--rate", "12"], ["--rate", "8000 to 192000", "'12'"]),
        (["run", "scale.bas", "-o", "a.wav", "--seconds", "soon"], ["--seconds", "'soon'"]),
        (["run", "scale.bas", "-o", "a.wav", "--song", "2"], ["song 2"]),
        (["run", "scale.bas", "--oputut", "a.wav"], ["--oputut", "did you mean --output"]),
        (["rum", "scale.bas"], ["rum", "did you mean run"]),
        ([], ["VERB"]),
        (["tokenize", "scale.bas", "-o", "a.wav"], [".prg"]),
        (["list", "scale.txt"], ["no such file"]),
        (["score", "scale.bas", "scale.bas"], ["expected a sound file"]),
    ],
    ids=lambda a: "_".join(a) if isinstance(a, list) else None,
)
def test_bad_input_is_told_on_one_line_with_status_2(scale, tmp_path, arguments, parts):
    (tmp_path / "x.mod").write_bytes(b"M.K.")
    (tmp_path / "binary.bas").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "line.bas").write_text("64000 PRINT\n")
    (tmp_path / "bad.csv").write_text("cycle,register,value\n0,54272,1\n")
    result = sidlearn(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("sidlearn: ")
    for part in parts:
        assert part in result.stderr
    assert not (tmp_path / "a.wav").exists()


def test_unknown_key_in_the_settings_is_told(scale, tmp_path):
    (tmp_path / "sidlearn.toml").write_text("[chip]\nmodell = '8580'\n")
    result = sidlearn("run", scale, "-o", "a.wav", cwd=tmp_path)
    assert result.returncode == 2
    assert "did you mean model" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_profile_of_the_settings_is_heard_and_the_command_line_overrides_it(scale, tmp_path):
    def run(*options):
        result = sidlearn("run", scale, "-o", "a.wav", "--seconds", "0.2", *options, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        return (tmp_path / "a.wav").read_bytes()

    plain = run()
    (tmp_path / "sidlearn.toml").write_text('[chip]\nprofile = "voice_dc_v=4.5"\n')
    changed = run()
    assert changed != plain
    assert run("--profile", "") == plain
    assert run("--profile", "voice_dc_v=4.5") == changed


def test_profile_of_the_settings_that_is_none_is_told(scale, tmp_path):
    (tmp_path / "sidlearn.toml").write_text("[chip]\nprofile = 'folin'\n")
    result = sidlearn("run", scale, "-o", "a.wav", cwd=tmp_path)
    assert result.returncode == 2
    assert "did you mean follin" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_profile_of_the_settings_is_left_out_where_the_command_line_names_the_other_chip(scale, tmp_path):
    def run():
        result = sidlearn("run", scale, "-o", "a.wav", "--seconds", "0.2", "--model", "8580", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        return (tmp_path / "a.wav").read_bytes()

    plain = run()
    (tmp_path / "sidlearn.toml").write_text('[chip]\nprofile = "galway"\n')
    assert run() == plain


def test_command_line_overrides_the_settings(scale, tmp_path):
    import soundfile

    (tmp_path / "sidlearn.toml").write_text("[audio]\nrate = 8000\n")
    sidlearn("run", scale, "-o", "a.wav", "--seconds", "1", cwd=tmp_path)
    assert soundfile.info(tmp_path / "a.wav").samplerate == 8_000
    sidlearn("run", scale, "-o", "a.wav", "--seconds", "1", "--rate", "48000", cwd=tmp_path)
    assert soundfile.info(tmp_path / "a.wav").samplerate == 48_000


def test_tokenize_and_list_are_inverses(scale, tmp_path):
    assert sidlearn("tokenize", scale, "-o", "a.prg", cwd=tmp_path).returncode == 0
    listing = sidlearn("list", "a.prg", cwd=tmp_path).stdout
    (tmp_path / "b.bas").write_text(listing)
    assert sidlearn("tokenize", "b.bas", "-o", "b.prg", cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.prg").read_bytes() == (tmp_path / "b.prg").read_bytes()


def test_info_as_json(scale, tmp_path):
    result = sidlearn("info", scale, "--json", cwd=tmp_path)
    facts = json.loads(result.stdout)
    assert facts["voice 1"] == "1 notes"
    assert facts["kind"] == "BASIC program"


def test_doctor_reports_and_gives_json(tmp_path):
    result = sidlearn("doctor", "--json", cwd=tmp_path)
    subjects = {finding["subject"] for finding in json.loads(result.stdout)}
    assert {"numba", "pygame", "speakers", "MIDI", "kernel cache", "settings"} <= subjects
    assert sidlearn("doctor", cwd=tmp_path).returncode == 0


def test_score_of_a_sound_with_itself(scale, tmp_path):
    sidlearn("run", scale, "-o", "a.wav", cwd=tmp_path)
    result = sidlearn("score", "a.wav", "a.wav", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["lsd"] == pytest.approx(0, abs=1e-9)


def interrupt(arguments, cwd, after_seconds):
    process = subprocess.Popen(
        [sys.executable, "-m", "sidlearn", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after_seconds)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err, time.monotonic() - begun


def test_ctrl_c_ends_an_endless_program_aloud_at_once(scale, tmp_path):
    (tmp_path / "p.bas").write_text("10 POKE 54296,15:GOTO 10\n")
    sidlearn("run", scale, "-o", "warm.wav", cwd=tmp_path)
    status, _, err, seconds = interrupt(["run", "p.bas"], tmp_path, 4)
    assert status == 130
    assert err == ""
    assert seconds < 1.5


def test_ctrl_c_leaves_no_half_written_file(tmp_path):
    (tmp_path / "p.bas").write_text("10 GOTO 10\n")
    status, _, err, _ = interrupt(["run", "p.bas", "-o", "p.wav", "--seconds", "30000"], tmp_path, 3)
    assert (status, err) == (130, "")
    assert [p.name for p in tmp_path.iterdir()] == ["p.bas"]


def test_reader_that_goes_away_is_no_error(tmp_path):
    (tmp_path / "p.bas").write_text('10 FOR I=1 TO 3000:PRINT "HELLO HELLO HELLO HELLO HELLO":NEXT\n')
    command = f"{sys.executable} -m sidlearn run p.bas -o p.csv | head -n 1"
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == "HELLO HELLO HELLO HELLO HELLO\n"
    assert result.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_verb(shell):
    script = sidlearn("completion", shell).stdout
    for verb in ("run", "tokenize", "list", "info", "doctor", "--model" if shell != "fish" else "-l model"):
        assert verb in script


def test_bash_completes_verbs_options_and_choices(tmp_path):
    (tmp_path / "c.sh").write_text(sidlearn("completion", "bash").stdout)

    def complete(*words):
        line = " ".join(f"'{w}'" for w in words)
        code = f". ./c.sh; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _sidlearn; echo ${{COMPREPLY[@]}}"
        return subprocess.run(
            ["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.split()

    assert complete("sidlearn", "to") == ["tokenize"]
    assert "--seconds" in complete("sidlearn", "run", "--s")
    assert complete("sidlearn", "run", "x.bas", "--video", "n") == ["ntsc"]
