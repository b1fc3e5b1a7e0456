"""The 6502's adder digit by digit, in plain Python: what the kernel's arithmetic has to agree with.

Built from the description of what each half of the adder does, not from the kernel's formulas. Sources: MOS MCS6500
Programming Manual, 2.2; Bruce Clark, "Decimal Mode" (6502.org); "NMOS 6510 Unintended Opcodes: No More Secrets".
Flags come as a dict of the letters N, V, Z, C.
"""

from __future__ import annotations


def signed(value: int) -> int:
    return value - 256 if value > 127 else value


def flags_of(result: int) -> dict[str, int]:
    return {"N": result >> 7, "Z": int(result == 0)}


def add_binary(a: int, value: int, carry: int) -> tuple[int, dict[str, int]]:
    total = a + value + carry
    overflow = not -128 <= signed(a) + signed(value) + carry <= 127
    return total % 256, flags_of(total % 256) | {"V": int(overflow), "C": int(total > 255)}


def subtract_binary(a: int, value: int, carry: int) -> tuple[int, dict[str, int]]:
    difference = a - value - (1 - carry)
    overflow = not -128 <= signed(a) - signed(value) - (1 - carry) <= 127
    return difference % 256, flags_of(difference % 256) | {"V": int(overflow), "C": int(difference >= 0)}


def add_decimal(a: int, value: int, carry: int) -> tuple[int, dict[str, int]]:
    """Units are corrected and their carry taken; N and V are those of the tens before their correction."""
    units = a % 16 + value % 16 + carry
    carry_units = int(units > 9)
    if carry_units:
        units = (units + 6) % 16
    tens = a // 16 + value // 16 + carry_units
    overflow = not -8 <= signed4(a // 16) + signed4(value // 16) + carry_units <= 7
    flags = {"Z": int((a + value + carry) % 256 == 0), "N": tens % 16 // 8, "V": int(overflow), "C": int(tens > 9)}
    if tens > 9:
        tens += 6
    return tens % 16 * 16 + units, flags


def subtract_decimal(a: int, value: int, carry: int) -> tuple[int, dict[str, int]]:
    """Digits are corrected where they borrow; all flags are those of the binary difference."""
    units = a % 16 - value % 16 - (1 - carry)
    borrow_units = int(units < 0)
    tens = a // 16 - value // 16 - borrow_units
    units = (units - 6 if borrow_units else units) % 16
    tens = (tens - 6 if tens < 0 else tens) % 16
    return tens * 16 + units, subtract_binary(a, value, carry)[1]


def signed4(nibble: int) -> int:
    return nibble - 16 if nibble > 7 else nibble


def and_rotate(a: int, value: int, carry: int, decimal: int) -> tuple[int, dict[str, int]]:
    """ARR."""
    both = a & value
    result = carry * 128 + both // 2
    if not decimal:
        bits = f"{result:08b}"
        return result, flags_of(result) | {"C": int(bits[1]), "V": int(bits[1] != bits[2])}
    flags = {"N": carry, "Z": int(result == 0), "V": int(result & 0x40 != both & 0x40), "C": 0}
    units, tens = result % 16, result // 16
    if both % 16 + both % 2 > 5:
        units = (units + 6) % 16
    if both // 16 + both // 16 % 2 > 5:
        tens = (tens + 6) % 16
        flags["C"] = 1
    return tens * 16 + units, flags
