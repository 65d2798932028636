"""Alternating CCE: where IDs move, that moves never raise the loss, what they cost."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import threads
from lsq_sketch.kernels import codeword_pairs
from lsq_sketch.kernels import reassignment as kernels
from lsq_sketch.kernels.factorization import LOGISTIC, SQUARED
from lsq_sketch.recommend import row_losses, sorted_rows
from lsq_sketch.recommend.data.synthetic import Synthetic
from lsq_sketch.recommend.methods import alternating
from lsq_sketch.recommend.methods.alternating import AlternatingEmbedding, AlternatingOptions
from lsq_sketch.recommend.models import make_model
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.seeding import seed_codewords
from lsq_sketch.recommend.sorted_rows import SortedRows
from lsq_sketch.recommend.training import EpochContext, Trainer, TrainingOptions
from lsq_sketch.recommend.workspace import Workspace
from tests.strategies import seeds

from . import method_twins
from .strategies import low_rank_data, random_data, rows_of

LOSSES = {"squared": SQUARED, "logistic": LOGISTIC}


def rows_by_id(rng, loss, n_ids=7, dim=6):
    """Rows sorted by ID as the kernels take them; one ID has none."""
    counts = rng.integers(0, 9, n_ids)
    counts[rng.integers(n_ids)] = 0
    bounds = np.concatenate([[0], np.cumsum(counts)])
    n = bounds[-1]
    slopes = rng.standard_normal((n, dim)).astype(np.float32)
    scores = rng.standard_normal(n).astype(np.float32)
    labels = rng.random(n) < 0.5 if loss == "logistic" else rng.standard_normal(n)
    return slopes, scores, labels.astype(np.float32), bounds, rng.uniform(1, 3, n_ids)


def context_of(model, train, place, epoch=1, epochs=10, seed=0):
    return EpochContext(
        epoch=epoch,
        epochs=epochs,
        rng=np.random.default_rng(seed),
        model=model,
        table=place.table,
        field=place.field,
        column=place.column,
        train=train,
        workspace=Workspace(model.store, Adam(), 64),
        _frequencies={},
    )


def from_slopes(wanted):
    """Losses from the slopes of scores even where both fields have codewords."""
    partner = row_losses._partner
    return mock.patch.object(row_losses, "_partner", lambda *a: None if wanted else partner(*a))


def move(table, context):
    return table.reassign(context, table.sorted_rows(context))


def seeded_anew(table, context):
    table.seed_anew(context, table.sorted_rows(context))


def reassign(model, train, **about):
    """One reassignment of every table, in turn; how many assignments have changed."""
    return sum(
        move(place.table, context_of(model, train, place, **about))
        for place in model.store.placed
        if isinstance(place.table, AlternatingEmbedding)
    )


def spread(model, seed, scale=1.0):
    """The model with all parameters random."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters.values():
        parameter.value[...] = scale * rng.standard_normal(parameter.value.shape)
    return model


def training_loss(model, rows):
    return model.mean_loss(model.scores(rows.ids, rows.dense), rows.labels)


