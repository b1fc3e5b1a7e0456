"""`DifferentiableSID`: register frames in, the sound of the chip out, with gradients for what is smooth."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sidlearn.chip import models
from sidlearn.clock import PAL
from sidlearn.errors import LearnError, nearest, one_of
from sidlearn.surrogate import envelope as envelopes
from sidlearn.surrogate import filter as filters
from sidlearn.surrogate.batch import array, tensor_like
from sidlearn.surrogate.controls import Controls, round_straight_through, unpack
from sidlearn.surrogate.grid import Cells, Grid, cells
from sidlearn.surrogate.mixer import (
    BAND_PASS,
    HIGH_PASS,
    LOW_PASS,
    Mix,
    count_bits,
    routes_of,
)
from sidlearn.surrogate.oscillator import waves
from sidlearn.surrogate.output import Decimate
from sidlearn.surrogate.render import render
from sidlearn.surrogate.voices import PER_EDGE, Voices

ENVELOPES = ("exact", "relaxed")
ROUNDINGS = ("soft", "straight-through")
TIMINGS = ("changes", "all")
BUFFERS = (
    "dac_wave", "dac_env", "combined", "summer", "mixer", "volume", "resonance", "opamp_reverse", "vcr_current",
    "vcr_gate", "cutoff", "summer_lines", "damping_lines", "reverse_lines", "mix_lines",
)  # fmt: skip
"""Fields of a chip's model that the surrogate works with; each is a buffer of the same name."""


