"""One training run from plain settings: what it is made of, and what it is known by."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from lsq_sketch.errors import CheckpointError
from lsq_sketch.recommend.baselines import bias_only
from lsq_sketch.recommend.data import Dataset, Interactions, load
from lsq_sketch.recommend.experiment import (
    DataSource,
    Experiment,
    MethodChoice,
    baseline_outcome,
    best_reachable,
    describe,
    outcome,
    training_bytes,
)
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.models import GMF
from lsq_sketch.recommend.optimizers import Adagrad, Sgd
from lsq_sketch.recommend.training import Trainer, TrainingOptions

SOURCE = DataSource("synthetic:40x25")


@pytest.fixture(scope="module")
def data():
    return SOURCE.load()


def small(method="hash", **settings):
    settings.setdefault("training", TrainingOptions(epochs=3, batch_size=64, seed=1))
    return Experiment(method=MethodChoice.parse(method), params_per_dim=8, dim=4, **settings)


# ------------------------------------------------------------------ methods as text


@pytest.mark.parametrize("name", list(registry()))
def test_a_method_alone_has_its_defaults(name):
    choice = MethodChoice.parse(name)
    assert choice == MethodChoice(name, registry()[name].Options())
    assert choice.label == name


def test_options_follow_after_colons():
    text = "cce:cluster-until=0.5:sampling=seen:n-chunks=2"
    choice = MethodChoice.parse(text)
    assert (choice.options.cluster_until, choice.options.n_chunks) == (0.5, 2)
    assert choice.options.sampling == "seen"
    assert MethodChoice.parse(choice.label) == choice
    assert MethodChoice.parse("cce:n_chunks=2").label == "cce:n-chunks=2"


def test_the_published_procedure_has_a_word():
    published = registry()["cce"].published
    assert MethodChoice.parse("cce:paper").options == published
    assert MethodChoice.parse("cce:paper:n-chunks=2").options == replace(published, n_chunks=2)
    assert MethodChoice.parse("cce:n-chunks=2:paper").options == replace(published, n_chunks=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cc", "method must be one of 'alternating'"),
        ("cce:chunks=4", "method cce:chunks=4: 'chunks=4' is no option of cce; expected any of: n"),
        ("cce:n-chunks", "'n-chunks' is no option of cce"),
        ("hash:x=1", "'x=1' is no option of hash; expected any of: none at all"),
        ("cce:n-chunks=two", "n_chunks must be an integer, got 'two'"),
        ("cce:cluster-until=late", "cluster_until must be a number, got 'late'"),
        ("cce:cluster-until=2", "cluster_until must be a share of the epochs from 0 to 1, got 2"),
        ("hash:paper", "method hash has no published procedure beside its default"),
    ],
)
def test_a_wrong_method_is_named(text, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        MethodChoice.parse(text)


# ------------------------------------------------------------------ experiments


def test_the_seed_decides_starting_values_and_order(data):
    def run(seed):
        trainer = small(training=TrainingOptions(epochs=1, batch_size=64, seed=seed)).trainer(data)
        start = trainer.model.store.values.copy()
        trainer.run()
        return start, trainer.model.store.values.copy()

    (start, end), (again, end_again), (other, _) = run(1), run(1), run(2)
    assert start.tobytes() == again.tobytes()
    assert end.tobytes() == end_again.tobytes()
    assert start.tobytes() != other.tobytes()


def test_starting_values_are_independent_of_the_order_of_rows(data):
    """Both come from one seed, but from streams of their own."""
    model = small().make_model(data)
    naive = GMF(data.cardinalities, 4, "hash", 8, rng=1)
    assert not np.array_equal(model.store.values, naive.store.values)


def test_outcome_agrees_with_the_history(data):
    trainer = small(bias="full").trainer(data)
    trainer.run()
    found = outcome(trainer)
    aucs = [record.auc for record in trainer.history]
    losses = [record.validation_loss for record in trainer.history]
    assert found["best"] == {
        "auc": max(aucs), "auc_epoch": 1 + int(np.argmax(aucs)),
        "loss": min(losses), "loss_epoch": 1 + int(np.argmin(losses)),
    }  # fmt: skip
    assert found["last"] == {"auc": aucs[-1], "loss": losses[-1]}
    assert found["parameters"] == 2 * 8 * 4 + 80 + 1
    assert found["table_parameters"] == found["parameters"] - 1
    assert found["serving_bytes"] == trainer.model.serving_bytes
    held = [a.nbytes for a in vars(trainer.workspace).values() if isinstance(a, np.ndarray)]
    assert found["serving_bytes"] < training_bytes(trainer)
    assert training_bytes(trainer) <= found["serving_bytes"] + sum(held)
    assert found["settings"] == small(bias="full").settings()
    assert found["data"]["rows"] == len(data.train)
    json.dumps(found, allow_nan=False)


def test_an_auc_that_is_not_defined_is_none():
    rows = Interactions.of([[0, 0], [1, 1], [0, 1]], labels=[0, 1, 1])
    data = Dataset("tiny", ("user", "item"), (2, 2), rows, rows.subset([1]))
    trainer = Experiment(dim=2, training=TrainingOptions(epochs=2)).trainer(data)
    trainer.run()
    assert math.isnan(trainer.history[0].auc)
    found = outcome(trainer)
    assert found["best"]["auc"] is None
    assert found["last"]["auc"] is None
    assert {record["auc"] for record in found["history"]} == {None}
    json.dumps(found, allow_nan=False)


def test_real_labels_have_squared_loss_unless_told(data):
    rows = replace(data, task="regression")
    assert small().make_model(rows).loss == "squared"
    assert small().make_model(data).loss == "logistic"
    assert small(model="matrix-factorization").make_model(data).loss == "squared"
    with pytest.raises(ValueError, match="logistic loss"):
        small(loss="logistic").trainer(rows)


def test_hidden_layers_and_dense_features_need_dlrm(data):
    assert small(model="dlrm", hidden=(5,)).make_model(data).hidden == (5,)
    with pytest.raises(ValueError, match="model gmf has no place for hidden layers"):
        small(hidden=(5,)).make_model(data)
    rows = Interactions.of([[0, 0], [1, 1]], labels=[0, 1], dense=[[0.0], [1.0]])
    with pytest.raises(ValueError, match="no place for the dense features of d"):
        small().make_model(Dataset("d", ("a", "b"), (2, 2), rows, rows))


# ------------------------------------------------------------------ keys and checkpoints

CHANGES = {
    "model": {"model": "matrix-factorization"},
    "method": {"method": MethodChoice.parse("ce")},
    "options": {"method": MethodChoice.parse("ce:n-chunks=2")},
    "params_per_dim": {"params_per_dim": 9},
    "dim": {"dim": 8},
    "bias": {"bias": "full"},
    "loss": {"loss": "squared"},
    "optimizer": {"optimizer": Sgd(0.1)},
    "rate": {"optimizer": Adagrad(0.1)},
    "seed": {"training": TrainingOptions(epochs=3, batch_size=64, seed=2)},
    "epochs": {"training": TrainingOptions(epochs=4, batch_size=64, seed=1)},
}


def test_every_setting_makes_another_key(data):
    keys = {name: replace(small(), **change).key(data) for name, change in CHANGES.items()}
    keys["none"] = small().key(data)
    assert keys["none"] == small().key(SOURCE.load())
    keys["data seed"] = small().key(load("synthetic:40x25", seed=1))
    keys["rows"] = small().key(data.subset(slice(0, 100)))
    assert len(set(keys.values())) == len(keys)


def test_the_digest_of_data_sees_one_label(data):
    labels = data.train.labels.copy()
    labels[7] = 1 - labels[7]
    changed = replace(data, train=replace(data.train, labels=labels))
    assert describe(changed)["digest"] != describe(data)["digest"]
    assert describe(changed) | {"digest": ""} == describe(data) | {"digest": ""}


def test_the_digest_of_memory_maps_is_of_their_ends(data, tmp_path, monkeypatch):
    monkeypatch.setattr("lsq_sketch.recommend.experiment.DIGEST_ROWS", 10)
    ids = np.memmap(tmp_path / "ids", np.int32, "w+", shape=data.train.ids.shape)
    ids[:] = data.train.ids
    before = describe(replace(data, train=replace(data.train, ids=ids)))["digest"]
    for row, seen in ((0, True), (50, False), (len(ids) - 1, True)):
        ids[row, 1] ^= 1
        after = describe(replace(data, train=replace(data.train, ids=ids)))["digest"]
        assert (after != before) == seen
        ids[row, 1] ^= 1


def test_a_checkpoint_goes_on_to_the_same_bits_and_more_epochs(data, tmp_path):
    path = tmp_path / "state"
    whole = small("cce").trainer(data)
    whole.run()
    trainer = small("cce").trainer(data)

    def stop(now):
        if now.epoch == 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        trainer.run(on_progress=stop)
    trainer.save(path)
    resumed = small("cce").resumed(path, data)
    assert len(resumed.history) == 1
    resumed.run()
    assert resumed.history == whole.history
    assert resumed.model.store.values.tobytes() == whole.model.store.values.tobytes()
    assert outcome(resumed)["settings"] == small("cce").settings()


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "epochs"])
def test_a_checkpoint_of_other_settings_is_refused(data, tmp_path, name):
    small().trainer(data).save(tmp_path / "state")
    with pytest.raises(CheckpointError, match=r"was made with .* = .*, got .*") as caught:
        replace(small(), **CHANGES[name]).resumed(tmp_path / "state", data)
    assert "state" in str(caught.value)


def test_a_checkpoint_of_other_data_is_refused(data, tmp_path):
    small().trainer(data).save(tmp_path / "state")
    other = load("synthetic:40x25", seed=1)
    with pytest.raises(CheckpointError, match="was made with other data: digest = "):
        small().resumed(tmp_path / "state", other)
    more = replace(small(), training=replace(small().training, epochs=9))
    assert more.resumed(tmp_path / "state", data).options.epochs == 9
    Trainer(GMF(data.cardinalities, 4), data).save(tmp_path / "bare")
    with pytest.raises(CheckpointError, match="was made with"):
        small().resumed(tmp_path / "bare", data)


# ------------------------------------------------------------------ what it is held against


def test_references_are_those_of_the_data(data):
    found, expected = baseline_outcome(data), bias_only(data)
    assert (found["auc"], found["loss"]) == (expected.auc, expected.loss)
    assert found["parameters"] == 81
    assert found["bytes"] == 324
    assert best_reachable(data) == {"auc": data.best_auc, "loss": data.best_loss}
    assert best_reachable(data.split(0.2)) is None


def test_data_of_one_label_have_no_bias_only_model(data):
    ones = replace(data.train, labels=np.ones(len(data.train), np.float32))
    assert baseline_outcome(replace(data, train=ones)) is None


def test_tuning_leaves_the_validation_rows_alone(data):
    tuned = replace(SOURCE, tuning=True).load()
    assert len(tuned.train) + len(tuned.validation) == len(data.train)
    assert tuned.best_auc is None
