"""The register map."""

from __future__ import annotations

import pytest

from sidlearn import registers
from sidlearn.errors import RegisterError


def test_map_is_complete_and_in_order():
    assert [r.number for r in registers.REGISTERS] == list(range(29))
    assert registers.REGISTERS[-1].address == 54300


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("FREQ_LO_1", 54272),
        ("CONTROL_2", 54283),
        ("SUSTAIN_RELEASE_3", 54292),
        ("FC_LO", 54293),
        ("MODE_VOL", 54296),
        ("OSC3", 54299),
    ],
)
def test_addresses_of_the_programmers_reference_guide(name, address):
    assert registers.REGISTERS[registers.NUMBER[name]].address == address
    assert registers.from_address(address) == registers.NUMBER[name]
    assert registers.from_address(name.lower()) == registers.NUMBER[name]


def test_map_repeats_every_32_bytes_up_to_d7ff():
    assert registers.from_address(0xD420) == 0
    assert registers.from_address(0xD7FF) == 31


@pytest.mark.parametrize("wrong", [-1, 32, 54271, 55296, 1.5, None, "VOLUME"])
def test_what_is_no_register_is_told(wrong):
    with pytest.raises(RegisterError):
        registers.from_address(wrong)


def test_nearest_name_is_told():
    with pytest.raises(RegisterError, match="did you mean CONTROL_1"):
        registers.from_address("CONTROL1")


@pytest.mark.parametrize("wrong", [-1, 256, 1.0, "x"])
def test_what_is_no_byte_is_told(wrong):
    with pytest.raises(RegisterError, match="0 to 255"):
        registers.check_value(wrong)
