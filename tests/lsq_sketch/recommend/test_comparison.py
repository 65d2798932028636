"""Methods side by side: the grid, its files, and what a comparison says."""

import csv
import json
import os
import signal
import statistics
from dataclasses import replace

import numpy as np
import pytest

from lsq_sketch.recommend import comparison as module
from lsq_sketch.recommend.baselines import bias_only
from lsq_sketch.recommend.comparison import (
    CELLS,
    COLUMNS,
    Comparison,
    cell_paths,
    compare,
    csv_text,
    name_of,
    read_cell,
    row_of,
    summaries,
    train_cell,
)
from lsq_sketch.recommend.comparison_figure import draw, rendered
from lsq_sketch.recommend.experiment import DataSource, Experiment, MethodChoice, outcome
from lsq_sketch.recommend.optimizers import Sgd
from lsq_sketch.recommend.training import Trainer, TrainingOptions

SOURCE = DataSource("synthetic:40x25")
BASE = Experiment(dim=4, training=TrainingOptions(epochs=2, batch_size=64, keep="last"))


def grid(methods=("full", "hash", "cce"), sizes=(4, 8), seeds=(1, 2), base=BASE, source=SOURCE):
    return Comparison(source, tuple(map(MethodChoice.parse, methods)), sizes, seeds, base)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    return folder, compare(grid(), folder)


def trained(monkeypatch):
    """Names of the cells that are trained from now on."""
    names = []
    original = module.train_cell

    def recorded(experiment, *rest):
        names.append(name_of(experiment))
        return original(experiment, *rest)

    monkeypatch.setattr(module, "train_cell", recorded)
    return names


def test_the_grid_is_of_every_method_size_and_seed_but_the_full_table_has_no_sizes():
    names = [name_of(cell) for cell in grid().experiments()]
    assert names == [
        "full, seed 1", "hash, 4 params/dim, seed 1", "hash, 8 params/dim, seed 1",
        "cce, 4 params/dim, seed 1", "cce, 8 params/dim, seed 1",
        "full, seed 2", "hash, 4 params/dim, seed 2", "hash, 8 params/dim, seed 2",
        "cce, 4 params/dim, seed 2", "cce, 8 params/dim, seed 2",
    ]  # fmt: skip
    assert len(grid(("hash", "hash", "ce:n-chunks=4", "ce"), (4, 4)).experiments()) == 4


@pytest.mark.parametrize("empty", ["methods", "sizes", "seeds"])
def test_an_empty_grid_is_refused(empty):
    with pytest.raises(ValueError, match=f"{empty} is empty"):
        grid(**{empty: ()})


def test_each_cell_is_what_training_it_alone_gives(finished):
    _, results = finished
    data = SOURCE.load()
    assert not results.interrupted
    for experiment, row in zip(grid().experiments(), results.rows, strict=True):
        trainer = experiment.trainer(data)
        trainer.run()
        assert row_of(experiment, outcome(trainer)) == row
        assert row["last_auc"] == trainer.history[-1].auc
        assert row["seed"] == experiment.training.seed


def test_the_references_are_there(finished):
    _, results = finished
    data = SOURCE.load()
    baseline = bias_only(data)
    assert results.bias_only["auc"] == baseline.auc
    assert results.best_reachable == {"auc": data.best_auc, "loss": data.best_loss}
    real = replace(results, best_reachable=None)
    assert "best-reachable" not in csv_text(real)


def test_the_csv_has_the_columns_it_is_said_to_have(finished):
    _, results = finished
    comment, *lines = csv_text(results).splitlines()
    assert comment.startswith("# lsq-sketch ")
    assert '"epochs": 2' in comment
    rows = list(csv.DictReader(lines))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 12
    assert [row["method"] for row in rows[-2:]] == ["bias-only", "best-reachable"]
    for row, expected in zip(rows, results.rows, strict=False):
        for name, value in expected.items():
            assert row[name] == str(value)
        assert int(row["serving_bytes"]) < int(row["training_bytes"])
    assert {row["params_per_dim"] for row in rows if row["method"] == "full"} == {"0"}


