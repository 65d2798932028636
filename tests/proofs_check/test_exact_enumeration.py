"""The compiled enumerations against plain NumPy, and how many sketches there are."""

import time
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_check.enumeration import (
    decode,
    expected_gram,
    expected_second_moment,
    inner_products,
    row_sketch_errors,
    sketch_count,
    sketched_excesses,
)
from proofs_check.exact.rational import range_classes


def all_sketches(d1, m):
    """Every ``d1 x m`` count sketch, in the order of the kernels: the first row changes fastest."""
    rows = [sign * np.eye(m)[bucket] for sign in (1.0, -1.0) for bucket in range(m)]
    return np.array([entries[::-1] for entries in product(rows, repeat=d1)])


sizes = pytest.mark.parametrize(("d1", "m"), [(1, 1), (2, 3), (3, 2), (4, 1)])


def random_design(d1, kind):
    rng = np.random.default_rng(d1)
    R = rng.standard_normal((d1 + 1, d1))
    if kind == "duplicate":
        R[:, -1] = R[:, 0]
    if kind == "zero column":
        R[:, -1] = 0
    if kind == "ill-conditioned":
        R *= np.geomspace(1, 1e-5, d1)
    return R, R @ rng.standard_normal((d1, 2))


@sizes
@pytest.mark.parametrize("kind", ["gaussian", "duplicate", "zero column", "ill-conditioned"])
def test_excesses_against_lstsq(d1, m, kind):
    R, B = random_design(d1, kind)
    expected = [
        ((B - R @ C @ np.linalg.lstsq(R @ C, B, rcond=1e-11)[0]) ** 2).sum()
        for C in all_sketches(d1, m)
    ]
    found = sketched_excesses(R, B, m)
    np.testing.assert_allclose(found, expected, atol=1e-12 * (B**2).sum())


@sizes
def test_inner_products(d1, m):
    x, y = np.random.default_rng(0).standard_normal((2, d1))
    expected = [(x @ C) @ (y @ C) for C in all_sketches(d1, m)]
    np.testing.assert_allclose(inner_products(x, y, m), expected, atol=1e-13)


@sizes
def test_row_sketch_errors(d1, m):
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((d1, min(2, d1))))[0]
    errors = [U.T @ C @ C.T @ U - np.eye(U.shape[1]) for C in all_sketches(d1, m)]
    found = row_sketch_errors(U, m)
    np.testing.assert_allclose(found, [(e * e).sum() for e in errors], atol=1e-12)


@sizes
def test_matrix_means(d1, m):
    rng = np.random.default_rng(0)
    R, C = rng.standard_normal((3, d1)), all_sketches(d1, m)
    P = C @ C.transpose(0, 2, 1)
    np.testing.assert_allclose(expected_gram(R, m), (R @ P @ R.T).mean(axis=0), atol=1e-12)
    S = R.T @ R
    np.testing.assert_allclose(expected_second_moment(S, m), (P @ S @ P).mean(axis=0), atol=1e-12)


def test_all_sketches_are_visited_once():
    """46,656 at d1 = 6, m = 3; half of them up to a common sign; 1,248 with different ranges."""
    buckets, signs = np.empty(6, np.int64), np.empty(6)
    seen, ranges = set(), {}
    for code in range(sketch_count(6, 3)):
        decode(code, 3, buckets, signs)
        h, s = tuple(buckets.tolist()), tuple(signs.tolist())
        seen.add((h, s))
        order = {bucket: i for i, bucket in enumerate(dict.fromkeys(h))}
        leading = {b: s[h.index(b)] for b in order}
        key = (
            tuple(order[b] for b in h),
            tuple(int(v * leading[b]) for b, v in zip(h, s, strict=True)),
        )
        ranges[key] = ranges.get(key, 0) + 1
    assert len(seen) == 46_656 == 2 * 3**6 * 2**5
    common = {(h, tuple(v * s[0] for v in s)) for h, s in seen}
    assert len(common) == 23_328 == 3**6 * 2**5
    assert {(h, s): number for h, s, number in range_classes(6, 3)} == ranges
    assert len(ranges) == 1_248


@given(st.integers(1, 5), st.integers(1, 6))
def test_classes_stand_for_all_sketches(d1, m):
    classes = range_classes(d1, m)
    assert sum(number for _, _, number in classes) == (2 * m) ** d1
    assert len({(h, s) for h, s, _ in classes}) == len(classes)
    collide = sum(number for h, _, number in classes if h[0] == h[-1])
    assert Fraction(collide, (2 * m) ** d1) == (1 if d1 == 1 else Fraction(1, m))


def test_an_enumeration_that_would_take_seconds_is_refused():
    with pytest.raises(ValueError, match=r"d1=12, m=4: there are 68,719,476,736 .*fewer rows"):
        sketch_count(12, 4)


@pytest.mark.compiled
def test_all_sketches_with_a_solve_each_well_under_a_second():
    R, B = random_design(6, "gaussian")
    sketched_excesses(R, B, 3)  # compiled, or read from the cache
    times = []
    for _ in range(5):
        start = time.perf_counter()
        sketched_excesses(R, B, 3)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3
