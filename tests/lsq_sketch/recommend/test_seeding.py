"""Codebooks seeded anew from parabolas: against the twin, at the edges, on any threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import threads
from lsq_sketch.kernels.argmin import POINT_BLOCK, in_blocks
from lsq_sketch.kernels.parabolas import ROUNDING, least_points
from lsq_sketch.kernels.reassignment import expand_codewords
from lsq_sketch.kernels.seeding import recentre
from lsq_sketch.recommend import seeding
from lsq_sketch.recommend.seeding import least_cost, seed_codewords
from tests.strategies import seeds

from . import method_twins

EPS = float(np.finfo(np.float32).eps)


def features_of(curvatures, slopes):
    """Parabolas as `lsq_sketch.kernels.reassignment.expand_ids` gives them."""
    width = slopes.shape[1]
    rows, cols = np.tril_indices(width)
    packed = np.where(rows == cols, 0.5, 1.0) * curvatures[:, rows, cols]
    return np.concatenate([packed, slopes], axis=1).astype(np.float32)


def random_parabolas(rng, n, width, rank=None, scale=1.0):
    """Positive semidefinite but for rounding, each least (or among its least) at some ``m``."""
    roots = rng.standard_normal((n, rank or width + 3, width)) * np.sqrt(scale)
    curvatures = np.einsum("nra,nrb->nab", roots, roots)
    m = rng.standard_normal((n, width))
    return features_of(curvatures, -np.einsum("nab,nb->na", curvatures, m)), m


def solve(features, precision):
    width = seeding._width(features.shape[1])
    points = np.full((len(features), width), np.nan, np.float32)
    prior = precision * np.eye(width), np.zeros(width), precision
    least_points(in_blocks(features), *prior, points)
    return points


# Parabolas ---------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 5), seeds)
def test_quadratic_parts_are_what_features_stand_for(width, n, seed):
    """``features @ expanded`` is the parabola that curvatures and slopes describe."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, width * (width + 3) // 2)).astype(np.float32)
    codewords = rng.standard_normal((3, width)).astype(np.float32)
    expanded = np.empty((3, features.shape[1]), np.float32)
    expand_codewords(codewords, expanded)
    curvatures, slopes = method_twins.quadratic_parts(features)
    expected = 0.5 * np.einsum("ka,nab,kb->nk", codewords, curvatures, codewords)
    expected += slopes @ codewords.T
    np.testing.assert_allclose(features @ expanded.T, expected, atol=1e-4)


@pytest.mark.parametrize("width", range(1, 33))
def test_a_width_is_that_of_its_features(width):
    assert seeding._width(width * (width + 3) // 2) == width


@given(
    st.integers(1, POINT_BLOCK + 9), st.integers(1, 9), st.floats(-2, 6), st.floats(-6, 6), seeds
)  # fmt: skip
def test_least_points_agree_with_the_twin(n, width, log_precision, log_scale, seed):
    """Condition numbers to 1e4 or so; scales of twelve orders."""
    rng = np.random.default_rng(seed)
    precision, scale = 10.0 ** (log_precision + log_scale - 2), 10.0**log_scale
    features, m = random_parabolas(rng, n, width, scale=scale)
    points, expected = solve(features, precision), method_twins.least_points(features, precision)
    largest = max(abs(expected).max(), 1e-6 * abs(m).max())
    np.testing.assert_allclose(points, expected, rtol=1e-6, atol=1e-7 * largest)


@pytest.mark.parametrize("width", [16, 32])
def test_least_points_of_wide_chunks(width):
    features, _ = random_parabolas(np.random.default_rng(width), 70, width)
    expected = method_twins.least_points(features, 0.5)
    np.testing.assert_allclose(solve(features, 0.5), expected, rtol=1e-5, atol=1e-6)


@given(
    st.integers(2, 8), st.integers(1, 7), st.sampled_from([1e-20, 1e-3, 1.0, 1e5, 1e12, 1e30]),
    st.sampled_from([1e-10, 1e-3, 1.0, 1e3]), seeds,
)  # fmt: skip
def test_parabolas_that_are_flat_but_for_rounding(width, rank, scale, precision, seed):
    """Of low rank, where float32 leaves curvature of either sign: still nearly least, and near."""
    # nearly: the gradient is no larger than the ridge and the rounding of H and m explain
    rng = np.random.default_rng(seed)
    features, m = random_parabolas(rng, 20, width, min(rank, width - 1), scale)
    points = solve(features, precision).astype(float)
    curvatures, slopes = method_twins.quadratic_parts(features)
    size, lengths = np.linalg.norm(curvatures, axis=(1, 2)), np.linalg.norm(points, axis=1)
    from_zero = np.linalg.norm(m, axis=1)
    assert (lengths <= 2 * from_zero).all()
    gradients = np.einsum("nab,nb->na", curvatures, points) + precision * points + slopes
    allowed = width * (ROUNDING * size * (lengths + from_zero) + EPS * precision * lengths)
    assert (np.linalg.norm(gradients, axis=1) <= allowed).all()


def test_parabolas_at_the_edges():
    flat = np.zeros((1, 5), np.float32)
    assert solve(flat, 1e-3).tolist() == [[0.0, 0.0]]
    slope = np.float32([[0, 0, 0, 3, -4]])  # no curvature: down the slope, as far as the ridge lets
    np.testing.assert_allclose(solve(slope, 2.0), [[-1.5, 2.0]])
    negative = np.float32([[-5e-5, 0, 500, 1e-4, 1e3]])  # -1e-4 and 1000 on the diagonal
    np.testing.assert_allclose(solve(negative, 1e-2), [[-1e-2, -1.0]], rtol=1e-4)
    opposite = np.float32([[5e7, 1e8, 5e7 - 4, -1e8, -1e8]])  # 1e8 (a + b)^2 / 2, but for rounding
    assert (abs(solve(opposite, 1e-3)) <= 1).all()
    strong = solve(random_parabolas(np.random.default_rng(0), 9, 4)[0], 1e30)
    assert (abs(strong) < 1e-25).all()
    assert np.isfinite(strong).all()


def test_what_is_no_number_stays_with_its_id():
    features, _ = random_parabolas(np.random.default_rng(0), 9, 3)
    expected = solve(features, 0.1)
    features[4, 0], features[6, 7] = np.nan, np.inf
    points = solve(features, 0.1)
    np.testing.assert_array_equal(np.delete(points, [4, 6], 0), np.delete(expected, [4, 6], 0))
    assert not np.isfinite(points[[4, 6]]).all(axis=1).any()


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), seeds)
def test_codewords_become_the_least_points_of_sums(n, n_codewords, width, seed):
    rng = np.random.default_rng(seed)
    features, _ = random_parabolas(rng, n, width)
    labels = rng.integers(0, n_codewords, n).astype(np.int32)
    before = rng.standard_normal((n_codewords, width)).astype(np.float32)
    codewords = before.copy()
    counts = recentre(features, labels, 0.3, codewords)
    assert counts.tolist() == np.bincount(labels, minlength=n_codewords).tolist()
    for k in range(n_codewords):
        expected = before[k]
        if counts[k]:
            total = features[labels == k].sum(axis=0, dtype=float)
            expected = method_twins.least_points(total[None], 0.3)[0]
        np.testing.assert_allclose(codewords[k], expected, rtol=1e-5, atol=1e-6)


