"""Codewords seeded anew, from parabolas of the loss of each ID in one chunk of columns.

An ID's parabola is one row of features, as `lsq_sketch.kernels.reassignment.expand_ids` gives
them: the entries of half its curvature matrix below and on the diagonal, then its slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import clusters
from ..kernels import seeding as kernels
from ..kernels.argmin import POINT_BLOCK, first_least, first_least_in_blocks, in_blocks
from ..kernels.parabolas import least_points
from ..kernels.reassignment import expand_codewords
from ..rng import generator
from ..threads import for_each, row_chunks

KMEANS_ROUNDS = 10
LOSS_ROUNDS = 5

WORK_A_PIECE = 50_000_000
"""Multiplications that are worth a thread's while."""


def seed_codewords(
    features: np.ndarray, n_codewords: int, precision: float, prior: float, rng: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Codewords for parabolas: k-means of their least points, then rounds of Lloyd by the loss.

    Parameters
    ----------
    features : ndarray of float32, shape (n, width (width + 3) / 2)
        Of the sampled IDs.
    n_codewords : int
    precision : float
        Times half the squared length of a vector, added to each ID's loss; positive.
    prior : float
        Times minus the logarithm of a codeword's share of the IDs, likewise.
    rng : int or numpy.random.Generator

    Returns
    -------
    codewords : ndarray of float32, shape (n_codewords, width)
    penalties : ndarray of float64, shape (n_codewords,)
        What each adds to an ID's loss.

    Notes
    -----
    The rounds by the loss do not descend on one objective: an ID is charged ``precision`` for its
    codeword's length, a codeword is solved for with one ``precision`` in all, not one an ID. As a
    mean of many it is known better than any of their vectors. Charged for each, codewords shrink
    and much is lost (``benchmarks/NOTES.md``).

    Examples
    --------
    Two kinds of IDs, whose losses are least near -1 and 1:

    >>> features = np.float32([[50.0, 100.0], [50.0, -100.0]] * 4)
    >>> codewords, penalties = seed_codewords(features, 2, 1e-3, 1.0, 0)
    >>> sorted(codewords.round(3).ravel().tolist())
    [-1.0, 1.0]
    """
    random = generator(rng)
    width = _width(features.shape[1])
    blocks = in_blocks(features)
    points = np.empty((len(features), width), np.float32)
    least_points(blocks, precision * np.eye(width), np.zeros(width), precision, points)
    codewords = np.empty((n_codewords, width), np.float32)
    clusters.spread_seeds(points, random.random(n_codewords), codewords)
    clusters.lloyd_rounds(points, codewords, KMEANS_ROUNDS)
    in_block = np.empty((len(blocks), POINT_BLOCK), np.int32)
    labels = in_block.reshape(-1)[: len(features)]
    clusters.nearest_centroid(points, codewords, 0, len(points), labels)
    counts = np.bincount(labels, minlength=n_codewords)
    for _ in range(LOSS_ROUNDS):
        penalties = kernels.penalties_of(codewords, counts, precision, prior)
        _least_cost_in_blocks(blocks, codewords, penalties, in_block)
        counts = kernels.recentre(features, labels, precision, codewords)
    return codewords, kernels.penalties_of(codewords, counts, precision, prior)


def least_cost(features: np.ndarray, codewords: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """The codeword of least cost for each parabola.

    Parameters
    ----------
    features : ndarray of float32, shape (n, width (width + 3) / 2)
    codewords : ndarray of float32, shape (n_codewords, width)
    penalties : ndarray, shape (n_codewords,)
        Added to the costs.

    Returns
    -------
    ndarray of int32, shape (n,)
        Ties go to the first.

    Examples
    --------
    Parabolas ``c^2 / 2 - c`` and ``c^2 / 2 + c``, and codewords -1 and 1:

    >>> features = np.float32([[0.5, -1], [0.5, 1]])
    >>> least_cost(features, np.float32([[-1], [1]]), np.zeros(2)).tolist()
    [1, 0]
    """
    labels = np.empty(len(features), np.int32)
    expanded, offsets = _rows_and_offsets(codewords, penalties)
    first_least(features, np.float32(1), expanded, offsets, 0, len(labels), labels)
    return labels


def _least_cost_in_blocks(
    blocks: np.ndarray, codewords: np.ndarray, penalties: np.ndarray, labels: np.ndarray
) -> None:
    """The same for parabolas in blocks, on all threads if there is enough to do."""
    expanded, offsets = _rows_and_offsets(codewords, penalties)
    n_pieces = max(1, round(blocks.size * len(codewords) / WORK_A_PIECE))
    for_each(
        lambda piece: first_least_in_blocks(blocks, expanded, offsets, *piece, labels),
        row_chunks(len(blocks), -(-len(blocks) // n_pieces)),
    )


def _rows_and_offsets(
    codewords: np.ndarray, penalties: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What parabolas are multiplied by, and what is added."""
    width = codewords.shape[1]
    expanded = np.empty((len(codewords), width * (width + 3) // 2), np.float32)
    expand_codewords(codewords, expanded)
    return expanded, penalties.astype(np.float32)


def _width(features: int) -> int:
    """Of parabolas of so many features: ``width (width + 3) / 2`` is their number."""
    return round(np.sqrt(2 * features + 2.25) - 1.5)
