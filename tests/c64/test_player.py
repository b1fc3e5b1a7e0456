"""Tunes in their machine: when they are called, with what in memory, and what they may do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sidlearn import clock, sources
from sidlearn.c64 import player, tune
from sidlearn.errors import SourceError
from sidlearn.writes import LogPort
from tests.c64.tunes import COUNTER, sid

FRAME = clock.PAL.frame_cycles


def play(content: bytes, cycles: int = 10 * FRAME, **options):
    player_ = player.TunePlayer(tune.read(content), **options)
    return player_, player_.advance(cycles)


def values(events: np.ndarray, register: int) -> list[int]:
    return events["value"][events["register"] == register].tolist()


def cycles(events: np.ndarray, register: int) -> np.ndarray:
    return events["cycle"][events["register"] == register]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("video", [clock.PAL, clock.NTSC])
def test_the_picture_calls_play(exact, video):
    _, events = play(sid(COUNTER, songs=9), 10 * video.frame_cycles, song=7, video=video, exact=exact)
    assert values(events, 0) == [6]
    assert values(events, 1) == list(range(1, len(values(events, 1)) + 1))
    steps = np.diff(cycles(events, 1))[1:]
    assert abs(steps - video.frame_cycles).max() <= 6


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("video", [clock.PAL, clock.NTSC])
def test_the_timer_calls_play_where_the_speed_bit_says_so(exact, video):
    _, events = play(sid(COUNTER, speed=1), 40 * video.frame_cycles, video=video, exact=exact)
    when = cycles(events, 1)
    assert abs((when[-1] - when[0]) / (len(when) - 1) - video.jiffy_cycles) < 6


def test_a_tune_may_set_the_timer_itself():
    source = COUNTER.replace("init:", "init: LDX #<4999\n STX $DC04\n LDX #>4999\n STX $DC05\n")
    _, events = play(sid(source, speed=1), 40 * FRAME)
    when = cycles(events, 1)
    assert abs((when[-1] - when[0]) / (len(when) - 1) - 5000) < 1


CORES_MUST_AGREE = {
    "plain": (COUNTER, {}),
    "timer": (COUNTER, {"speed": 1}),
    "long": (
        "init: RTS\nplay: LDY #20\nl: LDX #0\nm: STX $D400\n INX\n BNE m\n DEY\n BNE l\n RTS",
        {},
    ),
    "raster": (
        "init: RTS\nplay: LDA $D012\n CMP #100\n BNE play\n LDA $D012\n STA $D400\n LDA $DC04\n STA $D401\n RTS",
        {},
    ),
}


@pytest.mark.parametrize("name", CORES_MUST_AGREE)
def test_both_cores_make_the_same_writes(name):
    source, options = CORES_MUST_AGREE[name]
    _, fast = play(sid(source, **options), 20 * FRAME, exact=False)
    _, exact = play(sid(source, **options), 20 * FRAME, exact=True)
    count = min(len(fast), len(exact))
    assert count > 10
    assert abs(len(fast) - len(exact)) <= 12
    read = np.isin(fast["register"][:count], (1,)) if name == "raster" else np.zeros(count, bool)
    assert np.array_equal(fast["register"][:count], exact["register"][:count])
    assert np.array_equal(fast["value"][:count][~read], exact["value"][:count][~read])
    assert abs(fast["cycle"][:count] - exact["cycle"][:count]).max() <= 64


@pytest.mark.parametrize("exact", [False, True])
def test_bad_lines_stop_the_cpu(exact):
    source = "init: RTS\nplay: LDY #7\nl: LDX #0\nm: STX $D400\n INX\n BNE m\n DEY\n BNE l\n RTS"
    _, events = play(sid(source), 2 * FRAME, exact=exact)
    gaps = np.diff(cycles(events, 0))
    # a loop of 9 cycles: 43 more in each of the 25 bad lines that it meets, a little less where it writes
    stopped = gaps[(gaps > 40) & (gaps < 100)]
    assert set(stopped.tolist()) <= {51, 52, 53, 55, 56}
    assert len(stopped) >= 25


@pytest.mark.parametrize(
    ("load", "code_at", "expected"),
    [(0x1000, 0x1000, 0x37), (0x1000, 0xB000, 0x36), (0x1000, 0xC000, 0x36), (0xE000, 0xE000, 0x35)],
)  # fmt: skip
def test_bank_rule(load, code_at, expected):
    source = (
        f"* = {load}\n .byte 0\n* = {code_at + 1}\ninit: LDX $01\n LDA #$35\n STA $01\n STX $D400\n STX $01\n RTS\n"
    )
    source += "play: RTS"
    _, events = play(sid(source))
    assert values(events, 0)[0] == expected


def test_code_under_the_chips_is_called():
    source = """
