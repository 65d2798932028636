"""Clustered compositional embeddings: hash, train, cluster, train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _validate
from ...kernels import clusters as kernels
from ...rng import generator
from ...threads import for_each
from .base import GatherTable, Term, chunk_width, random_codebook, random_hash

if TYPE_CHECKING:
    from ..training import EpochContext

SECOND_STARTS = ("residual", "zero")
SAMPLINGS = ("uniform", "seen", "frequency")
SEEDINGS = ("uniform", "spread", "warm")
STATES = ("keep", "reset")

IDS_AT_ONCE = 4096
"""IDs whose vectors are held at once while clusters are assigned."""

WORK_A_ROW = 32
"""Multiplications by centroids in the time of half an epoch, for each row and column."""


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
    chunks_at_once : int or None
        Chunks clustered after an epoch, in turn; None: as many as take about the time of half a
        training epoch, so all unless clusters are very many.
    sample_per_cluster, least_sample : int
        IDs sampled for each cluster, and for all clusters of a chunk at least; all are used if
        there are no more.
    sampling : {"uniform", "seen", "frequency"}
        Which IDs are sampled: any, those in training rows, or in proportion to their rows.
    lloyd_rounds : int
        Rounds of Lloyd's algorithm, at most.
    seeding : {"uniform", "spread", "warm"}
        Where k-means begins: vectors of the sample drawn uniformly, or by D^2 seeding, or the
        centroids of the clustering before.
    second_start : {"residual", "zero"}
        What the second table starts from when it is hashed afresh: the mean residual of each
        bucket (zero for an empty one), or zero.
    optimizer_state : {"keep", "reset"}
        Whether the optimiser's running means of a clustered table are set to zero.
    """

    n_chunks: int = 4
    cluster_every: int = 1
    cluster_until: float = 0.9
    chunks_at_once: int | None = None
    sample_per_cluster: int = 2
    least_sample: int = 1024
    sampling: str = "uniform"
    lloyd_rounds: int = 1
    seeding: str = "uniform"
    second_start: str = "residual"
    optimizer_state: str = "reset"

    def __post_init__(self) -> None:
        for name in ("n_chunks", "cluster_every", "sample_per_cluster", "least_sample"):
            _validate.integer(getattr(self, name), name, low=1)
        if self.chunks_at_once is not None:
            _validate.integer(self.chunks_at_once, "chunks_at_once", low=1)
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


PAPER = CceOptions(
    chunks_at_once=1 << 30, sample_per_cluster=200, lloyd_rounds=100, optimizer_state="keep"
)
"""The published procedure, with the settings of the authors' code, whose k-means is that of FAISS:
seeds drawn uniformly, then very many rounds. The optimiser is not told that the tables change."""


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
    published = PAPER
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
        chunks = self.chunks_due(context.epoch, len(context.train))
        self.cluster(context.rng, frequencies, chunks)
        if self.options.optimizer_state == "reset":
            for state in context.moments(self.codebook):
                for part in self._rows_of(chunks):
                    state[part] = 0

    def chunks_due(self, epoch: int, rows: int) -> list[int]:
        """Chunks whose turn it is after an epoch of so many rows, if it is time to cluster."""
        at_once = self.options.chunks_at_once
        if at_once is None:
            compared = self.cardinality + self.sample_size * (1 + self.options.lloyd_rounds)
            at_once = WORK_A_ROW * self.dim * rows // (compared * self.n_clusters * self.width)
        at_once = min(max(at_once, 1), self.n_chunks)
        turn = epoch // self.options.cluster_every - 1
        return [(turn * at_once + c) % self.n_chunks for c in range(at_once)]

    def _rows_of(self, chunks: list[int]) -> list[slice]:
        """Rows of the codebook that belong to some chunks."""
        rows = self.n_chunks * self.n_clusters
        firsts = [(c * self.n_clusters, self.n_clusters) for c in chunks]
        seconds = [(rows + c * self.n_hashed, self.n_hashed) for c in chunks]
        return [slice(first, first + n) for first, n in firsts + seconds]

    def cluster(
        self, rng: Any, frequencies: np.ndarray | None = None, chunks: list[int] | None = None
    ) -> None:
        """Cluster the current vectors, chunk by chunk.

        Parameters
        ----------
        rng : int or numpy.random.Generator
        frequencies : ndarray, shape (cardinality,), optional
            Training rows of each ID; needed unless sampling is uniform.
        chunks : list of int, optional
            By default all.
        """
        random = generator(rng)
        chosen = list(range(self.n_chunks)) if chunks is None else chunks
        draws = {chunk: self._draws(random, frequencies) for chunk in chosen}

        def cluster(chunk: int) -> None:
            sample, uniforms, function = draws[chunk]
            term = self.n_chunks + chunk
            unused = np.zeros(2, np.uint64)
            kernels.cluster_chunk(
                self.centroids(chunk), self.hashed(chunk), self.assignments, chunk,
                self.coefficients[term] if self.n_hashed else unused, function,
                sample, uniforms, SEEDINGS.index(self.options.seeding), self.options.lloyd_rounds,
                IDS_AT_ONCE,
            )  # fmt: skip
            if self.n_hashed:
                self.coefficients[term] = function

        for_each(cluster, chosen)
        if self.options.second_start == "zero":
            for chunk in chosen:
                self.hashed(chunk)[...] = 0

    @property
    def sample_size(self) -> int:
        """IDs to sample for a chunk, if there are so many."""
        options = self.options
        return max(options.least_sample, options.sample_per_cluster * self.n_clusters)

    def _draws(
        self, random: np.random.Generator, frequencies: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All that is random in clustering one chunk: sampled IDs, seeds, a hash function."""
        sample = self._sample(random, frequencies)
        return sample, random.random(self.n_clusters), random_hash(random)

    def _sample(self, random: np.random.Generator, frequencies: np.ndarray | None) -> np.ndarray:
        wanted = self.sample_size
        if frequencies is None:
            if wanted >= self.cardinality:
                return np.arange(self.cardinality, dtype=np.int32)
            drawn = random.choice(self.cardinality, wanted, replace=False, shuffle=False)
            return drawn.astype(np.int32)
        if self.options.sampling == "frequency":
            cumulative = np.cumsum(frequencies)
            drawn = random.integers(0, cumulative[-1], wanted)
            return np.searchsorted(cumulative, drawn, side="right").astype(np.int32)
        seen = np.flatnonzero(frequencies).astype(np.int32)
        if wanted >= len(seen):
            return seen
        return random.choice(seen, wanted, replace=False, shuffle=False)
