"""Every method: vectors, gradients, counts; run over all that the registry finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsq_sketch.kernels import clusters, embedding
from lsq_sketch.recommend.methods import GatherTable, make_options, make_table, registry
from lsq_sketch.recommend.methods.base import random_hash
from lsq_sketch.recommend.methods.cce import PAPER, SEEDINGS, CceOptions, ClusteredEmbedding
from lsq_sketch.recommend.models import make_model
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.training import EpochContext
from lsq_sketch.recommend.workspace import Workspace
from tests.strategies import seeds

from . import twins
from .strategies import random_data

METHODS = tuple(registry())
SIZES = st.tuples(st.integers(1, 40), st.sampled_from([1, 4, 8, 12]), st.integers(1, 20))


def perturbed(table, seed):
    """The table with all its parameters random, none at a special value like zero."""
    rng = np.random.default_rng(seed)
    for parameter in table.parameters.values():
        parameter.value[...] += rng.uniform(-0.5, 0.5, parameter.value.shape)
    return table


@pytest.mark.parametrize("method", METHODS)
@given(SIZES, seeds)
def test_vectors_are_what_the_terms_say(method, sizes, seed):
    """Sums of slices: the twin's dense map times the codebook."""
    table = perturbed(registry()[method](*sizes, rng=seed), seed)
    assert table.table().shape == (table.cardinality, table.dim)
    assert table.table().dtype == np.float32
    if isinstance(table, GatherTable):
        expected = twins.dense_map(table) @ table.codebook.value.ravel().astype(float)
        np.testing.assert_allclose(table.table(), expected, atol=1e-5)
    again = registry()[method](*sizes, rng=seed)
    np.testing.assert_array_equal(again.table(), registry()[method](*sizes, rng=seed).table())


@pytest.mark.parametrize("method", METHODS)
@given(SIZES, seeds)
def test_gradients_by_finite_differences(method, sizes, seed):
    """Of ``sum(G * lookup(ids))``, in a random direction of all parameters at once."""
    rng = np.random.default_rng(seed)
    table = perturbed(registry()[method](*sizes, rng=seed), seed)
    ids = rng.integers(0, table.cardinality, 7).astype(np.int32)
    G = rng.standard_normal((7, table.dim)).astype(np.float32)
    table.lookup(ids)
    table.backward(ids, G)
    slope, steps = 0.0, {}
    for name, parameter in table.parameters.items():
        steps[name] = rng.standard_normal(parameter.value.shape).astype(np.float32)
        slope += float((parameter.gradient.astype(float) * steps[name]).sum())

    def value(h):
        before = {name: p.value.copy() for name, p in table.parameters.items()}
        for name, parameter in table.parameters.items():
            parameter.value[...] += np.float32(h) * steps[name]
        found = float((table.lookup(ids).astype(float) * G).sum())
        for name, parameter in table.parameters.items():
            parameter.value[...] = before[name]
        return found

    # where a method bends (rectified units), only steps short of the bend tell the slope
    found = [(value(h) - value(-h)) / (2 * h) for h in 2.0 ** -np.arange(6, 15, 2)]
    scale = 1 + sum(float((p.gradient**2).sum()) for p in table.parameters.values()) ** 0.5
    assert min(abs(estimate - slope) for estimate in found) < 0.01 * scale


@pytest.mark.parametrize("method", METHODS)
@given(SIZES, seeds)
def test_gradients_add_up_and_follow_the_vectors(method, sizes, seed):
    """Twice the same batch gives twice the gradient."""
    rng = np.random.default_rng(seed)
    table = perturbed(registry()[method](*sizes, rng=seed), seed)
    ids = rng.integers(0, table.cardinality, 5).astype(np.int32)
    G = rng.standard_normal((5, table.dim)).astype(np.float32)
    table.lookup(ids)
    table.backward(ids, G)
    once = {name: p.gradient.copy() for name, p in table.parameters.items()}
    table.backward(ids, G)
    for name, parameter in table.parameters.items():
        np.testing.assert_allclose(parameter.gradient, 2 * once[name], rtol=1e-4, atol=1e-4)
        assert parameter.gradient.shape == parameter.value.shape


