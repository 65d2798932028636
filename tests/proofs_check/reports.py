"""Reports made up for the tests: every kind, verdict, evidence and certainty."""

import math
from dataclasses import replace

from proofs_check.claim import Kind, registry
from proofs_check.finding import Certainty, Evidence, Finding, LeftOut, Searched, Verdict
from proofs_check.instances import catalogue
from proofs_check.run import ALPHA, Report

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED

NUMBERS = {
    # bound, mean, lower, upper, slack, tolerance by kind and verdict
    (Kind.UPPER_BOUND, CONFIRMED): (0.8, 0.6, 0.55, 0.7, 0.2, 0.0),
    (Kind.UPPER_BOUND, REFUTED): (0.8, 0.9, 0.85, 0.95, -0.1, 0.0),
    (Kind.UPPER_BOUND, UNDECIDED): (0.8, 0.79, 0.7, 0.85, 0.01, 0.0),
    (Kind.EQUALITY, CONFIRMED): (0.5, 0.505, 0.495, 0.515, -0.005, 0.02),
    (Kind.EQUALITY, REFUTED): (0.5, 0.3, 0.25, 0.35, -0.2, 0.02),
    (Kind.EQUALITY, UNDECIDED): (0.5, 0.5, 0.4, 0.6, 0.0, 0.02),
    (Kind.DISTRIBUTION, CONFIRMED): (0.1, 0.03, 0.0, 0.09, 0.07, 0.1),
    (Kind.DISTRIBUTION, REFUTED): (0.1, 0.4, 0.3, 0.5, -0.3, 0.1),
    (Kind.DISTRIBUTION, UNDECIDED): (0.1, 0.09, 0.0, 0.2, 0.01, 0.1),
    (Kind.DETERMINISTIC, CONFIRMED): (1e-12, 0.1, -1e-15, 0.3, -1e-15, 1e-12),
    (Kind.DETERMINISTIC, REFUTED): (1e-12, 0.1, -0.5, 0.3, -0.5, 1e-12),
    (Kind.DETERMINISTIC, UNDECIDED): (1e-12, math.nan, 0.0, 1.0, math.nan, 1e-12),
}


def finding(claim, instance="flat", verdict=CONFIRMED, kind=None, **changes):
    """A finding with plausible numbers."""
    kind = kind or registry()[claim].kind
    bound, mean, lower, upper, slack, tolerance = NUMBERS[kind, verdict]
    deterministic = kind is Kind.DETERMINISTIC
    certainty = Certainty.STATISTICAL
    if deterministic:
        certainty = Certainty.ROUNDING if verdict is REFUTED else Certainty.UNREFUTED
    known = catalogue().get(instance)
    made = Finding(
        claim, instance, "every step", kind, known.real if known else True, verdict, bound, mean,
        lower, upper, slack, tolerance, 64, 0 if math.isnan(mean) else 320,
        0.0 if deterministic else 1e-5, 12, Evidence.TRIALS, certainty,
    )  # fmt: skip
    return replace(made, **changes)


def proof(claim, instance="flat", **changes):
    """A finding by exact computation, proved."""
    made = finding(claim, instance)
    return replace(
        made, evidence=Evidence.EXACT, certainty=Certainty.PROOF, lower=made.mean,
        upper=made.mean, trials=0, observations=0, alpha=0.0, **changes,
    )  # fmt: skip


def searched(claim, instance, **changes):
    """A finding by search: 97 % of an upper bound was reached."""
    return finding(
        claim, instance, evidence=Evidence.SEARCH, certainty=Certainty.UNREFUTED, mean=0.776,
        lower=0.77, upper=0.78, slack=0.024, **changes,
    )  # fmt: skip


INSTANCES = ("flat", "geometric-1000-adversarial", "zipf-one-hot", "digits", "flights-tail-number")


def every_claim():
    """All true claims on five instances, all confirmed, by trials."""
    claims = [claim.id for claim in registry().values() if not claim.is_false]
    return Report(
        "quick", 0, ALPHA, claims, list(INSTANCES), [Evidence.TRIALS],
        [finding(claim, instance) for claim in claims for instance in INSTANCES],
    )  # fmt: skip


def everything():
    """All claims, false ones too, with every verdict, evidence, certainty and oddity."""
    report = every_claim()
    report.evidence = list(Evidence)
    false = [claim.id for claim in registry().values() if claim.is_false]
    report.claims += false
    report.findings += [finding(claim, verdict=REFUTED) for claim in false]
    report.findings += [
        finding("kmeanspp", "diabetes", UNDECIDED),
        finding("whitened-law", "few-columns", UNDECIDED),
        finding("whitened-beta", "diabetes", UNDECIDED),
        finding("lloyd-monotone", "diabetes", UNDECIDED),
        finding("resolve-chain", stage="clustered against its bound"),
        finding("dense-quadrature-rate", "few-columns", kind=Kind.EQUALITY),
        proof("dense-quadrature-rate"),
        proof("whitened-rate", "digits"),
        proof("count-sketch-second-moment", tolerance=0.0, bound=0.0, mean=0.0, slack=0.0),
        replace(proof("one-hot-exact", "zipf-one-hot"), certainty=Certainty.ROUNDING),
        searched("dense-rate", "dense-rate-worst"),
    ]
    about = "found by search: spectrum, <b>17</b> | columns, m = 3"
    report.searched.append(
        Searched("dense-rate", "every step", "dense-rate-worst", about, 0.97, 0.88, 1234)
    )
    report.left_out += [
        LeftOut("kmeanspp", "movielens", True, "a mean | of 1e-4 <b>is</b> too small", True),
        LeftOut("kmeanspp", "planted-exact", False, "kappa*_K must not be 0", False),
        LeftOut("dense-rate", "movielens", True, "too many", True, Evidence.EXACT),
    ]
    report.interrupted = 2
    return report
