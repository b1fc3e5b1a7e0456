"""PETSCII: the names that listings give to its codes, and its characters in Unicode.

One table of keys serves every set of names: it is read for all of them and written for ``petcat`` and ``tok64``.
Sources: the key and colour codes of the Commodore 64 Programmer's Reference Guide, appendix C; the names as printed by
petcat of VICE 3.10, in the manual of tok64 1.4, the manual page of bastext 1.2 and the listing keys of the magazines
64'er, MikroBITTI and COMPUTE!'s Gazette.

Characters that have been read but not yet crunched are one `str` in which

* ``a``-``z``, ``A``-``Z``, digits and signs are typed keys (letters keep the case of the listing),
* `raw` characters stand for one byte each that no keyword search touches, and
* `shifted` characters stand for a letter typed with SHIFT, which may end an abbreviation.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sidlearn.errors import ListingError, nearest

PI = 0xFF  # what the screen editor stores for the pi key, in programs and strings alike
POUND, ARROW_UP, ARROW_LEFT = 0x5C, 0x5E, 0x5F
SHIFT = 0x80  # a letter's shifted code lies this far above its unshifted one

# code, petcat's name, tok64's name, further names (as read: lower case, without blanks, dots and hyphens).
# An empty name: that program writes the code as a number.
_KEYS = (
    (0x03, "stop", "", "runstop"),
    (0x05, "wht", "white", ""),
    (0x08, "dish", "", "disableshift"),
    (0x09, "ensh", "", "enableshift"),
    (0x0D, "", "", "return ret cr enter"),
    (0x0E, "swlc", "", "lowercase lower"),
    (0x11, "down", "down", "crsrdown cursordown crsrdn dn"),
    (0x12, "rvon", "reverse on", "rvson reverse rvs revon"),
    (0x13, "home", "home", "hom"),
    (0x14, "del", "", "delete"),
    (0x1B, "esc", "", "escape"),
    (0x1C, "red", "red", ""),
    (0x1D, "rght", "right", "crsrright cursorright crsrrt rt"),
    (0x1E, "grn", "green", ""),
    (0x1F, "blu", "blue", ""),
    (0x20, "", "space", "spc spaces"),
    (0x5C, "", "", "pound £"),
    (0x5E, "", "", "uparrow arrowup"),
    (0x5F, "", "", "leftarrow arrowleft backarrow larrow"),
    (0x81, "orng", "orange", "org"),
    (0x83, "", "", "run shiftrunstop"),
    (0x85, "f1", "f1", ""),
    (0x86, "f3", "f3", ""),
    (0x87, "f5", "f5", "r5"),
    (0x88, "f7", "f7", ""),
    (0x89, "f2", "f2", ""),
    (0x8A, "f4", "f4", ""),
    (0x8B, "f6", "f6", ""),
    (0x8C, "f8", "f8", ""),
    (0x8D, "sret", "", "shiftreturn"),
    (0x8E, "swuc", "", "uppercase upper graphics"),
    (0x90, "blk", "black", ""),
    (0x91, "up", "up", "crsrup cursorup"),
    (0x92, "rvof", "reverse off", "rvsoff rvoff revoff"),
    (0x93, "clr", "clear", "cls clrhome clearhome clearscreen"),
    (0x94, "inst", "", "insert ins instdel"),
    (0x95, "brn", "brown", ""),
    (0x96, "lred", "pink", "lightred ligred ltred"),
    (0x97, "gry1", "dark gray", "gray1 grey1 darkgrey dkgray dkgrey"),
    (0x98, "gry2", "gray", "gray2 grey2 grey mediumgray mediumgrey midgray midgrey"),
    (0x99, "lgrn", "light green", "liggreen ltgreen"),
    (0x9A, "lblu", "light blue", "ligblue ltblue"),
    (0x9B, "gry3", "light gray", "gray3 grey3 lightgrey liggray liggrey ltgray ltgrey"),
    (0x9C, "pur", "purple", ""),
    (0x9D, "left", "left", "crsrleft cursorleft crsrlf lf"),
    (0x9E, "yel", "yellow", ""),
    (0x9F, "cyn", "cyan", ""),
    (0xFF, "pi", "", "π"),
)

# What a key gives together with SHIFT, the Commodore key and CTRL.
# Source: Commodore 64 Programmer's Reference Guide, appendix C, and the keyboard's printed graphics.
_SHIFTED = {chr(c + 32): c + SHIFT for c in range(0x41, 0x5B)} | {
    "*": 0xC0, "+": 0xDB, "-": 0xDD, "@": 0xBA, "pound": 0xA9, "space": 0xA0, "^": 0xDE,
    "return": 0x8D, "home": 0x93, "clr": 0x93, "del": 0x94, "inst": 0x94, "run": 0x83, "stop": 0x83,
}  # fmt: skip
_COMMODORE = dict(zip("abcdefghijklmnopqrstuvwxyz", bytes.fromhex(
    "b0bfbcacb1bba5b4a2b5a1b6a7aab9afabb2aea3b8beb3bdb7ad"), strict=True)) | dict(zip("12345678", bytes.fromhex(
    "8195969798999a9b"), strict=True)) | {
    "+": 0xA6, "-": 0xDC, "*": 0xDF, "@": 0xA4, "pound": 0xA8, "^": 0xDE, "space": 0xA0,
}  # fmt: skip
_CONTROL = {chr(0x60 + c): c for c in range(1, 27)} | {
    "[": 0x1B, ":": 0x1B, "pound": 0x1C, "]": 0x1D, ";": 0x1D, "^": 0x1E, "=": 0x1F,
} | dict(zip("1234567890", bytes.fromhex("90051c9f9c1e1f9e1292"), strict=True))  # fmt: skip
_WITH = {
    "shift": _SHIFTED, "sh": _SHIFTED, "cbm": _COMMODORE, "cm": _COMMODORE, "c=": _COMMODORE,
    "commodore": _COMMODORE, "ctrl": _CONTROL, "ct": _CONTROL, "control": _CONTROL,
}  # fmt: skip
_KEY_WORDS = {
    "asterisk": "*", "plus": "+", "minus": "-", "at": "@", "£": "pound", "\\": "pound", "uparrow": "^",
    "arrowup": "^", "pi": "^",
}  # fmt: skip

# The picture of each code in Unicode, upper case and graphics set: $A0 to $DF ($60 to $7F repeat $C0 to $DF).
# Source: the table C64IPRI.TXT of Unicode proposal L2/19-025 (terminals working group).
_GRAPHICS = (
    "\u00a0▌▄▔▁▏▒▕🮏◤🮇├▗└┐▂┌┴┬┤▎▍🮈🮂🮃▃🭿▖▝┘▘▚"
    "─♠🭲🭸🭷🭶🭺🭱🭴╮╰╯🭼╲╱🭽🭾●🭻♥🭰╭╳○♣🭵♦┼🮌│π◥"
)  # fmt: skip
# What else people's editors put into a listing, as the key that was meant.
_TYPED = {
    "£": "\\", "↑": "^", "←": "_", "“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "–": "-", "−": "-",
    "\u00a0": " ", "\ufeff": "",
}  # fmt: skip

_RAW_LOW = 0xE000  # private characters for raw bytes below 128; those above stand for themselves
_SHIFTED_BASE = 0xE100
_NOTHING = "\ue200"  # the empty name: no byte, but text


def raw(code: int) -> str:
    """Return the character that stands for byte `code` (1 to 255) and that crunching leaves alone."""
    return chr(code) if code >= 0x80 else chr(_RAW_LOW + code)


def shifted(letter: str) -> str:
    """Return the character that stands for `letter` (``a`` to ``z``) typed with SHIFT."""
    return chr(_SHIFTED_BASE + ord(letter))


SHIFTED_LETTERS = "".join(shifted(chr(c)) for c in range(ord("a"), ord("z") + 1))

# Typed and shifted characters to bytes, after crunching. Letters: small ones unshifted, capitals shifted.
_BYTE_OF_ASCII = bytes(
    c - 0x20 if 0x61 <= c <= 0x7A else c + SHIFT if 0x41 <= c <= 0x5A else c + 0x60 if 0x60 <= c <= 0x7D else c
    for c in range(256)
)
_BYTE_OF_PRIVATE = {_RAW_LOW + c: c for c in range(0x80)} | {
    _SHIFTED_BASE + c: c + 0x60 for c in range(0x61, 0x7B)
}  # fmt: skip


def to_bytes(text: str) -> bytes:
    """Return the PETSCII bytes of crunched characters."""
    try:
        return text.encode("latin-1").translate(_BYTE_OF_ASCII)
    except UnicodeEncodeError:
        codes = map(ord, text.replace(_NOTHING, ""))
        return bytes(_BYTE_OF_PRIVATE[c] if c >= _RAW_LOW else _BYTE_OF_ASCII[c] for c in codes)


def _names() -> dict[str, str]:
    """Return the characters of every plain name, by its simplified form."""
    names = {}
    for code, petcat, tok64, others in _KEYS:
        # a printable key counts as typed: {arrow up} is the power sign, and a keyword to BASIC
        char = chr(code) if 0x20 <= code < 0x60 else raw(code)
        for name in (petcat, _simple(tok64), *others.split()):
            if name:
                names[name] = char
    return names


def _simple(name: str) -> str:
    return re.sub(r"[ ._-]+", "", name.lower())


_NAMES = _names()
_COMBINATION = re.compile(r"(shift|sh|cbm|cm|c=|commodore|ctrl|ct|control)[ +_-](.+)", re.IGNORECASE)
_COUNT_AFTER = re.compile(r"(.+?)\s*\*\s*(\d+)")
_COUNT_BEFORE = re.compile(r"(\d+)\s+(\D.*)")


@lru_cache(maxsize=4096)
def escape(name: str) -> str:
    """Return the characters that ``{name}`` stands for in a listing.

    Parameters
    ----------
    name : str
        What stands between the braces: a name of any of the sets (``clr``, ``reverse on``, ``CBM-A``, ``sh +``), a code
        (``147``, ``$93``), either with a count (``down*10``, ``5 right``), or nothing.

    Returns
    -------
    characters : str
        Codes as `raw` characters; letters with SHIFT as `shifted` ones.

    Raises
    ------
    ListingError
        For a name in none of the sets, a code outside 1 to 255, or more than 255 repeats.
    """
    if not name:
        return _NOTHING
    char = _key(name)
    if char is not None:
        return char
    for pattern, name_group, count_group in ((_COUNT_AFTER, 1, 2), (_COUNT_BEFORE, 2, 1)):
        if match := pattern.fullmatch(name.strip()):
            count = int(match[count_group])
            if not 1 <= count <= 255:
                raise ListingError(f"{{{name}}}: expected a count of 1 to 255, got {count}")
            if (char := _key(match[name_group])) is not None:
                return char * count
            if match[name_group].lower().endswith("s") and (char := _key(match[name_group][:-1])) is not None:
                return char * count
            name = match[name_group]
    known = [n for _, petcat, tok64, _ in _KEYS for n in (petcat, tok64) if n] + list(_NAMES)
    raise ListingError(f"unknown name {{{name}}}{nearest(name.lower(), known)}; expected a key, {{147}} or {{$93}}")


def _key(name: str) -> str | None:
    """Return the character of one key or code without a count, or None."""
    text = name.strip()
    if text.isdecimal() and text.isascii():
        return raw(_code(name, int(text)))
    if re.fullmatch(r"(\$|0x)[0-9a-fA-F]{1,4}", text):
        return raw(_code(name, int(text.lstrip("$"), 16)))
    if match := _COMBINATION.fullmatch(text):
        key = match[2].strip()
        key = key.lower() if len(key) == 1 else _simple(key)
        key = _KEY_WORDS.get(key, key)
        keys = _WITH[match[1].lower()]
        if key in keys:
            return shifted(key) if keys is _SHIFTED and len(key) == 1 and key.isalpha() else raw(keys[key])
    return _NAMES.get(_simple(text))


def _code(name: str, code: int) -> int:
    if not 1 <= code <= 255:
        raise ListingError(f"{{{name}}}: expected a code of 1 to 255 (a line cannot hold 0), got {code}")
    return code


_SPECIAL = re.compile("\\{([^{}\n]*)\\}|[^\x09\x0a\x20-\x7a|]")


def read(text: str) -> str:
    """Return listing text with its names, and its characters outside ASCII, as the characters of this module.

    Raises
    ------
    ListingError
        For an unknown name, a brace without its other half, a control character, or a character that PETSCII lacks.
        The attribute ``position`` says where in `text`.
    """
    if not _SPECIAL.search(text):
        return text
    return _SPECIAL.sub(_read_special, text)


def _read_special(match: re.Match[str]) -> str:
    char = match[0]
    try:
        if match[1] is not None:
            return escape(match[1])
        if (meant := _TYPED_CHARS.get(char)) is not None:
            return meant
        if char in "{}":
            raise ListingError(f"a {char} without its other half; expected a name in both, as in {{clr}}")
        if char < " " or "\x7f" <= char < "\xa0":
            raise ListingError(f"control character {ord(char)} in the text; expected a listing, not a binary file")
        raise ListingError(f"{char!r} (U+{ord(char):04X}) is not in PETSCII; expected an ASCII letter or {{147}}")
    except ListingError as error:
        error.position = match.start()  # type: ignore[attr-defined]
        raise


_TYPED_CHARS = _TYPED | {
    char: raw(0xA0 + i) for i, char in enumerate(_GRAPHICS) if char not in ("π", "\u00a0")
} | {"π": raw(PI), "Π": raw(PI), "~": raw(PI)}  # fmt: skip


def _quoted_texts(form: str) -> list[str]:
    """Return how each code is written inside quotes and after REM in the given form."""
    number = {"petcat": "{{${:02x}}}", "tok64": "{{{:03d}}}"}[form]
    texts = [number.format(code) for code in range(256)]
    for code in range(0x20, 0x5F):
        texts[code] = chr(code)
    for code in range(0x41, 0x5B):
        texts[code] = chr(code + 0x20)
        texts[code + SHIFT] = chr(code)
    if form == "tok64":
        texts[POUND] = number.format(POUND)  # a backslash at the end of a line would continue it
    else:
        texts[ARROW_LEFT] = "_"
        for prefix, keys in (("CTRL", _CONTROL), ("SHIFT", _SHIFTED), ("CBM", _COMMODORE)):
            for key, code in keys.items():
                if (key in ("pound", "space") or len(key) == 1) and texts[code].startswith("{$") and key not in ":;":
                    texts[code] = f"{{{prefix}-{key.upper()}}}"
    for code, petcat, tok64, _ in _KEYS:
        if code != 0x20 and (name := petcat if form == "petcat" else tok64):
            texts[code] = f"{{{name}}}"
    return texts


QUOTED = {form: tuple(_quoted_texts(form)) for form in ("petcat", "tok64")}
NUMBER = {
    "petcat": tuple(f"{{${code:02x}}}" for code in range(256)),
    "tok64": tuple(f"{{{code:03d}}}" for code in range(256)),
}
FORMS = tuple(QUOTED)


class Terminal:
    """Turns what a program prints into plain text, piece by piece.

    Unshifted letters are capitals, as on the screen after power-on, until code 14 switches to the set with small
    letters (142 switches back). RETURN ends a line, cursor right is a blank, other controls are left out.

    Examples
    --------
    >>> Terminal().text(b"HELLO" + bytes([13]))
    'HELLO\\n'
    """

    def __init__(self) -> None:
        self._small_letters = False

    def text(self, output: bytes) -> str:
        """Return the next piece of output as text."""
        chars: list[str] = []
        for code in output:
            if code in (0x0E, 0x8E):
                self._small_letters = code == 0x0E
            else:
                chars.append(_SMALL_SET[code] if self._small_letters else _GRAPHICS_SET[code])
        return "".join(chars)


def to_terminal(output: bytes) -> str:
    """Return the whole output of a program as plain text (see `Terminal`)."""
    return Terminal().text(output)


def _screen_chars() -> tuple[list[str], list[str]]:
    """Return the text of every code in the graphics set and in the set with small letters."""
    graphics = [""] * 256
    for code in range(0x20, 0x60):
        graphics[code] = {POUND: "£", ARROW_UP: "↑", ARROW_LEFT: "←"}.get(code, chr(code))
    for code in range(0xA0, 0xE0):
        graphics[code] = _GRAPHICS[code - 0xA0].replace("\u00a0", " ")
    graphics[0x60:0x80], graphics[0xE0:0xFF], graphics[PI] = graphics[0xC0:0xE0], graphics[0xA0:0xBF], "π"
    graphics[0x0D] = graphics[0x8D] = "\n"
    graphics[0x1D] = " "
    small = list(graphics)
    for letter in range(0x41, 0x5B):
        small[letter] = chr(letter).lower()
        small[letter + 0x20] = small[letter + SHIFT] = chr(letter)
    return graphics, small


_GRAPHICS_SET, _SMALL_SET = _screen_chars()
