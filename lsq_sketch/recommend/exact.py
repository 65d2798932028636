"""Matrix factorisation by alternating exact solves: half-step by half-step a least-squares problem.

With one field's vectors fixed, the squared loss is a linear least-squares problem in the
parameters of the other field's table, whatever its compression ``H``: the setting of
`lsq_sketch.LeastSquares`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from .. import _validate
from ..kernels import embedding as places
from ..problem import LeastSquares
from ..rng import generator
from ..solve import column_norms, least_squares_step
from ..threads import for_each, single_threaded_blas
from .data import Dataset, Interactions
from .methods import GatherTable
from .metrics import area_under_curve
from .models.matrix_factorization import MatrixFactorization
from .optimizers import Sgd
from .training import EpochContext, EpochRecord
from .workspace import Placed, Workspace

SINGLE_EPS = float(np.finfo(np.float32).eps)
"""Precision of the vectors that make up the design matrix."""


def alternating_solves(
    model: MatrixFactorization,
    data: Dataset,
    rounds: int,
    *,
    ridge: float = 0.0,
    rng: Any = 0,
    on_round: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Train a matrix factorisation by solving for one field's parameters after the other's.

    Parameters
    ----------
    model : MatrixFactorization
        Of squared loss, its tables sums of slices. Trained in place.
    data : Dataset
        Of two fields; the training rows are held in memory as a sparse matrix of ``dim`` or more
        entries a row.
    rounds : int
        Each solves for the first field, then for the second; in between what the method does
        after an epoch (CCE clusters).
    ridge : float, default 0
        Added to the loss: ``ridge`` times the sum of squared parameters. 0: of all minimisers
        that of minimum norm.
    rng : int or numpy.random.Generator, default 0
        For what the method draws between rounds.
    on_round : callable, optional
        Called with each record.

    Returns
    -------
    list of EpochRecord
        One a round. Without clustering the training loss (plus ridge) never rises.

    Raises
    ------
    TypeError, ValueError
        If the model is of another kind, or an argument out of range.

    Examples
    --------
    >>> from lsq_sketch.recommend.data import Interactions
    >>> rows = Interactions.of([[0, 0], [0, 1], [1, 0], [1, 1]], [2.0, 4.0, 3.0, 6.0])
    >>> data = Dataset("tiny", ("user", "item"), (2, 2), rows, rows, task="regression")
    >>> model = MatrixFactorization((2, 2), dim=1, rng=0)
    >>> model.tables[1].codebook.value[:] = [[1.0], [1.0]]
    >>> bool(alternating_solves(model, data, rounds=3)[-1].train_loss < 1e-9)
    True
    """
    how = "Make one with MatrixFactorization(...)."
    _validate.instance(model, "model", MatrixFactorization, how)
    _validate.instance(data, "data", Dataset, "Load one, or build Dataset(...).")
    rounds = _validate.integer(rounds, "rounds", low=0)
    if model.loss != "squared" or not model.store.all_gathered:
        raise ValueError(
            f"exact solves need squared loss and tables that are sums of slices, got "
            f"{model.loss} loss and the method {model.method}. Train by gradient instead."
        )
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge must be a finite number of at least 0, got {ridge}.")
    random = generator(rng)
    workspace = Workspace(model.store, Sgd(), 1)
    frequencies: dict[int, np.ndarray] = {}
    history: list[EpochRecord] = []
    for r in range(1, rounds + 1):
        for field in (0, 1):
            solve_field(model, data.train, field, ridge)
        history.append(_record(model, data, r))
        if on_round is not None:
            on_round(history[-1])
        for place in model.store.placed if r < rounds else []:
            stream = generator(int(random.integers(2**63)))
            place.table.after_epoch(
                EpochContext(
                    epoch=r,
                    epochs=rounds,
                    rng=stream,
                    model=model,
                    table=place.table,
                    field=place.field,
                    column=place.column,
                    train=data.train,
                    workspace=workspace,
                    _frequencies=frequencies,
                )
            )
    return history


