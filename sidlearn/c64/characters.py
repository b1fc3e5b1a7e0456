"""The character ROM: letters of our own (`sidlearn.charset`) and the drawing characters, made from what they show.

Two sets of 256 characters in the order of the screen codes, eight bytes each; the second half of a set is the first one
inverted. Which drawing stands where: Commodore 64 Programmer's Reference Guide, appendix B.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from sidlearn import charset

SIZE = charset.SIZE
_ROW, _COLUMN = np.mgrid[0:SIZE, 0:SIZE]
_MIDDLE = (3, 4)
_CHECKS = (_ROW + _COLUMN) % 2 == 1

_ART = """
pound ...###.. ..#..... ..#..... .#####.. ..#..... ..#..... .######. ........
up    ...#.... ..###... .#.#.#.. ...#.... ...#.... ...#.... ...#.... ........
left  ........ ..#..... .#...... ######## .#...... ..#..... ........ ........
pi    ........ #######. .#..#... .#..#... .#..#... .#..#.#. .#...#.. ........
spade ...##... ..####.. .######. ######## ######## .##..##. ...##... ..####..
heart .##..##. ######## ######## ######## .######. ..####.. ...##... ........
club  ...##... ..####.. ...##... .##..##. ######## .######. ...##... ..####..
gem   ...##... ..####.. .######. ######## .######. ..####.. ...##... ........
ball  ..####.. .######. ######## ######## ######## ######## .######. ..####..
ring  ..####.. .##..##. ##....## #......# #......# ##....## .##..##. ..####..
tick  ........ .......# ......## #....##. ##..##.. .####... ..##.... ........
ne    ........ ........ ........ #####... ######.. ....##.. ...##... ...##...
se    ...##... ...##... ....##.. ######.. #####... ........ ........ ........
"""


@cache
def _art() -> dict[str, np.ndarray]:
    rows = (line.split() for line in _ART.strip().splitlines())
    return {name: np.array([[dot == "#" for dot in row] for row in rest]) for name, *rest in rows}


def _line(rows: tuple[int, ...] = (), columns: tuple[int, ...] = ()) -> np.ndarray:
    """Return whole rows and columns."""
    return np.isin(_ROW, rows) | np.isin(_COLUMN, columns)


def _arms(up: bool = False, down: bool = False, left: bool = False, right: bool = False) -> np.ndarray:
    """Return lines from the middle to the edges."""
    across, along = np.isin(_ROW, _MIDDLE), np.isin(_COLUMN, _MIDDLE)
    sides = (
        (up, along, _ROW <= 4),
        (down, along, _ROW >= 3),
        (left, across, _COLUMN <= 4),
        (right, across, _COLUMN >= 3),
    )
    shape = np.zeros((SIZE, SIZE), bool)
    for wanted, line, half in sides:
        if wanted:
            shape |= line & half
    return shape


def _quarters(*places: tuple[int, int]) -> np.ndarray:
    shape = np.zeros((SIZE, SIZE), bool)
    for row, column in places:
        shape |= (row == _ROW // 4) & (column == _COLUMN // 4)
    return shape


def _up_to(count: int, side: str) -> np.ndarray:
    """Return so many rows or columns from one side on."""
    distance = {"left": _COLUMN, "right": SIZE - 1 - _COLUMN, "top": _ROW, "bottom": SIZE - 1 - _ROW}[side]
    return distance < count


def _drawings() -> dict[int, np.ndarray]:
    """Return the shapes of screen codes 64 to 127, but for 94 and 96."""
    art = _art()
    falling, rising = abs(_ROW - _COLUMN) <= 0, abs(_ROW + _COLUMN - 7) <= 0
    falling, rising = falling | (_ROW - _COLUMN == 1), rising | (_ROW + _COLUMN == 8)
    make: dict[int, Callable[[], np.ndarray]] = {
        64: lambda: _line(_MIDDLE), 65: lambda: art["spade"], 66: lambda: _line(columns=_MIDDLE),
        67: lambda: _line(_MIDDLE), 68: lambda: _line((2, 3)), 69: lambda: _line((1, 2)), 70: lambda: _line((5, 6)),
        71: lambda: _line(columns=(2, 3)), 72: lambda: _line(columns=(5, 6)), 73: lambda: art["ne"],
        74: lambda: art["se"][:, ::-1], 75: lambda: art["se"], 76: lambda: _line((6, 7), (0, 1)),
        77: lambda: falling, 78: lambda: rising, 79: lambda: _line((0, 1), (0, 1)), 80: lambda: _line((0, 1), (6, 7)),
        81: lambda: art["ball"], 82: lambda: _line((6, 7)), 83: lambda: art["heart"], 84: lambda: _line(columns=(1, 2)),
        85: lambda: art["ne"][:, ::-1], 86: lambda: falling | rising, 87: lambda: art["ring"], 88: lambda: art["club"],
        89: lambda: _line(columns=(6, 7)), 90: lambda: art["gem"], 91: lambda: _line(_MIDDLE, _MIDDLE),
        92: lambda: _CHECKS & _up_to(4, "left"), 93: lambda: _line(columns=_MIDDLE), 95: lambda: _COLUMN >= _ROW,
        97: lambda: _up_to(4, "left"), 98: lambda: _up_to(4, "bottom"), 99: lambda: _up_to(1, "top"),
        100: lambda: _up_to(1, "bottom"), 101: lambda: _up_to(1, "left"), 102: lambda: _CHECKS,
        103: lambda: _up_to(1, "right"), 104: lambda: _CHECKS & _up_to(4, "bottom"), 105: lambda: _COLUMN + _ROW < 8,
        106: lambda: _up_to(2, "right"), 107: lambda: _arms(True, True, right=True), 108: lambda: _quarters((1, 1)),
        109: lambda: _arms(up=True, right=True), 110: lambda: _arms(down=True, left=True),
        111: lambda: _up_to(2, "bottom"), 112: lambda: _arms(down=True, right=True),
        113: lambda: _arms(up=True, left=True, right=True), 114: lambda: _arms(down=True, left=True, right=True),
        115: lambda: _arms(True, True, left=True), 116: lambda: _up_to(2, "left"), 117: lambda: _up_to(3, "left"),
        118: lambda: _up_to(3, "right"), 119: lambda: _up_to(2, "top"), 120: lambda: _up_to(3, "top"),
        121: lambda: _up_to(3, "bottom"), 122: lambda: _line((6, 7), (6, 7)), 123: lambda: _quarters((1, 0)),
        124: lambda: _quarters((0, 1)), 125: lambda: _arms(up=True, left=True), 126: lambda: _quarters((0, 0)),
        127: lambda: _quarters((0, 0), (1, 1)),
    }  # fmt: skip
    return {code: draw() for code, draw in make.items()}


@cache
def image() -> bytes:
    """Return the ROM, 4096 bytes: capitals and drawings, then small and capital letters."""
    art = _art()
    first = np.zeros((128, SIZE, SIZE), bool)
    for code in range(64):
        first[code] = charset.glyph(chr(code if code >= 32 else code + 64))
    for code, name in ((28, "pound"), (30, "up"), (31, "left"), (94, "pi")):
        first[code] = art[name]
    for code, shape in _drawings().items():
        first[code] = shape
    second = first.copy()
    for letter in range(1, 27):
        second[letter], second[letter + 64] = charset.glyph(chr(letter + 96)), first[letter]
    stripes = (_ROW + _COLUMN) // 2 % 2 == 0
    second[94], second[95], second[105] = ~_CHECKS, stripes, stripes[:, ::-1]
    second[122] = art["tick"]
    sets = np.concatenate([first, ~first, second, ~second])
    return np.packbits(sets, axis=2).tobytes()
