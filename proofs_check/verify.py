"""The judge: one claim on one instance, until it is decided or the budget is spent."""

from __future__ import annotations

import zlib

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


def trial_seed(seed: int, claim: Claim, instance: Instance) -> np.random.SeedSequence:
    """The random stream of a claim on an instance.

    It depends on the seed of the run and the two names alone, not on what else is run or where.
    """
    names = [zlib.crc32(name.encode()) for name in (claim.twin or claim.id, instance.name)]
    return np.random.SeedSequence(seed, spawn_key=names)


def examine(
    claim: Claim, instance: Instance, profile: Profile, seed: int, alpha: float
) -> list[Finding] | LeftOut:
    """Try to refute one claim on one instance.

    Parameters
    ----------
    claim : Claim
    instance : Instance
    profile : Profile
    seed : int
        Of the run.
    alpha : float
        Chance of any wrong verdict here, divided among the claim's stages: an upper bound or
        equality that holds is refuted with at most this probability, and one that fails by more
        than the tolerance is confirmed with at most this probability.

    Returns
    -------
    list of Finding, one a stage, or LeftOut
        LeftOut if a hypothesis is not met, or the profile is too small.
    """
    with single_threaded_blas():
        try:
            bounds = claim.bounds_within(instance, profile)
        except (HypothesisError, TooCostlyError, TooLargeError) as reason:
            costly = not isinstance(reason, HypothesisError)
            return LeftOut(claim.id, instance.name, instance.real, str(reason), costly)
        return _examine(claim, instance, profile, seed, alpha, bounds)


def _examine(
    claim: Claim,
    instance: Instance,
    profile: Profile,
    seed: int,
    alpha: float,
    bounds: dict[str, Bound],
) -> list[Finding]:
    large = is_large(instance)
    first_look = FIRST_LOOK_LARGE if large else FIRST_LOOK
    if claim.kind is Kind.DETERMINISTIC:
        budget = profile.deterministic_trials
        budget = max(3, budget // 10) if large else budget
    else:
        budget = profile.large_trials if large else profile.trials
    stage_alpha = alpha / len(bounds)
    seeds = trial_seed(seed, claim, instance)
    seen: dict[str, list[float]] = {stage: [] for stage in bounds}
    found: dict[str, Finding] = {}
    done = 0
    while True:
        look = min(budget, max(first_look, 2 * done))
        for child in seeds.spawn(look - done):
            for stage, observation in claim.trial(instance, np.random.default_rng(child)):
                if stage in seen:
                    seen[stage].append(observation)
        done = look
        last = done >= budget
        for stage, bound in bounds.items():
            if stage not in found:
                observations = np.array(seen[stage])
                verdict = decide(observations, bound, claim.kind, profile.tolerance, stage_alpha)
                if verdict is not Verdict.UNDECIDED or last:
                    found[stage] = _describe(
                        claim, instance, stage, bound, profile, verdict, observations, done,
                        stage_alpha,
                    )  # fmt: skip
        if last or len(found) == len(bounds):
            return [found[stage] for stage in bounds]


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


def _describe(
    claim: Claim,
    instance: Instance,
    stage: str,
    bound: Bound,
    profile: Profile,
    verdict: Verdict,
    observations: np.ndarray,
    trials: int,
    alpha: float,
) -> Finding:
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
        claim.id, instance.name, stage, kind, instance.real, verdict, bound.value, mean, lower,
        upper, slack, tolerance, trials, int(observations.size),
        0.0 if kind is Kind.DETERMINISTIC else alpha, instance.width, Evidence.TRIALS,
        certainty_of_trials(kind, verdict),
    )  # fmt: skip