# Kernels --------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 100), seeds)
def test_rows_sorted_by_id(cardinality, n, seed):
    ids = np.random.default_rng(seed).integers(0, cardinality, n).astype(np.int32)
    order, starts = np.empty(len(ids), np.int32), np.empty(cardinality + 1, np.int64)
    kernels.sort_by_id(ids, starts, order)
    np.testing.assert_array_equal(order, np.argsort(ids, kind="stable"))
    np.testing.assert_array_equal(np.diff(starts), np.bincount(ids, minlength=cardinality))


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(1, 5), st.sampled_from([1, 2, 3]), seeds)
def test_exact_moves_are_to_the_least_loss(loss, n_codewords, chunk_width, seed):
    rng = np.random.default_rng(seed)
    slopes, scores, labels, bounds, weights = rows_by_id(rng, loss)
    codewords = rng.standard_normal((n_codewords, chunk_width)).astype(np.float32)
    chunk = int(rng.integers(6 // chunk_width))
    columns = slice(chunk * chunk_width, (chunk + 1) * chunk_width)
    penalties = rng.uniform(0, 0.5, n_codewords)
    before = rng.integers(0, n_codewords, len(weights)).astype(np.uint8)
    after, moved_scores = before.copy(), scores.copy()
    margin = float(rng.choice([0.0, 0.3]))
    kernels.move_exactly(
        slopes, moved_scores, labels, bounds, weights, LOSSES[loss], chunk, codewords, penalties,
        margin, after,
    )  # fmt: skip
    for j in range(len(weights)):
        rows = slice(bounds[j], bounds[j + 1])
        if bounds[j] == bounds[j + 1]:
            assert after[j] == before[j]
            continue
        sums = weights[j] * method_twins.summed_losses(
            loss, slopes[rows, columns], scores[rows], labels[rows], codewords, before[j]
        )
        sums += penalties
        tolerance = 1e-4 * (1 + abs(sums).max())
        if after[j] == before[j]:
            assert sums[before[j]] - margin <= sums.min() + tolerance
        else:
            assert sums[after[j]] <= sums.min() + tolerance
            assert sums[after[j]] < sums[before[j]] - margin + tolerance
        step = slopes[rows, columns] @ (codewords[after[j]] - codewords[before[j]])
        np.testing.assert_allclose(moved_scores[rows], scores[rows] + step, atol=1e-4)


def test_the_loss_of_many_rows_of_one_id():
    """More rows than factors of one logarithm, and scores that would overflow."""
    rng = np.random.default_rng(0)
    n = 3 * kernels.FACTORS_A_LOGARITHM + 5
    slopes = rng.standard_normal((n, 1)).astype(np.float32)
    scores = (40 * rng.standard_normal(n)).astype(np.float32)
    labels = (rng.random(n) < 0.5).astype(np.float32)
    codewords = np.float32([[0.0], [1.0], [-2.0], [900.0]])
    after, moved = np.zeros(1, np.uint8), scores.copy()
    kernels.move_exactly(
        slopes, moved, labels, np.array([0, n]), np.ones(1), LOGISTIC, 0, codewords, np.zeros(4),
        0.0, after,
    )  # fmt: skip
    sums = method_twins.summed_losses("logistic", slopes, scores, labels, codewords, 0)
    assert after[0] == sums.argmin()


def costs_of(loss, curvature, rows, codewords, penalties, assigned, damping=1.0):
    slopes, scores, labels, bounds, weights = rows
    width = codewords.shape[1]
    features = width * (width + 3) // 2
    losses, firsts, seconds = (np.empty_like(scores) for _ in range(3))
    kernels.parabolas(LOSSES[loss], curvature, scores, labels, losses, firsts, seconds)
    expanded = np.empty((len(codewords), features), np.float32)
    kernels.expand_codewords(codewords, expanded)
    of_ids, curvatures = np.empty((len(weights), features), np.float32), np.empty_like(weights)
    chosen = np.arange(len(weights))
    kernels.expand_ids(
        slopes, firsts, seconds, bounds, weights, damping, 1, codewords, assigned, chosen, of_ids,
        curvatures,
    )  # fmt: skip
    expected = [seconds[bounds[j] : bounds[j + 1]].sum() for j in chosen] * weights * damping
    np.testing.assert_allclose(curvatures, expected, rtol=1e-5)
    return of_ids @ expanded.T + penalties


@pytest.mark.parametrize("loss", LOSSES)
@given(seeds)
def test_parabolas_agree_with_the_twin_and_lie_above_the_loss(loss, seed):
    rng = np.random.default_rng(seed)
    rows = rows_by_id(rng, loss)
    slopes, scores, labels, bounds, weights = rows
    codewords = rng.standard_normal((4, 3)).astype(np.float32)
    penalties = rng.uniform(0, 1, 4)
    assigned = rng.integers(0, 4, len(weights)).astype(np.uint8)
    costs = costs_of(loss, kernels.MAJORIZER, rows, codewords, penalties, assigned)
    for j, old in enumerate(assigned):
        own = slice(bounds[j], bounds[j + 1])
        args = loss, slopes[own, 3:], scores[own], labels[own], codewords, old
        expected = weights[j] * method_twins.majorizer(*args) + penalties
        above = expected - weights[j] * method_twins.summed_losses(*args) - penalties
        tolerance = 1e-4 * (1 + abs(expected).max())
        # costs leave out a constant, the same for all codewords
        np.testing.assert_allclose(
            costs[j] - costs[j, old], expected - expected[old], atol=tolerance
        )
        assert above.min() >= -1e-9 * (1 + abs(expected).max())
        assert above[old] == pytest.approx(0, abs=1e-9 * (1 + abs(expected).max()))
        if loss == "squared":
            assert above.max() <= tolerance


@pytest.mark.parametrize("curvature", [kernels.GAUSS_NEWTON, kernels.MAJORIZER])
def test_parabolas_of_scores_of_any_size(curvature):
    """As float64 has them, also where float32 would overflow, underflow or cancel."""
    z = np.float32([0, 1e-30, -1e-4, 9e-4, -1.1e-3, 0.5, -3, 20, -60, 87.5, -90, 3e4, -3e38])
    scores, labels = np.tile(z, 2), np.repeat(np.float32([0, 1]), z.size)
    losses, firsts, seconds = (np.empty_like(scores) for _ in range(3))
    kernels.parabolas(LOGISTIC, curvature, scores, labels, losses, firsts, seconds)
    exact = scores.astype(float)
    sigmoid = scipy.special.expit(exact)
    expected = method_twins.logistic_loss(exact, labels)
    np.testing.assert_allclose(losses, expected, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(firsts, sigmoid - labels, rtol=1e-6, atol=2e-7)
    if curvature == kernels.GAUSS_NEWTON:
        expected = sigmoid * scipy.special.expit(-exact)
    else:
        near = abs(exact) < 1e-3
        expected = np.where(near, 0.25, np.tanh(exact / 2) / np.where(near, 1, 2 * exact))
    np.testing.assert_allclose(seconds, expected, rtol=1e-6, atol=1e-37)


@given(seeds)
def test_gauss_newton_is_the_second_order_of_the_loss(seed):
    """Codewords close by: the cost differs from the loss by third order only."""
    rng = np.random.default_rng(seed)
    rows = rows_by_id(rng, "logistic")
    slopes, scores, labels, bounds, weights = rows
    steps = rng.standard_normal((3, 3))
    steps[0] = 0
    codewords = (rng.standard_normal(3) + 0.02 * steps).astype(np.float32)
    assigned = np.zeros(len(weights), np.uint8)
    costs = costs_of("logistic", kernels.GAUSS_NEWTON, rows, codewords, np.zeros(3), assigned)
    for j in range(len(weights)):
        own = slice(bounds[j], bounds[j + 1])
        exact = weights[j] * method_twins.summed_losses(
            "logistic", slopes[own, 3:], scores[own], labels[own], codewords, 0
        )
        lengths = np.linalg.norm(slopes[own, 3:] @ (codewords - codewords[0]).T, axis=0)
        # |third derivative| <= 0.1; float32 costs
        allowed = 0.1 / 6 * weights[j] * lengths**3 + 2e-4
        assert (abs((costs[j] - costs[j, 0]) - (exact - exact[0])) <= allowed).all()


@pytest.mark.parametrize(
    ("name", "bias"),
    [("gmf", "none"), ("gmf", "compressed"), ("matrix-factorization", "full"), ("dlrm", "full")],
)
@pytest.mark.parametrize("field", [0, 1])
def test_slopes_are_the_derivatives_of_scores(name, bias, field):
    """By finite differences, in the vectors of one field; and the scores are the model's own."""
    n_dense = 2 if name == "dlrm" else 0
    rows = rows_of(np.random.default_rng(0), 300, (9, 12), n_dense)
    model = make_model(name, (9, 12), 4, "alternating", 5, 3, bias=bias, n_dense=n_dense)
    spread(model, 1, 0.5)
    scores, slopes = model.field_slopes(rows.ids, rows.dense, field)
    np.testing.assert_allclose(scores, model.scores(rows.ids, rows.dense), rtol=1e-4, atol=1e-5)
    vectors = model.store.vectors(rows.ids, model.columns)
    direction = np.random.default_rng(2).standard_normal(slopes.shape).astype(np.float32)
    changes = []
    for h in (1e-3, -1e-3):
        moved = vectors.copy()
        moved[:, field] += np.float32(h) * direction
        changes.append(model.score(moved, rows.dense).astype(float))
    found = (changes[0] - changes[1]) / 2e-3
    expected = (slopes * direction).sum(axis=1)
    # a rectified unit may have its kink inside the step
    close = abs(found - expected) < 2e-3 * (1 + abs(expected))
    assert close.mean() > (0.9 if name == "dlrm" else 0.999)


# The step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["none", "compressed"])
@pytest.mark.parametrize(
    ("name", "settings", "slopes"),
    [
        ("gmf", {"evaluation": "exact"}, True),
        ("gmf", {"evaluation": "quadratic", "curvature": "majorizer"}, True),
        ("gmf", {"evaluation": "quadratic", "curvature": "majorizer"}, False),
        ("gmf", {}, True),
        ("gmf", {}, False),
        ("matrix-factorization", {"evaluation": "exact"}, True),
        ("matrix-factorization", {"evaluation": "quadratic"}, True),
        ("matrix-factorization", {"evaluation": "quadratic"}, False),
    ],
)
@given(seed=seeds, n_codewords=st.integers(1, 9))
def test_reassignment_never_raises_the_training_loss(
    name, settings, slopes, bias, seed, n_codewords
):
    """`alternating-monotone`: exactly, and by parabolas that lie above the loss."""
    with from_slopes(slopes):
        loss_falls(name, settings, bias, seed, n_codewords)


def loss_falls(name, settings, bias, seed, n_codewords):
    task = "binary" if name == "gmf" else "regression"
    data = random_data(seed=seed, n=150, sizes=(8, 12), task=task)
    options = {**settings, "prior": "popularity", "popularity_prior": 0.0}
    model = make_model(
        name, (8, 12), 8, "alternating", n_codewords, seed, options=options, bias=bias
    )
    spread(model, seed)
    tables = [p for p in model.store.placed if p.table.method == "alternating"]
    before = training_loss(model, data.train)
    for _ in range(2):
        for place in tables:
            move(place.table, context_of(model, data.train, place))
            after = training_loss(model, data.train)
            assert after <= before * (1 + 1e-5)
            before = after


@pytest.mark.parametrize(
    ("settings", "bias"),
    [
        ({}, "none"),
        ({"curvature": "majorizer", "damping": 1.5, "margin": 0.01}, "full"),
        ({"max_rows_per_id": 20, "chunks_at_once": 4}, "compressed"),
        ({"max_rows": 500}, "none"),
        ({"prior": "gaussian"}, "none"),
        ({"prior": "gaussian", "damping": 1.5, "margin": 0.01, "chunks_at_once": 4}, "full"),
        ({"prior": "gaussian", "max_rows_per_id": 20}, "compressed"),
    ],
)
@pytest.mark.parametrize("name", ["gmf", "matrix-factorization"])
def test_codewords_and_slopes_move_ids_alike(name, settings, bias):
    """More rows than a block; an ID without rows."""
    task = "binary" if name == "gmf" else "regression"
    data = random_data(n=codeword_pairs.ROWS_A_BLOCK + 500, sizes=(75, 90), task=task)
    train = data.train.subset(data.train.ids[:, 1] != 7)
    found, moved = [], []
    for slopes in (True, False):
        options = {"prior": "popularity", **settings}
        model = make_model(name, (75, 90), 8, "alternating", 70, 1, options=options, bias=bias)
        spread(model, 3, 0.5)
        with from_slopes(slopes):
            moved.append(reassign(model, train))
        found.append(model.store.assignments.astype(int))
    assert moved[0] > 50
    # sums of another order: near ties may fall either way, and move the scores of others
    assert (found[0] != found[1]).mean() <= 0.02
    assert abs(moved[0] - moved[1]) <= 3


@pytest.mark.parametrize("bias", ["none", "compressed"])
def test_parabolas_of_some_ids_are_those_of_all(bias):
    """In any order; and the same from codewords and from slopes."""
    data = random_data(n=400, sizes=(30, 40))
    model = spread(make_model("gmf", (30, 40), 8, "alternating", 9, 1, bias=bias), 3, 0.5)
    place = model.store.placed[0]
    context = context_of(model, data.train, place)
    own = place.table.sorted_rows(context)
    seen = own.seen
    some = np.random.default_rng(0).permutation(len(seen))[:11]
    found = []
    for slopes in (True, False):
        with from_slopes(slopes):
            losses = row_losses.row_losses(place.table, context, own)
        found.append(losses.parabolas(2, seen))
        for of_all, of_some in zip(found[-1], losses.parabolas(2, seen[some]), strict=True):
            np.testing.assert_array_equal(of_some, of_all[some])
    for by_slopes, by_codewords in zip(*found, strict=True):
        np.testing.assert_allclose(by_slopes, by_codewords, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 12), st.integers(0, 60), seeds)
def test_rows_of_some_ids(cardinality, n, seed):
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, n, (cardinality, 3))
    own = SortedRows.of(rows, 0, cardinality)
    ids = rng.permutation(cardinality)[: rng.integers(1, cardinality + 1)]
    some = own.of_ids(ids)
    for number, chosen in enumerate(ids):
        expected = np.flatnonzero(rows.ids[:, 0] == chosen)
        found = some.order[some.starts[number] : some.starts[number + 1]]
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(own.seen, np.unique(rows.ids[:, 0]))


@pytest.mark.parametrize("n_codewords", [1, 9])
def test_codewords_of_both_fields_are_used_where_they_can_be(n_codewords):
    """Of two tables of codewords; neither for biases nor exactly, nor by too many products."""
    data = random_data(n=300, sizes=(12, 15))

    def of_first(**about):
        about = {"bias": "compressed", **about}
        name = about.pop("name", "gmf")
        model = make_model(name, (12, 15), 8, "alternating", n_codewords, 1, **about)
        places = model.store.placed
        return [
            row_losses._partner(place.table, context_of(model, data.train, place)) is not None
            for place in (places[0], places[-1])
        ]

    assert of_first() == [True, False]
    assert of_first(options={"evaluation": "exact"}) == [False, False]
    assert of_first(name="dlrm", bias="none") == [False, False]
    assert of_first(options={"evaluation": "auto"}) == [n_codewords == 9, False]
    found = []
    for largest in (n_codewords**2, n_codewords**2 - 1):
        options = {"prior": "popularity"}
        model = make_model("gmf", (12, 15), 8, "alternating", n_codewords, 1, options=options)
        with (
            mock.patch.object(row_losses, "LARGEST_PRODUCTS", largest),
            mock.patch.object(row_losses.LossesBySlopes, "move", return_value=-1) as by_slopes,
        ):
            reassign(model, data.train)
        found.append(by_slopes.called)
    assert found == [False, True]


@pytest.mark.parametrize("name", ["gmf", "matrix-factorization"])
def test_one_field_ends_where_no_single_move_helps(name):
    """Brute force over every ID, chunk and codeword, with whole new scores for each."""
    task = "binary" if name == "gmf" else "regression"
    data = random_data(n=120, sizes=(6, 9), task=task)
    options = {
        "evaluation": "exact", "n_chunks": 2, "chunks_at_once": 2, "prior": "popularity",
        "popularity_prior": 0.0,
    }  # fmt: skip
    model = spread(make_model(name, (6, 9), 4, "alternating", 4, 0, options=options), 5)
    place = model.store.placed[1]
    while move(place.table, context_of(model, data.train, place)):
        pass
    least = training_loss(model, data.train)
    assignments = place.table.assignments
    for j in range(9):
        for chunk in range(2):
            kept = assignments[j, chunk]
            for codeword in range(4):
                assignments[j, chunk] = codeword
                assert training_loss(model, data.train) >= least * (1 - 1e-5)
            assignments[j, chunk] = kept


@pytest.mark.compiled
def test_dlrm_reassignment_lowers_the_loss():
    data, _ = low_rank_data(n=6000, sizes=(40, 50))
    options = {"curvature": "gauss-newton"}
    model = make_model("dlrm", (40, 50), 8, "alternating", 6, 3, options=options)
    training = TrainingOptions(epochs=3, batch_size=64, seed=1, keep="last")
    for place in model.store.placed:
        place.table.after_epoch = lambda context: None
    Trainer(model, data, Adam(0.01), training).run()
    before = training_loss(model, data.train)
    moved = reassign(model, data.train)
    assert moved > 20
    assert training_loss(model, data.train) < before - 0.01


def trained(seed=0, **options):
    data = random_data(seed=seed, n=400, sizes=(30, 50))
    model = make_model("gmf", (30, 50), 4, "alternating", 6, 3, options=options)
    return spread(model, 7), data.train


def test_ids_without_rows_stay_and_a_wide_margin_stops_all():
    model, train = trained(prior="popularity", chunks_at_once=2)
    unseen = np.setdiff1d(np.arange(50), train.ids[:, 1])
    train = train.subset(train.ids[:, 1] >= 10)
    before = model.tables[1].assignments.copy()
    assert reassign(model, train) > 50
    changed = (before != model.tables[1].assignments).any(axis=1)
    assert not changed[:10].any()
    assert not changed[unseen].any()
    assert changed[10:].mean() > 0.5
    model, train = trained(margin=1e6)
    assert reassign(model, train) == 0


@pytest.mark.parametrize("evaluation", ["exact", "quadratic"])
def test_penalties_decide_where_they_are_large(evaluation):
    model, train = trained(
        evaluation=evaluation, norm_penalty=1e6, chunks_at_once=4, prior="popularity"
    )
    reassign(model, train)
    for table in model.tables:
        seen = np.unique(train.ids[:, model.tables.index(table)])
        for chunk in range(4):
            shortest = (table.codewords(chunk) ** 2).sum(axis=1).argmin()
            assert (table.assignments[seen, chunk] == shortest).all()
    options = {"prior": "popularity", "popularity_prior": 1e6}
    model, train = trained(evaluation=evaluation, chunks_at_once=4, **options)
    table = model.tables[1]
    table.assignments[:30] = 2
    reassign(model, train)
    assert (table.assignments[np.unique(train.ids[:, 1])] == 2).all()


def test_a_stronger_prior_gathers_ids():
    counts = {}
    for prior in (0.0, 20.0):
        model, train = trained(prior="popularity", popularity_prior=prior)
        reassign(model, train)
        labels = model.tables[1].assignments[np.unique(train.ids[:, 1]), 0]
        counts[prior] = np.bincount(labels).max()
    assert counts[20.0] > 2 * counts[0.0]


def test_damping_shortens_moves():
    moved = {}
    for damping in (1.0, 1e4):
        model, train = trained(damping=damping)
        moved[damping] = reassign(model, train)
    assert moved[1e4] < 0.5 * moved[1.0]


@pytest.mark.parametrize("evaluation", ["exact", "quadratic"])
def test_blocks_and_threads_change_nothing(evaluation, monkeypatch):
    found = []
    for count, rows in ((1, 8192), (1, 37), (3, 37)):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr(sorted_rows, "ROWS_AT_ONCE", rows)
        model, train = trained(evaluation=evaluation)
        reassign(model, train)
        found.append(model.store.assignments.tobytes())
    assert found[1] == found[2]
    assert found[0] == found[1]


def test_blocks_cover_every_id_once(monkeypatch):
    monkeypatch.setattr(sorted_rows, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(sorted_rows, "FLOATS_AT_ONCE", 12)
    counts = np.random.default_rng(0).integers(0, 6, 100)
    counts[[20, 70]] = 50
    starts = np.concatenate([[0], np.cumsum(counts)])
    blocks = list(SortedRows(None, None, starts).blocks(2))
    assert [first for first, _ in blocks[1:]] == [stop for _, stop in blocks[:-1]]
    assert (blocks[0][0], blocks[-1][1]) == (0, 100)
    for first, stop in blocks:
        assert stop - first == 1 or starts[stop] - starts[first] <= 10
        assert stop - first <= 6


def test_a_cap_on_rows_of_an_id():
    """Rows are spread over all of the ID's and stand for as many."""
    starts = np.array([0, 2, 12, 12])
    order = np.arange(12)[::-1].copy()
    own = SortedRows(None, order, starts, weight=3.0, most=4)
    chosen, bounds, weights = own.block(0, 3)
    assert chosen.tolist() == [11, 10, 9, 7, 4, 2]
    assert bounds.tolist() == [0, 2, 6, 6]
    assert weights.tolist() == [3.0, 7.5, 0.0]


def test_a_sample_of_rows():
    """Distinct rows in their order; all IDs outside it stay."""
    model, train = trained(max_rows=60)
    table = model.tables[1]
    context = context_of(model, train, model.store.placed[1])
    rows = table._rows(context)
    assert len(rows) == 60
    places = (np.arange(60) + np.random.default_rng(0).random()) * (len(train) / 60)
    np.testing.assert_array_equal(rows.ids, train.ids[places.astype(int)])
    assert len(np.unique(places.astype(int))) == 60
    before = table.assignments.copy()
    move(table, context_of(model, train, model.store.placed[1]))
    outside = np.setdiff1d(np.arange(50), rows.ids[:, 1])
    assert len(outside) > 0
    np.testing.assert_array_equal(before[outside], table.assignments[outside])


@pytest.mark.parametrize(
    ("seeded", "prior"), [(False, "gaussian"), (False, "popularity"), (True, "popularity")]
)
def test_a_sampled_row_stands_for_the_others(seeded, prior):
    """Every row three times: a third of them gives what all give, penalties and all."""
    found = []
    for max_rows in (None, 500):
        options = {
            "max_rows": max_rows,
            "norm_penalty": 2.0,
            "popularity_prior": 2.0,
            "prior": prior,
        }
        model, data, place = seedable("gmf", options, n=500)
        train = data.train.subset(np.repeat(np.arange(500), 3))
        context = context_of(model, train, place)
        if seeded:
            seeded_anew(place.table, context)
        else:
            move(place.table, context)
        found.append(place.table.table())
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"first_epoch": 3}, [3, 4, 5, 6, 7]),
        ({"first_epoch": 2, "reassign_every": 2}, [2, 4, 6]),
        ({"reassign_until": 0.5}, [1, 2, 3, 4]),
        ({"reassign_until": 0.0}, []),
    ],
)
def test_when_ids_move(options, expected, monkeypatch):
    model, train = trained(**options)
    place = model.store.placed[0]
    seen = []
    monkeypatch.setattr(AlternatingEmbedding, "reassign", lambda self, c, own: seen.append(c.epoch))
    for epoch in range(1, 8):
        place.table.after_epoch(context_of(model, train, place, epoch=epoch, epochs=8))
    assert seen == expected


