"""What the stand-in ROMs do for programs in machine code."""

from __future__ import annotations

import pytest

from sidlearn.c64 import player, tune
from tests.c64.tunes import sid

ROWS = 25


def screen(source: str) -> list[str]:
    """Return the rows of the screen, in ASCII, after a program has called what it calls."""
    read = tune.read(sid(f"init: JSR $E544\n JSR main\nend: JMP end\nmain: {source}\n RTS", b"RSID"))
    ran = player.TunePlayer(read)
    ran.advance(400_000)
    assert ran.error is None
    cells = ran._machine.ram[0x0400:0x07E8].reshape(ROWS, 40) & 0x7F
    return ["".join(chr(c + 64) if c < 32 else chr(c) for c in row).rstrip() for row in cells.tolist()]


def text(message: str, rest: str = "") -> str:
    codes = ", ".join(str(ord(c)) for c in message)
    return f"LDA #<words\n LDY #>words\n JSR $AB1E\n {rest}\n RTS\nwords: .byte {codes}, 0\n"


def test_letters_appear_on_the_screen():
    rows = screen(text("HELLO\rWORLD 64!"))
    assert rows[:2] == ["HELLO", "WORLD 64!"]
    assert not any(rows[2:])


def test_the_screen_scrolls():
    rows = screen(text("".join(f"{chr(65 + n)}\r" for n in range(26))))
    assert rows[:24] == [chr(67 + n) for n in range(24)]


def test_long_lines_go_on_in_the_next_row():
    rows = screen(text("A" * 45))
    assert rows[:2] == ["A" * 40, "A" * 5]


def test_cursor_keys_and_clear():
    assert screen(text("XYZ\x93AB\x11\x9dC\x91D\x13E"))[:2] == ["EBD", " C"]


@pytest.mark.parametrize("number", [0, 7, 10, 1982, 40000, 65535])
def test_numbers(number):
    assert screen(f"LDX #{number & 255}\n LDA #{number >> 8}\n JSR $BDCD")[0] == str(number)


def test_the_cursor_is_put_where_plot_says():
    assert screen("LDX #3\n LDY #5\n CLC\n JSR $FFF0\n LDA #65\n JSR $FFD2")[3] == "     A"


def test_registers_come_through_chrout():
    rows = screen("LDX #3\n LDY #5\n LDA #66\n JSR $FFD2\n STX $0600\n STY $0601\n STA $0602")
    assert rows[12][32:35] == "CEB"
