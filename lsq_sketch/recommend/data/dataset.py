"""What every data set is, once loaded: IDs of categorical fields, dense features, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _validate
from ...errors import DataError
from ...rng import generator

if TYPE_CHECKING:
    from .criteo import Buckets

TASKS = ("binary", "regression")

BLOCK = 1 << 16
"""Rows that are checked at once: what does not fit in memory is never read whole."""


@dataclass(frozen=True)
class Interactions:
    """The rows of one part of a data set.

    Attributes
    ----------
    ids : ndarray of int32, shape (n, n_fields)
        Local IDs of each field, from 0 to its cardinality - 1. May be a memory map larger than
        memory: take rows from it in blocks.
    dense : ndarray of float32, shape (n, n_dense)
        Real features, ready for use; often no columns.
    labels : ndarray of float32, shape (n,)
        0 or 1 where the task is binary, any real number where it is regression.

    Raises
    ------
    ValueError
        If shapes or dtypes are others.

    Examples
    --------
    >>> rows = Interactions.of([[0, 1], [2, 0]], labels=[0, 1])
    >>> len(rows), rows.dense.shape, rows.subset([1]).ids.tolist()
    (2, (2, 0), [[2, 0]])
    """

    ids: np.ndarray
    dense: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype, ndim in (
            ("ids", np.int32, 2), ("dense", np.float32, 2), ("labels", np.float32, 1),
        ):  # fmt: skip
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != ndim:
                got = f"{getattr(array, 'dtype', type(array).__name__)}{np.shape(array)}"
                raise ValueError(
                    f"{name} must be a NumPy array of {np.dtype(dtype)} with {ndim} dimension(s), "
                    f"got {got}. Interactions.of converts lists and other dtypes."
                )
        if not len(self.ids) == len(self.dense) == len(self.labels):
            raise ValueError(
                f"ids, dense and labels must have a row for each interaction, got "
                f"{len(self.ids)}, {len(self.dense)} and {len(self.labels)} rows."
            )

    @classmethod
    def of(cls, ids: Any, labels: Any, dense: Any = None) -> Interactions:
        """Rows from any arrays: converted, copied where they must be.

        Parameters
        ----------
        ids : array_like of int, shape (n, n_fields)
        labels : array_like, shape (n,)
        dense : array_like, shape (n, n_dense), optional

        Returns
        -------
        Interactions
        """
        table = np.ascontiguousarray(ids, dtype=np.int32)
        features = np.zeros((len(table), 0), np.float32) if dense is None else dense
        return cls(
            table,
            np.ascontiguousarray(features, dtype=np.float32),
            np.ascontiguousarray(labels, dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: Any) -> Interactions:
        """Some of the rows.

        Parameters
        ----------
        rows : slice or array_like of int or bool
            A slice makes views, which stay memory maps; anything else copies.

        Returns
        -------
        Interactions

        Raises
        ------
        IndexError
            If a row is out of range.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(index, slice) and not index.size:
            index = slice(0, 0)  # an empty list is an array of floats
        if isinstance(index, slice) or index.dtype.kind not in "iu":
            return Interactions(self.ids[index], self.dense[index], self.labels[index])
        # ten times as fast as an index, but for rows of no columns
        ids = np.asarray(self.ids).take(index, axis=0)
        return Interactions(ids, self.dense[index], np.asarray(self.labels).take(index))


