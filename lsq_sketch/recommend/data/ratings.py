"""Ratings: any file ``user item rating [timestamp]``, and how ratings become labels and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import _validate
from ...errors import DataError
from . import kernels, text
from .dataset import TASKS, Dataset, Interactions, last_actions, random_rows

NEUTRAL = (3.0,)
"""Ratings that are neither good nor bad, left out of a binary task unless told otherwise."""

POSITIVE = 4.0
HELD_OUT_ACTIONS = 2
HELD_OUT_FRACTION = 0.1

FIELDS = ("user", "item")
SEPARATORS = (b"::", b"\t", b",")


@dataclass(frozen=True)
class Ratings:
    """Ratings as they were given, in their order.

    Attributes
    ----------
    users, items : ndarray of int32, shape (n,)
        Numbered from 0.
    ratings : ndarray of float64, shape (n,)
    timestamps : ndarray of float64, shape (n,), or None
    vocabularies : tuple of two ndarray of bytes
        The original names of users and items (UTF-8).
    skipped_lines : int
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    timestamps: np.ndarray | None
    vocabularies: tuple[np.ndarray, np.ndarray]
    skipped_lines: int = 0


def dataset_of_ratings(
    name: str,
    ratings: Ratings,
    *,
    task: str = "binary",
    drop_ratings: Sequence[float] | None = None,
    rng: Any = 0,
) -> Dataset:
    """Labels and parts from ratings, as the authors of the paper make them.

    Neutral ratings are dropped; those of at least 4 are positive, unless all are 0 or 1, which
    are labels already. The last two actions of each user that remain are the validation part;
    a user with one or two gives none or one, so that everyone is trained on. Among equal
    timestamps the order of the file decides. Without timestamps a tenth of the rows, drawn at
    random, is the validation part. Users and items of dropped ratings only get no ID.

    Parameters
    ----------
    name : str
    ratings : Ratings
    task : {"binary", "regression"}, default "binary"
        "regression": the label is the rating itself.
    drop_ratings : sequence of float, optional
        Ratings equal to one of these are dropped; by default 3 for the binary task and none for
        regression.
    rng : int or numpy.random.Generator, default 0
        Used without timestamps only.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If too few rows or only one label remain.

    Examples
    --------
    >>> names = (np.array([b"ann", b"bob"]), np.array([b"x", b"y", b"z"]))
    >>> given = Ratings(
    ...     np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]),
    ...     np.array([5.0, 1, 3, 2, 4]), np.array([9.0, 7, 8, 1, 2]), names,
    ... )
    >>> data = dataset_of_ratings("tiny", given)
    >>> data.cardinalities, data.train.labels.tolist(), data.validation.labels.tolist()
    ((2, 2), [0.0, 0.0], [1.0, 1.0])
    """
    _validate.choice(task, "task", TASKS)
    neutral = (NEUTRAL if task == "binary" else ()) if drop_ratings is None else drop_ratings
    kept = ~np.isin(ratings.ratings, np.asarray(neutral, dtype=np.float64))
    timestamps = ratings.timestamps
    if timestamps is None:
        order = np.flatnonzero(kept)
    else:
        order = np.argsort(timestamps, kind="stable")
        order = order[kept[order]]
    if order.size < 2:
        raise DataError(
            f"{name}: {order.size} of {kept.size} ratings remain after dropping those equal to "
            f"{', '.join(f'{value:g}' for value in neutral) or 'nothing'}; expected at least 2. "
            f"Drop fewer (--drop-ratings)."
        )
    users, user_names = _only_used(ratings.users[order], ratings.vocabularies[0])
    items, item_names = _only_used(ratings.items[order], ratings.vocabularies[1])
    values = ratings.ratings[order]
    rows = Interactions.of(
        np.stack([users, items], axis=1),
        labels=_labels(name, values) if task == "binary" else values,
    )
    if timestamps is None:
        held = random_rows(len(rows), HELD_OUT_FRACTION, rng)
        if not held.any():
            held[-1] = True
    else:
        held = last_actions(users, HELD_OUT_ACTIONS)
        if not held.any():
            raise DataError(
                f"{name}: no user has two ratings, so there are no last actions to validate on. "
                f"Leave out the timestamps (fourth column) to split at random."
            )
    return Dataset(
        name,
        FIELDS,
        (len(user_names), len(item_names)),
        rows.subset(~held),
        rows.subset(held),
        task=task,
        time_ordered=timestamps is not None,
        vocabularies=(user_names, item_names),
        skipped_lines=ratings.skipped_lines,
    )


