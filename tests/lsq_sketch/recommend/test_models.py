"""Models: scores, gradients, and the compiled loop against the plain one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given
from hypothesis import strategies as st

from lsq_sketch.kernels import factorization, interactions
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.models import MODELS, Model, make_model
from lsq_sketch.recommend.optimizers import Adagrad, Adam, Sgd
from lsq_sketch.recommend.workspace import Workspace
from tests.strategies import seeds

from . import twins
from .strategies import rows_of

METHODS = tuple(registry())
SIZES = (30, 50)


def model_of(name, method="ce", bias="none", seed=0, loss=None, **settings):
    n_dense = 3 if name == "dlrm" else 0
    extra = {"hidden": (5, 4)} if name == "dlrm" else {}
    made = make_model(
        name, SIZES, 8, method, 6, seed, bias=bias, n_dense=n_dense, loss=loss, **extra, **settings
    )
    rng = np.random.default_rng(seed)
    made.store.values[:] += rng.uniform(-0.3, 0.3, made.store.values.size).astype(np.float32)
    return made


def loss_of(scores, labels, loss):
    scores = scores.astype(float)
    if loss == "squared":
        return (scores - labels) ** 2
    return twins.logistic_loss(scores, labels)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("bias", ["none", "full", "compressed"])
@pytest.mark.parametrize("name", MODELS)
@given(seeds)
def test_gradients_by_finite_differences(name, bias, loss, seed):
    """Of the mean loss by vectors and the model's own parameters, in a random direction."""
    rng = np.random.default_rng(seed)
    model = model_of(name, bias=bias, seed=seed, loss=loss)
    rows = rows_of(rng, 9, SIZES, model.n_dense)
    Workspace(model.store, Sgd(), 9)
    vectors = rng.standard_normal((9, 2, model.columns)).astype(np.float32)
    total, gradient = model.gradient(vectors.copy(), rows.dense, rows.labels)
    scores = model.score(vectors, rows.dense)
    assert total == pytest.approx(loss_of(scores, rows.labels, loss).sum(), rel=1e-4)
    own = {name: p for name, p in model.parameters.items() if name[:5] not in ("table", "bias0")}
    own = {name: p for name, p in own.items() if not name.startswith("bias1")}
    steps = {name: rng.standard_normal(p.value.shape) for name, p in own.items()}
    step = rng.standard_normal(vectors.shape)
    slope = float((gradient * step).sum())
    slope += sum(float((own[name].gradient * steps[name]).sum()) for name in own)
    before = {name: p.value.copy() for name, p in own.items()}

    def moved(h):
        """The mean loss, and which units are active, a step of ``h`` away."""
        for name, p in own.items():
            p.value[...] = before[name] + h * steps[name]
        there = (vectors + h * step).astype(np.float32)
        found = loss_of(model.score(there, rows.dense), rows.labels, loss).mean()
        active = active_units(model, there, rows.dense)
        for name, p in own.items():
            p.value[...] = before[name]
        return found, active

    for h in (1e-2, 2e-3, 5e-4):
        (above, active), (below, other) = moved(h), moved(-h)
        if (active == other).all():  # no rectified unit bends in between
            break
    else:
        assume(False)
    squares = (gradient**2).sum() + sum((p.gradient**2).sum() for p in own.values())
    slack = 1e-3 + 0.02 * float(squares) ** 0.5
    assert (above - below) / (2 * h) == pytest.approx(slope, abs=slack)


def active_units(model, vectors, dense):
    if model.name != "dlrm":
        return np.zeros(0, bool)
    kept = model._forward(vectors, dense)[1]
    hidden = [*kept["bottom"][1:-1], *kept["top"][1:-1]]
    return np.concatenate([values.ravel() > 0 for values in hidden])


@pytest.mark.parametrize("bias", ["none", "full", "compressed"])
@pytest.mark.parametrize("method", METHODS)
def test_scores_of_factor_models(method, bias):
    model = model_of("gmf", method, bias)
    rng = np.random.default_rng(0)
    rows = rows_of(rng, 40, SIZES)
    a, b = (table.table().astype(float) for table in model.tables)
    i, j = rows.ids.T
    expected = (a[i] * b[j]).sum(axis=1)
    if bias != "none":
        expected += model.biases[0].table()[i, 0] + model.biases[1].table()[j, 0]
        expected += model.parameters["intercept"].value[0, 0]
    np.testing.assert_allclose(model.scores(rows.ids), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(rows.ids), scipy.special.expit(expected), atol=1e-5)


