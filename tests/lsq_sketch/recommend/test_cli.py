"""``lsq-sketch``, as its users meet it."""

import csv
import gzip
import io
import json
import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pytest

from lsq_sketch.cli import display, main
from lsq_sketch.cli.compare import slug
from lsq_sketch.recommend.checkpoint import load_model, read_arrays, write_arrays
from lsq_sketch.recommend.comparison import COLUMNS, Comparison, compare, csv_text
from lsq_sketch.recommend.data import load, load_ratings
from lsq_sketch.recommend.data.criteo import FIRST, RARE
from lsq_sketch.recommend.experiment import DataSource, Experiment, MethodChoice
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.training import EpochRecord, TrainingOptions
from tests.checks import heed_interrupts

PROGRAM = [sys.executable, "-m", "lsq_sketch.cli"]
DATA = ("--data", "synthetic:40x25")
SMALL = (*DATA, "--params-per-dim", 8, "--dim", 4, "--batch-size", 64)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Runs the program in this process and in a folder of its own: status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["lsq-sketch", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def read(path):
    return json.loads(path.read_text())


def timeless(found):
    """A result without what the clock says."""
    for record in found["history"]:
        del record["rows_per_second"], record["between_seconds"]
    return found


# ------------------------------------------------------------------ train


def test_training_prints_a_line_an_epoch_and_what_to_hold_it_against(call, tmp_path):
    status, out, err = call("train", *SMALL, "--epochs", 3, "--json", "result.json")
    assert (status, err) == (0, "")
    found = read(tmp_path / "result.json")
    lines = out.splitlines()
    assert lines[0] == (
        "synthetic:40x25: 900 rows to train on, 100 to validate on; IDs: 40 user, 40 item"
    )
    assert lines[1].startswith("gmf, dim 4, cce with 8 parameters a dimension: 64 parameters, ")
    rows = [line.split() for line in lines[4:7]]
    for row, record in zip(rows, found["history"], strict=True):
        assert row[0] == str(record["epoch"])
        assert row[1:4] == [
            f"{record[name]:.4f}" for name in ("train_loss", "validation_loss", "auc")
        ]
        assert int(row[4].replace(",", "")) == round(record["rows_per_second"])
    baseline, best = found["bias_only"], found["best_reachable"]
    assert lines[-2].startswith(f"bias-only model: AUC {baseline['auc']:.4f}, loss ")
    assert lines[-1] == f"best reachable: AUC {best['auc']:.4f}, loss {best['loss']:.4f}"
    assert list(tmp_path.iterdir()) == [tmp_path / "result.json"]


def test_the_result_says_what_it_was_made_with(call, tmp_path):
    words = ("--bias", "--optimizer", "adagrad", "--learning-rate", 0.1, "--plateau")
    words += ("--schedule", "linear")
    call("train", *SMALL, *words, "--seed", 7, "--epochs", 2, "--json", "result.json")
    found = read(tmp_path / "result.json")
    assert found["seed"] == found["settings"]["training"]["seed"] == 7
    assert found["settings"]["bias"] == "full"
    assert found["settings"]["optimizer"] == {
        "name": "adagrad", "learning_rate": 0.1, "epsilon": 1e-10
    }  # fmt: skip
    assert found["settings"]["training"]["drop_patience"] == 3
    assert found["settings"]["training"]["schedule"] == "linear"
    assert [epoch["learning_rate"] for epoch in found["history"]] == [0.1, 0.05]
    assert found["versions"].keys() >= {"lsq-sketch", "python", "numpy", "numba"}
    assert found["parameters"] == 2 * 8 * 4 + 80 + 1
    assert 4 * found["parameters"] < found["serving_bytes"] < found["training_bytes"]
    data = load("synthetic:40x25")
    assert found["best_reachable"] == {"auc": data.best_auc, "loss": data.best_loss}


@pytest.mark.parametrize("method", list(registry()))
def test_every_method_can_be_named(call, tmp_path, method):
    words = ("--method", method, "--epochs", 2, "--no-baseline", "--json", "r.json")
    status, _, err = call("train", *SMALL, *words)
    assert (status, err) == (0, "")
    found = read(tmp_path / "r.json")
    assert found["settings"]["method"] == method
    assert found["bias_only"] is None


@pytest.mark.parametrize("bias", [(), ("--bias",), ("--bias", "compressed"), ("--bias", "none")])
def test_biases_are_counted(call, tmp_path, bias):
    call("train", *SMALL, "--method", "hash", "--epochs", 1, *bias, "--json", "r.json")
    extra = {(): 0, ("--bias",): 81, ("--bias", "compressed"): 17, ("--bias", "none"): 0}[bias]
    assert read(tmp_path / "r.json")["parameters"] == 64 + extra


def test_early_stopping_stops(call, tmp_path):
    words = ("--learning-rate", 0.3, "--early-stopping", 2, "--epochs", 50)
    _, out, _ = call("train", *SMALL, *words, "--json", "r.json", "--no-baseline")
    found = read(tmp_path / "r.json")
    assert found["stopped_early"]
    assert len(found["history"]) == found["best"]["loss_epoch"] + 2 < 50
    assert "; stopped early" in out


def test_models_and_tasks(call, tmp_path):
    (tmp_path / "r.tsv").write_text(
        "".join(f"{u}\t{i}\t{1 + (u * i) % 5}\t{u + i}\n" for u in range(12) for i in range(9))
    )
    words = ("--data", "r.tsv", "--dim", 4, "--params-per-dim", 4, "--epochs", 2)
    words += ("--no-baseline", "--json", "r.json")
    status, out, _ = call("train", *words, "--task", "regression", "--model",
                          "matrix-factorization")  # fmt: skip
    assert status == 0
    assert "AUC" not in out
    assert read(tmp_path / "r.json")["best"]["auc"] is None
    status, out, _ = call("train", *words, "--model", "dlrm", "--hidden", 8, 4, "--method", "hash")
    assert status == 0
    assert read(tmp_path / "r.json")["settings"]["hidden"] == [8, 4]
    call("train", *words, "--drop-ratings", "none", "--method", "hash")
    kept_all = read(tmp_path / "r.json")["data"]["rows"]
    call("train", *words, "--drop-ratings", 3, 2, "--method", "hash")
    assert read(tmp_path / "r.json")["data"]["rows"] < kept_all


def test_malformed_lines_are_an_error_or_counted(call, tmp_path):
    lines = [f"u{u},i{i},{(u + i) % 2}" for u in range(9) for i in range(9)]
    (tmp_path / "r.csv").write_text("\n".join([*lines, "u1,i1,good", *lines]))
    words = ("train", "--data", "r.csv", "--dim", 4, "--epochs", 1, "--no-baseline")
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert "r.csv:82: malformed line" in err
    status, out, err = call(*words, "--skip-bad")
    assert (status, err) == (0, "")
    assert "1 malformed line(s) left out" in out


def test_clicks_in_the_format_of_criteo(call, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(3)
    lines = []
    for row in range(210):
        numbers = [str(n) if n else "" for n in rng.integers(0, 9, 13)]
        words = [f"{w:08x}" if w else "" for w in rng.integers(0, 5, 26)]
        lines.append("\t".join([str(row % 2), *numbers, *words]))
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    words = ("--model", "dlrm", "--method", "ce", "--params-per-dim", 2, "--dim", 4)
    words += ("--epochs", 2, "--no-baseline", "--json", "r.json", "--save", "m.npz")
    status, out, err = call("train", "--data", "criteo:train.txt", *words)
    assert (status, err) == (0, "")
    assert "180 rows to train on, 30 to validate on" in out
    assert "; 13 dense feature(s)" in out
    found = read(tmp_path / "r.json")
    assert len(found["data"]["fields"]) == 26
    model, _ = load_model(tmp_path / "m.npz")
    rows = load("criteo:train.txt").validation
    expected = model.predict(rows.ids, rows.dense)
    unlabelled = "\r\n".join(line[2:] for line in ["", *lines[180:]])
    unknown = "\n".join("?" + line[1:] for line in lines[180:])
    for text in ("\n".join(lines[180:]), unlabelled, unknown):
        (tmp_path / "rows").write_text(text)
        status, out, err = call("predict", "m.npz", "--pairs", "rows")
        header, *found = csv.reader(io.StringIO(out))
        assert (status, err, header[-2:]) == (0, "", ["C26", "prediction"])
        assert [row[:-1] for row in found] == [line.split("\t")[14:] for line in lines[180:]]
        np.testing.assert_allclose([float(row[-1]) for row in found], expected, rtol=1e-5)


def test_clicks_with_categories_that_were_not_there(call, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    line = "1" + 13 * "\t2" + 26 * "\t68fd1e64"
    (tmp_path / "train.txt").write_text(14 * (line + "\n"))
    words = ("--model", "dlrm", "--epochs", 1, "--no-baseline", "--dim", 4, "--save", "m.npz")
    assert call("train", "--data", "train.txt", *words)[0] == 0
    model, _ = load_model(tmp_path / "m.npz")
    (tmp_path / "rows").write_text(line + "\n" + line[:-8] + "abc\n")
    out = call("predict", "m.npz", "--pairs", "rows")[1]
    ids = np.full((2, 26), FIRST)
    ids[1, -1] = RARE
    expected = model.predict(ids, np.full((2, 13), np.log(3)))
    found = [float(row.split(",")[-1]) for row in out.splitlines()[1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    status, out, err = call("predict", "m.npz", "--pairs", "rows", "--unknown", "error")
    assert (status, out) == (2, "")
    assert "C26 'abc' is not among the 1 the model was trained with" in err
    (tmp_path / "rows").write_text(line[2:] + "\n\n1\t2\n")
    status, out, err = call("predict", "m.npz", "--pairs", "rows")
    assert status == 2
    assert "rows:3: malformed line: the number of columns is not 39. Got '1\\t2'." in err
    assert "--skip-bad" not in err


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_training_that_diverges_is_one_line_and_status_1(call, tmp_path, task):
    rows = [f"{n % 7},{n % 5},{n % 3 * 2 + 1}" for n in range(200)]
    (tmp_path / "ratings.csv").write_text("\n".join(rows))
    words = ("--task", task, "--optimizer", "sgd", "--learning-rate", 1e30, "--method", "full")
    with np.errstate(all="ignore"):
        status, _, err = call("train", "--data", "ratings.csv", "--json", "found.json", *words)
    assert status == 1
    assert not (tmp_path / "found.json").exists()
    assert err.startswith("lsq-sketch: ")
    assert "NaN" in err
    assert len(err.splitlines()) == 1


# ------------------------------------------------------------------ stop and go on


def stop_after(monkeypatch, epoch, times=1):
    """Sends Ctrl-C when the line of an epoch is printed."""
    line = display.TrainingDisplay.line

    def stopped(self, record):
        line(self, record)
        if record.epoch == epoch:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(display.TrainingDisplay, "line", stopped)


@pytest.mark.parametrize("checkpoint", [(), ("--checkpoint", "state")])
def test_ctrl_c_saves_and_resume_gives_the_same_bits(call, tmp_path, monkeypatch, checkpoint):
    words = ("train", *SMALL, "--epochs", 6, "--no-baseline")
    call(*words, "--save", "whole.npz", "--json", "whole.json")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        status, out, err = call(*words, *checkpoint)
    assert status == 130
    assert err == "lsq-sketch: interrupted\n"
    (path,) = set(tmp_path.iterdir()) - {tmp_path / "whole.npz", tmp_path / "whole.json"}
    assert path.name == "state" if checkpoint else path.suffix == ".checkpoint"
    assert f"Stopped after epoch 3; saved in {path.name}. Go on: the same command" in out
    status, out, err = call(
        *words, *checkpoint, "--resume", "--save", "parts.npz", "--json", "parts.json"
    )
    assert (status, err) == (0, "")
    assert len([line for line in out.splitlines() if line[:5].strip().isdigit()]) == 6
    assert timeless(read(tmp_path / "parts.json")) == timeless(read(tmp_path / "whole.json"))
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert path.exists() == bool(checkpoint)


def test_a_second_ctrl_c_saves_nothing_that_cannot_be_gone_on_from(call, tmp_path, monkeypatch):
    words = ("train", *SMALL, "--epochs", 6, "--no-baseline")
    call(*words, "--save", "whole.npz")
    with monkeypatch.context() as patch:
        stop_after(patch, 3, times=2)
        status, out, _ = call(*words)
        assert status == 130
        assert out.endswith("by a second Ctrl-C in the middle of its work: not saved.\n")
        assert list(tmp_path.iterdir()) == [tmp_path / "whole.npz"]
        status, out, _ = call(*words, "--checkpoint", "state")
        assert status == 130
        assert "not saved. Go on from state, saved before: the same command" in out
    status, _, _ = call(*words, "--checkpoint", "state", "--resume", "--save", "parts.npz")
    assert status == 0
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_finished_checkpoint_can_train_for_more_epochs(call, tmp_path):
    words = ("train", *SMALL, "--method", "hash", "--checkpoint", "state", "--no-baseline")
    call(*words, "--epochs", 2)
    status, _, err = call(*words, "--epochs", 2)
    assert status == 2
    assert "--checkpoint: state exists. Go on with it by --resume, or delete it." in err
    assert call(*words, "--epochs", 4, "--resume", "--json", "parts.json")[0] == 0
    call("train", *SMALL, "--method", "hash", "--epochs", 4, "--no-baseline", "--json", "w.json")
    assert timeless(read(tmp_path / "parts.json")) == timeless(read(tmp_path / "w.json"))


def test_a_checkpoint_of_another_command_is_refused(call, tmp_path):
    words = ("train", *SMALL, "--epochs", 1, "--checkpoint", "state", "--no-baseline")
    call(*words)
    status, _, err = call(*words, "--resume", "--seed", 2)
    assert status == 2
    assert "--resume: state was made with training.seed = 1, got 2." in err
    (tmp_path / "state").write_bytes(b"nothing")
    status, _, err = call(*words, "--resume")
    assert status == 2
    assert "--resume: state is no saved model or checkpoint" in err
    status, _, err = call("train", *SMALL, "--resume")
    assert status == 2
    assert "--resume: there is no checkpoint lsq-sketch-" in err


@pytest.mark.compiled
def test_ctrl_c_in_a_terminal_of_its_own(tmp_path):
    """The whole program, in the middle of an epoch or between two."""
    process = subprocess.Popen(
        [*PROGRAM, "train", "--data", "synthetic:60x50", "--epochs", "1000000", "--method", "hash"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    for line in process.stdout:
        if line.strip().startswith("2 "):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "lsq-sketch: interrupted\n"
    assert "saved in lsq-sketch-" in out.splitlines()[-1]
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".checkpoint"


# ------------------------------------------------------------------ predict


@pytest.fixture
def saved(call, tmp_path):
    """A model of named users and items, its data, and the folder."""
    rng = np.random.default_rng(1)
    lines = [
        f"ann{rng.integers(20)}::film {rng.integers(15)}::{rng.integers(1, 6)}" for _ in range(400)
    ]
    (tmp_path / "ratings.dat").write_text("\n".join(lines))
    words = ("--data", "ratings.dat", "--dim", 4, "--params-per-dim", 5, "--epochs", 2, "--bias")
    assert call("train", *words, "--no-baseline", "--save", "m.npz")[0] == 0
    return load_model(tmp_path / "m.npz")[0], load_ratings(tmp_path / "ratings.dat"), tmp_path


def scores(out):
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["user", "item", "prediction"]
    return np.array([float(row[2]) for row in rows])


def test_a_saved_model_loads_without_pickle(saved):
    _, _, folder = saved
    with np.load(folder / "m.npz", allow_pickle=False) as content:
        assert all(array.dtype.kind in "fiuU" for array in content.values())


@pytest.mark.parametrize("form", ["::", "\t", ",", "gz", "header", "windows"])
def test_predictions_are_those_of_the_model(call, saved, form):
    model, data, folder = saved
    ids = np.array([[0, 0], [3, 2], [19, 14], [3, 2]])
    names = [[v[i].decode() for v, i in zip(data.vocabularies, row, strict=True)] for row in ids]
    separator = form if form in ("::", "\t") else ","
    lines = [separator.join(row) for row in names]
    if form == "header":
        lines.insert(0, "userId,movieId")
    text = ("\r\n" if form == "windows" else "\n").join([*lines, ""]).encode()
    (folder / "pairs").write_bytes(gzip.compress(text, mtime=0) if form == "gz" else text)
    status, out, err = call("predict", "m.npz", "--pairs", "pairs")
    assert (status, err) == (0, "")
    np.testing.assert_allclose(scores(out), model.predict(ids), rtol=1e-5)
    assert [row[:2] for row in csv.reader(io.StringIO(out))][1:] == names
    assert call("predict", "m.npz", "--pairs", "pairs", "--out", "s.csv") == (0, "", "")
    assert (folder / "s.csv").read_text() == out


def test_an_unknown_value_has_the_mean_vector_and_a_warning_or_is_an_error(call, saved):
    model, data, folder = saved
    user, item = (values[1].decode() for values in data.vocabularies)
    (folder / "pairs").write_text(f"{user},{item}\neve,{item}\n{user},???\neve,???\n")
    status, out, err = call("predict", "m.npz", "--pairs", "pairs")
    assert status == 0
    first, second = err.splitlines()
    assert first == "lsq-sketch: 1 unknown user(s) in 2 row(s), scored by the mean vector: eve"
    assert "1 unknown item(s) in 2 row(s)" in second
    means = [table.table().mean(axis=0) for table in model.tables]
    biases = [table.table().mean() for table in model.biases]
    vectors = [table.table()[1] for table in model.tables]
    own = [float(table.table()[1, 0]) for table in model.biases]
    constant = model.intercept.value[0, 0]
    expected = [
        vectors[0] @ vectors[1] + own[0] + own[1],
        means[0] @ vectors[1] + biases[0] + own[1],
        vectors[0] @ means[1] + own[0] + biases[1],
        means[0] @ means[1] + biases[0] + biases[1],
    ]
    np.testing.assert_allclose(
        scores(out), 1 / (1 + np.exp(-np.array(expected) - constant)), rtol=2e-5
    )
    status, out, err = call(
        "predict", "m.npz", "--pairs", "pairs", "--unknown", "error", "--out", "s.csv"
    )
    assert (status, out) == (2, "")
    assert "user 'eve' is not among the 20 the model was trained with" in err
    assert not (folder / "s.csv").exists()


def test_pairs_are_read_as_ratings_are(call, tmp_path):
    """Quotes after a space, spaces in quotes, a first user whose name begins with "user"."""
    rows = ['user b, "film, A",5', 'user b," film B ",1', 'eve,"film, A",1', 'eve," film B ",4']
    (tmp_path / "ratings.csv").write_text("\n".join(rows * 5))
    words = ("--dim", 2, "--epochs", 1, "--method", "full", "--no-baseline", "--save", "m.npz")
    assert call("train", "--data", "ratings.csv", *words)[0] == 0
    model, about = load_model(tmp_path / "m.npz")
    assert about["vocabularies"] == [["user b", "eve"], ["film, A", " film B "]]
    (tmp_path / "pairs").write_text("\n".join(row.rpartition(",")[0] for row in rows))
    status, out, err = call("predict", "m.npz", "--pairs", "pairs")
    assert (status, err) == (0, "")
    expected = model.predict([[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_allclose(scores(out), expected, rtol=1e-5)


def test_data_without_names_are_scored_by_id(call, tmp_path):
    call("train", *SMALL, "--epochs", 1, "--no-baseline", "--save", "m.npz")
    model, _ = load_model(tmp_path / "m.npz")
    (tmp_path / "pairs").write_text("0\t39\n5\t5\n5\t40\n-1\t5\n")
    _, out, err = call("predict", "m.npz", "--pairs", "pairs")
    np.testing.assert_allclose(scores(out)[:2], model.predict([[0, 39], [5, 5]]), rtol=1e-5)
    assert "1 unknown user(s) in 1 row(s), scored by the mean vector: -1" in err
    assert "1 unknown item(s) in 1 row(s), scored by the mean vector: 40" in err


def test_dense_features_follow_the_fields(call, tmp_path, monkeypatch):
    from lsq_sketch.recommend.data import Dataset, Interactions

    rng = np.random.default_rng(0)
    rows = Interactions.of(rng.integers(0, 5, (60, 3)), rng.integers(0, 2, 60),
                           dense=rng.standard_normal((60, 2)))  # fmt: skip
    data = Dataset("clicks", ("a", "b", "c"), (5, 5, 5), rows, rows)
    monkeypatch.setattr("lsq_sketch.recommend.experiment.load", lambda *_, **__: data)
    words = ("--model", "dlrm", "--dim", 4, "--epochs", 1, "--no-baseline", "--save", "m.npz")
    assert call("train", "--data", "clicks", *words)[0] == 0
    model, _ = load_model(tmp_path / "m.npz")
    (tmp_path / "rows").write_text("0,1,2,0.5,-1\n4,4,4,0,2e-1\n")
    _, out, _ = call("predict", "m.npz", "--pairs", "rows")
    expected = model.predict([[0, 1, 2], [4, 4, 4]], [[0.5, -1], [0, 0.2]])
    found = [float(line.split(",")[3]) for line in out.splitlines()[1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    (tmp_path / "rows").write_text("0,1,2,0.5,x\n")
    status, _, err = call("predict", "m.npz", "--pairs", "rows")
    assert status == 2
    assert "rows:1: expected a finite number, got 'x'" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1\n", "pairs:2: malformed line: 1 column(s), expected 2: user, item. Got '1'"),
        ("", "the file is empty"),
        ("user,item\n", "there are no rows to score; expected user, item, a row a line"),
        ("a,b\rc,d\re,f", "pairs:1: malformed line: 4 column(s), expected 2: user, item."),
        ('a,b\na,"b\n', "pairs:2: malformed line: 1 column(s), expected 2: user, item."),
        ("a," + "b" * 200_000 + ",c\n", "pairs:1: malformed line: 3 column(s), expected 2"),
    ],
)
def test_malformed_pairs(call, saved, text, message):
    (saved[2] / "pairs").write_text(text)
    status, out, err = call("predict", "m.npz", "--pairs", "pairs")
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.compiled
def test_a_reader_that_stops_early_is_no_error(saved):
    folder = saved[2]
    (folder / "pairs").write_text("ann1,film 1\n" * 100_000)
    command = " ".join([*PROGRAM, "predict m.npz --pairs pairs | head -n 2"])
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------ compare

GRID = ("compare", *DATA, "--methods", "full", "hash", "cce", "--params-per-dim", "4", "8",
        "--dim", 4, "--epochs", 2, "--seeds", 2)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The CSV of the same grid, never interrupted."""
    methods = tuple(MethodChoice.parse(name) for name in ("full", "hash", "cce"))
    base = Experiment(dim=4, training=TrainingOptions(epochs=2, keep="last"))
    grid = Comparison(DataSource("synthetic:40x25"), methods, (4, 8), (1, 2), base)
    return csv_text(compare(grid, tmp_path_factory.mktemp("whole")))


def test_a_comparison_writes_a_table_a_csv_and_a_figure(call, tmp_path):
    status, out, err = call(*GRID)
    assert (status, err) == (0, "")
    folder = tmp_path / "output" / "comparison" / "synthetic-40x25-gmf"
    names = {path.name for path in folder.iterdir()}
    assert names == {"cells", "comparison.csv", "comparison.png", "comparison.pdf"}
    assert "  10/10  cce, 8 params/dim, seed 2: AUC 0." in out
    table = out[out.index("\nmethod ") :].split("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in table[1:6]] == ["full", "hash", "hash", "cce", "cce"]
    assert table[6].startswith("bias only")
    assert table[7].startswith("best reachable")
    with (folder / "comparison.csv").open() as file:
        assert file.readline().startswith("# lsq-sketch ")
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    full = [float(row["best_auc"]) for row in rows if row["method"] == "full"]
    assert f"{np.mean(full):.4f}" in table[1]
    assert (folder / "comparison.png").read_bytes()[:4] == b"\x89PNG"
    before = (folder / "comparison.csv").read_bytes()
    status, again, _ = call(*GRID, "--resume")
    assert status == 0
    assert again == out[out.index("\nmethod ") :]
    assert (folder / "comparison.csv").read_bytes() == before


def test_a_comparison_that_was_stopped_goes_on(call, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patch:
        from lsq_sketch.cli import compare as module

        values = module._values

        def stopped(row):
            if row["method"] == "cce":
                os.kill(os.getpid(), signal.SIGINT)
            return values(row)

        patch.setattr(module, "_values", stopped)
        status, out, err = call(*GRID, "--out", "parts")
    assert status == 130
    assert err == "lsq-sketch: interrupted\n"
    assert "Stopped: 4 of 10 cells finished. The same command goes on." in out
    status, out, _ = call(*GRID, "--out", "parts", "--resume")
    assert status == 0
    assert "   5/10  " in out
    assert "   4/10  " not in out
    assert (tmp_path / "parts" / "comparison.csv").read_text() == whole


@pytest.mark.compiled
def test_a_comparison_that_was_killed_goes_on(call, tmp_path, whole):
    process = subprocess.Popen(
        [*PROGRAM, *map(str, GRID), "--out", "parts"],
        stdout=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    for line in process.stdout:
        if "4/10" in line:
            process.kill()
            break
    process.wait(timeout=60)
    process.stdout.close()
    kept = {path.name for path in (tmp_path / "parts" / "cells").glob("*.json")}
    assert 5 <= len(kept) < 11  # the bias-only model is one
    assert call(*GRID, "--out", "parts")[0] == 0
    assert (tmp_path / "parts" / "comparison.csv").read_text() == whole


def test_failed_cells_are_told_and_give_status_1(call):
    with np.errstate(all="ignore"):
        status, out, err = call(*GRID, "--optimizer", "sgd", "--learning-rate", 1e30)
    assert status == 1
    assert "lsq-sketch: full, seed 1 failed: " in err
    assert "NaN" in err
    assert "failed" in out


def test_the_published_procedure_of_methods_that_have_one(call, tmp_path):
    words = ("compare", *DATA, "--methods", "hash", "cce", "cce:paper", "--params-per-dim", 4)
    status, _, _ = call(*words, "--dim", 4, "--epochs", 1, "--seeds", 1, "--paper", "--out", "c")
    assert status == 0
    rows = (tmp_path / "c" / "comparison.csv").read_text().splitlines()[2:]
    assert [row.split(",")[2] for row in rows[:-2]] == [
        "hash",
        MethodChoice.parse("cce:paper").label,
    ]


def test_folders_are_named_after_the_data():
    assert slug("../my data/ratings.csv") == "ratings.csv"
    assert slug("criteo:/a/train.txt") == "train.txt"
    assert slug("..") == "data"


# ------------------------------------------------------------------ mistakes

TRAIN = ("train", *SMALL)
COMPARE = ("compare", *DATA, "--methods", "hash")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "Missing option '--data'"),
        (["train", "--data", "movielens-smal"], "movielens-smal: neither a known data set nor"),
        (["train", "--data", "synthetic:40"], "expected synthetic:USERSxROWS"),
        (["train", "--data", "synthetic:40x25:item=3"], "unknown option 'item=3'"),
        ([*TRAIN, "--skip-bad"], "skip_bad (--skip-bad) does not apply to synthetic:40x25"),
        ([*TRAIN, "--model", "gpt"], "--model must be one of dlrm, gmf, matrix-factorization; got"),
        ([*TRAIN, "--method", "cc"], "--method must be one of 'alternating'"),
        ([*TRAIN, "--method", "cce:a=1"], "--method cce:a=1: 'a=1' is no option of cce; expected"),
        ([*TRAIN, "--method", "hash", "--paper"], "--method hash has no published procedure"),
        ([*TRAIN, "--bias", "some"], "--bias must be one of none, full, compressed; got 'some'"),
        ([*TRAIN, "--dim", "6"], "n_chunks = 4 does not divide dim = 6"),
        ([*TRAIN, "--dim", "0"], "'--dim'"),
        ([*TRAIN, "--params-per-dim", "x"], "'--params-per-dim'"),
        ([*TRAIN, "--loss", "l1"], "--loss must be one of squared, logistic; got 'l1'"),
        ([*TRAIN, "--hidden", "8"], "--model gmf has no place for hidden layers. Choose dlrm."),
        ([*TRAIN, "--optimizer", "lion"], "--optimizer must be one of sgd, adagrad, adam; got"),
        ([*TRAIN, "--learning-rate", "-1"], "--learning-rate must be a finite positive number"),
        ([*TRAIN, "--weight-decay", "1", "--optimizer", "sgd"], "--weight-decay goes with"),
        ([*TRAIN, "--monitor", "f1"], "--monitor must be one of loss, auc; got 'f1'"),
        ([*TRAIN, "--schedule", "cosine"], "--schedule must be one of auto, constant, linear"),
        ([*TRAIN, "--monitor", "auc", "--task", "regression"], "--monitor auc needs a binary task"),
        ([*TRAIN, "--keep", "all"], "--keep must be one of best, last; got 'all'"),
        ([*TRAIN, "--task", "ranking"], "--task must be one of binary, regression; got 'ranking'"),
        ([*TRAIN, "--drop-ratings", "a"], "--drop-ratings must be numbers, or none; got a"),
        ([*TRAIN, "--json", "/nonexistent/r.json"], "--json: the folder /nonexistent does not"),
        ([*TRAIN, "--save", "."], "--save: . is a folder; expected the name of a file"),
        ([*TRAIN, "--early-stopping", "0"], "'--early-stopping'"),
        ([*TRAIN, "--nonsense"], "--nonsense"),
        (["compare", *DATA], "Missing option '--methods'"),
        ([*COMPARE, "ce", "cc"], "--method must be one of"),
        ([*COMPARE, "--paper"], "--paper: none of the --methods has a published procedure"),
        ([*COMPARE, "--seeds", "0"], "'--seeds'"),
        ([*COMPARE, "--resume"], "--resume: there are no finished cells in output/comparison/"),
        ([*COMPARE, "qr", "--dim", "3"], "--method qr with params_per_dim = 16: dim = 3 is odd"),
        ([*COMPARE, "--out", "/proc/nonsense"], "--out: /proc/nonsense cannot be written"),
        (["predict"], "Missing argument 'MODEL'"),
        (["predict", "m.npz"], "Missing option '--pairs'"),
        (["predict", "m.npz", "--pairs", "gone"], "--pairs: gone: no such file"),
        (["predict", "gone.npz", "--pairs", "p"], "gone.npz: no such file. Save a model with"),
        (["predict", "p", "--pairs", "p"], "p is no saved model or checkpoint"),
        (["predict", "p", "--pairs", "p", "--unknown", "x"], "--unknown must be one of mean, "),
        (["recommend"], "recommend"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(call, tmp_path, words, message):
    (tmp_path / "p").write_text("0,0\n")
    status, out, err = call(*words)
    assert status == 2
    assert message in err
    assert err.startswith("lsq-sketch: ")
    assert len(err.splitlines()) == 1
    assert out == ""


def test_a_checkpoint_is_no_saved_model(call):
    call(*TRAIN, "--epochs", 1, "--checkpoint", "state", "--no-baseline")
    status, _, err = call("predict", "state", "--pairs", "state")
    assert status == 2
    assert "state is no model saved by lsq-sketch train --save. If it is a checkpoint" in err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--save", ("predict", "m", "--pairs", "m")),
        ("--checkpoint", (*TRAIN, "--checkpoint", "m", "--resume")),
    ],
)
def test_a_file_of_another_version_is_one_clear_line(call, tmp_path, option, words):
    """With an option of the method that is gone since."""
    call(*TRAIN, "--epochs", 1, option, "m", "--no-baseline")
    arrays, metadata = read_arrays(tmp_path / "m", kind="")
    metadata["model"]["options"]["gone"] = 1.0
    metadata.pop("format")
    write_arrays(tmp_path / "m", arrays, metadata)
    status, _, err = call(*words)
    assert status == 2
    assert "m has a model that this version of lsq-sketch does not make (" in err
    assert "has no option 'gone'" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "compare", "predict"])
def test_help_has_examples(call, command):
    status, out, err = call(command, "--help")
    assert (status, err) == (0, "")
    assert f"lsq-sketch {command} " in out


def test_help_tells_defaults_that_are_lists_or_depend_on_others(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    out = call("compare", "--help")[1]
    assert "[default: 16 64 256 1024]" in out
    assert "[default: output/comparison/DATA-MODEL]" in out


def test_help_and_version(call):
    status, out, _ = call()
    assert status == 0
    assert all(name in out for name in ("train", "compare", "predict"))
    assert call("--version")[1].startswith("lsq-sketch ")


# ------------------------------------------------------------------ terminals


def on_a_terminal(*arguments, folder, **environment):
    """Output of the program with a terminal as its standard streams."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdin=follower, stdout=follower, stderr=follower, cwd=folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "130", **environment},
    )  # fmt: skip
    os.close(follower)
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(leader)
    return process.wait(), b"".join(chunks).decode()


@pytest.mark.compiled
def test_a_terminal_shows_what_is_under_way_and_a_pipe_does_not(call, tmp_path):
    words = ("train", *SMALL, "--method", "hash", "--epochs", 4, "--no-baseline")
    status, text = on_a_terminal(*words, folder=tmp_path)
    assert status == 0
    assert "rows/s" in text
    assert "epoch 4  loss 0." in text
    assert "\x1b[" in text
    _, out, err = call(*words)
    assert "\x1b" not in out + err
    assert "epoch 4  loss" not in out + err


def test_numbers_for_people():
    assert display.in_bytes(999_949) == "999.9 kB"
    assert display.in_bytes(999_951) == "1.0 MB"
    assert display.in_bytes(5 * 10**15) == "5000.0 TB"
    assert display.score(float("nan")) == "-"
    record = EpochRecord(3, 1.5, 2.5, None, 0.1, 1e6)
    assert display.epoch_line(record).split() == ["3", "1.5000", "2.5000", "1,000,000"]
    for auc in (0.5, None):
        line = display.epoch_line(EpochRecord(3, 1.5, 2.5, auc, 0.1, 1e6))
        assert len(line) == len(display.epoch_header(auc is not None))