def test_chunks_take_turns():
    """Given; or all, half or one where rows are few, one where codewords are very many."""

    def turns(cardinality, dim, n_codewords, rows, epochs, **options):
        sizes = (cardinality, 3)
        model = make_model("gmf", sizes, dim, "alternating", n_codewords, 0, options=options)
        train = rows_of(np.random.default_rng(0), rows, sizes)
        place = model.store.placed[0]
        contexts = [context_of(model, train, place, epoch=epoch) for epoch in epochs]
        return [place.table._chunks(context, rows) for context in contexts]

    given = turns(50, 8, 6, 100, (1, 2, 3), chunks_at_once=3)
    assert given == [[0, 1, 2], [3, 0, 1], [2, 3, 0]]
    assert turns(50, 8, 6, 50 * 8 * 4, (1, 2)) == [[0, 1, 2, 3]] * 2
    few = {"prior": "popularity"}
    assert turns(50, 8, 6, 50 * 8 * 3, (1, 2, 3), **few) == [[0, 1], [2, 3], [0, 1]]
    assert turns(50, 6, 6, 50, (1, 2), n_chunks=3, **few) == [[0, 1], [2, 0]]
    # of ten epochs, each chunk three times: one at once; four times: two
    assert turns(50, 8, 4, 50 * 8 * 3, (1, 2, 5)) == [[0], [1], [0]]
    assert turns(50, 8, 6, 50 * 8 * 3, (1, 2, 3), prior_turns=5) == [[0, 1], [2, 3], [0, 1]]
    assert turns(50, 8, 4, 50 * 8 * 4, (1, 2, 5), prior="gaussian") == [[0], [1], [0]]
    assert turns(50, 8, 4, 50 * 8 * 3, (2, 4), reassign_every=2) == [[0, 1], [2, 3]]
    assert turns(8451, 32, 4096, 8000, range(2, 7), first_epoch=2) == [[0], [1], [2], [3], [0]]
    model, train = trained(chunks_at_once=1)
    before = model.tables[0].assignments.copy()
    reassign(model, train)
    changed = (before != model.tables[0].assignments).any(axis=0)
    assert changed.tolist() == [True, False, False, False]


