"""The SID as people and programs meet it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn import chip
from sidlearn._kernel import numba
from sidlearn.chip import models
from sidlearn.chip.sid import MODES, SID, readback, render, render_batch, sounding_cycles
from sidlearn.clock import NTSC, PAL
from sidlearn.errors import ModelError, RegisterError, SampleRateError, WritesError
from sidlearn.registers import (
    BASE,
    CONTROL,
    ENV3,
    GATE,
    LAST_ADDRESS,
    MODE_VOL,
    NUMBER,
    OSC3,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    WRITABLE,
)
from sidlearn.writes import RegisterWrites, SidPort
from tests.chip.traffic import traffic

JIT = not numba.config.DISABLE_JIT
LENGTH = 30_000 if JIT else 600
needs_jit = pytest.mark.skipif(not JIT, reason="many cycles")


@pytest.fixture(scope="module")
def writes():
    return traffic(seed=1, length=LENGTH, gap=200, everything=True)


@pytest.fixture(scope="module", params=models.MODELS)
def rendered(request, writes):
    return request.param, render(writes, request.param)


def queued(writes, model, **options):
    """A SID with all writes still to come."""
    sid = SID(model, **options)
    for event in writes.events.tolist():
        sid.poke(*event)
    return sid


# --- Time and sound ---


@settings(max_examples=25 if JIT else 2, deadline=None)
@given(cuts=st.lists(st.integers(1, LENGTH - 1), max_size=12, unique=True))
def test_the_sound_is_the_same_however_it_is_cut(rendered, writes, cuts):
    model, whole = rendered
    sid = queued(writes, model)
    parts = [sid.clock(cut - sid.cycle) for cut in sorted([*cuts, writes.length])]
    assert np.array_equal(np.concatenate(parts), whole)


@settings(max_examples=15 if JIT else 2, deadline=None)
@given(at=st.integers(0, LENGTH), queue=st.booleans())
def test_a_snapshot_goes_on_as_its_sid_did(rendered, writes, at, queue):
    model, whole = rendered
    sid = queued(writes, model)
    before = sid.clock(at)
    if queue:
        sid.peek(min(at + 100, writes.length), OSC3)  # leaves sound behind
    snapshot = pickle.loads(pickle.dumps(sid.snapshot()))
    after = sid.clock(writes.length - sid.cycle)
    assert np.array_equal(np.concatenate((before, after)), whole)
    other = SID(model)
    other.clock(17)
    other.restore(snapshot)
    assert np.array_equal(other.clock(writes.length - other.cycle), after)


def test_a_snapshot_does_not_change_with_its_sid(writes):
    sid = queued(writes, "6581")
    sid.clock(100)
    snapshot = sid.snapshot()
    frozen = pickle.dumps(snapshot)
    sid.clock(1_000)
    assert pickle.dumps(snapshot) == frozen
    sid.restore(snapshot)
    again = sid.clock(1_000)
    sid.restore(snapshot)
    assert np.array_equal(sid.clock(1_000), again)


def test_a_sid_can_be_pickled(writes):
    sid = queued(writes, "8580", sample_rate=48_000)
    sid.clock(500)
    twin = pickle.loads(pickle.dumps(sid))
    assert repr(twin) == repr(sid)
    assert np.array_equal(twin.clock(900), sid.clock(900))


def test_writes_now_and_writes_in_time_are_the_same(writes, rendered):
    model, whole = rendered
    sid, sound = SID(model), []
    for cycle, register, value in writes.events.tolist():
        sound.append(sid.clock(cycle - sid.cycle))
        sid[BASE + register] = value
    sound.append(sid.clock(writes.length - sid.cycle))
    assert np.array_equal(np.concatenate(sound), whole)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("clock_hz", [PAL.clock_hz, NTSC.clock_hz])
def test_the_number_of_samples_follows_from_the_cycles(sample_rate, clock_hz):
    sid = SID(sample_rate=sample_rate, clock_hz=clock_hz)
    total = 0
    for cycles in (0, 1, 21, 22, 23, 400, 1_000):
        sound = sid.clock(cycles)
        assert sound.dtype == np.float32
        total += len(sound)
        assert total == sid.cycle * sample_rate // clock_hz


@needs_jit
@pytest.mark.parametrize("model", models.MODELS)
def test_random_writes_give_sound_within_its_range(model):
    for seed in range(3):
        wild = traffic(seed=seed, length=100_000, gap=30, everything=True)
        sound = render(wild, model)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 1
        assert sound.std() > 0.001


@needs_jit
def test_an_idle_chip_falls_silent():
    sid = SID()
    sid.clock(2 * PAL.clock_hz)
    assert np.abs(sid.clock(10_000)).max() < 1e-5


def test_a_modes_name_is_checked():
    assert MODES == ("exact", "fast")
    with pytest.raises(ModelError, match=r"^mode 'exakt': expected exact or fast \(did you mean exact\?\)$"):
        SID(mode="exakt")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_reads_back_the_same(writes, mode):
    _, env3 = readback(writes, "6581")
    sid = queued(writes, "6581", mode=mode)
    assert sid.peek(writes.length, ENV3) == env3[-1]


# --- Reading ---


@settings(max_examples=15 if JIT else 2, deadline=None)
@given(cycles=st.lists(st.integers(1, LENGTH), min_size=1, max_size=8))
def test_peeks_are_the_readback_and_do_not_change_the_sound(rendered, writes, cycles):
    model, whole = rendered
    osc3, env3 = readback(writes, model)
    sid = queued(writes, model)
    sid = SID(model)
    events, at = writes.events.tolist(), 0
    for cycle in sorted(cycles):
        while at < len(events) and events[at][0] <= cycle:
            sid.poke(*events[at])
            at += 1
        assert sid.peek(cycle, OSC3) == osc3[cycle - 1]
        assert sid.peek(cycle, ENV3) == env3[cycle - 1]
        assert sid.cycle == cycle
    for event in events[at:]:
        sid.poke(*event)
    assert np.array_equal(sid.clock(writes.length - sid.cycle), whole)


def test_readback_has_one_value_a_cycle(writes):
    for array in readback(writes):
        assert array.shape == (writes.length,)
        assert array.dtype == np.uint8


def test_a_sid_is_a_port():
    port: SidPort = SID()
    port.poke(0, MODE_VOL, 15)
    port.poke(40, NUMBER["CONTROL_3"], SAWTOOTH)
    assert port.peek(39, OSC3) == 0
    assert port.peek(41, OSC3) == 0x55


def test_a_peek_sees_the_writes_of_its_own_cycle_on_the_data_bus():
    sid = SID()
    sid.poke(10, MODE_VOL, 0x5A)
    assert sid.peek(10, MODE_VOL) == 0x5A
    assert sid.cycle == 10


def test_time_does_not_fall():
    sid = SID()
    sid.clock(100)
    for access in (lambda: sid.poke(99, MODE_VOL, 1), lambda: sid.peek(99, OSC3)):
        with pytest.raises(WritesError, match=r"^cycle 99: expected 100 or later, time must not fall$"):
            access()
    sid.poke(300, MODE_VOL, 1)
    with pytest.raises(WritesError, match=r"^cycle 299: expected 300 or later"):
        sid.poke(299, MODE_VOL, 1)
    sid.peek(299, OSC3)  # what is queued stays queued
    assert sid._chip.volume == 0


# --- Addresses ---


def test_addresses_numbers_names_and_mirrors_are_the_same_register():
    sid = SID()
    for value, name in enumerate((MODE_VOL, BASE + MODE_VOL, BASE + 0x3E0 + MODE_VOL, "MODE_VOL", "mode_vol"), 1):
        sid[name] = value
        assert sid._chip.volume == value
        assert sid[0] == value  # left on the data bus
    sid.poke(LAST_ADDRESS, 9)
    assert sid.peek(BASE) == 9
    assert sid[54299] == sid["OSC3"] == sid.peek(0xD41B) == 0


def test_slices_write_registers_in_turn():
    sid, other = SID(), SID()
    values = list(range(1, WRITABLE + 1))
    sid[BASE : BASE + WRITABLE] = values
    for number, value in enumerate(values):
        other[number] = value
    assert sid._voices.tobytes() == other._voices.tobytes()
    assert sid._chips.tobytes() == other._chips.tobytes()
    sid[0:WRITABLE] = bytes(values)
    sid[:25] = np.array(values, np.uint8)
    assert sid._voices.tobytes() == other._voices.tobytes()
    sid[54272:54297] = 0
    assert not sid._voices.frequency.any()
    assert sid[54297:54301] == [255, 255, 0, 0xAA]


@pytest.mark.parametrize(
    ("access", "error", "message"),
    [
        (lambda s: s.__setitem__(99, 1), RegisterError, "address 99: a SID lies at 54272 to 55295"),
        (lambda s: s.__setitem__(55_296, 1), RegisterError, "address 55296"),
        (lambda s: s.__setitem__(54_296, 256), RegisterError, "value 256: a register holds 0 to 255"),
        (lambda s: s.__setitem__(54_296, 1.5), RegisterError, "value 1.5"),
        (lambda s: s["FREQ"], RegisterError, "register 'FREQ': no such name"),
        (lambda s: s.__setitem__(slice(0, 3), [1]), RegisterError, "registers: 3 of them, given 1 values"),
        (lambda s: s[slice(0, "x")], RegisterError, "registers slice"),
        (lambda s: s[slice(3, 0, -1)], RegisterError, "registers slice"),
        (lambda s: s.clock(-1), WritesError, "clock -1: expected a whole number of cycles from 0 up"),
        (lambda s: s.clock(1.5), WritesError, "clock 1.5"),
        (lambda s: s.poke(-1, 0, 0), WritesError, "cycle -1"),
        (lambda s: s.poke(1), TypeError, "poke: expected"),
        (lambda s: s.peek(), TypeError, "peek: expected"),
        (lambda _: SID("6582"), ModelError, "model '6582'"),
        (lambda _: SID(sample_rate=100), SampleRateError, "sample rate 100"),
        (lambda _: SID(clock_hz=1), SampleRateError, "clock 1"),
        (lambda _: render([(0, 0, 0)]), WritesError, "writes: expected RegisterWrites, given list"),
        (lambda _: readback(None), WritesError, "writes: expected RegisterWrites, given NoneType"),
        (lambda s: s.restore(SID("8580").snapshot()), ModelError, "snapshot: model is '8580', this SID has '6581'"),
    ],
)
def test_mistakes_are_told_in_one_line(access, error, message):
    with pytest.raises(error) as caught:
        access(SID())
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_rejected_slice_writes_nothing():
    sid = SID()
    before = sid.snapshot()["voices"].tobytes()
    with pytest.raises(RegisterError):
        sid[0:3] = [1, 2, 256]
    assert sid.snapshot()["voices"].tobytes() == before


# --- Whole logs ---


def test_render_plays_at_the_clock_of_the_log():
    log = RegisterWrites.from_rows([(0, MODE_VOL, 15)], length=10_000, clock_hz=NTSC.clock_hz)
    assert len(render(log, sample_rate=48_000)) == 10_000 * 48_000 // NTSC.clock_hz


def test_more_sids_are_mixed_to_their_mean(writes):
    rows = writes.events.tolist()
    doubled = sorted([*rows, *((c, r + 32, v) for c, r, v in rows)], key=lambda row: row[0])
    two = RegisterWrites.from_rows(doubled, length=writes.length)
    assert np.abs(render(two) - render(writes)).max() < 1e-6
    for one, other in zip(readback(two), readback(writes), strict=True):
        assert np.array_equal(one, other)


def test_two_sids_are_left_and_right_in_stereo(writes):
    rows = [*writes.events.tolist(), (writes.length // 2, 32 + MODE_VOL, 15)]
    two = RegisterWrites.from_rows(sorted(rows, key=lambda row: row[0]), length=writes.length)
    both = render(two, stereo=True)
    assert both.dtype == np.float32
    assert np.array_equal(both[:, 0], render(writes))
    assert np.array_equal(both[:, 1], render(two.sid(1)))
    one = render(writes, stereo=True)
    assert np.array_equal(one[:, 0], one[:, 1])


def test_a_profile_reaches_sound_and_readings(writes):
    log = traffic(seed=8, length=20_000, kind="combined", everything=True)
    profile = "galway, combined=weak"
    sound = render(log, profile=profile)
    assert not np.array_equal(sound, render(log))
    assert np.array_equal(sound, SID(profile=profile).play(log))
    assert np.array_equal(sound, render_batch([log], mode="exact", profile=models.profile(profile))[0])
    osc3, env3 = readback(log, profile=profile)
    plain_osc3, plain_env3 = readback(log)
    assert np.array_equal(env3, plain_env3)
    assert np.count_nonzero(osc3 != plain_osc3) > 100
    sid = SID(profile=profile)
    copy = pickle.loads(pickle.dumps(sid))
    assert np.array_equal(copy.play(log), sound)


@pytest.mark.parametrize("play", [render, readback, lambda log, **options: render_batch([log], **options)])
def test_a_wrong_profile_is_told_before_anything_plays(writes, play):
    with pytest.raises(ModelError, match=r"profile 'galwai': .*did you mean galway\?"):
        play(writes, profile="galwai")


def test_a_log_can_be_played_in_the_middle_of_time(writes):
    sid = SID()
    assert np.array_equal(sid.play(writes), render(writes))
    sid.play(writes)
    assert sid.cycle == 2 * writes.length
    sid.poke(sid.cycle + 5, MODE_VOL, 0)
    with pytest.raises(WritesError, match="play: 1 writes are still queued"):
        sid.play(writes)


@needs_jit
@pytest.mark.parametrize("release", [0, 4, 9])
def test_sounding_cycles_is_when_the_last_envelope_ends(release):
    rows = [(0, SUSTAIN_RELEASE, 0xF0 | release), (0, CONTROL, GATE), (9_000, CONTROL, 0)]
    log = RegisterWrites.from_rows(rows, length=9_100)
    more = sounding_cycles(log, "6581", limit=10_000_000)
    sid = SID()
    for row in rows:
        sid.poke(*row)
    sid.clock(log.length + more - 1)
    assert sid.sounding
    sid.clock(1)
    assert not sid.sounding
    assert sounding_cycles(log, "6581", limit=10) == 10


def test_names_of_the_package():
    assert chip.models() == list(models.MODELS)
    assert chip.SID is SID
    assert chip.render is render
    assert set(chip.__all__) <= set(dir(chip))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = chip.nothing


def test_importing_the_chip_loads_no_numba():
    code = "import sys, sidlearn.chip; sidlearn.chip.models(); sidlearn.SID; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_jit
def test_kernels_give_the_same_bits_without_numba(tmp_path):
    code = """
import sys
from sidlearn.chip.sid import readback, render
from tests.chip.traffic import traffic
log = traffic(seed=3, length=1500, gap=25, everything=True)
with open(sys.argv[1], "wb") as file:
    for model in ("6581", "8580-residfp"):
        for array in (render(log, model), *readback(log, model)):
            file.write(array.tobytes())
"""
    outputs = []
    for disabled in ("0", "1"):
        path = tmp_path / disabled
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        subprocess.run([sys.executable, "-W", "error", "-c", code, str(path)], check=True, env=environment)
        outputs.append(path.read_bytes())
    assert len(outputs[0]) > 6_000
    assert outputs[0] == outputs[1]
