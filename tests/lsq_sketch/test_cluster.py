"""k-means: optimality where it is promised, monotonicity, ties, duplicates, and seeding."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lsq_sketch import Clustering, cluster, kmeans, kmeans_1d, kmeans_plusplus, lloyd
from tests import twins
from tests.strategies import point_sets, seeds

FALSE_ALARM = 1e-6


def check_clustering(found: Clustering, points, n_clusters, nearest=True):
    """Shapes, means, cost, no needless gap, and (unless Lloyd was cut short) nearest labels."""
    points = np.asarray(points, dtype=float)
    assert found.labels.shape == (len(points),)
    assert found.labels.dtype == np.int32
    assert found.centroids.shape == (n_clusters, points.shape[1])
    assert found.labels.min() >= 0
    assert found.labels.max() < n_clusters
    sizes = np.bincount(found.labels, minlength=n_clusters)
    for c in np.flatnonzero(sizes):
        mean = points[found.labels == c].mean(axis=0)
        np.testing.assert_allclose(found.centroids[c], mean, rtol=1e-12, atol=1e-12)
    cost = twins.clustering_cost(points, found.labels)
    spread = twins.squared_norm(points)
    assert found.cost == pytest.approx(cost, rel=1e-9, abs=1e-14 * spread)
    distinct = len(np.unique(points, axis=0))
    assert np.count_nonzero(sizes) >= min(distinct, n_clusters)
    if nearest:
        to = twins.squared_distances(points, found.centroids)
        own = to[np.arange(len(points)), found.labels]
        assert (own <= to.min(axis=1) + 1e-12 * (1 + spread)).all()


# Against the optimum ------------------------------------------------------------------------


@given(point_sets(max_points=25, max_dimension=1), st.data())
def test_one_dimension_is_optimal(points, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    found = kmeans(points, n_clusters)
    check_clustering(found, points, n_clusters)
    assert found.n_iter == 0
    optimum = twins.optimal_cost_1d(points, n_clusters)
    assert found.cost == pytest.approx(optimum, rel=1e-9, abs=1e-12)
    flat = kmeans(points[:, 0], n_clusters)
    np.testing.assert_array_equal(flat.labels, found.labels)


@pytest.mark.parametrize("offset", [1e6, 1e9, -1e12])
def test_one_dimension_is_optimal_far_from_zero(offset):
    """Costs as differences of sums of squares would drown in ``offset^2 eps``."""
    points = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 13.0, 100.0]) + offset
    for n_clusters in range(1, 8):
        found = kmeans(points, n_clusters)
        optimum = twins.optimal_cost_1d(points - offset, n_clusters)
        assert found.cost == pytest.approx(optimum, rel=1e-3, abs=1e-6)


def test_one_dimension_is_optimal_at_mixed_scales():
    """Tight groups far apart: the fine structure of each still counts."""
    near = np.array([0.0, 0.1, 5.0, 5.1])
    points = np.concatenate([near, near + 1e6])
    found = kmeans(points, 4)
    assert found.cost == pytest.approx(4 * 0.1**2 / 2, rel=1e-3)


@given(point_sets(max_points=15, max_dimension=1), st.data())
def test_weighted_numbers_are_clustered_optimally(points, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    weights = np.array([data.draw(st.floats(0.01, 100)) for _ in points])
    found = kmeans_1d(points, n_clusters, weights)
    optimum = twins.optimal_cost_1d(points, n_clusters, weights)
    spread = weights @ points[:, 0] ** 2
    assert found.cost == pytest.approx(optimum, rel=1e-9, abs=1e-12 * (1 + spread))
    own = found.centroids[found.labels, 0]
    assert found.cost == pytest.approx(weights @ (points[:, 0] - own) ** 2, rel=1e-12)
    for label in np.unique(found.labels):
        inside = found.labels == label
        mean = np.average(points[inside, 0], weights=weights[inside])
        assert found.centroids[label, 0] == pytest.approx(mean, rel=1e-12, abs=1e-12)


@given(point_sets(max_points=12, max_dimension=1), st.data())
def test_a_whole_weight_is_so_many_points(points, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    counts = np.array([data.draw(st.integers(1, 4)) for _ in points])
    weighted = kmeans_1d(points, n_clusters, counts)
    repeated = kmeans_1d(np.repeat(points, counts, axis=0), n_clusters)
    assert weighted.cost == pytest.approx(repeated.cost, rel=1e-9, abs=1e-12)


def test_weights_move_the_cuts():
    points = [0.0, 1.0, 2.0, 3.0]
    np.testing.assert_array_equal(kmeans_1d(points, 2).labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(kmeans_1d(points, 2, [100, 100, 1, 1]).labels, [0, 1, 1, 1])


@given(point_sets(max_points=7, max_dimension=2), st.data())
def test_never_below_the_best_partition(points, data):
    n_clusters = data.draw(st.integers(1, min(4, len(points))))
    found = kmeans(points, n_clusters, data.draw(seeds))
    check_clustering(found, points, n_clusters)
    optimum = twins.optimal_cost(points, n_clusters)
    assert found.cost >= optimum - 1e-12 * (1 + optimum)


def test_restarts_find_the_best_partition():
    """Of 30 seeds on well-separated pairs at least one is optimal: Lloyd's is not just a bound."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.standard_normal((4, 2)) * 50, 2, axis=0) + rng.standard_normal((8, 2))
    optimum = twins.optimal_cost(points, 4)
    costs = [kmeans(points, 4, seed).cost for seed in range(30)]
    assert min(costs) == pytest.approx(optimum, rel=1e-12)
    assert min(costs) >= optimum * (1 - 1e-12)