@pytest.mark.parametrize("bias", ["none", "full"])
def test_scores_of_dlrm(bias):
    model = model_of("dlrm", bias=bias)
    rows = rows_of(np.random.default_rng(0), 40, SIZES, 3)
    layers = {name: p.value.astype(float) for name, p in model.parameters.items()}

    def network(name, x):
        for layer in range(3):
            x = x @ layers[f"{name}{layer}/weight"] + layers[f"{name}{layer}/bias"]
            x = np.maximum(x, 0) if layer < 2 else x
        return x

    bottom = network("bottom", rows.dense.astype(float))
    a, b = (t.table()[rows.ids[:, f]].astype(float) for f, t in enumerate(model.tables))
    pairs = [(b * a).sum(axis=1), (bottom * a).sum(axis=1), (bottom * b).sum(axis=1)]
    expected = network("top", np.column_stack([*pairs, bottom]))[:, 0]
    if bias == "full":
        expected += sum(t.table()[rows.ids[:, f], 0] for f, t in enumerate(model.biases))
        expected += model.parameters["intercept"].value[0, 0]
    np.testing.assert_allclose(model.scores(rows.ids, rows.dense), expected, atol=1e-4)


def test_dlrm_without_dense_features():
    model = make_model("dlrm", (5, 6, 7), 4, hidden=(3,), rng=0)
    assert "bottom0/weight" not in model.parameters
    assert model.parameters["top0/weight"].value.shape == (3, 3)
    assert model.scores([[0, 0, 0]]).shape == (1,)


@pytest.mark.parametrize("optimizer", [Adam(0.01, weight_decay=0.1), Adagrad(), Sgd(0.5)])
@pytest.mark.parametrize("bias", ["none", "full", "compressed"])
@pytest.mark.parametrize("method", METHODS)
def test_the_compiled_loop_does_what_the_plain_one_does(method, bias, optimizer):
    """A block of batches in one compiled call, and batch by batch through the NumPy gradient."""
    rng = np.random.default_rng(3)
    rows = rows_of(rng, 100, SIZES)
    losses, values = [], []
    for train in (type(model_of("gmf")).train_block, Model.train_block):
        model = model_of("gmf", method, bias)
        work = Workspace(model.store, optimizer, 16)
        losses.append(sum(train(model, work, rows.ids, rows.dense, rows.labels) for _ in range(2)))
        values.append(model.store.values.copy())
        assert work.step == 14
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    np.testing.assert_allclose(values[0], values[1], atol=1e-4)


@given(seeds, st.integers(0, 6), st.integers(1, 5), st.integers(1, 9))
def test_interactions(seed, n, count, d):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, count, d)).astype(np.float32)
    n_pairs = count * (count - 1) // 2
    products = np.empty((n, n_pairs), np.float32)
    interactions.pairwise_products(vectors, products)
    gram = np.einsum("nad,nbd->nab", vectors, vectors)
    lower = np.tril_indices(count, -1)
    np.testing.assert_allclose(products, gram[:, lower[0], lower[1]], atol=1e-4)
    slopes = rng.standard_normal((n, n_pairs)).astype(np.float32)
    gradients = np.zeros_like(vectors)
    interactions.pairwise_gradients(vectors, slopes, gradients)
    weights = np.zeros((n, count, count))
    weights[:, lower[0], lower[1]] = slopes
    symmetric = weights + weights.transpose(0, 2, 1)
    expected = np.einsum("nab,nbd->nad", symmetric, vectors)
    np.testing.assert_allclose(gradients, expected, atol=1e-4)
    which = int(rng.integers(count))
    gradient = np.zeros((n, d + 1), np.float32)
    interactions.one_vectors_gradients(vectors, slopes, which, gradient)
    np.testing.assert_allclose(gradient[:, :d], expected[:, which], atol=1e-4)
    assert not gradient[:, d].any()


