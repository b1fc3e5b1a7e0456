"""ROM images of a user, with images of our own in place of Commodore's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidlearn import basic
from sidlearn.c64 import kernal, romcheck
from sidlearn.cpu.assemble import assemble

# A "KERNAL" that, once keys are waiting, writes a table to the SID, and a "BASIC" of nothing but its name.
SOURCE = """
        LDA #0
        STA $C6
wait:   LDA $C6
        BEQ wait
        LDA $0277
        CMP #82         ; R
        BNE wait
        LDA #<table
        STA $FB
        LDA #>table
        STA $FC
        LDY #0
next:   LDA ($FB),Y
        CMP #$FF
        BEQ over
        TAX
        INC $FB
        BNE near
        INC $FC
near:   LDA ($FB),Y
        STA $D400,X
        INC $FB
        BNE next
        INC $FC
        BNE next
over:   JMP over
table:
"""


def put_roms(folder: Path, rows: list[tuple[int, int]]) -> None:
    folder.mkdir(exist_ok=True)
    pairs = "".join(f".byte {register}, {value}\n" for register, value in rows)
    _, code, _ = assemble(f"{SOURCE}{pairs}.byte $FF\n", kernal.KERNAL_AT)
    image = bytearray(code.ljust(8192, b"\0"))
    image[0x1FFC:0x1FFE] = kernal.KERNAL_AT.to_bytes(2, "little")
    (folder / "kernal.bin").write_bytes(image)
    (folder / "basic.bin").write_bytes(bytes(4) + kernal.BASIC_NAME + bytes(8180))


@pytest.fixture(scope="module")
def rows():
    events = basic.run(romcheck.LISTING, video="pal").writes.events
    return list(zip(events["register"].tolist(), events["value"].tolist(), strict=True))


def test_listing_ends_without_an_error_and_hears_every_kind_of_statement(rows):
    assert basic.run(romcheck.LISTING, video="pal").error is None
    assert len(rows) > 50
    assert len(set(rows)) > 30


def test_a_rom_that_makes_the_same_writes_is_told_so(tmp_path, rows):
    put_roms(tmp_path, rows)
    result = romcheck.compare(tmp_path)
    assert result.same
    assert result.text.startswith(f"interpreter and ROM make the same {len(rows)} writes")
    assert result.worst_ms > 100  # this one takes no time for BASIC


def test_the_first_difference_is_named(tmp_path, rows):
    changed = list(rows)
    register, value = changed[30]
    changed[30] = register, value ^ 1
    put_roms(tmp_path, changed)
    result = romcheck.compare(tmp_path)
    assert not result.same
    assert f"write 31 of {len(rows)} differs: ROM POKE {54272 + register},{value ^ 1}" in result.text
    put_roms(tmp_path, rows[:-1])
    assert f"the ROM makes {len(rows) - 1} writes" in romcheck.compare(tmp_path).text


def test_a_rom_that_does_not_run_is_told_so(tmp_path):
    put_roms(tmp_path, [])
    for content, why in (
        (b"\x02" * 0x1FFC + b"\0\xe0\0\0", "stops the CPU for good"),
        (bytes(0x1FFC) + b"\0\xc0\0\0", "ROM makes 0"),
    ):
        (tmp_path / "kernal.bin").write_bytes(content)
        assert why in romcheck.compare(tmp_path).text


def test_images_are_told_by_hash_and_size(tmp_path, monkeypatch):
    put_roms(tmp_path, [])
    (tmp_path / "short.bin").write_bytes(bytes(100))
    (tmp_path / "letters").write_bytes(bytes(4096))
    (tmp_path / "README.md").write_text("text")
    digest = hashlib.sha1((tmp_path / "basic.bin").read_bytes()).hexdigest()
    monkeypatch.setitem(romcheck.KNOWN, digest, (romcheck.BASIC, "BASIC of the test"))
    found = {image.path.name: image for image in romcheck.images(tmp_path)}
    assert sorted(found) == ["basic.bin", "kernal.bin", "letters", "short.bin"]
    assert (found["basic.bin"].kind, found["basic.bin"].known) == (romcheck.BASIC, True)
    assert found["kernal.bin"].kind == romcheck.KERNAL
    assert not found["kernal.bin"].known
    assert "unknown KERNAL ROM, SHA-1" in found["kernal.bin"].name
    assert found["letters"].kind == romcheck.CHARACTERS
    assert found["short.bin"].kind is None
    assert "100 bytes, expected 8192" in found["short.bin"].name


def doctor(folder: Path) -> tuple[int, list[dict]]:
    result = subprocess.run(
        [sys.executable, "-m", "sidlearn", "doctor", "--roms", "--json"],
        capture_output=True, text=True, cwd=folder, timeout=300, check=False,
        env={**os.environ, "XDG_CONFIG_HOME": str(folder), "SDL_AUDIODRIVER": "dummy"},
    )  # fmt: skip
    return result.returncode, [row for row in json.loads(result.stdout) if row["subject"].startswith("ROM")]


def test_doctor_says_what_to_do_without_images_and_judges_those_that_are_there(tmp_path, rows):
    status, found = doctor(tmp_path)
    assert status == 0
    assert [row["state"] for row in found] == ["note"]
    assert "no BASIC and no KERNAL image" in found[0]["found"]
    assert "put images" in found[0]["remedy"]
    put_roms(tmp_path / "roms", rows)
    status, found = doctor(tmp_path)
    assert status == 0
    assert [row["state"] for row in found] == ["note", "note", "note"]
    assert "the same" in found[2]["found"]
    put_roms(tmp_path / "roms", rows[1:])
    (tmp_path / "roms" / "odd").write_bytes(b"x")
    status, found = doctor(tmp_path)
    assert status == 1
    assert "differs: ROM" in found[-1]["found"]
    assert [row["state"] for row in found].count("fault") == 2
