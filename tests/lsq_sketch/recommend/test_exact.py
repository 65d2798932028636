"""Alternating exact solves of matrix factorisation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsq_sketch.recommend import exact
from lsq_sketch.recommend.data import Dataset, Interactions
from lsq_sketch.recommend.exact import alternating_solves, solve_field
from lsq_sketch.recommend.models import make_model
from tests.strategies import seeds

from . import twins
from .strategies import rows_of

METHODS = ("full", "hash", "ce", "qr", "bloom", "cce", "robe")


def model_of(method, bias, seed):
    options = {"n_chunks": 2} if method == "robe" else None  # blocks of two, which can wrap around
    return make_model(
        "matrix-factorization", (12, 15), 4, method, 3, seed, bias=bias, options=options
    )


def best_loss(model, rows, field, ridge):
    """Least loss plus penalty over one field's parameters, by a dense solve."""
    own = [place for place in model.store.placed if place.field == field]
    vectors = model.store.vectors(rows.ids, model.columns).astype(float)
    other, targets = vectors[:, 1 - field], rows.labels.astype(float)
    if model.biases:
        targets = targets - other[:, -1] - model.intercept.value[0, 0]
        other[:, -1] = 1.0
    blocks = []
    for place in own:
        H = twins.dense_map(place.table)[rows.ids[:, field]]
        part = other[:, place.column : place.column + place.table.dim]
        blocks.append(np.einsum("ndk,nd->nk", H, part))
    X = np.hstack(blocks)
    k = X.shape[1]
    A = np.vstack([X, np.sqrt(ridge) * np.eye(k)])
    y = np.concatenate([targets, np.zeros(k)])
    # vectors have single precision
    solution = np.linalg.lstsq(A, y, rcond=max(A.shape) * np.finfo(np.float32).eps)[0]
    return float(((A @ solution - y) ** 2).sum())


def penalised(model, rows, field, ridge):
    squares = sum(
        float((place.table.codebook.value.astype(float) ** 2).sum())
        for place in model.store.placed
        if place.field == field
    )
    scores = model.scores(rows.ids).astype(float)
    return float(((scores - rows.labels) ** 2).sum()) + ridge * squares


@pytest.mark.parametrize("bias", ["none", "full", "compressed"])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=5)
@given(seeds, st.sampled_from([0.0, 0.1]), st.integers(0, 1))
def test_a_half_step_is_the_best_there_is(method, bias, seed, ridge, field):
    rows = rows_of(np.random.default_rng(seed), 60, (12, 15), task="regression")
    model = model_of(method, bias, seed)
    expected = best_loss(model, rows, field, ridge)
    before = model.store.values.copy()
    solve_field(model, rows, field, ridge)
    if bias != "none":  # the intercept is moved after the tables: undo
        after = penalised(model, rows, field, ridge)
        assert after <= expected + 1e-3
        model.intercept.value[0, 0] = before[model.store.starts["intercept"]]
    assert penalised(model, rows, field, ridge) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "cce"])
def test_the_loss_never_rises(method):
    rows = rows_of(np.random.default_rng(5), 200, (12, 15), task="regression")
    data = Dataset("random", ("a", "b"), (12, 15), rows, rows, task="regression")
    history = alternating_solves(model_of(method, "none", 1), data, 6)
    losses = [record.train_loss for record in history]
    assert all(b <= a * (1 + 1e-5) for a, b in pairwise(losses))
    assert [record.epoch for record in history] == list(range(1, 7))
    assert history[0].auc is None


def test_clustering_between_rounds():
    rows = rows_of(np.random.default_rng(5), 200, (12, 15))
    data = Dataset("random", ("a", "b"), (12, 15), rows, rows)
    model = model_of("cce", "none", 1)
    before = model.store.coefficients.copy()
    seen = []
    history = alternating_solves(model, data, 3, ridge=0.1, on_round=seen.append)
    assert seen == history
    assert (model.store.coefficients != before).any()
    assert history[-1].auc is not None


def test_recovery_of_a_low_rank_matrix():
    """Without noise and with a full table, the alternation finds the ratings."""
    rng = np.random.default_rng(0)
    ids = np.stack(np.divmod(np.arange(12 * 15), 15), axis=1)
    ratings = (rng.standard_normal((12, 2)) @ rng.standard_normal((2, 15))).ravel()
    rows = Interactions.of(ids, ratings)
    data = Dataset("low-rank", ("a", "b"), (12, 15), rows, rows, task="regression")
    history = alternating_solves(model_of("full", "none", 3), data, 30)
    assert history[-1].train_loss < 1e-6


def test_rows_of_their_own_and_all_at_once_agree(monkeypatch):
    rows = rows_of(np.random.default_rng(1), 300, (12, 15), task="regression")
    found = []
    for alone in (True, False):
        if not alone:
            monkeypatch.setattr(exact, "_is_identity", lambda place: False)
        model = model_of("full", "full", 2)
        solve_field(model, rows, 0, 0.5)
        found.append(model.store.values.copy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_errors():
    rows = rows_of(np.random.default_rng(1), 20, (12, 15))
    data = Dataset("random", ("a", "b"), (12, 15), rows, rows)
    logistic = make_model("matrix-factorization", (12, 15), 4, loss="logistic")
    with pytest.raises(ValueError, match="need squared loss"):
        alternating_solves(logistic, data, 1)
    with pytest.raises(ValueError, match="ridge must be"):
        alternating_solves(model_of("full", "none", 0), data, 1, ridge=-1.0)
    with pytest.raises(TypeError, match="model must be a MatrixFactorization, got GMF"):
        alternating_solves(make_model("gmf", (12, 15), 4), data, 1)