@pytest.mark.parametrize("method", METHODS)
def test_bytes_are_those_of_the_arrays(method):
    table = make_table(method, 500, 16, 10, rng=0)
    n_floats = sum(p.value.size for p in table.parameters.values())
    assert table.parameter_count == n_floats
    arrays = sum(array.nbytes for array in table.state.values())
    assert table.serving_bytes == 4 * n_floats + arrays
    assert all(p.value.dtype == np.float32 for p in table.parameters.values())


@pytest.mark.parametrize(
    ("method", "floats", "state_bytes"),
    [
        ("full", 500 * 16, 0),
        ("hash", 10 * 16, 16),
        ("ce", 10 * 16, 4 * 16),
        ("qr", 10 * 16, 0),
        ("bloom", 10 * 16, 2 * 16),
        ("cce", 10 * 16, 8 * 16 + 500 * 4),
    ],
)
def test_counts(method, floats, state_bytes):
    """As the paper counts; hash functions take 16 bytes, assignments a byte up to 256 rows."""
    table = make_table(method, 500, 16, 10, rng=0)
    assert (table.parameter_count, table.state_bytes) == (floats, state_bytes)


@pytest.mark.parametrize("method", METHODS)
def test_no_table_is_larger_than_the_full_one(method):
    assert make_table(method, 10, 8, 10, rng=0).method == "full"
    assert make_table(method, 11, 8, 10, rng=0).method == method


@pytest.mark.parametrize("method", METHODS)
def test_settings_survive_json(method):
    from dataclasses import asdict

    options = registry()[method].Options()
    assert make_options(registry()[method], asdict(options)) == options


def test_wide_assignments():
    """More rows than a byte can number."""
    table = make_table("cce", 5000, 4, 600, rng=0)
    assert table.assignments.dtype == np.uint16
    assert table.assignments.max() > 255
    expected = twins.bucket(table, 0, 4321)
    assert table.buckets(0, np.array([4321], np.int32))[0] == expected


@given(seeds, st.integers(1, 10**6))
def test_hash_functions_are_multiply_shift(seed, rows):
    function = random_hash(np.random.default_rng(seed))
    keys = np.random.default_rng(seed).integers(0, 2**31, 20).astype(np.uint64)
    found = clusters.hash_buckets(keys, function, rows)
    assert found.tolist() == [twins.hash_bucket(*function, key, rows) for key in keys]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
@example(2**64 - 1, 2**64 - 1, 2**32 - 1)
def test_hashes_in_halves_are_those_of_exact_integers(a, b, key):
    found = embedding.hash_bits(np.uint64(a), np.uint64(b), np.uint64(key))
    assert int(found) == ((a * key + b) % 2**64) >> 32


