"""Quantisation of trained tables: what is evaluated, counted, fine-tuned and resumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsq_sketch.quantize import product_quantization, residual_quantization
from lsq_sketch.recommend.checkpoint import load_model, model_arrays, save_model
from lsq_sketch.recommend.experiment import training_bytes
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.models import make_model
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.post_training import compress, compresses_trained, uncompressed
from lsq_sketch.recommend.training import Trainer, TrainingOptions

from .strategies import low_rank_data, random_data

QUANTIZERS = ("pq", "rq")
OPTIONS = TrainingOptions(epochs=4, batch_size=16, seed=5, keep="last")


def trainer_of(method, data, training=OPTIONS, name="gmf", **settings):
    model = make_model(name, data.cardinalities, 4, method, 6, 3, n_dense=data.n_dense, **settings)
    return Trainer(model, data, Adam(0.02), training)


@pytest.mark.parametrize("method", QUANTIZERS)
def test_a_table_of_few_distinct_vectors_is_kept(method):
    rng = np.random.default_rng(0)
    distinct = rng.standard_normal((4, 8)).astype(np.float32)
    values = distinct[rng.integers(0, 4, 100)]
    table = registry()[method](100, 8, 16, rng=0)
    table.compress(values, rng=1)
    np.testing.assert_allclose(table.table(), values, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "quantize"),
    [
        ("pq", lambda values: product_quantization(values, 8, 4, rng=1)),
        ("rq", lambda values: residual_quantization(values, 2, 4, rng=1)),
    ],
)
def test_codes_and_codewords_are_those_of_the_quantisation(method, quantize):
    values = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    table = registry()[method](60, 8, 8, rng=0)
    table.compress(values, rng=1)
    found = quantize(values)
    np.testing.assert_allclose(table.table(), found.table, atol=1e-5)
    np.testing.assert_array_equal(table.assignments.T, found.codes)


@pytest.mark.parametrize("method", QUANTIZERS)
def test_fewer_ids_than_codewords(method):
    values = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    table = registry()[method](3, 4, 20, rng=0)
    table.compress(values, rng=1)
    np.testing.assert_allclose(table.table(), values, atol=1e-6)


@pytest.mark.parametrize("method", QUANTIZERS)
@pytest.mark.parametrize(("name", "bias"), [("gmf", "compressed"), ("dlrm", "full")])
def test_what_is_evaluated_is_the_quantised_table(method, name, bias):
    """Trained: full tables and networks; in the model: their quantisation, and the networks."""
    data = random_data(n_dense=2 if name == "dlrm" else 0)
    trainer = trainer_of(method, data, name=name, bias=bias)
    learner = trainer.learner
    assert learner.method == "full"
    trainer.run()
    model = trainer.model
    for own, full in zip(model.tables, learner.tables, strict=True):
        assert 0 < ((own.table() - full.table()) ** 2).mean() < (full.table() ** 2).mean()
        assert len(np.unique(own.table()[:, :1])) <= 6
    for layer in set(model.parameters) - {f"{p.name}/codebook" for p in model.store.placed}:
        np.testing.assert_array_equal(
            model.parameters[layer].value, learner.parameters[layer].value
        )
    validation = data.validation
    scores = model.scores(validation.ids, validation.dense)
    assert trainer.history[-1].validation_loss == model.mean_loss(scores, validation.labels)


def test_counts_are_those_of_the_quantised_model():
    trainer = trainer_of("pq", random_data())
    assert trainer.model.parameter_count == 2 * 6 * 4
    assert trainer.learner.parameter_count == 80 * 4
    full = Trainer(uncompressed(trainer.model), trainer.data, Adam(), OPTIONS)
    held = training_bytes(full) + trainer.model.serving_bytes
    assert training_bytes(trainer) == held


def test_where_there_is_room_for_every_table_nothing_is_compressed():
    data = random_data(sizes=(5, 6))
    trainer = trainer_of("pq", data)
    assert trainer.learner is trainer.model
    assert not compresses_trained(trainer.model)


def test_a_small_field_keeps_its_full_table():
    data = random_data(sizes=(5, 50))
    trainer = trainer_of("rq", data)
    trainer.run()
    small = trainer.model.tables[0]
    np.testing.assert_array_equal(small.table(), trainer.learner.tables[0].table())


@pytest.mark.parametrize("method", QUANTIZERS)
def test_fine_tuning_trains_codebooks_and_keeps_codes(method):
    data, _ = low_rank_data(n=2000, sizes=(30, 40))
    chosen = {"n_stages": 2} if method == "rq" else {}
    training = TrainingOptions(epochs=6, batch_size=64, seed=5, keep="last")
    found = {}
    for start in (None, 3):
        trainer = trainer_of(method, data, training, options={"fine_tune_from": start, **chosen})
        codes = []
        trainer.run(
            on_epoch=lambda record, t=trainer, c=codes: c.append(t.model.store.assignments.copy())
        )
        found[start] = trainer, codes
    trainer, codes = found[3]
    assert trainer.learner is trainer.model
    assert all(np.array_equal(codes[2], later) for later in codes[3:])
    assert trainer.training_bytes >= found[None][0].training_bytes  # the most it ever held
    assert trainer.workspace.first.size == trainer.model.parameter_count
    # the loss of codebooks falls once it is they that are trained
    losses = [record.train_loss for record in trainer.history]
    assert losses[5] < losses[4] < losses[3]


@pytest.mark.parametrize("method", QUANTIZERS)
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_resumed_to_the_same_bits_before_and_after_the_switch(method, stop, tmp_path):
    data = random_data()
    options = {"fine_tune_from": 2}
    whole = trainer_of(method, data, options=options)
    whole.run()
    path = tmp_path / "state.npz"
    part = trainer_of(method, data, replace(OPTIONS, epochs=stop), options=options)
    part.run(checkpoint=path)
    again = Trainer.resume(path, data, epochs=4)
    again.run()
    assert again.history == whole.history
    for name, array in model_arrays(whole.model).items():
        np.testing.assert_array_equal(array, model_arrays(again.model)[name])


def test_a_saved_model_is_the_quantised_one(tmp_path):
    data = random_data()
    trainer = trainer_of("pq", data)
    trainer.run()
    save_model(trainer.model, tmp_path / "model.npz")
    model, _ = load_model(tmp_path / "model.npz")
    ids = data.validation.ids
    np.testing.assert_array_equal(model.scores(ids), trainer.model.scores(ids))
    assert model.parameter_count == 48


def test_same_bits_twice():
    data = random_data()
    model = trainer_of("rq", data).model
    trained = uncompressed(model, 4)
    compress(trained, model, 7)
    before = model_arrays(model)["state/table0/assignments"].copy()
    compress(trained, model, 7)
    np.testing.assert_array_equal(before, model_arrays(model)["state/table0/assignments"])


def test_other_methods_are_not_made_from_tables():
    table = registry()["ce"](9, 4, 2)
    with pytest.raises(TypeError, match="method ce is trained, not made from a trained table"):
        table.compress(np.zeros((9, 4)), 0)
