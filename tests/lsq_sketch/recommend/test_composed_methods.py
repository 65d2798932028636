"""Methods that are no sums of slices: vectors against twins, exact counts, settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch.recommend.methods import make_table, registry
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