def test_hash_functions_collide_as_rarely_as_random_ones():
    """Universality: over random functions two IDs share one of m buckets with chance 1/m.

    Of 20,000 functions; 5 standard deviations, so that chance fails it once in a million.
    """
    rng = np.random.default_rng(1)
    n, rows = 20_000, 16
    functions = rng.integers(0, 2**64, (n, 2), dtype=np.uint64)
    for pair in ([0, 1], [5, 2**31 - 1], [1000, 1016]):
        keys = np.array(pair, np.uint64)
        high = (functions[:, :1] * keys + functions[:, 1:]) >> np.uint64(32)
        buckets = (high * np.uint64(rows)) >> np.uint64(32)
        shared = int((buckets[:, 0] == buckets[:, 1]).sum())
        assert abs(shared - n / rows) < 5 * np.sqrt(n / rows)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_table("hsh", 9, 4, 2), r"method must be one of .*'hash'.*; got 'hsh'"),
        (lambda: make_table("ce", 9, 6, 2), "n_chunks = 4 does not divide dim = 6"),
        (lambda: make_table("qr", 9, 5, 2), "dim = 5 is odd"),
        (lambda: make_table("hash", 0, 4, 2), "cardinality must be at least 1"),
        (lambda: make_table("bloom", 9, 4, 2, options={"hashes": 1}), "no option 'hashes'"),
        (lambda: CceOptions(cluster_until=2), "cluster_until must be a share"),
        (lambda: CceOptions(seeding="hot"), "seeding must be one of 'uniform', 'spread', 'warm'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_options_of_another_method():
    with pytest.raises(TypeError, match="options must be a CceOptions, got ChunkOptions"):
        ClusteredEmbedding(9, 4, 2, 0, registry()["ce"].Options())


# The clustering step ------------------------------------------------------------------------


@given(
    st.integers(6, 60), st.integers(1, 6), st.integers(0, 5), st.sampled_from([1, 2, 4, 7]),
    st.integers(0, 3), st.sampled_from(SEEDINGS), seeds,
)  # fmt: skip
def test_clustering_agrees_with_its_twin(n, n_clusters, rows, d, rounds, seeding, seed):
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((n_clusters, d)).astype(np.float32)
    second = rng.standard_normal((rows, d)).astype(np.float32)
    labels = rng.integers(0, n_clusters, (n, 2)).astype(np.uint8)
    old, new = random_hash(rng), random_hash(rng)
    # equal seeds would be equally near, but for rounding
    sample = rng.permutation(n)[: rng.integers(n_clusters, n + 1)].astype(np.int32)
    uniforms = rng.random(n_clusters)
    vectors = np.empty((len(sample), d), np.float32)
    clusters.chunk_vectors(sample, first, second, labels, 1, old, vectors)
    start = first
    if seeding != "warm":
        start = np.empty_like(first)
        name = f"{seeding}_seeds"
        getattr(clusters, name)(vectors, uniforms, start)
        np.testing.assert_allclose(start, getattr(twins, name)(vectors, uniforms, n_clusters))
    expected = twins.cluster_chunk(first, second, labels[:, 1], old, new, sample, start, rounds)
    other = labels[:, 0].copy()
    clusters.cluster_chunk(
        first, second, labels, 1, old, new, sample, uniforms,
        SEEDINGS.index(seeding), rounds, 16,
    )  # fmt: skip
    np.testing.assert_array_equal(labels[:, 1], expected[0])
    np.testing.assert_array_equal(labels[:, 0], other)
    np.testing.assert_allclose(first, expected[1], atol=1e-5)
    np.testing.assert_allclose(second, expected[2], atol=1e-5)


def test_seeds_where_there_are_too_few_points():
    centroids = np.empty((3, 1), np.float32)
    clusters.spread_seeds(np.float32([[2.0], [2.0]]), np.array([0.9, 0.3, 0.99]), centroids)
    assert centroids.ravel().tolist() == [2.0, 2.0, 2.0]
    clusters.uniform_seeds(np.float32([[2.0], [4.0]]), np.array([0.9, 0.3, 0.9]), centroids)
    assert centroids.ravel().tolist() == [4.0, 2.0, 4.0]


def test_uniform_seeds_are_uniform():
    points = np.arange(5, dtype=np.float32)[:, None]
    rng, counts = np.random.default_rng(0), np.zeros((2, 5))
    seeds = np.empty((2, 1), np.float32)
    for _ in range(5000):
        clusters.uniform_seeds(points, rng.random(2), seeds)
        for place, seed in enumerate(seeds[:, 0]):
            counts[place, int(seed)] += 1
    assert (np.abs(counts - 1000) < 5 * np.sqrt(5000 * 0.2 * 0.8)).all()


@pytest.mark.parametrize("sampling", ["uniform", "seen", "frequency"])
def test_clusterable_vectors_are_kept(sampling):
    """Vectors that are few and far apart come out of the clustering as they went in."""
    options = CceOptions(
        n_chunks=2, sampling=sampling, seeding="spread", lloyd_rounds=20, sample_per_cluster=64
    )
    table = ClusteredEmbedding(300, 4, 8, rng=3, options=options)
    table.codebook.value[:] = 0
    for chunk in range(2):
        table.centroids(chunk)[:] = np.arange(8).reshape(4, 2) * 5.0
    before = table.table()
    table.cluster(rng=1, frequencies=np.arange(300) % 7 + 1)
    np.testing.assert_allclose(table.table(), before, atol=1e-5)


def test_a_second_table_that_starts_at_zero():
    table = ClusteredEmbedding(100, 4, 8, rng=0, options=CceOptions(second_start="zero"))
    table.cluster(rng=0)
    assert not table.hashed(0).any()
    assert table.centroids(0).any()


def test_the_hash_of_the_second_table_is_fresh():
    table = ClusteredEmbedding(100, 4, 8, rng=0)
    before = table.coefficients.copy()
    table.cluster(rng=0)
    assert (before[4:] != table.coefficients[4:]).all()


def test_samples():
    counts = np.zeros(50, np.int64)
    counts[[3, 7]] = 1, 99
    for sampling, allowed in (("seen", {3, 7}), ("frequency", {3, 7}), ("uniform", set(range(50)))):
        options = CceOptions(sampling=sampling, sample_per_cluster=4, least_sample=1)
        table = ClusteredEmbedding(50, 4, 8, rng=0, options=options)
        given_counts = None if sampling == "uniform" else counts
        sample = table._sample(np.random.default_rng(0), given_counts)
        assert set(sample.tolist()) <= allowed
        assert sample.dtype == np.int32
        if sampling == "frequency":
            assert len(sample) == 16
            assert (sample == 7).sum() >= 12
        if sampling == "uniform":
            assert len(set(sample.tolist())) == 16
    many = ClusteredEmbedding(500, 4, 8, options=CceOptions(least_sample=90))
    assert len(many._sample(np.random.default_rng(0), None)) == 90


def test_chunks_are_clustered_in_turn():
    """Given, or as many as can be afforded; only theirs is changed, and forgotten by Adam."""
    table = ClusteredEmbedding(50, 8, 8, options=CceOptions(chunks_at_once=3))
    assert [table.chunks_due(epoch, 100) for epoch in (1, 2, 3)] == [
        [0, 1, 2],
        [3, 0, 1],
        [2, 3, 0],
    ]
    assert ClusteredEmbedding(8451, 32, 256).chunks_due(1, 80_000) == [0, 1, 2, 3]
    every = ClusteredEmbedding(8451, 32, 1024, options=CceOptions(cluster_every=2))
    assert [every.chunks_due(epoch, 80_000) for epoch in (2, 4, 6)] == [[0], [1], [2]]
    assert ClusteredEmbedding(8451, 32, 1024, options=PAPER).chunks_due(3, 1) == [0, 1, 2, 3]
    data = random_data(seed=0, n=300, sizes=(60, 60))
    model = make_model("gmf", (60, 60), 8, "cce", 8, 0, options={"chunks_at_once": 1})
    workspace = Workspace(model.store, Adam(), 64)
    table = model.tables[0]
    for state in workspace.moments(table.codebook):
        state[...] = 1
    before = [table.chunk_vectors(c, np.arange(60, dtype=np.int32)) for c in range(4)]
    table.after_epoch(
        EpochContext(
            2, 9, np.random.default_rng(0), model, table, 0, 0, data.train, workspace, {}
        )
    )  # fmt: skip
    after = [table.chunk_vectors(c, np.arange(60, dtype=np.int32)) for c in range(4)]
    assert [(b == a).all() for b, a in zip(before, after, strict=True)] == [True, False, True, True]
    for state in workspace.moments(table.codebook):
        assert np.flatnonzero((state == 0).all(axis=1)).tolist() == [*range(4, 8), *range(20, 24)]
