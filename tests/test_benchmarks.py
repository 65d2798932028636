"""A toy-size run of every benchmark; times themselves are never asserted."""

import json
import subprocess
import sys

import numpy as np
import pytest
import typer

from benchmarks import __main__ as command_line
from benchmarks import recommenders
from benchmarks.__main__ import registry
from benchmarks.peers import places
from benchmarks.timing import Benchmark, Contender, measure
from lsq_sketch.recommend.data import Dataset
from lsq_sketch.recommend.methods import make_table
from lsq_sketch.recommend.methods import registry as methods
from lsq_sketch.recommend.metrics import area_under_curve
from lsq_sketch.recommend.models import GMF
from lsq_sketch.recommend.training import Trainer, TrainingOptions
from lsq_sketch.rng import generator


@pytest.mark.parametrize("name", sorted(set(registry()) - {"recommenders"}))
def test_toy_run_checks_results_equal_and_times_them(name):
    benchmark = registry()[name].prepare("toy")
    timings = measure(benchmark, repeats=2)
    assert timings[0].role == "ours"
    assert {timing.role for timing in timings} == {"ours", "peer", "limit"}
    assert all(0 < timing.least <= timing.median for timing in timings)


def test_contenders_are_interleaved_and_shares_are_scaled():
    order = []
    benchmark = Benchmark(
        "work",
        Contender(lambda: order.append("ours")),
        {"peer": Contender(lambda: order.append("peer"), share=1e-6)},
        {"limit": Contender(lambda: order.append("limit"))},
    )
    timings = {timing.name: timing for timing in measure(benchmark, 3)}
    assert order == ["ours", "peer", "limit"] * 3
    assert timings["peer"].median > 1000 * timings["ours"].median
    assert timings["peer"].ratio == timings["peer"].median / timings["ours"].median


def test_a_wrong_result_is_not_timed(monkeypatch):
    monkeypatch.setattr(
        "benchmarks.count_sketch.CountSketch.apply", lambda self, X: X[:, : self.m] * 0.0
    )
    with pytest.raises(AssertionError):
        registry()["count-sketch"].prepare("toy")


# ------------------------------------------------------------------ recommenders, without PyTorch


SUMS_OF_SLICES = ["full", "hash", "ce", "bloom", "cce", "alternating", "qr"]


@pytest.mark.parametrize("method", SUMS_OF_SLICES)
def test_the_look_up_tables_of_the_peer_give_our_vectors(method):
    table = make_table(method, 90, 8, 12, rng=3)
    rows = places.slice_places(table)
    vectors = table.parameters["codebook"].value[rows].sum(axis=1).reshape(90, 8)
    np.testing.assert_allclose(vectors, table.table(), rtol=1e-6, atol=1e-7)


def hash_embedding(table, codebook, weights):
    buckets, sets = places.weighted_places(table)
    return np.einsum("nh,nhd->nd", weights[sets], codebook[buckets])


def robe(table, array):
    return array.ravel()[places.circular_places(table)]


def tensor_train(table, first, second, third):
    i, j, k = places.digits(table).T
    middle = second.reshape(len(second), second.shape[1], -1, third.shape[2])
    vectors = np.einsum("nas,nsbt,nct->nabc", first[i], middle[j], third[k])
    return vectors.reshape(table.cardinality, table.dim)


def low_dimensional(table, narrow, projection):
    return narrow[places.narrow_places(table)] @ projection


def dhe(table, *layers):
    values = places.features(table)
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        values = np.maximum(values @ weight + bias, 0)
    return values @ layers[-2] + layers[-1]


OTHERS = {
    "hash-embedding": hash_embedding, "robe": robe, "tensor-train": tensor_train,
    "low-dimensional": low_dimensional, "dhe": dhe,
}  # fmt: skip


@pytest.mark.parametrize("budget", [12, 45])
@pytest.mark.parametrize("method", OTHERS)
def test_what_else_the_peers_look_up_gives_our_vectors(method, budget):
    """With little room, where IDs share rows and sets of weights, and with more."""
    table = make_table(method, 90, 8, budget, rng=3)
    numbers = [parameter.value for parameter in table.parameters.values()]
    np.testing.assert_allclose(OTHERS[method](table, *numbers), table.table(), atol=1e-6)


@pytest.mark.parametrize(("method", "count"), [("dhe", 3), ("full", 1)])
def test_limits_leave_the_model_alone(method, count):
    ours = recommenders.Training.of(method, 12, (40, 60), 2000)
    before = ours.model.store.values.copy()
    limits = recommenders.limits(ours)
    assert len(limits) == count
    for limit in limits.values():
        limit.run()
    np.testing.assert_array_equal(ours.model.store.values, before)


