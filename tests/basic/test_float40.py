"""The 40-bit floats: bits and cycles as measured on the machine, laws that hold for all of them, a slow second way."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidlearn.basic import float40
from sidlearn.basic.float40 import OPERATIONS, FloatError, fac_from_int, fac_to_float, pack, unpack
from tests.conftest import DATA
from tests.reference import float40_bytes

VECTORS = json.loads((DATA / "basic" / "float40.json").read_text(encoding="utf-8"))["vectors"]
TIMING = json.loads((DATA / "basic" / "timing.json").read_text(encoding="utf-8"))
PRIMITIVES = TIMING["primitives"]
MANTISSA_BIT = 1 / 2**32


def from_float(value: float) -> float40.Fac:
    """Round a double to the nearest 40-bit float, halves away from zero; what is too small is zero."""
    fraction, exponent = math.frexp(abs(value))
    if exponent <= -128 or not value:
        return float40.ZERO
    return unpack(pack((0xFF if value < 0 else 0, exponent + 128, int(fraction * 2**32), int(fraction * 2**40) & 0xFF)))


ANY_EXPONENT = st.integers(1, 255)
NO_ROUNDING = st.just(0)


def operands(exponents=ANY_EXPONENT, rounding=NO_ROUNDING):
    """Unpacked numbers, their mantissas often with zero or full bytes in them."""
    byte = st.one_of(st.sampled_from([0, 0, 0xFF, 0x80, 1]), st.integers(0, 255))
    mantissas = st.tuples(byte, byte, byte, byte).map(lambda parts: int.from_bytes(bytes(parts), "big") | 0x80000000)
    return st.tuples(st.sampled_from([0, 0xFF]), exponents, mantissas, rounding)


NEAR = st.integers(0x70, 0x92)
ROUNDING = st.one_of(st.sampled_from([0, 0x7F, 0x80, 0xFF]), st.integers(0, 255))


# -- measured ---------------------------------------------------------------------------------------------------------


def measured(op: str):
    return [case for case in VECTORS if case["op"] == op]


@pytest.mark.parametrize("op", sorted(OPERATIONS))
def test_measured_bits_and_cycles(op):
    """Every measured operation gives the machine's bytes in the machine's cycles."""
    cases = measured(op)
    assert cases
    for case in cases:
        if op == "parse":
            result, cycles = OPERATIONS[op](case["text"].encode())
            got = result.hex(), cycles
        elif op == "print":
            text, cycles = OPERATIONS[op](bytes.fromhex(case["a"]))
            got = text.decode(), cycles
        else:
            result, cycles = OPERATIONS[op](*(bytes.fromhex(case[name]) for name in ("a", "b") if name in case))
            got = result.hex(), cycles
        assert got == (case["text"] if op == "print" else case["r"], case["cycles"]), case


def test_measured_random_sequence():
    (case,) = measured("rnd_after_minus_1")
    seed = bytes(5)
    argument = fac_from_int(-1)
    for expected in case["sequence"]:
        fac, seed, _ = float40.frnd(argument, seed)
        assert seed.hex() == expected
        assert pack(fac) == seed
        argument = float40.ONE


def load_cycles(value):
    return float40.MOVFM_CYCLES


def parse_cycles(text):
    return float40.fin(text.upper().encode(), 0)[2]


def conint_cycles(value):
    return float40.conint(from_float(value))[1] + 26  # the measurement ends with CHRGOT on a comma


def chrget_cycles(kind):
    character = {"letter": b"A", "digit": b"1", "colon": b":", "comma": b",", "eol": b"\0", "token": b"\x99"}[kind]
    return float40.chrget(b"x" + character, 0)[2]


def of_float(function):
    return lambda value: function(from_float(value))[1]


def of_two(function):
    return lambda values: function(*map(from_float, values))[1]


PRIMITIVE_CYCLES = {
    "FADD mem+FAC": of_two(float40.fadd),
    "FSUB mem-FAC": of_two(float40.fsub),
    "FMULT mem*FAC": of_two(float40.fmul),
    "FDIV mem/FAC": of_two(float40.fdiv),
    "FCOMP FAC vs mem": of_two(float40.fcomp),
    "QINT": of_float(float40.qint),
    "INT()": of_float(float40.fint),
    "GETADR (POKE/PEEK address)": of_float(float40.getadr),
    "CONINT (byte arg)": conint_cycles,
    "AYINT (AND/OR/% convert)": of_float(float40.ayint),
    "MUL10": of_float(float40.mul10),
    "DIV10": of_float(float40.div10),
    "MOVFM load FAC": load_cycles,
    "MOVMF store FAC": of_float(float40.movmf),
    "SNGFLT byte->FAC": lambda byte: float40.sngflt(byte)[1],
    "GIVAYF int16->FAC": lambda value: float40.givayf(value)[1],
    "FOUT number->text": of_float(float40.fout),
    "FIN text->FAC": parse_cycles,
    "SQR": of_float(float40.fsqr),
    "SIN": of_float(float40.fsin),
    "COS": of_float(float40.fcos),
    "TAN": of_float(float40.ftan),
    "ATN": of_float(float40.fatn),
    "EXP": of_float(float40.fexp),
    "LOG": of_float(float40.flog),
    "RND(1)": lambda value: float40.frnd(from_float(value), bytes.fromhex("804fc75258"))[2],  # seed at power-on
    "CHRGET (JSR excluded, RTS included)": chrget_cycles,
    "CHRGET one space then letter": lambda _: float40.chrget(b"x A", 0)[2],
}


def test_every_measured_primitive_is_covered():
    assert {case["prim"] for case in PRIMITIVES} == set(PRIMITIVE_CYCLES)


@pytest.mark.parametrize("primitive", PRIMITIVE_CYCLES)
def test_measured_primitive_cycles(primitive):
    for case in PRIMITIVES:
        if case["prim"] == primitive:
            assert PRIMITIVE_CYCLES[primitive](case["arg"]) == case["cycles"], case


def test_next_varies_with_the_loop_value_as_measured():
    """NEXT adds the step, stores and compares: the rest of it is the same for every value."""
    limit = fac_from_int(3000)

    def cycles(value):
        total, added = float40.fadd(fac_from_int(value), float40.ONE)
        total, stored = float40.movmf(total)
        return added + stored + float40.fcomp(total, limit)[1]

    measured_next = {int(value): count for value, count in TIMING["next_cost"]["values"].items()}
    # the limit of the measured loops is not told: leave out what reaches its exponent
    rest = {count - cycles(value) for value, count in measured_next.items() if value < 2000}
    assert len(rest) == 1


# -- a slow second way ------------------------------------------------------------------------------------------------


def same_as_slow(fast, slow, arg, fac):
    try:
        expected = slow(arg, fac)
    except float40_bytes.OverflowHappened:
        with pytest.raises(FloatError) as raised:
            fast(arg, fac)
        assert raised.value.code == float40.OVERFLOW
        return
    assert fast(arg, fac) == expected


EXPONENTS = st.one_of(NEAR, st.integers(0, 255))


@settings(max_examples=600)
@given(operands(EXPONENTS), operands(EXPONENTS, ROUNDING))
def test_add_and_subtract_match_bytes_and_instructions(arg, fac):
    same_as_slow(float40.faddt, float40_bytes.add, arg, fac)
    same_as_slow(float40.fsubt, lambda a, b: float40_bytes.add(a, b, subtract=True), arg, fac)


@settings(max_examples=300)
@given(operands(), operands(rounding=ROUNDING), st.integers(-2, 2))
def test_add_close_numbers_matches_bytes_and_instructions(arg, fac, places):
    fac = (fac[0], min(255, max(1, arg[1] + places)), arg[2] ^ fac[2] & 0xFF, fac[3])
    same_as_slow(float40.faddt, float40_bytes.add, arg, fac)
    same_as_slow(float40.fsubt, lambda a, b: float40_bytes.add(a, b, subtract=True), arg, fac)


@settings(max_examples=600)
@given(operands(EXPONENTS), operands(EXPONENTS, ROUNDING))
def test_multiply_matches_bits_and_instructions(arg, fac):
    same_as_slow(float40.fmultt, float40_bytes.multiply, arg, fac)


@settings(max_examples=400)
@given(operands(EXPONENTS), operands(rounding=st.integers(0, 127)))
def test_divide_matches_bits_and_instructions(arg, fac):
    same_as_slow(float40.fdivt, float40_bytes.divide, arg, fac)


def test_exponents_at_the_edge_of_underflow_and_overflow():
    for total in (126, 127, 128, 129, 255, 256, 382, 383, 384):
        for arg_exponent in (1, 100, 128, 200, 255):
            for sign in (0, 0xFF):
                arg = (sign, arg_exponent, 0xC0000000, 0)
                if 1 <= total - arg_exponent <= 255:
                    fac = (0, total - arg_exponent, 0xF0000001, 0x12)
                    same_as_slow(float40.fmultt, float40_bytes.multiply, arg, fac)
                if 1 <= 256 + arg_exponent - total <= 255:
                    fac = (0, 256 + arg_exponent - total, 0xF0000001, 0x12)
                    same_as_slow(float40.fdivt, float40_bytes.divide, arg, fac)


# -- laws -------------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=5, max_size=5))
def test_pack_undoes_unpack(packed):
    assert pack(unpack(packed)) == packed


@given(operands(st.integers(0, 254), ROUNDING))
def test_packing_rounds_to_the_nearest(fac):
    assume(fac[1])
    stored, exact = fac_to_float(unpack(pack(fac))), fac_to_float(fac)
    assert abs(stored - exact) <= 2.0 ** (fac[1] - 161)


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_are_exact(value):
    fac = fac_from_int(value)
    assert fac_to_float(fac) == value
    assert unpack(pack(fac)) == (*fac[:2], fac[2] | 0x80000000, 0)
    if abs(value) < 2**31:
        assert float40.qint(fac)[0] == value


@given(operands(NEAR), operands(NEAR))
def test_addition_commutes_in_value(a, b):
    assert pack(float40.faddt(a, b)[0]) == pack(float40.faddt(b, a)[0])


def no_adjacent_zero_bytes(fac):
    return b"\0\0" not in fac[2].to_bytes(4, "big").rstrip(b"\0") + b"."


@given(operands(NEAR), operands(NEAR))
def test_multiplication_commutes_but_for_its_adjacent_zero_bytes(a, b):
    assume(no_adjacent_zero_bytes(a) and no_adjacent_zero_bytes(b))
    assert pack(float40.fmultt(a, b)[0]) == pack(float40.fmultt(b, a)[0])


def test_adjacent_zero_bytes_lose_a_bit():
    """The known fault of the C64's multiplication: a * b is not b * a."""
    a, b = unpack(bytes.fromhex("81400000ff")), unpack(bytes.fromhex("817fffffff"))
    assert pack(float40.fmultt(a, b)[0]) != pack(float40.fmultt(b, a)[0])


