"""What a plan is made for: a design or its spectrum, and targets, given or assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from lsq_sketch import LeastSquares, TooLargeError
from lsq_sketch.reductions.base import FactoredReduction

from ..experiments import target_rank
from .simulation import Target

GIVEN, RANDOM, WORST = "given", "random", "worst"

DIRECTION_SIZE = 2500
"""The smallest singular direction of a sparse design is found by an SVD up to this size."""


class PlanningError(ValueError):
    """A plan that cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Setting:
    """What a plan is made for.

    Attributes
    ----------
    n : int or None
        Rows, if the design is known.
    d1, d2, rank : int
    rho : float
    singular_values : ndarray or None
        None if they are too expensive.
    reduction : FactoredReduction
        Of the design; or, if only the spectrum is known, of a diagonal one with this spectrum.
    targets : tuple of Target
    design_known : bool
        Whether the reduction is that of the user's design: count sketches need it.
    nonzeros : int or None
        Of a sparse design.
    left_out : tuple of str
        What cannot be said, why, and what to do.
    """

    n: int | None
    d1: int
    d2: int
    rank: int
    rho: float
    singular_values: np.ndarray | None = field(repr=False)
    reduction: FactoredReduction = field(repr=False)
    targets: tuple[Target, ...]
    design_known: bool
    nonzeros: int | None = None
    left_out: tuple[str, ...] = ()


def from_spectrum(values: Any, d2: int, d1: int | None, assume: Sequence[str]) -> Setting:
    """A setting from the singular values of ``X`` alone.

    Parameters
    ----------
    values : array_like, shape (q,)
        In any order; zeros count as columns, not for the rank.
    d2 : int
        Targets, at least 1.
    d1 : int or None
        Columns of ``X``; as many as values if None.
    assume : sequence of {"worst", "random"}

    Returns
    -------
    Setting

    Raises
    ------
    PlanningError
        If the values are not singular values, or fewer columns than values are claimed.

    Examples
    --------
    >>> from_spectrum([1.0, 1.0, 0.0], 1, None, ["worst"]).rank
    2
    """
    try:
        sigma = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanningError(f"the singular values must be real numbers: {error}.") from error
    if sum(size != 1 for size in sigma.shape) > 1 or sigma.size == 0:
        raise PlanningError(
            f"the singular values must be one row or column of numbers, got shape {sigma.shape}. "
            f"Pass the matrix itself as --design."
        )
    sigma = np.sort(sigma.ravel())[::-1]
    if not np.isfinite(sigma).all() or sigma[-1] < 0:
        raise PlanningError(
            "the singular values must be finite and not negative. Are these eigenvalues? Take the "
            "square roots of those of X'X."
        )
    if d1 is not None and d1 < sigma.size:
        raise PlanningError(
            f"d1 = {d1} columns cannot have {sigma.size} singular values; expected at least "
            f"{sigma.size}."
        )
    try:
        problem = LeastSquares(sp.diags_array(sigma).tocsr(), np.zeros(sigma.size))
    except ValueError as error:
        raise PlanningError(str(error)) from error
    _require_rank(problem)
    targets = assumed_targets(problem, d2, assume)
    return Setting(
        None, d1 or sigma.size, d2, problem.rank, problem.rho, problem.singular_values,
        _factored(problem), tuple(targets), False,
    )  # fmt: skip


def from_problem(
    problem: LeastSquares, d2: int | None, assume: Sequence[str], max_spectrum: int
) -> Setting:
    """A setting from a design.

    Parameters
    ----------
    problem : LeastSquares
        With the user's targets, or any.
    d2 : int or None
        Number of targets to assume; None to take those of the problem.
    assume : sequence of {"worst", "random"}
        Ignored if ``d2`` is None.
    max_spectrum : int
        Largest rank at which all singular values of a sparse design are computed, unless they are
        cheap.

    Returns
    -------
    Setting

    Raises
    ------
    PlanningError
        If ``X`` is zero, or explains nothing of ``Y``.
    TooLargeError
        If the design is too large for rank and ``rho``.
    """
    _require_rank(problem)
    rho = problem.rho
    left_out = []
    sigma = None
    try:
        if problem.reduction.spectrum_is_cheap or problem.rank <= max_spectrum:
            sigma = problem.singular_values
        else:
            left_out.append(
                f"dense-quadrature-rate needs all {problem.rank:,} singular values; for a sparse "
                f"design they are computed up to rank {max_spectrum:,}. Pass --max-spectrum "
                f"{problem.rank} if minutes can be spared."
            )
    except TooLargeError as error:
        left_out.append(f"dense-quadrature-rate: {error}")
    if d2 is None:
        targets = [given_target(problem)]
        d2 = problem.d2
    else:
        targets = assumed_targets(problem, d2, assume)
    if any(target.draw is unknown_direction for target in targets):
        left_out.append(
            "the worst target is not simulated: the smallest singular direction of a sparse design "
            f"is computed up to {DIRECTION_SIZE:,} columns. Its bounds hold."
        )
    return Setting(
        problem.n, problem.d1, d2, problem.rank, rho, sigma, _factored(problem), tuple(targets),
        True, None if isinstance(problem.X, np.ndarray) else problem.X.nnz, tuple(left_out),
    )  # fmt: skip


