"""Training of compressed recommenders against the same written plainly in PyTorch."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numba import njit
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from lsq_sketch.kernels.products import multiply
from lsq_sketch.recommend.checkpoint import copy_model, restore_arrays, restore_model
from lsq_sketch.recommend.data import Interactions
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.methods.cce import ClusteredEmbedding
from lsq_sketch.recommend.models import GMF
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.training import EpochContext
from lsq_sketch.recommend.workspace import BLOCK_BATCHES, Workspace
from lsq_sketch.threads import row_chunks, single_threaded_blas, thread_count

from .timing import Benchmark, Contender

BATCH, DIM, RATE = 1024, 32, 1e-3
MOVIELENS = (671, 8451)
"""IDs of users and of movies in ``movielens-small``."""

AT_ALL_SIZES = ("cce", "dhe", "tensor-train")
"""Methods whose work changes in kind with the budget; the others are measured at one."""

STEPS_COMPARED = 3
STEADY_AFTER = 8
"""Epochs after which few IDs move."""


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes
    ----------
    small, large : tuple of int
        IDs of users and of items.
    rows : int
        Of an epoch.
    share : float
        Part of an epoch that each peer trains.
    budgets : tuple of int
        Parameters a column.
    """

    small: tuple[int, int]
    large: tuple[int, int]
    rows: int
    share: float
    budgets: tuple[int, ...]


SIZES = {
    "full": Size(MOVIELENS, (100_000, 50_000), 76 * BATCH, 0.25, (16, 64, 256, 1024)),
    "toy": Size((40, 60), (80, 50), 2 * BATCH, 0.5, (8,)),
}


def unavailable() -> str | None:
    """What is missing and how to get it; None if nothing is."""
    if find_spec("torch") is not None:
        return None
    return (
        'needs PyTorch: pip install "lsq-sketch[benchmark]" (it runs on the processor; a build '
        "of torch without CUDA will do and is far smaller)"
    )


