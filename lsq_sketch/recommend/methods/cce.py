"""Clustered compositional embeddings: hash, train, cluster, train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _validate
from ...cluster import POINTS_PER_PIECE, kmeans, lloyd
from ...kernels.clusters import nearest_centroid
from ...rng import generator
from ...threads import for_each, row_chunks
from .base import GatherTable, Term, chunk_width, random_codebook, random_hash

if TYPE_CHECKING:
    from ..training import EpochContext

SECOND_STARTS = ("residual", "zero")
SAMPLINGS = ("uniform", "seen", "frequency")
SEEDINGS = ("fresh", "warm")
STATES = ("keep", "reset")

IDS_AT_ONCE = 65_536
"""IDs whose vectors are held at once while clusters are assigned."""


@dataclass(frozen=True)
class CceOptions:
    """When and how clustered compositional embeddings cluster.

    Attributes
    ----------
    n_chunks : int
        Chunks of columns, each with two tables.
    cluster_every : int
        Epochs from one clustering to the next.
    cluster_until : float
        Share of all epochs after which there is no more clustering: the last may come after
        epoch ``cluster_until * epochs``, and never after the last epoch.
    sample_per_cluster : int
        IDs sampled for each cluster, at most; all are used if there are no more.
    sampling : {"uniform", "seen", "frequency"}
        Which IDs are sampled: any, those in training rows, or in proportion to their rows.
    lloyd_rounds : int
        Rounds of Lloyd's algorithm, at most.
    seeding : {"fresh", "warm"}
        Where k-means begins: D^2 seeding, or the centroids of the clustering before.
    second_start : {"residual", "zero"}
        What the second table starts from when it is hashed afresh: the mean residual of each
        bucket (zero for an empty one), or zero.
    optimizer_state : {"keep", "reset"}
        Whether the optimiser's running means of a clustered table are set to zero.
    """

    n_chunks: int = 4
    cluster_every: int = 1
    cluster_until: float = 0.9
    sample_per_cluster: int = 256
    sampling: str = "uniform"
    lloyd_rounds: int = 10
    seeding: str = "fresh"
    second_start: str = "residual"
    optimizer_state: str = "keep"

    def __post_init__(self) -> None:
        for name in ("n_chunks", "cluster_every", "sample_per_cluster"):
            _validate.integer(getattr(self, name), name, low=1)
        _validate.integer(self.lloyd_rounds, "lloyd_rounds", low=0)
        _validate.choice(self.sampling, "sampling", SAMPLINGS)
        _validate.choice(self.seeding, "seeding", SEEDINGS)
        _validate.choice(self.second_start, "second_start", SECOND_STARTS)
        _validate.choice(self.optimizer_state, "optimizer_state", STATES)
        if not 0 <= self.cluster_until <= 1:
            raise ValueError(
                f"cluster_until must be a share of the epochs from 0 to 1, got "
                f"{self.cluster_until}."
            )


PAPER = CceOptions()
"""The published procedure: clustering after each epoch, residual start."""


class ClusteredEmbedding(GatherTable):
    """Columns in chunks; in each, one row of a learned table plus one of a hashed table.

    Both have half of the ``params_per_dim`` rows. Assignments of the first start as a hash. Now
    and then (`CceOptions`) each chunk's vectors are clustered: the first table becomes the
    centroids, its assignments the clusters; the second is hashed afresh.

    ``H`` of a chunk is ``[A | C]``, assignments and sketch side by side.

    References
    ----------
    Tsang and Ahle, "Clustering the Sketch: dynamic compression for embedding tables",
    NeurIPS 2023, Algorithm 3.

    Examples
    --------
    >>> table = ClusteredEmbedding(1000, 8, 16)
    >>> table.parameter_count, table.assignments.shape
    (128, (1000, 4))
    """

    Options = CceOptions
    title = "clustered compositional embeddings"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.n_chunks, self.width = chunk_width(dim, self.options.n_chunks)
        self.n_hashed = params_per_dim // 2
        self.n_clusters = params_per_dim - self.n_hashed
        rows = self.n_clusters * self.n_chunks
        terms = [
            Term.stored(c * self.width, self.width, c * self.n_clusters, self.n_clusters, c)
            for c in range(self.n_chunks)
        ]
        if self.n_hashed:
            terms += [
                Term.hashed(c * self.width, self.width, rows + c * self.n_hashed, self.n_hashed)
                for c in range(self.n_chunks)
            ]
        n_summed = 2 if self.n_hashed else 1
        codebook = random_codebook(
            random, params_per_dim * self.n_chunks, self.width, dim, n_summed
        )
        start = np.stack(
            [random.integers(0, self.n_clusters, cardinality) for _ in range(self.n_chunks)], axis=1
        )
        self._setup(codebook, terms, random, start)

    def centroids(self, chunk: int) -> np.ndarray:
        """The first table of a chunk, (n_clusters, width): a view."""
        first = chunk * self.n_clusters
        return self.codebook.value[first : first + self.n_clusters]

    def hashed(self, chunk: int) -> np.ndarray:
        """The second table of a chunk, (n_hashed, width): a view."""
        first = self.n_chunks * self.n_clusters + chunk * self.n_hashed
        return self.codebook.value[first : first + self.n_hashed]

    def chunk_vectors(self, chunk: int, ids: np.ndarray) -> np.ndarray:
        """One chunk of the vectors of some IDs, (n, width)."""
        vectors = self.centroids(chunk)[self.assignments[ids, chunk]]
        if self.n_hashed:
            vectors += self.hashed(chunk)[self.buckets(self.n_chunks + chunk, ids)]
        return vectors

    def after_epoch(self, context: EpochContext) -> None:
        """Cluster, if it is time."""
        until = min(context.epochs - 1, self.options.cluster_until * context.epochs)
        if context.epoch % self.options.cluster_every or context.epoch > until:
            return
        frequencies = None
        if self.options.sampling != "uniform":
            frequencies = context.frequencies()
        self.cluster(context.rng, frequencies)
        if self.options.optimizer_state == "reset":
            for state in context.moments(self.codebook):
                state[...] = 0

    def cluster(self, rng: Any, frequencies: np.ndarray | None = None) -> None:
        """Cluster the current vectors, chunk by chunk.

        Parameters
        ----------
        rng : int or numpy.random.Generator
        frequencies : ndarray, shape (cardinality,), optional
            Training rows of each ID; needed unless sampling is uniform.
        """
        random = generator(rng)
        for chunk in range(self.n_chunks):
            sample = self._sample(random, frequencies)
            centroids = self._centroids_of(chunk, self.chunk_vectors(chunk, sample), random)
            self._replace(chunk, centroids, random)

    def _sample(self, random: np.random.Generator, frequencies: np.ndarray | None) -> np.ndarray:
        wanted = self.options.sample_per_cluster * self.n_clusters
        if frequencies is None:
            population, weights = np.arange(self.cardinality, dtype=np.int32), None
        else:
            population = np.flatnonzero(frequencies).astype(np.int32)
            weights = frequencies[population] / frequencies.sum()
        if self.options.sampling == "frequency" and weights is not None:
            return random.choice(population, wanted, p=weights).astype(np.int32)
        if wanted >= len(population):
            return population
        return np.sort(random.choice(population, wanted, replace=False)).astype(np.int32)

    def _centroids_of(
        self, chunk: int, points: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        rounds = self.options.lloyd_rounds
        if self.options.seeding == "warm":
            return lloyd(points, self.centroids(chunk), max_iter=rounds).centroids
        n_clusters = min(self.n_clusters, len(points))
        found = kmeans(points, n_clusters, random, max_iter=rounds).centroids
        return np.resize(found, (self.n_clusters, self.width))  # repeated if there are too few

    def _replace(self, chunk: int, centroids: np.ndarray, random: np.random.Generator) -> None:
        """New assignments and tables; the vectors of one block of IDs are held at a time."""
        new = centroids.astype(np.float32)
        term = self.n_chunks + chunk
        next_hash = random_hash(random)
        sums = np.zeros((self.n_hashed, self.width))
        counts = np.zeros(self.n_hashed, np.int64)
        for start, stop in row_chunks(self.cardinality, IDS_AT_ONCE):
            ids = np.arange(start, stop, dtype=np.int32)
            vectors = self.chunk_vectors(chunk, ids)
            labels = nearest(vectors, new)
            self.assign(chunk, labels, start)
            if self.n_hashed:
                buckets = self.buckets(term, ids, next_hash)
                np.add.at(sums, buckets, vectors - new[labels])
                counts += np.bincount(buckets, minlength=self.n_hashed)
        self.centroids(chunk)[:] = new
        if self.n_hashed:
            self.coefficients[term] = next_hash
            self.hashed(chunk)[:] = 0
            if self.options.second_start == "residual":
                filled = counts > 0
                self.hashed(chunk)[filled] = sums[filled] / counts[filled, None]


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Index of the nearest centroid of each point, compared in single precision.

    Parameters
    ----------
    points : ndarray of float32, shape (n, d)
    centroids : ndarray of float32, shape (K, d)

    Returns
    -------
    ndarray of int32, shape (n,)

    Examples
    --------
    >>> nearest(np.float32([[0.0], [9.0]]), np.float32([[1.0], [8.0]])).tolist()
    [0, 1]
    """
    transposed = np.ascontiguousarray(centroids.T)
    norms = (centroids * centroids).sum(axis=1)
    labels = np.empty(len(points), np.int32)

    def assign(piece: tuple[int, int]) -> None:
        scratch = np.empty(len(centroids), np.float32)
        nearest_centroid(points, transposed, norms, *piece, scratch, labels)

    for_each(assign, row_chunks(len(points), POINTS_PER_PIECE))
    return labels