def test_summaries_are_means_over_seeds(finished):
    _, results = finished
    lines = summaries(results.rows)
    assert [(line.method, line.params_per_dim) for line in lines] == [
        ("full", 0), ("hash", 4), ("hash", 8), ("cce", 4), ("cce", 8)
    ]  # fmt: skip
    for line in lines:
        rows = [
            row
            for row in results.rows
            if (row["method"], row["params_per_dim"]) == (line.method, line.params_per_dim)
        ]
        assert line.seeds == len(rows) == 2
        aucs = [row["best_auc"] for row in rows]
        assert line.best_auc == pytest.approx(np.mean(aucs), rel=1e-14)
        assert line.best_auc_deviation == statistics.stdev(aucs)
        assert line.last_loss == pytest.approx(np.mean([row["last_loss"] for row in rows]))
        assert line.training_bytes == rows[0]["training_bytes"]
    assert summaries(results.rows[:1])[0].best_auc_deviation is None


# ------------------------------------------------------------------ going on


def test_nothing_is_trained_twice(finished, monkeypatch):
    folder, results = finished
    names = trained(monkeypatch)
    seen = []
    again = compare(grid(), folder, on_progress=seen.append)
    assert names == []
    assert csv_text(again) == csv_text(results)
    assert [now.done for now in seen] == list(range(11))
    assert all(now.was_kept for now in seen[1:])


def test_a_larger_grid_takes_over_what_is_there(finished, monkeypatch):
    folder, _ = finished
    names = trained(monkeypatch)
    larger = compare(grid(("full", "hash", "ce"), (4,), (1, 2, 3)), folder)
    assert sorted(names) == [
        "ce, 4 params/dim, seed 1", "ce, 4 params/dim, seed 2", "ce, 4 params/dim, seed 3",
        "full, seed 3", "hash, 4 params/dim, seed 3",
    ]  # fmt: skip
    assert len(larger.rows) == 9


@pytest.mark.parametrize(
    "change",
    [
        {"base": replace(BASE, optimizer=Sgd(0.1))},
        {"base": replace(BASE, bias="full")},
        {"base": replace(BASE, training=replace(BASE.training, epochs=1))},
        {"source": replace(SOURCE, seed=5)},
        {"methods": ("cce:n-chunks=2",)},
    ],
)
def test_other_settings_are_kept_apart(finished, change):
    folder, _ = finished
    data = change.get("source", SOURCE).load()
    settings = {"methods": ("cce",)} | change
    assert not any(path.exists() for path in cell_paths(grid(**settings), folder, data))


def test_other_code_is_kept_apart(finished, monkeypatch):
    folder, _ = finished
    monkeypatch.setattr(module, "code_digest", lambda: "another")
    assert not any(path.exists() for path in cell_paths(grid(), folder, SOURCE.load()))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"\xff"])
def test_a_damaged_cell_is_trained_again(tmp_path, monkeypatch, content):
    small = grid(("hash",), (4,), (1,))
    expected = compare(small, tmp_path)
    (path,) = cell_paths(small, tmp_path, SOURCE.load())
    path.write_bytes(content)
    assert read_cell(path) is None
    names = trained(monkeypatch)
    assert compare(small, tmp_path).rows == expected.rows
    assert names == ["hash, 4 params/dim, seed 1"]


def test_processes_give_the_same_csv(finished, tmp_path):
    _, results = finished
    apart = compare(grid(), tmp_path, jobs=2)
    assert csv_text(apart) == csv_text(results)
    assert len(list((tmp_path / CELLS).glob("*.json"))) == 11


def test_ctrl_c_between_cells_keeps_what_is_finished(finished, tmp_path, monkeypatch):
    _, results = finished

    def stop(now):
        if now.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    halted = compare(grid(), tmp_path, on_progress=stop)
    assert halted.interrupted
    assert len(halted.rows) == 3
    names = trained(monkeypatch)
    assert csv_text(compare(grid(), tmp_path)) == csv_text(results)
    assert len(names) == 7


def test_ctrl_c_in_a_cell_saves_its_state_which_goes_on_to_the_same_bits(tmp_path):
    base = replace(BASE, training=replace(BASE.training, epochs=6))
    small = grid(("cce",), (8,), (1,), base)
    (path,) = cell_paths(small, tmp_path / "a", SOURCE.load())

    def stop(name, record):
        assert name == "cce, 8 params/dim, seed 1"
        if record.epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)

    halted = compare(small, tmp_path / "a", on_epoch=stop)
    assert halted.rows == []
    assert halted.interrupted
    checkpoint = path.with_suffix(".checkpoint")
    assert len(Trainer.resume(checkpoint, SOURCE.load()).history) == 3
    resumed = compare(small, tmp_path / "a")
    assert not checkpoint.exists()
    assert resumed.rows == compare(small, tmp_path / "b").rows