@dataclass(frozen=True)
class Dataset:
    """A data set with a training and a validation part.

    Attributes
    ----------
    name : str
        The word it was loaded by.
    field_names : tuple of str
        Of the categorical fields.
    cardinalities : tuple of int
        IDs of each field; some may occur in no row.
    train, validation : Interactions
    task : {"binary", "regression"}
    best_loss, best_auc : float or None
        Where the true probabilities are known (synthetic data): their mean cross-entropy and
        AUC on the validation rows, which no model can beat but by luck.
    time_ordered : bool
        Whether the training rows stand in the order of time.
    vocabularies : tuple of ndarray of bytes, or None
        For each field, the original value (UTF-8) of each ID, where there is one.
    skipped_lines : int
        Malformed lines of the file that were left out.
    buckets : Buckets or None
        Of Criteo's hashed categories: which ID each has.

    Raises
    ------
    ValueError
        If fields, cardinalities and IDs do not fit together.

    Examples
    --------
    >>> rows = Interactions.of([[0, 0], [0, 1], [1, 2], [1, 0]], labels=[0, 1, 1, 0])
    >>> data = Dataset("tiny", ("user", "item"), (2, 3), rows, rows.subset([0]))
    >>> data.n_fields, data.n_dense, len(data.split(0.25, rng=1).train)
    (2, 0, 3)
    """

    name: str
    field_names: tuple[str, ...]
    cardinalities: tuple[int, ...]
    train: Interactions = field(repr=False)
    validation: Interactions = field(repr=False)
    task: str = "binary"
    best_loss: float | None = None
    best_auc: float | None = None
    time_ordered: bool = False
    vocabularies: tuple[np.ndarray, ...] | None = field(default=None, repr=False)
    skipped_lines: int = 0
    buckets: Buckets | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _validate.choice(self.task, "task", TASKS)
        if len(self.field_names) != len(self.cardinalities) or not self.field_names:
            raise ValueError(
                f"expected a cardinality for each field, got {len(self.cardinalities)} for the "
                f"fields {self.field_names}."
            )
        if self.train.dense.shape[1] != self.validation.dense.shape[1]:
            raise ValueError(
                f"train and validation must have the same dense features, got "
                f"{self.train.dense.shape[1]} and {self.validation.dense.shape[1]} columns."
            )
        for part in ("train", "validation"):
            self._check(part, getattr(self, part))

    def _check(self, part: str, rows: Interactions) -> None:
        if rows.ids.shape[1] != self.n_fields:
            raise ValueError(
                f"the {part} part has {rows.ids.shape[1]} columns of IDs; expected one for each "
                f"of the fields {self.field_names}."
            )
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            ids = rows.ids[block]
            low, high = ids.min(axis=0), ids.max(axis=0)
            outside = (low < 0) | (high >= np.array(self.cardinalities))
            if outside.any():
                f = int(np.argmax(outside))
                raise ValueError(
                    f"field {self.field_names[f]} of the {part} part has IDs from {low[f]} to "
                    f"{high[f]}; expected 0 to {self.cardinalities[f] - 1}."
                )
            if not (np.isfinite(rows.labels[block]).all() and np.isfinite(rows.dense[block]).all()):
                raise ValueError(
                    f"labels or dense features of the {part} part are not finite in rows "
                    f"{start} to {start + len(ids) - 1}. Drop or impute those rows."
                )

    @property
    def n_fields(self) -> int:
        """Number of categorical fields."""
        return len(self.field_names)

    @property
    def n_dense(self) -> int:
        """Number of dense features."""
        return int(self.train.dense.shape[1])

    def subset(self, rows: Any) -> Dataset:
        """The same data set with some of its training rows.

        Parameters
        ----------
        rows : slice or array_like of int or bool
            Of the training part.

        Returns
        -------
        Dataset
        """
        return replace(self, train=self.train.subset(rows))

    def split(self, fraction: float = 0.1, rng: Any = 0) -> Dataset:
        """Training rows split at random: to choose settings without a look at the validation.

        Parameters
        ----------
        fraction : float, default 0.1
            Share of the training rows to validate on, strictly between 0 and 1.
        rng : int or numpy.random.Generator, default 0

        Returns
        -------
        Dataset
            Training rows in their order, the rest as validation. Copies both: of a memory map,
            take `tuning`.

        Raises
        ------
        DataError
            If a part would be empty.
        """
        fraction = _validate.probability(fraction, "fraction")
        return self._held_out(random_rows(len(self.train), fraction, rng))

    def split_last(self, actions: int = 2, field_index: int = 0) -> Dataset:
        """Training rows with the last actions of each user held out.

        Parameters
        ----------
        actions : int, default 2
            As `last_actions`: one action of each user stays.
        field_index : int, default 0
            The field whose IDs are the users.

        Returns
        -------
        Dataset

        Raises
        ------
        ValueError
            If the training rows are not in the order of time.
        """
        if not self.time_ordered:
            raise ValueError(
                f"{self.name} is not in the order of time: there are no last actions. "
                f"Use split(fraction, rng)."
            )
        index = _validate.integer(field_index, "field_index", low=0, high=self.n_fields - 1)
        return self._held_out(last_actions(self.train.ids[:, index], actions))

    def tuning(self, rng: Any = 0) -> Dataset:
        """The training part split as the data set itself was, for choosing settings.

        Parameters
        ----------
        rng : int or numpy.random.Generator, default 0
            Used where the split is random.

        Returns
        -------
        Dataset
            Where rows are in the order of time and of users, each user's last two actions are
            held out; of a memory map, its last rows (views, no copies); otherwise as large a
            share at random as the validation part has.
        """
        n = len(self.train)
        fraction = len(self.validation) / (n + len(self.validation))
        if is_memory_map(self.train.ids):
            kept = n - max(1, round(n * fraction))
            train = self.train.subset(slice(0, kept))
            return replace(self, train=train, validation=self.train.subset(slice(kept, n)))
        if self.time_ordered:
            return self.split_last()
        return self.split(fraction, rng)

    def _held_out(self, held: np.ndarray) -> Dataset:
        if held.all() or not held.any():
            raise DataError(f"{self.name} has too few training rows ({len(self.train)}) to split.")
        train, validation = self.train.subset(~held), self.train.subset(held)
        # the best reachable values are those of other rows
        return replace(self, train=train, validation=validation, best_loss=None, best_auc=None)


