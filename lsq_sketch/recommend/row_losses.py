"""What IDs' own rows lose with other codewords, and moves to those with which they lose least."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..kernels import codeword_pairs, reassignment, shrinkage
from ..kernels.factorization import LOGISTIC, SQUARED
from ..kernels.registers import LANES
from ..threads import for_each
from .sorted_rows import SortedRows

if TYPE_CHECKING:
    from .methods.alternating import AlternatingEmbedding
    from .models import Model
    from .training import EpochContext

CURVATURES = ("gauss-newton", "majorizer")

LARGEST_PRODUCTS = 1 << 16
"""Pairs of codewords of a chunk up to which their products are worked out, and read from cache."""

LARGEST_EXACT = 8
"""Codewords a chunk up to which each is tried on every row, where the choice is left to us."""


class _Memory(threading.local):
    """Arrays of float32 of each thread, used again for one block of IDs after another."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def array(self, name: str, *shape: int) -> np.ndarray:
        """The array of this name, in this shape: what is in it is arbitrary."""
        size = math.prod(shape)
        if name not in self._held or self._held[name].size < size:
            self._held[name] = np.empty(size, np.float32)
        return self._held[name][:size].reshape(shape)


class RowLosses(ABC):
    """Losses of the rows of a table's IDs, all else fixed.

    Parameters
    ----------
    table : AlternatingEmbedding
    context : EpochContext
    own : SortedRows
        The rows, sorted by the table's IDs.
    """

    def __init__(self, table: AlternatingEmbedding, context: EpochContext, own: SortedRows):
        self.table, self.context, self.own = table, context, own
        self.loss = SQUARED if context.model.loss == "squared" else LOGISTIC
        self._memory = _Memory()

    @abstractmethod
    def move(self, chunks: np.ndarray, penalties: np.ndarray) -> int:
        """Move each ID, chunk by chunk, to the codeword of least cost.

        Parameters
        ----------
        chunks : ndarray of int64
        penalties : ndarray of float64, shape (chunks, codewords)
            Of all chunks; added to an ID's summed loss.

        Returns
        -------
        int
            Assignments that have changed.
        """

    @abstractmethod
    def move_to_posteriors(
        self,
        chunks: np.ndarray,
        priors: tuple[np.ndarray, np.ndarray, np.ndarray],
        uncertainties: np.ndarray,
    ) -> int:
        """Move each ID, chunk by chunk, to the codeword nearest its posterior mean.

        Parameters
        ----------
        chunks : ndarray of int64
        priors : tuple of ndarray of float32
            Of each chunk; from `lsq_sketch.recommend.gaussian_prior.GaussianPriors.in_units`.
        uncertainties : ndarray of float32, shape (chunks, features)
            Of the other field's vectors.

        Returns
        -------
        int
            Assignments that have changed.
        """

    @abstractmethod
    def parabolas(self, chunk: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parabolas of some IDs' losses in one chunk.

        Parameters
        ----------
        chunk : int
        ids : ndarray of int64
            Each has rows.

        Returns
        -------
        features : ndarray of float32, shape (n, features)
        curvatures : ndarray of float32, shape (n,)
            See `lsq_sketch.kernels.reassignment.expand_ids`.
        """

    def _expanded(self, chunks: np.ndarray) -> np.ndarray:
        """What parabolas are multiplied by, of the chunks whose turn it is."""
        table = self.table
        expanded = np.empty((table.n_chunks, table.n_codewords, table.n_features), np.float32)
        for chunk in chunks:
            reassignment.expand_codewords(table.codewords(chunk), expanded[chunk])
        return expanded

    def _costs_of_uncertainty(
        self, chunks: np.ndarray, expanded: np.ndarray, uncertainties: np.ndarray
    ) -> np.ndarray:
        """What the other field's uncertainty costs with each codeword, a unit of curvature."""
        costs = np.zeros(expanded.shape[:2])
        for chunk in chunks:
            costs[chunk] = expanded[chunk].astype(np.float64) @ uncertainties[chunk]
        return costs


def row_losses(table: AlternatingEmbedding, context: EpochContext, own: SortedRows) -> RowLosses:
    """By the codewords of both fields if scores are sums of their products."""
    other = _partner(table, context)
    if other is None:
        return LossesBySlopes(table, context, own)
    return LossesByCodewords(table, context, own, other)


def _partner(table: AlternatingEmbedding, context: EpochContext) -> AlternatingEmbedding | None:
    """The other field's table, if it has codewords in the same chunks.

    Nothing is gained by them if every codeword is tried on every row exactly.
    """
    model = context.model
    if not model.scores_are_inner_products or table is not model.tables[context.field]:
        return None
    other = model.tables[1 - context.field]
    if (
        isinstance(other, type(table))
        and other.n_chunks == table.n_chunks
        and not _exactly(table, model)
    ):
        return other
    return None


def _exactly(table: AlternatingEmbedding, model: Model) -> bool:
    """Whether every codeword is tried on every row.

    Where parabolas are exact anyway, or scores are linearised, nothing is gained by it.
    """
    if table.options.evaluation == "auto":
        curved = model.scores_are_inner_products and model.loss == "logistic"
        return curved and table.n_codewords <= LARGEST_EXACT
    return table.options.evaluation == "exact"


class LossesBySlopes(RowLosses):
    """From the slope of each row's score in the ID's vector: for every model and table."""

    def move(self, chunks: np.ndarray, penalties: np.ndarray) -> int:
        """Move each ID, chunk by chunk, to the codeword of least cost."""
        table, options = self.table, self.table.options
        expanded = self._expanded(chunks)

        def move_exactly(first: int, stop: int) -> int:
            return self._move_exactly(first, stop, chunks, penalties)

        def move_by_parabolas(first: int, stop: int) -> int:
            slopes, scores, labels, bounds, weights = self._block(self.own, first, stop)
            return reassignment.move_by_parabolas(
                slopes, scores, labels, bounds, weights, self.loss,
                CURVATURES.index(options.curvature), options.damping, chunks, table.codebooks,
                expanded, penalties, options.margin, table.assignments[first:stop],
                *self._room(len(scores), stop - first),
            )  # fmt: skip

        exactly = _exactly(table, self.context.model)
        return self._sum_over_blocks(move_exactly if exactly else move_by_parabolas)

    def move_to_posteriors(
        self,
        chunks: np.ndarray,
        priors: tuple[np.ndarray, np.ndarray, np.ndarray],
        uncertainties: np.ndarray,
    ) -> int:
        """Move each ID, chunk by chunk, to the codeword nearest its posterior mean."""
        table, options = self.table, self.table.options
        expanded = self._expanded(chunks)
        costs = self._costs_of_uncertainty(chunks, expanded, uncertainties)

        def move(first: int, stop: int) -> int:
            slopes, scores, labels, bounds, weights = self._block(self.own, first, stop)
            return shrinkage.move_to_posteriors(
                slopes, scores, labels, bounds, weights, self.loss,
                CURVATURES.index(options.curvature), options.damping, chunks, table.codebooks,
                expanded, *priors, uncertainties, costs, options.margin,
                table.assignments[first:stop], *self._room(len(scores), stop - first),
            )  # fmt: skip

        return self._sum_over_blocks(move)

    def _room(self, rows: int, ids: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory for what is kept of each row and each ID of a block."""
        return (
            self._memory.array("rows", reassignment.SCRATCH, rows),
            self._memory.array("ids", ids, self.table.n_features),
        )

    def _sum_over_blocks(self, move: Callable[[int, int], int]) -> int:
        """What moves of all blocks of IDs that have rows add up to."""
        starts = self.own.starts

        def move_block(piece: tuple[int, int]) -> int:
            first, stop = piece
            return move(first, stop) if starts[first] < starts[stop] else 0

        return sum(for_each(move_block, list(self.own.blocks(self.table.n_features))))

    def _move_exactly(
        self, first: int, stop: int, chunks: np.ndarray, penalties: np.ndarray
    ) -> int:
        table = self.table
        slopes, scores, labels, bounds, weights = self._block(self.own, first, stop)
        moved = 0
        for chunk in chunks:
            before = table.assignments[first:stop, chunk]
            assigned = before.copy()
            reassignment.move_exactly(
                slopes, scores, labels, bounds, weights, self.loss, chunk, table.codewords(chunk),
                penalties[chunk], table.options.margin, assigned,
            )  # fmt: skip
            moved += int(np.count_nonzero(assigned != before))
            table.assign(chunk, assigned, first)
        return moved

    def parabolas(self, chunk: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parabolas of some IDs' losses in one chunk."""
        table, own = self.table, self.own.of_ids(ids)
        out = np.empty((len(ids), table.n_features), np.float32)
        curvatures = np.empty(len(ids), np.float32)

        def expand(piece: tuple[int, int]) -> None:
            first, stop = piece
            slopes, scores, labels, bounds, weights = self._block(own, first, stop)
            losses, firsts, seconds = self._memory.array("rows", 3, len(scores))
            reassignment.parabolas(
                self.loss, reassignment.GAUSS_NEWTON, scores, labels, losses, firsts, seconds
            )
            reassignment.expand_ids(
                slopes, firsts, seconds, bounds, weights, table.options.damping, chunk,
                table.codewords(chunk), table.assignments[ids[first:stop], chunk],
                np.arange(stop - first), out[first:stop], curvatures[first:stop],
            )  # fmt: skip

        for_each(expand, list(own.blocks(table.n_features)))
        return out, curvatures

    def _block(
        self, own: SortedRows, first: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Slopes, scores and labels of a block's rows, bounds of its IDs, weights of their rows."""
        context, rows = self.context, own.rows
        chosen, bounds, weights = own.block(first, stop)
        n, all_columns = len(chosen), context.model.columns
        out = self._memory.array("scores", n), self._memory.array("slopes", n, all_columns)
        scores, slopes = context.model.field_slopes(
            rows.ids.take(chosen, axis=0), rows.dense[chosen], context.field, out
        )
        in_table = slopes
        if self.table.dim < all_columns:
            in_table = self._memory.array("in table", n, self.table.dim)
            in_table[:] = slopes[:, context.column : context.column + self.table.dim]
        return in_table, scores, rows.labels.take(chosen), bounds, weights


class LossesByCodewords(RowLosses):
    """From the codewords of both fields, of whose products scores are sums.

    Parameters
    ----------
    table, context, own
        As for `RowLosses`.
    other : AlternatingEmbedding
        The other field's table.
    """

    def __init__(
        self,
        table: AlternatingEmbedding,
        context: EpochContext,
        own: SortedRows,
        other: AlternatingEmbedding,
    ):
        super().__init__(table, context, own)
        self.other = other
        self.own_biases = context.model.id_biases(context.field)
        self.other_biases = context.model.id_biases(1 - context.field)

    def _room(self, own: SortedRows) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Memory for what is kept of each row of a block; see `codeword_pairs.expand_pairs`."""
        room = max(codeword_pairs.ROWS_A_BLOCK, own.most_looked_at)
        return (
            np.empty((self.table.n_chunks, room), np.int32),
            np.empty((1, room), np.int64),
            self._memory.array("rows", codeword_pairs.SCRATCH, room),
            self._memory.array("slopes", room, self.table.width),
        )

    def _of_ids(self) -> np.ndarray:
        """Memory for what is kept of each ID of a block."""
        most = min(codeword_pairs.ROWS_A_BLOCK, len(self.own.seen))
        return self._memory.array("ids", most, self.table.n_features)

    def move(self, chunks: np.ndarray, penalties: np.ndarray) -> int:
        """Move each ID, chunk by chunk, to the codeword of least cost."""
        table, other, own, options = self.table, self.other, self.own, self.table.options
        if table.n_codewords * other.n_codewords > LARGEST_PRODUCTS:
            return LossesBySlopes(table, self.context, own).move(chunks, penalties)
        products = self._products()
        costs = np.full((table.n_chunks, products.shape[2]), np.inf, np.float32)
        costs[:, : table.n_codewords] = penalties

        def move(piece: tuple[int, int]) -> int:
            codes, _, scratch, _ = self._room(own)
            return codeword_pairs.move_pairs(
                own.order, own.starts, *piece, own.most, own.weight, own.rows.ids, own.rows.labels,
                self.own_biases, self.other_biases, self.context.field, self.loss,
                CURVATURES.index(options.curvature), options.damping, chunks, table.codebooks,
                other.codebooks, products, costs, options.margin, table.assignments,
                other.assignments, codes, scratch,
            )  # fmt: skip

        return sum(for_each(move, list(own.blocks())))

    def _products(self) -> np.ndarray:
        """Of all pairs of codewords, (chunks, others, whole registers of own)."""
        table, other = self.table, self.other
        whole = -(-table.n_codewords // LANES) * LANES
        products = np.empty((table.n_chunks, other.n_codewords, whole), np.float32)
        codeword_pairs.products_of_codewords(other.codebooks, table.codebooks, products)
        return products

    def move_to_posteriors(
        self,
        chunks: np.ndarray,
        priors: tuple[np.ndarray, np.ndarray, np.ndarray],
        uncertainties: np.ndarray,
    ) -> int:
        """Move each ID, chunk by chunk, to the codeword nearest its posterior mean."""
        table, other, own, options = self.table, self.other, self.own, self.table.options
        expanded = self._expanded(chunks)
        costs = self._costs_of_uncertainty(chunks, expanded, uncertainties)

        def move(piece: tuple[int, int]) -> int:
            return shrinkage.move_pairs_to_posteriors(
                own.order, own.starts, *piece, own.most, own.weight, own.rows.ids, own.rows.labels,
                self.own_biases, self.other_biases, self.context.field, self.loss,
                CURVATURES.index(options.curvature), options.damping, chunks, table.codebooks,
                other.codebooks, expanded, *priors, uncertainties, costs, options.margin,
                table.assignments, other.assignments, *self._room(own), self._of_ids(),
            )  # fmt: skip

        return sum(for_each(move, list(own.blocks())))

    def parabolas(self, chunk: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parabolas of some IDs' losses in one chunk."""
        table, own = self.table, self.own.of_ids(ids)
        out = np.empty((len(ids), table.n_features), np.float32)
        curvatures = np.empty(len(ids), np.float32)
        assigned, biases = table.assignments[ids], self.own_biases[ids]

        def expand(piece: tuple[int, int]) -> None:
            codeword_pairs.expand_pairs(
                own.order, own.starts, *piece, own.most, own.weight, own.rows.ids, own.rows.labels,
                biases, self.other_biases, self.context.field, self.loss, table.options.damping,
                chunk, table.codebooks, self.other.codebooks, assigned, self.other.assignments,
                *self._room(own), out, curvatures,
            )  # fmt: skip

        for_each(expand, list(own.blocks(table.n_features)))
        return out, curvatures
