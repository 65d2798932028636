"""What a run can say: verdicts, findings, and what was left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .claim import Kind


class Evidence(StrEnum):
    """How a claim was attacked."""

    TRIALS = "trials"
    """Independent random trials on fixed instances."""

    EXACT = "exact"
    """Expectations as finite sums, integrals in balls: nothing is left to chance."""

    SEARCH = "search"
    """A search over instances for the one with the least slack."""


class Certainty(StrEnum):
    """What a verdict rests on, from the strongest to the weakest."""

    PROOF = "proof"
    """Rational or ball arithmetic: a proof for this instance."""

    ROUNDING = "exact to rounding"
    """The very numbers of the claim, computed in floating point."""

    STATISTICAL = "statistical"
    """A confidence interval, wrong with the stated probability."""

    UNREFUTED = "no counterexample"
    """The claim held wherever it was tried."""


class Verdict(StrEnum):
    """What a run can say of a claim on an instance."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """The verdict on one stage of a claim on one instance.

    Attributes
    ----------
    claim, instance, stage : str
    kind : Kind
        How it was judged; an upper bound that is attained is judged as an equality.
    real : bool
        Whether the instance is real data.
    verdict : Verdict
    bound : float
        Bound on the mean, or the tolerance of a deterministic claim.
    mean, lower, upper : float
        Mean of the observations and its confidence interval; for a deterministic claim the mean,
        least and greatest relative slack; for a distribution the Kolmogorov distance.
    slack : float
        Room left: bound minus mean; for an equality minus their distance; for a deterministic
        claim the least relative slack.
    tolerance : float
        Of an equality or a deterministic claim, else 0.
    trials, observations : int
        Independent trials, and observations of this stage in them.
    alpha : float
        Chance that the interval ever misses the mean; 0 for a deterministic claim.
    width : int
        ``m`` used on this instance.
    evidence : Evidence
        How the claim was attacked.
    certainty : Certainty
        What the verdict rests on.
    """

    claim: str
    instance: str
    stage: str
    kind: Kind
    real: bool
    verdict: Verdict
    bound: float
    mean: float
    lower: float
    upper: float
    slack: float
    tolerance: float
    trials: int
    observations: int
    alpha: float
    width: int
    evidence: Evidence
    certainty: Certainty

    @property
    def is_doubtful(self) -> bool:
        """Refuted, or undecided where a verdict was to be expected.

        A search ends where a bound is tightest: no number of trials tells one that is attained
        there from one that is exceeded by a hair.
        """
        if self.verdict is Verdict.UNDECIDED:
            return self.evidence is not Evidence.SEARCH
        return self.verdict is Verdict.REFUTED

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Finding:
        """The finding of which `dataclasses.asdict` made ``entry``; None stands for NaN."""
        known: dict[str, Any] = {k: math.nan if v is None else v for k, v in entry.items()}
        for name, kind in (
            ("kind", Kind), ("verdict", Verdict), ("evidence", Evidence), ("certainty", Certainty)
        ):  # fmt: skip
            known[name] = kind(entry[name])
        return cls(**known)


@dataclass(frozen=True)
class LeftOut:
    """A claim that was not tried on an instance, and why.

    Attributes
    ----------
    claim, instance : str
    real : bool
    reason : str
    costly : bool
        True if it applies but is left to a larger profile; False if a hypothesis is not met.
    evidence : Evidence
        How it would have been attacked.
    """

    claim: str
    instance: str
    real: bool
    reason: str
    costly: bool
    evidence: Evidence = Evidence.TRIALS

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> LeftOut:
        """The entry of which `dataclasses.asdict` made ``entry``."""
        return cls(**{**entry, "evidence": Evidence(entry["evidence"])})


@dataclass(frozen=True)
class Searched:
    """The worst case that a search found for one stage of a claim.

    Attributes
    ----------
    claim, stage : str
    instance : str
        Its name, also that of its finding and of the file it is saved in.
    description : str
        What it looks like.
    ratio : float
        Mean over bound, from trials that the search has not seen; NaN if the claim bounds no mean.
    tightness : float
        How much of the room of an upper bound is used, 1 where it is attained; else NaN.
    evaluations : int
        Instances tried, counted once for each look: with this number the search can be repeated.
    """

    claim: str
    stage: str
    instance: str
    description: str
    ratio: float
    tightness: float
    evaluations: int

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Searched:
        """The entry of which `dataclasses.asdict` made ``entry``; None stands for NaN."""
        known: dict[str, Any] = {k: math.nan if v is None else v for k, v in entry.items()}
        return cls(**known)