* = $C000
down:   LDA #$35
        STA $01
        STX $D400
        RTS
* = $D800
init:   LDX $01
        JMP down
play:   RTS
"""
    _, events = play(sid(source))
    assert values(events, 0)[0] == 0x34


def test_the_player_restores_the_port():
    source = (
        "init: LDX $01\n STX $D400\n LDA #$35\n STA $01\n RTS\nplay: LDX $01\n STX $D401\n LDA #$36\n STA $01\n RTS"
    )
    _, events = play(sid(source))
    assert values(events, 0) == [0x37]
    assert set(values(events, 1)) == {0x37}


def test_the_television_standard_is_told_in_02a6():
    source = "init: LDA $02A6\n STA $D400\nplay: RTS"
    assert [values(play(sid(source), video=v)[1], 0)[0] for v in (clock.PAL, clock.NTSC)] == [1, 0]


IRQ = """
init:   SEI
        LDA #<irq
        STA $0314
        LDA #>irq
        STA $0315
        CLI
        RTS
irq:    INC $D020
        STX $D400
        LDA #7
        STA $D401
        JMP exit
"""


@pytest.mark.parametrize("exit_address", [0xEA31, 0xEA7E])
def test_an_rsid_hooks_the_timer_interrupt_and_leaves_through_the_kernal(exit_address):
    content = sid(IRQ.replace("exit", f"${exit_address:04X}"), magic=b"RSID")
    ran, events = play(content, 60 * FRAME)
    assert ran.exact
    assert ran.error is None
    when = cycles(events, 1)
    assert abs(len(when) - 60 * FRAME / clock.PAL.jiffy_cycles) <= 1
    assert abs(np.diff(when) - clock.PAL.jiffy_cycles).max() <= 50


def test_a_raster_interrupt_that_is_acknowledged_comes_once_a_picture():
    source = IRQ.replace(
        "CLI", "LDA #$7F\n STA $DC0D\n LDA #$1B\n STA $D011\n LDA #100\n STA $D012\n LDA #$81\n STA $D01A\n CLI"
    )
    source = source.replace("INC $D020", "LDA #$FF\n STA $D019\n LDX $D012").replace("exit", "$EA81")
    _, events = play(sid(source, magic=b"RSID"), 20 * FRAME)
    when = cycles(events, 0)[2:]
    assert set(values(events, 0)[2:]) == {100}
    assert abs(np.diff(when) - FRAME).max() <= 6


NMI = """
init:   LDA #<nmi
        STA $0318
        LDA #>nmi
        STA $0319
        LDA #199
        STA $DD04
        LDA #0
        STA $DD05
        LDA #$81
        STA $DD0D
        STA $DD0E
        RTS
nmi:    PHA
        INC $D418
        LDA $DD0D
        PLA
        RTI
