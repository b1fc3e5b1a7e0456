"""Files in, files out: one target or many, on this computer or over a Dask scheduler, by the same code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sidlearn import audio
from sidlearn.errors import LearnError, OutputError, SidlearnError
from sidlearn.files import in_folder
from sidlearn.learn import report
from sidlearn.learn.checkpoint import Checkpoint, Forgetful, Progress, Store
from sidlearn.learn.learner import AUTO, Learned, Settings, check_settings, key, learn

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf")
"""What a folder of targets is searched for; a file that is named may have any suffix that libsndfile reads."""

CHECKPOINT_SUFFIX = ".learning"
STEM = "{name}"
"""Stands for the target's name, without suffix, in the name of an output."""


@dataclass(frozen=True)
class Order:
    """What is to be learned, how, and where it goes.

    Attributes
    ----------
    targets : tuple of Path
        Sound files and folders of them.
    outputs : tuple of str
        Names of files, with ``{name}`` for the target's where there are several.
    report : str or None
        As an output, ending in ``.json`` or ``.html``.
    """

    targets: tuple[Path, ...]
    outputs: tuple[str, ...]
    report: str | None = None
    settings: Settings = field(default_factory=Settings)
    method: str = AUTO
    seconds: float | None = None
    resume: bool = False


@dataclass(frozen=True)
class Job:
    """One target of an order with the files that it becomes."""

    target: Path
    outputs: tuple[Path, ...]
    report: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it becomes."""
        return self.outputs + ((self.report,) if self.report else ())

    @property
    def checkpoint(self) -> Path:
        """The folder of its unfinished results."""
        first = self.files[0]
        return first.with_name(first.name + CHECKPOINT_SUFFIX)


@dataclass(frozen=True)
class Done:
    """What became of a job: a result, or the line that says why there is none."""

    job: Job
    learned: Learned | None = None
    error: str | None = None
    seconds: float = 0.0
    """Processor seconds that it took."""


class InProcess(Executor):
    """Does each job at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:  # type: ignore[override]
        """Run `fn` now and return its finished future."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor(scheduler: str | None, jobs: int) -> Iterator[Executor]:
    """Give what runs jobs: a Dask cluster, several processes, or this one.

    Raises
    ------
    LearnError
        If Dask is not installed or nobody answers at the address.
    """
    if scheduler is None:
        with InProcess() if jobs == 1 else ProcessPoolExecutor(jobs) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError:
        raise LearnError("--scheduler needs Dask: pip install 'distributed'") from None
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise LearnError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from None
    with client, client.get_executor() as pool:
        yield pool


def plan(order: Order) -> list[Job]:
    """Return the jobs of an order; every name is checked before anything runs.

    Raises
    ------
    LearnError, OutputError
        If a target is missing, an output cannot be written, or two targets would become one file.
    """
    check_settings(order.settings, order.method)
    if not order.outputs and order.report is None:
        raise LearnError("expected -o OUT or --report FILE: where the result goes")
    targets = list(_targets(order.targets))
    names = (*order.outputs, *([order.report] if order.report else []))
    if len(targets) > 1:
        bare = next((n for n in names if STEM not in n), None)
        if bare is not None:
            raise LearnError(f"{bare}: {len(targets)} targets need {STEM} in it, such as '{STEM}{Path(bare).suffix}'")
    jobs = []
    taken: dict[Path, Path] = {}
    for target in targets:
        files = [Path(name.replace(STEM, target.stem)) for name in names]
        for path in files:
            if path in taken:
                raise LearnError(f"{path}: both {taken[path]} and {target} would be written there")
            if path.resolve() == target.resolve():
                raise LearnError(f"{path}: the result would take the place of its target")
            taken[path] = target
        wanted = tuple(_check_output(path) for path in files[: len(order.outputs)])
        jobs.append(Job(target, wanted, report.check(files[-1]) if order.report else None))
    return jobs


def _check_output(path: Path) -> Path:
    from sidlearn import outputs
    from sidlearn.learn import instrument

    return in_folder(path) if instrument.is_instrument(path) else outputs.check(path)


def _targets(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise LearnError(f"{path}: no such file")
        if not path.is_dir():
            yield path
            continue
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in SOUND_SUFFIXES and p.is_file())
        if not found:
            raise LearnError(f"{path}: no sound file in this folder")
        yield from found


def run(
    order: Order, pool: Executor, progress: Progress | None = None, finished: Callable[[Done], None] | None = None
) -> list[Done]:
    """Learn every target and write its files; a target that cannot be learned does not stop the others.

    Parameters
    ----------
    order : Order
    pool : Executor
        From `executor`.
    progress : callable, optional
        Told how far the only job is, where it runs in this process.
    finished : callable, optional
        Told of each job when its files are written.
    """
    jobs = plan(order)
    done: list[Done] = []

    def take(result: Done) -> None:
        done.append(result)
        if finished is not None:
            finished(result)

    waiting: dict[Future, tuple[Job, np.ndarray, int]] = {}
    for job in jobs:
        if order.resume and not job.checkpoint.exists() and all(path.exists() for path in job.files):
            continue  # learned before the run was stopped
        try:
            sound, rate = audio.read(job.target)
        except SidlearnError as error:
            take(Done(job, error=str(error)))
            continue
        if order.seconds is not None:
            sound = sound[: max(round(order.seconds * rate), 1)]
        in_process = isinstance(pool, InProcess)
        extra = {"progress": progress} if in_process else {}
        future = pool.submit(_learn, sound, rate, order, job.checkpoint, **extra)
        if in_process:  # its files are written before the next one begins
            take(_finish(job, future, sound, rate))
        else:
            waiting[future] = (job, sound, rate)
    for future in as_completed(waiting):
        take(_finish(waiting[future][0], future, *waiting[future][1:]))
    return done


def _learn(
    sound: np.ndarray, sample_rate: int, order: Order, folder: Path, progress: Progress | None = None
) -> tuple[Learned, float]:
    """Learn one sound, wherever this runs; return the result and the processor seconds that it took."""
    store: Store = Forgetful()
    if folder.parent.is_dir():  # on a computer that sees the same files
        store = Checkpoint(folder, key(sound, order.settings, order.method), order.resume)
    start = time.process_time()
    settings = order.settings
    learned = learn(
        sound,
        sample_rate,
        frame_rate=settings.frame_rate,
        method=order.method,
        model=settings.model,
        quality=settings.quality,
        seed=settings.seed,
        voices=settings.voices,
        checkpoint=store,
        progress=progress,
    )
    return learned, time.process_time() - start


def _finish(job: Job, future: Future, sound: np.ndarray, sample_rate: int) -> Done:
    """Write the files of a job; what went wrong becomes its line."""
    try:
        learned, seconds = future.result()
        for path in job.outputs:
            learned.save(path)
        if job.report is not None:
            report.write(job.report, learned, sound, sample_rate, job.target.name)
    except OutputError as error:
        return Done(
            job, error=f"{error}" + (f"; --resume goes on from {job.checkpoint}" if job.checkpoint.exists() else "")
        )
    except SidlearnError as error:
        return Done(job, error=f"{job.target}: {error}")
    Checkpoint(job.checkpoint, {}).discard()
    return Done(job, learned, None, seconds)
