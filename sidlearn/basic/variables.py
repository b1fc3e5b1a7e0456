"""Variables and arrays in RAM, in the machine's own formats, and what looking for them costs.

Simple variables are seven bytes each, in the order of their creation: two of name, five of value. Arrays follow them:
name, length, number of dimensions, sizes (last dimension first, high byte first), values (first index runs fastest).
The type stands in the top bits of the name: none for floats, both for integers, the second for strings, the first for
functions. Steps and costs: BASIC-M6502 (PTRGET, ISARY, UMULT), MIT licence.
"""

from __future__ import annotations

from sidlearn.basic.memory import ARYTAB, FRETOP, STREND, VARTAB, Memory
from sidlearn.basic.messages import BAD_SUBSCRIPT, OUT_OF_MEMORY, REDIMD_ARRAY, BasicError
from sidlearn.basic.strings import Strings

FLOAT, INTEGER, STRING, FUNCTION = 0x0000, 0x8080, 0x0080, 0x8000
ENTRY = 7  # bytes of a simple variable
AUTO_SIZE = 11  # elements of an array that was never dimensioned


def value_bytes(name: int) -> int:
    """Return the bytes of one array element."""
    return 2 if name & 0x8000 else 3 if name & 0x80 else 5


class Variables:
    """The tables of simple variables and of arrays.

    `find` remembers where a name was found until a table moves (`forget`).
    """

    def __init__(self, memory: Memory, strings: Strings):
        self.memory = memory
        self.strings = strings
        self._found: dict[int, tuple[int, int]] = {}
        self._arrays: dict[int, tuple[int, int]] = {}

    def forget(self) -> None:
        """A table has moved or was written into: search anew."""
        self._found.clear()
        self._arrays.clear()

    def find(self, name: int) -> tuple[int, int]:
        """Search the simple variables.

        Returns
        -------
        address, cycles
            Address of the value, or 0 if there is none; cycles from the first compare to the end of the search.
        """
        try:
            return self._found[name]
        except KeyError:
            result = self._found[name] = self._search(name)
            return result

    def _search(self, name: int) -> tuple[int, int]:
        memory = self.memory
        ram = memory.ram
        at, end = memory.word(VARTAB), memory.word(ARYTAB)
        first, second = name >> 8, name & 255
        cycles = 3
        while True:
            cycles += 3 + 3
            if at >> 8 == end >> 8:
                cycles += 2 + 3
                if at == end:
                    return 0, cycles + 4
                cycles += 2
            else:
                cycles += 3
            cycles += 3 + 5
            if ram[at] == first:
                cycles += 2 + 3 + 2 + 5 + (at & 255 == 255)
                if ram[at + 1] == second:
                    value = at + 2
                    return value, cycles + 3 + 23 + (1 if value >> 8 != at >> 8 else 0)
                cycles += 2 + 2
            else:
                cycles += 3
            cycles += 2 + 3 + 2
            at += ENTRY
            cycles += 4 if at & 255 >= ENTRY else 2 + 2 + 4 + 3

    def create(self, name: int) -> tuple[int, int]:
        """Append a simple variable of value zero. Returns the address of its value and the cycles."""
        memory = self.memory
        ram = memory.ram
        arrays, end = memory.word(ARYTAB), memory.word(STREND)
        cycles = self.reason(end + ENTRY)
        arrays, end = memory.word(ARYTAB), memory.word(STREND)
        ram[arrays + ENTRY : end + ENTRY] = ram[arrays:end]
        memory.set_word(STREND, end + ENTRY)
        memory.set_word(ARYTAB, arrays + ENTRY)
        ram[arrays : arrays + ENTRY] = bytes((name >> 8, name & 255, 0, 0, 0, 0, 0))
        self.forget()
        return arrays + 2, cycles + self.move_cycles(end - arrays) + 180

    @staticmethod
    def move_cycles(size: int) -> int:
        """Return the cost of moving `size` bytes up (BLTUC)."""
        return 60 + 17 * size

    def reason(self, top: int) -> int:
        """Make sure that memory below `top` is free of strings, collecting garbage if need be. Returns the cycles."""
        if top < self.memory.word(FRETOP):
            return 20
        cycles = self.strings.collect()
        if top >= self.memory.word(FRETOP):
            raise BasicError(OUT_OF_MEMORY)
        return cycles + 300

    def find_array(self, name: int) -> tuple[int, int]:
        """Search the arrays. Returns the address of the header, or 0, and the cycles."""
        try:
            return self._arrays[name]
        except KeyError:
            result = self._arrays[name] = self._search_array(name)
            return result

    def _search_array(self, name: int) -> tuple[int, int]:
        memory = self.memory
        ram = memory.ram
        at, end = memory.word(ARYTAB), memory.word(STREND)
        first, second = name >> 8, name & 255
        cycles = 6
        while True:
            cycles += 3 + 3 + 3
            if at >> 8 == end >> 8:
                cycles += 2 + 3
                if at == end:
                    return 0, cycles + 3
                cycles += 2
            else:
                cycles += 3
            cycles += 2 + 5 + 2 + 3
            if ram[at] == first:
                cycles += 2 + 3 + 5
                if ram[at + 1] == second:
                    return at, cycles + 3
                cycles += 2
            else:
                cycles += 3
            cycles += 2 + 5 + 2 + 3 + 2 + 2 + 5 + 3 + 3
            at += ram[at + 2] | ram[at + 3] << 8

    def dimension(self, name: int, indices: list[int]) -> int:
        """Create the array that DIM asks for. Returns the cycles."""
        at, cycles = self.find_array(name)
        if at:
            raise BasicError(REDIMD_ARRAY)
        return cycles + self._build(name, [index + 1 for index in indices])

    def element(self, name: int, indices: list[int]) -> tuple[int, int]:
        """Return the address of an element and the cycles; an unknown array gets eleven elements each way."""
        at, cycles = self.find_array(name)
        if not at:
            cycles += self._build(name, [AUTO_SIZE] * len(indices))
            at = self.find_array(name)[0]
        ram = self.memory.ram
        if ram[at + 4] != len(indices):
            raise BasicError(BAD_SUBSCRIPT)
        offset = 0
        header = at + 5
        for i, index in enumerate(reversed(indices)):
            size = ram[header + 2 * i] << 8 | ram[header + 2 * i + 1]
            if index >= size:
                raise BasicError(BAD_SUBSCRIPT)
            if offset:
                offset, more = multiply(offset, size)
                cycles += more
            offset += index
            cycles += 70
        offset, more = multiply(offset, value_bytes(name))
        return header + 2 * len(indices) + offset, cycles + more + 60

    def _build(self, name: int, sizes: list[int]) -> int:
        memory = self.memory
        at = memory.word(STREND)
        cycles = self.reason(at + 5 + 2 * len(sizes))
        at = memory.word(STREND)
        ram = memory.ram
        ram[at], ram[at + 1], ram[at + 4] = name >> 8, name & 255, len(sizes)
        total = value_bytes(name)
        for i, size in enumerate(reversed(sizes)):
            ram[at + 5 + 2 * i], ram[at + 6 + 2 * i] = size >> 8, size & 255
            total, more = multiply(total, size)
            cycles += more + 50
        values = at + 5 + 2 * len(sizes)
        top = values + total
        if top > 0xFFFF:
            raise BasicError(OUT_OF_MEMORY)
        cycles += self.reason(top)
        shift = memory.word(STREND) - at
        at, values, top = at + shift, values + shift, top + shift
        memory.set_word(STREND, top)
        ram[values:top] = bytes(total)
        length = top - at
        ram[at + 2], ram[at + 3] = length & 255, length >> 8
        self.forget()
        return cycles + 11 * total + 100


def multiply(a: int, b: int) -> tuple[int, int]:
    """Multiply two 16-bit integers as UMULT does; OUT OF MEMORY past 65535. Returns the product and the cycles."""
    product = a * b
    if product > 0xFFFF:
        raise BasicError(OUT_OF_MEMORY)
    return product, 40 + 16 * 35 + 25 * a.bit_count()