@given(st.lists(st.tuples(st.floats(-900, 900, width=32), st.floats(0, 1)), max_size=20))
def test_losses(rows):
    scores = np.array([score for score, _ in rows], np.float32)
    labels = np.array([label for _, label in rows], np.float32)
    losses, slopes = np.empty(len(rows)), np.empty(len(rows))
    factorization.logistic_losses(scores, labels, losses, slopes)
    z = scores.astype(float)
    np.testing.assert_allclose(losses, twins.logistic_loss(z, labels), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slopes, scipy.special.expit(z) - labels, rtol=1e-12, atol=1e-14)
    factorization.squared_losses(scores, labels, losses, slopes)
    np.testing.assert_allclose(losses, (z - labels) ** 2, rtol=1e-12)
    np.testing.assert_allclose(slopes, 2 * (z - labels), rtol=1e-12)


def test_exponential_and_logarithm():
    x = -np.concatenate([np.linspace(0, 50, 997), np.linspace(50, 700, 101)])
    found = np.array([factorization.exponential(value) for value in x])
    np.testing.assert_allclose(found, np.exp(x), rtol=4e-15)
    e = np.concatenate([np.linspace(0, 1, 997), np.logspace(-300, 0, 101)])
    found = np.array([factorization.log_one_plus(value) for value in e])
    np.testing.assert_allclose(found, np.log1p(e), rtol=1e-12)


def test_exponential_and_logarithm_in_single_precision():
    x = -np.concatenate([np.linspace(0, 20, 997), np.linspace(20, 87, 101)]).astype(np.float32)
    found = np.array([factorization.exponential_single(value) for value in x])
    np.testing.assert_allclose(found, np.exp(x.astype(float)), rtol=3e-7)
    e = np.concatenate([np.linspace(0, 1, 997), np.logspace(-37, 0, 101)]).astype(np.float32)
    found = np.array([factorization.log_one_plus_single(value) for value in e])
    np.testing.assert_allclose(found, np.log1p(e.astype(float)), rtol=3e-7)


def test_counts():
    model = make_model("gmf", SIZES, 8, "hash", 6, bias="full")
    assert model.parameter_count == 2 * 6 * 8 + sum(SIZES) + 1
    assert model.table_parameter_count == model.parameter_count - 1
    assert model.serving_bytes == 4 * model.parameter_count + 2 * 16
    compressed = make_model("gmf", SIZES, 8, "hash", 6, bias="compressed")
    assert compressed.parameter_count == 2 * 6 * 9 + 1
    work = Workspace(compressed.store, Adam(), 16)
    assert work.first.nbytes == work.second.nbytes == 4 * compressed.parameter_count
    assert work.nbytes >= 3 * 4 * compressed.parameter_count


def test_parameters_are_views_of_one_array():
    model = make_model("dlrm", SIZES, 8, "cce", 6, n_dense=1, bias="full")
    assert all(np.shares_memory(p.value, model.store.values) for p in model.parameters.values())
    for table in model.tables:
        assert np.shares_memory(table.assignments, model.store.assignments)
        assert table.state["assignments"] is table.assignments


@pytest.mark.parametrize("name", MODELS)
def test_settings_build_the_same_model(name):
    model = model_of(name, "cce", "compressed")
    again = make_model(**model.settings())
    assert again.settings() == model.settings()
    assert {n: p.value.shape for n, p in again.parameters.items()} == {
        n: p.value.shape for n, p in model.parameters.items()
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_model("gmf", (1, 2, 3), 4), "takes data of 2 fields .* got 3"),
        (lambda: make_model("dlrm", (9,), 4), "at least 2 fields"),
        (lambda: make_model("gfm", (1, 2), 4), "model must be one of"),
        (lambda: make_model("dlrm", (), 4), "cardinalities is empty"),
        (lambda: make_model("gmf", (1, 2), 4, bias="yes"), "bias must be one of"),
        (lambda: make_model("gmf", (5, 5), 4).scores([[0, 5]]), "ids of field 1 must lie in 0..4"),
        (lambda: make_model("gmf", (5, 5), 4).scores([[0.0, 1.0]]), "ids must be integers"),
        (lambda: model_of("dlrm").scores([[0, 1]]), r"dense must have shape \(1, 3\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
