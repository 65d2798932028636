"""The judge on trial: false statements must be refuted, their true twins must not.

Once for every false statement (`selftest`), and over many seeds for one pair (`measure_rates`):
how often the judge raises a false alarm, and how often it finds what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import joblib
import numpy as np

from .claim import registry
from .finding import Finding, LeftOut, Verdict
from .instances import catalogue
from .profile import PROFILES
from .run import ALPHA, Report, run
from .verify import examine


@dataclass(frozen=True)
class Pair:
    """A false statement beside its true twin, on the instance that tells them apart.

    Attributes
    ----------
    false, twin, instance : str
    false_findings, twin_findings : list of Finding
    """

    false: str
    twin: str
    instance: str
    false_findings: list[Finding]
    twin_findings: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether the false statement was refuted and the true one was not."""
        refuted = any(f.verdict is Verdict.REFUTED for f in self.false_findings)
        held = bool(self.twin_findings) and all(
            f.verdict is not Verdict.REFUTED for f in self.twin_findings
        )
        return refuted and held


def selftest(seed: int = 0, alpha: float = ALPHA, false: Sequence[str] = ()) -> list[Pair]:
    """Run every false statement and its twin on the instance that refutes the former.

    Parameters
    ----------
    seed : int
    alpha : float
        Of each run: the chance that a pair fails although the judge works is at most ``alpha``
        for its twin; a false statement is missed only if the trials run out.
    false : sequence of str
        Only these statements; all if empty.

    Returns
    -------
    list of Pair
    """
    claims = registry()
    pairs = []
    for claim in claims.values():
        if not claim.is_false or (false and claim.id not in false):
            continue
        assert claim.twin is not None
        assert claim.killer is not None
        reports: list[Report] = [
            run([claims[name]], [claim.killer], seed=seed, alpha=alpha)
            for name in (claim.id, claim.twin)
        ]
        pairs.append(
            Pair(claim.id, claim.twin, claim.killer, reports[0].findings, reports[1].findings)
        )
    return pairs


# ------------------------------------------------------------------ error rates


FALSE_STATEMENT = "false-whitened-law-without-d2"
"""An equality of a cheap instance, like its twin whitened-law: false alarms are possible at all."""

RATES_ALPHA = 0.05
"""Large enough for a few hundred repetitions to tell whether it is kept."""

REPETITIONS = 200

RATES_TRIALS = 256
"""Trials a repetition: looks after 32, 64, 128 and 256."""

CONFIDENCE = 0.95

LEAST_POWER = 0.9

CHUNK = 10


@dataclass(frozen=True)
class Rate:
    """A probability estimated by counting.

    Attributes
    ----------
    count, repetitions : int
    lower, upper : float
        Interval of Clopper and Pearson: holds the probability in 95 % of cases, or more.
    """

    count: int
    repetitions: int
    lower: float
    upper: float

    @property
    def value(self) -> float:
        """The share counted."""
        return self.count / self.repetitions


@dataclass(frozen=True)
class Rates:
    """How often the judge errs on one true and one false claim.

    Attributes
    ----------
    true, false, instance : str
    alpha : float
        Promised: a true claim is refuted with at most this probability, in all its stages
        together.
    false_alarm : Rate
        Repetitions in which the true claim was refuted.
    power : Rate
        Repetitions in which the false one was refuted.
    false_confirmed : Rate
        Repetitions in which the false one was confirmed.
    trials : float or None
        Median number of trials until the false one was refuted, of those in which it was.
    """

    true: str
    false: str
    instance: str
    alpha: float
    false_alarm: Rate
    power: Rate
    false_confirmed: Rate
    trials: float | None

    @property
    def passed(self) -> bool:
        """Whether the promise may be kept, and the power is surely at least `LEAST_POWER`."""
        kept = max(self.false_alarm.lower, self.false_confirmed.lower) <= self.alpha
        return kept and self.power.lower >= LEAST_POWER


def rate(count: int, repetitions: int) -> Rate:
    """A rate with its exact interval.

    Examples
    --------
    >>> round(rate(0, 200).upper, 4), rate(200, 200).upper
    (0.0183, 1.0)
    """
    from scipy.stats import binomtest  # here: it takes its time

    interval = binomtest(count, repetitions).proportion_ci(CONFIDENCE, method="exact")
    return Rate(count, repetitions, float(interval.low), float(interval.high))


def measure_rates(
    seed: int = 0,
    *,
    false: str = FALSE_STATEMENT,
    repetitions: int = REPETITIONS,
    alpha: float = RATES_ALPHA,
    trials: int = RATES_TRIALS,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rates:
    """The judge's false-alarm rate and power, over many seeds.

    Each repetition examines the false statement and its true twin on the instance that tells them
    apart, as a run does, with its own seed.

    Parameters
    ----------
    seed : int
        The seeds of the repetitions are drawn with it.
    false : str
        A false statement; its twin is the true claim.
    repetitions : int
    alpha : float
        Of each examination.
    trials : int
        At most so many trials of an examination.
    jobs : int
        Processes. The rates do not depend on it.
    progress : callable
        Called with the number of repetitions done and in all.

    Returns
    -------
    Rates

    Examples
    --------
    >>> found = measure_rates(repetitions=5, trials=64)
    >>> found.true, found.power.count
    ('whitened-law', 5)
    """
    claim = registry()[false]
    assert claim.twin is not None
    assert claim.killer is not None
    seeds = np.random.SeedSequence(seed).generate_state(repetitions, np.uint64).tolist()
    chunks = [seeds[a : a + CHUNK] for a in range(0, repetitions, CHUNK)]
    work = (joblib.delayed(_examine_pair)(false, chunk, alpha, trials) for chunk in chunks)
    found: list[tuple[Verdict, Verdict, int]] = []
    progress(0, repetitions)
    for part in joblib.Parallel(n_jobs=jobs, return_as="generator")(work):
        found.extend(part)
        progress(len(found), repetitions)
    on_true, on_false, counts = zip(*found, strict=True)
    refuted = [n for n, v in zip(counts, on_false, strict=True) if v is Verdict.REFUTED]
    return Rates(
        claim.twin,
        false,
        claim.killer,
        alpha,
        rate(on_true.count(Verdict.REFUTED), repetitions),
        rate(len(refuted), repetitions),
        rate(on_false.count(Verdict.CONFIRMED), repetitions),
        float(np.median(refuted)) if refuted else None,
    )


def _examine_pair(
    false: str, seeds: Sequence[int], alpha: float, trials: int
) -> list[tuple[Verdict, Verdict, int]]:
    """Verdicts on the twin and on the false statement, and the trials of the latter, by seed."""
    statement = registry()[false]
    twin = registry()[str(statement.twin)]
    instance = catalogue()[str(statement.killer)]
    profile = replace(PROFILES["quick"], trials=trials)
    out = []
    for seed in seeds:
        verdicts = []
        for claim in (twin, statement):
            findings = examine(claim, instance, profile, seed, alpha)
            assert not isinstance(findings, LeftOut)  # the killer meets the hypotheses of both
            verdicts.append((_overall(findings), max(finding.trials for finding in findings)))
        (on_true, _), (on_false, needed) = verdicts
        out.append((on_true, on_false, needed))
    return out


def _overall(findings: Sequence[Finding]) -> Verdict:
    """Refuted if any stage is, confirmed if all are."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.REFUTED in verdicts:
        return Verdict.REFUTED
    return Verdict.CONFIRMED if verdicts == {Verdict.CONFIRMED} else Verdict.UNDECIDED
