"""Strings as the machine keeps them: three temporaries, and a heap that grows down and is swept when it is full.

A string is known by the address of its three-byte descriptor: length, address of the characters (low byte first).
Methods named after what they do return their cycles last, through the RTS, without the JSR. Steps: BASIC-M6502 (STRINI,
GETSPA, GARBA2, FRETMP, PUTNEW), MIT licence.
"""

from __future__ import annotations

from sidlearn.basic.memory import ARYTAB, DSCTMP, FRESPC, FRETOP, LASTPT, MEMSIZ, STREND, TEMPPT, TEMPST, VARTAB, Memory
from sidlearn.basic.messages import FORMULA_TOO_COMPLEX, OUT_OF_MEMORY, BasicError
from sidlearn.basic.text import JSR, RTS, crossings

TEMPORARIES_END = TEMPST + 9
PUTNEW = 63
QUOTE = 0x22
_SIMPLE_STEP, _ARRAY_STEP = 7, 3


class Strings:
    """The string temporaries and the string heap."""

    def __init__(self, memory: Memory):
        self.memory = memory
        self.ram = memory.ram

    def reset(self) -> None:
        """Free all temporaries."""
        self.ram[TEMPPT] = TEMPST
        self.ram[LASTPT + 1] = 0

    def where(self, descriptor: int) -> int:
        """Return the address of the characters."""
        return self.ram[descriptor + 1] | self.ram[descriptor + 2] << 8

    def put_new(self, length: int, address: int) -> int:
        """Make a temporary descriptor (PUTNEW, 63 cycles). Returns its address."""
        ram = self.ram
        at = ram[TEMPPT]
        if at == TEMPORARIES_END:
            raise BasicError(FORMULA_TOO_COMPLEX)
        ram[at] = ram[DSCTMP] = length
        ram[at + 1] = ram[DSCTMP + 1] = address & 255
        ram[at + 2] = ram[DSCTMP + 2] = address >> 8
        ram[LASTPT] = at
        ram[TEMPPT] = at + 3
        return at

    def allocate(self, length: int) -> tuple[int, int]:
        """Reserve heap for `length` characters (GETSPA). Returns their address and the cycles."""
        memory = self.memory
        cycles = 5
        for attempt in range(2):
            top, end = memory.word(FRETOP), memory.word(STREND)
            start = top - length
            cycles += 13 + (3 if top & 255 >= length else 4) + 3
            if start < end:
                cycles += 3 if start >> 8 < end >> 8 else 2 + 2 + 3 + 3
                if attempt:
                    break
                cycles += 2 + 3 + 2 + JSR + self.collect() + 2 + 3 + 4 + 4
                continue
            cycles += 2 + (3 if start >> 8 != end >> 8 else 7) + 24
            memory.set_word(FRETOP, start)
            memory.set_word(FRESPC, start)
            return start, cycles
        raise BasicError(OUT_OF_MEMORY)

    def free_descriptor(self, descriptor: int) -> tuple[bool, int]:
        """Give a descriptor back if it is the newest temporary (FRETMS). Returns whether it was, and the cycles."""
        ram = self.ram
        if descriptor >> 8:
            return False, 12
        if ram[LASTPT] != descriptor:
            return False, 17
        ram[TEMPPT] = descriptor
        ram[LASTPT] = descriptor - 3 & 255
        return True, 26

    def free(self, descriptor: int) -> tuple[int, int, int]:
        """Give a string back (FRETMP). Returns its length, the address of its characters, and the cycles."""
        memory, ram = self.memory, self.ram
        freed, cycles = self.free_descriptor(descriptor)
        length = ram[descriptor]
        low, high = ram[descriptor + 1], ram[descriptor + 2]
        cycles += 6 + JSR + 39 + 12
        if descriptor & 255 > 253:
            cycles += crossings(descriptor, 1, 2)
        if not freed:
            return length, low | high << 8, cycles + 3
        if high != ram[FRETOP + 1]:
            return length, low | high << 8, cycles + 2 + 3 + 3
        if low != ram[FRETOP]:
            return length, low | high << 8, cycles + 2 + 3 + 2 + 3 + 3
        memory.set_word(FRETOP, (low | high << 8) + length)
        return length, low | high << 8, cycles + 12 + 15 + (3 if low + length < 256 else 7)

    @staticmethod
    def move_cycles(source: int, length: int, target: int) -> int:
        """Return the cost of moving characters to the heap (MOVDO)."""
        carry = 0 if (target & 255) + length < 256 else 4
        if not length:
            return 22 + carry
        return 27 + 18 * length + crossings(source, 0, length - 1) + carry

    def copy(self, source: int, length: int, target: int) -> int:
        """Move characters to the heap. Returns the cycles (MOVDO)."""
        ram = self.ram
        ram[target : target + length] = ram[source : source + length]
        return self.move_cycles(source, length, target)

    def literal(self, start: int, stops: tuple[int, int] = (QUOTE, QUOTE)) -> tuple[int, int, int, int]:
        """Find the end of a string in memory (STRLT2 up to the test of the page).

        Returns
        -------
        length, following, page, cycles
            How many characters, the address behind them and a closing quote, the page they lie in, and the cycles up to
            the branch to PUTNEW.
        """
        ram = self.ram
        length = 0
        while (char := ram[start + length & 0xFFFF]) and char not in stops and length < 255:
            length += 1
        cycles = 14 + 20 * length + 2 + 5 + crossings(start, 0, length)
        quote = 0
        if not char:
            cycles += 3 + 2
        else:
            cycles += 2 + 3 + (3 if char == stops[0] else 2 + 3 + 2) + 2
            quote = char == QUOTE
            cycles += 3 if quote else 2 + 2
        following = start + length + quote
        cycles += 3 + 2 + 3 + 3 + 3 + (3 if (start & 255) + length + quote < 256 else 4) + 3 + 3
        return length, following, start >> 8, cycles

    def new_literal(self, start: int, stops: tuple[int, int] = (QUOTE, QUOTE)) -> tuple[int, int, int]:
        """Make a temporary of a string in memory (STRLT2): the input buffers are copied to the heap, text is not.

        Returns
        -------
        descriptor, following, cycles
        """
        length, following, page, cycles = self.literal(start, stops)
        if page and page != 2:
            return self.put_new(length, start), following, cycles + 2 + 2 + 3 + PUTNEW
        cycles += (3 if not page else 2 + 2 + 2) + 2 + JSR
        target, more = self.allocate(length)
        cycles += 33 + more + 6 + JSR + 6 + self.copy(start, length, target)
        return self.put_new(length, target), following, cycles + PUTNEW

    def collect(self) -> int:
        """Move all live strings to the top of memory (GARBA2). Returns the cycles.

        As on the machine every pass looks at all descriptors for the highest string that is not in place yet, so the
        cost grows with the square of their number.
        """
        memory, ram = self.memory, self.ram
        end, top = memory.word(STREND), memory.word(MEMSIZ)
        table = self._descriptors()
        fixed = self._fixed_pass_cycles() + sum(empty for descriptor, _, empty, _ in table if not ram[descriptor])
        table = [row for row in table if ram[row[0]]]
        cycles = 6
        while True:
            cycles += fixed
            best, owner, size = end, 0, 0
            for descriptor, stride, _, visit in table:
                at = ram[descriptor + 1] | ram[descriptor + 2] << 8
                cycles += visit
                if at >> 8 < top >> 8:
                    cycles += 3
                elif at >> 8 > top >> 8:
                    cycles += 2 + 3
                    continue
                else:
                    cycles += 2 + 2 + 3
                    if at >= top:
                        cycles += 3
                        continue
                    cycles += 2
                cycles += 3
                if at >> 8 < best >> 8:
                    cycles += 3
                    continue
                cycles += 2
                if at >> 8 == best >> 8:
                    cycles += 2 + 3
                    if at < best:
                        cycles += 3
                        continue
                    cycles += 2
                else:
                    cycles += 3
                best, owner, size = at, descriptor, stride
                cycles += 24
            memory.set_word(FRETOP, top)
            cycles += 3 + 3
            if not owner:
                # BEQ GRBRTS
                return cycles + 3 + 3 + 2 + RTS
            length = ram[owner]
            top -= length
            moved, place = bytes(ram[best : best + length]), top
            ram[place : place + length] = moved
            ram[owner + 1], ram[owner + 2] = place & 255, place >> 8
            cycles += 2 + 3 + 2 + 2 + 2 + 3 + 5 + 3 + 3 + 3 + 2 + 3 + 12 + JSR
            cycles += block_move_cycles(best + length, place + length, length)
            offset = 2 if size == _SIMPLE_STEP else 0
            cycles += crossings(owner - offset, offset, offset)
            cycles += 3 + 2 + 3 + 6 + 2 + 5 + 3 + 2 + 6 + 3

    def _descriptors(self) -> list[tuple[int, int, int, int]]:
        """Return all strings in the order of the search.

        Each row holds the descriptor, the step to the next one, and the cycles of a look at it with the step: if it is
        empty, and if it is not, up to the compare with the bottom of the heap.
        """
        memory, ram = self.memory, self.ram
        table = []
        for at in range(TEMPST, ram[TEMPPT], 3):
            table.append(_visit(at, at, _ARRAY_STEP))
        for at in range(memory.word(VARTAB), memory.word(ARYTAB), 7):
            if not ram[at] & 0x80 and ram[at + 1] & 0x80:
                table.append(_visit(at, at + 2, _SIMPLE_STEP))
        at, end = memory.word(ARYTAB), memory.word(STREND)
        while at < end:
            following = at + (ram[at + 2] | ram[at + 3] << 8)
            if not ram[at] & 0x80 and ram[at + 1] & 0x80:
                for element in range(at + 5 + 2 * ram[at + 4], following, 3):
                    table.append(_visit(element, element, _ARRAY_STEP))
            at = following
        return table

    def _fixed_pass_cycles(self) -> int:
        """Return the cycles of one pass over all descriptors that do not depend on the strings."""
        memory, ram = self.memory, self.ram
        cycles = 6 + 2 + 6 + 12 + 4 + 6  # FNDVAR to TVAR
        temporaries = (ram[TEMPPT] - TEMPST) // 3
        cycles += temporaries * (3 + 2 + JSR + 3) + 3 + 3
        cycles += 2 + 3 + 6 + 6  # SVARS
        arrays = memory.word(ARYTAB)
        for at in range(memory.word(VARTAB), arrays, 7):
            cycles += 3 + (3 if at >> 8 != arrays >> 8 else 2 + 3 + 2) + JSR + 3
            if ram[at] & 0x80:
                cycles += 5 + 3 + _step(at, at + 7)
            elif not ram[at + 1] & 0x80:
                cycles += 5 + 2 + 2 + 5 + crossings(at, 1, 1) + 3 + _step(at, at + 7)
        cycles += 3 + 2 + 3 + 3 + 6 + 2 + 3  # ARYVAR
        at, end = arrays, memory.word(STREND)
        entered = 6  # ARYVA2
        while True:
            cycles += entered + 3
            if at >> 8 == end >> 8:
                cycles += 2 + 3
                if at == end:
                    return cycles + 2 + JSR // 2
                cycles += 3
            else:
                cycles += 3
            length = ram[at + 2] | ram[at + 3] << 8
            cycles += 6 + 2 + 5 + 2 + 2 + 5 + 3 + 2 + 5 + 3 + 3 + 2 + 5 + 3 + 3 + 4 + crossings(at, 1, 3)
            following = at + length
            entered = 6
            if not ram[at + 1] & 0x80:
                cycles += 3
            elif ram[at] & 0x80:
                cycles += 2 + 2 + 3
            else:
                cycles += 2 + 2 + 2 + 2 + 5 + crossings(at, 4, 4) + 2 + 2 + 2 + 3 + 3
                first = at + 5 + 2 * ram[at + 4]
                cycles += (3 if first >> 8 == at >> 8 else 2 + 5) + 3
                for element in range(first, following, 3):
                    cycles += 3 + (3 if element >> 8 != following >> 8 else 2 + 3 + 2) + JSR + 3
                cycles += 3 + 2 + 3 + 3
                entered = 0
            at = following


