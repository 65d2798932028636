"""The exact expected loss of the hashing trick with signs, for any ID frequencies.

Statement
---------
If X'X = diag(w) (one-hot rows; w the counts of the IDs) then
E e(C M) = sum_i w_i |T*_i|^2 (1 - q_i), with
q_i = int_0^inf w_i e^{-t w_i} prod_{j != i} (1 - 1/m + e^{-t w_j}/m) dt.

Hypotheses
----------
Mutually orthogonal columns of X; C a count sketch of width m; e_0 > 0.

Source
------
This toolkit.

Proof idea
----------
A bucket keeps |sum_j s_j w_j T*_j|^2 / sum_j w_j, in expectation over the signs
sum_j w_j |T*_j|^2 (w_j / sum_l w_l). So q_i = E[w_i / W_i] with W_i the weight in the bucket of i;
write 1/W = int e^{-tW} dt and use that the IDs fall independently.

Bound
-----
The formula over e_0, by quadrature; an equality. Zero columns have weight 0 and change nothing.

Experiment
----------
Independent count sketches of width d1/4 (at least 2), solved.
"""

import numpy as np
import scipy.sparse as sp

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, initial_excess, require
from ..instances import Instance
from ..integrals import bucket_shares

KIND = Kind.EQUALITY
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
If $X^\top X = \operatorname{diag}(w)$ (one-hot rows; $w$ the counts of the IDs) then
$$\mathbb{E}\, e(CM) = \sum_i w_i\, \lvert T^*_i\rvert^2\, (1 - q_i),$$
$$q_i = \int_0^\infty w_i\, e^{-t w_i} \prod_{j \ne i}
\left(1 - \frac{1}{m} + \frac{e^{-t w_j}}{m}\right) dt.$$
"""
HYPOTHESES = r"Mutually orthogonal columns of $X$; $C$ a count sketch of width $m$; $e_0 > 0$."


def width(instance: Instance) -> int:
    """Buckets used here."""
    return instance.given_width or max(2, instance.problem.d1 // 4)


def column_weights(instance: Instance) -> np.ndarray:
    """``w``, after checking that the columns are mutually orthogonal; (d1,)."""
    X = instance.problem.X
    gram = X.T @ X
    weights = gram.diagonal()
    off = abs(gram - sp.diags_array(weights)).max()
    require(bool(off <= 1e-9 * weights.max()), "the columns of X must be mutually orthogonal")
    return weights


def expected_ratio(instance: Instance, weights: np.ndarray) -> float:
    """``sum_i w_i |T*_i|^2 (1 - q_i) / e_0`` with ``q`` from the given weights."""
    energy = column_weights(instance) * (instance.problem.optimum**2).sum(axis=1)
    seen = weights > 0
    lost = 1 - bucket_shares(weights[seen], width(instance))
    return float(energy[seen] @ lost / energy.sum())


def bounds(instance: Instance) -> dict[str, Bound]:
    """The expected share of the excess that is left."""
    require(initial_excess(instance.problem) > 0, "the optimum must differ from the zero table")
    return {EVERY: Bound(expected_ratio(instance, column_weights(instance)))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e(C M)/e_0``."""
    problem = instance.problem
    sketched = resolve(problem, CountSketch(problem.d1, width(instance), rng))
    return [(EVERY, sketched.excess / initial_excess(problem))]