class DifferentiableSID(nn.Module):
    """The SID as a layer: register frames to sound, aligned with the chip to the sample.

    Parameters
    ----------
    model : str
        A name from ``chip.models()``.
    sample_rate : int
        Of the sound, in Hz.
    frame_cycles : int
        Cycles of a register frame.
    clock_hz : int
        Chip cycles a second.
    envelope : str
        "exact": the chip's own generator, with the gradients of the relaxed one (straight-through); "relaxed": a smooth
        curve without the ADSR delay bug.
    rounding : str
        "soft": frequency, pulse width, cutoff, resonance and volume between whole register values; "straight-through":
        rounded, with gradients as if they were not.
    timing : str
        "changes": only registers that change are written, as by `RegisterFrames.writes`, so the sound is the chip's to
        the cycle; but where a value becomes one that is there already, all later writes of the frame move, and the
        sound with them. "all": every register has a cycle of its own, and the sound is smooth in all that is smooth.
    profile : str
        What makes this chip differ from its model, see `sidlearn.chip.models.profile`.

    Raises
    ------
    ModelError
        If there is no such model or profile.
    SampleRateError
        If the sample rate or the clock is out of range.
    LearnError
        If there is no such envelope, rounding or timing.

    Notes
    -----
    Gradients reach FREQ, PW, FC, RES, VOL and the envelope's nibbles; waveform, gate, sync, ring, test, routing and
    filter mode are choices and have none. The work is done on the CPU, whatever device the frames are on, in float32,
    or in float64 where the frames are; sound in float16 and bfloat16 is rounded at the end.

    Examples
    --------
    >>> sid = DifferentiableSID()
    >>> sid(torch.zeros(1, 50, 25)).shape
    torch.Size([1, 43990])
    """

    def __init__(
        self,
        model: str = "6581",
        sample_rate: int = 44_100,
        frame_cycles: int = PAL.frame_cycles,
        clock_hz: int = PAL.clock_hz,
        envelope: str = "exact",
        rounding: str = "soft",
        timing: str = "changes",
        profile: str = "",
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("envelope", envelope, ENVELOPES),
            ("rounding", rounding, ROUNDINGS),
            ("timing", timing, TIMINGS),
        ):
            if value not in known:
                raise LearnError(f"{name} {value!r}: expected {one_of(known)}{nearest(value, known)}")
        self.model, self.envelope, self.rounding, self.timing = model, envelope, rounding, timing
        self.frame_cycles = frame_cycles
        self.grid = Grid(sample_rate, clock_hz)
        _ = self.grid.delay  # checks the rates
        self._chip = models.load(model, clock_hz, **models.profile(profile))[0]
        for name in BUFFERS:
            values = np.array(self._chip[name])
            self.register_buffer(
                name, torch.from_numpy(values.astype(np.int32) if values.dtype == np.uint16 else values)
            )
        self._waves = waves(self._chip.dac_wave, self._chip.combined, self._chip)
        self._filter = filters.tables(model, self.grid.step_cycles, clock_hz, profile)
        self._mix_lines = np.array(self._chip.mix_lines).view(np.float32).reshape(-1, 2).astype(np.float64)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the sound of register frames, played from power-on.

        Parameters
        ----------
        frames : tensor, floating point, shape (batch, frames, 25)
            Register values 0..255.

        Returns
        -------
        audio : tensor, shape (batch, frames * frame_cycles * sample_rate // clock_hz)
            As `sidlearn.render` of the same frames; on the device and in the type of `frames`.

        Raises
        ------
        LearnError
            If the frames have a wrong shape or type.
        """
        given = frames.dtype
        if isinstance(frames, torch.Tensor) and given not in (torch.float32, torch.float64):
            frames = frames.float()
        controls = unpack(
            round_straight_through(frames) if self.rounding == "straight-through" else frames,
            self.frame_cycles,
            self.timing == "all",
        )
        grid = cells(self.grid, frames.shape[1], self.frame_cycles)
        levels = self.envelope_levels(controls, grid, frames)  # (B, 3, E)
        start = float((0.5 - self._chip.output_zero) * self._chip.output_scale)  # the board's capacitors at power-on
        if not (torch.is_grad_enabled() and frames.requires_grad) and frames.dtype == torch.float32:
            sound = render(
                controls, array(levels), self.grid, grid, self._waves, self._filter, self._mix_lines, start, self._chip
            )
            return tensor_like(sound, frames).to(given)  # (B, N)
        routed, mixed = Voices.apply(
            controls.frequency, controls.pulse_width, levels, controls, routes_of(controls), self._waves, grid,
            self._chip, frames.dtype != torch.float64,
        )  # (B, T), (B, T)  # fmt: skip
        filtered = self.filter(controls, routed, grid)  # (B, T)
        sound = Mix.apply(mixed, filtered, controls.volume, controls, grid.slots, self._mix_lines, self._chip)  # (B, T)
        return Decimate.apply(sound, self.grid, grid, start, self._chip).to(given)  # (B, N)

    def envelope_levels(self, controls: Controls, grid: Cells, like: torch.Tensor) -> torch.Tensor:
        """Return levels at the envelope DACs, (batch, 3, edges), an edge every `PER_EDGE` cells."""
        edges = -(-grid.count // PER_EDGE) + 1
        spacing = PER_EDGE * self.grid.step_cycles
        cycles = grid.edges[::PER_EDGE]
        cycles = np.append(cycles, cycles[-1] + spacing * np.arange(1, edges - len(cycles) + 1))
        dac = array(self.get_buffer("dac_env").to(like.dtype))
        levels = envelopes.exact(controls, cycles, dac) if self.envelope == "exact" else None
        if levels is not None and not controls.envelope.requires_grad:
            return tensor_like(levels, like)
        points = -(-edges // envelopes.EDGES_PER_POINT) + 1
        spread, apart = cycles[:: envelopes.EDGES_PER_POINT], envelopes.EDGES_PER_POINT * spacing
        spread = np.append(spread, spread[-1] + apart * np.arange(1, points - len(spread) + 1))
        coarse = envelopes.Relaxed.apply(controls.envelope, controls, spread)  # (B, 3, P)
        return envelopes.Convert.apply(coarse, dac, edges, levels)

    def filter(self, controls: Controls, routed: torch.Tensor, grid: Cells) -> torch.Tensor:
        """Return the sum of the selected filter outputs for the voltages led into it, (batch, cells)."""
        selected = controls.mode & (LOW_PASS | BAND_PASS | HIGH_PASS)
        if not selected.any():
            return torch.zeros_like(routed)
        iterations = 8 if routed.dtype == torch.float64 else 1
        return filters.Recur.apply(
            routed, controls.cutoff, controls.resonance, count_bits(controls.routing) + 2, selected, grid,
            self.grid.step_cycles, self._filter, iterations,
        )  # fmt: skip
