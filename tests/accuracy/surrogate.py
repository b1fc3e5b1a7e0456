"""The differentiable chip beside the chip, registers at random: ``python -m tests.accuracy.surrogate [--seeds N]``."""

from __future__ import annotations

import argparse

import numpy as np

from sidlearn.learn.spectra import lsd
from tests.surrogate.test_synth import RATE, both, random_frames


def main(seeds: int, first: int = 0) -> None:
    """Print residuals without filter and distances with it: median, 9th decile and worst."""
    for model in ("6581", "8580"):
        residuals, distances = [], []
        for seed in range(first, first + seeds):
            chip, ours = both(random_frames(seed, False), model)
            residuals.append(10 * np.log10(((chip - ours) ** 2).sum() / (chip**2).sum()))
            distances.append(lsd(*both(random_frames(seed, True), model), RATE))
        for name, values, unit in (("residual, no filter", residuals, "dB"), ("LSD, filter", distances, "dB")):
            median, decile, worst = np.percentile(values, (50, 90, 100))
            print(
                f"{model}  {name:<20} median {median:6.2f}  90 % {decile:6.2f}  worst {worst:6.2f} {unit}", flush=True
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    main(given.seeds, given.first)
