"""Variables, arrays and strings in memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.basic import float40, run, tokenize
from sidlearn.basic.interpreter import Interpreter
from sidlearn.basic.memory import ARYTAB, FRETOP, STREND, VARTAB


def machine_after(program: str) -> Interpreter:
    machine = Interpreter(tokenize(program))
    machine.run()
    assert machine.error is None, machine.error
    return machine


def test_simple_variables_are_seven_bytes_in_the_order_of_their_creation():
    machine = machine_after('10 a=1:b%=-2:c$="xyz":de=.5')
    start, end = machine.memory.word(VARTAB), machine.memory.word(ARYTAB)
    assert end - start == 4 * 7
    rows = [bytes(machine.ram[at : at + 7]) for at in range(start, end, 7)]
    assert rows[0] == b"A\0" + float40.pack(float40.fac_from_int(1))
    assert rows[1] == bytes((0xC2, 0x80, 0xFF, 0xFE, 0, 0, 0))
    assert rows[2][:3] == bytes((0x43, 0x80, 3))
    assert machine.ram[rows[2][3] | rows[2][4] << 8] == ord("X")
    assert rows[3][:2] == b"DE"


def test_only_two_letters_count():
    assert run("10 sound=1:so=2:print sound").output == b" 2\x1d\r"


def test_reading_a_variable_does_not_create_it():
    machine = machine_after("10 print a;b%;c$")
    assert machine.memory.word(VARTAB) == machine.memory.word(ARYTAB)


def test_arrays_lie_behind_the_variables_last_dimension_first():
    machine = machine_after("10 dim a%(2,3):a%(1,0)=258")
    at = machine.memory.word(ARYTAB)
    header = bytes(machine.ram[at : at + 9])
    assert header[:2] == bytes((0xC1, 0x80))
    assert header[2] | header[3] << 8 == machine.memory.word(STREND) - at == 9 + 2 * 12
    assert header[4:] == bytes((2, 0, 4, 0, 3))
    assert machine.ram[at + 9 + 2 : at + 9 + 4] == bytes((1, 2))


def test_a_late_variable_moves_the_arrays():
    machine = machine_after("10 dim q(3):q(2)=7:x=1:print q(2)")
    assert machine.screen.output == b" 7\x1d\r"
    assert machine.memory.word(ARYTAB) - machine.memory.word(VARTAB) == 7


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 3)), st.integers(-99, 99), max_size=8))
def test_array_elements_keep_apart(elements):
    stores = ":".join(f"m({a},{b})={v}" for (a, b), v in elements.items()) or "x=0"
    program = f"10 dim m(4,3):{stores}\n20 fora=0to4:forb=0to3:printm(a,b):next:next"
    got = [int(v) for v in run(program).output.replace(b"\x1d", b"").split()]
    assert got == [elements.get((a, b), 0) for a in range(5) for b in range(4)]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("dim a(1):dim a(1)", "REDIM'D ARRAY"), ("a(1)=1:dim a(5)", "REDIM'D ARRAY"),
        ("dim a(2):a(3)=1", "BAD SUBSCRIPT"), ("dim a(2):a(1,1)=1", "BAD SUBSCRIPT"),
        ("dim a(9000)", "OUT OF MEMORY"), ("dim a(200,200)", "OUT OF MEMORY"),
        ("a%=32768", "ILLEGAL QUANTITY"), ("ti=5", "SYNTAX"), ("st=5", "SYNTAX"), ('ti$="12345"', "ILLEGAL QUANTITY"),
    ],
)  # fmt: skip
def test_mistakes_with_variables(statement, error):
    assert run(f"10 {statement}").error == f"?{error}  ERROR IN 10"


def test_a_string_in_the_text_is_not_copied_and_a_made_one_is():
    machine = machine_after('10 a$="lit":b$=a$:c$=a$+"x":d$=c$')
    at = machine.memory.word(VARTAB)
    a, b, c, d = (machine.memory.word(at + 7 * n + 3) for n in range(4))
    assert a == b < at
    assert c != d
    assert bytes(machine.ram[c : c + 4]) == bytes(machine.ram[d : d + 4]) == b"LITX"
    assert machine.memory.word(FRETOP) == 0xA000 - 8


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.text("abcdef", max_size=9)), max_size=25))
def test_garbage_collection_keeps_every_live_string(assignments):
    """Whatever was assigned last is still there after the heap has been swept, which holds nothing else then."""
    live: dict[int, str] = {}
    lines = ["5 dim s$(5)"]
    for n, (slot, value) in enumerate(assignments):
        lines.append(f'{10 + n} s$({slot})="{value}"+""')
        live[slot] = value
    machine = machine_after("\n".join([*lines, "900 x=fre(0)", "910 fori=0to5:prints$(i):next"]))
    assert bytes(machine.screen.output).split(b"\r")[:6] == [live.get(i, "").upper().encode() for i in range(6)]
    assert machine.memory.word(FRETOP) == 0xA000 - sum(map(len, live.values()))


def test_a_full_heap_is_swept_by_itself():
    result = run('10 poke 55,0:poke 56,10:clr\n20 fori=1to200:a$=str$(i)+"abc":next:print a$')
    assert result.error is None
    assert result.output == b" 200ABC\r"


def test_a_heap_that_stays_full_is_out_of_memory():
    result = run('10 poke 55,0:poke 56,11:clr:dim a$(90)\n20 fori=0to90:a$(i)=str$(i)+"abcdefgh":next')
    assert result.error == "?OUT OF MEMORY  ERROR IN 20"


def test_clr_forgets_everything():
    assert run('10 a=1:a$="x":dim b(3):clr:dim b(3):print a;a$;fre(0)').error is None
