"""A run: every claim on every instance, over several processes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsq_sketch.files import write_whole
from lsq_sketch.versions import versions

from .backends import BackendError, Executor, executor
from .claim import Claim, Kind, registry
from .finding import Evidence, Finding, LeftOut, Searched, Verdict
from .journal import Journal
from .profile import PROFILES
from .verify import Examination
from .work import Batch, Outcome, Task, TrialError

ALPHA = 0.01
"""Default chance that anything true is refuted in a run, or anything false confirmed."""


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
    evidence : list of Evidence
        The same.
    findings : list of Finding
        In the order of claims and instances, whatever the order they ended in.
    left_out : list of LeftOut
    searched : list of Searched
        Worst cases found by searches.
    interrupted : int
        Tasks not finished because of Ctrl-C or a failure; what is known of them is reported.
    failure : str or None
        Why the run could not finish.
    """

    profile: str
    seed: int
    alpha: float
    claims: list[str]
    instances: list[str]
    evidence: list[Evidence]
    findings: list[Finding] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    searched: list[Searched] = field(default_factory=list)
    interrupted: int = 0
    failure: str | None = None

    def count(self, verdict: Verdict) -> int:
        """Number of findings with a verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def exit_status(self) -> int:
        """What a command should exit with.

        0: all confirmed; 1: something refuted; 3: nothing refuted, something undecided;
        4: nothing refuted, and the run could not finish. That no trials could decide a claim on
        the instance where a search found it tightest is no fault.
        """
        if self.count(Verdict.REFUTED):
            return 1
        if self.failure is not None:
            return 4
        doubtful = any(finding.is_doubtful for finding in self.findings)
        return 3 if doubtful or self.interrupted else 0

    @property
    def without_real_data(self) -> list[str]:
        """Claims that were tried on some given instance but on none of real data."""
        given = [finding for finding in self.findings if finding.evidence is not Evidence.SEARCH]
        tried = {finding.claim for finding in given}
        real = {finding.claim for finding in self.findings if finding.real}
        return [claim for claim in self.claims if claim in tried - real]


def assign(
    claims: Sequence[Claim],
    instances: Sequence[str],
    files: tuple[str, ...],
    profile: str,
    seed: int,
    alpha: float,
    evidence: Sequence[Evidence] = (Evidence.TRIALS,),
    seconds: float | None = None,
    evaluations: int | None = None,
) -> list[Task]:
    """The tasks of a run; alpha is split evenly over those that are random.

    Parameters
    ----------
    claims : sequence of Claim
    instances : sequence of str
        Names.
    files : tuple of str
        A user's own problem; empty for built-in ones.
    profile : str
    seed : int
    alpha : float
    evidence : sequence of Evidence
    seconds, evaluations : float and int, optional
        Budget of each search.

    Returns
    -------
    list of Task
        Instance by instance, so that a process meets few of them; searches last.
    """
    random = sum(claim.kind is not Kind.DETERMINISTIC for claim in claims)
    share = alpha / max(1, random * random_tasks(len(instances), evidence))
    searches = [
        Task(
            claim.id, SEARCH, (), profile, seed, share, Evidence.SEARCH, seconds, evaluations
        )
        for claim in claims
        if Evidence.SEARCH in evidence
    ]  # fmt: skip
    given = [
        Task(claim.id, instance, files, profile, seed, share, kind)
        for instance in instances
        for claim in claims
        for kind in _means(claim, evidence)
    ]
    return given + searches


SEARCH = "search"
"""Stands for the instances that a search makes up."""


def random_tasks(instances: int, evidence: Sequence[Evidence]) -> int:
    """Tasks of one random claim that may err: on each instance by trials, and in a search.

    Examples
    --------
    >>> random_tasks(17, [Evidence.TRIALS, Evidence.EXACT, Evidence.SEARCH])
    18
    """
    return instances * (Evidence.TRIALS in evidence) + (Evidence.SEARCH in evidence)


def _means(claim: Claim, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The kinds of evidence on instances that there are for a claim; all, if none is left."""
    given: list[Evidence] = [kind for kind in evidence if kind is not Evidence.SEARCH]
    without = {Evidence.EXACT} if claim.exact is None else set()
    return [kind for kind in given if kind not in without] or given


PIECE = 0.5
"""Seconds of trials that are sent to a process at once; never changes a result."""