@given(operands(NEAR), operands(NEAR))
def test_the_four_operations_are_close_to_doubles(a, b):
    x, y = fac_to_float(a), fac_to_float(b)
    for function, exact in (
        (float40.fadd, x + y),
        (float40.fsub, x - y),
        (float40.fdiv, x / y),
    ):
        result = fac_to_float(function(a, b)[0])
        assert abs(result - exact) <= max(abs(x), abs(y), abs(exact)) * MANTISSA_BIT
    # a lost bit (see above) may cost up to half of the multiplier's low bytes
    assert fac_to_float(float40.fmul(a, b)[0]) == pytest.approx(x * y, rel=2**-16)


@given(operands(NEAR, ROUNDING))
def test_int_floors(fac):
    assert fac_to_float(float40.fint(fac)[0]) == math.floor(fac_to_float(fac))


@given(operands(st.integers(0x60, 0xA8)), operands(st.integers(0x60, 0xA8)))
def test_comparison_orders_as_values_do(fac, mem):
    x, y = fac_to_float(fac), fac_to_float(mem)
    assert float40.fcomp(fac, mem)[0] == (x > y) - (x < y)
    assert float40.fcomp(mem, mem)[0] == 0


@given(st.integers(-32768, 32767))
def test_sixteen_bit_integers_come_back(value):
    fac, _ = float40.givayf(value)
    assert float40.ayint(fac)[0] == value
    if value >= 0:
        assert float40.getadr(fac)[0] == value


