"""How close an instance comes to refuting a claim, as a number to maximise."""

from __future__ import annotations

import numpy as np

from ..claim import Bound, Kind
from ..verify import kolmogorov_distance

NEGLIGIBLE = 1e-6
"""A bound this close to 1 promises so little that rounding error would decide."""


def tightness(mean: float, bound: float) -> float:
    """How much of the room below and above an upper bound on a mean in [0, 1] is used.

    The lesser of ``mean / bound`` and ``(1 - bound) / (1 - mean)``: 1 where the bound is attained,
    above 1 where it fails. Unlike ``mean / bound`` alone it is not near 1 for every bound near 1:
    a rate must be right about how much is gained, not only about how much is left.

    Parameters
    ----------
    mean, bound : float
        In [0, 1].

    Returns
    -------
    float
        0 for a bound that promises nothing.

    Examples
    --------
    >>> tightness(0.5, 0.5), round(tightness(0.98, 0.99), 9)
    (1.0, 0.5)
    """
    return _used(mean, 1 - mean, bound)


def _used(left: float, gained: float, bound: float) -> float:
    if not bound < 1 - NEGLIGIBLE:
        return 0.0
    of_left = left / bound if bound > 0 else np.inf if left > 0 else 0.0
    of_gain = (1 - bound) / gained if gained > 0 else np.inf
    return float(min(of_left, of_gain, 1e6))


def score(observations: np.ndarray, bound: Bound, kind: Kind) -> float:
    """The number that a search maximises.

    Parameters
    ----------
    observations : ndarray, shape (t,)
        At least one, finite.
    bound : Bound
    kind : Kind

    Returns
    -------
    float
        Upper bounds: the `tightness`. Equalities and distributions: the distance from the bound.
        Deterministic claims: minus the least slack, in units of the tolerance. Means are taken
        a standard error (two for an equality) towards the claim, and as if one more trial had
        gained twice the most seen: few trials must not look better than many, nor a rare large
        gain be mistaken for none.
    """
    if kind is Kind.DETERMINISTIC:
        return -float(observations.min()) / bound.value
    values = np.clip(observations, 0, 1)
    count = values.size
    mean, error = float(values.mean()), float(values.std()) / np.sqrt(count)
    if kind is Kind.DISTRIBUTION:
        return kolmogorov_distance(values) - 1 / np.sqrt(count)
    if kind is Kind.EQUALITY:
        return abs(mean - bound.value) - 2 * error - 1 / (count + 1)
    rare = min(1.0, 2 * (1 - float(values.min()))) / (count + 1)
    left = max(0.0, mean - error) * count / (count + 1)
    return _used(left, 1 - mean + error + rare, bound.value)
