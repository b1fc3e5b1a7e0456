"""What FOR and GOSUB leave on the stack, and how much of it is left."""

from __future__ import annotations

from dataclasses import dataclass

from sidlearn.basic.float40 import Fac
from sidlearn.basic.messages import OUT_OF_MEMORY, BasicError

STACK_TOP = 0xFA  # stack pointer after CLR: BASIC-M6502, STKEND
FOR_BYTES = 18
GOSUB_BYTES = 7  # five, and the return address of the statement that called
FOR_STACK = 80  # bytes that FOR wants to see free: BASIC-M6502, GETSTK for nine words


@dataclass(slots=True)
class ForFrame:
    """An open loop: address of the variable, step and its sign, packed limit, and where the body begins."""

    variable: int
    step: Fac
    sign: int
    limit: bytes
    line: int
    position: int


@dataclass(slots=True)
class GosubFrame:
    """A subroutine in progress: line and text pointer of its GOSUB."""

    line: int
    position: int


class Frames:
    """The stack as BASIC uses it.

    Attributes
    ----------
    open : list
        Frames, innermost last.
    free : int
        Bytes left for a statement, whose own return address is taken off.
    """

    __slots__ = ("free", "open")

    def __init__(self) -> None:
        self.open: list[ForFrame | GosubFrame] = []
        self.free = STACK_TOP - 2

    def push(self, frame: ForFrame | GosubFrame) -> None:
        """Put a frame on top."""
        self.open.append(frame)
        self.free -= FOR_BYTES if isinstance(frame, ForFrame) else GOSUB_BYTES

    def pop(self) -> ForFrame | GosubFrame:
        """Take the innermost frame off."""
        frame = self.open.pop()
        self.free += FOR_BYTES if isinstance(frame, ForFrame) else GOSUB_BYTES
        return frame

    def clear(self) -> None:
        """Drop all."""
        self.open.clear()
        self.free = STACK_TOP - 2

    def loop(self) -> ForFrame | None:
        """Return the innermost frame if it is a loop."""
        frame = self.open[-1] if self.open else None
        return frame if isinstance(frame, ForFrame) else None

    def check(self, need: int) -> None:
        """Raise OUT OF MEMORY if fewer than `need` bytes are left."""
        if self.free < need:
            raise BasicError(OUT_OF_MEMORY)
