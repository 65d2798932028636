"""Files of rows to score: the values of a model's fields, one row a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..threads import row_chunks
from .data import Buckets, text
from .data.ratings import SEPARATORS
from .models import Model

ROWS_AT_ONCE = 1 << 16
UNKNOWN = -1


@dataclass(frozen=True)
class Rows:
    """Rows of a file, as they were given and as the model takes them.

    Attributes
    ----------
    values : list of list of str
        Of the fields.
    ids : ndarray of int64, shape (n, n_fields)
        `UNKNOWN` for a value the model was not made for.
    dense : ndarray of float32, shape (n, n_dense)
    """

    values: list[list[str]]
    ids: np.ndarray
    dense: np.ndarray


class Encoder:
    """IDs of original values, field by field.

    Parameters
    ----------
    cardinalities : sequence of int
    vocabularies : sequence of sequence of str, optional
        The original values of each field, by ID; without them values are the IDs themselves.

    Examples
    --------
    >>> Encoder((2, 3), [["ann", "bob"], ["x", "y", "z"]]).ids([["bob", "x"], ["eve", "z"]])
    array([[ 1,  0],
           [-1,  2]])
    >>> Encoder((2, 3)).ids([["1", "2"], ["1", "3"]])
    array([[ 1,  2],
           [ 1, -1]])
    """

    def __init__(
        self, cardinalities: Sequence[int], vocabularies: Sequence[Sequence[str]] | None = None
    ):
        self.cardinalities = tuple(cardinalities)
        self._places = [
            {value: i for i, value in enumerate(values)} for values in vocabularies or ()
        ]

    def id(self, field: int, value: str) -> int:
        """The ID of one value; `UNKNOWN` if there is none."""
        if self._places:
            return self._places[field].get(value, UNKNOWN)
        known = value.isdecimal() and value.isascii() and len(value) < 19
        return int(value) if known and int(value) < self.cardinalities[field] else UNKNOWN

    def ids(self, values: Sequence[Sequence[str]]) -> np.ndarray:
        """IDs of rows of values, int64 (n, n_fields)."""
        found = [[self.id(f, value) for f, value in enumerate(row)] for row in values]
        return np.array(found, np.int64).reshape(-1, len(self.cardinalities))


def read_rows(
    path: Path, encoder: Encoder, field_names: Sequence[str], n_dense: int = 0
) -> Iterator[Rows]:
    """Read a file, plain or gzipped, a block of rows at a time.

    Parameters
    ----------
    path : Path
        A row a line: the value of each field, then the dense features. Separated by ``::``, tabs
        or commas, whichever of these the first line has; columns are read as those of ratings
        are. A first line is a header if it begins with the name of the first field, as in
        ``userId,movieId``, has no digit, and none of its words is a value of its field.
    encoder : Encoder
    field_names : sequence of str
    n_dense : int

    Yields
    ------
    Rows
        Of at most `ROWS_AT_ONCE` rows.

    Raises
    ------
    DataError
        For a malformed line, with its number; or if the file cannot be read.
    """
    n_fields = len(field_names)
    lines = _lines(path)
    first = text.first_line(path)
    separator = next((mark for mark in SEPARATORS if mark in first), b",")
    while numbered := list(islice(lines, ROWS_AT_ONCE)):
        values, dense = [], []
        for number, line in numbered:
            words = [_decoded(word) for word in text.columns(line, separator)]
            if line == first and _is_header(words, field_names[0], encoder):
                continue
            if len(words) != n_fields + n_dense:
                wanted = ", ".join(field_names) + (f" and {n_dense} number(s)" if n_dense else "")
                raise DataError(
                    f"{path}:{number}: malformed line: {len(words)} column(s), expected "
                    f"{n_fields + n_dense}: {wanted}. Got {_decoded(line)[:80]!r}."
                )
            values.append(words[:n_fields])
            dense.append([_number(word, path, number) for word in words[n_fields:]])
        if values:
            features = np.array(dense, np.float32).reshape(len(values), n_dense)
            yield Rows(values, encoder.ids(values), features)


def read_clicks(path: Path, buckets: Buckets) -> Iterator[Rows]:
    """Read clicks in Criteo's format, with labels or without, a block of rows at a time.

    Parameters
    ----------
    path : Path
    buckets : Buckets
        A category that has no ID of its own has that of rare values.

    Yields
    ------
    Rows

    Raises
    ------
    DataError
        For a malformed line, with its number; or if the file cannot be read.
    """
    for values, ids, dense in buckets.read(path):
        for start, stop in row_chunks(len(ids), ROWS_AT_ONCE):
            yield Rows(values[start:stop], ids[start:stop].astype(np.int64), dense[start:stop])


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    for start, block in text.blocks(path):
        for number, line in enumerate(block.split(b"\n"), start):
            if line.strip():
                yield number, line.rstrip(b"\r ")


def _decoded(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


def _is_header(words: Sequence[str], name: str, encoder: Encoder) -> bool:
    known = [encoder.id(f, word) for f, word in enumerate(words[: len(encoder.cardinalities)])]
    return (
        words[0].lower().startswith(name.partition("_")[0])
        and not any(mark.isdigit() for word in words for mark in word)
        and set(known) == {UNKNOWN}
    )


def _number(word: str, path: Path, number: int) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}:{number}: expected a finite number, got {word!r}.")
    return value


def mean_vectors(model: Model) -> np.ndarray:
    """The mean vector of each field, all IDs counted once: what stands for an unknown ID.

    Parameters
    ----------
    model : Model

    Returns
    -------
    ndarray of float32, shape (n_fields, columns)

    Examples
    --------
    >>> from lsq_sketch.recommend.models import GMF
    >>> model = GMF((5, 7), 4, rng=0)
    >>> bool(np.allclose(mean_vectors(model)[0], model.tables[0].table().mean(axis=0)))
    True
    """
    sums = np.zeros((len(model.cardinalities), model.columns))
    for place in model.store.placed:
        columns = slice(place.column, place.column + place.table.dim)
        cardinality = place.table.cardinality
        for start in range(0, cardinality, ROWS_AT_ONCE):
            ids = np.arange(start, min(start + ROWS_AT_ONCE, cardinality), dtype=np.int32)
            total = place.table.lookup(ids).sum(axis=0, dtype=np.float64)
            sums[place.field, columns] += total / cardinality
    return sums.astype(np.float32)


def predict_rows(model: Model, rows: Rows, means: np.ndarray) -> np.ndarray:
    """Predictions, with the field's mean vector in place of each unknown ID.

    Parameters
    ----------
    model : Model
    rows : Rows
    means : ndarray of float32, shape (n_fields, columns)
        From `mean_vectors`.

    Returns
    -------
    ndarray of float32, shape (n,)

    Examples
    --------
    >>> from lsq_sketch.recommend.models import GMF
    >>> model = GMF((5, 7), 4, rng=0)
    >>> known = Rows([["0", "6"]], np.array([[0, 6]]), np.zeros((1, 0), np.float32))
    >>> bool((predict_rows(model, known, mean_vectors(model)) == model.predict([[0, 6]])).all())
    True
    """
    unknown = rows.ids == UNKNOWN
    ids = np.where(unknown, 0, rows.ids).astype(np.int32)
    if not unknown.any():
        return model.predict(ids, rows.dense)
    vectors = model.store.vectors(np.ascontiguousarray(ids), model.columns)
    vectors[unknown] = means[np.nonzero(unknown)[1]]
    return model.link(model.score(vectors, rows.dense))