def _step(at: int, following: int) -> int:
    """DVARTS: step to the next descriptor."""
    return 3 + 2 + 3 + 3 + (4 if at >> 8 == following >> 8 else 2 + 5) + 3 + 2 + RTS


def _visit(at: int, descriptor: int, step: int) -> tuple[int, int, int, int]:
    """DVARS, or DVAR where the descriptor is what INDEX1 (`at`) points to; see `Strings._descriptors`."""
    offset = descriptor - at
    cycles = 5 + _step(at, at + step) + crossings(at, offset, offset)
    if offset:
        cycles += 5 + 2 + 2 + 5 + 2 + 2 + crossings(at, 1, 1)
    return descriptor, step, cycles + 3, cycles + 2 + 2 + 5 + 2 + 2 + 5 + 3 + crossings(at, offset + 1, offset + 2)


def block_move_cycles(source_end: int, target_end: int, size: int) -> int:
    """Return the cost of moving a block up, by pages from its end (BLTUC)."""
    blocks, rest = divmod(size, 256)
    cycles = 25
    if rest:
        source = source_end - rest
        cycles += 2 + 11 + (3 if source_end & 255 >= rest else 9) + 9
        cycles += 3 if target_end & 255 >= rest else 2 + 5 + 3
        cycles += 16 * rest - 1 + crossings(source, 0, rest - 1)
    else:
        source = source_end
        cycles += 3
    cycles += blocks * (16 * 256 - 1 + crossings(source, 0, 255))
    return cycles + 12 * (blocks + 1) + 3 * blocks + 2 + RTS
