"""Broken tunes, programs and disks: refused in a line, or played."""

from __future__ import annotations

import pytest

from tests.accuracy import broken_files

COUNT = 60


@pytest.mark.parametrize("suffix", [".sid", ".prg", ".d64"])
def test_broken_files_are_refused_or_play(suffix, tmp_path):
    told: list[str] = []
    files = {suffix: broken_files.seeds()[suffix]}
    ends = {ended for _, ended, _ in broken_files.run(files, COUNT, 2, tmp_path, told.append)}
    assert not told
    assert {"played", "refused"} <= ends
