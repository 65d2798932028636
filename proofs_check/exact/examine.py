"""One claim on one instance, by exact evidence."""

from __future__ import annotations

import zlib

import numpy as np

from lsq_sketch import TooLargeError
from lsq_sketch.threads import single_threaded_blas

from ..claim import Claim, HypothesisError, TooCostlyError
from ..finding import Evidence, Finding, LeftOut
from ..instances import Instance
from ..profile import Profile
from .comparison import Comparison, judge
from .effort import Arithmetic, Effort

NOTHING_EXACT = "the claim is neither an expectation over hash functions nor an integral"


def examine_exactly(
    claim: Claim, instance: Instance, profile: Profile, seed: int, certify: bool
) -> list[Finding] | LeftOut:
    """Hold a claim against exact numbers on an instance, or on small parts of it.

    Parameters
    ----------
    claim : Claim
    instance : Instance
    profile : Profile
    seed : int
        Of the run: it chooses the parts.
    certify : bool
        Whether to prove: in rational arithmetic, and in balls if python-flint is installed. If
        not, the same numbers are computed in floating point.

    Returns
    -------
    list of Finding, one a stage, or LeftOut
        LeftOut if the claim has no exact evidence, a hypothesis is not met, the profile is too
        small, or python-flint is needed and not installed.

    Examples
    --------
    >>> from proofs_check.claim import registry
    >>> from proofs_check.instances import catalogue
    >>> from proofs_check.profile import PROFILES
    >>> claim = registry()["count-sketch-second-moment"]
    >>> found, = examine_exactly(claim, catalogue()["diabetes"], PROFILES["quick"], 0, True)
    >>> found.verdict.value, found.certainty.value, found.slack, found.trials
    ('confirmed', 'proof', 0.0, 46656)
    """
    names = [zlib.crc32(name.encode()) for name in (claim.twin or claim.id, instance.name)]
    seeds = np.random.SeedSequence(seed, spawn_key=[*names, zlib.crc32(b"exact")])
    effort = Effort(
        np.random.default_rng(seeds),
        profile.exact_draws,
        profile.exact_spectrum,
        Arithmetic.RIGOROUS if certify else Arithmetic.FLOATING,
    )
    try:
        if claim.exact is None:
            raise HypothesisError(NOTHING_EXACT)
        with single_threaded_blas():
            found = claim.exact(instance, effort)
    except (HypothesisError, TooCostlyError, TooLargeError) as reason:
        return LeftOut(
            claim.id, instance.name, instance.real, str(reason),
            not isinstance(reason, HypothesisError), Evidence.EXACT,
        )  # fmt: skip
    return [_finding(claim, instance, comparison) for comparison in found]


def _finding(claim: Claim, instance: Instance, comparison: Comparison) -> Finding:
    judgement, slack = judge(comparison), comparison.slack
    lower, upper = comparison.value.outward
    return Finding(
        claim=claim.id,
        instance=instance.name,
        stage=comparison.stage,
        kind=comparison.kind,
        real=instance.real,
        verdict=judgement.verdict,
        bound=comparison.bound.middle,
        mean=comparison.value.middle,
        lower=lower,
        upper=upper,
        slack=slack.outward[0],
        tolerance=float(judgement.tolerance),
        trials=comparison.cases,
        observations=comparison.cases,
        alpha=0.0,
        width=comparison.width,
        evidence=Evidence.EXACT,
        certainty=judgement.certainty,
    )
