"""Units of work that any process or machine can do: a claim on an instance, some trials of it."""

from __future__ import annotations

import base64
import contextlib
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from .claim import registry
from .exact import certifiable, examine_exactly
from .finding import Evidence, Finding, LeftOut, Searched
from .instances import Instance, as_bytes, catalogue, from_files
from .profile import PROFILES
from .search import search
from .verify import Opening, next_look, observe, open_case, trial_seed


class TrialError(RuntimeError):
    """A trial could not be done; the message names its seed and the reason."""


@dataclass(frozen=True)
class Task:
    """One claim attacked in one way on one instance, in words that any process understands.

    Attributes
    ----------
    claim, instance : str
    files : tuple of str
        Of a user's own instance: design and target, or one saved instance; empty for a built-in.
    profile : str
    seed : int
    alpha : float
        Share of the run's error probability.
    evidence : Evidence
    seconds : float or None
        Budget of a search; None: the number of evaluations of the profile.
    evaluations : int or None
        The same, in evaluations.
    """

    claim: str
    instance: str
    files: tuple[str, ...]
    profile: str
    seed: int
    alpha: float
    evidence: Evidence = Evidence.TRIALS
    seconds: float | None = None
    evaluations: int | None = None


@dataclass(frozen=True)
class Batch:
    """Some trials of a task.

    Attributes
    ----------
    number : int
        Of the task in its run.
    task : Task
    start : int
        Number of the first trial.
    stop : int or None
        One past the last. None: open the case, and go on to the first look.
    """

    number: int
    task: Task
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a batch.

    Attributes
    ----------
    number : int
        Of the task in its run.
    start, stop : int
        Trials done.
    observations : dict of str to list of float
        By stage, in the order of the trials.
    opening : Opening or None
        Of the first batch of a task.
    settled : list of Finding, LeftOut or None
        What ends the task without further trials.
    searched : tuple of Searched
        The worst cases of a search.
    saved : dict of str to str
        Their instances by name, as `proofs_check.instances.as_bytes` in base 64.
    failure : str or None
        Why a trial could not be done, with its seed.
    seconds : float
        Time of the trials; says nothing about the result.
    """

    number: int
    start: int = 0
    stop: int = 0
    observations: dict[str, list[float]] = field(default_factory=dict)
    opening: Opening | None = None
    settled: list[Finding] | LeftOut | None = None
    searched: tuple[Searched, ...] = ()
    saved: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    seconds: float = 0.0


@cache
def _own_instance(files: tuple[str, ...]) -> Instance:
    return from_files(*files)


def instance_of(task: Task) -> Instance:
    """The instance of a task; loaded once in each process."""
    return _own_instance(task.files) if task.files else catalogue()[task.instance]


def name_trial(task: Task, index: int) -> str:
    """A trial in words, with its seed."""
    claim = registry()[task.claim]
    seed = trial_seed(task.seed, claim, task.instance, index)
    return (
        f"trial {index} of {task.claim} on {task.instance} "
        f"(numpy.random.SeedSequence({task.seed}, spawn_key={seed.spawn_key}))"
    )


class Diary:
    """What each worker process is doing, in a file of its own that outlives it.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def note(self, number: int, index: int) -> None:
        """Say that a trial begins."""
        file = _page(self.folder / f"{os.getpid()}")
        file.seek(0)
        file.write(f"{number:>12} {index:>20}\n")
        file.flush()

    def entries(self) -> list[tuple[int, int]]:
        """Numbers of the tasks and trials that were begun last, one a process."""
        found = []
        for page in sorted(self.folder.iterdir()):
            words = page.read_text().split()
            if len(words) == 2:
                found.append((int(words[0]), int(words[1])))
        return found


@cache
def _page(path: Path) -> IO[str]:
    return path.open("w")


def perform(batch: Batch, diary: Diary | None = None) -> Outcome:
    """Do the trials of a batch, in whatever process this is.

    Parameters
    ----------
    batch : Batch
    diary : Diary, optional
        Told of every trial before it begins.

    Returns
    -------
    Outcome
        Never raises for a fault in a claim: the outcome then says which trial failed and how.
    """
    current = batch.start

    def started(index: int) -> None:
        nonlocal current
        current = index
        if diary is not None:
            diary.note(batch.number, index)

    try:
        with contextlib.suppress(OSError):
            started(batch.start)
        return _perform(batch, started)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        failure = f"{name_trial(batch.task, current)} failed: {reason}"
        return Outcome(batch.number, batch.start, batch.start, failure=failure)


def _perform(batch: Batch, started: Callable[[int], None]) -> Outcome:
    return _MEANS[batch.task.evidence](batch, started)


def _try(batch: Batch, started: Callable[[int], None]) -> Outcome:
    task = batch.task
    claim, instance, profile = registry()[task.claim], instance_of(task), PROFILES[task.profile]
    opening, stop = None, batch.stop
    if stop is None:
        case = open_case(claim, instance, profile)
        if isinstance(case, LeftOut):
            return Outcome(batch.number, settled=case)
        opening, stop = case, next_look(claim, case.large, profile, 0)
    begun = time.perf_counter()
    observations = observe(claim, instance, task.seed, range(batch.start, stop), started)
    return Outcome(
        batch.number, batch.start, stop, observations, opening,
        seconds=time.perf_counter() - begun,
    )  # fmt: skip


def _compute(batch: Batch, started: Callable[[int], None]) -> Outcome:
    task = batch.task
    claim, profile = registry()[task.claim], PROFILES[task.profile]
    certify = certifiable()
    settled = examine_exactly(claim, instance_of(task), profile, task.seed, certify)
    return Outcome(batch.number, settled=settled)


def _search(batch: Batch, started: Callable[[int], None]) -> Outcome:
    task = batch.task
    profile = PROFILES[task.profile]
    evaluations = task.evaluations
    if evaluations is None and task.seconds is None:
        evaluations = profile.evaluations
    found = search(
        registry()[task.claim], profile=profile, alpha=task.alpha, seed=task.seed,
        seconds=task.seconds, evaluations=evaluations,
    )  # fmt: skip
    searched = tuple(
        Searched(
            found.claim, worst.finding.stage, worst.instance.name, worst.instance.description,
            worst.ratio, worst.tightness, found.evaluations,
        )
        for worst in found.worst
    )  # fmt: skip
    saved = {
        worst.instance.name: base64.b64encode(as_bytes(worst.instance)).decode()
        for worst in found.worst
    }
    settled = found.left_out or found.findings
    return Outcome(batch.number, settled=settled, searched=searched, saved=saved)


_MEANS = {Evidence.TRIALS: _try, Evidence.EXACT: _compute, Evidence.SEARCH: _search}