# Codewords ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "n_codewords", "width"),
    [(1, 1, 1), (5, 9, 2), (200, 6, 3), (150, 20, 8), (70, 4, 16), (65, 3, 32)],
)
@pytest.mark.parametrize("prior", [0.0, 0.6])
def test_seeds_agree_with_the_twin(n, n_codewords, width, prior):
    rng = np.random.default_rng(n + width)
    features, _ = random_parabolas(rng, n, width, scale=3.0)
    codewords, penalties = seed_codewords(features, n_codewords, 2.0, prior, 7)
    assert codewords.dtype == np.float32
    uniforms = np.random.default_rng(7).random(n_codewords)
    rounds = seeding.KMEANS_ROUNDS, seeding.LOSS_ROUNDS
    expected = method_twins.seed_codewords(features, n_codewords, 2.0, prior, uniforms, rounds)
    np.testing.assert_allclose(codewords, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(penalties, expected[1], rtol=1e-4, atol=1e-5)


def test_the_same_seeds_on_any_threads(monkeypatch):
    """However the work is cut into pieces."""
    features, _ = random_parabolas(np.random.default_rng(0), 5 * POINT_BLOCK - 3, 3)
    found = []
    for count, work in ((1, 1 << 30), (1, 1), (2, 1), (3, 2000)):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr(seeding, "WORK_A_PIECE", work)
        codewords, penalties = seed_codewords(features, 5, 0.1, 0.5, 1)
        found.append(codewords.tobytes() + penalties.tobytes())
    assert len(set(found)) == 1


def test_labels_are_of_least_cost_wherever_they_are_found():
    """In blocks, and from rows."""
    rng = np.random.default_rng(0)
    features, _ = random_parabolas(rng, 150, 4)
    codewords, penalties = rng.standard_normal((9, 4)).astype(np.float32), rng.random(9)
    labels = np.empty((3, POINT_BLOCK), np.int32)
    seeding._least_cost_in_blocks(in_blocks(features), codewords, penalties, labels)
    np.testing.assert_array_equal(labels.ravel()[:150], least_cost(features, codewords, penalties))
    curvatures, slopes = method_twins.quadratic_parts(features)
    costs = 0.5 * np.einsum("ka,nab,kb->nk", codewords, curvatures, codewords)
    costs += slopes @ codewords.T + penalties
    np.testing.assert_array_equal(labels.ravel()[:150], costs.argmin(axis=1))


@pytest.mark.compiled
def test_parabolas_that_are_no_numbers_do_no_harm():
    """A model that has diverged: codewords of the right shape, nothing written out of bounds."""
    features = np.full((300, 14), np.nan, np.float32)
    features[:100] = np.inf
    codewords, penalties = seed_codewords(features, 40, 1.0, 0.5, 0)
    assert codewords.shape == (40, 4)
    assert penalties.shape == (40,)
