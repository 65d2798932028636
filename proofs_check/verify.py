"""The judge: one claim on one instance, until it is decided or the budget is spent."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsq_sketch import TooLargeError
from lsq_sketch.threads import single_threaded_blas

from .betting import confidence_interval, log_wealth
from .claim import Bound, Claim, HypothesisError, Kind, TooCostlyError
from .experiments import is_large
from .finding import Certainty, Evidence, Finding, LeftOut, Verdict
from .instances import Instance
from .profile import Profile

FIRST_LOOK = 32
"""Trials before the first look; the number doubles from look to look."""

FIRST_LOOK_LARGE = 8
"""The same on an instance of large rank, where trials cost more."""


def trial_seed(seed: int, claim: Claim, instance: str, index: int) -> np.random.SeedSequence:
    """The random stream of one trial.

    It depends on the seed of the run, the two names and the number of the trial alone, not on
    what else is run or where. A false statement has the trials of its true twin.

    Examples
    --------
    >>> from proofs_check.claim import registry
    >>> trial_seed(0, registry()["dense-rate"], "flat", 3).spawn_key[-1]
    3
    """
    names = (zlib.crc32(name.encode()) for name in (claim.twin or claim.id, instance))
    return np.random.SeedSequence(seed, spawn_key=(*names, index))


@dataclass(frozen=True)
class Opening:
    """What must be known of a claim on an instance before its trials can be judged.

    Attributes
    ----------
    bounds : dict of str to Bound
        By stage.
    instance : str
    real : bool
    large : bool
        Whether the instance gets the smaller budgets.
    width : int
        ``m`` used on this instance.
    """

    bounds: dict[str, Bound]
    instance: str
    real: bool
    large: bool
    width: int


def open_case(claim: Claim, instance: Instance, profile: Profile) -> Opening | LeftOut:
    """The bounds of a claim on an instance, or why there are none."""
    with single_threaded_blas():
        try:
            bounds = claim.bounds_within(instance, profile)
        except (HypothesisError, TooCostlyError, TooLargeError) as reason:
            costly = not isinstance(reason, HypothesisError)
            return LeftOut(claim.id, instance.name, instance.real, str(reason), costly)
        return Opening(
            bounds, instance.name, instance.real, is_large(instance), instance.width
        )  # fmt: skip


def observe(
    claim: Claim,
    instance: Instance,
    seed: int,
    trials: Iterable[int],
    started: Callable[[int], None] = lambda index: None,
) -> dict[str, list[float]]:
    """Observations of some trials, by stage, in the order of the trials.

    Parameters
    ----------
    claim : Claim
    instance : Instance
    seed : int
        Of the run.
    trials : iterable of int
        Numbers of the trials.
    started : callable
        Called with the number of a trial as it begins.
    """
    seen: dict[str, list[float]] = {}
    with single_threaded_blas():
        for index in trials:
            started(index)
            rng = np.random.default_rng(trial_seed(seed, claim, instance.name, index))
            for stage, observation in claim.trial(instance, rng):
                seen.setdefault(stage, []).append(float(observation))
    return seen


class Examination:
    """The judge of one claim on one instance: how many trials it wants, and what it makes of them.

    It looks at its observations after `FIRST_LOOK` trials and then whenever their number has
    doubled. A stage is judged at the first look that decides it.

    Parameters
    ----------
    claim : Claim
    opening : Opening
    profile : Profile
    alpha : float
        Chance of any wrong verdict here, divided among the claim's stages: an upper bound or
        equality that holds is refuted with at most this probability, and one that fails by more
        than the tolerance is confirmed with at most this probability.

    Attributes
    ----------
    done : int
        Trials seen.
    """

    def __init__(self, claim: Claim, opening: Opening, profile: Profile, alpha: float):
        self.claim, self.opening, self.profile = claim, opening, profile
        self.alpha = alpha / len(opening.bounds)
        self.done = 0
        self._budget = budget(claim, opening.large, profile)
        self._seen: dict[str, list[float]] = {stage: [] for stage in opening.bounds}
        self._found: dict[str, Finding] = {}

    @property
    def finished(self) -> bool:
        """Whether every stage is decided, or the budget spent."""
        return self.done >= self._budget or len(self._found) == len(self.opening.bounds)

    @property
    def next_look(self) -> int:
        """Number of trials at the next look."""
        return next_look(self.claim, self.opening.large, self.profile, self.done)

    def look(self, observations: Mapping[str, Sequence[float]]) -> None:
        """Take the observations of trials ``done`` to ``next_look``, in order, and judge."""
        for stage, seen in self._seen.items():
            seen.extend(observations.get(stage, ()))
        self.done = self.next_look
        for stage, bound in self.opening.bounds.items():
            if stage not in self._found:
                values = np.array(self._seen[stage])
                verdict = decide(values, bound, self.claim.kind, self.profile.tolerance, self.alpha)
                if verdict is not Verdict.UNDECIDED or self.done >= self._budget:
                    self._found[stage] = self._describe(stage, verdict, values)

    def findings(self) -> list[Finding]:
        """What is known so far, one finding a stage; the confidence holds at any time."""
        return [
            self._found.get(stage)
            or self._describe(stage, Verdict.UNDECIDED, np.array(self._seen[stage]))
            for stage in self.opening.bounds
        ]

    def _describe(self, stage: str, verdict: Verdict, observations: np.ndarray) -> Finding:
        return describe(
            self.claim, self.opening, stage, self.profile, verdict, observations, self.done,
            self.alpha,
        )  # fmt: skip


def budget(claim: Claim, large: bool, profile: Profile) -> int:
    """At most so many trials."""
    if claim.kind is Kind.DETERMINISTIC:
        trials = profile.deterministic_trials
        return max(3, trials // 10) if large else trials
    return profile.large_trials if large else profile.trials


def next_look(claim: Claim, large: bool, profile: Profile, done: int) -> int:
    """Number of trials at the look after the one at ``done``."""
    first = FIRST_LOOK_LARGE if large else FIRST_LOOK
    return min(budget(claim, large, profile), max(first, 2 * done))


def examine(
    claim: Claim, instance: Instance, profile: Profile, seed: int, alpha: float
) -> list[Finding] | LeftOut:
    """Try to refute one claim on one instance, here and now.

    Parameters
    ----------
    claim : Claim
    instance : Instance
    profile : Profile
    seed : int
        Of the run.
    alpha : float
        See `Examination`.

    Returns
    -------
    list of Finding, one a stage, or LeftOut
        LeftOut if a hypothesis is not met, or the profile is too small.
    """
    opening = open_case(claim, instance, profile)
    if isinstance(opening, LeftOut):
        return opening
    examination = Examination(claim, opening, profile, alpha)
    while not examination.finished:
        trials = range(examination.done, examination.next_look)
        examination.look(observe(claim, instance, seed, trials))
    return examination.findings()


def certainty_of_trials(kind: Kind, verdict: Verdict) -> Certainty:
    """What a verdict from trials rests on; a counterexample to a deterministic claim is exact."""
    if kind is not Kind.DETERMINISTIC:
        return Certainty.STATISTICAL
    return Certainty.ROUNDING if verdict is Verdict.REFUTED else Certainty.UNREFUTED


def judged_as(kind: Kind, bound: Bound) -> Kind:
    """An upper bound that is attained is judged as an equality."""
    return Kind.EQUALITY if bound.attained else kind


def equality_tolerance(value: float, tolerance: float) -> float:
    """The profile's tolerance, at most a quarter of the distance of ``value`` to 0 and to 1."""
    return min(tolerance, value / 4, (1 - value) / 4)


