"""What a recommender model is: tables for its fields, and a score from their vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import scipy.special

from ... import _validate
from ...kernels.factorization import LOGISTIC, SQUARED, batch_loss
from ...rng import generator
from ...threads import for_each, row_chunks, single_threaded_blas
from ..methods import Parameter, Table, make_options, make_table, registry
from ..methods.base import FLOAT_BYTES
from ..workspace import Placed, Store, Workspace

BIASES = ("none", "full", "compressed")
LOSSES = {"squared": SQUARED, "logistic": LOGISTIC}
ROWS_AT_ONCE = 8192

ROWS_A_PIECE = 512
"""Rows of a batch that one thread works on, whose vectors stay in its cache. Gradients of pieces
are added in order."""


class Model(ABC):
    """A score for each row, from one vector for each field and the dense features.

    Parameters
    ----------
    cardinalities : sequence of int
        IDs of each field.
    dim : int
        Columns of the vectors.
    method : str, default "full"
        How tables are compressed; a name from `lsq_sketch.recommend.methods.registry`.
    params_per_dim : int, default 64
        Trained parameters for each column of each table.
    rng : int or numpy.random.Generator, default 0
    options : dataclass or dict, optional
        Settings of the method.
    bias : {"none", "full", "compressed"}, default "none"
        A scalar for each ID and one for all, added to the score; compressed: by the same method
        with the same ``params_per_dim``.
    n_dense : int, default 0
        Dense features.
    loss : {"squared", "logistic"}, optional
        By default the model's usual one.

    Attributes
    ----------
    tables, biases : list of Table
        One for each field; no biases if ``bias`` is "none".
    store : Store
        All trained numbers, and all tables' integers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or unknown.
    """

    name: ClassVar[str]
    usual_loss: ClassVar[str]
    scores_are_inner_products: ClassVar[bool] = False
    """Whether the score is the inner product of two vectors, plus biases if there are any."""

    def __init__(
        self,
        cardinalities: Sequence[int],
        dim: int,
        method: str = "full",
        params_per_dim: int = 64,
        rng: Any = 0,
        *,
        options: Any = None,
        bias: str = "none",
        n_dense: int = 0,
        loss: str | None = None,
    ):
        self.cardinalities = tuple(
            _validate.integer(size, "cardinalities", low=1) for size in cardinalities
        )
        self._check_fields()
        self.dim = _validate.integer(dim, "dim", low=1)
        self.method = _validate.choice(method, "method", tuple(registry()))
        self.params_per_dim = _validate.integer(params_per_dim, "params_per_dim", low=1)
        self.bias = _validate.choice(bias, "bias", BIASES)
        self.n_dense = _validate.integer(n_dense, "n_dense", low=0)
        self.loss = _validate.choice(loss or self.usual_loss, "loss", tuple(LOSSES))
        kind = registry()[self.method]
        self.options = make_options(kind, options) if isinstance(options, dict) else options
        if self.options is None:
            self.options = kind.Options()
        random = generator(rng)
        self.tables = [
            make_table(self.method, size, self.dim, self.params_per_dim, random, self.options)
            for size in self.cardinalities
        ]
        self.biases: list[Table] = []
        if bias != "none":
            how = self.method if bias == "compressed" else "full"
            chosen = self.options if bias == "compressed" else None
            self.biases = [
                make_table(how, size, 1, self.params_per_dim, random, chosen)
                for size in self.cardinalities
            ]
        own = self._own_parameters(random)
        if self.biases:
            own["intercept"] = Parameter(np.zeros((1, 1)))
        placed = [Placed(f"table{f}", t, f, 0) for f, t in enumerate(self.tables)]
        placed += [Placed(f"bias{f}", t, f, self.dim) for f, t in enumerate(self.biases)]
        self.store = Store(own, placed)

    def _check_fields(self) -> None:
        if not self.cardinalities:
            raise ValueError("cardinalities is empty; expected at least one field.")

    def _own_parameters(self, random: np.random.Generator) -> dict[str, Parameter]:
        """Parameters outside the tables."""
        return {}

    @abstractmethod
    def score(self, vectors: np.ndarray, dense: np.ndarray) -> np.ndarray:
        """Scores of a batch.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, fields, columns)
            The last column is the bias, if there are biases.
        dense : ndarray of float32, shape (n, n_dense)

        Returns
        -------
        ndarray of float32, shape (n,)
        """

    @abstractmethod
    def gradient(
        self, vectors: np.ndarray, dense: np.ndarray, labels: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Loss of a batch, and the gradient of its mean.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, fields, columns)
        dense : ndarray of float32, shape (n, n_dense)
        labels : ndarray of float32, shape (n,)

        Returns
        -------
        loss : float
            Sum over the rows.
        gradient : ndarray of float32, shape (n, fields, columns)
            Of the mean loss by the vectors. That by the model's own parameters is added to theirs.
        """

    @abstractmethod
    def score_slopes(
        self, vectors: np.ndarray, dense: np.ndarray, field: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of a batch, and the gradient of each by its vector of one field.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, fields, columns)
        dense : ndarray of float32, shape (n, n_dense)
        field : int

        Returns
        -------
        scores : ndarray of float32, shape (n,)
        slopes : ndarray of float32, shape (n, columns)
        """

    def field_slopes(
        self,
        ids: np.ndarray,
        dense: np.ndarray,
        field: int,
        out: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of rows, and the gradient of each by its vector of one field.

        Parameters
        ----------
        ids : ndarray of int32, shape (n, fields)
        dense : ndarray of float32, shape (n, n_dense)
        field : int
        out : tuple of ndarray, optional
            Where to put both: memory that was used before is several times as fast as new.

        Returns
        -------
        scores : ndarray of float32, shape (n,)
        slopes : ndarray of float32, shape (n, columns)
        """
        scores, slopes = self._room_for_slopes(len(ids)) if out is None else out
        for start, stop in row_chunks(len(ids), ROWS_A_PIECE):
            part = slice(start, stop)
            vectors = self.store.vectors(ids[part], self.columns)
            scores[part], slopes[part] = self.score_slopes(vectors, dense[part], field)
        return scores, slopes

    def _room_for_slopes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        return np.empty(n, np.float32), np.empty((n, self.columns), np.float32)

    def id_biases(self, field: int) -> np.ndarray:
        """Biases of all IDs of a field; the first field's include the bias of all rows.

        Parameters
        ----------
        field : int

        Returns
        -------
        ndarray of float32, shape (IDs,)
            Zeros if the model has no biases.
        """
        ids = np.arange(self.cardinalities[field], dtype=np.int32)
        if not self.biases:
            return np.zeros(len(ids), np.float32)
        found = self.biases[field].lookup(ids)[:, 0]
        return found + self.parameters["intercept"].value[0, 0] if field == 0 else found

    def train_block(
        self, workspace: Workspace, ids: np.ndarray, dense: np.ndarray, labels: np.ndarray
    ) -> float:
        """A step for each batch of the rows, at most `BLOCK_BATCHES` of them.

        Parameters
        ----------
        workspace : Workspace
        ids : ndarray of int32, shape (n, fields)
        dense : ndarray of float32, shape (n, n_dense)
        labels : ndarray of float32, shape (n,)

        Returns
        -------
        float
            Sum of the losses, each before the step of its batch.
        """
        total = 0.0
        batches = row_chunks(len(labels), workspace.batch_size)
        workspace.begin_block()
        for start, stop in batches:
            part = slice(start, stop)
            vectors = workspace.read(ids[part], self.columns)
            loss, gradient = self.gradient(vectors, dense[part], labels[part])
            workspace.step_back(gradient)
            total += loss
        workspace.end_block(len(batches))
        return total

    def scores(self, ids: np.ndarray, dense: np.ndarray | None = None) -> np.ndarray:
        """Scores of rows: predictions of squared loss, log-odds of logistic loss.

        Parameters
        ----------
        ids : array_like of int, shape (n, fields)
        dense : array_like of float, shape (n, n_dense), optional
            Needed if the model has dense features.

        Returns
        -------
        ndarray of float32, shape (n,)

        Raises
        ------
        ValueError
            If a shape does not fit or an ID is out of range.
        """
        ids, dense = self._check_rows(ids, dense)
        out = np.empty(len(ids), np.float32)

        def fill(piece: tuple[int, int]) -> None:
            part = slice(*piece)
            out[part] = self.score(self.store.vectors(ids[part], self.columns), dense[part])

        with single_threaded_blas():
            for_each(fill, row_chunks(len(ids), ROWS_AT_ONCE))
        return out

    def predict(self, ids: np.ndarray, dense: np.ndarray | None = None) -> np.ndarray:
        """Predictions: values for squared loss, probabilities for logistic loss.

        Parameters
        ----------
        ids : array_like of int, shape (n, fields)
        dense : array_like of float, shape (n, n_dense), optional

        Returns
        -------
        ndarray of float32, shape (n,)

        Raises
        ------
        ValueError
            If a shape does not fit or an ID is out of range.
        """
        return self.link(self.scores(ids, dense))

    def link(self, scores: np.ndarray) -> np.ndarray:
        """Predictions from scores: probabilities for logistic loss, else the scores themselves."""
        return scipy.special.expit(scores) if self.loss == "logistic" else scores

    def _check_rows(self, ids: Any, dense: Any) -> tuple[np.ndarray, np.ndarray]:
        n_fields = len(self.cardinalities)
        raw = np.asarray(ids)
        if raw.ndim != 2 or raw.shape[1] != n_fields or raw.dtype.kind not in "iu":
            raise ValueError(
                f"ids must be integers of shape (n, {n_fields}), a column for each field; got "
                f"{raw.dtype} of shape {raw.shape}."
            )
        if len(raw):
            for f, (low, high) in enumerate(zip(raw.min(axis=0), raw.max(axis=0), strict=True)):
                if low < 0 or high >= self.cardinalities[f]:
                    raise ValueError(
                        f"ids of field {f} must lie in 0..{self.cardinalities[f] - 1}, got values "
                        f"from {low} to {high}."
                    )
        features = np.zeros((len(raw), 0), np.float32) if dense is None else np.asarray(dense)
        if features.shape != (len(raw), self.n_dense):
            raise ValueError(
                f"dense must have shape ({len(raw)}, {self.n_dense}), got {features.shape}."
            )
        return np.ascontiguousarray(raw, np.int32), np.ascontiguousarray(features, np.float32)

    def mean_loss(self, scores: np.ndarray, labels: np.ndarray) -> float:
        """Mean loss of scores against labels: cross-entropy, or squared error."""
        slopes = np.empty(len(labels), np.float32)
        return batch_loss(LOSSES[self.loss], scores, labels, slopes) / len(labels)

    def settings(self) -> dict[str, Any]:
        """What builds the same model anew with `make_model`, as plain numbers and strings."""
        return {
            "model": self.name,
            "cardinalities": list(self.cardinalities),
            "dim": self.dim,
            "method": self.method,
            "params_per_dim": self.params_per_dim,
            "options": asdict(self.options),
            "bias": self.bias,
            "n_dense": self.n_dense,
            "loss": self.loss,
        }

    @property
    def columns(self) -> int:
        """Columns of a row of vectors: ``dim``, and one for the bias."""
        return self.dim + bool(self.biases)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """All trained arrays by name."""
        return self.store.parameters

    @property
    def parameter_count(self) -> int:
        """Trained numbers: tables, biases and the model's own."""
        return int(self.store.values.size)

    @property
    def table_parameter_count(self) -> int:
        """Trained numbers of the tables and biases alone."""
        return sum(table.parameter_count for table in [*self.tables, *self.biases])

    @property
    def serving_bytes(self) -> int:
        """Bytes of all that a prediction reads, assignments and hash functions included."""
        return FLOAT_BYTES * self.parameter_count + sum(a.nbytes for a in self.store.state.values())

    @property
    def kept(self) -> dict[str, np.ndarray]:
        """What methods keep between epochs, by table and name; no prediction reads it."""
        return {
            f"{placed.name}/{name}": array
            for placed in self.store.placed
            for name, array in placed.table.kept.items()
        }
