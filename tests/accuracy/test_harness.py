"""The small C64 that runs the test programs, by itself: no checkout needed."""

from __future__ import annotations

import pytest

from sidlearn.cpu.assemble import assemble
from tests.accuracy.harness import FAIL, NONE, PASS, SECTORS, files_on_disk, run_program, sys_address

BASIC_LINE = bytes.fromhex("0b 08 0a 00 9e 32 30 36 31 00 00 00")


def program(tmp_path, source: str):
    """A .prg that SYS 2061 starts."""
    _, code, _ = assemble(source, 0x080D)
    path = tmp_path / "test.prg"
    path.write_bytes(b"\x01\x08" + BASIC_LINE + code)
    return path


def judge(tmp_path, source: str, **options):
    return run_program(program(tmp_path, source), **options)


@pytest.mark.parametrize("verdict", [PASS, FAIL])
def test_the_verdict_is_what_is_written_to_d7ff(tmp_path, verdict):
    result = judge(tmp_path, f"SEI\n LDA #{verdict}\n STA $D7FF")
    assert (result.verdict, result.reason, result.cycles) == (verdict, "verdict", 8)


def test_a_program_may_return_or_take_too_long(tmp_path):
    assert judge(tmp_path, "RTS").reason == "returned"
    assert judge(tmp_path, "JMP *", limit=2_600_000).reason == "time is over"
    assert judge(tmp_path, ".byte 2").reason == "jam"
    assert judge(tmp_path, "RTS").verdict == NONE


def test_osc3_of_a_sawtooth_moves_with_the_cycles_between_reads(tmp_path):
    source = """
        SEI
        LDA #0
        STA $D40E
        LDA #8
        STA $D412
        LDA #$10      ; $1000 a cycle: OSC3 counts cycles / 16
        STA $D40F
        LDA #$20
        STA $D412
        LDX $D41B     ; 4 cycles
        LDY $D41B
        LDX #17
wait:   DEX
        BNE wait
        LDA $D41B
        STY $02
        SEC
        SBC $02
        STA $D7FF
    """
    # from one read to the other: 2 + 17 * 5 - 1 + 4 = 90 cycles
    assert judge(tmp_path, source).verdict in (90 // 16, 90 // 16 + 1)


def test_irq_of_the_timer_goes_through_the_vector_in_ram(tmp_path):
    source = """
        SEI
        LDA #<handler
        STA $0314
        LDA #>handler
        STA $0315
        LDA #0
        STA $02
        CLI
loop:   LDA $02
        BEQ loop
        LDA #0
        STA $D7FF
handler: INC $02
        JMP $EA31
    """
    result = judge(tmp_path, source)
    assert result.verdict == PASS
    assert 16_000 < result.cycles < 17_000


@pytest.mark.parametrize(("control", "stolen"), [(0x1B, 25 * 43), (0x0B, 0)])
def test_bad_lines_take_25_times_43_cycles_of_a_frame(tmp_path, control, stolen):
    source = f"""
        SEI
        LDA #$7F
        STA $DC0D
        LDA #{control}
        STA $D011
        LDX #2
        LDA #0        ; wait for line 0 three times, and count the rounds of the last frame
frame:  BIT $D011
        BPL frame
low:    BIT $D011
        BMI low
        DEX
        BNE frame
        LDA #0
        STA $02
        STA $03
count:  INC $02       ; 5
        BNE *+4       ; 3, or 2 + 5
        INC $03
        BIT $D011     ; 4
        BPL count     ; 3
        JMP done
done:   LDA #0
        STA $D7FF
    """
    result = judge(tmp_path, source)
    rounds = int(result.machine.ram[2]) | int(result.machine.ram[3]) << 8
    expected = (256 * 63 - stolen) / (15 + 4 / 256)
    # a read modify write instruction may use up to 2 cycles of every bad line
    assert expected - 3 < rounds < expected + 3 + 25 * 2 / 15


@pytest.mark.parametrize("start", ["$01", "$11"])
def test_a_timer_counts_from_the_third_cycle_after_its_start_on(tmp_path, start):
    source = f"""
        SEI
        LDA #0
        STA $DC0E
        LDA #$FF
        STA $DC04
        STA $DC05
        LDA #{start}
        STA $DC0E
        LDA $DC04     ; read in the fourth cycle after the write
        STA $D7FF
    """
    # counted once in cycle 3 and once in cycle 4; a forced load costs one more
    assert judge(tmp_path, source).verdict == {"$01": 0xFD, "$11": 0xFE}[start]


def test_files_come_from_the_disk_image(tmp_path):
    image = bytearray(256 * sum(SECTORS))

    def sector(track: int, number: int) -> int:
        return 256 * (sum(SECTORS[:track]) + number)

    entry = sector(18, 1)
    image[entry : entry + 2] = 0, 0xFF
    image[entry + 2 : entry + 5] = 0x82, 17, 3
    image[entry + 5 : entry + 21] = b"DATA".ljust(16, b"\xa0")
    content = bytes(range(200)) * 2
    first, second = sector(17, 3), sector(17, 9)
    image[first : first + 256] = bytes((17, 9)) + content[:254]
    image[second : second + 2 + 146] = bytes((0, 1 + 146)) + content[254:]
    assert files_on_disk(bytes(image)) == {b"DATA": content}
    disk = tmp_path / "test.d64"
    disk.write_bytes(image)
    source = """
        LDA #4
        LDX #<name
        LDY #>name
        JSR $FFBD
        LDA #0
        LDX #$00
        LDY #$40
        JSR $FFD5
        BCS failed
        LDA #1        ; verify what was loaded
        LDX #$00
        LDY #$40
        JSR $FFD5
        LDA $90
        BNE failed
        INC $4001
        LDA #1
        LDX #$00
        LDY #$40
        JSR $FFD5
        LDA $90
        CMP #$10
        BNE failed
        LDA #0
        STA $D7FF
failed: LDA #$FF
        STA $D7FF
name:   .byte 68, 65, 84, 65
    """
    result = judge(tmp_path, source, disk=disk)
    assert result.verdict == PASS
    assert result.machine.ram[0x4002] == content[4]


def test_sys_takes_numbers_and_the_start_of_the_program():
    head = b"\x01\x08\x0b\x08\x0a\x00"
    assert sys_address(head + b"\x9e2061\x00") == 2061
    assert sys_address(head + b"\x9e (2064)\x00") == 2064
    assert sys_address(head + b"\x9e\xc2(43)\xaa256\xac\xc2(44)\xaa26\x00") == 0x0801 + 26
    assert sys_address(b"\x00\xc0\xea") == 0xC000
