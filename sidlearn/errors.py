"""One family of errors: each says in one line what was wrong, what was expected and what was given."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SidlearnError(Exception):
    """Whatever sidlearn itself finds wrong. The command line prints it on one line and ends with status 2."""


class RegisterError(SidlearnError, ValueError):
    """An address, register or value outside the SID's map."""


class WritesError(SidlearnError, ValueError):
    """Register writes or frames that break the rules of their type, such as time running backwards."""


class ModelError(SidlearnError, ValueError):
    """No such chip model or profile, or a setting that it does not have."""


class SampleRateError(SidlearnError, ValueError):
    """A sample rate outside what the decimator can make."""


class AudioError(SidlearnError, ValueError):
    """Sound that cannot be used or stored: not a number in it, a wrong shape, a broken file."""


class SourceError(SidlearnError, ValueError):
    """A file that is missing, of an unknown kind, or not what its suffix says."""


class OutputError(SidlearnError, ValueError):
    """An output that cannot be written."""


class ListingError(SidlearnError, ValueError):
    """A BASIC listing or program file that cannot be read."""


class LearnError(SidlearnError, ValueError):
    """A target or a setting that the learner cannot use."""


class InstrumentError(SidlearnError, ValueError):
    """An instrument that does not exist, or a file of one that cannot be read."""


class MidiError(SidlearnError, ValueError):
    """A MIDI file or message that cannot be read, or a setting of the player that does not exist."""


class ConfigError(SidlearnError, ValueError):
    """A mistake in ``sidlearn.toml`` or in an environment variable."""


class DeviceError(SidlearnError, RuntimeError):
    """No sound device, MIDI port or display where one is needed."""


def nearest(name: object, known: Iterable[object]) -> str:
    """Return `` (did you mean X?)`` for the known name closest to `name`, or an empty string."""
    close = get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def one_of(names: Iterable[object]) -> str:
    """Return the names as ``a, b or c``."""
    *head, last = [str(n) for n in names]
    return f"{', '.join(head)} or {last}" if head else last
