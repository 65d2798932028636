"""How hard exact evidence tries, and in what arithmetic."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from ..claim import TooCostlyError
from ..instances import Instance
from .comparison import Comparison
from .small import WIDTH, SmallProblem, draw_small, sketch_width

ADVICE = "needs the package python-flint: pip install 'lsq-sketch[certify]'"


class Arithmetic(StrEnum):
    """What exact evidence is computed in."""

    RIGOROUS = "rationals and balls"
    FLOATING = "floating point"


class Candidate(Protocol):
    """A comparison that can be made in either arithmetic."""

    def in_floating_point(self) -> Comparison:
        """The comparison, right to rounding."""
        ...

    def in_rationals(self) -> Comparison:
        """The comparison, certain."""
        ...


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    Attributes
    ----------
    rng : numpy.random.Generator
        Draws parts of the instance.
    draws : int
        Parts that are enumerated in floating point; the one with the least slack is then settled
        in the arithmetic asked for.
    spectrum : int
        Integrals are enclosed for at most so many distinct singular values or weights.
    arithmetic : Arithmetic
    """

    rng: np.random.Generator
    draws: int
    spectrum: int
    arithmetic: Arithmetic

    @property
    def is_floating(self) -> bool:
        """Whether floating point is asked for."""
        return self.arithmetic is Arithmetic.FLOATING

    def small_problems(self, instance: Instance) -> list[SmallProblem]:
        """Random parts of the instance, without repetition.

        Raises
        ------
        HypothesisError
            See `draw_small`.
        """
        drawn = [draw_small(instance, self.rng) for _ in range(self.draws)]
        return list({small.name: small for small in drawn}.values())

    def small_problem(self, instance: Instance) -> SmallProblem:
        """One random part of the instance.

        Raises
        ------
        HypothesisError
            See `draw_small`.
        """
        return draw_small(instance, self.rng)

    def width(self, instance: Instance, d1: int, usual: int = WIDTH) -> int:
        """Buckets: the usual number, or the one given with the instance if not too many."""
        return sketch_width(instance, d1, usual)

    def settle(self, candidates: Sequence[Candidate]) -> Comparison:
        """The candidate with the least slack in floating point, in the arithmetic asked for.

        Parameters
        ----------
        candidates : sequence of Candidate
            At least one.

        Returns
        -------
        Comparison
        """
        if len(candidates) == 1 and not self.is_floating:
            return candidates[0].in_rationals()
        found = [candidate.in_floating_point() for candidate in candidates]
        worst = min(range(len(found)), key=lambda i: found[i].slack.lower)
        if self.is_floating:
            return found[worst]
        return candidates[worst].in_rationals()

    def require_balls(self) -> None:
        """Raise `TooCostlyError` if balls are asked for and python-flint is not installed."""
        if not self.is_floating and not certifiable():
            raise TooCostlyError(ADVICE)

    def require_few(self, distinct: int, what: str) -> None:
        """Raise `TooCostlyError` if there are too many distinct ``what`` for integrals."""
        if distinct > self.spectrum:
            raise TooCostlyError(
                f"encloses integrals with at most {self.spectrum} distinct {what} in this "
                f"profile; there are {distinct:,}"
            )


def certifiable() -> bool:
    """Whether python-flint is installed, so that integrals can be enclosed."""
    return importlib.util.find_spec("flint") is not None
