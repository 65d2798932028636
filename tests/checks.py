"""Comparisons against `numpy.linalg.lstsq`, with the accuracy that can be promised.

Two backward stable solvers agree to rounding in the *problem*: the range of ``X`` turns by about
``eps cond``, so fitted values agree to ``eps cond ||Y||`` and tables to
``eps (cond ||T*|| + cond^2 ||residual|| / sigma_1)`` (Wedin). Through a Gram matrix fitted values
agree to ``eps cond^2 ||Y||``, and the library promises to take it only where that is below
``sqrt(eps) ||Y||``. Either way losses agree to the *square* of what fitted values do, and to the
rounding of evaluating them on the rows, ``eps ||X|| ||T*|| ||residual||``. `ROOM` stands for the
modest functions of the sizes in front.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

import numpy as np

from lsq_sketch.reductions.elimination import EliminationReduction
from tests import twins
from tests.twins import EPS

ROOM = 200.0


def dense(X):
    """A dense float64 copy of any design."""
    return np.array(X.toarray() if hasattr(X, "toarray") else X, dtype=float)


@dataclass(frozen=True)
class Accuracy:
    """Largest distances from lstsq, in Frobenius norm: fitted values, tables, losses."""

    fit: float
    table: float
    loss: float


def accuracy(X, Y, gram=False):
    """What a stable solver reaches; or, if ``gram``, a solver by a harmless Gram matrix."""
    X, Y = dense(X), np.asarray(Y, dtype=float).reshape(X.shape[0], -1)
    T, rank, sigma = twins.lstsq(X, Y)
    size, residual = np.linalg.norm(Y), np.linalg.norm(X @ T - Y)
    rounding = ROOM * EPS * size**2
    if rank == 0:
        return Accuracy(0.0, 0.0, rounding)
    cond = sigma[0] / sigma[rank - 1]
    fit = ROOM * EPS * cond * size
    table = ROOM * EPS * (cond * np.linalg.norm(T) + cond**2 * residual / sigma[0])
    if gram:
        fit = max(fit, min(ROOM * EPS * cond**2, EPS**0.5) * size)
        table = max(table, fit / sigma[rank - 1])
    evaluation = ROOM * EPS * sigma[0] * np.linalg.norm(T) * (residual + fit)
    return Accuracy(fit, table, fit**2 + evaluation + rounding)


def check_against_lstsq(problem, X, Y, eps=EPS):
    """Optimum (fitted values, minimum norm), rank, spectrum and losses equal those of lstsq."""
    X, Y = dense(X), np.asarray(Y, dtype=float).reshape(X.shape[0], -1)
    T, rank, sigma = twins.lstsq(X, Y, rcond=max(X.shape) * eps)
    gram = isinstance(problem.reduction, EliminationReduction) and problem.reduction._gram_is_safe
    within = accuracy(X, Y, gram)

    assert (problem.n, problem.d1, problem.d2) == (*X.shape, Y.shape[1])
    assert problem.rank == rank
    top = sigma[0] if rank else 0.0
    assert problem.singular_values.shape == (rank,)
    error = ROOM * EPS * top * (top / sigma[:rank] if gram else np.ones(rank))
    assert (np.abs(problem.singular_values - sigma[:rank]) <= error).all()
    assert (np.diff(problem.singular_values) <= 0).all()

    found = problem.optimum
    assert found.shape == T.shape
    assert found.dtype == np.float64
    assert np.linalg.norm(X @ found - X @ T) <= within.fit
    assert np.linalg.norm(found - T) <= within.table

    least = twins.squared_norm(X @ T - Y)
    assert abs(problem.optimal_loss - least) <= within.loss
    assert problem.loss(found) == problem.optimal_loss
    assert problem.excess(found) <= within.fit**2

    np.testing.assert_allclose(problem.spectral_norm, top, rtol=1e-12)
    np.testing.assert_allclose(problem.squared_frobenius_norm, twins.squared_norm(X), rtol=1e-13)
    if rank:
        cond = sigma[0] / sigma[rank - 1]
        rho = sigma[rank - 1] ** 2 / twins.squared_norm(X)
        np.testing.assert_allclose(problem.rho, rho, rtol=ROOM * EPS * cond ** (2 if gram else 1))
        assert 0 < problem.rho <= (1 + 1e-12) / rank


def heed_interrupts():
    """For a child process: tests in the background ignore Ctrl-C, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
