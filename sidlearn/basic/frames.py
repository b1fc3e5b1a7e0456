"""What FOR and GOSUB leave on the stack."""

from __future__ import annotations

from dataclasses import dataclass

from sidlearn.basic.float40 import Fac

FOR_BYTES = 18
GOSUB_BYTES = 7  # five, and the return address of the statement that called


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
