"""40-bit sum, difference, product and quotient, one byte, one bit and one instruction at a time.

The steps are those of Microsoft's BASIC-M6502 (1978, MIT licence) as a 6510 runs them: the numbers are bytes, carries
travel from byte to byte, and every instruction adds its own cycles (MOS MCS6500 hardware manual). Nothing is summed up
in closed form, so that the package's formulas have something to agree with.
"""

from __future__ import annotations

IMPLIED = IMMEDIATE = PASSED = 2  # PASSED: a branch not taken
ZERO_PAGE = TAKEN = JUMP = 3
ZERO_PAGE_X = ABSOLUTE_Y = ABSOLUTE = PULL = 4
INDIRECT_Y = SHIFT = 5  # SHIFT: also INC and DEC in the zero page
SHIFT_X = CALL = RETURN = 6
PUSH = 3
PAGE = 1  # a taken branch into another page

FAC, ARG = "fac", "arg"


class OverflowHappened(Exception):
    """The exponent left its byte."""


class Machine:
    """FAC and ARG as bytes, most significant first; the 40 bits of FAC end in its rounding byte."""

    def __init__(self, arg: tuple[int, int, int, int], fac: tuple[int, int, int, int]) -> None:
        self.cycles = 0
        self.sign = {FAC: fac[0], ARG: arg[0]}
        self.exponent = {FAC: fac[1], ARG: arg[1]}
        self.bytes = {FAC: list(fac[2].to_bytes(4, "big")), ARG: list(arg[2].to_bytes(4, "big"))}
        self.rounding = fac[3]

    def spend(self, *costs: int) -> None:
        self.cycles += sum(costs)

    def result(self) -> tuple[tuple[int, int, int, int], int]:
        mantissa = int.from_bytes(bytes(self.bytes[FAC]), "big")
        return (self.sign[FAC], self.exponent[FAC], mantissa, self.rounding), self.cycles

    def shift_right(self, digits: list[int], tail: int) -> int:
        """Shift four bytes and a fifth right by one place, a zero entering; returns the fifth."""
        carry = 0
        for place in range(4):
            digits[place], carry = digits[place] >> 1 | carry << 7, digits[place] & 1
        return tail >> 1 | carry << 7

    def shift_left(self, digits: list[int]) -> int:
        """Shift bytes left by one place; returns the bit that left."""
        carry = 0
        for place in reversed(range(len(digits))):
            digits[place], carry = digits[place] << 1 & 0xFF | carry, digits[place] >> 7
        return carry

    def add_bytes(self, left: list[int], right: list[int], carry: int) -> tuple[list[int], int]:
        total = [0] * len(left)
        for place in reversed(range(len(left))):
            value = left[place] + right[place] + carry
            total[place], carry = value & 0xFF, value >> 8
        return total, carry


def add(arg, fac, subtract=False):
    """Arg + fac, or arg - fac, both unpacked (FADDT, FSUBT)."""
    m = Machine(arg, fac)
    if subtract:
        m.sign[FAC] ^= 0xFF
        m.spend(ZERO_PAGE, IMMEDIATE, ZERO_PAGE, ZERO_PAGE, ZERO_PAGE, ZERO_PAGE, JUMP)
    alike = m.sign[ARG] == m.sign[FAC]
    if not m.exponent[FAC]:
        m.spend(PASSED, JUMP, ZERO_PAGE, ZERO_PAGE, IMMEDIATE)
        for byte in range(5):
            m.spend(ZERO_PAGE_X, ZERO_PAGE_X, IMPLIED, TAKEN if byte < 4 else PASSED)
        m.spend(ZERO_PAGE, RETURN)
        return (arg[0], arg[1], arg[2], 0), m.cycles
    m.spend(TAKEN, ZERO_PAGE, ZERO_PAGE, IMMEDIATE, ZERO_PAGE, IMPLIED)
    if not m.exponent[ARG]:
        m.spend(TAKEN, RETURN)
        return m.result()
    m.spend(PASSED, IMPLIED, ZERO_PAGE)
    kept, shifted = m.rounding, ARG
    places = m.exponent[ARG] - m.exponent[FAC]
    tail, carry = 0, 1
    if not places:
        m.spend(TAKEN)
    else:
        m.spend(PASSED)
        if places > 0:
            m.spend(
                PASSED, ZERO_PAGE, ZERO_PAGE, ZERO_PAGE, IMMEDIATE, IMMEDIATE, IMMEDIATE, ZERO_PAGE, IMMEDIATE, TAKEN
            )
            m.exponent[FAC], m.sign[FAC] = m.exponent[ARG], m.sign[ARG]
            shifted, kept, tail = FAC, 0, m.rounding
        else:
            m.spend(TAKEN, IMMEDIATE, ZERO_PAGE)
        tail, carry = _align(m, m.bytes[shifted], tail, abs(places)), 0
    m.spend(ZERO_PAGE)
    if alike:
        return _add_mantissas(m, tail, kept, carry)
    return _subtract_mantissas(m, shifted, tail, kept)


