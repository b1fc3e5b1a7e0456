"""Programs: what they print, what they write, how they end, and how they are run in slices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.basic import run, tokenize
from sidlearn.basic.interpreter import Interpreter
from sidlearn.writes import LogPort

DATA = Path(__file__).resolve().parent.parent / "data" / "basic"
BEHAVIOUR = json.loads((DATA / "behaviour.json").read_text(encoding="utf-8"))["cases"]

TUNE = """
10 s=54272:fori=stos+24:pokei,0:next:pokes+24,15:pokes+5,9
20 forn=1to4:readf:pokes+1,f:pokes+4,17:fort=1to40:next:pokes+4,16:fort=1to20:next:next
30 data 16,18,21,25
"""


def readable(output: bytes) -> str:
    """Return printed bytes in the form of the measured cases."""
    text = ""
    for code in output:
        if code == 13:
            text += "\n"
        elif code in (10, 29):
            text += f"{{${code:02x}}}"
        else:
            text += chr(code).lower()
    return text


@pytest.mark.parametrize("case", BEHAVIOUR, ids=[c["id"] for c in BEHAVIOUR])
def test_program_prints_what_the_machine_prints(case):
    assert readable(run("\n".join(case["lines"]), max_cycles=50_000_000).output) == case["output"]


def printed(program: str, **arguments) -> bytes:
    result = run(program, **arguments)
    assert result.error is None
    return result.output


def test_result_holds_writes_and_the_time_they_took():
    result = run("10 poke 54296,15\n20 poke 54272,7")
    assert result.error is None
    assert result.output == b""
    assert list(zip(result.writes.events["register"], result.writes.events["value"], strict=True)) == [(24, 15), (0, 7)]
    assert result.writes.length == result.cycles > result.writes.events["cycle"][-1]


def test_error_is_the_machines_and_the_writes_before_it_stay():
    result = run("10 poke 54296,15\n20 poke 54272,300\n30 poke 54272,1")
    assert result.error == "?ILLEGAL QUANTITY  ERROR IN 20"
    assert result.output == b"\r?ILLEGAL QUANTITY  ERROR IN 20"
    assert len(result.writes) == 1


def test_stop_is_a_break():
    result = run("10 print1\n20 stop")
    assert result.error == "BREAK IN 20"
    assert result.output.endswith(b"\r\nBREAK IN 20")


def test_syntax_error_comes_after_what_stands_before_it():
    result = run('10 print"a";)\n20 print"b"')
    assert (result.output, result.error) == (b"A\r?SYNTAX  ERROR IN 10", "?SYNTAX  ERROR IN 10")
    assert run("10 a=1/0+)").error == "?DIVISION BY ZERO  ERROR IN 10"


def test_mirrors_of_the_sid_are_the_sid():
    result = run("10 poke 54272+32,9:poke 55295-7,15:poke 54272+29,1")
    assert result.writes.events["register"].tolist() == [0, 24]


def test_peeks_of_readable_registers_ask_the_port_at_their_time():
    asked = []

    class Chip(LogPort):
        def peek(self, cycle, register):
            asked.append((cycle, register))
            return 100 + register

    result = run("10 poke 54296,15:print peek(54299);peek(54300);peek(54296)", sid=Chip())
    assert result.output == b" 127\x1d 128\x1d 0\x1d\r"
    (first, osc3), (second, env3) = asked
    assert (osc3, env3) == (27, 28)
    assert result.writes.events["cycle"][0] < first < second < result.cycles


@pytest.mark.parametrize("video", [None, "pal", "ntsc"])
def test_slices_give_what_one_run_gives(video):
    program = tokenize(TUNE)
    whole = LogPort()
    Interpreter(program, whole, video).run()
    for slice_cycles in (20_000, 777):
        port = LogPort()
        machine = Interpreter(program, port, video)
        until = slice_cycles
        while machine.run(until):
            assert machine.now >= until
            until += slice_cycles
        assert (port.cycles, port.registers, port.values) == (whole.cycles, whole.registers, whole.values)


def test_delay_loop_is_cut_by_a_slice():
    machine = Interpreter(tokenize("10 fort=1to30000:next"))
    for until in range(10_000, 1_000_000, 10_000):
        assert machine.run(until)
        assert until <= machine.now < until + 2_000


def test_max_cycles_ends_an_endless_program():
    for video in (None, "pal"):
        result = run("10 poke 54296,15:goto 10", max_cycles=100_000, video=video)
        assert result.error is None
        assert result.cycles == result.writes.length == 100_000
        assert result.writes.events["cycle"].max() < 100_000


def test_keyboard_interrupt_passes_and_the_program_goes_on():
    class Nervous(LogPort):
        interrupted = False

        def poke(self, cycle, register, value):
            super().poke(cycle, register, value)
            if len(self.cycles) == 30 and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt

    port, calm = Nervous(), LogPort()
    machine = Interpreter(tokenize(TUNE), port)
    with pytest.raises(KeyboardInterrupt):
        machine.run()
    machine.run()
    Interpreter(tokenize(TUNE), calm).run()
    values = list(zip(port.registers, port.values, strict=True))
    del values[30]  # the interrupted statement is run again
    assert values == list(zip(calm.registers, calm.values, strict=True))


def test_trace_has_a_row_a_statement():
    trace = run("10 a=1:b=2\n20 if a then c=3\n30 rem x", trace=True).trace
    assert trace["line"].tolist() == [10, 10, 20, 30]
    assert trace["cycle"][0] == 0
    assert (np.diff(trace["cycle"]) > 0).all()


def test_trace_does_not_change_the_time():
    assert run(TUNE, trace=True).cycles == run(TUNE).cycles


def test_keys_feed_get_and_the_keyboard_buffer():
    assert printed('10 print peek(198):get a$,b$:print a$b$:get c$:print"["c$"]"', keys=b"XY") == b" 2\x1d\rXY\r[]\r"
    assert printed("10 get a$:if a$<>chr$(13) then n=n+1:goto 10\n20 print n", keys=b"A" * 25 + b"\r") == b" 25\x1d\r"
    assert printed("10 wait 198,1:geta:printa", keys=b"7") == b" 7\x1d\r"


def test_a_program_that_waits_for_a_key_for_ever_is_left_waiting():
    for program in ("10 wait 198,1", "10 input a"):
        assert run(program, max_cycles=1_000_000).waiting


def test_input_takes_its_lines_from_a_stream():
    assert printed('10 input"who";a$:print"hi "a$', lines=["bob"]) == b"WHO?\x1dHI BOB\r"
    assert printed("10 input a,b:print a+b", lines=["1,2"]) == b"?\x1d 3\x1d\r"
    assert printed("10 input a,b:print a+b", lines=["1", "2"]) == b"?\x1d??\x1d 3\x1d\r"
    assert printed("10 input a:print a", lines=["x", "5"]) == b"?\x1d?REDO FROM START\r?\x1d 5\x1d\r"
    assert printed("10 input a:print a", lines=["5,6"]) == b"?\x1d?EXTRA IGNORED\r 5\x1d\r"
    assert printed("10 a=4:input a:print a", lines=[""]) == b"?\x1d 4\x1d\r"


def test_pointers_of_the_machine_stand_in_page_0():
    assert printed("10 print peek(43)+256*peek(44);peek(57)+256*peek(58)") == b" 2049\x1d 10\x1d\r"
    vartab = run("10 a=1:print peek(45)+256*peek(46)+7-peek(47)-256*peek(48)").output
    assert vartab == b" 0\x1d\r"


def test_memory_above_a_lowered_top_is_left_alone():
    program = '10 poke 55,0:poke 56,48:clr:a$="x"+"y":print peek(51)+256*peek(52);peek(12286)'
    assert printed(program) == b" 12286\x1d 88\x1d\r"


def test_a_program_may_change_its_own_text():
    listing = "10 print 1\n20 a=a+1:poke 2054,48+a:if a<4 then 10"
    assert printed(listing.replace("2054", "2055")) == b" 1\x1d\r 1\x1d\r 2\x1d\r 3\x1d\r"


def test_data_behind_a_moved_pointer_is_read():
    listing = "10 read a:x=peek(65):y=peek(66):read b:poke 65,x:poke 66,y:read c:print a;b;c\n20 data 1,2,3"
    assert printed(listing) == b" 1\x1d 2\x1d 2\x1d\r"


def test_rom_reads_as_rom_and_writes_go_beneath_it():
    assert printed("10 poke 40960,7:print peek(65534);peek(40960)") == b" 72\x1d 0\x1d\r"


def test_vic_and_colour_memory_answer_like_the_chips():
    assert printed("10 poke 53280,5:print peek(53280)and15;peek(53265)and127:poke 55296,3:print peek(55296)and15") == (
        b" 5\x1d 27\x1d\r 3\x1d\r"
    )


def test_nine_loops_fit_on_the_stack_and_twentythree_subroutines():
    names = "abcdefghijk"
    for loops, error in ((9, None), (10, "?OUT OF MEMORY  ERROR IN 10")):
        opening = ":".join(f"for {v}=1to1" for v in names[:loops])
        result = run(f"10 {opening}:x=1+1\n20 print x")
        assert result.error == error
    for calls, error in ((23, None), (24, "?OUT OF MEMORY  ERROR IN 10")):
        assert run(f"10 n=n+1:if n<={calls} then gosub 10\n20 end").error == error


def test_parentheses_end_with_the_stack():
    assert run("10 a=" + "(" * 9 + "1" + ")" * 9).error is None
    assert run("10 a=" + "(" * 40 + "1" + ")" * 40).error == "?OUT OF MEMORY  ERROR IN 10"


def test_listing_without_spaces_or_with_many_does_the_same():
    spaced = "10 for i = 1 to 3 : poke 54272 + i , i * 2 : next i"
    tight = "10 fori=1to3:poke54272+i,i*2:nexti"
    a, b = run(spaced), run(tight)
    assert a.writes.events["value"].tolist() == b.writes.events["value"].tolist()
    assert a.cycles > b.cycles


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 24), st.integers(0, 255)), min_size=1, max_size=12))
def test_pokes_become_writes_in_their_order(pokes):
    program = "\n".join(f"{10 * n} poke 54272+{r},{v}" for n, (r, v) in enumerate(pokes, 1))
    events = run(program).writes.events
    assert list(zip(events["register"].tolist(), events["value"].tolist(), strict=True)) == pokes
    assert (np.diff(events["cycle"]) > 0).all()


def test_empty_lines_of_the_screen_are_read_until_time_is_over():
    result = run("10 open1,3:input#1,a$", max_cycles=100_000)
    assert 100_000 <= result.cycles < 101_000
