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

Exact evidence: all sketches of at most 6 columns and 3 buckets against the integral, both as
rationals; the integral in a ball, as well; and, in a ball, the quadrature for the whole instance.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import scipy.sparse as sp

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
from ..exact.balls import weighted_loss
from ..exact.comparison import Comparison
from ..exact.effort import Effort, certifiable
from ..exact.expectation import DiagonalLoss, expected_loss
from ..exact.interval import Interval
from ..exact.rational import exact_bucket_shares
from ..exact.small import SmallProblem, stage_name
from ..exact.spectrum import ENCLOSED, QUADRATURE, enclosed_equality
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
    lengths = sp.diags_array(1 / np.sqrt(np.where(weights > 0, weights, 1.0)))
    off = abs(lengths @ (gram - sp.diags_array(weights)) @ lengths).max()
    require(bool(off <= 1e-13), "the columns of X must be mutually orthogonal")
    return weights


def expected_share(energy: np.ndarray, weights: np.ndarray, m: int) -> float:
    """``sum_i w_i |T*_i|^2 (1 - q_i) / e_0``.

    Parameters
    ----------
    energy : ndarray, shape (d1,)
        ``w_i |T*_i|^2``.
    weights : ndarray, shape (d1,)
        ID counts, from which ``q`` is computed; those that are 0 count for nothing.
    m : int
        Buckets.

    Returns
    -------
    float
    """
    seen = weights > 0
    return float(energy[seen] @ (1 - bucket_shares(weights[seen], m)) / energy.sum())


def expected_ratio(instance: Instance, weights: np.ndarray) -> float:
    """The expected share on an instance, with ``q`` from the given weights."""
    energy = column_weights(instance) * (instance.problem.optimum**2).sum(axis=1)
    return expected_share(energy, weights, width(instance))


def bounds(instance: Instance) -> dict[str, Bound]:
    """The expected share of the excess that is left."""
    require(initial_excess(instance.problem) > 0, "the optimum must differ from the zero table")
    return {EVERY: Bound(expected_ratio(instance, column_weights(instance)))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e(C M)/e_0``."""
    problem = instance.problem
    sketched = resolve(problem, CountSketch(problem.d1, width(instance), rng))
    return [(EVERY, sketched.excess / initial_excess(problem))]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The enumeration against the integral; the integral and its quadrature in balls."""
    weights = column_weights(instance)
    parts = effort.small_problems(instance)
    found = [effort.settle([diagonal_loss(small, effort, instance) for small in parts])]
    if effort.is_floating or not certifiable():
        return found
    small = parts[0]
    part = diagonal_loss(small, effort, instance)
    found.append(
        enclosed_equality(
            stage_name("integral in a ball", small),
            lambda bits: loss_share(part.weights, part.energies, part.m, bits),
            expected_loss(part.weights, part.optimum, part.m), ENCLOSED, part.m,
        )
    )  # fmt: skip
    seen = weights > 0
    if np.unique(weights[seen]).size <= effort.spectrum:
        m = width(instance)
        energies = (weights * (instance.problem.optimum**2).sum(axis=1))[seen]
        whole = [[Fraction(v) for v in values.tolist()] for values in (weights[seen], energies)]
        found.append(
            enclosed_equality(
                "quadrature for the whole instance",
                lambda bits: loss_share(whole[0], whole[1], m, bits),
                expected_ratio(instance, weights), QUADRATURE, m,
            )
        )  # fmt: skip
    return found


def loss_share(weights: list[Fraction], energies: list[Fraction], m: int, bits: int) -> Interval:
    """``sum_i E_i (1 - q_i) / sum_i E_i``, the integral in a ball."""
    return weighted_loss(weights, energies, m, bits).scaled(1 / sum(energies, Fraction(0)))


def diagonal_loss(small: SmallProblem, effort: Effort, instance: Instance) -> DiagonalLoss:
    """A part of the instance with ``X'X = diag(w)``, its diagonal, exactly."""
    weights = [Fraction(row[j]) for j, row in enumerate(small.gram)]
    optimum = [[v / w for v in row] for w, row in zip(weights, small.moments, strict=True)]
    m = effort.width(instance, small.d1)
    return diagonal_claim(small, weights, optimum, m, exact_bucket_shares(weights, m))


def diagonal_claim(
    small: SmallProblem,
    weights: list[Fraction],
    optimum: list[list[Fraction]],
    m: int,
    shares: list[Fraction],
) -> DiagonalLoss:
    """What the formula says with ``q_i`` as given."""
    plain = DiagonalLoss(stage_name("X'X = diag(w)", small), weights, optimum, m, Fraction(0))
    lost = sum(e * (1 - q) for e, q in zip(plain.energies, shares, strict=True))
    return replace(plain, formula=Fraction(lost) / sum(plain.energies))
