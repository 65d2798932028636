"""What a figure plots: named columns of equal length, one file of comma-separated values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Columns = dict[str, np.ndarray]
"""Names to arrays of equal length: numbers, or text that tells the panels apart."""

MEDIAN, LOW, HIGH = "median", "10%", "90%"
QUANTILES = {MEDIAN: 0.5, LOW: 0.1, HIGH: 0.9}


def quantiles(name: str, samples: np.ndarray) -> Columns:
    """Median and 10-90 % band over trials.

    Parameters
    ----------
    name : str
        Of the series; the columns are ``"<name> median"``, ``"<name> 10%"``, ``"<name> 90%"``.
    samples : ndarray, shape (trials, points)

    Returns
    -------
    Columns
        Three columns of as many rows as there are points.

    Examples
    --------
    >>> quantiles("loss", np.array([[1.0], [2.0], [4.0]]))["loss median"].tolist()
    [2.0]
    """
    values = np.quantile(samples, list(QUANTILES.values()), axis=0)
    return {f"{name} {suffix}": row for suffix, row in zip(QUANTILES, values, strict=True)}


def stack(parts: Iterable[Columns]) -> Columns:
    """Tables with the same columns, one below the other.

    Examples
    --------
    >>> stack([{"x": np.array([1])}, {"x": np.array([2])}])["x"].tolist()
    [1, 2]
    """
    tables = list(parts)
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def split(columns: Columns, by: str) -> dict[str, Columns]:
    """The rows for each value of the column ``by``, in the order of appearance.

    Examples
    --------
    >>> table = {"panel": np.array(["b", "a", "b"]), "x": np.array([1, 2, 3])}
    >>> {name: part["x"].tolist() for name, part in split(table, "panel").items()}
    {'b': [1, 3], 'a': [2]}
    """
    return {
        str(value): {name: column[columns[by] == value] for name, column in columns.items()}
        for value in dict.fromkeys(columns[by].tolist())
    }