@given(st.floats(1e-3, 85))
def test_logarithm_undoes_exponential(x):
    fac = from_float(x)
    again = fac_to_float(float40.flog(float40.fexp(fac)[0])[0])
    assert again == pytest.approx(fac_to_float(fac), rel=1e-6, abs=1e-6)


@given(st.floats(-50, 50))
def test_functions_are_close_to_libm(x):
    """Within a part in a million: most are within 3E-10, but products with a lost bit reach 3E-7."""
    fac = from_float(x)
    x = fac_to_float(fac)
    assert fac_to_float(float40.fsin(fac)[0]) == pytest.approx(math.sin(x), abs=1e-6)
    assert fac_to_float(float40.fcos(fac)[0]) == pytest.approx(math.cos(x), abs=1e-6)
    assert fac_to_float(float40.fatn(fac)[0]) == pytest.approx(math.atan(x), rel=1e-6)
    assert fac_to_float(float40.fsqr(float40.fabs(fac)[0])[0]) == pytest.approx(math.sqrt(abs(x)), rel=1e-6)
    if abs(math.cos(x)) > 0.01:
        assert fac_to_float(float40.ftan(fac)[0]) == pytest.approx(math.tan(x), rel=1e-4, abs=1e-6)


@given(operands(st.integers(0x62, 0x9F)))
def test_printed_numbers_parse_back_within_nine_digits(fac):
    assume(no_adjacent_zero_bytes(fac))  # printing multiplies small numbers by 10^9
    text, _ = float40.fout(fac)
    again, position, _ = float40.fin(text.lstrip(b" "), 0)
    assert position == len(text.lstrip(b" "))
    # half of the ninth digit, and what up to 20 divisions by ten add
    assert fac_to_float(again) == pytest.approx(fac_to_float(fac), rel=1.2e-8)