def solve_field(
    model: MatrixFactorization, rows: Interactions, field: int, ridge: float = 0.0
) -> None:
    """The best parameters of one field's tables (and the intercept after them), all else fixed.

    Parameters
    ----------
    model : MatrixFactorization
        Changed in place.
    rows : Interactions
    field : int
        0 or 1.
    ridge : float, default 0
    """
    vectors = model.store.vectors(np.ascontiguousarray(rows.ids), model.columns)
    other = vectors[:, 1 - field].astype(np.float64)
    targets = rows.labels.astype(np.float64)
    if model.biases:
        targets -= other[:, model.dim] + model.intercept.value[0, 0]
        other[:, model.dim] = 1.0  # what the field's own biases are multiplied by
    chosen = [place for place in model.store.placed if place.field == field]
    ids = np.ascontiguousarray(rows.ids[:, [field]])
    with single_threaded_blas():
        if all(_is_identity(place) for place in chosen):
            _solve_rows(chosen, ids[:, 0], other, targets, ridge)
        else:
            _solve_all(chosen, ids, other, targets, ridge)
    if model.biases:
        residual = rows.labels - model.scores(rows.ids)
        model.intercept.value[0, 0] += residual.mean(dtype=np.float64)


def _is_identity(place: Placed) -> bool:
    """Whether each ID has a slice of its own: IDs then have separate problems."""
    table = place.table
    assert isinstance(table, GatherTable)
    term = table.terms[0]
    alone = len(table.terms) == 1 and term.kind == places.DIRECT and term.divisor == 1
    return alone and term.rows == table.cardinality and term.width == table.dim


def _solve_rows(
    chosen: list[Placed], ids: np.ndarray, other: np.ndarray, targets: np.ndarray, ridge: float
) -> None:
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(ids[order]) != 0])
    bounds = [*starts.tolist(), len(ids)]
    penalty = np.sqrt(ridge) * np.eye(other.shape[1])

    def solve(group: int) -> None:
        rows = order[bounds[group] : bounds[group + 1]]
        X, y = other[rows], targets[rows, None]
        if ridge > 0:
            X, y = np.vstack([X, penalty]), np.vstack([y, np.zeros((len(penalty), 1))])
        noise = max(X.shape) * SINGLE_EPS * column_norms(X)
        found = least_squares_step(X, y, noise)[:, 0]
        for place in chosen:
            part = slice(place.column, place.column + place.table.dim)
            place.table.parameters["codebook"].value[ids[rows[0]]] = found[part]

    for_each(solve, range(len(starts)))


def _solve_all(
    chosen: list[Placed], ids: np.ndarray, other: np.ndarray, targets: np.ndarray, ridge: float
) -> None:
    blocks = [_design(place, ids, other) for place in chosen]
    X = sp.hstack(blocks, format="csr")
    y = targets[:, None]
    if ridge > 0:
        X = sp.vstack([X, np.sqrt(ridge) * sp.eye_array(X.shape[1])], format="csr")
        y = np.vstack([y, np.zeros((X.shape[0] - len(targets), 1))])
    # vectors are rounded to single precision: what lies below that rounding is not fitted
    found = LeastSquares(X.astype(np.float32), y).optimum[:, 0]
    stops = np.cumsum([block.shape[1] for block in blocks])[:-1]
    for place, part in zip(chosen, np.split(found, stops), strict=True):
        value = place.table.parameters["codebook"].value
        value[...] = part.reshape(value.shape)


def _design(place: Placed, ids: np.ndarray, other: np.ndarray) -> sp.csr_array:
    """The design matrix of one table: the other vector's entries at the places of the slices."""
    table = place.table
    assert isinstance(table, GatherTable)
    n = len(ids)
    matrix = table.term_matrix()
    offsets = np.empty((len(matrix), n), np.int64)
    places.locate(ids, 0, n, matrix, table.coefficients, table.assignments.reshape(-1), offsets)
    columns = [term.floats(offsets[t]) for t, term in enumerate(table.terms)]
    values = [
        other[:, place.column + term.column : place.column + term.column + term.width]
        for term in table.terms
    ]
    indices, data = np.hstack(columns), np.hstack(values)
    pointers = np.arange(n + 1) * indices.shape[1]
    shape = (n, table.codebook.value.size)
    return sp.csr_array((data.ravel(), indices.ravel(), pointers), shape=shape)


def _record(model: MatrixFactorization, data: Dataset, r: int) -> EpochRecord:
    scores = model.scores(data.validation.ids)
    labels = data.validation.labels
    auc = area_under_curve(labels, scores) if data.task == "binary" else None
    train = model.mean_loss(model.scores(data.train.ids), data.train.labels)
    return EpochRecord(r, train, model.mean_loss(scores, labels), auc, 0.0, 0.0)
