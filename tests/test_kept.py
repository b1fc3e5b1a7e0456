"""Tables that are read back instead of being computed again."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn import _kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / _kept.FOLDER


def counted(folder):
    calls = []

    @_kept.kept
    def table(first, *more):
        calls.append(first)
        frozen = np.arange(first, first + 3)
        frozen.flags.writeable = False
        return frozen, np.array([(1, 2.0)], [("a", "i8"), ("b", "f8")]).view(np.recarray)

    return table, calls


def test_the_second_time_it_is_read(folder):
    table, calls = counted(folder)
    made, read = table(5), table(5)
    assert calls == [5]
    assert [p.suffix for p in folder.iterdir()] == [".table"]
    for before, after in zip(made, read, strict=True):
        assert np.array_equal(before, after)
        assert type(before) is type(after)
        assert before.dtype == after.dtype
        assert before.flags.writeable == after.flags.writeable
    table(6)
    table(6, "more")
    assert calls == [5, 6, 6]


def test_damaged_files_are_made_again(folder):
    table, calls = counted(folder)
    table(1)
    (path,) = folder.iterdir()
    for content in (path.read_bytes()[:-5], b"", path.read_bytes().replace(b"numpy", b"xumpy")):
        path.write_bytes(content)
        assert table(1)[0].tolist() == [1, 2, 3]
    assert calls == [1] * 4


def test_without_a_folder_or_by_wish_all_is_computed(folder, monkeypatch, tmp_path):
    table, calls = counted(folder)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    assert table(1)[0].tolist() == table(1)[0].tolist() == [1, 2, 3]
    monkeypatch.setenv(_kept.OFF, "1")
    table(1)
    assert calls == [1, 1, 1]


def test_a_changed_source_is_noticed(monkeypatch, folder):
    table, calls = counted(folder)
    table(1)
    monkeypatch.setattr(_kept, "source_stamps", lambda: ("changed",))
    table(1)
    assert calls == [1, 1]