def test_a_second_ctrl_c_leaves_no_checkpoint_that_cannot_be_gone_on_from(tmp_path):
    small = grid(("cce",), (8,), (1,))
    (path,) = cell_paths(small, tmp_path / "a", SOURCE.load())

    def stop(name, record):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    assert compare(small, tmp_path / "a", on_epoch=stop).interrupted
    assert not path.with_suffix(".checkpoint").exists()
    assert compare(small, tmp_path / "a").rows == compare(small, tmp_path / "b").rows


def test_a_damaged_checkpoint_is_trained_anew(tmp_path):
    small = grid(("hash",), (4,), (1,))
    expected = compare(small, tmp_path / "a").rows
    (path,) = cell_paths(small, tmp_path / "b", SOURCE.load())
    path.parent.mkdir(parents=True)
    path.with_suffix(".checkpoint").write_bytes(b"nothing")
    assert compare(small, tmp_path / "b").rows == expected


def test_long_cells_save_a_checkpoint_after_each_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_ROWS", 900)
    saved = []
    save = Trainer.save
    monkeypatch.setattr(Trainer, "save", lambda self, p: (saved.append(p), save(self, p)))
    (cell,) = grid(("hash",), (4,), (1,)).experiments()
    train_cell(cell, SOURCE.load(), tmp_path / "cell.json")
    assert saved == [tmp_path / "cell.checkpoint"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["cell.json"]


# ------------------------------------------------------------------ what goes wrong


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path):
    base = replace(BASE, optimizer=Sgd(1e30))
    with np.errstate(all="ignore"):
        results = compare(grid(("hash",), (4,), (1, 2), base), tmp_path)
    assert results.rows == []
    assert not results.interrupted
    assert set(results.failures) == {"hash, 4 params/dim, seed 1", "hash, 4 params/dim, seed 2"}
    assert all("NaN" in reason for reason in results.failures.values())
    assert not list((tmp_path / CELLS).glob("hash*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ("full", "ce:n-chunks=3")}, "method ce:n-chunks=3 with params_per_dim = 4: "),
        ({"base": replace(BASE, dim=3), "methods": ("qr",)}, "dim = 3 is odd"),
        ({"base": replace(BASE, model="gpt")}, "model must be one of 'dlrm', 'gmf'"),
        ({"source": replace(SOURCE, spec="synthetic:0x1")}, "n_users must be at least 1"),
        ({"sizes": (0,)}, "sizes must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is(tmp_path, change, message, monkeypatch):
    names = trained(monkeypatch)
    with pytest.raises(ValueError, match=message):
        compare(grid(**change), tmp_path)
    assert names == []


# ------------------------------------------------------------------ figure


def test_the_figure_has_every_method_and_the_same_bytes(finished):
    _, results = finished
    figure = draw(results)
    assert len(figure.axes) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["full", "hash", "cce", "bias only", "best reachable"]
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}
    assert lines["hash"][:, 0].tolist() == [2 * 4 * 4, 2 * 8 * 4]
    means = {(s.method, s.params_per_dim): s.best_auc for s in summaries(results.rows)}
    assert lines["hash"][:, 1] == pytest.approx([means["hash", 4], means["hash", 8]])
    assert lines["bias only"][0][1] == results.bias_only["auc"]
    for suffix in ("png", "pdf"):
        assert rendered(draw(results), suffix) == rendered(draw(results), suffix)


def test_regression_has_one_panel(tmp_path):
    path = tmp_path / "ratings.csv"
    rng = np.random.default_rng(0)
    rows = [f"{rng.integers(9)},{rng.integers(9)},{rng.integers(1, 6)}" for _ in range(200)]
    path.write_text("\n".join(rows))
    source = DataSource(str(path), task="regression")
    results = compare(grid(("hash",), (4,), (1,), source=source), tmp_path)
    assert len(draw(results).axes) == 1
    (row,) = results.rows
    assert row["best_auc"] is None
    assert json.loads(json.dumps(row)) == row
    assert summaries(results.rows)[0].best_auc is None
