"""Bias-only models: the issue's number, the penalty, twins."""

import numpy as np
import pytest
from scipy.special import expit

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.baselines import bias_only, least_squares, one_hot_design
from lsq_sketch.recommend.data import Dataset, Interactions, load


def drawn(task, n=400, seed=0, n_dense=1):
    """Data from true biases: what a bias-only model can fit."""
    rng = np.random.default_rng(seed)
    biases = rng.standard_normal(6), rng.standard_normal(4)
    ids = np.stack([rng.integers(0, 6, n), rng.integers(0, 4, n)], axis=1)
    dense = rng.standard_normal((n, n_dense))
    score = biases[0][ids[:, 0]] + biases[1][ids[:, 1]] + dense.sum(axis=1)
    labels = score if task == "regression" else rng.random(n) < expit(score)
    rows = Interactions.of(ids, labels=labels, dense=dense)
    held = n // 4
    return Dataset(
        "drawn", ("a", "b"), (6, 4),
        rows.subset(slice(held, None)), rows.subset(slice(0, held)), task=task,
    )  # fmt: skip


def test_movielens_reaches_the_number_of_the_issue():
    """0.7869 with scikit-learn's default tolerance, 0.7864 at the minimum."""
    baseline = bias_only(load("movielens-small"), rng=0)
    assert baseline.auc == pytest.approx(0.787, abs=0.001)
    assert baseline.loss == pytest.approx(0.4916, abs=0.001)
    assert baseline.parameters == 671 + 8451 + 1
    assert baseline.rows == 78_598
    assert baseline.penalty == 1.0


def test_design_is_one_hot():
    data = drawn("binary", n=40, n_dense=2)
    design = one_hot_design(data.train, data.cardinalities).toarray()
    expected = np.zeros((30, 12))
    for i, (a, b) in enumerate(data.train.ids):
        expected[i, [a, 6 + b]] = 1
        expected[i, 10:] = data.train.dense[i]
    np.testing.assert_array_equal(design, expected)


def test_logistic_regression_is_the_minimiser_of_its_objective():
    """Newton's method in plain NumPy, on the same objective."""
    data = drawn("binary")
    baseline = bias_only(data, penalties=[0.5])
    design = one_hot_design(data.train, data.cardinalities).toarray()
    design = np.column_stack([design, np.ones(len(design))])
    penalty = 0.5 * np.eye(design.shape[1])
    penalty[-1, -1] = 0  # the constant is free
    weights = np.zeros(design.shape[1])
    for _ in range(30):
        p = expit(design @ weights)
        gradient = design.T @ (p - data.train.labels) + penalty @ weights
        weights -= np.linalg.solve((design.T * (p * (1 - p))) @ design + penalty, gradient)
    rows = one_hot_design(data.validation, data.cardinalities).toarray()
    expected = expit(np.column_stack([rows, np.ones(len(rows))]) @ weights)
    np.testing.assert_allclose(baseline.predictions, expected, atol=1e-5)
    labels = data.validation.labels
    loss = -np.mean(np.log(np.where(labels == 1, baseline.predictions, 1 - baseline.predictions)))
    assert baseline.loss == pytest.approx(loss)
    good, bad = baseline.predictions[labels == 1], baseline.predictions[labels == 0]
    above = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    assert baseline.auc == pytest.approx(above)


def test_ridge_fits_exact_biases():
    data = drawn("regression")
    baseline = bias_only(data)
    assert baseline.auc is None
    assert baseline.penalty == 0.1  # the least: there is no noise
    assert baseline.loss < 1e-3
    errors = baseline.predictions - data.validation.labels
    assert baseline.loss == pytest.approx(np.mean(errors**2))
    assert least_squares(data).optimal_loss == pytest.approx(0, abs=1e-8)


def test_the_penalty_is_chosen_on_training_rows_alone():
    data = drawn("binary")
    flipped = Interactions.of(
        data.validation.ids, labels=1 - data.validation.labels, dense=data.validation.dense
    )
    other = Dataset("other", data.field_names, data.cardinalities, data.train, flipped)
    first, second = bias_only(data, rng=1), bias_only(other, rng=1)
    assert first.penalty == second.penalty
    np.testing.assert_array_equal(first.predictions, second.predictions)
    assert first.auc == pytest.approx(1 - second.auc)


def test_noise_wants_a_larger_penalty():
    rng = np.random.default_rng(0)
    rows = Interactions.of(rng.integers(0, 50, (300, 1)), labels=rng.integers(0, 2, 300))
    data = Dataset("noise", ("a",), (50,), rows, rows)
    assert bias_only(data, rng=0).penalty >= 10


def test_of_too_many_rows_some_are_drawn():
    data = drawn("binary")
    first, again = (bias_only(data, rng=2, penalties=[1.0], max_rows=100) for _ in range(2))
    assert first.rows == 100
    np.testing.assert_array_equal(first.predictions, again.predictions)


def test_predictions_do_not_depend_on_blocks(monkeypatch):
    data = drawn("binary")
    expected = bias_only(data, penalties=[1.0]).predictions
    monkeypatch.setattr("lsq_sketch.recommend.baselines.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(bias_only(data, penalties=[1.0]).predictions, expected, rtol=1e-12)


def test_one_label_only():
    rows = Interactions.of([[0], [1], [0], [1]], labels=[1, 1, 1, 1])
    data = Dataset("clicks only", ("a",), (2,), rows, rows.subset([]))
    with pytest.raises(DataError, match="clicks only: the training part has the label 1 only"):
        bias_only(data, penalties=[1.0])


def test_auc_of_one_label_is_not_told():
    data = drawn("binary")
    ones = data.validation.subset(np.flatnonzero(data.validation.labels == 1))
    one_sided = Dataset("d", data.field_names, data.cardinalities, data.train, ones)
    baseline = bias_only(one_sided, penalties=[1.0])
    assert baseline.auc is None
    assert baseline.loss == pytest.approx(-np.mean(np.log(baseline.predictions)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: bias_only("flights"), "dataset must be a Dataset, got str. Load one with"),
        (lambda data: bias_only(data, penalties=[]), "penalties must be positive numbers"),
        (lambda data: bias_only(data, penalties=[-1.0]), "penalties must be positive numbers"),
        (lambda data: bias_only(data, max_rows=1), "max_rows must be at least 2"),
        (lambda data: least_squares(None), "dataset must be a Dataset, got NoneType"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(drawn("binary", n=40))
