"""Models of two fields that score a row by the inner product of its two vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import factorization as kernels
from ...kernels.reassignment import pair_slopes
from ..methods import Parameter
from ..team import teamwork
from ..workspace import Workspace
from .base import LOSSES, Model


class FactorModel(Model):
    """Score = inner product of the two vectors, plus biases if there are any.

    Trained in one compiled call for a block of batches where all tables are sums of slices.
    """

    scores_are_inner_products = True

    def _check_fields(self) -> None:
        if len(self.cardinalities) != 2:
            raise ValueError(
                f"{self.name} scores pairs: it takes data of 2 fields (user and item), got "
                f"{len(self.cardinalities)}. Use the model dlrm."
            )

    def score(self, vectors: np.ndarray, dense: np.ndarray) -> np.ndarray:
        """Scores of a batch."""
        a, b = vectors[:, 0], vectors[:, 1]
        scores = np.einsum("nd,nd->n", a[:, : self.dim], b[:, : self.dim])
        if self.biases:
            scores += a[:, self.dim] + b[:, self.dim] + self.intercept.value[0, 0]
        return scores

    def gradient(
        self, vectors: np.ndarray, dense: np.ndarray, labels: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Loss of a batch, and the gradient of its mean by the vectors."""
        slopes = np.empty(len(labels), np.float32)
        intercept = self.intercept.value[0, 0] if self.biases else np.float32(0)
        users, items = np.ascontiguousarray(vectors.transpose(1, 0, 2))
        scores = np.empty(len(labels), np.float32)
        kernels.pair_scores(users, items, self.dim, intercept, scores)
        total = kernels.batch_loss(LOSSES[self.loss], scores, labels, slopes)
        gradient = np.empty((2, *users.shape), np.float32)
        for others, by_own in ((items, gradient[0]), (users, gradient[1])):
            kernels.pair_gradient(others, self.dim, slopes, by_own)
        if self.biases:
            self.intercept.gradient[0, 0] += slopes.sum(dtype=np.float64)
        return total, gradient.transpose(1, 0, 2)

    def score_slopes(
        self, vectors: np.ndarray, dense: np.ndarray, field: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of a batch, and the gradient of each by its vector of one field."""
        slopes = vectors[:, 1 - field].copy()
        slopes[:, self.dim :] = 1
        return self.score(vectors, dense), slopes

    def field_slopes(
        self,
        ids: np.ndarray,
        dense: np.ndarray,
        field: int,
        out: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of rows, and the gradient of each by its vector of one field."""
        store = self.store
        if not store.all_gathered:
            return super().field_slopes(ids, dense, field, out)
        scores, slopes = self._room_for_slopes(len(ids)) if out is None else out
        intercept = self.intercept.value[0, 0] if self.biases else np.float32(0)
        pair_slopes(
            ids, field, self.dim, intercept, store.terms, store.coefficients, store.assignments,
            store.values, scores, slopes,
        )  # fmt: skip
        return scores, slopes

    def train_block(
        self, workspace: Workspace, ids: np.ndarray, dense: np.ndarray, labels: np.ndarray
    ) -> float:
        """A step for each batch of the rows."""
        if not self.store.all_gathered:
            with teamwork():
                return super().train_block(workspace, ids, dense, labels)
        store = self.store
        intercept, intercept_gradient = -1, -1
        if self.biases:
            intercept = store.starts["intercept"]
            intercept_gradient = workspace.gradient_start_of("intercept")
        workspace.begin_block()
        total = kernels.train_batches(
            ids, labels, workspace.batch_size, LOSSES[self.loss], self.dim, self.columns,
            intercept, intercept_gradient,
            workspace.terms, store.coefficients, store.assignments,
            store.values, workspace.gradient, workspace.gradient_start,
            workspace.segments, workspace.optimizer.kind, workspace.hyperparameters,
            workspace.step, workspace.idle, workspace.first, workspace.second,
            workspace.last, workspace.slots,
            workspace.offsets, workspace.gradient_offsets, workspace.touched,
        )  # fmt: skip
        workspace.end_block(-(-len(labels) // workspace.batch_size))
        return float(total)

    @property
    def intercept(self) -> Parameter:
        """The bias of all rows, if there are biases."""
        return self.parameters["intercept"]

    def _own_parameters(self, random: np.random.Generator) -> dict[str, Any]:
        return {}
