"""Solving a row-sketched problem costs little if the sketch embeds the problem.

Statement
---------
If all singular values of S [basis of (X, Y)] lie in [1 - eta, 1 + eta], eta < 1, then the solution
of min ||S(X T - Y)|| has L(T) <= ((1 + eta)/(1 - eta))^2 L*.

Hypotheses
----------
As stated.

Source
------
Classic: Sarlos, "Improved approximation algorithms for large matrices via random projections",
2006.

Proof idea
----------
(1 - eta) ||X T - Y|| <= ||S(X T - Y)|| <= ||S(X T* - Y)|| <= (1 + eta) ||X T* - Y||.

Bound
-----
The slack, over the right side, may not fall below minus 1e-9.

Experiment
----------
X restricted to at most 6 random columns and Y to one; count sketches of 200 rows, those with
eta >= 1 left out.
"""

import numpy as np

from lsq_sketch import CountSketch

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, random_columns
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES

STATEMENT = r"""
If all singular values of $S\,[\text{basis of } (X, Y)]$ lie in $[1 - \eta,\, 1 + \eta]$,
$\eta < 1$, then the solution of $\min_T \lVert S(XT - Y)\rVert$ has
$$L(T) \le \left(\frac{1 + \eta}{1 - \eta}\right)^{2} L^*.$$
"""

COLUMNS, WIDTH = 6, 200


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-9)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative slack, if the sketch embeds."""
    problem = instance.problem
    X = random_columns(instance, COLUMNS, rng)
    y = problem.Y[:, :1]
    both = np.hstack([X, y])
    U, sigma, _ = np.linalg.svd(both, full_matrices=False)
    U = U[:, sigma > 1e-12 * sigma[0]]
    S = CountSketch(problem.n, WIDTH, rng)
    eta = float(np.abs(np.linalg.svd(S.gather(U), compute_uv=False) - 1).max())
    if eta >= 1:
        return []
    sketched = np.linalg.lstsq(S.gather(X), S.gather(y), rcond=None)[0]
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    loss, optimal = (float(((X @ T - y) ** 2).sum()) for T in (sketched, best))
    right = ((1 + eta) / (1 - eta)) ** 2 * optimal
    return [(EVERY, (right - loss) / (right + 1e-12 * float((y**2).sum())))]