def _align(m: Machine, digits: list[int], tail: int, places: int) -> int:
    """Shift `digits` right by `places`; returns the rounding byte of what was shifted out."""
    m.spend(IMMEDIATE)
    count = -places & 0xFF
    if count - 0xF9 & 0x80:  # the sign of a comparison, not its carry: past 135 places it says "few"
        m.spend(TAKEN, CALL)
        carry = 0
        while True:
            count += 8 + carry
            carry, count = count >> 8, count & 0xFF
            m.spend(IMMEDIATE)
            if count & 0x80:
                m.spend(TAKEN)
            else:
                m.spend(PASSED)
                if count:
                    m.spend(PASSED)
                    break
                m.spend(TAKEN)
            tail = digits.pop()
            digits.insert(0, 0)
            m.spend(*[ZERO_PAGE_X, ZERO_PAGE], *[ZERO_PAGE_X, ZERO_PAGE_X] * 3, ZERO_PAGE, ZERO_PAGE_X)
        count = count - 8 - (1 - carry)
        m.spend(IMMEDIATE, IMPLIED, ZERO_PAGE)
        if count >= 0:
            m.spend(TAKEN)
        else:
            m.spend(PASSED)
            for left in reversed(range(-count)):
                m.spend(SHIFT_X, TAKEN, SHIFT_X, SHIFT_X)
                tail = m.shift_right(digits, tail)
                m.spend(SHIFT_X, SHIFT_X, SHIFT_X, IMPLIED, IMPLIED, TAKEN if left else PASSED)
        m.spend(IMPLIED, RETURN, TAKEN)
        return tail
    m.spend(PASSED, IMPLIED, ZERO_PAGE, SHIFT_X, CALL)
    for step in range(places):
        if step:
            m.spend(SHIFT_X, TAKEN, SHIFT_X, SHIFT_X)
        tail = m.shift_right(digits, tail)
        m.spend(SHIFT_X, SHIFT_X, SHIFT_X, IMPLIED, IMPLIED, TAKEN if step < places - 1 else PASSED)
    m.spend(IMPLIED, RETURN)
    return tail


def _add_mantissas(m: Machine, tail: int, kept: int, carry: int):
    m.spend(TAKEN, ZERO_PAGE, ZERO_PAGE)
    total, carry = m.add_bytes([*m.bytes[FAC], kept], [*m.bytes[ARG], tail], carry)
    m.spend(*[ZERO_PAGE, ZERO_PAGE, ZERO_PAGE] * 4, JUMP)
    if not carry:
        m.spend(TAKEN, RETURN)
    else:
        m.spend(PASSED, SHIFT)
        m.exponent[FAC] += 1
        if m.exponent[FAC] > 255:
            raise OverflowHappened
        digits = total[:4]
        tail = m.shift_right(digits, total[4])
        digits[0] |= 0x80
        total = [*digits, tail]
        m.spend(PASSED, *[SHIFT] * 5, RETURN)
    m.bytes[FAC], m.rounding = total[:4], total[4]
    return m.result()


def _subtract_mantissas(m: Machine, shifted: str, tail: int, kept: int):
    m.spend(PASSED, IMMEDIATE, IMMEDIATE)
    if shifted == ARG:
        m.spend(TAKEN)
        larger, smaller = [*m.bytes[FAC], kept], [*m.bytes[ARG], tail]
    else:
        m.spend(PASSED, IMMEDIATE)
        larger, smaller = [*m.bytes[ARG], kept], [*m.bytes[FAC], tail]
    m.spend(IMPLIED, IMMEDIATE, ZERO_PAGE, ZERO_PAGE, *[ABSOLUTE_Y, ZERO_PAGE_X, ZERO_PAGE] * 4)
    total, carry = m.add_bytes(larger, [byte ^ 0xFF for byte in smaller], 1)
    if carry:
        m.spend(TAKEN)
    else:
        m.spend(PASSED, CALL)
        m.sign[FAC] ^= 0xFF
        total, _ = m.add_bytes([byte ^ 0xFF for byte in total], [0, 0, 0, 0, 1], 0)
        m.spend(*[ZERO_PAGE, IMMEDIATE, ZERO_PAGE] * 6, SHIFT)
        for byte in (4, 3, 2, 1):
            if total[byte]:
                m.spend(TAKEN)
                break
            m.spend(PASSED, SHIFT)
        m.spend(RETURN)
    return _normalize(m, total)


