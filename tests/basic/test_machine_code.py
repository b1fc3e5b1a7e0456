"""Machine code in listings: SYS and USR, the routines of the ROM that it calls, and the timer interrupt around it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sidlearn import clock
from sidlearn.basic import run, tokenize
from sidlearn.basic.interpreter import Interpreter
from sidlearn.basic.routines import NAMES, ROUTINES
from sidlearn.cpu.assemble import assemble
from sidlearn.errors import SidlearnError
from sidlearn.writes import LogPort


def listing(source: str, then: str = "", first: str = "") -> str:
    """Return a listing that puts assembled code to 49152 and goes on with `then`."""
    _, code, _ = assemble(source)
    lines = [f"10 {first}:for i=0to{len(code) - 1}:read a:poke 49152+i,a:next" if first else
             f"10 for i=0to{len(code) - 1}:read a:poke 49152+i,a:next", f"20 {then or 'sys 49152'}"]  # fmt: skip
    rows = [code[i : i + 16] for i in range(0, len(code), 16)]
    return "\n".join(lines + [f"{100 + n} data {','.join(map(str, row))}" for n, row in enumerate(rows)])


def printed(program: str, **arguments) -> str:
    result = run(program, **arguments)
    assert result.error is None
    return result.output.decode("latin-1").replace("\x1d", " ").replace("\r", "|")


def test_machine_code_that_is_missing_says_so():
    with pytest.raises(SidlearnError, match=r"SYS 49152: needs the KERNAL routine 'TALK' at 65460 \(\$FFB4\)"):
        run(listing("JMP $FFB4"))


def test_machine_code_takes_and_leaves_the_registers():
    program = listing("STX $FB\n INX\n RTS", "poke 781,41:sys 49152:print peek(251);peek(781)")
    assert printed(program) == " 41  42 |"


def test_endless_machine_code_is_run_in_slices():
    # INC $D400 : JMP $C000 with the value in A: LDX #0, INX, STX $D400, JMP $C002
    program = "10 for i=0to8:read a:poke 49152+i,a:next:sys 49152\n20 data162,0,232,142,0,212,76,2,192"
    port = LogPort()
    machine = Interpreter(tokenize(program), port)
    for until in range(150_000, 200_000, 5_000):
        assert machine.run(until)
    assert machine.now >= 195_000
    assert port.values[:300] == [n % 256 for n in range(1, 301)]
    assert {b - a for a, b in pairwise(port.cycles)} == {9}


def test_machine_code_on_the_interrupt_plays_after_the_program():
    # SEI, vector to 49168, CLI, RTS; handler: INC $FB, LDA $FB, STA $D400, JMP $EA31
    code = [120, 169, 16, 141, 20, 3, 169, 192, 141, 21, 3, 88, 96, 0, 0, 0]
    code += [230, 251, 165, 251, 141, 0, 212, 76, 49, 234]
    data = ",".join(map(str, code))
    program = f"10 for i=0to{len(code) - 1}:read a:poke 49152+i,a:next:sys 49152\n20 data {data}"
    port = LogPort()
    machine = Interpreter(tokenize(program), port, "pal")
    assert machine.run(1_000_000)
    assert machine.run(2_000_000)
    assert not machine.ended
    assert port.values == list(range(1, len(port.values) + 1))
    gaps = np.diff(port.cycles)
    assert len(gaps) > 80
    assert abs(gaps.mean() - 16_422) < 1
    assert abs(gaps - 16_422).max() < 100


# Registers before: POKE 780 to 783; the code; what BASIC prints behind it; all of it.
CALLS = {
    "CHROUT": ("LDA #65\n JMP $FFD2", "print", "A|"),
    "STROUT": ("LDA #<text\n LDY #>text\n JMP $AB1E\ntext: .byte 72,73,0", "print", "HI|"),
    "LINPRT": ("LDX #57\n LDA #48\n JMP $BDCD", "print", "12345|"),
    "PLOT": ("LDX #5\n LDY #7\n CLC\n JSR $FFF0\n SEC\n LDX #0\n LDY #0\n JSR $FFF0\n STX $FB\n STY $FC\n RTS",
             "print peek(251)peek(252)", " 5  7 |"),
    "SCREEN": ("JSR $FFED\n STX $FB\n STY $FC\n RTS", "print peek(251)peek(252)", " 40  25 |"),
    "IOBASE": ("JSR $FFF3\n STX $FB\n STY $FC\n RTS", "print peek(251)+256*peek(252)", " 56320 |"),
    "READST": ("JSR $FFB7\n STA $FB\n RTS", "print peek(251)", " 0 |"),
    "MEMTOP": ("SEC\n JSR $FF99\n STX $FB\n STY $FC\n RTS", "print peek(251)peek(252)", " 0  160 |"),
    "STOP": ("JSR $FFE1\n BEQ down\n LDA #1\n STA $FB\ndown: RTS", "print peek(251)", " 1 |"),
    "RDTIM": ("LDA #1\n LDX #2\n LDY #3\n JSR $FFDB\n LDA #0\n JSR $FFDE\n STA $FB\n STX $FC\n STY $FD\n RTS",
              "print peek(251)peek(252)peek(253)", " 1  2  3 |"),
    "a file that is not open": ("LDX #9\n JSR $FFC6\n BCC fine\n STA $FB\nfine: RTS", "print peek(251)", " 3 |"),
    "no device": (("LDA #1\n LDX #8\n LDY #2\n JSR $FFBA\n LDA #0\n JSR $FFBD\n JSR $FFC0\n BCC fine\n STA $FB\n"
                  "fine: RTS"), "print peek(251)", " 5 |"),
    "floats": (("LDA #$01\n LDY #$02\n JSR $B391\n LDX #$40\n LDY #$03\n JSR $BBD4\n LDY #10\n JSR $B3A2\n LDA #$40\n"
               " LDY #$03\n JSR $B867\n JSR $BDDD\n JMP $AB1E"), "print", " 268|"),
    "products": (("LDY #12\n JSR $B3A2\n LDX #$40\n LDY #$03\n JSR $BBD4\n LDY #11\n JSR $B3A2\n LDA #$40\n LDY #$03\n"
                 " JSR $BA28\n JSR $B1AA\n LDX $65\n LDA $64\n JMP $BDCD"), "print", "132|"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_routines_of_the_rom_are_answered(name):
    code, after, wanted = CALLS[name]
    assert printed(listing(code, f"sys 49152:{after}")) == wanted


def test_arguments_behind_sys_are_read():
    code = (
        "JSR $B7F1\n STX $FB\n JSR $AEFD\n JSR $AD8A\n JSR $B7F7\n LDA $14\n STA $FC\n LDA $15\n STA $FD\n"
        "JSR $AEFD\n JSR $B7EB\n LDY #0\n TXA\n STA ($14),Y\n RTS"
    )
    program = listing(code, "b=7:sys 49152,b*2,770+b,54296,15:print peek(251)peek(252)+256*peek(253)")
    assert printed(program) == " 14  777 |"
    assert run(program).writes.events[["register", "value"]].tolist() == [(24, 15)]
    assert run(listing(code, "sys 49152,256,1,2,3")).error == "?ILLEGAL QUANTITY  ERROR IN 20"
    assert run(listing(code, "sys 49152;1,1,2,3")).error == "?SYNTAX  ERROR IN 20"
    assert run(listing("RTS", "sys 49152,1")).error == "?SYNTAX  ERROR IN 20"


def test_the_cursor_is_set_through_211_and_214():
    for entry in (58640, 58732):
        assert printed(f'10 poke 214,5:poke 211,3:sys {entry}:print "x"pos(0)') == "X 4 |"
    assert printed("10 print chr$(17);:sys 58726:print peek(214)peek(211)") == "\x11 0  3 |"


def test_a_line_is_read_character_by_character():
    code = "LDX #0\nnext: JSR $FFCF\n STA $0340,X\n INX\n CMP #13\n BNE next\n STX $FB\n RTS"
    program = listing(code, "sys 49152:printpeek(251):fori=832to832+peek(251)-2:printchr$(peek(i));:next")
    assert printed(program, lines=["hello"]) == " 6 |HELLO"


def test_files_are_written_and_read_by_machine_code(tmp_path):
    name = "LDA #4\n LDX #<name\n LDY #>name\n JSR $FFBD\n LDA #2\n LDX #8\n LDY #%d\n JSR $FFBA\n"
    save = name % 1 + "LDA #$FB\n LDX #$04\n LDY #$03\n JSR $FFD8\n RTS\nname: .byte 84,69,83,84"
    program = listing(save, "sys 49152", "poke 251,0:poke 252,3:poke 768+1,99")
    Interpreter(tokenize(program), files=tmp_path).run()
    (file,) = tmp_path.iterdir()
    assert file.read_bytes()[:4] == bytes((0, 3, 0x8B, 99))
    load = name % 0 + "LDA #0\n LDX #$40\n LDY #$03\n JSR $FFD5\n STX $FB\n STY $FC\n RTS\nname: .byte 84,69,83,84"
    program = listing(load, "sys 49152:print peek(251)peek(252)peek(833)")
    machine = Interpreter(tokenize(program), files=tmp_path)
    machine.run()
    assert bytes(machine.screen.output) == b" 68\x1d 3\x1d 99\x1d\r"


def test_errors_of_basic_are_raised_by_machine_code():
    assert run(listing("LDX #15\n JMP $A437")).error == "?OVERFLOW  ERROR IN 20"
    assert run(listing("JMP $AF08")).error == "?SYNTAX  ERROR IN 20"
    assert run(listing("JMP $A474", "sys 49152:print 1")).output == b""


def waits(count: int) -> str:
    """Return code that writes to the SID each time the jiffy clock has ticked."""
    return f"LDX #{count}\nagain: LDA $A2\nsame: CMP $A2\n BEQ same\n STX $D400\n DEX\n BNE again\n RTS"


def test_machine_code_sees_the_jiffy_clock_tick():
    result = run(listing(waits(20), "sys 49152:print ti"), "pal", max_cycles=1_000_000)
    gaps = np.diff(result.writes.events["cycle"])
    assert len(gaps) == 19
    assert abs(gaps - clock.PAL.jiffy_cycles).max() < 250  # a badline and the code's own step


def test_machine_code_with_interrupts_off_is_not_interrupted():
    loop = "LDY #0\nmore: LDX #0\ninner: DEX\n BNE inner\n STY $D400\n INY\n BNE more\n %s RTS"
    shown = "poke 53265,11:sys 49152"  # no picture, no badlines
    off = run(listing("SEI\n" + loop % "CLI\n", shown), "pal").writes.events["cycle"]
    on = run(listing("NOP\n" + loop % "NOP\n", shown), "pal").writes.events["cycle"]
    assert set(np.diff(off)) == {1290}
    interrupts = (on[-1] - on[0] - 255 * 1290) / 180
    assert 15 < interrupts < 30


def test_interrupts_stay_off_behind_the_call():
    assert printed(listing("SEI\n RTS", "sys 49152:t=ti:for i=1to999:next:print ti-t"), video="pal") == " 0 |"
    assert printed(listing("NOP\n RTS", "sys 49152:t=ti:for i=1to999:next:print ti-t"), video="pal") != " 0 |"


def test_a_flag_that_the_interrupt_sets_is_seen_by_the_code_that_waits_for_it():
    code = """
        SEI
        LDA #<tick
        STA $0314
        LDA #>tick
        STA $0315
        CLI
        LDX #5
