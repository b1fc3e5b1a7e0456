"""A differentiable modular synthesizer as a yardstick of speed, after the published description of torchsynth.

Source: Turian, Shier, Tzanetakis, McNally, Henry, "One billion audio sounds from GPU-enabled modular synthesis" (DAFx
2021): the voice has two LFOs with envelopes on their rate and depth, a modulation mixer at a hundredth of the sample
rate, a sine and a square-saw oscillator, noise, an amplifier for each, and a mixer. Written afresh from that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CONTROL_SHARE = 100  # audio samples for one of the control signals, as there
SHARPEST = 12_000.0  # of the square-saw's edge: partials * pitch, as there


class Voice:
    """A batch of voices with random settings."""

    def __init__(self, batch: int, seconds: float, sample_rate: int, seed: int = 0) -> None:
        import torch

        random = torch.Generator().manual_seed(seed)
        self.rate = sample_rate
        self.points = round(seconds * sample_rate / CONTROL_SHARE)
        self.samples = self.points * CONTROL_SHARE
        self.pitch = 36 + 48 * torch.rand(batch, 1, generator=random)
        self.settings = torch.rand(batch, 64, generator=random)
        self.noise = 2 * torch.rand(batch, self.samples, generator=random) - 1
        self.hold = 0.5 + seconds / 2 * torch.rand(batch, 1, generator=random)

    def play(self) -> torch.Tensor:
        """Return the sound, float32 (batch, samples)."""
        import torch

        with torch.no_grad():
            time = torch.arange(self.points) * (CONTROL_SHARE / self.rate)
            envelopes = [self._adsr(time, 5 * k) for k in range(6)]
            lfos = [self._lfo(30 + 4 * k, envelopes[2 * k], envelopes[2 * k + 1]) for k in range(2)]
            sources = torch.stack([*lfos, *envelopes[4:]], 1)  # (B, 4, C)
            weights = torch.softmax(self.settings[:, 38:58].reshape(-1, 5, 4), -1)
            control = weights @ sources  # (B, 5, C): two pitches, three levels
            audio = torch.nn.functional.interpolate(control, self.samples, mode="linear", align_corners=True)
            sine = torch.cos(self._phase(audio[:, 0], 58))
            phase = self._phase(audio[:, 1], 59)
            hz = 440 * 2 ** ((self.pitch - 69) / 12)
            partials = SHARPEST / (hz * torch.log10(hz))
            square = torch.tanh(math.pi * partials * torch.sin(phase) / 2)
            shape = self.settings[:, 60:61]
            sharp = (1 - shape / 2) * square * (1 + shape * torch.cos(phase))
            mixed = sine * audio[:, 2] + sharp * audio[:, 3] + self.noise * audio[:, 4]
            return mixed / 3

    def _adsr(self, time: torch.Tensor, at: int) -> torch.Tensor:
        """Return an envelope of straight ramps, bent by a power."""
        attack, decay, sustain, release, bend = (self.settings[:, at + k, None] for k in range(5))
        up = (time / (0.01 + attack)).clamp(0, 1)
        down = ((time - attack) / (0.01 + decay)).clamp(0, 1)
        end = ((time - self.hold) / (0.01 + release)).clamp(0, 1)
        power = 0.5 + 3 * bend
        return up**power * (1 - (1 - sustain) * down**power) * (1 - end**power)

    def _lfo(self, at: int, rate_envelope: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """Return a low-frequency oscillator whose five shapes are mixed."""
        import torch

        hz = 20 * self.settings[:, at, None] * (0.5 + rate_envelope)
        phase = torch.cumsum(2 * math.pi * hz * CONTROL_SHARE / self.rate, 1)
        saw = phase / (2 * math.pi) % 1
        shapes = torch.stack([
            torch.cos(phase), 4 * (saw - 0.5).abs() - 1, 2 * saw - 1, 1 - 2 * saw, torch.sign(saw - 0.5),
        ])  # fmt: skip
        weights = torch.softmax(self.settings[:, at : at + 5], -1)
        return depth * torch.einsum("sbt,bs->bt", shapes, weights)

    def _phase(self, modulation: torch.Tensor, at: int) -> torch.Tensor:
        """Return the phase of an oscillator whose pitch is modulated, in radians."""
        import torch

        note = self.pitch + 48 * (self.settings[:, at, None] - 0.5) * modulation
        hz = 440 * 2 ** ((note.clamp(0, 127) - 69) / 12)
        return torch.cumsum(2 * math.pi * hz / self.rate, 1)
