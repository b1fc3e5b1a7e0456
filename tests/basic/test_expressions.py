"""Expressions against Python's own arithmetic and strings, where the two must agree."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.basic import float40, run

SMALL = st.integers(-999, 999)


def number(expression: str, before: str = "") -> float:
    """Return the number that BASIC prints for an expression."""
    result = run(f"10 {before}print {expression}")
    assert result.error is None, result.error
    return float(result.output.replace(b"\x1d", b"").strip())


def text(expression: str, before: str = "") -> bytes:
    """Return the string that BASIC prints for an expression."""
    result = run(f'10 {before}print"["{expression}"]"')
    assert result.error is None, result.error
    return result.output[1:-2]


@st.composite
def integer_expressions(draw, depth=3):
    """Return an expression of whole numbers in BASIC's form and in Python's."""
    if depth == 0 or draw(st.booleans()):
        n = draw(st.integers(0, 50))
        return str(n), str(n)
    kind = draw(st.sampled_from(["+", "-", "*", "(", "neg"]))
    a, pa = draw(integer_expressions(depth - 1))
    if kind == "(":
        return f"({a})", f"({pa})"
    if kind == "neg":
        return f"-({a})", f"(-({pa}))"
    b, pb = draw(integer_expressions(depth - 1))
    return f"{a}{kind}{b}", f"{pa}{kind}{pb}"


@settings(max_examples=150, deadline=None)
@given(integer_expressions())
def test_whole_numbers_are_calculated_as_in_python(pair):
    basic, python = pair
    expected = eval(python.replace("--", "- -"))
    if abs(expected) < 10**9:
        assert number(basic) == expected


@settings(max_examples=60, deadline=None)
@given(SMALL, SMALL)
def test_comparisons_are_minus_one_or_zero(a, b):
    truth = {"<": a < b, "<=": a <= b, "=<": a <= b, "=": a == b, "<>": a != b, ">": a > b}
    for operator, expected in truth.items():
        assert number(f"({a}){operator}({b})") == -int(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(-32768, 32767), st.integers(-32768, 32767))
def test_and_or_not_work_on_16_bits(a, b):
    assert number(f"({a})and({b})") == a & b
    assert number(f"({a})or({b})") == a | b
    assert number(f"not({a})") == ~a


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2^3^2", 64), ("-2^2", -4), ("2+3*4", 14), ("not1=1", 0), ("1<2=2", 0), ("5 and 3 or 8", 9), ("2*-3", -6),
        ("int(-2.5)", -3), ("int(2.5)", 2), ("sgn(-9)", -1), ("abs(-9)", 9), ("1 2 3", 123), (".", 0), ("1e3", 1000),
        ("--5", 5), ("+5", 5), ("(((7)))", 7), ("val(\"12abc\")", 12), ("len(\"abc\")", 3), ("asc(\"a\")", 65),
    ],
)  # fmt: skip
def test_precedence_and_forms(expression, expected):
    assert number(expression) == expected


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 50), st.sampled_from(["sin", "cos", "exp", "log", "sqr", "atn"]))
def test_functions_agree_with_mathematics(x, name):
    x = float(f"{x:.6g}")
    expected = {"sqr": math.sqrt, "atn": math.atan}.get(name, getattr(math, name, None))(x)
    assert number(f"{name}({x})") == pytest.approx(expected, rel=2e-8, abs=2e-8)


WORDS = st.text("abcdxyz 019", max_size=12)


@settings(max_examples=80, deadline=None)
@given(WORDS, WORDS, st.integers(0, 14), st.integers(1, 14), st.integers(0, 14))
def test_strings_are_cut_and_joined_as_in_python(a, b, n, start, length):
    before = f'a$="{a}":b$="{b}":'
    joined = (a + b).upper()
    assert text("a$+b$", before) == joined.encode()
    assert text(f"left$(a$+b$,{n})", before) == joined[:n].encode()
    assert text(f"right$(a$+b$,{n})", before) == (joined[-n:] if n else "").encode()
    assert text(f"mid$(a$+b$,{start},{length})", before) == joined[start - 1 : start - 1 + length].encode()
    assert number("len(a$+b$)", before) == len(joined)
    assert number("a$<b$", before) == -int(a < b)
    assert number("a$=b$", before) == -int(a == b)


@settings(max_examples=50, deadline=None)
@given(st.integers(-99_999_999, 99_999_999), st.integers(-4, 4))
def test_a_number_survives_str_and_val(mantissa, exponent):
    x = f"{mantissa}e{exponent}"
    assert number(f"val(str$({x}))=({x})") == -1


def test_values_are_exact_in_every_bit():
    parse = float40.OPERATIONS["parse"]
    expected, _ = float40.OPERATIONS["add"](parse(b".1")[0], parse(b".2")[0])
    program = "10 x=.1+.2:p=peek(45)+256*peek(46)+2:fori=0to4:printpeek(p+i):next"
    assert [int(b) for b in run(program).output.replace(b"\x1d", b"").split()] == list(expected)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ('a=1+"x"', "TYPE MISMATCH"), ('a$="x"+1', "TYPE MISMATCH"), ("a=asc(\"\")", "ILLEGAL QUANTITY"),
        ("a=1/0", "DIVISION BY ZERO"), ("a=sqr(-1)", "ILLEGAL QUANTITY"), ("a=log(0)", "ILLEGAL QUANTITY"),
        ("a=1e38*10", "OVERFLOW"), ("a=54272and255", "ILLEGAL QUANTITY"), ("a=fnx(1)", "UNDEF'D FUNCTION"),
        ('a$=left$("a",-1)', "ILLEGAL QUANTITY"), ('a$=mid$("a",0)', "ILLEGAL QUANTITY"), ("a=(1", "SYNTAX"),
        ("a=1+", "SYNTAX"), ("a=>1", "SYNTAX"), ("a=1==1", "SYNTAX"), ("a=usr(1)", "ILLEGAL QUANTITY"),
        ('a$="a"+("b"+("c"+("d"+"e")))', "FORMULA TOO COMPLEX"), ("a(-1)=1", "ILLEGAL QUANTITY"),
        ("a(11)=1", "BAD SUBSCRIPT"), ("a$=chr$(256)", "ILLEGAL QUANTITY"),
    ],
)  # fmt: skip
def test_mistakes_are_named_as_on_the_machine(statement, error):
    assert run(f"10 {statement}").error == f"?{error}  ERROR IN 10"


def test_a_user_function_leaves_its_argument_variable_alone():
    assert run("10 def fna(x)=x*x+y:y=1:x=5:print fna(3);x").output == b" 10\x1d 5\x1d\r"


def test_random_numbers_follow_the_machines_sequence():
    assert run("10 x=rnd(-1):print rnd(1):print rnd(1):print rnd(1)").output.replace(b"\x1d", b"").split() == [
        b".328780872", b".978964086", b".895758909",
    ]  # fmt: skip


def test_ti_and_ti_string_count_on():
    result = run('10 ti$="010203":fori=1to1000:next:print ti$;ti', video="pal")
    assert result.output.startswith(b"010204")
    jiffies = int(result.output.split(b"\x1d")[0].split()[1])
    assert jiffies == pytest.approx(3723 * 60 + result.cycles / 16_422, abs=3)