def decide(
    observations: np.ndarray, bound: Bound, kind: Kind, tolerance: float, alpha: float
) -> Verdict:
    """The verdict after some observations.

    Parameters
    ----------
    observations : ndarray, shape (t,)
        Ratios in [0, 1] (values above 1 by rounding count as 1), or relative slacks.
    bound : Bound
    kind : Kind
    tolerance : float
        Of an equality: see `equality_tolerance`.
    alpha : float
        Error probability of the two sides together.

    Returns
    -------
    Verdict
        Undecided without observations.

    Examples
    --------
    >>> decide(np.full(200, 0.5), Bound(0.6), Kind.UPPER_BOUND, 0.0, 0.01).value
    'confirmed'
    >>> decide(np.full(200, 0.5), Bound(0.4), Kind.UPPER_BOUND, 0.0, 0.01).value
    'refuted'
    """
    if observations.size == 0:
        return Verdict.UNDECIDED
    kind = judged_as(kind, bound)
    if kind is Kind.DETERMINISTIC:
        holds = bool((observations >= -bound.value).all())
        return Verdict.CONFIRMED if holds else Verdict.REFUTED
    ratios = np.clip(observations, 0, 1)
    if kind is Kind.DISTRIBUTION:
        distance, radius = kolmogorov_distance(ratios), dkw_radius(ratios.size, alpha)
        if distance > radius:
            return Verdict.REFUTED
        return Verdict.CONFIRMED if distance + radius <= bound.value else Verdict.UNDECIDED
    threshold = np.log(2 / alpha)

    def above(mean: float) -> bool:  # the mean is shown to be above
        return log_wealth(ratios, mean) >= threshold

    def below(mean: float) -> bool:
        return log_wealth(1 - ratios, 1 - mean) >= threshold

    if kind is Kind.UPPER_BOUND:
        if above(bound.value):
            return Verdict.REFUTED
        return Verdict.CONFIRMED if below(bound.value) else Verdict.UNDECIDED
    if above(bound.value) or below(bound.value):
        return Verdict.REFUTED
    within = equality_tolerance(bound.value, tolerance)
    if above(bound.value - within) and below(bound.value + within):
        return Verdict.CONFIRMED
    return Verdict.UNDECIDED