def is_memory_map(array: np.ndarray) -> bool:
    """Whether an array is, or is a view of, a `numpy.memmap`.

    Examples
    --------
    >>> is_memory_map(np.zeros(3))
    False
    """
    return isinstance(array, np.memmap)


def random_rows(n: int, fraction: float, rng: Any) -> np.ndarray:
    """A mask of ``round(fraction n)`` of ``n`` rows, drawn without replacement.

    Parameters
    ----------
    n : int
    fraction : float
    rng : int or numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> int(random_rows(10, 0.3, 0).sum())
    3
    """
    mask = np.zeros(n, bool)
    mask[generator(rng).permutation(n)[: round(fraction * n)]] = True
    return mask


def last_actions(users: np.ndarray, actions: int = 2) -> np.ndarray:
    """A mask of the last rows of each user, one row of whom always stays outside it.

    Parameters
    ----------
    users : array_like of int, shape (n,)
        IDs, in the order of time.
    actions : int, default 2
        Rows a user, at least 1: a user with ``c`` rows gives ``min(actions, c - 1)``.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> last_actions([0, 0, 1, 0, 2, 2]).astype(int).tolist()
    [0, 1, 0, 1, 0, 1]
    """
    actions = _validate.integer(actions, "actions", low=1)
    values = np.asarray(users)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]][: values.size]
    starts = np.flatnonzero(first)
    counts = np.diff(np.r_[starts, values.size]).astype(np.int64)
    position = np.arange(values.size) - np.repeat(starts, counts)
    of_user = np.repeat(counts, counts)
    mask = np.zeros(values.size, bool)
    mask[order] = (position > 0) & (position >= of_user - actions)
    return mask


def encode(vocabulary: np.ndarray, values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """IDs of original values: their places in a vocabulary.

    Parameters
    ----------
    vocabulary : ndarray of bytes, shape (cardinality,)
        Of one field; all different.
    values : sequence of str, bytes or int, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 for a value that is not in the vocabulary.

    Examples
    --------
    >>> encode(np.array([b"7", b"ab"]), ["ab", 7, "unseen"]).tolist()
    [1, 0, -1]
    """
    place = {value: i for i, value in enumerate(vocabulary.tolist())}
    keys = (v if isinstance(v, bytes) else str(v).encode() for v in values)
    return np.array([place.get(key, -1) for key in keys], dtype=np.int64)
