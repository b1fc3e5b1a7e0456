"""Strings as the machine keeps them: three temporaries, and a heap that grows down and is swept when it is full.

A string is known by the address of its three-byte descriptor: length, address of the characters (low byte first).
Steps and costs: BASIC-M6502 (STRINI, GETSPA, GARBA2, FRETMP, PUTNEW), MIT licence.
"""

from __future__ import annotations

from sidlearn.basic.memory import (
    ARYTAB, FRESPC, FRETOP, LASTPT, MEMSIZ, STREND, TEMPPT, TEMPST, VARTAB, Memory,
)  # fmt: skip
from sidlearn.basic.messages import FORMULA_TOO_COMPLEX, OUT_OF_MEMORY, BasicError

TEMPORARIES_END = TEMPST + 9


class Strings:
    """The string temporaries and the string heap."""

    def __init__(self, memory: Memory):
        self.memory = memory

    def reset(self) -> None:
        """Free all temporaries."""
        self.memory.ram[TEMPPT] = TEMPST

    def text(self, descriptor: int) -> bytes:
        """Return the characters of a string."""
        ram = self.memory.ram
        start = ram[descriptor + 1] | ram[descriptor + 2] << 8
        return bytes(ram[start : start + ram[descriptor]])

    def put_new(self, length: int, address: int) -> tuple[int, int]:
        """Make a temporary descriptor (PUTNEW). Returns its address and the cycles."""
        ram = self.memory.ram
        at = ram[TEMPPT]
        if at == TEMPORARIES_END:
            raise BasicError(FORMULA_TOO_COMPLEX)
        ram[at : at + 3] = bytes((length, address & 255, address >> 8))
        ram[LASTPT], ram[LASTPT + 1] = at, 0
        ram[TEMPPT] = at + 3
        return at, 64

    def allocate(self, length: int) -> tuple[int, int]:
        """Reserve heap for `length` characters (GETSPA). Returns their address and the cycles."""
        memory = self.memory
        cycles = 60
        start = memory.word(FRETOP) - length
        if start < memory.word(STREND):
            cycles += self.collect()
            start = memory.word(FRETOP) - length
            if start < memory.word(STREND):
                raise BasicError(OUT_OF_MEMORY)
        memory.set_word(FRETOP, start)
        memory.set_word(FRESPC, start)
        return start, cycles

    def free_descriptor(self, descriptor: int) -> tuple[bool, int]:
        """Give a descriptor back if it is the newest temporary (FRETMS). Returns whether it was, and the cycles."""
        ram = self.memory.ram
        if descriptor >> 8 or ram[LASTPT + 1] or ram[LASTPT] != descriptor:
            return False, 20
        ram[TEMPPT] = descriptor
        ram[LASTPT] = descriptor - 3 & 255
        return True, 30

    def free(self, descriptor: int) -> tuple[int, int, int]:
        """Give a string back (FRETMP). Returns its length, the address of its characters, and the cycles."""
        memory = self.memory
        ram = memory.ram
        freed, cycles = self.free_descriptor(descriptor)
        length = ram[descriptor]
        address = ram[descriptor + 1] | ram[descriptor + 2] << 8
        if freed and address == memory.word(FRETOP):
            memory.set_word(FRETOP, address + length)
            cycles += 30
        return length, address, cycles + 60

    def new(self, text: bytes) -> tuple[int, int]:
        """Make a temporary with `text` in the heap. Returns the descriptor and the cycles."""
        address, cycles = self.allocate(len(text))
        self.memory.ram[address : address + len(text)] = text
        descriptor, more = self.put_new(len(text), address)
        return descriptor, cycles + more

    def descriptors(self) -> list[int]:
        """Return the address of every descriptor: temporaries, simple variables, arrays, in the order of the search."""
        memory = self.memory
        ram = memory.ram
        result = list(range(TEMPST, ram[TEMPPT], 3))
        result += [
            at + 2
            for at in range(memory.word(VARTAB), memory.word(ARYTAB), 7)
            if not ram[at] & 0x80 and ram[at + 1] & 0x80
        ]
        at, end = memory.word(ARYTAB), memory.word(STREND)
        while at < end:
            following = at + (ram[at + 2] | ram[at + 3] << 8)
            if not ram[at] & 0x80 and ram[at + 1] & 0x80:
                result += range(at + 5 + 2 * ram[at + 4], following, 3)
            at = following
        return result

    def collect(self) -> int:
        """Move all live strings to the top of memory (GARBA2). Returns the cycles."""
        memory = self.memory
        ram = memory.ram
        bottom = memory.word(STREND)
        top = memory.word(MEMSIZ)
        owners = [d for d in self.descriptors() if ram[d]]
        live = sorted(
            ((ram[d + 1] | ram[d + 2] << 8, d) for d in owners),
            key=lambda pair: pair[0],
            reverse=True,
        )
        cycles = 400
        for address, descriptor in live:
            cycles += 60 * len(owners) + 400
            if not bottom <= address < top:
                continue
            length = ram[descriptor]
            characters = bytes(ram[address : address + length])
            top -= length
            ram[top : top + length] = characters
            ram[descriptor + 1], ram[descriptor + 2] = top & 255, top >> 8
            cycles += 17 * length
        memory.set_word(FRETOP, top)
        return cycles