def _only_used(ids: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IDs numbered anew, those that occur only, with their names."""
    used = np.bincount(ids, minlength=len(names)) > 0
    return (np.cumsum(used) - 1).astype(np.int32)[ids], names[used]


def _labels(name: str, values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    already = bool(np.isin(values, (0.0, 1.0)).all())
    labels = values == 1 if already else values >= POSITIVE
    if labels.all() or not labels.any():
        rule = "1" if already else f"at least {POSITIVE:g}"
        raise DataError(
            f"{name}: ratings from {low:g} to {high:g} give labels of one kind only (positive is "
            f"{rule}); expected both. Scale the ratings to 1 to 5, give labels 0 and 1, or take "
            f"the rating itself as target (task='regression', --task regression)."
        )
    return labels


# ------------------------------------------------------------------ files


def load_ratings(
    path: str | Path,
    *,
    skip_bad: bool = False,
    task: str = "binary",
    drop_ratings: Sequence[float] | None = None,
    rng: Any = 0,
) -> Dataset:
    r"""A data set from a file of ratings: see `read_ratings` and `dataset_of_ratings`.

    Parameters
    ----------
    path : path
    skip_bad : bool, default False
    task : {"binary", "regression"}, default "binary"
    drop_ratings : sequence of float, optional
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    Dataset

    Raises
    ------
    DataError

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ratings.csv"
    ...     _ = path.write_text("user,item,rating\nann,x,5\nann,y,1\nbob,y,4\n")
    ...     data = load_ratings(path)
    >>> data.cardinalities, len(data.train), data.vocabularies[0].tolist()
    ((2, 2), 2, [b'ann', b'bob'])
    """
    ratings = read_ratings(path, skip_bad=skip_bad)
    return dataset_of_ratings(str(path), ratings, task=task, drop_ratings=drop_ratings, rng=rng)


def read_ratings(path: str | Path, *, skip_bad: bool = False) -> Ratings:
    """Read ``user item rating [timestamp]``, one a line, plain or gzipped.

    Parameters
    ----------
    path : path
        Columns are separated by ``::``, tabs or commas, whichever of these the first line has.
        Users and items are any text of up to 255 bytes, in a comma-separated file perhaps in
        quotes; ratings and timestamps are finite decimal numbers. A first line whose third
        column begins with a letter is a header. Blank lines are left out.
    skip_bad : bool, default False
        Count malformed lines and leave them out.

    Returns
    -------
    Ratings
        Users and items are numbered in the order in which they first occur.

    Raises
    ------
    DataError
        For a malformed line, with its number; if the file is missing, empty, has not three or
        four columns, or no line can be read.

    Notes
    -----
    Reads about a million lines a second, and holds 24 bytes a rating beside the names.
    """
    path = Path(path)
    first = text.first_line(path)
    separator = next((mark for mark in SEPARATORS if mark in first), None)
    columns = [first] if separator is None else text.columns(first, separator)
    if b"\0" in first:
        raise DataError(
            f"{path}: not a text file (it begins with {first[:8]!r}, and has zero bytes). Expected "
            f"lines of user item rating [timestamp]: write the table as text, tab-separated."
        )
    if separator is None or len(columns) not in (3, 4):
        shown = first[:80].decode(errors="replace")
        raise DataError(
            f"{path}: the first line has {len(columns)} column(s): {shown!r}. Expected 3 or 4, "
            f"user item rating [timestamp], separated by tabs, commas or '::'."
        )
    header = columns[2][:1].isalpha() and columns[2].lower() not in (b"nan", b"inf", b"infinity")
    if header:
        _check_header(path, columns)
    users, items = Names(), Names()
    parts: list[tuple[np.ndarray, ...]] = []
    skipped = 0
    for number, block in text.blocks(path):
        buffer, starts, ends = text.lines(block)
        n = starts.size
        bounds = np.zeros((n, 4), np.int64)
        values, times = np.zeros(n), np.zeros(n)
        reasons = np.zeros(n, np.int8)
        kernels.parse_ratings(
            buffer, starts, ends, separator[0], len(separator), separator == b",", len(columns),
            bounds, values, times, reasons,
        )  # fmt: skip
        if header and (reasons != kernels.BLANK).any():
            reasons[np.argmax(reasons != kernels.BLANK)] = kernels.BLANK
            header = False
        skipped += text.check_lines(path, number, block, reasons, len(columns), skip_bad)
        read = reasons == kernels.READ
        bounds = bounds[read]
        parts.append(
            (
                users.number(buffer, bounds[:, :2]),
                items.number(buffer, bounds[:, 2:]),
                values[read],
                times[read] if len(columns) == 4 else np.zeros(0),
            )
        )
    user_ids, item_ids, values, times = (np.concatenate(part) for part in zip(*parts, strict=True))
    if values.size == 0:
        raise DataError(
            f"{path}: no line could be read ({skipped} malformed). Expected "
            f"user item rating [timestamp], separated as in the first line."
        )
    return Ratings(
        user_ids,
        item_ids,
        values,
        times if len(columns) == 4 else None,
        (users.vocabulary(), items.vocabulary()),
        skipped,
    )


def _check_header(path: Path, columns: list[bytes]) -> None:
    """Refuse a header that names other columns than those that are read."""
    words = [column.decode(errors="replace") for column in columns]
    lower = [word.lower() for word in words]
    swapped = lower[0].startswith(("item", "movie", "product")) or lower[1].startswith("user")
    if swapped or "rating" in lower[0] + lower[1]:
        raise DataError(
            f"{path}: the header names the columns {', '.join(words)}; expected user, item, "
            f"rating and perhaps timestamp, in this order. Reorder the columns."
        )


class Names:
    """Byte strings, numbered from 0 in the order in which they first come.

    Examples
    --------
    >>> names = Names()
    >>> buffer = np.frombuffer(b"ab,c,ab", np.uint8)
    >>> names.number(buffer, np.array([[0, 2], [3, 4], [5, 7]])).tolist()
    [0, 1, 0]
    >>> names.vocabulary().tolist()
    [b'ab', b'c']
    """

    def __init__(self) -> None:
        self._n = 0
        self._slots = np.full(16, -1, np.int64)
        self._hashes = np.zeros(0, np.int64)
        self._keys = np.zeros(0, np.uint8)
        self._offsets = np.zeros(1, np.int64)

    def number(self, buffer: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """Numbers of ``buffer[start:end]`` for each row ``start, end`` of ``bounds``, int32."""
        bounds = np.ascontiguousarray(bounds)
        most = self._n + len(bounds)
        if 2 * most > self._slots.size:
            self._slots = np.full(1 << (2 * most).bit_length(), -1, np.int64)
            kernels.rehash(self._slots, self._hashes, self._n)
        self._hashes = _with_room(self._hashes, most)
        self._offsets = _with_room(self._offsets, most + 1)
        used = int(self._offsets[self._n])
        self._keys = _with_room(self._keys, used + int((bounds[:, 1] - bounds[:, 0]).sum()))
        codes = np.zeros(len(bounds), np.int32)
        self._n = kernels.intern(
            buffer, bounds, self._slots, self._hashes, self._keys, self._offsets, self._n, codes
        )
        return codes

    def vocabulary(self) -> np.ndarray:
        """All names in their order, as an array of bytes."""
        offsets = self._offsets[: self._n + 1]
        keys = self._keys.tobytes()
        names = [
            keys[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        ]
        return np.array(names, dtype="S")


def _with_room(array: np.ndarray, size: int) -> np.ndarray:
    """The array, or a longer copy of at least ``size`` entries and twice its length."""
    if size <= array.size:
        return array
    longer = np.zeros(max(size, 2 * array.size), array.dtype)
    longer[: array.size] = array
    return longer
