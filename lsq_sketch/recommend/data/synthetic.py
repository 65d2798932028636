"""Synthetic interactions whose true probabilities are known, so that headroom can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from ... import _validate
from ...errors import DataError
from ...rng import generator
from ...threads import single_threaded_blas
from .dataset import Dataset, Interactions, random_rows

DIM = 8
CHOICE_SCALE = 1.0
LABEL_SCALE = 2.0
"""Chosen with `DIM` so that for 1,000 users and items with 300 rows a user the best reachable
AUC is 0.871."""

HELD_OUT_FRACTION = 0.1
SCORES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Synthetic:
    """How to draw interactions of users and items.

    User and item vectors have independent standard normal entries; the *affinity* of a pair is
    their dot product divided by ``sqrt(dim)``, of variance 1 over all pairs. A user's items are
    drawn, with replacement, by the softmax of ``choice_scale`` times affinity plus the logarithm
    of the item's popularity; the label of a row is 1 with probability
    ``sigmoid(label_scale (affinity - choice_scale))``. The shift makes labels balanced: items
    so drawn have affinity ``choice_scale`` on average.

    Attributes
    ----------
    n_users : int, default 1000
    n_items : int, default 1000
    rows_per_user : int, default 300
    dim : int, default 8
        Of the true vectors.
    n_clusters : int, optional
        Users, and items, have so many distinct true vectors each, drawn uniformly for each ID;
        none by default.
    zipf : float, default 0
        Popularity of the item of rank ``j`` is ``j^-zipf``; ranks are drawn at random.
    choice_scale : float, default 1
    label_scale : float, default 2

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    Examples
    --------
    >>> data = Synthetic(n_users=50, n_items=40, rows_per_user=30).draw(0)
    >>> data.cardinalities, len(data.train), len(data.validation)
    ((50, 40), 1350, 150)
    >>> 0.5 < data.best_auc < 1 and 0 < data.best_loss < 0.69
    True
    """

    n_users: int = 1000
    n_items: int = 1000
    rows_per_user: int = 300
    dim: int = DIM
    n_clusters: int | None = None
    zipf: float = 0.0
    choice_scale: float = CHOICE_SCALE
    label_scale: float = LABEL_SCALE

    def __post_init__(self) -> None:
        for name in ("n_users", "n_items", "rows_per_user", "dim"):
            _validate.integer(getattr(self, name), name, low=1, high=1 << 30)
        if self.n_clusters is not None:
            _validate.integer(self.n_clusters, "n_clusters", low=1, high=1 << 30)
        for name in ("zipf", "choice_scale", "label_scale"):
            value = getattr(self, name)
            if not 0 <= value < 100:
                raise ValueError(f"{name} must be a number from 0 to 100, got {value!r}.")

    def draw(self, rng: Any = 0, name: str = "synthetic") -> Dataset:
        """Draw the data set.

        Parameters
        ----------
        rng : int or numpy.random.Generator, default 0
        name : str, default "synthetic"

        Returns
        -------
        Dataset
            Users in turn, each with its rows; a tenth of all, drawn at random, to validate on.

        Raises
        ------
        DataError
            If the validation rows have one label only.

        Notes
        -----
        Takes ``n_users * n_items * dim`` operations.
        """
        random = generator(rng)
        users, items = self._vectors(random, self.n_users), self._vectors(random, self.n_items)
        popularity = -self.zipf * np.log(1.0 + random.permutation(self.n_items))
        n = self.n_users * self.rows_per_user
        chosen, affinity = np.zeros(n, np.int32), np.zeros(n)
        at_once = max(1, SCORES_AT_ONCE // self.n_items)
        with single_threaded_blas():
            for first in range(0, self.n_users, at_once):
                scores = users[first : first + at_once] @ items.T
                uniform = random.random((len(scores), self.rows_per_user))
                ids = self._choose(scores, popularity, uniform)
                start = first * self.rows_per_user
                chosen[start : start + ids.size] = ids.ravel()
                affinity[start : start + ids.size] = np.take_along_axis(scores, ids, axis=1).ravel()
        probability = expit(self.label_scale * (affinity - self.choice_scale))
        labels = random.random(n) < probability
        held = random_rows(n, HELD_OUT_FRACTION, random)
        if len(set(labels[held].tolist())) < 2:
            raise DataError(
                f"{name}: the {int(held.sum())} validation rows have one label only; expected "
                f"both. Take more users or rows a user."
            )
        from sklearn.metrics import log_loss, roc_auc_score  # here: it takes its time

        rows_of_users = np.repeat(np.arange(self.n_users), self.rows_per_user)
        rows = Interactions.of(np.stack([rows_of_users, chosen], axis=1), labels=labels)
        return Dataset(
            name,
            ("user", "item"),
            (self.n_users, self.n_items),
            rows.subset(~held),
            rows.subset(held),
            best_loss=float(log_loss(labels[held], probability[held])),
            best_auc=float(roc_auc_score(labels[held], probability[held])),
        )

    def _vectors(self, random: np.random.Generator, n: int) -> np.ndarray:
        scale = self.dim**-0.25  # of each side, for an affinity of variance 1
        if self.n_clusters is None:
            return scale * random.standard_normal((n, self.dim))
        centres = scale * random.standard_normal((self.n_clusters, self.dim))
        return centres[random.integers(0, self.n_clusters, n)]

    def _choose(
        self, scores: np.ndarray, popularity: np.ndarray, uniform: np.ndarray
    ) -> np.ndarray:
        """Items of each row of ``uniform``, by inverting the distribution function."""
        weights = self.choice_scale * scores + popularity
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        cumulative = np.cumsum(weights, axis=1)
        targets = uniform * cumulative[:, -1:]
        ids = np.empty(uniform.shape, np.int64)
        for user in range(len(scores)):
            ids[user] = np.searchsorted(cumulative[user], targets[user], side="right")
        return np.minimum(ids, self.n_items - 1)  # a product may round up to the whole sum
