"""Product and residual quantisation: codes, costs, limits, errors."""

import numpy as np
import pytest

from lsq_sketch import kmeans
from lsq_sketch.quantize import product_quantization, residual_quantization

TABLE = np.random.default_rng(0).standard_normal((30, 6))


@pytest.mark.parametrize("n_chunks", [1, 2, 3, 6])
def test_product_costs_are_those_of_the_blocks(n_chunks):
    q = product_quantization(TABLE, 4, n_chunks, rng=1)
    assert q.codes.shape == (n_chunks, 30)
    assert ((TABLE - q.table) ** 2).sum() == pytest.approx(q.costs.sum())
    for i, columns in enumerate(np.array_split(np.arange(6), n_chunks)):
        for code in np.unique(q.codes[i]):
            rows = q.table[q.codes[i] == code][:, columns]
            np.testing.assert_array_equal(rows, np.broadcast_to(rows[0], rows.shape))


def test_one_chunk_is_kmeans():
    expected = kmeans(TABLE, 4, np.random.default_rng(3))
    q = product_quantization(TABLE, 4, 1, rng=3)
    np.testing.assert_array_equal(q.codes[0], expected.labels)
    assert q.costs[0] == expected.cost


def test_residual_costs_never_rise_and_the_last_is_that_of_the_table():
    q = residual_quantization(TABLE, 4, 5, rng=1)
    assert (np.diff(q.costs) <= 0).all()
    assert ((TABLE - q.table) ** 2).sum() == pytest.approx(q.costs[-1])


@pytest.mark.parametrize("quantize", [product_quantization, residual_quantization])
def test_as_many_codewords_as_rows_lose_nothing(quantize):
    np.testing.assert_allclose(quantize(TABLE, 30, 2).table, TABLE, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: product_quantization(TABLE, 31, 1), "n_clusters must be at most d1 = 30, got 31"),
        (lambda: product_quantization(TABLE, 2, 7), "n_chunks must be at most d2 = 6, got 7"),
        (lambda: residual_quantization(TABLE, 2, 0), "n_stages must be at least 1, got 0"),
        (lambda: residual_quantization([[np.nan]], 1, 1), "table contains NaN"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
