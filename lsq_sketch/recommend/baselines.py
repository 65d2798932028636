"""What needs no embeddings: one bias an ID, by scikit-learn on the one-hot design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from .. import _validate
from ..errors import DataError
from ..problem import LeastSquares
from ..rng import generator
from ..threads import single_threaded_blas
from .data.dataset import Dataset, Interactions

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
MAX_ROWS = 1 << 22
ROWS_AT_ONCE = 1 << 20
TOLERANCE = 1e-6
MAX_ITER = 500


@dataclass(frozen=True)
class Baseline:
    """A bias-only model, and how it does on the validation part.

    Attributes
    ----------
    loss : float
        Mean cross-entropy; or the mean squared error, where the task is regression.
    auc : float or None
        None where the task is regression, or the validation part has one label only.
    penalty : float
        Factor of the squared norm of the biases (of half of it, for the cross-entropy, both as
        sums over rows), chosen on the training part.
    rows : int
        Training rows that were used.
    parameters : int
    predictions : ndarray of float64, shape (n_validation,)
        Probabilities; or values, where the task is regression.
    """

    loss: float
    auc: float | None
    penalty: float
    rows: int
    parameters: int
    predictions: np.ndarray = field(repr=False)


def bias_only(
    dataset: Dataset,
    rng: Any = 0,
    *,
    penalties: Sequence[float] = PENALTIES,
    max_rows: int = MAX_ROWS,
) -> Baseline:
    """Logistic regression (ridge regression, where the task is that) on the one-hot design.

    A constant, one bias for each ID of each field, and one weight for each dense feature.

    Parameters
    ----------
    dataset : Dataset
    rng : int or numpy.random.Generator, default 0
        Draws the split that chooses the penalty, and the rows where there are too many.
    penalties : sequence of float
        To choose from: the one of least loss on a split of the training part
        (`Dataset.tuning`), after which the model is fitted to all of it.
    max_rows : int, default 4194304
        Of more training rows, so many are drawn at random.

    Returns
    -------
    Baseline

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind.
    DataError
        If the training part has one label only, or is too small to split.

    Examples
    --------
    >>> from lsq_sketch.recommend.data import load
    >>> baseline = bias_only(load("movielens-small"), penalties=[1.0])
    >>> print(f"AUC {baseline.auc:.3f}, {baseline.parameters} parameters")
    AUC 0.786, 9123 parameters
    """
    _validate.instance(dataset, "dataset", Dataset, "Load one with lsq_sketch.recommend.data.load.")
    max_rows = _validate.integer(max_rows, "max_rows", low=2)
    if not penalties or not all(np.isfinite(p) and p > 0 for p in penalties):
        raise ValueError(f"penalties must be positive numbers, at least one, got {penalties!r}.")
    random = generator(rng)
    if len(dataset.train) > max_rows:
        rows = np.sort(random.choice(len(dataset.train), max_rows, replace=False))
        dataset = dataset.subset(rows)
    with single_threaded_blas():
        penalty = float(penalties[0])
        if len(penalties) > 1:
            split = dataset.tuning(random)
            design = one_hot_design(split.train, split.cardinalities)
            losses = [
                _loss(split, _predict(_fit(split, design, float(p)), split.validation, split))
                for p in penalties
            ]
            penalty = float(penalties[int(np.argmin(losses))])
        design = one_hot_design(dataset.train, dataset.cardinalities)
        model = _fit(dataset, design, penalty)
        predictions = _predict(model, dataset.validation, dataset)
    from sklearn.metrics import roc_auc_score  # here: scikit-learn takes its time

    labels = dataset.validation.labels
    ranked = dataset.task == "binary" and len(np.unique(labels)) == 2
    return Baseline(
        loss=_loss(dataset, predictions),
        auc=float(roc_auc_score(labels, predictions)) if ranked else None,
        penalty=penalty,
        rows=len(dataset.train),
        parameters=design.shape[1] + 1,
        predictions=predictions,
    )


def one_hot_design(part: Interactions, cardinalities: Sequence[int]) -> sp.csr_array:
    """The design matrix of a part: one-hot fields side by side, then the dense features.

    Parameters
    ----------
    part : Interactions
    cardinalities : sequence of int

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (n, sum of cardinalities + n_dense)

    Examples
    --------
    >>> part = Interactions.of([[0, 1], [1, 0]], labels=[0, 1], dense=[[0.5], [2.0]])
    >>> one_hot_design(part, (2, 2)).toarray()
    array([[1. , 0. , 0. , 1. , 0.5],
           [0. , 1. , 1. , 0. , 2. ]])
    """
    n, n_fields = part.ids.shape
    n_dense = part.dense.shape[1]
    first = np.cumsum([0, *cardinalities])
    columns = np.empty((n, n_fields + n_dense), np.int32)
    values = np.ones((n, n_fields + n_dense))
    columns[:, :n_fields] = part.ids + first[:-1]
    columns[:, n_fields:] = first[-1] + np.arange(n_dense)
    values[:, n_fields:] = part.dense
    pointers = np.arange(0, columns.size + 1, n_fields + n_dense)
    shape = (n, int(first[-1]) + n_dense)
    return sp.csr_array((values.ravel(), columns.ravel(), pointers), shape=shape)


def least_squares(dataset: Dataset) -> LeastSquares:
    """The least-squares problem of the training part: one-hot design, labels as targets.

    Parameters
    ----------
    dataset : Dataset
        Of any task: the optimum is the bias-only model without penalty.

    Returns
    -------
    LeastSquares

    Examples
    --------
    >>> rows = Interactions.of([[0, 0], [1, 0], [1, 1]], labels=[1.0, 2.0, 4.0])
    >>> data = Dataset("tiny", ("a", "b"), (2, 2), rows, rows, task="regression")
    >>> least_squares(data).rank
    3
    """
    _validate.instance(dataset, "dataset", Dataset, "Load one with lsq_sketch.recommend.data.load.")
    return LeastSquares(
        one_hot_design(dataset.train, dataset.cardinalities),
        np.asarray(dataset.train.labels, dtype=np.float64),
    )


def _fit(dataset: Dataset, design: sp.csr_array, penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    labels = np.asarray(dataset.train.labels, dtype=np.float64)
    if dataset.task == "regression":
        return Ridge(alpha=penalty, solver="sparse_cg", tol=TOLERANCE).fit(design, labels)
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"{dataset.name}: the training part has the label {labels[0]:g} only; expected 0 and 1."
        )
    # Newton's method with conjugate gradients: on one-hot designs L-BFGS needs ten times the passes
    model = LogisticRegression(C=1 / penalty, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITER)
    return model.fit(design, labels)


def _predict(model: Any, part: Interactions, dataset: Dataset) -> np.ndarray:
    blocks = []
    for start in range(0, len(part), ROWS_AT_ONCE):
        block = part.subset(slice(start, start + ROWS_AT_ONCE))
        design = one_hot_design(block, dataset.cardinalities)
        regression = dataset.task == "regression"
        blocks.append(model.predict(design) if regression else model.predict_proba(design)[:, 1])
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _loss(dataset: Dataset, predictions: np.ndarray) -> float:
    labels = np.asarray(dataset.validation.labels, dtype=np.float64)
    if dataset.task == "regression":
        return float(np.mean((predictions - labels) ** 2))
    from sklearn.metrics import log_loss

    return float(log_loss(labels, predictions, labels=[0, 1]))
