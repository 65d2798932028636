"""Training rows in the order of their IDs in one field, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..kernels.reassignment import sort_by_id
from .data import Interactions

ROWS_AT_ONCE = 8192
"""Rows of a block of IDs, unless one ID has more."""

FLOATS_AT_ONCE = 1 << 20
"""Numbers kept of all IDs of a block."""


@dataclass(frozen=True)
class SortedRows:
    """Rows in the order of their IDs in one field.

    Attributes
    ----------
    rows : Interactions
    order : ndarray of int
        Their numbers, those of one ID after those of another.
    starts : ndarray of int64, shape (IDs + 1,)
        Where in ``order`` those of each ID begin.
    weight : float
        How many rows each stands for.
    most : int
        Rows of an ID that are looked at; they stand for the others.

    Examples
    --------
    >>> rows = Interactions.of([[2, 0], [0, 0], [2, 1]], [1, 0, 1])
    >>> own = SortedRows.of(rows, 0, 3)
    >>> own.order.tolist(), own.starts.tolist()
    ([1, 0, 2], [0, 1, 1, 3])
    """

    rows: Interactions
    order: np.ndarray
    starts: np.ndarray
    weight: float = 1.0
    most: int = 1 << 16

    @classmethod
    def of(
        cls,
        rows: Interactions,
        field: int,
        cardinality: int,
        weight: float = 1.0,
        most: int = 1 << 16,
    ) -> SortedRows:
        """Sort rows by the IDs of a field, of which there are ``cardinality``."""
        starts = np.empty(cardinality + 1, np.int64)
        order = np.empty(len(rows), np.int32 if len(rows) < 2**31 else np.int64)
        sort_by_id(np.ascontiguousarray(rows.ids[:, field]), starts, order)
        return cls(rows, order, starts, weight, most)

    def of_ids(self, ids: np.ndarray) -> SortedRows:
        """The rows of some IDs, which are numbered anew in the order given.

        Examples
        --------
        >>> rows = Interactions.of([[2], [0], [2]], [1, 0, 1])
        >>> some = SortedRows.of(rows, 0, 3).of_ids(np.array([1, 2]))
        >>> some.order.tolist(), some.starts.tolist()
        ([0, 2], [0, 0, 2])
        """
        if np.array_equal(ids, np.arange(len(self.starts) - 1)):
            return self
        counts = np.diff(self.starts)[ids]
        starts = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        order = self.order[np.repeat(self.starts[:-1][ids], counts) + within]
        return SortedRows(self.rows, order, starts, self.weight, self.most)

    @cached_property
    def most_looked_at(self) -> int:
        """Rows of the ID of which most are looked at."""
        return min(int(np.diff(self.starts).max(initial=0)), self.most)

    @cached_property
    def seen(self) -> np.ndarray:
        """IDs that have rows, in order."""
        return np.flatnonzero(np.diff(self.starts))

    def blocks(self, floats_of_an_id: int = 1) -> Iterator[tuple[int, int]]:
        """Bounds of blocks of IDs with few enough rows; they depend on the data alone.

        Parameters
        ----------
        floats_of_an_id : int
            Numbers that will be kept of each: it bounds the IDs of a block.
        """
        most = max(1, FLOATS_AT_ONCE // floats_of_an_id)
        looked_at = np.minimum(np.diff(self.starts), self.most)
        ends = np.concatenate([[0], np.cumsum(looked_at)])
        first = 0
        while first < len(looked_at):
            stop = int(np.searchsorted(ends, ends[first] + ROWS_AT_ONCE, side="right")) - 1
            stop = min(max(stop, first + 1), first + most, len(looked_at))
            yield first, stop
            first = stop

    def block(self, first: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of IDs ``first:stop``.

        Returns
        -------
        chosen : ndarray of int64
            Numbers of the rows that are looked at, spread over all rows of their ID.
        bounds : ndarray of int64, shape (IDs + 1,)
            Where in it each ID's begin.
        weights : ndarray of float64, shape (IDs,)
            How many rows each of an ID's stands for.
        """
        counts = np.diff(self.starts[first : stop + 1])
        if counts.max(initial=0) <= self.most:
            bounds = self.starts[first : stop + 1] - self.starts[first]
            chosen = self.order[self.starts[first] : self.starts[stop]]
            return chosen, bounds, np.full(len(counts), self.weight)
        kept = np.minimum(counts, self.most)
        bounds = np.concatenate([[0], np.cumsum(kept)])
        chosen = np.concatenate(
            [
                self.order[self.starts[first + j] + np.arange(kept[j]) * counts[j] // kept[j]]
                for j in range(len(counts))
            ]
        )
        return chosen, bounds, self.weight * counts / np.maximum(kept, 1)
