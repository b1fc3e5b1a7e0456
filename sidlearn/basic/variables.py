"""Variables and arrays in RAM, in the machine's own formats, and what looking for them costs.

Simple variables are seven bytes each, in the order of their creation: two of name, five of value. Arrays follow them:
name, length, number of dimensions, sizes (last dimension first, high byte first), values (first index runs fastest).
The type stands in the top bits of the name: none for floats, both for integers, the second for strings, the first for
functions. Steps: BASIC-M6502 (PTRGET, ISARY, UMULT), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from sidlearn.basic.memory import ARYTAB, FRETOP, STREND, VARTAB, ZERO_CONSTANT, Memory
from sidlearn.basic.messages import BAD_SUBSCRIPT, OUT_OF_MEMORY, REDIMD_ARRAY, SYNTAX, BasicError
from sidlearn.basic.strings import Strings, block_move_cycles
from sidlearn.basic.text import JMP, JSR, RTS, crossings

ENTRY = 7  # bytes of a simple variable
AUTO_SIZE = 11  # elements of an array that was never dimensioned
TI, TI_STRING, ST = 0x5449, 0x54C9, 0x5354


def is_string(name: int) -> bool:
    """Whether a name is that of a string."""
    return name & 0x8080 == 0x0080


def is_integer(name: int) -> bool:
    """Whether a name is that of an integer."""
    return name & 0x8080 == 0x8080


def value_bytes(name: int) -> int:
    """Return the bytes of one array element."""
    return 2 if name & 0x8000 else 3 if name & 0x80 else 5


class Variables:
    """The tables of simple variables and of arrays.

    `find` and `find_array` remember where a name was found until a table moves (`forget`).
    """

    def __init__(self, memory: Memory, strings: Strings):
        self.memory = memory
        self.ram = memory.ram
        self.strings = strings
        self._found: dict[int, tuple[int, int]] = {}
        self._arrays: dict[int, tuple[int, int]] = {}

    def forget(self) -> None:
        """A table has moved or was written into: search anew."""
        self._found.clear()
        self._arrays.clear()

    # simple variables

    def find(self, name: int) -> tuple[int, int]:
        """Search the simple variables.

        Returns
        -------
        address, cycles
            Address of the value, or 0 if there is none; cycles from the first compare through the RTS, or up to the
            test of who is asking (NOTFNS).
        """
        try:
            return self._found[name]
        except KeyError:
            result = self._found[name] = self._search(name)
            return result

    def _search(self, name: int) -> tuple[int, int]:
        memory, ram = self.memory, self.ram
        at, end = memory.word(VARTAB), memory.word(ARYTAB)
        first, second = name >> 8, name & 255
        cycles = 3
        while True:
            cycles += 3 + 3
            if at >> 8 == end >> 8:
                cycles += 2 + 3
                if at == end:
                    return 0, cycles + 4 + 4 + 3 + 2
                cycles += 2
            else:
                cycles += 3
            cycles += 3 + 5
            if ram[at] == first:
                cycles += 2 + 3 + 2 + 5 + (at & 255 == 255)
                if ram[at + 1 & 0xFFFF] == second:
                    return at + 2 & 0xFFFF, cycles + 3 + self._finish(at)
                cycles += 2 + 2
            else:
                cycles += 3
            cycles += 2 + 3 + 2
            at = at + ENTRY & 0xFFFF  # behind pointers that a program has broken the search goes round
            cycles += 4 if at & 255 >= ENTRY else 2 + 2 + 4 + 3

    @staticmethod
    def _finish(at: int) -> int:
        """FINPTR."""
        return 25 + (at & 255 > 253)

    def find_or_create(self, name: int) -> tuple[int, int]:
        """Return the address of a simple variable's value, making it if need be, and the cycles of the whole search."""
        address, cycles = self.find(name)
        if address:
            return address, cycles
        cycles += 3 + 6 + 2
        if name >> 8 == ord("T"):
            cycles += 2 + 2
            if name == TI_STRING:
                return ZERO_CONSTANT, cycles + 3 + 4 + RTS
            if name == TI:
                raise BasicError(SYNTAX)
            cycles += 2 + 2 + 3
        else:
            cycles += 3
        cycles += 2
        if name >> 8 == ord("S"):
            if name == ST:
                raise BasicError(SYNTAX)
            cycles += 2 + 2 + 2
        else:
            cycles += 3
        address, more = self._create(name)
        return address, cycles + more

    def _create(self, name: int) -> tuple[int, int]:
        memory, ram = self.memory, self.ram
        end = memory.word(STREND)
        cycles = 24 + 4 + (3 if end & 255 < 256 - ENTRY else 4) + 6 + JSR
        cycles += JSR + self.reason(end + ENTRY) + 6
        arrays, end = memory.word(ARYTAB), memory.word(STREND)
        ram[arrays + ENTRY : end + ENTRY] = ram[arrays:end]
        memory.set_word(STREND, end + ENTRY)
        memory.set_word(ARYTAB, arrays + ENTRY)
        ram[arrays : arrays + ENTRY] = bytes((name >> 8, name & 255, 0, 0, 0, 0, 0))
        self.forget()
        cycles += block_move_cycles(end, end + ENTRY, end - arrays)
        return arrays + 2, cycles + 14 + 24 + 40 + self._finish(arrays)

    def reason(self, top: int) -> int:
        """Make sure that memory below `top` is free of strings, collecting garbage if need be (REASON)."""
        memory = self.memory
        bottom = memory.word(FRETOP)
        if top < bottom:
            return 3 + 3 + RTS if top >> 8 < bottom >> 8 else 3 + 2 + 2 + 3 + 3 + RTS
        cycles = 3 + (2 + 3 if top >> 8 > bottom >> 8 else 2 + 2 + 3 + 2)
        cycles += 3 + 2 + 2 + 10 * 12 - 1 + JSR + self.strings.collect() + 2 + 9 * 13 - 1 + 4 + 2 + 4
        bottom = memory.word(FRETOP)
        if top >= bottom:
            raise BasicError(OUT_OF_MEMORY)
        return cycles + (3 + 3 + RTS if top >> 8 < bottom >> 8 else 3 + 2 + 2 + 3 + 2 + RTS)

    # arrays

    def find_array(self, name: int) -> tuple[int, int]:
        """Search the arrays. Returns the address of the header, or 0, and the cycles from LDX ARYTAB to the branch."""
        try:
            return self._arrays[name]
        except KeyError:
            result = self._arrays[name] = self._search_array(name)
            return result

    def _search_array(self, name: int) -> tuple[int, int]:
        memory, ram = self.memory, self.ram
        at, end = memory.word(ARYTAB), memory.word(STREND)
        first, second = name >> 8, name & 255
        cycles = 6
        while True:
            cycles += 6 + 3
            if at >> 8 == end >> 8:
                cycles += 2 + 3
                if at == end:
                    return 0, cycles + 3
                cycles += 2
            else:
                cycles += 3
            cycles += 2 + 5 + 2 + 3
            if ram[at] == first:
                cycles += 2 + 3 + 5 + crossings(at, 1, 1)
                if ram[at + 1] == second:
                    return at, cycles + 3
                cycles += 2
            else:
                cycles += 3
            cycles += 2 + 5 + 2 + 3 + 2 + 2 + 5 + 3 + 3 + crossings(at, 2, 3)
            at += ram[at + 2] | ram[at + 3] << 8

    def dimension(self, name: int, indices: list[int]) -> int:
        """Create the array that DIM asks for. Returns the cycles from the search through the RTS."""
        at, cycles = self.find_array(name)
        if at:
            raise BasicError(REDIMD_ARRAY)
        return cycles + self._build(name, [index + 1 for index in indices], True)[1] + 4 + RTS

    def element(self, name: int, indices: list[int]) -> tuple[int, int]:
        """Return the address of an element and the cycles; an unknown array gets eleven elements each way."""
        at, cycles = self.find_array(name)
        ram = self.ram
        count = len(indices)
        if at:
            cycles += 2 + 3 + 2 + JSR + self._values_pointer(at, count) + 3 + 2 + 5 + crossings(at, 4, 4)
            if ram[at + 4] != count:
                raise BasicError(BAD_SUBSCRIPT)
            cycles += 2 + JMP
        else:
            at, more = self._build(name, [AUTO_SIZE] * count, False)
            cycles += more + 2 + 2
        offset = 0
        cycles += 5 + crossings(at, 4, 4) + 3 + 2 + 3
        for i, index in enumerate(reversed(indices)):
            low = at + 5 + 2 * i
            size = ram[low] << 8 | ram[low + 1]
            cycles += 3 + 2 + 4 + 2 + 3 + 4 + 3 + 5 + crossings(at, 5 + 2 * i, 5 + 2 * i)
            if index >= size:
                raise BasicError(BAD_SUBSCRIPT)
            if index >> 8 < size >> 8:
                cycles += 3 + 2
            else:
                cycles += 2 + 2 + 2 + 2 + 5 + crossings(at, 6 + 2 * i, 6 + 2 * i) + 3
            cycles += 3 + 3 + 2
            if offset:
                cycles += 2 + JSR + 18 + crossings(at, 5 + 2 * i, 6 + 2 * i) + multiply_cycles(offset)
                offset *= size
                cycles += 2 + 3 + 2 + 2 + 3
            else:
                cycles += 3
            offset += index
            cycles += 3 + 3 + 5 + 4
        cycles += -2 + 3 + 2 + 3 + (2 + 2 if name & 0x8000 else 3) + 3 + (2 + 4 if name & 0x80 else 3) + 3 + 2 + JSR
        cycles += multiply_cycles(offset) + 27
        return at + 5 + 2 * count + offset * value_bytes(name), cycles

    @staticmethod
    def _values_pointer(at: int, count: int) -> int:
        """FMAPTR."""
        return 13 + (3 if (at & 255) + 5 + 2 * count < 256 else 4) + 6 + RTS

    def _build(self, name: int, sizes: list[int], dim: bool) -> tuple[int, int]:
        """Make an array (NOTFDD up to the test of DIMFLG). Returns its address and the cycles."""
        memory, ram = self.memory, self.ram
        at = memory.word(STREND)
        count = len(sizes)
        cycles = JSR + self._values_pointer(at, count) + JSR + self.reason(at + 5 + 2 * count)
        ram[at], ram[at + 1], ram[at + 4] = name >> 8, name & 255, count
        total = value_bytes(name)
        cycles += 2 + 3 + 2 + 3 + 6 + (2 + 2 if name & 0x8000 else 3)
        cycles += 2 + 3 + 6 + (2 + 4 if name & 0x80 else 3) + 3 + 3 + 6 + 6
        for i, size in enumerate(reversed(sizes)):
            ram[at + 5 + 2 * i], ram[at + 6 + 2 * i] = size >> 8, size & 255
            cycles += 2 + 2 + 3 + (18 if dim else 3) + 2 + 6 + 2 + 2 + 6
            cycles += JSR + 18 + crossings(at, 5 + 2 * i, 6 + 2 * i) + multiply_cycles(total)
            total *= size
            if total > 0xFFFF:
                raise BasicError(OUT_OF_MEMORY)
            cycles += 3 + 3 + 3 + 5 + 3
        values = at + 5 + 2 * count
        top = values + total
        if top > 0xFFFF:
            raise BasicError(OUT_OF_MEMORY)
        cycles += -1 + 3 + 2 + 3 + 2 + 2 + 3
        cycles += 3 if (values & 255) + (total & 255) < 256 else 2 + 2 + 2
        cycles += JSR + self.reason(top) + 6
        memory.set_word(STREND, top)
        ram[values:top] = bytes(total)
        blocks, rest = divmod(total, 256)
        cycles += 2 + 5 + 3 + (2 + 11 * rest - 1 if rest else 3) + blocks * (11 * 256 - 1) + (blocks + 1) * 13 - 1
        cycles += 5 + 2 + 3 + 3 + 2 + 6 + 3 + 2 + 3 + 6 + 3
        length = top - at
        ram[at + 2], ram[at + 3] = length & 255, length >> 8
        self.forget()
        return at, cycles


def multiply_cycles(multiplier: int) -> int:
    """Return the cycles of multiplying `multiplier` with anything, from UMULTD through the RTS."""
    return 12 + 560 + 17 * multiplier.bit_count() - 1 + RTS
