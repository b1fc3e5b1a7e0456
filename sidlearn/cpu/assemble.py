"""A small assembler for the players that the exporters write and for the tests.

A line is ``label: OPERATION operand ; comment``, each part optional. Operands are written as in the MOS manual:
``#5``, ``$D418``, ``table,X``, ``(pointer),Y``, ``A`` or nothing for the accumulator. Values are sums and differences
of decimal numbers, ``$`` hexadecimal and ``%`` binary ones, labels and ``*`` (the line's address); ``<`` and ``>`` in
front take the low and the high byte. ``name = value`` defines a name, ``* = value`` moves on, ``.byte`` and ``.word``
put data. An address below 256 becomes a zero page operand, unless it hangs on a label further down or is written with
more than two hexadecimal digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidlearn.cpu.opcodes import (
    ACCUMULATOR,
    IMMEDIATE,
    IMPLIED,
    MODES,
    OPCODES,
    RELATIVE,
    Mode,
    Opcode,
)  # fmt: skip
from sidlearn.errors import SidlearnError, nearest


class AssemblyError(SidlearnError, ValueError):
    """A line that is no instruction, or a value that does not fit."""


def _first_opcodes() -> dict[tuple[str, int], Opcode]:
    """Where several opcodes do the same, the documented one comes first, then the lowest."""
    table: dict[tuple[str, int], Opcode] = {}
    for opcode in sorted(OPCODES, key=lambda o: (not o.documented, o.number)):
        table.setdefault((opcode.mnemonic, opcode.mode.number), opcode)
    return table


_OPCODES = _first_opcodes()
_NAMES = {mnemonic for mnemonic, _ in _OPCODES}
_LINE = re.compile(r"^\s*(?:(?P<label>[A-Za-z_]\w*):)?\s*(?P<rest>.*?)\s*$")
_TERM = re.compile(r"\s*(?P<sign>[+-]?)\s*(?P<term>\$[0-9A-Fa-f]+|%[01]+|\d+|\*|[A-Za-z_]\w*)\s*")


def _pattern(mode: Mode) -> re.Pattern[str]:
    """How the mode's operand is written, with its value as the only group."""
    return re.compile(re.escape(mode.text).replace(r"\{\}", "([^#(].*)").replace(",", r"\s*,\s*") + "$", re.I)


# The more special operands first, then those of one byte.
_SHAPES = sorted(
    ((_pattern(mode), mode) for mode in MODES if "{}" in mode.text and mode.number != RELATIVE),
    key=lambda shape: (-len(shape[1].text), shape[1].operand_bytes),
)


def opcode_for(mnemonic: str, mode: int) -> Opcode | None:
    """Return the opcode that the assembler chooses for a mnemonic and a mode, or None."""
    return _OPCODES.get((mnemonic, mode))


def _has_wide(mnemonic: str, mode: Mode) -> bool:
    """Whether the operation has the same operand with two bytes."""
    return any((mnemonic, m.number) in _OPCODES for m in MODES if m.text == mode.text and m.operand_bytes == 2)


