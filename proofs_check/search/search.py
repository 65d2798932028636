"""A search for worst cases within a budget, and an honest account of what it found."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lsq_sketch.threads import single_threaded_blas

from ..claim import Claim, Kind
from ..finding import Evidence, Finding, LeftOut
from ..instances import Instance, Provenance
from ..profile import Profile
from ..verify import Opening, budget, decide, describe, trial_seed
from .evolution import Contender, Key, Search
from .objective import score, tightness

SEARCHING = 0.75
"""Share of a budget of seconds that goes into the search; the rest into fresh trials."""

FINAL_SHARE = 0.25
"""Fresh trials of the worst cases, over the trials of the search."""

FEWEST_FRESH = 200

AFTER_INTERRUPT = 1.0
"""Seconds of fresh trials, at most, once a search has been interrupted."""


@dataclass(frozen=True)
class Worst:
    """The worst instance found for one stage of a claim.

    Attributes
    ----------
    instance : Instance
        With a width of its own, and its provenance; named after the claim and the stage.
    finding : Finding
        The verdict on it, from trials that the search has not seen.
    kind : Kind
        Of the claim: where an upper bound is exact its finding is that of an equality.
    """

    instance: Instance
    finding: Finding
    kind: Kind

    @property
    def ratio(self) -> float:
        """Mean over bound: above 1 where an upper bound fails. NaN for other kinds of claims."""
        return self._over_bound(self.finding.mean)

    @property
    def ratio_interval(self) -> tuple[float, float]:
        """Confidence interval of `ratio`, right with probability ``1 - alpha`` at least."""
        return self._over_bound(self.finding.lower), self._over_bound(self.finding.upper)

    @property
    def tightness(self) -> float:
        """How much of the room of an upper bound is used, 1 where it is attained; else NaN.

        See `proofs_check.search.objective.tightness`.
        """
        if np.isnan(self.ratio):
            return float("nan")
        return tightness(self.finding.mean, self.finding.bound)

    def _over_bound(self, value: float) -> float:
        if self.kind is not Kind.UPPER_BOUND:
            return float("nan")
        if self.finding.bound == 0:
            return float("inf") if value > 0 else 1.0
        return value / self.finding.bound


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    claim : str
    seed : int
    evaluations : int
        Instances tried, counted once for each look: with this number and the seed the search can
        be repeated to the bit.
    trials : int
        Drawn in the search, without the fresh ones.
    seconds : float
        Taken in all.
    interrupted : bool
        Ended by Ctrl-C; then it cannot be repeated to the bit.
    worst : tuple of Worst
        One for each stage seen, the closest to failing first.
    inapplicable : tuple of (str, int)
        Why instances were not tried, and how many; most frequent first.
    """

    claim: str
    seed: int
    evaluations: int
    trials: int
    seconds: float
    interrupted: bool
    worst: tuple[Worst, ...]
    inapplicable: tuple[tuple[str, int], ...]

    @property
    def findings(self) -> list[Finding]:
        """One for each stage."""
        return [worst.finding for worst in self.worst]

    @property
    def left_out(self) -> LeftOut | None:
        """Why there are no findings, if there are none."""
        if self.worst:
            return None
        if sum(count for _, count in self.inapplicable) == self.evaluations:
            reason = (
                f"none of {self.evaluations} random instances met the hypotheses; most often: "
                f"{self.inapplicable[0][0]}"
            )
        else:
            reason = f"a budget of {self.evaluations} evaluations ends before the first trial"
        return LeftOut(self.claim, "search", False, reason, False, Evidence.SEARCH)