play:   RTS
"""


def test_an_nmi_plays_samples_and_changes_to_the_exact_core():
    ran, events = play(sid(NMI), 4 * FRAME)
    assert ran.exact
    when = cycles(events, 24)
    # INC writes twice, the old value first
    assert abs((when[-1] - when[1]) / (len(when[1::2]) - 1) - 200) < 0.5


def test_osc3_is_read_from_the_port():
    class Port(LogPort):
        def peek(self, cycle, register):
            assert register in (27, 28)
            assert self.values[:2] == [15, 0x42]  # the driver's volume, then the tune's write
            return 0x99

    source = "init: LDA #$42\n STA $D400\n LDA $D41B\n STA $D401\n RTS\nplay: LDA $D41C\n STA $D402\n RTS"
    for exact in (False, True):
        _, events = play(sid(source), port=Port(), exact=exact)
        assert values(events, 1) == [0x99]
        assert set(values(events, 2)) == {0x99}


def test_second_and_third_sid_have_registers_of_their_own():
    source = "init: LDA #1\n STA $D400\n LDA #2\n STA $D420\n LDA #3\n STA $DE00\n LDA #4\n STA $D440\n RTS\nplay: RTS"
    for exact in (False, True):
        _, events = play(sid(source, version=4, extra=(0, 0, 0x42, 0xE0)), exact=exact)
        rows = [(int(e["register"]), int(e["value"])) for e in events if e["register"] != 24]
        assert rows == [(0, 1), (32, 2), (64, 3), (0, 4)]


def test_slices_give_the_same_writes_as_one_run():
    content = sid(COUNTER)
    _, whole = play(content, 10 * FRAME)
    sliced = player.TunePlayer(tune.read(content))
    parts = [sliced.advance(min(cycle, 10 * FRAME)) for cycle in range(777, 10 * FRAME + 777, 777)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("exact", [False, True])
def test_a_jam_is_told_with_its_address(exact):
    ran, _ = play(sid("init: RTS\nplay: .byte $02"), exact=exact)
    assert ran.ended
    assert "$1001" in ran.error


@pytest.mark.parametrize("exact", [False, True])
def test_a_rom_routine_that_nobody_stands_in_for_is_named(exact):
    ran, _ = play(sid("init: JSR $F49E\n RTS\nplay: RTS"), exact=exact)
    assert "$F49E" in ran.error
    assert "LOAD" in ran.error


def test_all_entries_of_the_jump_table_come_back():
    calls = "\n".join(f" JSR ${entry:04X}" for entry in range(0xFF81, 0xFFF4, 3))
    ran, events = play(sid(f"init: {calls}\n LDA #1\n STA $D400\n RTS\nplay: RTS"), 20 * FRAME)
    assert ran.error is None
    assert values(events, 0)[-1] == 1


def test_an_init_that_never_returns_is_told():
    ran, _ = play(sid("init: JMP init\nplay: RTS"), 61 * clock.PAL.clock_hz)
    assert "$1000" in ran.error


def test_a_song_that_is_not_there():
    with pytest.raises(SourceError, match="song 2: expected 1 to 1"):
        play(sid(COUNTER), song=2)


def test_no_memory_left():
    with pytest.raises(SourceError, match="no page"):
        play(sid("* = $0200\ninit: RTS\n* = $CFFF\nplay: RTS", load=0x0200))


def test_a_basic_tune_finds_its_song_in_780():
    from sidlearn import basic

    image = basic.tokenize("10 POKE 54272,PEEK(780)\n")
    content = sid("init: RTS", magic=b"RSID", songs=8, flags=2)
    content = content[:0x0A] + b"\0\0" + content[0x0C:0x7C] + image
    read = tune.read(content)
    ran = player.open_tune(read, 5, clock.PAL, LogPort(), "x.sid")
    assert values(ran.advance(10 * FRAME), 0) == [4]
    assert ran.ended


@pytest.mark.parametrize(("model", "answers"), [(None, {0}), ("6581", set(range(1, 256)))])
def test_a_log_of_a_basic_tune_has_no_chip_to_read_unless_one_is_named(tmp_path, model, answers):
    """As `basic.run` without a SID."""
    from sidlearn import basic, load

    image = basic.tokenize("10 POKE 54292,240:POKE 54290,33:FOR I=1 TO 20:POKE 54295,PEEK(54300):NEXT\n")
    content = sid("init: RTS", magic=b"RSID", flags=2)
    path = tmp_path / "x.sid"
    path.write_bytes(content[:0x0A] + b"\0\0" + content[0x0C:0x7C] + image)
    read = values(load(path, seconds=1, model=model).events, 23)
    assert len(read) == 20
    assert set(read[1:]) <= answers


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("init: RTS\nplay: JMP play", r"play at \$1001 has not come back for 5 s: the CPU is at \$1001"),
        ("init: RTS\nplay: JMP $8000", r"the BRK at \$8000 ends the program"),
        ("init: JMP init\nplay: RTS", r"init at \$1000 has not come back after 60 s: the CPU is at \$1000"),
        ("init: RTS\nplay: .byte 2", r"the opcode at \$1001 stops the CPU for good"),
        ("init: RTS\nplay: JSR $B1AA\n RTS", r"needs the BASIC ROM at \$B1AA"),
    ],
)
def test_code_that_goes_astray_stops_with_its_address(program, message):
    ran = player.TunePlayer(tune.read(sid(program)))
    ran.advance(70 * clock.PAL.clock_hz)
    assert re.search(message, ran.error or "")


def test_silence_does_not_hide_an_init_that_does_not_come_back(tmp_path):
    path = tmp_path / "x.sid"
    path.write_bytes(sid("init: JMP init\nplay: RTS"))
    at_play = sources.open_source(path, sources.Request(until_silence=True))
    while not at_play.ended:
        at_play.advance(at_play.cycle + clock.PAL.clock_hz)
    assert re.search(r"init at \$1000 has not come back", at_play.error or "")


def test_a_play_routine_that_writes_on_is_left_alone():
    ran = player.TunePlayer(tune.read(sid("init: RTS\nplay: INC $D400\nJMP play")))
    ran.advance(7 * clock.PAL.clock_hz)
    assert ran.error is None