def prepare(size: str) -> Iterator[Benchmark]:
    """Training at several methods and sizes, then what CCE and alternating CCE do in between."""
    sizes = SIZES[size]
    middle = sizes.budgets[len(sizes.budgets) // 2]
    yield training(sizes, "full", 1, sizes.small)
    yield training(sizes, "full", 1, sizes.large)
    for method in methods_trained():
        budgets = sizes.budgets if method in AT_ALL_SIZES else (middle,)
        for budget in budgets:
            yield training(sizes, method, budget, sizes.small)
    yield from between_epochs(size)


def methods_trained() -> list[str]:
    """All methods but the full table, and those that train one to compress it."""
    known = registry().items()
    return [name for name, kind in known if name != "full" and not kind.compresses_trained]


def between_epochs(size: str) -> Iterator[Benchmark]:
    """What CCE and alternating CCE do between epochs; needs no PyTorch."""
    sizes = SIZES[size]
    for budget in sizes.budgets:
        yield clustering(sizes, budget)
    for budget in sizes.budgets:
        for epochs in (1, STEADY_AFTER):
            yield reassignment(sizes, budget, epochs)


# ------------------------------------------------------------------ ours


def interactions(cardinalities: tuple[int, int], rows: int, seed: int = 0) -> Interactions:
    """Rows whose users and items have Zipf frequencies; labels by chance."""
    rng = np.random.default_rng(seed)
    ids = np.empty((rows, 2), np.int32)
    for field, count in enumerate(cardinalities):
        weights = 1 / np.arange(1.0, count + 1)
        drawn = rng.choice(count, rows, p=weights / weights.sum())
        ids[:, field] = rng.permutation(count)[drawn]
    return Interactions.of(ids, rng.integers(0, 2, rows))


@dataclass
class Training:
    """A model with all that training it takes."""

    model: GMF
    workspace: Workspace
    rows: Interactions
    rng: np.random.Generator
    frequencies: dict[int, np.ndarray]

    @classmethod
    def of(cls, method: str, budget: int, cardinalities: tuple[int, int], rows: int) -> Training:
        """GMF at its starting values."""
        model = GMF(cardinalities, DIM, method, budget, rng=1)
        workspace = Workspace(model.store, Adam(RATE), BATCH)
        data = interactions(cardinalities, rows)
        return cls(model, workspace, data, np.random.default_rng(2), {})

    def epoch(self) -> float:
        """An epoch as `lsq_sketch.recommend.training.Trainer` runs it; the mean loss."""
        order = self.rng.permutation(len(self.rows))
        total = 0.0
        with single_threaded_blas():
            for start, stop in row_chunks(len(order), BATCH * BLOCK_BATCHES):
                part = self.rows.subset(order[start:stop])
                total += self.model.train_block(self.workspace, part.ids, part.dense, part.labels)
        return total / len(order)

    def after_epoch(self) -> None:
        """What the method does after the first epoch of thirty."""
        for number, place in enumerate(self.model.store.placed):
            place.table.after_epoch(
                EpochContext(
                    1, 30, np.random.default_rng(number), self.model, place.table, place.field,
                    place.column, self.rows, self.workspace, self.frequencies,
                )
            )  # fmt: skip


# ------------------------------------------------------------------ the same in PyTorch


def check_equal(plain: Any, ours: Training, optimizer: str) -> None:
    """Take the same steps in both, from the same start, and compare losses and trained numbers.

    All must lie within a tenth of a step, and all but one in a thousand within a hundredth: Adam
    divides each gradient by its own size, so that rounding shows where the sum of a gradient
    nearly vanishes.

    ``SparseAdam`` leaves rows without gradient alone and adds epsilon elsewhere: it is another
    optimiser. Its first loss is compared, and which rows its first step moves.

    Parameters
    ----------
    plain : benchmarks.peers.training.PlainTraining
    ours : Training
    optimizer : str

    Raises
    ------
    AssertionError
        If they differ.
    """
    values = ours.model.store.values
    start = plain.trained()
    np.testing.assert_array_equal(start, values)
    for begin, end in row_chunks(min(STEPS_COMPARED * BATCH, len(ours.rows)), BATCH):
        part = ours.rows.subset(slice(begin, end))
        loss = ours.model.train_block(ours.workspace, part.ids, part.dense, part.labels)
        theirs = float(plain.step(slice(begin, end)))
        np.testing.assert_allclose(theirs, loss / len(part), rtol=1e-6)
        if optimizer == "SparseAdam":
            break
    found = plain.trained()
    if optimizer == "SparseAdam":
        moved = [(after != start).reshape(-1, DIM).any(axis=1) for after in (values, found)]
        np.testing.assert_array_equal(*moved)
    else:
        steps = np.abs(found - values) / RATE
        assert steps.max() <= 0.1, f"{steps.max()} of a step apart"
        assert (steps > 0.01).mean() <= 0.001, f"{(steps > 0.01).sum()} numbers differ"


# ------------------------------------------------------------------ the benchmarks


def training(sizes: Size, method: str, budget: int, cardinalities: tuple[int, int]) -> Benchmark:
    """Check that both take the same steps; then time an epoch."""
    peer = importlib.import_module("benchmarks.peers.training")
    optimizers = ["Adam", "Adam, fused", *(["SparseAdam"] if method == "full" else [])]
    peers = {}
    for optimizer in optimizers:
        for threads in sorted({1, thread_count()}):
            ours = Training.of(method, budget, cardinalities, sizes.rows)
            plain = peer.PlainTraining(ours.model, ours.rows, BATCH, optimizer, RATE, threads)
            check_equal(plain, ours, optimizer)
            name = f"PyTorch, {optimizer}, {threads} thread{'s' * (threads > 1)}"
            peers[name] = Contender(partial(plain.epoch, sizes.share), sizes.share)
    ours = Training.of(method, budget, cardinalities, sizes.rows)
    ours.epoch()
    return Benchmark(
        f"An epoch of GMF, {method}{at_budget(method, budget)}, dim {DIM}, batches of {BATCH:,}: "
        f"{sizes.rows:,} rows, {in_words(cardinalities)}",
        Contender(ours.epoch),
        peers,
        limits(ours),
        part=f"train {method}{at_budget(method, budget)}, {in_words(cardinalities)}",
        rows=sizes.rows,
    )


def at_budget(method: str, budget: int) -> str:
    """The size of the tables."""
    return "" if method == "full" else f" {budget}"


def in_words(cardinalities: tuple[int, int]) -> str:
    """The number of IDs."""
    return "{:,} x {:,} IDs".format(*cardinalities)


def limits(ours: Training) -> dict[str, Contender]:
    """What an epoch cannot do without."""
    found = {"gradient descent row by row, no hashing": Contender(bare_epoch(ours))}
    if all(table.method == "dhe" for table in ours.model.tables):
        found["its matrix products alone, one thread"] = Contender(matrix_products(ours, multiply))
        found["these by NumPy's BLAS, one thread"] = Contender(matrix_products(ours, by_blas))
    return found


def by_blas(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """``out = a @ b`` as NumPy has it."""
    np.matmul(a, b, out=out)


def matrix_products(ours: Training, product: Callable[..., None]) -> Callable[[], None]:
    """The products of all layers of DHE, there and back, on the different IDs of each batch."""
    rng = np.random.default_rng(3)
    counts = [
        len(np.unique(ours.rows.ids[start:stop, field]))
        for start, stop in row_chunks(len(ours.rows), BATCH)
        for field in range(2)
    ]
    work: list[tuple[int, list[np.ndarray]]] = []
    for number, count in enumerate(counts):
        table = ours.model.tables[number % 2]
        names = [name for name in table.parameters if name.startswith("weight")]
        work.append((count, [table.parameters[name].value for name in names]))
    width = max(max(weight.shape) for _, weights in work for weight in weights)
    room = rng.standard_normal((3, BATCH * width)).astype(np.float32)

    def run() -> None:
        with single_threaded_blas():
            for count, weights in work:
                for layer, weight in enumerate(weights):
                    wide, deep = weight.shape
                    inputs = room[0, : count * wide].reshape(count, wide)
                    outputs = room[1, : count * deep].reshape(count, deep)
                    out = room[2, : count * max(wide, deep)]
                    product(inputs, weight, out[: count * deep].reshape(count, deep))
                    product(inputs.T, outputs, np.empty_like(weight))
                    if layer > 0:
                        back = out[: count * wide].reshape(count, wide)
                        product(outputs, np.ascontiguousarray(weight.T), back)

    run()
    return run


def bare_epoch(ours: Training) -> Callable[[], None]:
    """An epoch of the least that any of this does: two vectors read, a score, both moved."""
    numbers = [
        np.concatenate([parameter.value.ravel() for parameter in table.parameters.values()])
        for table in ours.model.tables
    ]
    users, items = (np.resize(flat, (max(1, flat.size // DIM), DIM)) for flat in numbers)
    ids = ours.rows.ids % np.array([len(users), len(items)], np.int32)

    def run() -> None:
        _descend(users, items, ids, ours.rows.labels, np.float32(RATE / BATCH))

    run()
    return run


@njit(nogil=True, fastmath=True)
def _descend(
    users: np.ndarray, items: np.ndarray, ids: np.ndarray, labels: np.ndarray, rate: Any
) -> None:
    for i in range(ids.shape[0]):
        a, b = users[ids[i, 0]], items[ids[i, 1]]
        score = np.float32(0)
        for c in range(a.shape[0]):
            score += a[c] * b[c]
        slope = rate * (1 / (1 + np.exp(-score)) - labels[i])
        for c in range(a.shape[0]):
            a[c], b[c] = a[c] - slope * b[c], b[c] - slope * a[c]


def clustering(sizes: Size, budget: int) -> Benchmark:
    """The clustering step of CCE on both tables, beside half an epoch and scikit-learn.

    Raises
    ------
    AssertionError
        If our sum of squares exceeds scikit-learn's, of as many rounds from seeds drawn likewise,
        by more than a quarter.
    """
    ours = Training.of("cce", budget, sizes.small, sizes.rows)
    ours.epoch()
    start = copy_model(ours.model)
    tables = [table for table in ours.model.tables if isinstance(table, ClusteredEmbedding)]
    due = [(table, chunk) for table in tables for chunk in table.chunks_due(1, sizes.rows)]
    vectors = [
        table.chunk_vectors(chunk, np.arange(table.cardinality, dtype=np.int32))
        for table, chunk in due
    ]
    options = tables[0].options

    def run() -> None:
        restore_model(ours.model, start)
        ours.after_epoch()

    def with_scikit_learn() -> float:
        rng, total = np.random.default_rng(0), 0.0
        clusters = tables[0].n_clusters
        for chunk in vectors:
            count = min(len(chunk), tables[0].sample_size)
            sample = chunk[rng.choice(len(chunk), count, replace=False)]
            rounds = max(1, options.lloyd_rounds)
            means = KMeans(clusters, init="random", n_init=1, max_iter=rounds, random_state=0)
            with warnings.catch_warnings():  # there may be fewer vectors than clusters
                warnings.simplefilter("ignore", ConvergenceWarning)
                labels = means.fit(sample).predict(chunk)
            total += ((chunk - means.cluster_centers_[labels]) ** 2).sum()
        return total

    run()
    found = 0.0
    for (table, which), chunk in zip(due, vectors, strict=True):
        centroids = table.centroids(which)[table.assignments[:, which]]
        found += float(((chunk - centroids) ** 2).sum())
    theirs = with_scikit_learn()
    assert found <= 1.25 * theirs + 1e-9, (found, theirs)
    other = Training.of("cce", budget, sizes.small, sizes.rows)
    other.epoch()
    return Benchmark(
        f"CCE's clustering step, {budget} parameters a column, {in_words(sizes.small)}, dim {DIM}",
        Contender(run),
        {"scikit-learn's KMeans, as many rounds": Contender(with_scikit_learn)},
        {},
        part=f"cluster cce {budget}",
        allowances={"half an epoch of its training": Contender(other.epoch, 2)},
    )


def reassignment(sizes: Size, budget: int, epochs: int) -> Benchmark:
    """The reassignment of alternating CCE after some epochs, beside two epochs.

    In the first one almost every ID moves; later ones are cheaper.
    """
    ours, other = (Training.of("alternating", budget, sizes.small, sizes.rows) for _ in range(2))
    ours.epoch()
    for _ in range(epochs - 1):
        ours.after_epoch()
        ours.epoch()
    other.epoch()
    start = copy_model(ours.model)
    kept = {name: array.copy() for name, array in ours.model.kept.items()}

    def run() -> None:
        restore_model(ours.model, start)
        restore_arrays(ours.model.kept, kept)
        ours.after_epoch()

    run()
    return Benchmark(
        f"Alternating CCE's reassignment after {epochs} epoch(s), {budget} codewords a chunk, "
        f"{in_words(sizes.small)}, {sizes.rows:,} rows",
        Contender(run),
        {},
        {},
        part=f"reassign alternating {budget}, epoch {epochs}",
        allowances={"two epochs of its training": Contender(other.epoch, 0.5)},
    )
