"""Hash embeddings: what is drawn, and that fits are those of lstsq on the matrix they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import (
    BucketMatrix,
    LeastSquares,
    fit_concatenation,
    fit_sum,
    hashing_trick,
    quotient_remainder,
    resolve,
    several_hashes,
)
from lsq_sketch.quantize import product_quantization, residual_quantization
from tests import twins
from tests.strategies import seeds

shapes = st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))


def random_problem(rng, n, d1, d2):
    return LeastSquares(rng.standard_normal((n, d1)), rng.standard_normal((n, d2)))


def dense(part):
    return twins.dense_matrix(part.buckets, part.signs, part.m)


@given(shapes, seeds)
def test_sum_is_lstsq_on_the_parts_side_by_side(shape, seed):
    d1, m, d2, count = shape
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, d1 + 5, d1, d2)
    parts = several_hashes(d1, m, count, rng)
    H = np.hstack([dense(part) for part in parts])
    found = fit_sum(problem, parts)
    M = np.linalg.lstsq(problem.X @ H, problem.Y, rcond=None)[0]
    np.testing.assert_allclose(problem.X @ found.table, problem.X @ H @ M, atol=1e-9)
    np.testing.assert_allclose(found.loss, problem.loss(found.table), rtol=1e-9)
    np.testing.assert_allclose(found.excess, problem.excess(found.table), atol=1e-9)


@given(shapes, seeds)
def test_concatenation_is_lstsq_block_by_block(shape, seed):
    d1, m, d2, count = shape
    count = min(count, d2)
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, d1 + 5, d1, d2)
    parts = several_hashes(d1, m, count, rng)
    found = fit_concatenation(problem, parts)
    blocks = np.array_split(np.arange(d2), count)
    if d2 % count == 0:  # otherwise array_split puts the larger blocks first
        for part, columns in zip(parts, blocks, strict=True):
            H = dense(part)
            M = np.linalg.lstsq(problem.X @ H, problem.Y[:, columns], rcond=None)[0]
            fitted = problem.X @ H @ M
            np.testing.assert_allclose(problem.X @ found.table[:, columns], fitted, atol=1e-9)
    np.testing.assert_allclose(found.loss, problem.loss(found.table), rtol=1e-9)
    np.testing.assert_allclose(found.excess, problem.excess(found.table), atol=1e-9)


def test_one_part_is_a_re_solve():
    rng = np.random.default_rng(0)
    problem = random_problem(rng, 30, 12, 3)
    part = hashing_trick(12, 4, rng)
    expected = resolve(problem, part)
    for fit in (fit_sum, fit_concatenation):
        np.testing.assert_allclose(fit(problem, [part]).table, expected.table, atol=1e-10)


def test_solving_again_never_raises_the_loss_of_quantisation():
    rng = np.random.default_rng(1)
    problem = random_problem(rng, 80, 24, 4)
    pq = product_quantization(problem.optimum, 5, 2, rng)
    rq = residual_quantization(problem.optimum, 3, 2, rng)
    for fit, codes, table in (
        (fit_concatenation, pq.codes, pq.table),
        (fit_sum, rq.codes, rq.table),
    ):
        parts = [BucketMatrix(labels, 5) for labels in codes]
        assert fit(problem, parts).excess < problem.excess(table)


def test_hashes_are_uniform_and_independent():
    parts = several_hashes(40_000, 8, 2, rng=0)
    pairs = 8 * parts[0].buckets + parts[1].buckets
    counts = np.bincount(pairs, minlength=64)
    chi2 = ((counts - 625) ** 2 / 625).sum()  # 63 degrees of freedom; fails by chance once in 1e6
    assert 15 < chi2 < 133
    assert all((part.signs == 1).all() for part in parts)


@given(st.integers(1, 60), st.integers(1, 70))
def test_quotient_and_remainder_tell_all_ids_apart(d1, m):
    quotient, remainder = quotient_remainder(d1, m)
    pairs = set(zip(quotient.buckets.tolist(), remainder.buckets.tolist(), strict=True))
    assert len(pairs) == d1
    assert quotient.m == max(quotient.buckets) + 1
    assert remainder.m == m


def test_same_seed_same_hash():
    for draw in (
        lambda seed: [hashing_trick(9, 4, seed)],
        lambda seed: several_hashes(9, 4, 2, seed),
    ):
        first, again, other = draw(1), draw(1), draw(2)
        buckets = [[part.buckets.tolist() for part in parts] for parts in (first, again, other)]
        assert buckets[0] == buckets[1] != buckets[2]


def test_errors():
    problem = LeastSquares(np.eye(3), np.ones((3, 2)))
    good = hashing_trick(3, 2)
    for fit in (fit_sum, fit_concatenation):
        with pytest.raises(TypeError, match=r"problem must be"):
            fit(None, [good])
        with pytest.raises(ValueError, match=r"parts is empty; expected at least one"):
            fit(problem, [])
        with pytest.raises(TypeError, match=r"parts\[1\] must be a BucketMatrix"):
            fit(problem, [good, np.eye(3)])
        with pytest.raises(ValueError, match=r"parts\[0\] has 4 rows; expected .* d1 = 3"):
            fit(problem, [hashing_trick(4, 2)])
    with pytest.raises(ValueError, match=r"parts has 3 bucket matrices, but Y only d2 = 2"):
        fit_concatenation(problem, [good] * 3)
    for draw in (hashing_trick, quotient_remainder):
        with pytest.raises(ValueError, match="d1 must be"):
            draw(0, 2)
        with pytest.raises(ValueError, match="m must be"):
            draw(2, 0)
    with pytest.raises(ValueError, match="n_hashes must be"):
        several_hashes(2, 2, 0)