@given(st.integers(-999999999, 999999999))
def test_integers_print_as_their_digits(value):
    text, _ = float40.fout(fac_from_int(value))
    assert text == f"{value: d}".encode()
    assert fac_to_float(float40.fin(text.lstrip(b" "), 0)[0]) == value


# -- text, errors, edges ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "position"),
    [
        (b"12 34", 1234, 5),
        (b".", 0, 1),
        (b"1E", 1, 2),
        (b"1E\xab2:", 0.01, 4),
        (b"1E\xaa2", 100, 4),
        (b"1.2.3", 1.2, 3),
        (b"5,6", 5, 1),
        (b"+7", 7, 2),
        (b"1E-60", 0, 5),
        (b"A", 0, 0),
    ],
)
def test_number_text(text, value, position):
    fac, found, _ = float40.fin(text, 0)
    assert found == position
    assert fac_to_float(fac) == pytest.approx(value, rel=1e-9)


def test_a_blank_in_a_number_costs_21_cycles():
    assert float40.fin(b"12  34", 0)[2] - float40.fin(b"1234", 0)[2] == 42


def test_text_that_runs_into_the_next_page_costs_four_cycles_more():
    memory = bytearray(0x300)
    memory[0x1FE:0x203] = b"54272"
    assert float40.fin(memory, 0x1FE)[2] == float40.fin(b"54272", 0)[2] + 4


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: float40.fdiv(float40.ONE, float40.ZERO), 20),
        (lambda: float40.fmul((0, 0xFF, 0xFFFFFFFF, 0), (0, 0xFF, 0xFFFFFFFF, 0)), 15),
        (lambda: float40.fadd((0, 0xFF, 0xFFFFFFFF, 0), (0, 0xFF, 0xFFFFFFFF, 0)), 15),
        (lambda: float40.mul10((0, 0xFD, 0x80000000, 0)), 15),
        (lambda: float40.fin(b"1E39", 0), 15),
        (lambda: float40.fin(b"1E100", 0), 15),
        (lambda: float40.fexp(from_float(88.1)), 15),
        (lambda: float40.fpow(float40.TEN, fac_from_int(39)), 15),
        (lambda: float40.flog(float40.ZERO), 14),
        (lambda: float40.fsqr(fac_from_int(-1)), 14),
        (lambda: float40.fpow(fac_from_int(-2), float40.HALF), 14),
        (lambda: float40.ayint(fac_from_int(32768)), 14),
        (lambda: float40.ayint(fac_from_int(-32769)), 14),
        (lambda: float40.getadr(fac_from_int(65536)), 14),
        (lambda: float40.getadr(fac_from_int(-1)), 14),
        (lambda: float40.conint(fac_from_int(256)), 14),
    ],
)
def test_errors_carry_the_number_of_their_message(call, code):
    with pytest.raises(FloatError) as raised:
        call()
    assert raised.value.code == code
    assert f"(error {code})" in str(raised.value)


