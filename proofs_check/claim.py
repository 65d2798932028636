"""What a claim is, and the registry that fills itself from the files in `proofs_check.claims`."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from .instances import Instance
from .profile import Profile

if TYPE_CHECKING:
    from .exact.comparison import Comparison
    from .exact.effort import Effort

HEADINGS = ("Statement", "Hypotheses", "Source", "Proof idea", "Bound", "Experiment")


class Kind(StrEnum):
    """How a claim is judged."""

    DETERMINISTIC = "deterministic"
    """Every observation, a relative slack, must not fall below minus the tolerance."""

    UPPER_BOUND = "upper bound"
    """The mean of the observations, each in [0, 1], is at most the bound."""

    EQUALITY = "equality"
    """The mean of the observations, each in [0, 1], is the bound."""

    DISTRIBUTION = "distribution"
    """The observations are uniform on [0, 1]: values of the claimed distribution function."""


class Section(StrEnum):
    """Part of the theory that a claim belongs to."""

    SKETCHES = "Sketches"
    DENSE_CCE = "Dense CCE"
    SPARSE_CCE = "Sparse CCE and the one-shot pipeline"
    ALTERNATING_CCE = "Assignments taken from the loss"
    QUANTISATION = "Quantisation"


@dataclass(frozen=True)
class Bound:
    """The number that observations are held against.

    Attributes
    ----------
    value : float
        Bound on, or value of, the mean; for a deterministic claim the tolerance, in units of
        the relative slack; for a distribution the tolerated Kolmogorov distance.
    attained : bool
        Whether this upper bound is an equality on this instance, and judged as one.
    """

    value: float
    attained: bool = False


class HypothesisError(ValueError):
    """An instance does not meet the hypotheses of a claim; the message says which one."""


class TooCostlyError(RuntimeError):
    """A claim applies to an instance but is left to a larger profile; the message says why."""


@dataclass(frozen=True)
class Claim:
    """A statement of the theory, with everything needed to try to refute it.

    Attributes
    ----------
    id : str
        Kebab-case; the file has the same name in snake_case.
    title : str
        One line.
    sections : mapping of str to str
        ``Statement``, ``Hypotheses``, ``Source``, ``Proof idea``, ``Bound``, ``Experiment``, and
        perhaps ``Departures``, from the file's docstring.
    typeset : mapping of str to str
        ``Statement`` and ``Hypotheses`` with their mathematics in TeX, between dollar signs.
    section : Section
    kind : Kind
    bounds : callable
        ``bounds(instance) -> {stage: Bound}``, a pure function of the instance; raises
        `HypothesisError` where the theorem does not apply.
    trial : callable
        ``trial(instance, rng) -> [(stage, observation), ...]``, one independent trial.
    check_bound_cost, check_trial_cost : callable
        Called with the instance and the profile before the bounds are computed, and before the
        trials are run; raise `TooCostlyError`.
    exact : callable or None
        ``exact(instance, effort) -> [Comparison, ...]``: exact numbers against the claim, one a
        stage, on the instance or a small part of it (`proofs_check.exact`).
    twin : str or None
        For a false statement: the true claim it resembles.
    killer : str or None
        For a false statement: the instance that refutes it.
    """

    id: str
    title: str
    sections: Mapping[str, str]
    typeset: Mapping[str, str]
    section: Section
    kind: Kind
    bounds: Callable[[Instance], dict[str, Bound]]
    trial: Callable[[Instance, np.random.Generator], Iterable[tuple[str, float]]]
    check_bound_cost: Callable[[Instance, Profile], None]
    check_trial_cost: Callable[[Instance, Profile], None]
    exact: Callable[[Instance, Effort], list[Comparison]] | None = None
    twin: str | None = None
    killer: str | None = None

    def bounds_within(self, instance: Instance, profile: Profile) -> dict[str, Bound]:
        """The bounds on an instance, unless a hypothesis fails or the profile is too small.

        Raises
        ------
        HypothesisError, TooCostlyError
        """
        self.check_bound_cost(instance, profile)
        found = self.bounds(instance)
        self.check_trial_cost(instance, profile)
        return found

    @property
    def is_false(self) -> bool:
        """Whether this is one of the false statements that a run must refute."""
        return self.twin is not None


def _no_cost(instance: Instance, profile: Profile) -> None:
    pass


def _from_module(module: ModuleType) -> Claim:
    name = module.__name__.rsplit(".", 1)[1]
    text = module.__doc__ or ""
    title, *parts = re.split(r"^(\S.*)\n-{3,}\n", text, flags=re.MULTILINE)
    sections = {
        heading: body.strip() for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }
    missing = [heading for heading in HEADINGS if heading not in sections]
    if missing:
        raise ImportError(f"{module.__name__} lacks the headings {', '.join(missing)}")
    return Claim(
        id=name.replace("_", "-"),
        title=" ".join(title.split()).rstrip("."),
        sections=sections,
        typeset={
            "Statement": module.STATEMENT.strip(),
            "Hypotheses": getattr(module, "HYPOTHESES", sections["Hypotheses"]).strip(),
        },
        section=module.SECTION,
        kind=module.KIND,
        bounds=module.bounds,
        trial=module.trial,
        check_bound_cost=getattr(module, "check_bound_cost", _no_cost),
        check_trial_cost=getattr(module, "check_trial_cost", _no_cost),
        exact=getattr(module, "exact", None),
        twin=getattr(module, "TWIN", None),
        killer=getattr(module, "KILLED_BY", None),
    )


@cache
def registry() -> dict[str, Claim]:
    """All claims by id: one for each file in `proofs_check.claims`, false statements included.

    Returns
    -------
    dict of str to Claim
        Sorted by id, true claims first.

    Examples
    --------
    >>> registry()["dense-rate"].kind.value
    'upper bound'
    """
    package = importlib.import_module("proofs_check.claims")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"proofs_check.claims.{name}") for name in names]
    claims = [_from_module(module) for module in modules]
    return {claim.id: claim for claim in sorted(claims, key=lambda c: (c.is_false, c.id))}
