"""Kernels over a batch: its rows on all of torch's threads, always cut so that the result is the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch

LANES = 16
"""Chips that are worked on side by side where one waits for the step before; fewer are filled up with copies."""


def over_rows(work: Callable[[int, int], object], rows: int, most: int = 1 << 30) -> None:
    """Call ``work(first, end)`` for parts of the rows, at most `most` rows each, on as many threads as torch has.

    Every row is worked on alone or beside others without touching them, so the parts do not change the result.
    """
    threads = max(1, min(torch.get_num_threads(), rows))
    size = min(most, -(-rows // threads))
    parts = [(first, min(first + size, rows)) for first in range(0, rows, size)]
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(*part)
    else:
        list(_pool(threads).map(lambda part: work(*part), parts))


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="surrogate")


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's numbers for a kernel, in memory of the CPU and in one piece."""
    return tensor.detach().cpu().contiguous().numpy()


def tensor_like(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return a kernel's result on the device of `like`."""
    return torch.from_numpy(values).to(like.device)