def kolmogorov_distance(values: np.ndarray) -> float:
    """Largest distance of the empirical distribution function from that of Uniform(0, 1).

    Examples
    --------
    >>> kolmogorov_distance(np.array([0.5]))
    0.5
    """
    ordered = np.sort(values)
    steps = np.arange(ordered.size + 1) / ordered.size
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def dkw_radius(count: int, alpha: float) -> float:
    """A distance the empirical distribution function never exceeds, whenever it is looked at.

    ``P(some count >= 1 has a larger distance) <= alpha``: the inequality of Dvoretzky, Kiefer and
    Wolfowitz with Massart's constant, at level ``alpha / (t (t + 1))`` for ``count = t``.

    Examples
    --------
    >>> round(dkw_radius(1000, 0.01), 3)
    0.098
    """
    return float(np.sqrt(np.log(2 * count * (count + 1) / alpha) / (2 * count)))


def describe(
    claim: Claim,
    opening: Opening,
    stage: str,
    profile: Profile,
    verdict: Verdict,
    observations: np.ndarray,
    trials: int,
    alpha: float,
) -> Finding:
    """The finding on one stage, from all its observations."""
    bound = opening.bounds[stage]
    kind = judged_as(claim.kind, bound)
    if observations.size == 0:
        mean, lower, upper, slack = float("nan"), 0.0, 1.0, float("nan")
    elif kind is Kind.DETERMINISTIC:
        mean, lower, upper = (float(f(observations)) for f in (np.mean, np.min, np.max))
        slack = lower
    else:
        ratios = np.clip(observations, 0, 1)
        mean = float(ratios.mean())
        lower, upper = confidence_interval(ratios, alpha)
        slack = -abs(mean - bound.value) if kind is Kind.EQUALITY else bound.value - mean
    if kind is Kind.DISTRIBUTION and observations.size:
        mean, radius = (
            kolmogorov_distance(np.clip(observations, 0, 1)),
            dkw_radius(observations.size, alpha),
        )
        lower, upper = max(0.0, mean - radius), min(1.0, mean + radius)
        slack = bound.value - mean
    tolerance = {
        Kind.DETERMINISTIC: bound.value,
        Kind.EQUALITY: equality_tolerance(bound.value, profile.tolerance),
        Kind.UPPER_BOUND: 0.0,
        Kind.DISTRIBUTION: bound.value,
    }[kind]
    return Finding(
        claim.id, opening.instance, stage, kind, opening.real, verdict, bound.value, mean, lower,
        upper, slack, tolerance, trials, int(observations.size),
        0.0 if kind is Kind.DETERMINISTIC else alpha, opening.width, Evidence.TRIALS,
        certainty_of_trials(kind, verdict),
    )  # fmt: skip