def search(
    claim: Claim,
    *,
    profile: Profile,
    alpha: float,
    seed: int = 0,
    seconds: float | None = None,
    evaluations: int | None = None,
    progress: Callable[[int], None] = lambda evaluations: None,
) -> SearchResult:
    """Look for the instances on which a claim comes closest to failing, or fails.

    Spectra, targets, sizes, layouts of clusters, widths, ranks and (for deterministic claims)
    scales are varied from random starts: see `proofs_check.search.evolution`. Upper bounds are
    made as tight as possible, equalities and distributions taken as far from the truth as
    possible, and the least slack is sought for deterministic claims, each stage in its turn.

    The verdict comes from trials on the worst instance that had no part in choosing it: a claim
    that holds is refuted with probability at most ``alpha``, however long the search.

    Parameters
    ----------
    claim : Claim
    profile : Profile
        Its tolerance, and how many fresh trials there are at most.
    alpha : float
        Error probability, split over the stages.
    seed : int
    seconds, evaluations : float and int, at least one of them
        Budget. With ``evaluations`` alone the same seed gives the same bits.
    progress : callable
        Called with the number of evaluations after each.

    Returns
    -------
    SearchResult
        After Ctrl-C with what is known so far.

    Raises
    ------
    ValueError
        If there is no budget, or it is not positive.

    Examples
    --------
    >>> from proofs_check.claim import registry
    >>> from proofs_check.profile import PROFILES
    >>> claim = registry()["false-sketch-solve-rate-linear"]
    >>> found = search(claim, profile=PROFILES["quick"], alpha=0.01, evaluations=300)
    >>> found.worst[0].finding.verdict.value, found.worst[0].ratio > 1.1
    ('refuted', True)
    """
    if seconds is None and evaluations is None:
        raise ValueError("a search needs a budget: give seconds, evaluations, or both.")
    for name, value in (("seconds", seconds), ("evaluations", evaluations)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, got {value!r}.")
    begun = time.monotonic()
    deadline = None if seconds is None else begun + SEARCHING * seconds
    state = Search(claim, profile, seed, deadline, evaluations, progress)
    interrupted = False
    with single_threaded_blas():
        try:
            state.run()
            worst = _account(state, alpha, None)
        except KeyboardInterrupt:
            interrupted = True
            worst = _account(state, alpha, time.monotonic() + AFTER_INTERRUPT)
    return SearchResult(
        claim.id, seed, state.evaluations, state.trials, time.monotonic() - begun, interrupted,
        worst, tuple(state.inapplicable.most_common()),
    )  # fmt: skip


def _account(state: Search, alpha: float, deadline: float | None) -> tuple[Worst, ...]:
    """The worst of each stage, on fresh trials."""
    stages = list(state.worst)
    count = int(FINAL_SHARE * state.trials / max(1, len(stages)))
    count = min(budget(state.claim, False, state.profile), max(FEWEST_FRESH, count))
    found = []
    for stage in stages:
        contender = state.worst[stage][0]
        if not state.deterministic and deadline is None:
            contender = _final(state, stage, max(1, count // len(state.worst[stage])))
        name = f"worst-{state.claim.id}" + (f"-{_words(stage)}" if len(stages) > 1 else "")
        instance = replace(contender.individual.instance, name=name)
        values = _fresh(state, stage, instance, count, deadline)
        trials = len(values)
        if state.deterministic:  # a counterexample is one, whoever found it
            values += _replay(state, stage, instance, contender.trial)
        finding = _judge(state, stage, instance, contender, values, trials, alpha / len(stages))
        reached = score(np.array(values), contender.individual.bounds[stage], state.claim.kind)
        signed = _signed(state, instance, contender, finding)
        found.append((reached, Worst(signed, finding, state.claim.kind)))
    found.sort(key=lambda pair: -pair[0])
    return tuple(worst for _, worst in found)


def _final(state: Search, stage: str, trials: int) -> Contender:
    """The worst of a stage when all that are left are held against each other once more."""
    keys = state.new_keys(trials)
    finalists = [state.contend(other.individual, keys) for other in state.worst[stage]]
    return max((f[stage] for f in finalists if stage in f), key=lambda c: c.score)


def _fresh(
    state: Search, stage: str, instance: Instance, count: int, deadline: float | None
) -> list[float]:
    """Observations of trials that the judge would draw on this instance; the search has not."""
    values: list[float] = []
    for index in range(count):
        if deadline is not None and time.monotonic() > deadline and values:
            break
        rng = np.random.default_rng(trial_seed(state.seed, state.claim, instance.name, index))
        values += [value for seen, value in state.observe(instance, rng) if seen == stage]
    return values


def _replay(state: Search, stage: str, instance: Instance, key: Key) -> list[float]:
    rng = np.random.default_rng(state.stream(*key))
    return [value for seen, value in state.observe(instance, rng) if seen == stage]


def _judge(
    state: Search,
    stage: str,
    instance: Instance,
    contender: Contender,
    values: list[float],
    trials: int,
    alpha: float,
) -> Finding:
    bounds, observations = contender.individual.bounds, np.array(values)
    opening = Opening(bounds, instance.name, False, False, instance.width)
    verdict = decide(
        observations, bounds[stage], state.claim.kind, state.profile.tolerance, alpha
    )  # fmt: skip
    finding = describe(
        state.claim, opening, stage, state.profile, verdict, observations, trials, alpha
    )  # fmt: skip
    return replace(finding, evidence=Evidence.SEARCH)


def _signed(state: Search, instance: Instance, contender: Contender, finding: Finding) -> Instance:
    """The instance with its provenance."""
    if finding.kind is Kind.UPPER_BOUND:
        reached = tightness(finding.mean, finding.bound)
    else:
        reached = finding.slack
    trial = tuple(int(k) for k in state.stream(*contender.trial).spawn_key)
    provenance = Provenance(
        state.claim.id, finding.stage, state.seed, state.evaluations, reached, trial
    )  # fmt: skip
    return replace(instance, provenance=provenance)


def _words(stage: str) -> str:
    return "-".join(re.findall("[a-z0-9]+", stage.lower()))