@pytest.mark.parametrize("state", ["keep", "reset"])
def test_the_optimisers_state_at_the_switch(state):
    model, train = trained(optimizer_state=state, seed_until=0.0)
    place = model.store.placed[0]
    context = context_of(model, train, place)
    for moment in context.moments(place.table.codebook):
        moment[...] = 1
    place.table.after_epoch(context)
    expected = 1 if state == "keep" else 0
    assert all((m == expected).all() for m in context.moments(place.table.codebook))
    others = context.moments(model.tables[1].codebook)
    assert all((m == 0).all() for m in others)


def test_same_seed_same_start():
    one, two = (AlternatingEmbedding(90, 8, 7, rng=3) for _ in range(2))
    np.testing.assert_array_equal(one.assignments, two.assignments)
    doubled = AlternatingEmbedding(90, 8, 7, rng=3, options=AlternatingOptions(start_scale=2.0))
    np.testing.assert_array_equal(doubled.codebook.value, 2 * one.codebook.value)


# What it costs and gives ------------------------------------------------------------------------


@pytest.mark.compiled
def test_reassignment_never_holds_a_table():
    """Half a million IDs of 32 columns: a table is 64 MB."""
    rng = np.random.default_rng(0)
    cardinalities, n = (500_000, 300), 200_000
    train = rows_of(rng, n, cardinalities)
    model = make_model("gmf", cardinalities, 32, "alternating", 16, 0)
    place = model.store.placed[0]
    context = context_of(model, train, place)
    move(place.table, context_of(model, train.subset(slice(0, 100)), place))  # compiled
    tracemalloc.start()
    move(place.table, context)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sorted_rows = 8 * n + 4 * n + 3 * 8 * cardinalities[0]
    assert peak < sorted_rows + 24e6 < 500_000 * 32 * 4


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["gmf", "dlrm"])
def test_it_beats_random_assignments(name):
    """Four codewords a chunk: the best AUC by far above that of the same codewords, hashed."""
    data, _ = low_rank_data()
    best = {}
    for method in ("ce", "alternating"):
        model = make_model(name, data.cardinalities, 8, method, 4, 1)
        trainer = Trainer(
            model, data, Adam(0.01), TrainingOptions(epochs=15, batch_size=128, seed=1)
        )
        trainer.run()
        best[method] = max(record.auc for record in trainer.history)
    assert best["alternating"] > best["ce"] + 0.05


