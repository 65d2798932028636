"""All trained numbers of a model in one flat array, and what training them needs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels import embedding as places
from ..kernels import optimizers as kernels
from .methods.base import FLOAT_BYTES, ComposedTable, GatherTable, Parameter, Table
from .optimizers import STEP_ALONE_COST, STEP_ROWS_ALONE, Optimizer

BLOCK_BATCHES = 256
"""Batches in one compiled call: after it every row is up to date, and Ctrl-C is heard."""


@dataclass(frozen=True)
class Placed:
    """A table and where its columns stand in the vectors of one field."""

    name: str
    table: Table
    field: int
    column: int


class Store:
    """The parameters of a model in one flat array, the tables' integers in others.

    Parameters
    ----------
    own : dict of str to Parameter
        The model's own, outside tables.
    placed : list of Placed

    Attributes
    ----------
    parameters : dict of str to Parameter
        All of them; those of tables as ``table name/parameter name``.
    values : ndarray of float32
        All values, end to end; every `Parameter.value` is a view of it.
    gathered, composed : list of Placed
        Tables that are sums of slices, and the others.
    terms, coefficients, assignments : ndarray
        Of all tables that are sums of slices, places counted in ``values``.
    """

    def __init__(self, own: dict[str, Parameter], placed: list[Placed]):
        self.placed = placed
        self.parameters = dict(own)
        self._owner: dict[str, Table] = {}
        for place in placed:
            for name, parameter in place.table.parameters.items():
                self.parameters[f"{place.name}/{name}"] = parameter
                self._owner[f"{place.name}/{name}"] = place.table
        sizes = [parameter.value.size for parameter in self.parameters.values()]
        stops = np.cumsum([0, *sizes])
        self.values = np.zeros(int(stops[-1]), np.float32)
        self.starts = dict(zip(self.parameters, stops[:-1].tolist(), strict=True))
        for (name, parameter), size in zip(self.parameters.items(), sizes, strict=True):
            start = self.starts[name]
            parameter.bind_value(self.values[start : start + size])
        self._bind_integers()

    def _bind_integers(self) -> None:
        gathered = [place for place in self.placed if isinstance(place.table, GatherTable)]
        self.gathered = gathered
        self.composed = [place for place in self.placed if isinstance(place.table, ComposedTable)]
        tables = [place.table for place in gathered if isinstance(place.table, GatherTable)]
        self.coefficients = np.zeros((sum(len(t.terms) for t in tables), 2), np.uint64)
        dtype = np.result_type(np.uint8, *(table.assignments.dtype for table in tables))
        self.assignments = np.zeros(sum(table.assignments.size for table in tables), dtype)
        rows: list[np.ndarray] = []
        term, state = 0, 0
        for place, table in zip(gathered, tables, strict=True):
            matrix = table.term_matrix()
            matrix[:, places.FIELD] = place.field
            matrix[:, places.COLUMN] += place.column
            matrix[:, places.START] += self.starts[f"{place.name}/codebook"]
            matrix[:, places.STATE] += state
            rows.append(matrix)
            table.bind_integers(
                self.coefficients[term : term + len(matrix)],
                self.assignments[state : state + table.assignments.size],
            )
            term, state = term + len(matrix), state + table.assignments.size
        self.terms = np.vstack(rows) if rows else np.zeros((0, places.TERM_COLUMNS), np.int64)
        self.terms[:, places.FIRST_ROW] = -1

    @property
    def all_gathered(self) -> bool:
        """Whether every table is a sum of slices."""
        return len(self.gathered) == len(self.placed)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Untrained arrays of all tables, as ``table name/array name``."""
        return {
            f"{place.name}/{name}": array
            for place in self.placed
            for name, array in place.table.state.items()
        }

    def vectors(self, ids: np.ndarray, columns: int) -> np.ndarray:
        """Vectors of rows of IDs: (n, fields, columns) float32."""
        out = np.zeros((*ids.shape, columns), np.float32)
        offsets = np.empty((len(self.terms), len(ids)), np.int64)
        places.locate(ids, 0, len(ids), self.terms, self.coefficients, self.assignments, offsets)
        places.gather(self.values, offsets, self.terms, len(ids), out)
        for place in self.composed:
            columns_of = slice(place.column, place.column + place.table.dim)
            out[:, place.field, columns_of] = place.table.lookup(ids[:, place.field])
        return out


