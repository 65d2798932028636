"""Product and residual quantisation of a table, after training."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from . import _validate
from .cluster import kmeans
from .rng import generator


@dataclass(frozen=True)
class Quantization:
    """A table stored as codes into codebooks.

    Attributes
    ----------
    table : ndarray of float64, shape (d1, d2)
        What the codes stand for.
    codes : ndarray of int32, shape (parts, d1)
        Codeword of each row in each block of columns (PQ) or stage (RQ).
    costs : ndarray of float64, shape (parts,)
        PQ: squared error of each block, which add up to the whole. RQ: squared error of the
        whole after each stage, which never rises.
    codebooks : tuple of ndarray of float64, each of shape (n_clusters, width)
        Codewords of each block or stage.
    """

    table: np.ndarray = field(repr=False)
    codes: np.ndarray = field(repr=False)
    costs: np.ndarray
    codebooks: tuple[np.ndarray, ...] = field(repr=False)


def product_quantization(table: Any, n_clusters: int, n_chunks: int, rng: Any = 0) -> Quantization:
    """Product quantisation: k-means on each block of columns.

    Parameters
    ----------
    table : array_like, shape (d1, d2)
    n_clusters : int
        Codewords a block, from 1 to ``d1``.
    n_chunks : int
        Blocks of columns, from 1 to ``d2``, of sizes as equal as may be.
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    Quantization
        ``costs.sum()`` is the squared error of the table.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or the table is not finite and real.

    References
    ----------
    Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 2011.

    Examples
    --------
    >>> q = product_quantization([[0.0, 5.0], [0.0, 7.0], [2.0, 5.0]], 2, 2)
    >>> q.table.tolist(), q.costs.tolist()
    ([[0.0, 5.0], [0.0, 7.0], [2.0, 5.0]], [0.0, 0.0])
    """
    values = _validate.points(table, "table")
    d1, d2 = values.shape
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=d1, high_name="d1")
    n_chunks = _validate.integer(n_chunks, "n_chunks", low=1, high=d2, high_name="d2")
    random = generator(rng)
    bounds = np.linspace(0, d2, n_chunks + 1).astype(int)
    found = [kmeans(values[:, a:b], n_clusters, random) for a, b in pairwise(bounds)]
    return Quantization(
        np.hstack([clustering.centroids[clustering.labels] for clustering in found]),
        np.stack([clustering.labels for clustering in found]),
        np.array([clustering.cost for clustering in found]),
        tuple(clustering.centroids for clustering in found),
    )


def residual_quantization(table: Any, n_clusters: int, n_stages: int, rng: Any = 0) -> Quantization:
    """Residual quantisation: k-means on the residuals of the stages before; codewords add up.

    Parameters
    ----------
    table : array_like, shape (d1, d2)
    n_clusters : int
        Codewords a stage, from 1 to ``d1``.
    n_stages : int
        At least 1.
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    Quantization
        ``costs[-1]`` is the squared error of the table.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or the table is not finite and real.

    References
    ----------
    Chen, Guan and Wang, "Approximate nearest neighbor search by residual vector quantization",
    Sensors 2010.

    Examples
    --------
    >>> q = residual_quantization([[0.0], [1.0], [10.0], [12.0]], 2, 2)
    >>> q.costs.tolist()
    [2.5, 0.25]
    """
    values = _validate.points(table, "table")
    d1 = len(values)
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=d1, high_name="d1")
    n_stages = _validate.integer(n_stages, "n_stages", low=1)
    random = generator(rng)
    residual, codes, costs, codebooks = values, [], [], []
    for _ in range(n_stages):
        clustering = kmeans(residual, n_clusters, random)
        residual = residual - clustering.centroids[clustering.labels]
        codes.append(clustering.labels)
        costs.append(clustering.cost)
        codebooks.append(clustering.centroids)
    return Quantization(values - residual, np.stack(codes), np.array(costs), tuple(codebooks))
