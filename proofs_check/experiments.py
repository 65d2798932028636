"""Hypotheses and trials that several claims share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lsq_sketch import LeastSquares, dense_cce

from .claim import HypothesisError, TooCostlyError
from .instances import Instance
from .profile import LARGE_RANK, Profile

FIRST = "first step"
LATER = "later steps"
EVERY = "every step"

FLOOR = 1e-20
"""Steps from an excess below this, relative to ``e_0``, are left out: they are rounding error."""

STEPS = 3


def require(condition: bool, hypothesis: str) -> None:
    """Raise `HypothesisError` with the hypothesis that is not met."""
    if not condition:
        raise HypothesisError(hypothesis)


ROUNDING = 1e-13
"""Rounding error of a difference of vectors, relative to their lengths: about 450 eps.

That much is lost in the QR factorisation and SVD of a few hundred rows.
"""


def relative_slack(smaller: Any, larger: Any, lengths: float, tolerance: float) -> Any:
    """``(larger - smaller) / larger`` of squared norms, with room for their rounding error.

    Parameters
    ----------
    smaller, larger : float or ndarray
        Squared norms of differences of vectors.
    lengths : float
        Of the vectors themselves: where they nearly cancel, the difference is known only to
        `ROUNDING` of them.
    tolerance : float
        The slack is minus this if ``smaller`` exceeds ``larger`` by the tolerance and the
        rounding error of a squared norm.

    Returns
    -------
    float or ndarray
        1 for two zeros of vectors of length zero.

    Examples
    --------
    >>> round(float(relative_slack(1.0, 2.0, 1.0, 1e-10)), 2)
    0.5
    >>> bool(relative_slack(1e-27, 0.0, 1.0, 1e-10) > -1e-10)
    True
    """
    error = ROUNDING * lengths
    size = np.asarray(larger + (2 * np.sqrt(larger) * error + error**2) / tolerance)
    return np.divide(larger - smaller, size, out=np.ones_like(size), where=size > 0)[()]


def initial_excess(problem: LeastSquares) -> float:
    """``e_0 = ||X T*||_F^2``, the excess of the zero table."""
    return problem.excess(np.zeros((problem.d1, problem.d2)))


def require_noise_columns(instance: Instance) -> None:
    """The hypotheses all claims on Dense CCE share: something to learn, and not all at once."""
    problem = instance.problem
    require(initial_excess(problem) > 0, "the optimum must differ from the zero table (e_0 > 0)")
    require(
        problem.rank > instance.width,
        f"the rank ({problem.rank}) must exceed the width m ({instance.width}); "
        f"else one step is exact",
    )


def target_rank(problem: LeastSquares) -> int:
    """Rank of ``X T*``, on the scale of its largest singular value."""
    fitted = problem.X @ problem.optimum
    values = np.linalg.svd(fitted.T @ fitted, compute_uv=False)
    return int((values > 1e-12 * values[0]).sum())


def whitened_width(instance: Instance) -> int:
    """``m`` for whitened noise: a quarter of the rank, at least 2; or what the instance gives.

    In proportion to the rank, because the law is at distance ``m/r`` from 1, where an equality
    takes of the order of ``r/m`` trials.
    """
    return instance.given_width or max(2, instance.problem.rank // 4)


def dense_steps(
    instance: Instance, noise: str, rng: np.random.Generator, m: int | None = None
) -> Iterator[tuple[int, float]]:
    """Ratios ``e_i / e_{i-1}`` of one trajectory of Dense CCE, with the index ``i``."""
    problem = instance.problem
    k = problem.d2 + (instance.width if m is None else m)
    excess = dense_cce(problem, k, STEPS, noise, rng).excess
    for i in range(1, len(excess)):
        if excess[i - 1] > FLOOR * excess[0]:
            yield i, float(excess[i] / excess[i - 1])


TABLE_ROWS = 500


def random_columns(instance: Instance, d1: int, rng: np.random.Generator) -> np.ndarray:
    """A dense submatrix of ``X``: at most ``d1`` random columns that are not zero, (n, d1).

    Scaled so that its largest entry is 1.
    """
    X = instance.problem.X
    largest = abs(X).max(axis=0)
    active = np.flatnonzero(largest if isinstance(X, np.ndarray) else largest.toarray())
    require(active.size > 0, "X must not be zero")
    chosen = rng.choice(active, min(d1, active.size), replace=False)
    part = X[:, chosen] if isinstance(X, np.ndarray) else X[:, chosen].toarray()
    return part / np.abs(part).max()


def random_factor(instance: Instance, d1: int, rng: np.random.Generator) -> np.ndarray:
    """The triangular factor of `random_columns`: the same Gram matrix in at most ``d1`` rows."""
    return np.asarray(np.linalg.qr(random_columns(instance, d1, rng), mode="r"))


def sample_table(instance: Instance, rng: np.random.Generator) -> np.ndarray:
    """Rows of ``T*``: all, or a random choice of at most `TABLE_ROWS`."""
    table = instance.problem.optimum
    if len(table) <= TABLE_ROWS:
        return table
    return table[rng.choice(len(table), TABLE_ROWS, replace=False)]


def refuse_large_noise(instance: Instance, profile: Profile) -> None:
    """Leave dense noise of a width in proportion to a large rank to a larger profile."""
    if instance.problem.rank > profile.noise_rank:
        raise TooCostlyError(
            f"needs dense noise of {whitened_width(instance)} columns in {instance.problem.rank} "
            f"dimensions, the {profile.name} profile goes up to {profile.noise_rank}"
        )


EXTREME = 0.015


def refuse_extreme_mean(mean: float, profile: Profile) -> None:
    """Leave out a mean so close to 0 or 1 that bounding it takes more trials than there are."""
    distance = min(mean, 1 - mean)
    if distance < EXTREME:
        raise TooCostlyError(
            f"a mean at {distance:.1e} from 0 or 1 needs more trials than the {profile.name} "
            f"profile has; tried down to {EXTREME}"
        )


def refuse_large_spectrum(instance: Instance, profile: Profile) -> None:
    """Leave claims about the whole spectrum of a large sparse design to a larger profile."""
    problem = instance.problem
    if not problem.reduction.spectrum_is_cheap and problem.rank > profile.spectrum_rank:
        raise TooCostlyError(
            f"needs all {instance.problem.rank} singular values, the {profile.name} profile "
            f"computes up to {profile.spectrum_rank}"
        )


def is_large(instance: Instance) -> bool:
    """Whether an instance gets the smaller budgets."""
    return instance.rank_limit > LARGE_RANK
