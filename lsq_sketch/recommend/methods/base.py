"""What a method of compressing a table is, and how to add one.

A method is a file of this folder that defines one subclass of `GatherTable` or, where it cannot be
that, of `ComposedTable`; its name is the file's, in kebab case. Nothing has to be registered:
`registry` reads the folder, and the tests in ``tests/lsq_sketch/recommend`` run over all it finds
(vectors against the NumPy twin, gradients against finite differences, counts of parameters,
training, checkpoints).

**A sum of slices** (most methods): subclass `GatherTable`. Each ID's vector is a sum of slices of
one trained array, the ``codebook``; give the constructor

- ``codebook``: float32 (rows, width), the starting values. Row-wise Adagrad keeps one sum for
  each row; a large table is stepped row by row (see `lsq_sketch.recommend.optimizers`);
- ``terms``: a list of `Term`, each the place of one slice: its bucket is an ID modulo something
  (`Term.direct`), the hash of the ID (`Term.hashed`) or looked up (`Term.stored`), and its slice
  begins at float ``start + bucket * stride`` of the flattened codebook (or anywhere in it, and goes
  on at its beginning where it meets the end: `Term.circular`);
- ``assignments``: integers (cardinality, stored terms) if there are stored terms. Change them in
  place, by `GatherTable.assign`: the array belongs to the model.

Lookup, gradients, the compiled training loop, counts, threads and checkpoints then come with it.

**Anything else** (learned weights, products, networks): subclass `ComposedTable`, make a
`Parameter` for each trained array and put them in ``self.parameters`` (name to `Parameter`), put
untrained arrays in ``self.state``, and write `forward` and `backward_from`. Read
``parameter.value`` anew in each call and *add* to ``parameter.gradient``: the model moves both
into its own arrays. Every array must be changed in place, never replaced. Such a table is trained
batch by batch from Python.

Both: ``Options`` is a frozen dataclass of plain numbers and strings with the method's own settings
(it is stored in checkpoints and offered on the command line); a constructor of signature
``(cardinality, dim, params_per_dim, rng, options)`` that draws all its randomness from ``rng``;
and, where the method does something between epochs, `Table.after_epoch` (arrays that it keeps for
that, in ``self.kept``, are part of checkpoints, not of saved models). ``dim`` may be 1: a table of
biases is one column compressed by the same method. A table is used as it is for the vectors and
once more for the biases, so it must not count on being alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ... import _validate
from ...kernels import embedding as kernels
from ...kernels.composition import add_rows, split_sorted
from ...rng import generator

if TYPE_CHECKING:
    from ..training import EpochContext

FLOAT_BYTES = 4


class Parameter:
    """A trained array and its gradient.

    Parameters
    ----------
    value : array_like, shape (rows, width) or any other
        Starting values; stored as float32.
    row_width : int, optional
        Consecutive floats that share one sum in row-wise Adagrad; by default the last axis.
        Matrices of networks take 1: one sum for each entry.

    Attributes
    ----------
    value : ndarray of float32
    gradient : ndarray of float32
        Of the same shape; zero between batches.

    Examples
    --------
    >>> Parameter([[1.0, 2.0]]).value.dtype
    dtype('float32')
    """

    def __init__(self, value: Any, row_width: int | None = None):
        self.value = np.ascontiguousarray(value, dtype=np.float32)
        self.row_width = int(self.value.shape[-1] if row_width is None else row_width)
        self._gradient: np.ndarray | None = None

    @property
    def gradient(self) -> np.ndarray:
        """The gradient, made when first asked for."""
        if self._gradient is None:
            self._gradient = np.zeros_like(self.value)
        return self._gradient

    def bind_value(self, flat: np.ndarray) -> None:
        """Move the values into a flat array of another owner."""
        flat[:] = self.value.ravel()
        self.value = flat.reshape(self.value.shape)

    def bind_gradient(self, flat: np.ndarray | None) -> None:
        """Let gradients be added to a flat array of another owner; None: to an own one."""
        self._gradient = None if flat is None else flat.reshape(self.value.shape)


@dataclass(frozen=True)
class NoOptions:
    """A method without settings of its own."""


class Table(ABC):
    """A table of ``cardinality`` vectors of ``dim`` columns, held in fewer parameters.

    Parameters
    ----------
    cardinality : int
        IDs run from 0 to ``cardinality - 1``.
    dim : int
        Columns.
    params_per_dim : int
        The budget: trained parameters for each column.
    rng : int or numpy.random.Generator, default 0
    options : dataclass, optional
        Of the method's own type, ``Options``.

    Attributes
    ----------
    parameters : dict of str to Parameter
        Trained arrays.
    state : dict of str to ndarray
        Untrained arrays: assignments, coefficients of hash functions.
    kept : dict of str to ndarray
        What the method keeps between epochs while it is trained, and `lookup` does not read.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, or an option is out of range.
    """

    Options: ClassVar[type] = NoOptions
    published: ClassVar[Any] = None
    """Options of the published procedure, where the defaults are others."""
    compresses_trained: ClassVar[bool] = False
    """Whether the method compresses trained full tables (`compress`), rather than being trained."""

    title: ClassVar[str]
    method: ClassVar[str]
    """Name of the file, in kebab case; set by `registry`."""

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        self.cardinality = _validate.integer(cardinality, "cardinality", low=1, high=2**31 - 1)
        self.dim = _validate.integer(dim, "dim", low=1)
        self.params_per_dim = _validate.integer(params_per_dim, "params_per_dim", low=1)
        self.options = self.Options() if options is None else options
        how = f"Pass {type(self).__name__}.Options(...), or None for the defaults."
        _validate.instance(self.options, "options", self.Options, how)
        self.parameters: dict[str, Parameter] = {}
        self.state: dict[str, np.ndarray] = {}
        self.kept: dict[str, np.ndarray] = {}

    @abstractmethod
    def lookup(self, ids: np.ndarray) -> np.ndarray:
        """Vectors of a batch.

        Parameters
        ----------
        ids : ndarray of int32, shape (n,)
            In range: the data set has checked them.

        Returns
        -------
        ndarray of float32, shape (n, dim)
        """

    @abstractmethod
    def backward(self, ids: np.ndarray, gradients: np.ndarray) -> None:
        """Add the gradient by the parameters to ``parameter.gradient``.

        Parameters
        ----------
        ids : ndarray of int32, shape (n,)
            Those of the `lookup` before.
        gradients : ndarray of float32, shape (n, dim)
            Gradient of the loss by the vectors that `lookup` gave.
        """

    def compress(self, table: np.ndarray, rng: Any) -> None:
        """Take the parameters that stand for a trained table best.

        Parameters
        ----------
        table : ndarray of float32, shape (cardinality, dim)
        rng : int or numpy.random.Generator

        Raises
        ------
        TypeError
            Unless the method compresses trained tables.
        """
        raise TypeError(f"method {self.method} is trained, not made from a trained table.")

    def after_epoch(self, context: EpochContext) -> None:
        """What the method does between epochs; by default nothing.

        Parameters
        ----------
        context : EpochContext
            What has been trained and on what; see `lsq_sketch.recommend.training`.
        """
        return

    def for_falling_rate(self, context: EpochContext) -> bool:
        """Whether a learning rate that falls linearly to nearly 0 does better; by default not.

        Parameters
        ----------
        context : EpochContext
            Before the first epoch.
        """
        return False

    @property
    def parameter_count(self) -> int:
        """Trained floats."""
        return sum(parameter.value.size for parameter in self.parameters.values())

    @property
    def state_bytes(self) -> int:
        """Bytes of untrained arrays: assignments, coefficients of hash functions."""
        return sum(array.nbytes for array in self.state.values())

    @property
    def serving_bytes(self) -> int:
        """Bytes of all that `lookup` reads."""
        return FLOAT_BYTES * self.parameter_count + self.state_bytes

    def table(self) -> np.ndarray:
        """All vectors, (cardinality, dim): the table that the parameters stand for."""
        return self.lookup(np.arange(self.cardinality, dtype=np.int32))


class ComposedTable(Table):
    """A table that computes its vectors otherwise than by adding slices. See the head of this file.

    What the way there has found is handed to the way back, so that a batch is worked out once.
    """

    @abstractmethod
    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, Any]:
        """Vectors of a batch, and what `backward_from` wants to know of how they came about.

        Parameters
        ----------
        ids : ndarray of int32, shape (n,)

        Returns
        -------
        vectors : ndarray of float32, shape (n, dim)
        kept : anything
        """

    @abstractmethod
    def backward_from(self, kept: Any, gradients: np.ndarray) -> None:
        """Add the gradient by the parameters to ``parameter.gradient``.

        Parameters
        ----------
        kept : anything
            Of the `forward` before; parameters are still the same.
        gradients : ndarray of float32, shape (n, dim)
            Gradient of the loss by the vectors that `forward` gave, contiguous.
        """

    def lookup(self, ids: np.ndarray) -> np.ndarray:
        """Vectors of a batch."""
        return self.forward(ids)[0]

    def backward(self, ids: np.ndarray, gradients: np.ndarray) -> None:
        """Add the gradient by the parameters."""
        self.backward_from(self.forward(ids)[1], np.ascontiguousarray(gradients, np.float32))


@dataclass(frozen=True)
class Term:
    """Where one slice of an ID's vector lies.

    Attributes
    ----------
    kind : int
        `kernels.DIRECT`, ``HASHED`` or ``STORED``.
    column : int
        First column of the vector that the slice adds to.
    width : int
        Floats in the slice.
    start, stride : int
        Bucket ``b`` begins at float ``start + b * stride`` of the flattened codebook.
    rows : int
        Number of buckets.
    divisor : int
        Direct: the bucket is ``(id // divisor) % rows``.
    assignment : int
        Stored: column of the assignments; -1 otherwise.
    circle : int
        Floats from ``start`` on after which a slice goes on at ``start`` again, no fewer than
        ``width``; 0: slices never reach so far.
    """

    kind: int
    column: int
    width: int
    start: int
    stride: int
    rows: int
    divisor: int = 1
    assignment: int = -1
    circle: int = 0

    @classmethod
    def direct(cls, column: int, width: int, first_row: int, rows: int, divisor: int = 1) -> Term:
        """The bucket is ``(id // divisor) % rows``, a row of the codebook."""
        start = first_row * width
        return cls(kernels.DIRECT, column, width, start, width, rows, divisor)

    @classmethod
    def hashed(cls, column: int, width: int, first_row: int, rows: int) -> Term:
        """The bucket is a hash of the ID, and is a row of the codebook."""
        return cls(kernels.HASHED, column, width, first_row * width, width, rows)

    @classmethod
    def circular(cls, column: int, width: int, size: int) -> Term:
        """A hash of the ID is where its slice begins, in an array whose end meets its beginning."""
        return cls(kernels.HASHED, column, width, 0, 1, size, circle=size)

    @classmethod
    def stored(cls, column: int, width: int, first_row: int, rows: int, assignment: int) -> Term:
        """The bucket is looked up in the assignments, and is a row of the codebook."""
        start = first_row * width
        return cls(kernels.STORED, column, width, start, width, rows, 1, assignment)

    def floats(self, offsets: np.ndarray) -> np.ndarray:
        """Where the floats of slices lie that begin at ``offsets`` (n,): (n, width)."""
        places = offsets[:, None] + np.arange(self.width)
        return self.start + (places - self.start) % self.circle if self.circle else places


class GatherTable(Table):
    """A table whose vectors are sums of slices of one array. See the head of this file.

    Attributes
    ----------
    codebook : Parameter
        (rows, width).
    terms : list of Term
    coefficients : ndarray of uint64, shape (terms, 2)
        Of the hash functions; one row for each term, used where it is hashed.
    assignments : ndarray of uint8, uint16 or uint32, shape (cardinality, stored terms)
        Stored as narrowly as the number of rows allows.
    """

    def _setup(
        self,
        codebook: Any,
        terms: list[Term],
        random: np.random.Generator,
        assignments: np.ndarray | None = None,
    ) -> None:
        """Take codebook and terms; draw hash functions. Call once, at the end of `__init__`."""
        self.codebook = Parameter(codebook)
        self.parameters["codebook"] = self.codebook
        self.terms = list(terms)
        self.coefficients = np.zeros((len(terms), 2), np.uint64)
        n_stored = sum(term.kind == kernels.STORED for term in terms)
        largest = max((term.rows for term in terms if term.kind == kernels.STORED), default=0)
        self.assignments: np.ndarray = np.zeros((self.cardinality, n_stored), _narrowest(largest))
        if any(term.kind == kernels.HASHED for term in terms):
            self.state["coefficients"] = self.coefficients
        if n_stored:
            self.state["assignments"] = self.assignments
        for t in range(len(terms)):
            self.rehash(t, random)
        if assignments is not None:
            for column in range(n_stored):
                self.assign(column, assignments[:, column])

    def rehash(self, term: int, rng: np.random.Generator) -> None:
        """Draw the hash function of a term afresh; nothing is drawn if it has none."""
        if self.terms[term].kind == kernels.HASHED:
            self.coefficients[term] = random_hash(rng)

    def assign(self, column: int, labels: np.ndarray, first: int = 0) -> None:
        """Store the assignments of the IDs from ``first`` on, for one stored term."""
        self.assignments[first : first + len(labels), column] = labels

    def bind_integers(self, coefficients: np.ndarray, assignments: np.ndarray) -> None:
        """Move hash functions and assignments into arrays of another owner."""
        coefficients[:] = self.coefficients
        bound = assignments.reshape(self.assignments.shape)
        bound[:] = self.assignments
        self.coefficients, self.assignments = coefficients, bound
        for name, array in (("coefficients", coefficients), ("assignments", bound)):
            if name in self.state:
                self.state[name] = array

    def buckets(self, term: int, ids: np.ndarray, hashed_by: Any = None) -> np.ndarray:
        """Buckets of IDs under one term.

        Parameters
        ----------
        term : int
        ids : ndarray of int32, shape (n,)
        hashed_by : ndarray of uint64, shape (2,), optional
            Another hash function than the term's own.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        matrix = self.term_matrix()[term : term + 1]
        offsets = np.empty((1, len(ids)), np.int64)
        columns = np.ascontiguousarray(ids, np.int32)[:, None]
        own = self.coefficients[term]
        function = np.ascontiguousarray(own if hashed_by is None else hashed_by)[None]
        kernels.locate(
            columns, 0, len(ids), matrix, function, self.assignments.reshape(-1), offsets
        )
        return (offsets[0] - self.terms[term].start) // self.terms[term].stride

    def term_matrix(self) -> np.ndarray:
        """The terms as the kernels read them, places counted within this table."""
        matrix = np.zeros((len(self.terms), kernels.TERM_COLUMNS), np.int64)
        for row, term in zip(matrix, self.terms, strict=True):
            row[kernels.KIND], row[kernels.COLUMN] = term.kind, term.column
            row[kernels.WIDTH], row[kernels.START] = term.width, term.start
            row[kernels.STRIDE], row[kernels.ROWS] = term.stride, term.rows
            row[kernels.DIVISOR] = term.divisor
            row[kernels.STATE] = max(term.assignment, 0)
            row[kernels.STATE_STRIDE] = self.assignments.shape[1]
            row[kernels.GRADIENT_START] = term.start
            row[kernels.FIRST_ROW] = -1
            row[kernels.CIRCLE] = term.circle
        return matrix

    @property
    def overlapping(self) -> bool:
        """Whether slices may overlap without being equal, so that rows cannot be stepped alone."""
        width = self.codebook.value.shape[-1]
        return any(
            term.stride != width or term.width != width or term.start % width or term.circle
            for term in self.terms
        )

    def lookup(self, ids: np.ndarray) -> np.ndarray:
        """Vectors of a batch."""
        matrix, offsets = self._locate(ids)
        vectors = np.zeros((len(ids), 1, self.dim), np.float32)
        kernels.gather(self.codebook.value.reshape(-1), offsets, matrix, len(ids), vectors)
        return vectors[:, 0]

    def backward(self, ids: np.ndarray, gradients: np.ndarray) -> None:
        """Add the gradient by the codebook."""
        matrix, offsets = self._locate(ids)
        rows = np.ascontiguousarray(gradients, dtype=np.float32)[:, None, :]
        kernels.scatter(self.codebook.gradient.reshape(-1), offsets, matrix, len(ids), rows)

    def _locate(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix = self.term_matrix()
        offsets = np.empty((len(matrix), len(ids)), np.int64)
        columns = np.ascontiguousarray(ids, np.int32)[:, None]
        kernels.locate(
            columns, 0, len(ids), matrix, self.coefficients, self.assignments.reshape(-1), offsets
        )
        return matrix, offsets


def random_hash(rng: np.random.Generator) -> np.ndarray:
    """Coefficients of a multiply-shift hash function, 2-independent over 32-bit keys.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of uint64, shape (2,)

    References
    ----------
    Dietzfelbinger, "Universal hashing and k-wise independent random variables via integer
    arithmetic without primes", STACS 1996.

    Examples
    --------
    >>> random_hash(np.random.default_rng(0)).shape
    (2,)
    """
    return rng.integers(0, 2**64, 2, dtype=np.uint64)


def distinct(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different IDs of a batch, sorted, and where among them each of its IDs is.

    Parameters
    ----------
    ids : ndarray of int, shape (n,)
        From 0 to 2^32 - 1; ``n`` below 2^31.

    Returns
    -------
    different : ndarray, shape (m,)
        Of the same type.
    places : ndarray of int64, shape (n,)

    Examples
    --------
    >>> different, places = distinct(np.int32([7, 3, 7]))
    >>> different.tolist(), places.tolist()
    ([3, 7], [1, 0, 1])
    """
    # sorted as one number with their rows, which is faster than an order of IDs
    keys = (ids.astype(np.int64) << 31) | np.arange(len(ids))
    keys.sort()
    different, places = np.empty(len(ids), ids.dtype), np.empty(len(ids), np.int64)
    count = split_sorted(keys, different, places)
    return different[:count], places


def sum_by_id(places: np.ndarray, count: int, gradients: np.ndarray) -> np.ndarray:
    """The sum of the gradients of each different ID, in order.

    Parameters
    ----------
    places : ndarray of int64, shape (n,)
        From `distinct`.
    count : int
        Different IDs.
    gradients : ndarray of float32, shape (n, dim)

    Returns
    -------
    ndarray of float32, shape (count, dim)

    Examples
    --------
    >>> sum_by_id(np.array([1, 0, 1]), 2, np.float32([[1.0], [2.0], [3.0]])).tolist()
    [[2.0], [4.0]]
    """
    summed = np.zeros((count, gradients.shape[1]), np.float32)
    add_rows(summed, places, gradients)
    return summed


def random_codebook(
    rng: np.random.Generator, rows: int, width: int, dim: int, n_summed: int = 1
) -> np.ndarray:
    """Starting values, uniform, such that sums of ``n_summed`` of them have variance 1/(3 dim).

    Parameters
    ----------
    rng : numpy.random.Generator
    rows, width : int
        Shape of the codebook.
    dim : int
        Columns of the vectors: a table starts uniform on ``[-1/sqrt(dim), 1/sqrt(dim)]``.
    n_summed : int, default 1
        Slices that add up to one entry of a vector.

    Returns
    -------
    ndarray of float32, shape (rows, width)
        Zeros for ``dim = 1``: a table of biases.

    Examples
    --------
    >>> float(np.abs(random_codebook(np.random.default_rng(0), 9, 4, 16)).max()) <= 0.25
    True
    """
    if dim == 1:
        return np.zeros((rows, width), np.float32)
    reach = np.float32(1 / np.sqrt(dim * n_summed))
    return (2 * rng.random((rows, width), dtype=np.float32) - 1) * reach


def chunk_width(dim: int, n_chunks: int) -> tuple[int, int]:
    """Number of chunks of columns and their width; one chunk if there is only one column.

    Parameters
    ----------
    dim : int
    n_chunks : int

    Returns
    -------
    n_chunks, width : int

    Raises
    ------
    ValueError
        If the columns cannot be cut into so many chunks of equal width.

    Examples
    --------
    >>> chunk_width(32, 4), chunk_width(1, 4)
    ((4, 8), (1, 1))
    """
    n_chunks = _validate.integer(n_chunks, "n_chunks", low=1)
    if dim == 1:
        return 1, 1
    if dim % n_chunks:
        raise ValueError(
            f"n_chunks = {n_chunks} does not divide dim = {dim}; expected chunks of equal width. "
            f"Choose a divisor of {dim}."
        )
    return n_chunks, dim // n_chunks


def _narrowest(rows: int) -> Any:
    if rows <= 1 << 8:
        return np.uint8
    return np.uint16 if rows <= 1 << 16 else np.uint32


@cache
def registry() -> dict[str, type[Table]]:
    """All methods by name: one for each file of this folder.

    Returns
    -------
    dict of str to type
        Sorted by name.

    Examples
    --------
    >>> registry()["cce"].title
    'clustered compositional embeddings'
    """
    package = importlib.import_module(__package__)
    found: dict[str, type[Table]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name == "base":
            continue
        module = importlib.import_module(f"{__package__}.{info.name}")
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Table)
            and value.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise TypeError(
                f"{info.name}.py defines {len(classes)} tables; expected one: a method is a file."
            )
        classes[0].method = info.name.replace("_", "-")
        found[classes[0].method] = classes[0]
    return dict(sorted(found.items()))


def make_table(
    method: str,
    cardinality: int,
    dim: int,
    params_per_dim: int,
    rng: Any = 0,
    options: Any = None,
) -> Table:
    """A table compressed by a method, or a full one where that is no larger.

    Parameters
    ----------
    method : str
        A name from `registry`.
    cardinality, dim, params_per_dim : int
        As for `Table`.
    rng : int or numpy.random.Generator, default 0
    options : dataclass or dict, optional
        The method's own settings.

    Returns
    -------
    Table
        A full table if ``cardinality <= params_per_dim``: no method can do better with more.

    Raises
    ------
    TypeError, ValueError
        If the method or an option is unknown or out of range.

    Examples
    --------
    >>> make_table("hash", 1000, 32, 16).parameter_count
    512
    >>> make_table("hash", 10, 32, 16).method
    'full'
    """
    method = _validate.choice(method, "method", tuple(registry()))
    table = registry()[method]
    if isinstance(options, dict):
        options = make_options(table, options)
    cardinality = _validate.integer(cardinality, "cardinality", low=1)
    if cardinality <= _validate.integer(params_per_dim, "params_per_dim", low=1):
        return registry()["full"](cardinality, dim, params_per_dim, generator(rng))
    return table(cardinality, dim, params_per_dim, generator(rng), options)


def make_options(table: type[Table], settings: dict[str, Any]) -> Any:
    """A method's options from a dict, as it is stored in a checkpoint.

    Parameters
    ----------
    table : type
        From `registry`.
    settings : dict

    Returns
    -------
    dataclass

    Raises
    ------
    ValueError
        If the method has no such setting.

    Examples
    --------
    >>> make_options(registry()["ce"], {"n_chunks": 2}).n_chunks
    2
    """
    known = [field.name for field in fields(table.Options)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"{table.method} has no option {unknown[0]!r}; expected any of: "
            f"{', '.join(known) or 'none at all'}."
        )
    return table.Options(**settings)
