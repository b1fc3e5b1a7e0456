"""What has been learned so far, on disk: a killed run goes on from here and ends with the same bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sidlearn.errors import LearnError, OutputError
from sidlearn.files import whole_file

KEY_FILE = "target.json"


class Progress(Protocol):
    """Is told how far a stage has come."""

    def __call__(self, done: float, what: str) -> None:
        """`done` is the share from 0 to 1 of all that there is to do, `what` a few words such as ``"notes"``."""


class Store(Protocol):
    """Where a stage of the learner keeps its results."""

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays put under `name`, or None."""

    def put(self, name: str, /, **arrays: Any) -> None:
        """Keep arrays under `name`."""


class Forgetful:
    """A store that keeps nothing."""

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """Return None."""
        return None

    def put(self, name: str, /, **arrays: Any) -> None:
        """Keep nothing."""


class Checkpoint:
    """A folder with one file a finished stage, for one target and one set of settings.

    Parameters
    ----------
    folder : Path
        It is made with the first result.
    key : mapping
        What the results depend on: a hash of the sound, the settings, the version.
    resume : bool
        Whether results that lie there already are used; if not they are thrown away.

    Raises
    ------
    LearnError
        If results of another target or other settings lie there and are to be used.
    """

    def __init__(self, folder: str | Path, key: Mapping[str, Any], resume: bool = False) -> None:
        self.folder = Path(folder)
        self._key = json.loads(json.dumps(key))
        self._lost = False
        if resume:
            self._check_key()
        else:
            self.discard()

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays put under `name`, or None."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None  # half a file is no result: the stage runs again

    def put(self, name: str, /, **arrays: Any) -> None:
        """Keep arrays under `name`. On a full disk the run goes on without."""
        if self._lost:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            key = self.folder / KEY_FILE
            if not key.exists():
                with whole_file(key) as file:
                    file.write(json.dumps(self._key, indent=1).encode())
            with whole_file(self._path(name)) as file:
                np.savez(file, **arrays)
        except (OSError, OutputError) as error:
            from sidlearn.terminal import note

            self._lost = True
            note(f"{self.folder}: no checkpoint from here on ({error}); learning goes on")

    def discard(self) -> None:
        """Throw all results away."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '_')}.npz"

    def _check_key(self) -> None:
        path = self.folder / KEY_FILE
        if not path.exists():
            return
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            found = {}
        other = [name for name in self._key if found.get(name) != self._key[name]]
        if other:
            name = other[0]
            raise LearnError(
                f"{self.folder}: cannot resume: its {name} is {found.get(name)!r}, asked for now {self._key[name]!r};"
                " run without --resume to begin again"
            )


def digest(audio: np.ndarray) -> str:
    """Return a name for a sound: equal for equal samples."""
    return hashlib.sha256(np.ascontiguousarray(audio).tobytes()).hexdigest()[:16]
