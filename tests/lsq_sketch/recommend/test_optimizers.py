"""Optimisers against their twins, stepped as a whole and row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch.kernels import optimizers as kernels
from lsq_sketch.recommend import workspace
from lsq_sketch.recommend.methods import make_table
from lsq_sketch.recommend.optimizers import Adagrad, Adam, Sgd
from lsq_sketch.recommend.workspace import Placed, Store, Workspace
from tests.strategies import seeds

from . import twins


def train_table(optimizer, seed, steps, *, by_rows, monkeypatch, cardinality=12, dim=3):
    """A full table, random batches of two IDs and random gradients; values and all gradients."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(workspace, "STEP_ALONE_COST", 0 if by_rows else 10**9)
    monkeypatch.setattr(workspace, "STEP_ROWS_ALONE", 0 if by_rows else 10**9)
    table = make_table("full", cardinality, dim, 1, rng=seed)
    store = Store({}, [Placed("table0", table, 0, 0)])
    work = Workspace(store, optimizer, 2)
    assert work.any_lazy == by_rows
    start = store.values.copy()
    gradients = np.zeros((steps, cardinality, dim))
    done = 0
    while done < steps:
        block = min(steps - done, int(rng.integers(1, 8)))
        work.begin_block()
        for _ in range(block):
            ids = rng.integers(0, cardinality // 2, (2, 1)).astype(np.int32)
            if rng.random() < 0.1:
                ids += cardinality // 2  # rare
            by_vectors = rng.standard_normal((2, 1, dim)).astype(np.float32)
            np.add.at(gradients[done], ids[:, 0], by_vectors[:, 0])
            work.read(ids, dim)
            work.step_back(by_vectors)
            done += 1
        work.end_block(block)
    assert work.step == steps
    return start, store.values, gradients.reshape(steps, -1), work


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@given(seed=seeds, steps=st.integers(1, 60))
def test_adam_is_dense_adam(by_rows, decay, seed, steps):
    """Rows made up for later end where every step would have taken them."""
    with pytest.MonkeyPatch.context() as patch:
        optimizer = Adam(0.01, weight_decay=decay)
        start, values, gradients, work = train_table(
            optimizer, seed, steps, by_rows=by_rows, monkeypatch=patch
        )
    expected, m, v = twins.adam(start, gradients, 0.01, 0.9, 0.999, 1e-8, decay)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_allclose(work.first, m, atol=1e-5)
    np.testing.assert_allclose(work.second, v, atol=1e-5)


def test_rows_read_in_between_are_up_to_date(monkeypatch):
    """The vector of an ID that moved by momentum alone is that of dense Adam."""
    monkeypatch.setattr(workspace, "STEP_ALONE_COST", 0)
    monkeypatch.setattr(workspace, "STEP_ROWS_ALONE", 0)
    table = make_table("full", 4, 2, 1, rng=0)
    store = Store({}, [Placed("table0", table, 0, 0)])
    work = Workspace(store, Adam(0.1), 1)
    start = store.values.copy()
    gradients = np.zeros((5, 4, 2))
    work.begin_block()
    for t, j in enumerate([0, 1, 1, 2, 0]):
        vector = work.read(np.array([[j]], np.int32), 2)[0, 0]
        before = twins.adam(start, gradients[:t].reshape(t, 8), 0.1, 0.9, 0.999, 1e-8, 0.0)[0]
        np.testing.assert_allclose(vector, before.reshape(4, 2)[j], atol=1e-5)
        gradients[t, j] = [1.0, -2.0]
        work.step_back(np.float32([[[1.0, -2.0]]]))
    work.end_block(5)


@pytest.mark.parametrize("by_rows", [False, True])
@given(seed=seeds, steps=st.integers(1, 30))
def test_gradient_descent(by_rows, seed, steps):
    with pytest.MonkeyPatch.context() as patch:
        start, values, gradients, _ = train_table(
            Sgd(0.1), seed, steps, by_rows=by_rows, monkeypatch=patch
        )
    np.testing.assert_allclose(values, start - 0.1 * gradients.sum(axis=0), atol=1e-5)


@pytest.mark.parametrize("by_rows", [False, True])
@given(seed=seeds, steps=st.integers(1, 30))
def test_row_wise_adagrad(by_rows, seed, steps):
    with pytest.MonkeyPatch.context() as patch:
        start, values, gradients, work = train_table(
            Adagrad(0.1), seed, steps, by_rows=by_rows, monkeypatch=patch
        )
    expected, sums = start.reshape(12, 3).astype(float), np.zeros(12)
    for g in gradients.reshape(steps, 12, 3):
        sums += (g**2).mean(axis=1)
        expected = expected - 0.1 * g / (np.sqrt(sums) + 1e-10)[:, None]
    np.testing.assert_allclose(values.reshape(12, 3), expected, atol=1e-4)
    np.testing.assert_allclose(work.first, sums, rtol=1e-4)


def test_long_idleness():
    """A row without gradient for a whole block comes to rest where dense Adam leaves it."""
    n = 250
    table = np.zeros((6, n + 2))
    kernels.idle_table(Adam(0.1).hyperparameters(0.1), 1, n, table)
    values = np.float32([1.0])
    first, second = np.float32([0.1]), np.float32([0.001])  # after one gradient of 1
    kernels.catch_up(values, first, second, 0, 1, 0, n, Adam(0.1).hyperparameters(0.1), table)
    gradients = np.zeros((n + 1, 1))
    gradients[0] = 1.0
    expected = twins.adam(np.array([1.1]), gradients, 0.1, 0.9, 0.999, 1e-8, 0.0)
    np.testing.assert_allclose(values, expected[0], rtol=1e-5)
    np.testing.assert_allclose(second, expected[2], rtol=1e-5)


def test_state_of_one_parameter():
    table = make_table("full", 4, 2, 1, rng=0)
    store = Store({}, [Placed("table0", table, 0, 0)])
    shapes = {
        kind: [a.shape for a in Workspace(store, kind(), 1).moments(table.codebook)]
        for kind in (Adam, Adagrad, Sgd)
    }
    assert shapes == {Adam: [(4, 2), (4, 2)], Adagrad: [(4,)], Sgd: []}
    with pytest.raises(ValueError, match="not one of this model"):
        Workspace(store, Adam(), 1).moments(make_table("full", 4, 2, 1).codebook)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Sgd(0.0), ValueError, "learning_rate must be a finite positive"),
        (lambda: Adam(beta1=1.0), ValueError, "beta1 must be at least 0 and below 1"),
        (lambda: Adam(beta1=0.99, beta2=0.9), ValueError, r"beta1 = 0.99 must be below sqrt"),
        (lambda: Adagrad(learning_rate="fast"), TypeError, "learning_rate must be a number"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