# Codebooks seeded anew --------------------------------------------------------------------------


def test_seeds_find_clusters_that_the_loss_has():
    """IDs of four kinds, whose losses are least at four points: those become the codewords."""
    rng = np.random.default_rng(1)
    centres = np.float32([[2, 0], [-2, 1], [0, 3], [1, -3]])
    kinds = rng.integers(0, 4, 200)
    features = np.zeros((200, 5), np.float32)
    features[:, [0, 2]] = 10.0  # curvature 20, in both columns
    features[:, 3:5] = -20 * centres[kinds]
    codewords, penalties = seed_codewords(features, 4, 1e-3, 0.5, 0)
    nearest = ((codewords[None] - centres[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    assert sorted(nearest) == [0, 1, 2, 3]
    np.testing.assert_allclose(codewords[nearest], centres, atol=1e-3)
    shares = (np.bincount(nearest[kinds], minlength=4) + 1) / 204
    lengths = (codewords.astype(float) ** 2).sum(axis=1)
    np.testing.assert_allclose(penalties, 5e-4 * lengths - 0.5 * np.log(shares))
    strong, _ = seed_codewords(features, 4, 1e6, 0.0, 0)
    assert abs(strong).max() < 0.01


@pytest.mark.parametrize("by_slopes", [True, False])
@pytest.mark.parametrize("name", ["gmf", "matrix-factorization"])
def test_every_id_gets_its_best_new_codeword(name, by_slopes):
    """All by hand: parabolas from the rows, the Gaussian prior; optimiser state at zero."""
    options = {"seeded_at_once": 1, "n_chunks": 2, "popularity_prior": 0.0}
    model, data, place = seedable(name, options)
    context = context_of(model, data.train, place, seed=5)
    for state in context.moments(place.table.codebook):
        state[...] = 1
    before = place.table.table()
    others = place.table.codewords(1).copy(), place.table.assignments[:, 1].copy()
    scores, slopes = model.field_slopes(data.train.ids, data.train.dense, 0)
    mean_square = (place.table.codewords(0) ** 2).mean()
    nat = place.table._nat(context, data.train)
    with from_slopes(by_slopes):
        seeded_anew(place.table, context)
    np.testing.assert_array_equal(others[0], place.table.codewords(1))
    np.testing.assert_array_equal(others[1], place.table.assignments[:, 1])
    for state in context.moments(place.table.codebook):
        assert (state[:3] == 0).all()
        assert (state[3:] == 1).all()
    codewords = place.table.codewords(0).astype(float)
    labels = data.train.labels
    if name == "gmf":
        p = 1 / (1 + np.exp(-scores.astype(float)))
        firsts, seconds = p - labels, p * (1 - p)
    else:
        firsts, seconds = 2 * (scores - labels), np.full(len(labels), 2.0)
    chosen = []
    for j in range(model.cardinalities[0]):
        own = data.train.ids[:, 0] == j
        moves = slopes[own, :4] @ (codewords - before[j, :4]).T
        costs = firsts[own] @ moves + 0.5 * seconds[own] @ moves**2
        costs += nat / mean_square / 2 * (codewords**2).sum(axis=1)
        chosen.append(costs.argmin())
    np.testing.assert_array_equal(chosen, place.table.assignments[:, 0])
    assert len(set(chosen)) > 1


def seedable(name, options, n=4000):
    task = "binary" if name == "gmf" else "regression"
    data = random_data(seed=1, n=n, sizes=(30, 20), task=task)
    settings = {"popularity_prior": 0.1, **options}
    model = spread(make_model(name, (30, 20), 8, "alternating", 3, 0, options=settings), 2, 0.5)
    return model, data, model.store.placed[0]


def test_when_codebooks_are_seeded_anew():
    """Early, where IDs have rows enough, and scores are linear; not with a Gaussian prior."""
    options = {"seed_until": 0.3, "first_epoch": 2, "prior": "popularity"}
    model, data, place = seedable("gmf", options)
    table = place.table
    times = [table._seeds(context_of(model, data.train, place, epoch=e)) for e in range(1, 6)]
    assert times == [False, True, True, False, False]
    enough = 30 * 12  # 1.5 times dim for each ID of the larger field, whosever turn it is
    for place in model.store.placed:
        few = data.train.subset(slice(0, enough - 1))
        assert len(np.unique(few.ids[:, 0])) == 30
        assert not place.table._seeds(context_of(model, few, place, epoch=2))
        few = data.train.subset(slice(0, enough))
        assert place.table._seeds(context_of(model, few, place, epoch=2))
    for prior, seeded in (("auto", [False, True]), ("gaussian", [False, False])):
        model, data, place = seedable("gmf", {"prior": prior})
        rows = [data.train.subset(slice(0, n)) for n in (enough, 30 * 8 * 4)]
        assert [place.table._seeds(context_of(model, part, place)) for part in rows] == seeded
    dlrm = make_model("dlrm", (30, 20), 8, "alternating", 3, 0)
    context = context_of(dlrm, data.train, dlrm.store.placed[0])
    assert not dlrm.tables[0]._seeds(context)
    biased = make_model("gmf", (30, 20), 8, "alternating", 3, 0, bias="compressed")
    place = biased.store.placed[2]
    assert not place.table._seeds(context_of(biased, data.train, place))


def test_seeding_by_blocks_threads_and_samples(monkeypatch):
    found = []
    for count, rows in ((1, 8192), (3, 97)):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr(sorted_rows, "ROWS_AT_ONCE", rows)
        model, data, place = seedable("gmf", {})
        seeded_anew(place.table, context_of(model, data.train, place))
        found.append((place.table.assignments.copy(), place.table.codebook.value.copy()))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    monkeypatch.setattr(alternating, "LEAST_SAMPLE", 10)
    monkeypatch.setattr(alternating, "SAMPLE_PER_CODEWORD", 1)
    model, data, place = seedable("gmf", {})
    seeded_anew(place.table, context_of(model, data.train, place))
    assert np.isfinite(place.table.codebook.value).all()
    assert (place.table.codebook.value != found[0][1]).any()


@pytest.mark.compiled
def test_seeding_finds_what_moves_miss():
    """Many rows an ID: the AUC with codebooks seeded anew is above that of moves alone."""
    data = Synthetic(n_users=200, n_items=200, rows_per_user=300, dim=4).draw(0)
    best = {}
    for until in (0.0, 0.5):
        model = make_model(
            "gmf", (200, 200), 16, "alternating", 8, 1, options={"seed_until": until}
        )
        trainer = Trainer(model, data, Adam(0.003), TrainingOptions(epochs=16, seed=1))
        trainer.run()
        best[until] = max(record.auc for record in trainer.history)
    assert best[0.5] > best[0.0] + 0.01


def test_a_nat_of_squared_loss_is_twice_the_error():
    model, data, place = seedable("matrix-factorization", {})
    context = context_of(model, data.train, place)
    errors = model.scores(data.train.ids) - data.train.labels
    assert place.table._nat(context, data.train) == pytest.approx(2 * (errors**2).mean(), rel=1e-5)
    model, data, place = seedable("gmf", {})
    assert place.table._nat(context_of(model, data.train, place), data.train) == 1.0