def _require_rank(problem: LeastSquares) -> None:
    if problem.rank == 0:
        raise PlanningError("X is zero: no table explains anything. Give X a nonzero entry.")


def _factored(problem: LeastSquares) -> FactoredReduction:
    reduction = problem.reduction
    assert isinstance(reduction, FactoredReduction)  # others refuse to give their rank
    return reduction


def given_target(problem: LeastSquares) -> Target:
    """The target of the problem itself.

    Raises
    ------
    PlanningError
        If the design explains nothing of it.
    """
    Z = _factored(problem).target
    if not np.linalg.norm(Z) > 1e-12 * np.linalg.norm(problem.Y):
        raise PlanningError(
            "X explains nothing of Y (e_0 = 0): the zero table is optimal already. Is this the "
            "right target?"
        )
    return Target(GIVEN, target_rank(problem), lambda rng: Z.copy(), Z.shape[1])


def assumed_targets(problem: LeastSquares, d2: int, assume: Sequence[str]) -> list[Target]:
    """Targets by assumption: the worst one, and random ones.

    Parameters
    ----------
    problem : LeastSquares
        For its design.
    d2 : int
    assume : sequence of {"worst", "random"}
        Worst: all of it in the smallest singular direction, so that ``X T*`` has rank 1. Random:
        independent N(0, 1) coefficients of the left singular vectors, drawn anew for each run.

    Returns
    -------
    list of Target

    Raises
    ------
    PlanningError
        For other words.
    """
    r = problem.rank
    made = []
    for name in dict.fromkeys(assume):
        if name == RANDOM:
            draw = partial(_normal, r, d2)
            made.append(Target(name, min(r, d2), draw, d2))
        elif name == WORST:
            z = smallest_direction(problem)
            made.append(Target(name, 1, unknown_direction if z is None else partial(_one, z), 1))
        else:
            raise PlanningError(f"a target can be assumed {WORST} or {RANDOM}; got {name!r}.")
    return made


def _normal(r: int, d2: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((r, d2))


def _one(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return z[:, None].copy()


def unknown_direction(rng: np.random.Generator) -> np.ndarray:
    """Stands for the draw of a target whose direction would be too expensive to find."""
    raise AssertionError("a target of unknown direction is never drawn")


def smallest_direction(problem: LeastSquares) -> np.ndarray | None:
    """The left singular vector of ``sigma_r``, in the coordinates of the reduction, (r,).

    None for a sparse design where it would be expensive.

    Examples
    --------
    >>> smallest_direction(LeastSquares(np.diag([2.0, 1.0]), np.ones(2))).tolist()
    [0.0, 1.0]
    """
    reduction, r = _factored(problem), problem.rank
    if not sp.issparse(problem.X):
        return np.eye(1, r, r - 1)[0]  # singular vectors are the coordinates
    gram = sp.csr_array(problem.X.T @ problem.X)
    lengths = gram.diagonal()
    if abs(gram - sp.diags_array(lengths)).sum() == 0:  # one field: columns are orthogonal
        column = np.where(lengths > reduction.zero**2, lengths, np.inf).argmin()
        unit = np.zeros((problem.d1, 1))
        unit[column] = 1 / np.sqrt(lengths[column])
        return reduction.image(unit)[:, 0]
    if max(r, problem.d1) > DIRECTION_SIZE:
        return None
    return scipy.linalg.svd(reduction.image(np.eye(problem.d1)), full_matrices=False)[0][:, r - 1]