def test_known_oddities_of_the_arithmetic():
    """Facts that listings count on (C64 folklore, checked on the machine)."""

    def value(text):
        return float40.fin(text, 0)[0]

    seven_squared, _ = float40.fpow(fac_from_int(7), fac_from_int(2))
    assert float40.fout(seven_squared)[0] == b" 49.0000001"
    product, _ = float40.fmultt(value(b"4.35"), value(b"100"))
    assert float40.fint(product)[0] == float40.fint(fac_from_int(434))[0]
    assert float40.fout(float40.fsin(float40.PI)[0])[0] == b" 7.3145904E-10"
    assert float40.fout(float40.fpow(fac_from_int(-2), fac_from_int(3))[0])[0] == b"-8"
    tenth, _ = float40.round_fac(value(b".1"))
    total, _ = float40.round_fac(float40.faddt(tenth, value(b".2"))[0])
    assert float40.fcomp(value(b".3"), total)[0] == 0


@pytest.mark.parametrize(("limit", "step", "rounds"), [(b"1", b".1", 10), (b"10", b".1", 100), (b"2", b".01", 101)])
def test_broken_steps_run_as_often_as_on_the_machine(limit, step, rounds):
    value = float40.ONE if limit == b"2" else float40.ZERO
    last, step = (float40.round_fac(float40.fin(text, 0)[0])[0] for text in (limit, step))
    count = 0
    while True:
        count += 1
        value, _ = float40.movmf(float40.fadd(value, step)[0])
        if float40.fcomp(value, last)[0] > 0:
            break
    assert count == rounds


def test_random_from_the_clocks_orders_their_bytes():
    """RND(0): $DC04 and $DC09 outermost, $DC08 before $DC05."""
    fac, seed, _ = float40.frnd(float40.ZERO, bytes(5), bytes([0xA1, 0xB2, 0xC3, 0xD4]))
    assert fac[2] == 0xA1C3B2D4
    assert seed == bytes.fromhex("8021c3b2d4")


def test_qint_refuses_what_the_machine_never_asks():
    with pytest.raises(ValueError, match="exponent 160"):
        float40.qint((0, 160, 0x80000000, 0))