def _normalize(m: Machine, digits: list[int]):
    """Bring the top bit up, by bytes, then by bits."""
    m.spend(IMMEDIATE, IMPLIED, IMPLIED)
    places = 0
    while True:
        m.spend(ZERO_PAGE)
        if digits[0]:
            break
        m.spend(PASSED, *[ZERO_PAGE, ZERO_PAGE] * 4, ZERO_PAGE, IMMEDIATE, IMMEDIATE)
        digits = [*digits[1:], 0]
        places += 8
        if places == 32:
            m.spend(PASSED)
            return _zero(m, digits)
        m.spend(TAKEN)
    m.spend(TAKEN + PAGE)
    while not digits[0] & 0x80:
        m.spend(TAKEN, IMMEDIATE, *[SHIFT] * 5)
        m.shift_left(digits)
        places += 1
    m.spend(PASSED, IMPLIED, ZERO_PAGE)
    if places >= m.exponent[FAC]:
        m.spend(TAKEN + PAGE)
        return _zero(m, digits)
    m.spend(PASSED, IMMEDIATE, IMMEDIATE, ZERO_PAGE, TAKEN, RETURN)
    m.exponent[FAC] -= places
    m.bytes[FAC], m.rounding = digits[:4], digits[4]
    return m.result()


def _zero(m: Machine, digits: list[int]):
    m.spend(IMMEDIATE, ZERO_PAGE, ZERO_PAGE, RETURN)
    m.exponent[FAC], m.sign[FAC] = 0, 0
    m.bytes[FAC], m.rounding = digits[:4], digits[4]
    return m.result()


def _underflow(m: Machine):
    m.spend(TAKEN, PULL, PULL, JUMP)
    return _zero(m, [*m.bytes[FAC], m.rounding])


def _add_exponents(m: Machine, exponent: int) -> tuple[bool, int]:
    """MULDIV. Returns whether the result is settled already, as too small, and the carry."""
    m.spend(ZERO_PAGE)
    if not m.exponent[ARG]:
        return True, 0
    m.spend(PASSED, IMPLIED, ZERO_PAGE)
    total = m.exponent[ARG] + exponent
    if total < 256:
        m.spend(TAKEN)
        if total < 128:
            return True, 0
        m.spend(PASSED)
    else:
        m.spend(PASSED)
        if total >= 384:
            raise OverflowHappened
        m.spend(PASSED, IMPLIED, ABSOLUTE)
    m.spend(IMMEDIATE, ZERO_PAGE)
    m.exponent[FAC] = total - 128
    if total == 128:
        m.spend(PASSED, JUMP, ZERO_PAGE, RETURN)
        m.sign[FAC] = 0
    else:
        m.spend(TAKEN, ZERO_PAGE, ZERO_PAGE, RETURN)
        m.sign[FAC] ^= m.sign[ARG]
    return False, int(total < 256)


