"""Register frames taken apart: what each voice and the filter are set to, and in which cycle.

Values that are smooth (frequency, pulse width, cutoff, resonance, volume, envelope nibbles) stay tensors with
gradients; choices (waveform, gate, sync, ring, test, routing, filter mode) are whole numbers. Cycles are those of
`RegisterFrames.writes`: changed registers only, `WRITE_GAP_CYCLES` apart, in `FRAME_ORDER`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sidlearn.errors import LearnError
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FC_HI,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    MODE_VOL,
    PW_HI,
    PW_LO,
    RES_FILT,
    SUSTAIN_RELEASE,
    VOICE_STRIDE,
    VOICES,
    WRITABLE,
)
from sidlearn.surrogate.batch import array
from sidlearn.surrogate.grid import SLOTS, write_gap
from sidlearn.writes import FRAME_ORDER

COMMON = (FC_LO, FC_HI, RES_FILT, MODE_VOL)
"""Registers that all voices share."""
EVENTS = 5
"""Times at which a voice changes within a frame: FREQ_LO, FREQ_HI, PW_LO, PW_HI, CONTROL."""


@dataclass(frozen=True)
class Controls:
    """What frames set; b batch, f frames, 3 voices."""

    frequency: torch.Tensor
    """0..65535, (b, 3, f, 2): between the writes of FREQ_LO and FREQ_HI, and after both."""
    pulse_width: torch.Tensor
    """0..4095, (b, 3, f, 2): between the writes of PW_LO and PW_HI, and after both."""
    envelope: torch.Tensor
    """Attack, decay, sustain, release, 0..15, (b, 3, f, 4)."""
    cutoff: torch.Tensor
    """0..2047, (b, s): s slots, `SLOTS` a frame, in which what is set for all voices can change."""
    resonance: torch.Tensor
    """0..15, (b, s)."""
    volume: torch.Tensor
    """0..15, (b, s)."""
    control: np.ndarray
    """CONTROL, int64 (b, 3, f)."""
    routing: np.ndarray
    """Lower half of RES_FILT, int64 (b, s)."""
    mode: np.ndarray
    """Upper half of MODE_VOL, int64 (b, s)."""
    voice_cycles: np.ndarray
    """When FREQ_LO, FREQ_HI, PW_LO, PW_HI and CONTROL change, int64 (b, 3, f, 5); never falling."""
    envelope_cycles: np.ndarray
    """When ATTACK_DECAY and SUSTAIN_RELEASE change, int64 (b, 3, f, 2)."""


def round_straight_through(values: torch.Tensor) -> torch.Tensor:
    """Return whole register values 0..255 through which gradients pass as if they had not been rounded."""
    return values + (values.detach().clamp(0, 255).round() - values.detach())


def pack(
    frequency: torch.Tensor,
    pulse_width: torch.Tensor,
    control: torch.Tensor,
    attack_decay: torch.Tensor,
    sustain_release: torch.Tensor,
    cutoff: torch.Tensor,
    resonance_filter: torch.Tensor,
    mode_volume: torch.Tensor,
) -> torch.Tensor:
    """Return register frames (batch, frames, 25), as `DifferentiableSID` takes them, from whole quantities.

    High bytes are whole and low bytes keep the rest with its gradient, so that nothing is lost.

    Parameters
    ----------
    frequency, pulse_width, control, attack_decay, sustain_release : tensor, shape (batch, frames, 3)
        0..65535, 0..4095, and bytes.
    cutoff, resonance_filter, mode_volume : tensor, shape (batch, frames)
        0..2047, and bytes.
    """
    frequency_high, pulse_width_high, cutoff_high = (
        (value.detach() / step).floor() for value, step in ((frequency, 256), (pulse_width, 256), (cutoff, 8))
    )
    columns: list[torch.Tensor] = [torch.zeros_like(cutoff)] * WRITABLE
    for voice in range(VOICES):
        for offset, values in (
            (FREQ_LO, frequency - 256 * frequency_high),
            (FREQ_HI, frequency_high),
            (PW_LO, pulse_width - 256 * pulse_width_high),
            (PW_HI, pulse_width_high),
            (CONTROL, control),
            (ATTACK_DECAY, attack_decay),
            (SUSTAIN_RELEASE, sustain_release),
        ):
            columns[voice * VOICE_STRIDE + offset] = values[..., voice]
    columns[FC_LO], columns[FC_HI] = cutoff - 8 * cutoff_high, cutoff_high
    columns[RES_FILT], columns[MODE_VOL] = resonance_filter, mode_volume
    return torch.stack(torch.broadcast_tensors(*columns), -1)  # (B, F, 25)


def unpack(frames: torch.Tensor, frame_cycles: int, write_all: bool = False) -> Controls:
    """Return what register frames set.

    Parameters
    ----------
    frames : tensor, floating point, shape (batch, frames, 25)
        Register values 0..255; those of choices are rounded.
    frame_cycles : int
    write_all : bool
        Whether every register is written in every frame, each in a cycle of its own.

    Raises
    ------
    LearnError
        If the frames have a wrong shape, or values that no register holds.
    """
    _check(frames)
    whole = array(frames.float()).clip(0, 255)
    whole = np.floor(whole + 0.5).clip(0, 255).astype(np.int64)  # (B, F, 25)
    cycles = _write_cycles(whole, frame_cycles, write_all)
    codes, times = (
        np.stack([a[..., v * VOICE_STRIDE : (v + 1) * VOICE_STRIDE] for v in range(VOICES)], 1) for a in (whole, cycles)
    )  # (B, 3, F, 7)
    low, high = _of_voices(frames, FREQ_LO), _of_voices(frames, FREQ_HI)
    nibbles = [_nibbles(_of_voices(frames, r), codes[..., r]) for r in (ATTACK_DECAY, SUSTAIN_RELEASE)]
    frequency = torch.stack((low + 256 * _before(high), low + 256 * high), -1)
    pulse_high = _of_voices(frames, PW_HI) - _on(codes[..., PW_HI] & 0xF0, frames)
    pulse_low = _of_voices(frames, PW_LO)
    pulse_width = torch.stack((pulse_low + 256 * _before(pulse_high), pulse_low + 256 * pulse_high), -1)
    starts = np.arange(whole.shape[1])[None, :] * frame_cycles
    common = {r: _in_slots(frames, whole, cycles[..., r] - starts, r, frame_cycles) for r in COMMON}
    resonance, routing = _halves(*common[RES_FILT])
    volume, mode = _lower(*common[MODE_VOL])
    cutoff = common[FC_LO][0] - _on(common[FC_LO][1] & 0xF8, frames) + 8 * common[FC_HI][0]
    return Controls(
        frequency=frequency,
        pulse_width=pulse_width.clamp(0, 4095),
        envelope=torch.stack([*nibbles[0], *nibbles[1]], -1),
        cutoff=cutoff.clamp(0, 2047),
        resonance=resonance,
        volume=volume,
        control=codes[..., CONTROL],
        routing=routing,
        mode=mode,
        voice_cycles=np.stack([times[..., r] for r in (FREQ_LO, FREQ_HI, PW_LO, PW_HI, CONTROL)], -1),
        envelope_cycles=np.stack((times[..., ATTACK_DECAY], times[..., SUSTAIN_RELEASE]), -1),
    )


def _check(frames: torch.Tensor) -> None:
    if frames.ndim != 3 or frames.shape[-1] != WRITABLE or not frames.shape[1] or not frames.is_floating_point():
        raise LearnError(
            f"frames: expected a floating-point tensor (batch, frames, {WRITABLE}), "
            f"given {frames.dtype} {tuple(frames.shape)}"
        )
    if not np.isfinite(array(frames if frames.dtype == torch.float64 else frames.float())).all():
        raise LearnError("frames: expected register values 0 to 255, given one that is no number")


def _write_cycles(whole: np.ndarray, frame_cycles: int, write_all: bool) -> np.ndarray:
    """Return the cycle in which each register of each frame is written, or that before which it would have been."""
    ordered = whole[:, :, FRAME_ORDER]
    changed = (np.diff(ordered, axis=1, prepend=0) != 0) | write_all
    gap = write_gap(frame_cycles)
    earlier = np.cumsum(changed, axis=2) - changed  # changes of the frame that come first
    cycles = np.empty_like(whole)
    cycles[:, :, FRAME_ORDER] = earlier * gap + np.arange(whole.shape[1])[None, :, None] * frame_cycles
    return cycles


def _of_voices(frames: torch.Tensor, register: int) -> torch.Tensor:
    """Return a register of each voice, (b, 3, f).

    Registers are taken one by one: on tensors this small torch works alone, while threads that it wakes for larger ones
    wait for more in vain, and longer than the work takes.
    """
    return torch.stack([frames[..., v * VOICE_STRIDE + register] for v in range(VOICES)], 1)


def _before(values: torch.Tensor) -> torch.Tensor:
    """Return what each frame finds, 0 the first; frames come last."""
    return torch.cat((torch.zeros_like(values[..., :1]), values[..., :-1]), -1)


def _in_slots(
    frames: torch.Tensor, whole: np.ndarray, after: np.ndarray, register: int, frame_cycles: int
) -> tuple[torch.Tensor, np.ndarray]:
    """Return a register in each slot, smooth and whole; `after`: cycles from the start of the frame to its write."""
    written = after[..., None] <= np.arange(SLOTS) * write_gap(frame_cycles)  # (B, F, SLOTS)
    values = frames[..., register]
    smooth = torch.where(torch.from_numpy(written).to(frames.device), values[..., None], _before(values)[..., None])
    codes = whole[..., register]
    codes_before = np.concatenate((np.zeros_like(codes[:, :1]), codes[:, :-1]), 1)
    return smooth.flatten(1), np.where(written, codes[..., None], codes_before[..., None]).reshape(len(codes), -1)


def _on(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values).to(like)


def _nibbles(values: torch.Tensor, codes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the upper and the lower half of a register; its gradient goes to both, to each in its own unit."""
    rest = values - values.detach()  # 0, with the gradient
    return _on(codes >> 4, values) + rest / 16, _on(codes & 0xF, values) + rest


def _halves(values: torch.Tensor, codes: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Return the upper half as a smooth value and the lower one as bits."""
    return ((values - _on(codes & 0xF, values)) / 16).clamp(0, 15), codes & 0xF


def _lower(values: torch.Tensor, codes: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Return the lower half as a smooth value and the upper one as bits."""
    return (values - _on(codes & 0xF0, values)).clamp(0, 15), codes >> 4