class Workspace:
    """What training needs beside the parameters: gradients, the optimiser's state, scratch.

    Parameters
    ----------
    store : Store
    optimizer : Sgd, Adagrad or Adam
    batch_size : int

    Attributes
    ----------
    first, second : ndarray of float32
        The optimiser's state (see `Optimizer.state_sizes`).
    step : int
        Steps taken.
    rate : float
        The current learning rate.
    """

    def __init__(self, store: Store, optimizer: Optimizer, batch_size: int):
        self.store = store
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.rate = float(optimizer.learning_rate)
        self.step = 0
        self.terms = store.terms.copy()
        self._lay_out()
        n_rows = int(self.n_rows)
        sizes = optimizer.state_sizes(store.values.size, n_rows)
        self.first = np.zeros(sizes[0], np.float32)
        self.second = np.zeros(sizes[1], np.float32)
        self.last = np.zeros(n_rows if self.any_lazy else 0, np.int32)
        self.slots = np.zeros(n_rows if self.any_lazy else 0, np.int64)
        self.offsets = np.empty((len(self.terms), batch_size), np.int64)
        self.gradient_offsets = np.empty_like(self.offsets)
        self.idle = np.zeros((6, BLOCK_BATCHES + 2))
        self._now = 0
        self._count = 0
        self._kept: list[Any] = []

    def _lay_out(self) -> None:
        store = self.store
        lazy = {
            f"{place.name}/codebook"
            for place in store.gathered
            if isinstance(place.table, GatherTable)
            and not place.table.overlapping
            and place.table.codebook.value.size > self._touchable(place.table)
        }
        self.segments = np.zeros((len(store.parameters), kernels.SEGMENT_COLUMNS), np.int64)
        first_rows, gradients = {}, {}
        row, end = 0, 0
        for segment, (name, parameter) in zip(self.segments, store.parameters.items(), strict=True):
            size, start = parameter.value.size, store.starts[name]
            is_lazy = name in lazy
            segment[:] = start, start + size, end, parameter.row_width, row, is_lazy
            first_rows[name] = row
            gradients[name] = end
            row += -(-size // parameter.row_width)
            end += 0 if is_lazy else size
        self.n_rows = row
        self.gradient_start = end
        index, touchable, compact = 0, 0, 0
        for place in store.gathered:
            assert isinstance(place.table, GatherTable)
            name = f"{place.name}/codebook"
            for term in place.table.terms:
                line = self.terms[index]
                if name in lazy:
                    within = term.start // term.stride
                    line[places.FIRST_ROW] = first_rows[name] + within
                    touchable += self.batch_size
                    compact += self.batch_size * term.width
                line[places.GRADIENT_START] = gradients[name] + term.start
                index += 1
        self.any_lazy = bool(lazy)
        self._gradients = gradients
        self.gradient = np.zeros(end + compact, np.float32)
        self.touched = np.zeros((touchable, kernels.TOUCHED_COLUMNS), np.int64)
        for name, parameter in store.parameters.items():
            start = gradients[name]
            bound = None if name in lazy else self.gradient[start : start + parameter.value.size]
            parameter.bind_gradient(bound)

    def _touchable(self, table: GatherTable) -> int:
        """Floats above which a table is stepped row by row: the cost of the rows of a batch."""
        width = max(table.codebook.value.shape[1], STEP_ALONE_COST)
        return STEP_ROWS_ALONE * self.batch_size * len(table.terms) * width

    @property
    def nbytes(self) -> int:
        """Bytes of gradients, optimiser state and scratch, beside the parameters."""
        arrays = (
            self.first, self.second, self.gradient, self.last, self.slots, self.touched,
            self.offsets, self.gradient_offsets, self.idle,
        )  # fmt: skip
        return sum(array.nbytes for array in arrays)

    def gradient_start_of(self, name: str) -> int:
        """Where the gradient of a parameter stepped as a whole begins."""
        return self._gradients[name]

    @property
    def hyperparameters(self) -> np.ndarray:
        """What the kernels read."""
        return self.optimizer.hyperparameters(self.rate)

    def moments(self, parameter: Parameter) -> list[np.ndarray]:
        """The optimiser's state of one parameter, as views: setting them to zero resets it.

        Adam: running means of gradients and squares, of the parameter's shape. Adagrad: one sum a
        row. Gradient descent: none.
        """
        known = [p is parameter for p in self.store.parameters.values()]
        if not any(known):
            raise ValueError("parameter is not one of this model; expected one of its tables'.")
        segment = self.segments[known.index(True)]
        if self.optimizer.kind == kernels.ADAM:
            part = slice(segment[kernels.SEGMENT_START], segment[kernels.SEGMENT_STOP])
            shape = parameter.value.shape
            return [self.first[part].reshape(shape), self.second[part].reshape(shape)]
        if self.optimizer.kind == kernels.ADAGRAD:
            row = segment[kernels.SEGMENT_ROW]
            return [self.first[row : row + parameter.value.size // parameter.row_width]]
        return []

    def begin_block(self) -> None:
        """Before a block of at most `BLOCK_BATCHES` batches."""
        self._now = 0
        if self.any_lazy and self.optimizer.kind == kernels.ADAM:
            kernels.idle_table(self.hyperparameters, self.step, BLOCK_BATCHES, self.idle)

    def end_block(self, batches: int) -> None:
        """After it: every row is up to date."""
        kernels.settle(
            self.optimizer.kind, self.hyperparameters, self.idle, batches, self.segments,
            self.store.values, self.first, self.second, self.last,
        )  # fmt: skip
        self.step += batches

    def _vectors(self, n: int, fields: int, columns: int) -> np.ndarray:
        """Room for the vectors of a batch: zeros to add slices to, or a field after the other."""
        if self.store.gathered:
            return np.zeros((n, fields, columns), np.float32)
        return np.empty((fields, n, columns), np.float32).transpose(1, 0, 2)

    def read(self, ids: np.ndarray, columns: int) -> np.ndarray:
        """Vectors of a batch, (n, fields, columns); remembers where they came from."""
        store = self.store
        n = len(ids)
        self._now += 1
        vectors = self._vectors(n, ids.shape[1], columns)
        self._kept = []
        for place in store.composed:
            assert isinstance(place.table, ComposedTable)
            part = slice(place.column, place.column + place.table.dim)
            vectors[:, place.field, part], kept = place.table.forward(ids[:, place.field])
            self._kept.append(kept)
        if not store.gathered:
            return vectors
        places.locate(ids, 0, n, self.terms, store.coefficients, store.assignments, self.offsets)
        self._count = kernels.touch(
            self.terms, n, self._now, self.optimizer.kind, self.hyperparameters, self.idle,
            store.values, self.first, self.second, self.gradient_start,
            self.offsets, self.gradient_offsets, self.last, self.slots, self.touched,
        )  # fmt: skip
        places.gather(store.values, self.offsets, self.terms, n, vectors)
        return vectors

    def step_back(self, gradients: np.ndarray) -> None:
        """Send the gradients of the vectors that were read back, and take a step."""
        store = self.store
        if store.gathered:
            rows = np.ascontiguousarray(gradients)
            places.scatter(self.gradient, self.gradient_offsets, self.terms, len(rows), rows)
        for place, kept in zip(store.composed, self._kept, strict=True):
            assert isinstance(place.table, ComposedTable)
            part = slice(place.column, place.column + place.table.dim)
            own = np.ascontiguousarray(gradients[:, place.field, part])
            place.table.backward_from(kept, own)
        kernels.apply_step(
            self.optimizer.kind, self.hyperparameters, self.step + self._now, self.segments,
            store.values, self.gradient, self.first, self.second, self.touched, self._count,
        )  # fmt: skip


def parameter_bytes(count: int) -> int:
    """Bytes of so many trained numbers."""
    return FLOAT_BYTES * count
