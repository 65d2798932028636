"""The synthetic generator: what it draws, and what it says is reachable."""

import numpy as np
import pytest
from scipy.stats import chisquare

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.baselines import bias_only
from lsq_sketch.recommend.data import Synthetic, synthetic


def drawn_rows(data):
    ids = np.concatenate([data.train.ids, data.validation.ids])
    return ids, np.concatenate([data.train.labels, data.validation.labels])


def test_same_seed_same_bits_for_any_block(monkeypatch):
    settings = Synthetic(n_users=40, n_items=30, rows_per_user=20)
    first, other = settings.draw(3), settings.draw(4)
    monkeypatch.setattr(synthetic, "SCORES_AT_ONCE", 90)
    again = settings.draw(3)
    for part in ("train", "validation"):
        for name in ("ids", "labels"):
            mine = getattr(getattr(first, part), name)
            np.testing.assert_array_equal(mine, getattr(getattr(again, part), name))
            assert not np.array_equal(mine, getattr(getattr(other, part), name))
    assert (first.best_loss, first.best_auc) == (again.best_loss, again.best_auc)


def test_every_user_has_its_rows():
    data = Synthetic(n_users=40, n_items=30, rows_per_user=20).draw()
    ids, labels = drawn_rows(data)
    np.testing.assert_array_equal(np.bincount(ids[:, 0]), 20)
    assert len(data.validation) == 80
    assert set(labels) == {0.0, 1.0}


def test_choices_are_those_of_a_loop():
    settings = Synthetic(n_items=7, choice_scale=1.5)
    rng = np.random.default_rng(0)
    scores, popularity = rng.standard_normal((5, 7)), rng.standard_normal(7)
    uniform = rng.random((5, 50))
    uniform[0, :2] = 0.0, np.nextafter(1.0, 0.0)
    ids = settings._choose(scores, popularity, uniform)
    for user in range(5):
        weights = np.exp(1.5 * scores[user] + popularity)
        for row in range(50):
            left, item = uniform[user, row] * weights.sum(), 0
            while item < 6 and left >= weights[item]:
                left -= weights[item]
                item += 1
            assert ids[user, row] == item


def test_items_follow_the_softmax():
    """One user, so that all rows have one distribution: chi-square, level 1e-4, fixed seed."""
    settings = Synthetic(n_users=1, n_items=12, rows_per_user=20_000, zipf=1.0, choice_scale=1.0)
    random = np.random.default_rng(5)
    user, items = settings._vectors(random, 1), settings._vectors(random, 12)
    weights = np.exp((user @ items.T)[0]) / (1 + random.permutation(12))
    ids, _ = drawn_rows(settings.draw(5))
    observed = np.bincount(ids[:, 1], minlength=12)
    expected = weights / weights.sum() * 20_000
    assert chisquare(observed, expected).pvalue > 1e-4
    without = np.exp((user @ items.T)[0])
    assert chisquare(observed, without / without.sum() * 20_000).pvalue < 1e-4


def test_clusters_are_planted():
    settings = Synthetic(n_clusters=5)
    vectors = settings._vectors(np.random.default_rng(0), 200)
    assert len(np.unique(vectors, axis=0)) == 5
    assert len(np.unique(Synthetic()._vectors(np.random.default_rng(0), 200), axis=0)) == 200


@pytest.mark.parametrize("dim", [1, 4, 64])
def test_affinity_has_variance_one(dim):
    settings = Synthetic(dim=dim)
    random = np.random.default_rng(1)
    affinity = settings._vectors(random, 3000) @ settings._vectors(random, 3000).T
    assert np.std(affinity) == pytest.approx(1, abs=0.1)


def test_popular_items_are_drawn_more_often():
    flat, zipf = (Synthetic(rows_per_user=50, zipf=z).draw(0) for z in (0.0, 1.1))
    top = [np.sort(np.bincount(drawn_rows(data)[0][:, 1]))[-10:].sum() for data in (flat, zipf)]
    assert top[1] > 5 * top[0]


def test_headroom_of_the_standard_setting():
    """1,000 users and items, 300 rows each: best AUC about 0.871, labels balanced."""
    drawn = [Synthetic().draw(seed) for seed in range(3)]
    assert np.mean([data.best_auc for data in drawn]) == pytest.approx(0.871, abs=0.003)
    for data in drawn:
        assert data.cardinalities == (1000, 1000)
        assert len(data.train) == 270_000
        assert data.train.labels.mean() == pytest.approx(0.5, abs=0.05)
        assert data.best_auc == pytest.approx(0.871, abs=0.01)


def test_no_bias_model_reaches_the_best():
    data = Synthetic(n_users=100, n_items=100, rows_per_user=200).draw(1)
    baseline = bias_only(data, penalties=[1.0])
    assert baseline.auc < data.best_auc - 0.05
    assert baseline.loss > data.best_loss + 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_users": 0}, "n_users must be at least 1, got 0"),
        ({"dim": 0.5}, "dim must be an integer"),
        ({"n_clusters": 0}, "n_clusters must be at least 1"),
        ({"zipf": -1}, "zipf must be a number from 0 to 100, got -1"),
        ({"label_scale": float("nan")}, "label_scale must be a number from 0 to 100"),
    ],
)
def test_errors(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Synthetic(**options)


def test_too_few_rows_for_both_labels():
    with pytest.raises(DataError, match=r"the 0 validation rows have one label only"):
        Synthetic(n_users=1, rows_per_user=2).draw()