FIRST_PIECE = 5
"""First looks, of one instance, that are sent to a process at once."""


class _Progress:
    """The state of every task of a run."""

    def __init__(self, tasks: Sequence[Task], known: Sequence[Outcome] = ()):
        self.tasks = tasks
        self.settled: dict[int, list[Finding] | LeftOut] = {}
        self.searched: dict[int, tuple[Searched, ...]] = {}
        self.saved: dict[str, str] = {}
        self._examinations: dict[int, Examination] = {}
        self._outcomes: dict[int, dict[int, Outcome]] = {i: {} for i in range(len(tasks))}
        self._pace: dict[int, float] = {}
        for outcome in known:
            self.add(outcome)

    def add(self, outcome: Outcome) -> None:
        """Take what came of a batch; judge its task whenever a look is complete."""
        number = outcome.number
        self._outcomes[number][outcome.start] = outcome
        if outcome.settled is not None:
            self.settled[number] = outcome.settled
            self.searched[number] = outcome.searched
            self.saved.update(outcome.saved)
            return
        self._pace[number] = outcome.seconds / (outcome.stop - outcome.start)
        if outcome.opening is not None:
            task = self.tasks[number]
            self._examinations[number] = Examination(
                registry()[task.claim], outcome.opening, PROFILES[task.profile], task.alpha
            )
        examination = self._examinations[number]
        while not (examination.finished or self._missing(number)):
            examination.look(self._observations(number))
        if examination.finished:
            self.settled[number] = examination.findings()

    def _observations(self, number: int) -> dict[str, list[float]]:
        """Those of the next look, in the order of the trials."""
        examination, seen = self._examinations[number], {}  # type: ignore[var-annotated]
        position = examination.done
        while position < examination.next_look:
            piece = self._outcomes[number].pop(position)
            for stage, values in piece.observations.items():
                seen.setdefault(stage, []).extend(values)
            position = piece.stop
        return seen

    def _missing(self, number: int) -> list[tuple[int, int]]:
        """Trials of the next look that were not done yet, as ranges."""
        examination = self._examinations[number]
        position, ranges = examination.done, []
        starts = sorted(self._outcomes[number])
        while position < examination.next_look:
            piece = self._outcomes[number].get(position)
            if piece is not None:
                position = piece.stop
                continue
            stop = min((s for s in starts if s > position), default=examination.next_look)
            ranges.append((position, stop))
            position = stop
        return ranges

    def known(self, number: int) -> list[Finding] | LeftOut | None:
        """What is known of a task, finished or not."""
        if number in self.settled:
            return self.settled[number]
        examination = self._examinations.get(number)
        return examination.findings() if examination is not None and examination.done else None

    def next_groups(self) -> list[list[Batch]]:
        """Everything that can be done now, in groups for one process each."""
        first: list[list[Batch]] = []
        later: list[tuple[float, Batch]] = []
        for number, task in enumerate(self.tasks):
            if number in self.settled:
                continue
            if number not in self._examinations:
                last = first[-1] if first else []
                alike = last and last[0].task.instance == task.instance != SEARCH
                if alike and len(last) < FIRST_PIECE:
                    last.append(Batch(number, task))
                else:
                    first.append([Batch(number, task)])
                continue
            pace = self._pace.get(number, PIECE)
            for start, stop in self._missing(number):
                step = max(1, int(PIECE / max(pace, 1e-9)))
                for a in range(start, stop, step):
                    b = min(stop, a + step)
                    later.append(((b - a) * pace, Batch(number, task, a, b)))
        # searches and real, large instances come last in the list: they go first
        return first[::-1] + _grouped(later)


def _outcomes(state: _Progress, execute: Executor) -> Iterator[list[Outcome]]:
    """Do all that is left, in rounds of looks; yields outcomes that are not yet recorded."""
    while groups := state.next_groups():
        for outcomes in execute(groups):
            done = [outcome for outcome in outcomes if outcome.failure is None]
            for outcome in done:
                state.add(outcome)
            yield done
            for outcome in outcomes:
                if outcome.failure is not None:
                    raise TrialError(outcome.failure)