def test_every_method_has_a_peer():
    assert sorted(recommenders.methods_trained()) == sorted({*SUMS_OF_SLICES, *OTHERS} - {"full"})
    left_out = set(methods()) - set(recommenders.methods_trained())
    assert left_out == {"full", "pq", "rq"}  # the latter two train a full table


@pytest.mark.parametrize("method", ["full", "cce"])
def test_the_epoch_that_is_timed_is_the_trainers(method):
    ours = recommenders.Training.of(method, 6, (30, 20), 3000)
    model = GMF((30, 20), recommenders.DIM, method, 6, rng=1)
    data = Dataset("rows", ("user", "item"), (30, 20), ours.rows, ours.rows)
    trainer = Trainer(model, data, options=TrainingOptions(epochs=1, seed=5))
    ours.rng = generator(int(generator(5).integers(2**63)))
    trainer.run()
    assert ours.epoch() == pytest.approx(trainer.history[0].train_loss, rel=1e-12)
    np.testing.assert_array_equal(ours.model.store.values, model.store.values)


def test_rows_of_the_recommenders_are_of_both_labels_and_skewed():
    rows = recommenders.interactions((50, 40), 5000)
    counts = np.sort(np.bincount(rows.ids[:, 0], minlength=50))
    assert counts[-1] > 5 * counts[25]
    assert 0.4 < rows.labels.mean() < 0.6
    assert 0.4 < area_under_curve(rows.labels, rows.ids[:, 0].astype(float)) < 0.6


def test_steps_between_epochs_are_timed_beside_what_they_may_take():
    found = list(recommenders.between_epochs("toy"))
    assert [benchmark.part for benchmark in found] == [
        "cluster cce 8", "reassign alternating 8, epoch 1", "reassign alternating 8, epoch 8",
    ]  # fmt: skip
    for benchmark, epochs in zip(found, (0.5, 2, 2), strict=True):
        (allowance,) = benchmark.allowances.values()
        assert allowance.share == 1 / epochs
        timings = measure(benchmark, 2)
        assert {timing.role for timing in timings} >= {"ours", "allowance"}
        assert all(timing.least > 0 for timing in timings)


def test_a_timed_step_begins_where_the_one_before_began(monkeypatch):
    made, of = [], recommenders.Training.of
    monkeypatch.setattr(
        recommenders.Training, "of", lambda *arguments: made.append(of(*arguments)) or made[-1]
    )
    benchmark = recommenders.reassignment(recommenders.SIZES["toy"], 8, 1)
    after = made[0].model.store.assignments.copy()
    benchmark.ours.run()
    np.testing.assert_array_equal(made[0].model.store.assignments, after)


def test_bad_clusters_are_not_timed(monkeypatch):
    def scatter(self, rng, frequencies=None, chunks=None):
        self.centroids(0)[...] += 1

    monkeypatch.setattr(recommenders.ClusteredEmbedding, "cluster", scatter)
    with pytest.raises(AssertionError):
        recommenders.clustering(recommenders.SIZES["toy"], 8)


def test_recommenders_without_pytorch(monkeypatch):
    monkeypatch.setattr(recommenders, "find_spec", lambda name: None)
    message = r'recommenders needs PyTorch: pip install "lsq-sketch\[benchmark\]"'
    with pytest.raises(typer.BadParameter, match=message):
        command_line.main(["recommenders"], size="toy", repeats=1, list_only=False, json=None)


def test_recommenders_are_left_out_of_a_run_of_all(monkeypatch, capsys):
    monkeypatch.setattr(recommenders, "find_spec", lambda name: None)
    known = {name: registry()[name] for name in ("count-sketch", "recommenders")}
    monkeypatch.setattr(command_line, "registry", lambda: known)
    command_line.main(None, size="toy", repeats=1, list_only=False, json=None)
    out = capsys.readouterr().out
    assert "scipy.sparse product" in out
    assert "recommenders  left out: needs PyTorch" in out


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True
    )


def test_command_line(tmp_path):
    path = tmp_path / "timings.json"
    done = command("count-sketch", "--size", "toy", "--repeats", "2", "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "scipy.sparse product" in done.stdout
    written = json.loads(path.read_text())
    assert written["benchmarks"]["count-sketch"]["timings"][0]["name"] == "ours"
    assert written["environment"]["threads"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no benchmark 'nothing'; choose from"),
        (["--size", "huge"], "--size must be full or toy; got 'huge'"),
        (["--json", "/nonexistent/x.json"], "does not exist"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
