"""Fit level, pulse width and cutoff of a SID voice to a sound, by gradient through `DifferentiableSID` alone."""

from __future__ import annotations

import torch

from sidlearn.surrogate import DifferentiableSID, pack

sid = DifferentiableSID("8580", sample_rate=16_000, envelope="relaxed", timing="all")
voice, one = torch.tensor([1.0, 0.0, 0.0]).expand(1, 10, 3), torch.ones(1, 10)  # the first of three voices, ten frames
UNITS = torch.tensor([2.0, 200.0, 200.0])  # what a step of the descent is counted in


def note(values):
    """Return a pulse wave of 220 Hz through the low-pass filter: its sustain, pulse width and cutoff are the values."""
    level, width, cutoff = values
    sustain = 16 * level * voice
    frames = pack(3_746 * voice, width * voice, 0x41 * voice, 0 * voice, sustain, cutoff * one, 0x81 * one, 31 * one)
    return sid(frames)


def fit(target, start=(6.5, 900.0, 900.0), steps=160):
    """Return sustain 0..15, pulse width 0..4095 and cutoff 0..2047 whose note sounds like the target."""
    values = (torch.tensor(start) / UNITS).requires_grad_()
    descent = torch.optim.Adam([values], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    for _ in range(steps):
        descent.zero_grad()
        (note(values * UNITS) - target).square().mean().backward()
        descent.step()
        schedule.step()
    return (values * UNITS).tolist()


if __name__ == "__main__":
    print("sustain, pulse width, cutoff:", fit(note(torch.tensor([11.0, 1_400.0, 600.0])).detach()))
