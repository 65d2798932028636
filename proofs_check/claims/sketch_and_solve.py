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
The slack, over the right side, may not fall below minus 1e-9; residuals have an error of 1e-13 of
||X|| ||T|| + ||Y||.

Experiment
----------
X restricted to at most 6 random columns and Y to one; count sketches of 200 rows, those with
eta >= 1 left out.
"""

import numpy as np

from lsq_sketch import CountSketch

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, ROUNDING, random_columns, relative_slack
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES

STATEMENT = r"""
If all singular values of $S\,[\text{basis of } (X, Y)]$ lie in $[1 - \eta,\, 1 + \eta]$,
$\eta < 1$, then the solution of $\min_T \lVert S(XT - Y)\rVert$ has
$$L(T) \le \left(\frac{1 + \eta}{1 - \eta}\right)^{2} L^*.$$
"""

COLUMNS, WIDTH, TOLERANCE = 6, 200, 1e-9


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(TOLERANCE)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative slack, if the sketch embeds."""
    problem = instance.problem
    X = random_columns(instance, COLUMNS, rng)
    y = problem.Y[:, :1]
    if not y.any():
        return []
    y = y / np.abs(y).max()
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    residual = y - X @ best
    basis = [np.linalg.svd(X, full_matrices=False)[0][:, : np.linalg.matrix_rank(X)]]
    lengths = float(np.linalg.norm(X) * np.linalg.norm(best) + np.linalg.norm(y))
    optimal = float(np.vdot(residual, residual))
    if np.sqrt(optimal) > ROUNDING * lengths:  # else Y lies in the range of X
        basis.append(residual / np.sqrt(optimal))
    U = np.linalg.qr(np.hstack(basis))[0]
    S = CountSketch(problem.n, WIDTH, rng)
    eta = float(np.abs(np.linalg.svd(S.gather(U), compute_uv=False) - 1).max())
    if eta >= 1:
        return []
    sketched = np.linalg.lstsq(S.gather(X), S.gather(y), rcond=None)[0]
    loss = float(((X @ sketched - y) ** 2).sum())
    stretch = (1 + eta) / (1 - eta)
    slack = relative_slack(loss, stretch**2 * optimal, stretch * lengths, TOLERANCE)
    return [(EVERY, float(slack))]