def _collect(report: Report, state: _Progress) -> None:
    """Write what is known into the report, in the order of the claims and instances."""
    rank = {claim: position for position, claim in enumerate(report.claims)}
    for number in sorted(range(len(state.tasks)), key=lambda i: (rank[state.tasks[i].claim], i)):
        known = state.known(number)
        if isinstance(known, LeftOut):
            report.left_out.append(known)
        elif known is not None:
            report.findings.extend(known)
        report.searched.extend(state.searched.get(number, ()))


def _save(state: _Progress, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in state.saved.items():
        write_whole(folder / f"{name}.npz", base64.b64decode(content))


def _grouped(costed: Sequence[tuple[float, Batch]]) -> list[list[Batch]]:
    """Batches of one instance together, until a group takes about `PIECE` seconds."""
    groups: list[list[Batch]] = []
    total = 0.0
    for cost, batch in costed[::-1]:
        fits = groups and groups[-1][0].task.instance == batch.task.instance
        if fits and total + cost <= PIECE:
            groups[-1].append(batch)
            total += cost
        else:
            groups.append([batch])
            total = cost
    return groups


def _identity(report: Report, tasks: Sequence[Task]) -> dict[str, Any]:
    """What the outcomes of a run depend on."""
    files = sorted({name for task in tasks for name in task.files})
    return {
        "versions": versions(),
        "seed": report.seed,
        "profile": report.profile,
        "alpha": report.alpha,
        "claims": report.claims,
        "instances": report.instances,
        "evidence": report.evidence,
        "budget of a search": [tasks[0].seconds, tasks[0].evaluations] if tasks else [],
        "files": {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in files},
    }


def run(
    claims: Sequence[Claim],
    instances: Sequence[str],
    *,
    files: tuple[str, ...] = (),
    profile: str = "quick",
    seed: int = 0,
    alpha: float = ALPHA,
    evidence: Sequence[Evidence] = (Evidence.TRIALS,),
    seconds: float | None = None,
    evaluations: int | None = None,
    worst_cases: Path | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    journal: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Try to refute claims on instances.

    Parameters
    ----------
    claims : sequence of Claim
    instances : sequence of str
        Names from `catalogue`, or one name with ``files``.
    files : (design, target) or (instance,), optional
        A user's own problem, or a saved one.
    profile : {"quick", "full"}
    seed : int
    alpha : float
        Chance that anything true is refuted, or false confirmed, in the whole run.
    evidence : sequence of Evidence
    seconds, evaluations : float and int, optional
        Budget of the search for each claim's worst case; by default the profile's evaluations.
        With seconds, the report depends on the speed of the machine.
    worst_cases : Path, optional
        Folder for the worst instances found, made if need be; one file each.
    jobs : int
        Processes. The report does not depend on it.
    scheduler : str, optional
        Address of a Dask cluster's scheduler; ``jobs`` is then not used.
    journal : Path, optional
        Folder in which every finished batch is recorded.
    resume : bool, default False
        Go on with the journal, if there is one in the folder.
    progress : callable
        Called with the number of tasks done and in all.

    Returns
    -------
    Report
        With what is known so far, if interrupted by Ctrl-C or by a failure.

    Raises
    ------
    BackendError
        If there is no such Dask cluster.
    JournalError, OSError
        If the journal cannot be used.

    Examples
    --------
    >>> report = run([registry()["excess-identity"]], ["diabetes"])
    >>> report.findings[0].verdict.value, report.exit_status
    ('confirmed', 0)
    """
    report = Report(
        profile, seed, alpha, [claim.id for claim in claims], list(instances), list(evidence)
    )
    tasks = assign(
        claims, instances, files, profile, seed, alpha, evidence, seconds, evaluations
    )  # fmt: skip
    with ExitStack() as stack:
        diary = None
        if journal is not None:
            diary = stack.enter_context(Journal(journal, _identity(report, tasks), resume))
        state = _Progress(tasks, diary.outcomes if diary else ())
        progress(len(state.settled), len(tasks))
        execute = stack.enter_context(executor(min(jobs, len(tasks)), scheduler))
        try:
            for outcomes in _outcomes(state, execute):
                if diary is not None:
                    diary.append(outcomes)
                progress(len(state.settled), len(tasks))
        except KeyboardInterrupt:
            report.interrupted = len(tasks) - len(state.settled)
        except (BackendError, TrialError) as error:
            report.interrupted = len(tasks) - len(state.settled)
            report.failure = str(error)
    _collect(report, state)
    if worst_cases is not None:
        _save(state, worst_cases)
    return report