@dataclass
class _Pass:
    """One of the two readings of a source."""

    names: dict[str, int]
    last: bool
    address: int
    ahead: frozenset[str] = frozenset()  # names that the first reading met before they were defined
    line: str = ""

    def fail(self, why: str) -> AssemblyError:
        return AssemblyError(f"{self.line.strip()!r}: {why}")

    def value(self, text: str) -> int | None:
        """Return the value of an expression, or None while a name in it is not known yet."""
        text = text.strip()
        if text[:1] in ("<", ">"):
            value = self.value(text[1:])
            return None if value is None else value >> (8 if text[0] == ">" else 0) & 0xFF
        total, at = 0, 0
        known = True
        while at < len(text) or not at:
            match = _TERM.match(text, at)
            if not match or (at and not match["sign"]):
                raise self.fail(f"expected a value, given {text!r}")
            at = match.end()
            term = match["term"]
            if term[0] == "$":
                number: int | None = int(term[1:], 16)
            elif term[0] == "%":
                number = int(term[1:], 2)
            elif term == "*":
                number = self.address
            elif term.isdigit():
                number = int(term)
            else:
                number = self.names.get(term)
                if number is None and self.last:
                    raise self.fail(f"no label {term}{nearest(term, self.names)}")
            if number is None:
                known = False
            else:
                total += -number if match["sign"] == "-" else number
        return total if known else None

    def data(self, text: str, size: int) -> bytes:
        out = b""
        for item in text.split(","):
            out += self.put(self.value(item) or 0, size)
        return out

    def put(self, value: int, size: int) -> bytes:
        if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
            raise self.fail(f"{value} does not fit into {size} byte{'s' * (size > 1)}")
        return (value & (1 << 8 * size) - 1).to_bytes(size, "little")

    def instruction(self, mnemonic: str, operand: str) -> bytes:
        name = mnemonic.upper()
        if name not in _NAMES:
            raise self.fail(f"no operation {mnemonic}{nearest(name, _NAMES)}")
        if (name, RELATIVE) in _OPCODES:
            opcode = _OPCODES[name, RELATIVE]
            value = self.value(operand)
            distance = 0 if value is None else value - self.address - 2
            if not -128 <= distance <= 127:
                raise self.fail(f"a branch reaches from -128 to 127, given {distance}")
            return bytes((opcode.number, distance & 0xFF))
        if operand in ("", "a", "A"):
            for mode in (ACCUMULATOR, IMPLIED):
                if (name, mode) in _OPCODES:
                    return bytes((_OPCODES[name, mode].number,))
            raise self.fail(f"{name} needs an operand")
        value = None
        for pattern, mode_of in _SHAPES:
            match = pattern.match(operand)
            opcode_ = _OPCODES.get((name, mode_of.number))
            if not match or opcode_ is None:
                continue
            value = self.value(match[1])
            small = mode_of.number == IMMEDIATE or (value is not None and 0 <= value < 0x100)
            if mode_of.operand_bytes == 1 and (not small or self._is_wide(match[1])) and _has_wide(name, mode_of):
                continue
            return bytes((opcode_.number,)) + self.put(value or 0, mode_of.operand_bytes)
        raise self.fail(f"{name} has no such operand")

    def _is_wide(self, text: str) -> bool:
        """Whether an operand takes two bytes however small: both readings have to choose the same opcode."""
        names = re.findall(r"[A-Za-z_]\w*", re.sub(r"\$[0-9A-Fa-f]+", "", text))
        return bool(re.search(r"\$[0-9A-Fa-f]{3}", text)) or any(name in self.ahead for name in names)

    def run(self, source: str) -> tuple[int, bytes]:
        """Read the source once; return where the code begins, and the code."""
        start = self.address
        out = bytearray()
        ahead: set[str] = set()
        for line in source.splitlines():
            self.line = line
            match = _LINE.match(line.split(";")[0])
            assert match is not None
            label, rest = match["label"], match["rest"]
            if label:
                self.define(label, self.address)
            if not rest:
                continue
            name, equals, value_text = rest.partition("=")
            if equals and re.fullmatch(r"\*|[A-Za-z_]\w*", name.strip()):
                value = self.value(value_text)
                if name.strip() != "*":
                    if value is not None:
                        self.define(name.strip(), value)
                    continue
                if value is None:
                    raise self.fail("expected an address that is known here")
                if not out:
                    start = value
                elif value < self.address:
                    raise self.fail(f"expected an address from ${self.address:04X} on")
                else:
                    out += bytes(value - self.address)
                self.address = value
                continue
            word, _, operand = rest.partition(" ")
            if not self.last:
                ahead |= {n for n in re.findall(r"[A-Za-z_]\w*", operand) if n not in self.names}
            if word.lower() in (".byte", ".word"):
                code = self.data(operand, 1 if word.lower() == ".byte" else 2)
            else:
                code = self.instruction(word, operand.strip())
            out += code
            self.address += len(code)
        if not self.last:
            self.ahead = frozenset(ahead)
        return start, bytes(out)

    def define(self, name: str, value: int) -> None:
        if not self.last and name in self.names:
            raise self.fail(f"{name} is defined twice")
        self.names[name] = value


def assemble(source: str, address: int = 0xC000) -> tuple[int, bytes, dict[str, int]]:
    """Turn assembly text into machine code.

    Parameters
    ----------
    source : str
    address : int
        Where the code begins, unless the source says ``* = ...`` itself.

    Returns
    -------
    address : int
        Where the code begins.
    code : bytes
    names : dict
        Labels and names with their values.

    Raises
    ------
    AssemblyError
        With the line that cannot be read.

    Examples
    --------
    >>> assemble("start: LDA #15\\n STA $D418\\n RTS")
    (49152, b'\\xa9\\x0f\\x8d\\x18\\xd4`', {'start': 49152})
    """
    first = _Pass({}, False, address)
    first.run(source)
    second = _Pass(first.names, True, address, first.ahead)
    start, code = second.run(source)
    return start, code, second.names