def multiply(arg, fac):
    """Arg * fac, both unpacked (FMULTT)."""
    m = Machine(arg, fac)
    if not m.exponent[FAC]:
        m.spend(PASSED, JUMP, RETURN)
        return m.result()
    m.spend(TAKEN, CALL)
    settled, carry = _add_exponents(m, m.exponent[FAC])
    if settled:
        return _underflow(m)
    m.spend(IMMEDIATE, *[ZERO_PAGE] * 4)
    product, tail = [0, 0, 0, 0], m.rounding
    for place, byte in enumerate((m.rounding, *reversed(m.bytes[FAC]))):
        m.spend(ZERO_PAGE, CALL)
        if place < 4:
            if not byte:
                m.spend(PASSED, JUMP, IMMEDIATE)
                tail = product.pop()
                product.insert(0, 0)
                m.spend(ZERO_PAGE_X, ZERO_PAGE, *[ZERO_PAGE_X, ZERO_PAGE_X] * 3, ZERO_PAGE, ZERO_PAGE_X)
                m.spend(IMMEDIATE, PASSED, PASSED, IMMEDIATE, IMPLIED, ZERO_PAGE)
                if carry:
                    m.spend(TAKEN)
                else:  # one place too far, and the bit shifted out is dropped
                    m.spend(PASSED, SHIFT_X, TAKEN, SHIFT_X, SHIFT_X, SHIFT_X, SHIFT_X, SHIFT_X)
                    m.shift_right(product, 0)
                    m.spend(IMPLIED, IMPLIED, PASSED)
                m.spend(IMPLIED, RETURN)
                carry = 0
                continue
            m.spend(TAKEN)
        m.spend(IMPLIED, IMMEDIATE)
        for bit in range(8):
            m.spend(IMPLIED)
            carry = 0
            if byte >> bit & 1:
                m.spend(PASSED, IMPLIED, *[ZERO_PAGE, ZERO_PAGE, ZERO_PAGE] * 4)
                product, carry = m.add_bytes(product, m.bytes[ARG], 0)
            else:
                m.spend(TAKEN)
            tail = m.shift_right(product, tail)
            product[0] |= carry << 7
            m.spend(*[SHIFT] * 5, IMPLIED, IMPLIED, TAKEN if bit < 7 else PASSED)
        m.spend(RETURN)
        carry = 1
    m.spend(JUMP, *[ZERO_PAGE, ZERO_PAGE] * 4, JUMP)
    return _normalize(m, [*product, tail])


def divide(arg, fac):
    """Arg / fac, both unpacked (FDIVT), for a divisor that is not zero and needs no rounding."""
    m = Machine(arg, fac)
    m.spend(PASSED, CALL)
    m.spend(ZERO_PAGE, PASSED, SHIFT, TAKEN, RETURN)  # ROUND
    m.rounding = m.rounding << 1 & 0xFF
    m.spend(IMMEDIATE, IMPLIED, ZERO_PAGE, ZERO_PAGE, CALL)
    settled, _ = _add_exponents(m, 256 - m.exponent[FAC])
    if settled:
        return _underflow(m)
    m.exponent[FAC] += 1
    if m.exponent[FAC] > 255:
        raise OverflowHappened
    m.spend(SHIFT, PASSED, IMMEDIATE, IMMEDIATE)
    quotient, rest, compare, over = [], m.bytes[ARG], True, 0
    while True:
        if compare:
            over = _compare(m, rest, m.bytes[FAC])
        quotient.append(over)
        m.spend(PUSH, IMPLIED)
        if len(quotient) == 34:
            m.spend(PASSED, IMPLIED, ZERO_PAGE_X, PASSED, TAKEN)
            break
        if len(quotient) in (8, 16, 24):
            m.spend(PASSED, IMPLIED, ZERO_PAGE_X, PASSED, PASSED, IMMEDIATE)
        elif len(quotient) == 32:
            m.spend(PASSED, IMPLIED, ZERO_PAGE_X, TAKEN, IMMEDIATE, TAKEN)
        else:
            m.spend(TAKEN)
        m.spend(PULL)
        if over:
            m.spend(TAKEN, IMPLIED, *[ZERO_PAGE, ZERO_PAGE, ZERO_PAGE] * 4, IMPLIED, JUMP)
            rest, _ = m.add_bytes(rest, [byte ^ 0xFF for byte in m.bytes[FAC]], 1)
        else:
            m.spend(PASSED)
        over = m.shift_left(rest)
        m.spend(*[SHIFT] * 4)
        compare = False
        if over:
            m.spend(TAKEN)
        elif rest[0] & 0x80:
            m.spend(PASSED, TAKEN)
            compare = True
        else:
            m.spend(PASSED, PASSED, TAKEN)
    bits = "".join(map(str, quotient)).ljust(40, "0")
    m.spend(*[IMPLIED] * 6, ZERO_PAGE, PULL, JUMP, *[ZERO_PAGE, ZERO_PAGE] * 4, JUMP)
    return _normalize(m, [int(bits[place : place + 8], 2) for place in range(0, 40, 8)])


def _compare(m: Machine, left: list[int], right: list[int]) -> int:
    """Compare from the top until two bytes differ. Returns 1 if left is not less."""
    for place in range(4):
        m.spend(ZERO_PAGE, ZERO_PAGE)
        differ = left[place] != right[place]
        if place < 3:
            m.spend(TAKEN if differ else PASSED)
        if differ:
            break
    return int(left >= right)
