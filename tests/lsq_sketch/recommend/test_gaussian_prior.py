"""A Gaussian prior on IDs' vectors: its kernels, its fit by the evidence, and where it is used."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import threads
from lsq_sketch.kernels import reassignment, shrinkage
from lsq_sketch.kernels.argmin import POINT_BLOCK, in_blocks
from lsq_sketch.kernels.parabolas import least_points, posteriors
from lsq_sketch.recommend import evidence, gaussian_prior, sorted_rows
from lsq_sketch.recommend.checkpoint import save_model
from lsq_sketch.recommend.gaussian_prior import GaussianPriors, as_parabola
from lsq_sketch.recommend.methods.alternating import AlternatingEmbedding, AlternatingOptions
from lsq_sketch.recommend.models import make_model
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.training import Trainer, TrainingOptions
from tests.strategies import seeds

from . import method_twins
from .strategies import low_rank_data, random_data
from .test_alternating import LOSSES, context_of, move, rows_by_id, spread
from .test_seeding import features_of, random_parabolas

widths = st.integers(1, 9)


def random_prior(rng, width):
    """A precision and a mean."""
    root = rng.standard_normal((width + 2, width))
    return root.T @ root + 0.1 * np.eye(width), rng.standard_normal(width)


def posteriors_of(features, precision, mean):
    """Means and covariances, by NumPy."""
    curvatures, slopes = method_twins.quadratic_parts(features)
    covariances = np.linalg.inv(curvatures + precision)
    return np.einsum("nab,nb->na", covariances, precision @ mean - slopes), covariances


def evidence_of(features, mean, covariance):
    """Logarithm of the marginal likelihood of parabolas, but for a constant."""
    curvatures, slopes = method_twins.quadratic_parts(features)
    slopes = slopes + curvatures @ mean  # around the mean of the prior
    inside = np.eye(len(mean)) + curvatures @ covariance
    shrunk = np.linalg.solve(np.linalg.inv(covariance) + curvatures, slopes[:, :, None])[:, :, 0]
    constant = slopes @ mean - 0.5 * np.einsum("nab,a,b->n", curvatures, mean, mean)
    total = 0.5 * (slopes * shrunk).sum() - 0.5 * np.linalg.slogdet(inside)[1].sum()
    return total - constant.sum()


def sampled_parabolas(rng, n, mean, covariance, n_rows):
    """Of vectors drawn from a prior, each seen through so many noisy products."""
    vectors = rng.multivariate_normal(mean, covariance, n)
    rows = rng.standard_normal((n, n_rows, len(mean)))
    seen = np.einsum("nra,na->nr", rows, vectors) + rng.standard_normal((n, n_rows))
    curvatures = np.einsum("nra,nrb->nab", rows, rows)
    return features_of(curvatures, -np.einsum("nra,nr->na", rows, seen))


# Kernels ---------------------------------------------------------------------------------------


@given(st.integers(1, 2 * POINT_BLOCK + 3), widths, seeds)
def test_posteriors_agree_with_the_twin(n, width, seed):
    rng = np.random.default_rng(seed)
    features, _ = random_parabolas(rng, n, width)
    precision, mean = random_prior(rng, width)
    weights = rng.random(n)
    expected, covariances = posteriors_of(features, precision, mean)
    means, sums = np.empty((n, width)), np.empty((2, width, width))
    prior = precision, precision @ mean, np.linalg.eigvalsh(precision)[0]
    posteriors(in_blocks(features), *prior, weights, means, sums)
    np.testing.assert_allclose(means, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sums[0], covariances.sum(axis=0), rtol=1e-4, atol=1e-5)
    weighted = np.einsum("n,nab->ab", weights, covariances)
    np.testing.assert_allclose(sums[1], weighted, rtol=1e-4, atol=1e-5)
    points = np.empty((n, width), np.float32)
    least_points(in_blocks(features), *prior, points)
    np.testing.assert_allclose(points, means, rtol=1e-6, atol=1e-6)


def test_an_id_that_tells_nothing_has_the_prior():
    precision, mean = random_prior(np.random.default_rng(0), 3)
    means, sums = np.empty((5, 3)), np.empty((2, 3, 3))
    flat = np.zeros((5, 9), np.float32)
    prior = precision, precision @ mean, np.linalg.eigvalsh(precision)[0]
    posteriors(in_blocks(flat), *prior, np.ones(5), means, sums)
    np.testing.assert_allclose(means, np.tile(mean, (5, 1)), rtol=1e-9)
    np.testing.assert_allclose(sums[0], 5 * np.linalg.inv(precision), rtol=1e-9)


@given(st.integers(2, 80), widths, seeds)
def test_a_round_agrees_with_the_twin(n, width, seed):
    rng = np.random.default_rng(seed)
    features, _ = random_parabolas(rng, n, width)
    precision, mean = random_prior(rng, width)
    found, covariances = posteriors_of(features, precision, mean)
    before = np.linalg.inv(precision)
    root = scipy.linalg.sqrtm(before).real
    known = np.linalg.solve(root, np.linalg.solve(root, covariances.sum(axis=0)).T)
    known = n * (1 + evidence.LEAST_KNOWN) * np.eye(width) - known
    away = (found - mean) @ np.linalg.inv(root)
    expected_mean = mean + root @ np.linalg.solve(known, away.sum(axis=0))
    half = root @ np.linalg.inv(scipy.linalg.sqrtm(known).real)
    expected = half @ (n * np.atleast_2d(np.cov(away.T, bias=True))) @ half.T
    values, vectors = np.linalg.eigh(expected)
    expected = (vectors * np.maximum(values, max(0.1 * values[-1], 1e-3))) @ vectors.T
    new_mean, values, vectors = evidence.next_prior(
        found, covariances.sum(axis=0), 1e-3, 0.1, mean, *np.linalg.eigh(before)
    )
    new = (vectors * values) @ vectors.T
    np.testing.assert_allclose(new_mean, expected_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())
    assert np.linalg.eigvalsh(new)[0] >= 1e-3 * (1 - 1e-9)


@pytest.mark.parametrize("n_rows", [3, 40])
def test_the_fit_is_where_the_evidence_is_greatest(n_rows):
    """And near what the vectors were drawn from, also where three rows tell of two columns."""
    rng = np.random.default_rng(n_rows)
    true_mean, true = np.array([0.5, -1.0]), np.array([[1.0, 0.6], [0.6, 0.8]])
    features = sampled_parabolas(rng, 3000, true_mean, true, n_rows)
    mean, covariance, posterior = np.zeros(2), 0.1 * np.eye(2), np.empty((2, 2))
    blocks, weights = in_blocks(features), np.full(3000, 1 / 3000)
    start = evidence_of(features, mean, covariance)
    evidence.fit_by_evidence(blocks, weights, 60, 1e-9, 1e-9, mean, covariance, posterior)
    best = evidence_of(features, mean, covariance)
    assert best > start + 100
    np.testing.assert_allclose(mean, true_mean, atol=0.1)
    np.testing.assert_allclose(covariance, true, atol=0.15)
    for _ in range(20):
        step = 0.1 * rng.standard_normal((2, 2))
        other = covariance + step @ covariance + covariance @ step.T
        assert evidence_of(features, mean + 0.1 * rng.standard_normal(2), other) < best
    expected = posteriors_of(features, np.linalg.inv(covariance), mean)[1].mean(axis=0)
    np.testing.assert_allclose(posterior, expected, rtol=1e-5)


@given(widths, seeds)
def test_a_matrix_as_a_parabola(width, seed):
    rng = np.random.default_rng(seed)
    matrix = random_prior(rng, width)[0]
    c = rng.standard_normal((4, width)).astype(np.float32)
    expanded = np.empty((4, width * (width + 3) // 2), np.float32)
    reassignment.expand_codewords(c, expanded)
    features = as_parabola(matrix)
    expected = 0.5 * np.einsum("ka,ab,kb->k", c, matrix, c)
    np.testing.assert_allclose(expanded @ features, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(1, 6), st.sampled_from([0.0, 0.7]), st.sampled_from([1.0, 3.0]), seeds)
def test_ids_move_near_their_posterior_means(loss, n_codewords, uncertain, damping, seed):
    """The codeword nearest by curvature, if that lowers loss and tangent of the prior."""
    rng = np.random.default_rng(seed)
    slopes, scores, labels, bounds, weights = rows_by_id(rng, loss)
    chunks, width = 2, 3
    codebook = rng.standard_normal((chunks, n_codewords, width)).astype(np.float32)
    expanded = np.empty((chunks, n_codewords, 9), np.float32)
    priors = [random_prior(rng, width) for _ in range(chunks)]
    matrices = uncertain * np.array([random_prior(rng, width)[0] for _ in range(chunks)])
    for chunk in range(chunks):
        reassignment.expand_codewords(codebook[chunk], expanded[chunk])
    before = rng.integers(0, n_codewords, (len(weights), chunks)).astype(np.uint8)
    after, moved_scores = before.copy(), scores.copy()
    of_prior = [
        np.array([of(p, m) for p, m in priors], np.float32)
        for of in (lambda p, m: p, np.matmul, lambda p, m: np.linalg.eigvalsh(p)[0])
    ]
    moved = shrinkage.move_to_posteriors(
        slopes, moved_scores, labels, bounds, weights, LOSSES[loss], reassignment.GAUSS_NEWTON,
        damping, np.array([1]), codebook, expanded, *of_prior,
        np.array([as_parabola(m) for m in matrices]),
        0.5 * np.einsum("cka,cab,ckb->ck", codebook, matrices, codebook), 0.0, after,
        np.empty((reassignment.SCRATCH, len(scores)), np.float32),
        np.empty((len(weights), 9), np.float32),
    )  # fmt: skip
    assert moved == (after != before).sum()
    assert (after[:, 0] == before[:, 0]).all()
    own, codewords, precision, mean = slopes[:, 3:], codebook[1], *priors[1]
    for j in range(len(weights)):
        rows, old, new = slice(bounds[j], bounds[j + 1]), before[j, 1], after[j, 1]
        if bounds[j] == bounds[j + 1]:
            assert new == old
            continue
        z = scores[rows].astype(float)
        p = 1 / (1 + np.exp(-z))
        first = p - labels[rows] if loss == "logistic" else 2 * (z - labels[rows])
        second = p * (1 - p) if loss == "logistic" else np.full(len(z), 2.0)
        own_curvature = damping * weights[j] * (own[rows].T * second) @ own[rows]
        slope = weights[j] * own[rows].T @ first - own_curvature @ codewords[old]
        summed = damping * weights[j] * second.sum()
        curvature = own_curvature + summed * matrices[1]
        u = np.linalg.solve(curvature + precision, precision @ mean - slope)
        pull = precision @ (u - mean)
        away = codewords - u
        costs = 0.5 * np.einsum("ka,ab,kb->k", away, curvature, away)
        args = loss, own[rows], scores[rows], labels[rows], codewords, old
        whole = weights[j] * method_twins.summed_losses(*args) + codewords @ pull
        whole += 0.5 * summed * np.einsum("ka,ab,kb->k", codewords, matrices[1], codewords)
        tolerance = 1e-3 * (1 + abs(costs).max() + abs(whole).max())
        if new == old:
            nearest = costs <= costs.min() + tolerance
            assert nearest[old] or (whole[nearest] >= whole[old] - tolerance).any()
        else:
            assert costs[new] <= costs.min() + tolerance
            assert whole[new] <= whole[old] + tolerance
        step = own[rows] @ (codewords[new] - codewords[old])
        np.testing.assert_allclose(moved_scores[rows], scores[rows] + step, atol=1e-4)


# Priors of a field -----------------------------------------------------------------------------


def test_variances_are_bounded_by_those_of_other_chunks():
    """A chunk whose rows tell nothing is not pruned."""
    rng = np.random.default_rng(0)
    priors = GaussianPriors.unfitted(3, 2)
    features = sampled_parabolas(rng, 200, np.zeros(2), np.eye(2), 20)
    priors.fit(1, features, np.ones(200), 0.01)
    largest = np.linalg.eigvalsh(priors.covariances[1])[-1]
    assert largest > 0.7
    assert not priors.covariances[[0, 2]].any()
    nothing = np.zeros_like(features)
    priors.fit(2, nothing, np.ones(200), 0.01)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(priors.covariances[2]), gaussian_prior.LEAST_SHARE * largest
    )
    alone = GaussianPriors.unfitted(3, 2)
    alone.fit(2, nothing, np.ones(200), 0.01)
    least = gaussian_prior.LEAST_OF_CODEWORDS * 0.01
    np.testing.assert_allclose(np.linalg.eigvalsh(alone.covariances[2]), least)


def test_one_id_and_no_rows_are_fitted():
    priors = GaussianPriors.unfitted(1, 2)
    priors.fit(0, np.float32([[1, 0, 1, 2, 2]]), np.zeros(1), 0.1)
    assert np.isfinite(priors.means).all()
    assert np.linalg.eigvalsh(priors.covariances[0])[0] > 0


def test_precisions_are_in_units_of_the_loss():
    priors = GaussianPriors.unfitted(2, 2)
    priors.covariances[1], priors.means[1] = [[2.0, 1.0], [1.0, 2.0]], [1.0, -1.0]
    precisions, shifts, smallest = priors.in_units(np.array([1]), 3.0)
    np.testing.assert_allclose(precisions[1] @ priors.covariances[1], 3 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(shifts[1], [3.0, -3.0])
    np.testing.assert_allclose(smallest, [0.0, 1.0])
    assert not precisions[0].any()


def test_an_id_without_rows_has_the_likeliest_codeword():
    priors = GaussianPriors.unfitted(1, 2)
    priors.means[0], priors.covariances[0] = [1.0, 0.0], [[4.0, 0.0], [0.0, 0.1]]
    codewords = np.float32([[1.0, 1.0], [3.0, 0.0], [-9.0, 0.0]])
    assert priors.most_likely(0, codewords) == 1


# In training -----------------------------------------------------------------------------------


def few_rows(name="gmf", n=600, sizes=(30, 50), **options):
    task = "regression" if name == "matrix-factorization" else "binary"
    n_dense = 2 if name == "dlrm" else 0
    options = {"chunks_at_once": 1, **options}
    data = random_data(seed=0, n=n, sizes=sizes, task=task, n_dense=n_dense)
    model = make_model(name, sizes, 8, "alternating", 6, 3, options=options, n_dense=n_dense)
    return spread(model, 7, 0.5), data.train


@pytest.mark.parametrize(
    ("options", "n", "used"),
    [
        ({}, 600, [True, True]),
        ({}, 8 * 4 * 40, [False, True]),
        ({"prior": "popularity"}, 600, [False, False]),
        ({"prior": "gaussian"}, 50 * 8 * 5, [True, True]),
        ({"evaluation": "exact"}, 600, [False, False]),
    ],
)
def test_where_ids_have_a_gaussian_prior(options, n, used):
    """Where they have few rows, or as told."""
    model, train = few_rows(n=n, **options)
    for place, expected in zip(model.store.placed, used, strict=True):
        move(place.table, context_of(model, train, place))
        priors = place.table.priors
        fitted = priors is not None and priors.covariances.any(axis=(1, 2)).tolist()
        assert fitted == [True, False, False, False] if expected else not np.any(fitted)


def test_tables_of_one_column_have_none():
    assert AlternatingEmbedding(20, 1, 4).kept == {}
    assert AlternatingEmbedding(20, 8, 4).kept.keys() == {
        "prior/means", "prior/covariances", "prior/posterior_covariances",
    }  # fmt: skip
    assert AlternatingEmbedding(20, 8, 4, options=AlternatingOptions(prior="popularity")).kept == {}


def test_a_gaussian_prior_needs_parabolas():
    with pytest.raises(ValueError, match="prior is gaussian and evaluation is exact"):
        AlternatingOptions(prior="gaussian", evaluation="exact")


@pytest.mark.parametrize("name", ["gmf", "matrix-factorization", "dlrm"])
def test_ids_without_rows_follow_the_prior(name):
    model, train = few_rows(name)
    train = train.subset(train.ids[:, 1] >= 10)
    place = model.store.placed[1]
    others = np.setdiff1d(np.arange(50), train.ids[:, 1])
    before = place.table.assignments.copy()
    assert move(place.table, context_of(model, train, place)) > 5
    expected = place.table.priors.most_likely(0, place.table.codewords(0))
    assert (place.table.assignments[others, 0] == expected).all()
    np.testing.assert_array_equal(place.table.assignments[:, 1:], before[:, 1:])


def test_the_other_fields_uncertainty():
    """That of its posteriors, once it has any; nothing where scores are no inner products."""
    model, train = few_rows(uncertainty=0.25)
    first, second = model.store.placed
    chunks = np.array([0])
    assert not second.table._uncertainties(context_of(model, train, second), chunks).any()
    move(first.table, context_of(model, train, first))
    found = second.table._uncertainties(context_of(model, train, second), np.array([0, 1]))
    covariance = first.table.priors.posterior_covariances[0]
    assert np.trace(covariance) > 0
    np.testing.assert_allclose(found[0], 0.25 * as_parabola(covariance), rtol=1e-6)
    assert not found[1:].any()
    model, train = few_rows("dlrm")
    first, second = model.store.placed
    move(first.table, context_of(model, train, first))
    assert not second.table._uncertainties(context_of(model, train, second), chunks).any()


def test_uncertainty_shrinks():
    lengths = {}
    for uncertainty in (0.0, 1e3):
        model, train = few_rows(uncertainty=uncertainty)
        for place in model.store.placed:
            move(place.table, context_of(model, train, place))
        table = model.tables[1]
        lengths[uncertainty] = (table.table()[np.unique(train.ids[:, 1]), :2] ** 2).sum()
    assert lengths[1e3] < 0.5 * lengths[0.0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 16),  # 6 codewords: 1 + round(2.58) turns of each of 4 chunks
        ({"prior_turns": 2}, 8),
        ({"prior_turns": 2, "chunks_at_once": 2}, 4),
        ({"prior_turns": 2, "reassign_every": 2}, 15),
        ({"prior": "popularity"}, 20),
    ],
)
def test_ids_stay_after_some_turns(options, expected, monkeypatch):
    model, train = few_rows(**options)
    place, moved = model.store.placed[0], []
    monkeypatch.setattr(
        AlternatingEmbedding, "reassign", lambda self, c, own: moved.append(c.epoch)
    )
    for epoch in range(1, 21):
        place.table.after_epoch(context_of(model, train, place, epoch=epoch, epochs=20))
    assert max(moved) == expected


def test_the_unit_of_squared_loss_changes_nothing():
    """Labels, scores and the prior of vectors in other units: the same moves."""
    found = []
    for unit in (1.0, 16.0):
        model, train = few_rows("matrix-factorization")
        for table in model.tables:
            table.codebook.value[...] *= np.float32(np.sqrt(unit))
        train.labels[:] *= np.float32(unit)
        for place in model.store.placed:
            move(place.table, context_of(model, train, place))
        found.append(model.store.assignments.copy())
    assert (found[0] != found[1]).mean() < 0.01


def test_blocks_and_threads_change_nothing(monkeypatch):
    found = []
    for count, rows in ((1, 8192), (1, 37), (3, 37)):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr(sorted_rows, "ROWS_AT_ONCE", rows)
        model, train = few_rows()
        for place in model.store.placed:
            move(place.table, context_of(model, train, place))
        kept = [array.tobytes() for array in model.kept.values()]
        found.append([model.store.assignments.tobytes(), *kept])
    assert found[1] == found[2]
    assert found[0] == found[1]


def test_priors_are_kept_while_training_alone(tmp_path):
    """In checkpoints and in the bytes of training, not in models; resumed to the same bits."""
    data = random_data(n=300, sizes=(12, 15))

    def trainer(**options):
        # neither a share of all epochs, of which there are two numbers here
        options |= {"seed_until": 0.0, "chunks_at_once": 1}
        model = make_model("gmf", (12, 15), 8, "alternating", 6, 1, options=options)
        return Trainer(model, data, Adam(0.01), TrainingOptions(8, 32, 2, schedule="constant"))

    whole = trainer()
    whole.run()
    assert all(array.any() for array in whole.model.kept.values())
    first = trainer()
    first.options = TrainingOptions(5, 32, 2, schedule="constant")
    first.run(checkpoint=tmp_path / "checkpoint.npz")
    again = Trainer.resume(tmp_path / "checkpoint.npz", data, epochs=8)
    again.run()
    for name, array in whole.model.kept.items():
        assert array.tobytes() == again.model.kept[name].tobytes()
    assert whole.model.store.assignments.tobytes() == again.model.store.assignments.tobytes()
    assert whole.history == again.history
    kept_bytes = sum(array.nbytes for array in whole.model.kept.values())
    assert kept_bytes == 2 * 4 * (2 + 2 * 2 * 2) * 8
    without = trainer(prior="popularity")
    assert without.model.serving_bytes == whole.model.serving_bytes
    assert without.training_bytes == whole.training_bytes - kept_bytes
    save_model(whole.model, tmp_path / "model.npz")
    assert not any("prior/" in name for name in np.load(tmp_path / "model.npz").files)


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["gmf", "matrix-factorization"])
def test_what_few_rows_do_not_tell_is_not_learned(name):
    """Better on rows not seen than without a prior, where IDs have twelve rows on average."""
    losses = {}
    for prior in ("popularity", "gaussian"):
        losses[prior] = []
        for seed in range(3):
            data, _ = low_rank_data(n=2400, sizes=(200, 200), seed=seed)
            options = {"prior": prior, "popularity_prior": 0.0, "seed_until": 0.0}
            model = make_model(
                name, (200, 200), 8, "alternating", 16, seed, options=options, loss="logistic"
            )
            trainer = Trainer(model, data, Adam(0.01), TrainingOptions(epochs=16, seed=seed))
            trainer.run()
            losses[prior].append(trainer.history[-1].validation_loss)
    assert np.mean(losses["gaussian"]) < np.mean(losses["popularity"]) - 0.02
