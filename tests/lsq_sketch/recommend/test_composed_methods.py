"""Methods that are no sums of slices, and ROBE: vectors against twins, exact counts, settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch.kernels import composition
from lsq_sketch.recommend.methods import make_table, registry
from lsq_sketch.recommend.methods.base import distinct
from lsq_sketch.recommend.methods.tensor_train import balanced_factors, balanced_radices
from tests.strategies import seeds

from . import method_twins
from .test_methods import SIZES, perturbed

TWINS = {
    "hash-embedding": method_twins.hash_embedding,
    "robe": method_twins.robe,
    "low-dimensional": method_twins.low_dimensional,
    "tensor-train": method_twins.tensor_train,
    "dhe": method_twins.dhe,
}


@pytest.mark.parametrize("method", TWINS)
@given(SIZES, seeds)
def test_vectors_agree_with_the_twin(method, sizes, seed):
    table = perturbed(registry()[method](*sizes, rng=seed), seed)
    expected = [TWINS[method](table, j) for j in range(table.cardinality)]
    np.testing.assert_allclose(table.table(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", [name for name in TWINS if name != "robe"])
@given(SIZES, seeds)
def test_the_way_back_from_what_was_kept(method, sizes, seed):
    """As from the IDs alone, to the bit; and the vectors are those that are looked up."""
    rng = np.random.default_rng(seed)
    table, other = (perturbed(registry()[method](*sizes, rng=seed), seed) for _ in range(2))
    ids = rng.integers(0, table.cardinality, 9).astype(np.int32)
    slopes = rng.standard_normal((9, table.dim)).astype(np.float32)
    vectors, kept = table.forward(ids)
    np.testing.assert_array_equal(vectors, table.lookup(ids))
    table.backward_from(kept, slopes)
    other.backward(ids, slopes)
    for name, parameter in table.parameters.items():
        np.testing.assert_array_equal(parameter.gradient, other.parameters[name].gradient)


@pytest.mark.parametrize("method", ["tensor-train", "dhe", "low-dimensional"])
def test_a_batch_that_has_an_id_often(method):
    """Worked out once for each different ID, with the sum of its gradients."""
    rng = np.random.default_rng(4)
    table, other = (make_table(method, 60, 12, 20, rng=1) for _ in range(2))
    ids = rng.integers(0, 60, 300).astype(np.int32)
    slopes = rng.standard_normal((300, 12)).astype(np.float32)
    np.testing.assert_allclose(table.lookup(ids), table.table()[ids], rtol=1e-5, atol=1e-6)
    table.backward(ids, slopes)
    for i in range(300):
        other.backward(ids[i : i + 1], slopes[i : i + 1])
    for name, parameter in table.parameters.items():
        np.testing.assert_allclose(
            parameter.gradient, other.parameters[name].gradient, rtol=1e-4, atol=1e-4
        )


def test_blocks_that_meet_the_end_of_the_array():
    """They go on at its beginning; there and back, as one block of a model and alone."""
    table = make_table("robe", 500, 8, 3, rng=0, options={"n_chunks": 1})
    starts = table.buckets(0, np.arange(500, dtype=np.int32))
    wrapped = np.flatnonzero(starts + 8 > 24).astype(np.int32)
    assert len(wrapped) > 50
    array = table.codebook.value.ravel()
    places = (starts[:, None] + np.arange(8)) % 24
    np.testing.assert_array_equal(table.table(), array[places])
    table.backward(wrapped, np.ones((len(wrapped), 8), np.float32))
    expected = np.bincount(places[wrapped].ravel(), minlength=24)
    np.testing.assert_array_equal(table.codebook.gradient.ravel(), expected)


@given(st.lists(st.integers(0, 2**31 - 1), max_size=40), st.integers(0, 5))
def test_distinct_ids(ids, repeats):
    ids = np.array(ids + ids[:repeats], np.int32)
    different, places = distinct(ids)
    expected, inverse = np.unique(ids, return_inverse=True)
    assert different.dtype == np.int32
    np.testing.assert_array_equal(different, expected)
    np.testing.assert_array_equal(places, inverse)


@given(seeds, st.integers(1, 9), st.integers(0, 9), st.integers(1, 20))
def test_products_of_small_matrices(seed, m, k, n):
    """Four rows at a time, and the rest: up to 9 of them."""
    rng = np.random.default_rng(seed)
    left, right, slopes = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((m, n), (k, n), (m, k))
    )
    found = np.full((m, k), np.nan, np.float32)
    composition.inner_products(left, right, found)
    np.testing.assert_allclose(found, left @ right.T, rtol=1e-4, atol=1e-4)
    columns = np.ones_like(left), np.ones_like(right)
    composition.add_by_columns(slopes, left, right, *columns)
    rows = np.ones_like(left), np.ones_like(right)
    composition.add_by_left(slopes, right, rows[0])
    composition.add_by_right(slopes, left, rows[1])
    for by_left, by_right in (columns, rows):
        np.testing.assert_allclose(by_left, 1 + slopes @ right, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(by_right, 1 + slopes.T @ left, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 2**31 - 1), seeds, st.integers(0, 20))
def test_keys_of_tensor_trains(cardinality, seed, n):
    """Digits as by division of integers, up to the last ID; sorted, equal digits lie together."""
    _, n2, n3 = balanced_radices(cardinality)
    drawn = np.random.default_rng(seed).integers(0, cardinality, n)
    ids = np.array([0, *drawn, *drawn[:5], cardinality - 1], np.int32)
    keys = np.empty(len(ids), np.int64)
    composition.train_keys(ids, n2, n3, keys)
    fields = [(keys >> shift) & 2047 for shift in (53, 42, 31)]
    wide = ids.astype(np.int64)
    expected = (wide // n3) % n2, wide // (n2 * n3), wide % n3
    np.testing.assert_array_equal(fields, expected)
    np.testing.assert_array_equal(keys & (2**31 - 1), np.arange(len(ids)))
    keys.sort()
    found = np.empty((6, len(ids) + 1), np.int64)
    n_ids, n_pairs, n_seconds = composition.train_pairs(keys, *found)
    counts = len(set(ids.tolist())), len(set((wide // n3).tolist())), len(set(expected[0].tolist()))
    assert (n_ids, n_pairs, n_seconds) == counts
    places, pairs, thirds, firsts, seconds, starts = found
    groups = np.repeat(seconds[:n_seconds], np.diff(starts[: n_seconds + 1]))
    back = (firsts[:n_pairs] * n2 + groups)[pairs[:n_ids]] * n3 + thirds[:n_ids]
    np.testing.assert_array_equal(back[places[: len(ids)]], ids)


@pytest.mark.parametrize("method", TWINS)
@pytest.mark.parametrize("budget", [16, 64, 256, 1024])
@pytest.mark.parametrize("cardinality", [1500, 8451])
def test_the_budget_is_kept_and_used(method, budget, cardinality):
    """At sizes of practice: never above it, and above half of it."""
    table = make_table(method, cardinality, 32, budget, rng=0)
    assert 0.5 * budget * 32 < table.parameter_count <= budget * 32


@pytest.mark.parametrize(
    ("method", "options", "floats", "state_bytes"),
    [
        ("hash-embedding", {}, 8 * 32 + 128 * 2, 3 * 16),
        ("hash-embedding", {"n_hashes": 1, "weight_share": 0.25}, 12 * 32 + 128, 2 * 16),
        ("robe", {}, 512, 4 * 16),
        ("robe", {"n_chunks": 3}, 512, 3 * 16),
        ("low-dimensional", {}, 480 + 32, 16),  # 480 rows of one column
        ("dhe", {}, 2 * 90 + 320, 9 * 16),
        ("dhe", {"n_layers": 0}, 15 * 32 + 32, 15 * 16),
        ("dhe", {"n_layers": 1, "n_hashes": 20}, 9 * 21 + 32 * 10, 20 * 16),
        ("pq", {}, 512, 500 * 4),
        ("rq", {}, 512, 500 * 4),
        ("rq", {"n_stages": 3}, 15 * 32, 500 * 3),
        ("alternating", {}, 512, 500 * 4),
    ],
)
def test_counts(method, options, floats, state_bytes):
    table = make_table(method, 500, 32, 16, rng=0, options=options)
    assert (table.parameter_count, table.state_bytes) == (floats, state_bytes)


def test_counts_of_a_tensor_train():
    """Three digits of 8; 32 = 4 * 2 * 4; ranks 4 and 4 use the budget up."""
    table = make_table("tensor-train", 512, 32, 16, rng=0)
    assert table.rank == 4
    assert table.parameter_count == 8 * 4 * 4 + 8 * 4 * 2 * 4 + 8 * 4 * 4 == 512
    assert table.state_bytes == 0


@given(st.integers(1, 10**6))
def test_radices_have_room_for_every_id(cardinality):
    radices = balanced_radices(cardinality)
    assert int(np.prod(radices)) >= cardinality
    assert max(radices) - min(radices) <= 1
    assert int(np.prod(np.array(radices) - 1)) < cardinality


@given(st.integers(1, 300))
def test_factors_multiply_to_the_columns(dim):
    a, b, c = balanced_factors(dim)
    assert a * b * c == dim
    assert b <= a <= c


@pytest.mark.parametrize("method", TWINS)
def test_biases_begin_at_zero_but_can_move(method):
    """A table of one column: zero, with a gradient that is not."""
    table = registry()[method](200, 1, 40, rng=0)
    assert not table.table().any()
    ids = np.arange(200, dtype=np.int32)
    table.backward(ids, np.ones((200, 1), np.float32))
    assert any(parameter.gradient.any() for parameter in table.parameters.values())


@pytest.mark.parametrize(
    ("method", "scale"),
    [("hash-embedding", 1), ("robe", 1), ("low-dimensional", 1), ("tensor-train", 0.65**3)],
)
def test_starting_values_have_the_size_of_a_full_tables(method, scale):
    """Entries of variance 1/(3 dim), within a third, over many draws; those of cores smaller."""
    entries = [make_table(method, 2000, 32, 64, rng=seed).table() for seed in range(10)]
    assert 2 / 3 < np.std(entries) * np.sqrt(96) / scale < 3 / 2


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("hash-embedding", {"weight_share": 1.0}, "weight_share must be a number strictly"),
        ("hash-embedding", {"n_hashes": 0}, "n_hashes must be at least 1"),
        ("robe", {"n_chunks": 0}, "n_chunks must be at least 1"),
        ("dhe", {"n_layers": -1}, "n_layers must be at least 0"),
        ("dhe", {"n_hashes": 0}, "n_hashes must be at least 1"),
        ("pq", {"n_chunks": 5}, "n_chunks = 5 does not divide dim = 32"),
        ("pq", {"fine_tune_from": 0}, "fine_tune_from must be at least 1"),
        ("rq", {"n_stages": 0}, "n_stages must be at least 1"),
        ("alternating", {"damping": -1.0}, "damping must be a finite number of at least 0"),
        ("alternating", {"reassign_until": 2.0}, "reassign_until must be a share"),
        ("alternating", {"evaluation": "fast"}, "evaluation must be one of 'auto', 'exact'"),
        ("alternating", {"max_rows": 0}, "max_rows must be at least 1"),
    ],
)
def test_errors(method, options, message):
    with pytest.raises(ValueError, match=message):
        make_table(method, 500, 32, 16, options=options)
