"""A run: every claim on every instance, over several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import joblib

from .claim import Claim, Kind, registry
from .finding import Finding, LeftOut, Verdict
from .instances import Instance, catalogue, from_files
from .profile import PROFILES
from .verify import examine

ALPHA = 0.01
"""Default chance that anything true is refuted in a run, or anything false confirmed."""


@dataclass(frozen=True)
class Task:
    """One claim on one instance, in words that any process understands.

    Attributes
    ----------
    claim, instance : str
    files : tuple of str or None
        Design and target of a user's own instance.
    profile : str
    seed : int
    alpha : float
        Share of the run's error probability.
    """

    claim: str
    instance: str
    files: tuple[str, str] | None
    profile: str
    seed: int
    alpha: float


@dataclass
class Report:
    """What a run found.

    Attributes
    ----------
    profile : str
    seed : int
    alpha : float
        Of the whole run.
    claims, instances : list of str
        What was asked for.
    findings : list of Finding
        In the order of claims and instances, whatever the order they ended in.
    left_out : list of LeftOut
    interrupted : int
        Tasks not finished because of Ctrl-C.
    """

    profile: str
    seed: int
    alpha: float
    claims: list[str]
    instances: list[str]
    findings: list[Finding] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    interrupted: int = 0

    def count(self, verdict: Verdict) -> int:
        """Number of findings with a verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def exit_status(self) -> int:
        """0: all confirmed; 1: something refuted; 3: nothing refuted, something undecided."""
        if self.count(Verdict.REFUTED):
            return 1
        return 3 if self.count(Verdict.UNDECIDED) or self.interrupted else 0

    @property
    def without_real_data(self) -> list[str]:
        """Claims that were tried on some instance but on none of real data."""
        tried = {finding.claim for finding in self.findings}
        real = {finding.claim for finding in self.findings if finding.real}
        return [claim for claim in self.claims if claim in tried - real]


_user_instances: dict[tuple[str, str], Instance] = {}


def _instance(task: Task) -> Instance:
    if task.files is None:
        return catalogue()[task.instance]
    if task.files not in _user_instances:
        _user_instances[task.files] = from_files(*task.files)
    return _user_instances[task.files]


def perform(task: Task) -> list[Finding] | LeftOut:
    """Do one task, in whatever process this is."""
    return examine(
        registry()[task.claim], _instance(task), PROFILES[task.profile], task.seed, task.alpha
    )


def plan(
    claims: Sequence[Claim],
    instances: Sequence[str],
    files: tuple[str, str] | None,
    profile: str,
    seed: int,
    alpha: float,
) -> list[Task]:
    """The tasks of a run; alpha is split evenly over those that are random.

    Parameters
    ----------
    claims : sequence of Claim
    instances : sequence of str
        Names; ignored where ``files`` is given.
    files : (design, target) or None
        A user's own problem.
    profile : str
    seed : int
    alpha : float

    Returns
    -------
    list of Task
        Instance by instance, so that a process meets few of them.
    """
    random = sum(claim.kind is not Kind.DETERMINISTIC for claim in claims)
    share = alpha / max(1, random * len(instances))
    return [
        Task(claim.id, instance, files, profile, seed, share)
        for instance in instances
        for claim in claims
    ]


def perform_all(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[int, list[Finding] | LeftOut]]:
    """Results with the indices of their tasks, as they come.

    Parameters
    ----------
    tasks : sequence of Task
    jobs : int
        Processes; 1 runs everything in this one.

    Yields
    ------
    (int, list of Finding or LeftOut)
    """
    if jobs == 1:
        yield from _numbered(0, tasks)
        return
    # whole instances go to one process each, the largest first: none is factored twice in vain
    chunks = _chunks(tasks)
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    for results in parallel(joblib.delayed(_perform_chunk)(*chunk) for chunk in chunks):
        yield from results


def _numbered(first: int, tasks: Sequence[Task]) -> Iterator[tuple[int, list[Finding] | LeftOut]]:
    for index, task in enumerate(tasks, first):
        yield index, perform(task)


def _perform_chunk(first: int, tasks: Sequence[Task]) -> list[tuple[int, list[Finding] | LeftOut]]:
    return list(_numbered(first, tasks))


CHUNK = 5
"""Tasks sent to a process at once: claims on one instance."""


def _chunks(tasks: Sequence[Task]) -> list[tuple[int, list[Task]]]:
    chunks: list[tuple[int, list[Task]]] = []
    for index, task in enumerate(tasks):
        last = chunks[-1][1] if chunks else []
        if last and last[0].instance == task.instance and len(last) < CHUNK:
            last.append(task)
        else:
            chunks.append((index, [task]))
    return chunks[::-1]  # real, large instances come last in the catalogue


def run(
    claims: Sequence[Claim],
    instances: Sequence[str],
    *,
    files: tuple[str, str] | None = None,
    profile: str = "quick",
    seed: int = 0,
    alpha: float = ALPHA,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Try to refute claims on instances.

    Parameters
    ----------
    claims : sequence of Claim
    instances : sequence of str
        Names from `catalogue`, or ``["user"]`` with ``files``.
    files : (design, target), optional
        A user's own problem.
    profile : {"quick", "full"}
    seed : int
    alpha : float
        Chance that anything true is refuted, or false confirmed, in the whole run.
    jobs : int
        Processes. The report does not depend on it.
    progress : callable
        Called with the number of tasks done and in all.

    Returns
    -------
    Report
        With what is known so far, if interrupted by Ctrl-C.

    Examples
    --------
    >>> report = run([registry()["excess-identity"]], ["diabetes"])
    >>> report.findings[0].verdict.value, report.exit_status
    ('confirmed', 0)
    """
    report = Report(profile, seed, alpha, [claim.id for claim in claims], list(instances))
    tasks = plan(claims, instances, files, profile, seed, alpha)
    results: dict[int, list[Finding] | LeftOut] = {}
    progress(0, len(tasks))
    try:
        for index, result in perform_all(tasks, min(jobs, len(tasks))):
            results[index] = result
            progress(len(results), len(tasks))
    except KeyboardInterrupt:
        report.interrupted = len(tasks) - len(results)
    rank = {claim: position for position, claim in enumerate(report.claims)}
    for index in sorted(results, key=lambda i: (rank[tasks[i].claim], i)):
        result = results[index]
        if isinstance(result, LeftOut):
            report.left_out.append(result)
        else:
            report.findings.extend(result)
    return report