@given(point_sets(max_points=20, max_dimension=1), seeds, st.data())
def test_the_optimum_does_not_depend_on_the_order_of_the_points(points, seed, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    shuffled = np.random.default_rng(seed).permutation(points)
    a, b = kmeans(points, n_clusters).cost, kmeans(shuffled, n_clusters).cost
    assert a == pytest.approx(b, rel=1e-9, abs=1e-12)


@given(point_sets(), st.data())
def test_as_many_clusters_as_points_cost_nothing(points, data):
    found = kmeans(points, len(points), data.draw(seeds))
    assert found.cost == 0.0
    check_clustering(found, points, len(points))


@given(point_sets(), seeds)
def test_one_cluster_is_the_mean(points, seed):
    found = kmeans(points, 1, seed)
    np.testing.assert_allclose(found.centroids[0], points.mean(axis=0), atol=1e-14)
    assert (found.labels == 0).all()


@given(point_sets(max_points=12), st.integers(2, 6), seeds)
def test_duplicates_are_found(points, copies, seed):
    """As many clusters as distinct points: each its own cluster, at no cost."""
    distinct = np.unique(points, axis=0)
    repeated = np.repeat(distinct, copies, axis=0)
    rounding = 1e-30 * twins.squared_norm(repeated)
    found = kmeans(repeated, len(distinct), seed)
    assert found.cost <= rounding
    assert len(np.unique(found.labels)) == len(distinct)
    more = kmeans(repeated, min(len(repeated), len(distinct) + 3), seed)
    assert more.cost <= rounding
    check_clustering(more, repeated, len(more.centroids))


def test_empty_clusters_lie_on_points():
    """With fewer distinct points than clusters the centroid of an empty one is a point."""
    for d in (1, 2):
        points = np.full((6, d), 3.0)
        points[4:] = 4.0
        found = kmeans(points, 5)
        check_clustering(found, points, 5)
        assert found.cost == 0.0
        assert np.isin(found.centroids, points).all()
    found = lloyd([[1.0], [0.0], [0.0]], [[0.1], [-0.1], [0.6]])
    assert found.cost == 0.0
    assert np.isin(found.centroids, [0.0, 1.0]).all()


@given(point_sets(), st.data())
def test_kmeans_in_any_dimension(points, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    seed = data.draw(seeds)
    found = kmeans(points, n_clusters, seed)
    check_clustering(found, points, n_clusters)
    again = kmeans(points, n_clusters, seed)
    np.testing.assert_array_equal(found.labels, again.labels)
    assert found.cost == again.cost


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_scale_does_not_matter(scale):
    points = np.random.default_rng(0).standard_normal((40, 3))
    plain, scaled = kmeans(points, 5, 1), kmeans(points * scale, 5, 1)
    np.testing.assert_array_equal(plain.labels, scaled.labels)
    assert scaled.cost == pytest.approx(plain.cost * scale**2, rel=1e-12)


def test_one_dimension_by_lloyd_where_the_optimum_would_cost_too_much(monkeypatch):
    monkeypatch.setattr(cluster, "OPTIMAL_1D_WORK", 10)
    points = np.random.default_rng(0).standard_normal((40, 1))
    found = kmeans(points, 4, 0)
    assert found.n_iter > 0
    check_clustering(found, points, 4)


# Lloyd's algorithm --------------------------------------------------------------------------


@given(point_sets(), seeds, st.data())
def test_the_cost_never_rises(points, seed, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    centroids = np.random.default_rng(seed).standard_normal((n_clusters, points.shape[1]))
    rounds = [lloyd(points, centroids, max_iter=i) for i in range(8)]
    costs = [found.cost for found in rounds]
    slack = 1e-12 * (1 + twins.squared_norm(points))
    assert all(b <= a + slack for a, b in pairwise(costs))
    assert [found.n_iter for found in rounds] == sorted(found.n_iter for found in rounds)
    check_clustering(lloyd(points, centroids), points, n_clusters)


@given(point_sets(), seeds, st.data())
def test_lloyd_cut_short_leaves_no_cluster_empty_needlessly(points, seed, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    centroids = 3 * np.random.default_rng(seed).standard_normal((n_clusters, points.shape[1]))
    for max_iter in (0, 1):
        found = lloyd(points, centroids, max_iter=max_iter)
        check_clustering(found, points, n_clusters, nearest=False)


def test_one_round_of_lloyd():
    """The twin's round: nearest labels, means, nearest labels, means."""
    rng = np.random.default_rng(0)
    points, centroids = rng.standard_normal((60, 2)), rng.standard_normal((5, 2))
    found = lloyd(points, centroids, max_iter=1)
    labels, _ = twins.nearest(points, centroids)
    sums, counts = twins.cluster_sums(points, labels, 5)
    assert (counts > 0).all()
    labels, _ = twins.nearest(points, sums / counts[:, None])
    np.testing.assert_array_equal(found.labels, labels)
    assert found.n_iter == 1
    assert found.cost == pytest.approx(twins.clustering_cost(points, labels), rel=1e-12)


def test_an_empty_cluster_takes_the_farthest_point():
    found = lloyd([[0.0], [1.0], [2.0], [30.0]], [[1.0], [1e6]])
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.centroids.ravel().tolist() == [1.0, 30.0]


def test_several_empty_clusters_are_filled_although_the_farthest_points_are_alone():
    """The farthest points are single in their clusters, far from where these began."""
    points = np.array([[0.0], [0.1], [0.2], [0.3], [100.0], [200.0], [300.0]])
    centroids = np.array([[0.0], [110.0], [210.0], [310.0], [1e6]])
    for max_iter in (0, 100):
        found = lloyd(points, centroids, max_iter=max_iter)
        assert np.bincount(found.labels, minlength=5).min() == 1


def test_lloyd_stops_when_nothing_changes():
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    found = lloyd(points, [[0.5], [10.5]])
    assert found.n_iter <= 1
    assert found.cost == 1.0


def test_lloyd_leaves_its_arguments_alone():
    points, centroids = np.random.default_rng(0).standard_normal((2, 9, 2))
    copies = points.copy(), centroids[:3].copy()
    lloyd(points, centroids[:3])
    np.testing.assert_array_equal(points, copies[0])
    np.testing.assert_array_equal(centroids[:3], copies[1])


def test_assignments():
    found = kmeans([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0]], 2)
    A = found.assignments
    assert (A.d1, A.m) == (3, 2)
    np.testing.assert_array_equal(A.buckets, found.labels)
    np.testing.assert_array_equal(A.expand(found.centroids), found.centroids[found.labels])


# Seeding ------------------------------------------------------------------------------------

LINE = np.array([[0.0], [1.0], [3.0]])


def law_of_two_seeds():
    """First uniform, second in proportion to its squared distance."""
    squared = twins.squared_distances(LINE, LINE)
    return squared / squared.sum(axis=1, keepdims=True) / 3


def draws_needed(law, false_law, miss):
    """Draws with which a chi-square test at `FALSE_ALARM` misses the false law this rarely."""
    n, freedom = 100, law.size - 1
    while True:
        shift = n * ((false_law - law) ** 2 / law).sum()
        if stats.ncx2.cdf(stats.chi2.isf(FALSE_ALARM, freedom), freedom, shift) < miss:
            return n
        n *= 2


def rejects(counts, law):
    statistic = ((counts - counts.sum() * law) ** 2 / (counts.sum() * law)).sum()
    return statistic > stats.chi2.isf(FALSE_ALARM, law.size - 1)


def test_seeds_follow_the_squared_distances():
    """False alarms: 1e-6. Sample size: D instead of D^2 is missed with probability 1e-6."""
    off = ~np.eye(3, dtype=bool)
    law = law_of_two_seeds()[off]
    distances = np.sqrt(twins.squared_distances(LINE, LINE))
    false_law = (distances / distances.sum(axis=1, keepdims=True) / 3)[off]
    n = draws_needed(law, false_law, miss=1e-6)
    rng = np.random.default_rng(7)
    counts = np.zeros((3, 3))
    for _ in range(n):
        first, second = kmeans_plusplus(LINE, 2, rng)
        counts[first, second] += 1
    assert np.diag(counts).sum() == 0
    assert not rejects(counts[off], law)
    false = rng.multinomial(n, false_law)
    assert rejects(false, law)


def test_the_best_of_several_candidates_is_kept():
    """With many candidates the second seed is almost surely the one that lowers the cost most."""
    points = np.array([[0.0], [1.0], [2.0], [50.0]])
    for seed in range(20):
        first, second = kmeans_plusplus(points, 2, seed, n_candidates=200)
        costs = [
            twins.distances_to(points, points[[c]], twins.squared_distances(points, points)[first])
            for c in range(4)
        ]
        assert second == np.argmin([cost.sum() for cost in costs])


@given(point_sets(), seeds, st.data())
def test_seeds_are_distinct_points_as_long_as_there_are_some(points, seed, data):
    n_clusters = data.draw(st.integers(1, len(points)))
    chosen = kmeans_plusplus(points, n_clusters, seed)
    assert chosen.shape == (n_clusters,)
    assert chosen.min() >= 0
    assert chosen.max() < len(points)
    distinct = len(np.unique(points, axis=0))
    assert len(np.unique(points[chosen], axis=0)) == min(distinct, n_clusters)


def test_expected_cost_of_seeding():
    """``E cost <= 8 (ln K + 2)`` times the optimum; here even the mean of 50 lies far below."""
    rng = np.random.default_rng(5)
    points = np.repeat(10 * rng.standard_normal((3, 2)), 2, axis=0) + rng.standard_normal((6, 2))
    optimum = twins.optimal_cost(points, 3)
    costs = [
        twins.nearest(points, points[kmeans_plusplus(points, 3, rng)])[1].sum() for _ in range(50)
    ]
    assert np.mean(costs) <= 8 * (np.log(3) + 2) * optimum
    assert min(costs) >= optimum
