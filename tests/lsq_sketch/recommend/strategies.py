"""Small data sets for training."""

from __future__ import annotations

import numpy as np

from lsq_sketch.recommend.data import Dataset, Interactions


def rows_of(rng, n, sizes, n_dense=0, task="binary"):
    ids = np.stack([rng.integers(0, size, n) for size in sizes], axis=1)
    dense = rng.standard_normal((n, n_dense))
    labels = rng.random(n) < 0.6 if task == "binary" else rng.standard_normal(n)
    return Interactions.of(ids, labels, dense)


def random_data(seed=0, n=300, sizes=(30, 50), n_dense=0, task="binary"):
    """Rows without any structure."""
    rng = np.random.default_rng(seed)
    names = tuple(f"field{f}" for f in range(len(sizes)))
    train = rows_of(rng, n, sizes, n_dense, task)
    validation = rows_of(rng, 64, sizes, n_dense, task)
    return Dataset("random", names, tuple(sizes), train, validation, task=task)


def low_rank_data(seed=0, n=20_000, sizes=(100, 120), rank=3, strength=6.0):
    """Probabilities are sigmoids of inner products of random vectors."""
    rng = np.random.default_rng(seed)
    U, V = (rng.standard_normal((size, rank)) / rank**0.25 for size in sizes)
    ids = np.stack([rng.integers(0, size, n) for size in sizes], axis=1)
    scores = strength / 2 * (U[ids[:, 0]] * V[ids[:, 1]]).sum(axis=1)
    labels = rng.random(n) < 1 / (1 + np.exp(-scores))
    rows = Interactions.of(ids, labels)
    kept = n * 4 // 5
    train, validation = rows.subset(slice(0, kept)), rows.subset(slice(kept, n))
    return Dataset("low-rank", ("user", "item"), tuple(sizes), train, validation), scores[kept:]