again:  LDA #0
        STA $FB
wait:   LDA $FB
        BEQ wait
        STX $D401
        DEX
        BNE again
        RTS
tick:   INC $FB
        JMP $EA31
"""
    machine = Interpreter(tokenize(listing(code, "sys 49152:print 1")), LogPort(), "pal")
    machine.run(1_000_000)
    events = machine.memory.port
    assert events.values == [5, 4, 3, 2, 1]
    assert abs(np.diff(events.cycles) - clock.PAL.jiffy_cycles).max() < 250


def test_no_address_is_answered_and_named_as_unanswered():
    assert not ROUTINES.keys() & NAMES.keys()


def floats_of(source: str, variables: str) -> str:
    """Run code that combines the floats of the program's first two variables, X and Y, into the third, Z."""
    head = """
        LDA $2D : CLC : ADC #2 : STA $FB : LDA $2E : ADC #0 : STA $FC
        LDA $FB : CLC : ADC #7 : STA $FD : LDA $FC : ADC #0 : STA $FE
        LDA $FB : LDY $FC
    """
    tail = """
        LDA $FD : CLC : ADC #7 : TAX : LDA $FE : ADC #0 : TAY : JMP $BBD4
    """
    code = "\n".join((head + source + tail).replace(" : ", "\n").split("\n"))
    return printed(listing(code, "sys 49152:print z", f"{variables}:z=0"))


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("JSR $BBA2 : LDA $FD : LDY $FE : JSR $BA8C : JSR $B86A", "9"),  # MOVFM, CONUPK, FADDT
        ("JSR $BBA2 : LDA $FD : LDY $FE : JSR $BA8C : JSR $B853", "-5"),  # FSUBT: ARG - FAC
        ("JSR $BBA2 : LDA $FD : LDY $FE : JSR $BA8C : JSR $BA2B", "14"),  # FMULTT
        ("JSR $BBA2 : LDA $FD : LDY $FE : JSR $BA8C : JSR $BB12", " .285714286"),  # FDIVT: ARG / FAC
        ("JSR $BBA2 : LDA $FD : LDY $FE : JSR $BA8C : JSR $BF7B", " 128"),  # FPWRT: ARG ^ FAC
        ("JSR $BBA2 : JSR $BC0C : JSR $B86A", "14"),  # MOVAF
        ("JSR $BBA2 : JSR $BFB4", "-7"),
        ("JSR $BBA2 : JSR $BFB4 : JSR $BC58", " 7"),
        ("JSR $BBA2 : JSR $BFB4 : JSR $BC39", "-1"),
        ("JSR $BBA2 : JSR $BAE2", " 70"),
        ("JSR $BBA2 : JSR $BAFE", " .7"),
        ("JSR $BBA2 : JSR $BF71 : JSR $BCCC", " 2"),  # INT(SQR(7))
        ("JSR $BBA2 : LDA $FD : LDY $FE : JSR $BC5B : JSR $BC3C", " 1"),  # FCOMP: 7 is above 2
        ("JSR $BBA2 : JSR $BFB4 : JSR $BC2B : JSR $BC3C", "-1"),
        ("JSR $BBA2 : JSR $BBC7 : LDA #$5C : LDY #0 : JSR $B867", " 14"),  # MOV2F
        ("LDA #255 : LDY #254 : JSR $B395", "-2"),  # GIVAYF
        ("JSR $BBA2 : JSR $BC9B : LDY $65 : LDA $64 : JSR $B391", " 7"),  # QINT
    ],
)
def test_compiled_basic_finds_its_floats(source, result):
    assert floats_of(source, "x=7:y=2").strip("| ") == result.strip()


def test_compiled_basic_draws_the_numbers_of_rnd():
    """As RND of the same argument."""
    drawn = floats_of("JSR $BBA2 : JSR $E097", "x=1:y=0")
    assert drawn == printed("10 x=1:y=0:print rnd(x)")


def test_an_error_of_a_float_is_basics():
    code = "LDA $2D : CLC : ADC #2 : LDY $2E : JSR $BBA2 : LDA #0 : STA $61 : JMP $BB12".replace(" : ", "\n")
    result = run(listing(code, first="x=7"))
    assert result.error == "?DIVISION BY ZERO  ERROR IN 20"


def test_machine_code_finds_chrget_and_the_vectors_of_the_floats():
    source = """
        JSR $0079
        STA $FB
        JSR $0073
        STA $FC
        PHP
        PLA
        AND #1
        STA $FD
        JSR $0073
        LDA #0
        LDY #7
        JSR float
        JMP ($0003)
float:  JMP ($0005)
    """
    program = listing(source, "sys 49152, 7:print peek(251);peek(252);peek(253);peek(101)")
    assert printed(program) == " 44  55  0  7 |"
