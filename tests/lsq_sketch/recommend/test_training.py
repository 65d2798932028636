"""The training loop: same bits for any threads and after any interruption; stopping; quality."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from lsq_sketch import threads
from lsq_sketch.errors import CheckpointError
from lsq_sketch.recommend import training, workspace
from lsq_sketch.recommend.checkpoint import load_model, model_arrays, save_model, write_arrays
from lsq_sketch.recommend.data import Interactions
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.metrics import area_under_curve
from lsq_sketch.recommend.models import make_model
from lsq_sketch.recommend.optimizers import Adagrad, Adam, Sgd
from lsq_sketch.recommend.training import Trainer, TrainingOptions

from .strategies import low_rank_data, random_data

METHODS = tuple(registry())
OPTIONS = TrainingOptions(epochs=4, batch_size=16, seed=5)


def trainer_of(method, data, optimizer=None, options=OPTIONS, name="gmf", **settings):
    model = make_model(name, data.cardinalities, 4, method, 6, 3, n_dense=data.n_dense, **settings)
    return Trainer(model, data, Adam(0.02) if optimizer is None else optimizer, options)


def state(trainer):
    """All that training changed, as bytes."""
    arrays = model_arrays(trainer.model)
    numbers = [trainer.workspace.first, trainer.workspace.second, *arrays.values()]
    records = [(r.train_loss, r.validation_loss, r.auc) for r in trainer.history]
    return b"".join(a.tobytes() for a in numbers), records, trainer.workspace.step


@pytest.mark.compiled
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["gmf", "dlrm"])
def test_same_bits_for_any_number_of_threads(method, name, monkeypatch):
    data = random_data(n_dense=2 if name == "dlrm" else 0)
    found = []
    for count in (1, 3):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        monkeypatch.setattr("lsq_sketch.recommend.models.dlrm.ROWS_A_PIECE", 5)
        monkeypatch.setattr("lsq_sketch.recommend.models.base.ROWS_AT_ONCE", 7)
        trainer = trainer_of(method, data, name=name, bias="compressed")
        trainer.run()
        found.append(state(trainer))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("method", "optimizer", "at"),
    [(method, Adam(0.02, weight_decay=0.1), (2, 2)) for method in METHODS]
    + [("cce", optimizer, at) for optimizer in (Adagrad(), Sgd(0.5)) for at in ((1, 1), (3, 3))],
)
def test_resumed_to_the_same_bits(method, optimizer, at, tmp_path, monkeypatch):
    """Ctrl-C in the middle of an epoch (or at its end), a new process's worth of objects, on."""
    monkeypatch.setattr(workspace, "STEP_ROWS_ALONE", 0)  # rows that must be made up for
    monkeypatch.setattr(workspace, "STEP_ALONE_COST", 0)
    monkeypatch.setattr(training, "BLOCK_BATCHES", 7)
    data = random_data()
    whole = trainer_of(method, data, optimizer)
    whole.run()
    epoch, block = at
    blocks = 0

    def interrupt(progress):
        nonlocal blocks
        blocks = blocks + 1 if progress.epoch == epoch else 0
        if blocks == block:
            os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        trainer_of(method, data, optimizer).run(on_progress=interrupt, checkpoint=path)
    assert os.listdir(tmp_path) == ["state.npz"]
    resumed = Trainer.resume(path, data)
    assert len(resumed.history) == epoch - 1 + (block == 3)
    assert not resumed.finished
    resumed.run(checkpoint=path)
    assert state(resumed) == state(whole)
    assert resumed.best == whole.best
    again = Trainer.resume(path, data)
    assert again.finished
    again.run()
    assert state(again) == state(whole)


def ctrl_c_twice(*ignored):
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("where", ["in a block", "between epochs"])
def test_a_second_ctrl_c_leaves_the_checkpoint_as_it_was(where, tmp_path):
    """It comes in the middle of work: what there is then is no state to go on from."""
    data = random_data()
    whole = trainer_of("cce", data)
    whole.run()
    path = tmp_path / "state.npz"
    stopped = trainer_of("cce", data)
    work = stopped.model.train_block

    def train_block(*arguments):
        loss = work(*arguments)
        if where == "in a block" and len(stopped.history) == 2:
            ctrl_c_twice()
        return loss

    def on_epoch(record):
        if where == "between epochs" and record.epoch == 3:
            ctrl_c_twice()

    stopped.model.train_block = train_block
    with pytest.raises(KeyboardInterrupt):
        stopped.run(on_epoch=on_epoch, checkpoint=path)
    assert stopped.broken_off
    with pytest.raises(CheckpointError, match="not written: training was broken off"):
        stopped.save(path)
    resumed = Trainer.resume(path, data)
    assert len(resumed.history) == 2
    resumed.run()
    assert state(resumed) == state(whole)


def test_a_longer_run_from_a_checkpoint(tmp_path):
    data = random_data()
    options = replace(OPTIONS, keep="last")
    short = trainer_of("hash", data, options=replace(options, epochs=2))
    short.run(checkpoint=tmp_path / "a.npz")
    longer = Trainer.resume(tmp_path / "a.npz", data, epochs=4)
    assert not longer.finished
    longer.run()
    assert len(longer.history) == 4


def test_memory_maps_are_read_in_windows(tmp_path, monkeypatch):
    """Every row once an epoch, in an order of the seed, and never more than a window at once."""
    monkeypatch.setattr(training, "BLOCK_BATCHES", 2)
    monkeypatch.setattr(training, "WINDOW_ROWS", 70)
    data = random_data(n=300, sizes=(300, 7))
    mapped = np.memmap(tmp_path / "ids", np.int32, "w+", shape=(300, 2))
    mapped[:] = data.train.ids
    mapped[:, 0] = np.arange(300)
    rows = Interactions(mapped, data.train.dense, data.train.labels)
    trainer = trainer_of("hash", replace(data, train=rows))
    whole = [block.ids[:, 0].tolist() for block in trainer.blocks(0)]
    seen = [row for block in whole for row in block]
    assert sorted(seen) == list(range(300))
    assert seen != sorted(seen)
    assert all(max(b) - min(b) < 64 for b in whole)
    for skipped in range(len(whole)):
        skip = sum(len(b) for b in whole[:skipped])
        assert [b.ids[:, 0].tolist() for b in trainer.blocks(skip)] == whole[skipped:]
    trainer.run()
    resumed = trainer_of("hash", replace(data, train=rows))
    resumed.run()
    assert state(resumed) == state(trainer)


def test_early_stopping_and_the_best_epoch():
    data = random_data(n=200)
    options = TrainingOptions(epochs=50, batch_size=16, patience=3)
    trainer = trainer_of("full", data, Adam(0.05), options)
    trainer.run()
    losses = [record.validation_loss for record in trainer.history]
    best = int(np.argmin(losses))
    assert trainer.stopped_early
    assert len(losses) == best + 1 + 3 < 50
    assert trainer.best == trainer.history[best]
    scores = trainer.model.scores(data.validation.ids)
    assert trainer.model.mean_loss(scores, data.validation.labels) == losses[best]


def test_the_last_epoch_is_kept_if_wished():
    data = random_data(n=200)
    options = TrainingOptions(epochs=20, batch_size=16, keep="last", monitor="auc")
    trainer = trainer_of("full", data, Adam(0.05), options)
    trainer.run()
    scores = trainer.model.scores(data.validation.ids)
    assert area_under_curve(data.validation.labels, scores) == trainer.history[-1].auc
    assert trainer.best.auc == max(record.auc for record in trainer.history)


def test_the_learning_rate_drops_on_a_plateau():
    options = TrainingOptions(epochs=12, batch_size=16, drop_patience=2, drop_factor=0.5)
    trainer = trainer_of("full", random_data(n=200), Adam(0.1), options)
    trainer.run()
    rates = [record.learning_rate for record in trainer.history]
    losses = [record.validation_loss for record in trainer.history]
    expected, rate, best, since = [], 0.1, np.inf, 0
    for loss in losses:
        expected.append(rate)
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since == 2:
            rate, since = rate * 0.5, 0
    assert rates == expected
    assert rates[-1] < 0.1


def test_the_learning_rate_falls_linearly():
    """Epoch by epoch, beside drops on a plateau; a broken run goes on with the same rates."""
    options = TrainingOptions(
        epochs=12, batch_size=16, drop_patience=2, drop_factor=0.5, schedule="linear"
    )
    trainer = trainer_of("full", random_data(n=200), Adam(0.1), options)
    trainer.run()
    rate, best, since = 0.1, np.inf, 0
    for number, record in enumerate(trainer.history):
        assert record.learning_rate == rate * (1 - number / 12)
        improved = record.validation_loss < best
        best, since = (record.validation_loss, 0) if improved else (best, since + 1)
        if since == 2:
            rate, since = rate * 0.5, 0
    assert rate < 0.1


def test_steps_are_those_of_the_falling_rate(tmp_path):
    """The last of four epochs moves parameters a quarter as far; a resumed run to the same bits."""
    data = random_data(n=16)

    def trainer(**about):
        options = TrainingOptions(epochs=4, batch_size=16, seed=3, keep="last", **about)
        return trainer_of("full", data, Sgd(1e-4), options)

    moved = {}
    for schedule in ("constant", "linear"):
        whole = trainer(schedule=schedule)
        before = []
        whole.run(on_epoch=lambda record, w=whole, b=before: b.append(w.model.store.values.copy()))
        moved[schedule] = [abs(b - a).sum() for a, b in itertools.pairwise(before)]
    expected = np.multiply(moved["constant"], [0.75, 0.5, 0.25])
    np.testing.assert_allclose(moved["linear"], expected, rtol=1e-2)
    first = trainer(schedule="linear")
    first._train_epoch(threading.Event(), None)
    first._end_epoch(None)
    first.save(tmp_path / "checkpoint.npz")
    again = Trainer.resume(tmp_path / "checkpoint.npz", data)
    again.run()
    assert again.model.store.values.tobytes() == whole.model.store.values.tobytes()
    assert again.history == whole.history


@pytest.mark.parametrize(
    ("method", "about", "sizes", "falls"),
    [
        ("alternating", {}, (30, 50), True),
        ("alternating", {"bias": "full"}, (30, 50), True),
        ("alternating", {"bias": "compressed"}, (30, 50), True),
        ("alternating", {}, (7, 9), False),  # rows enough
        ("alternating", {}, (7, 50), False),  # in one field
        ("alternating", {}, (6, 50), True),  # whose table is a full one
        ("alternating", {}, (5, 6), False),  # as all are
        ("alternating", {"options": {"prior": "gaussian"}}, (7, 9), True),
        ("alternating", {"options": {"prior": "popularity"}}, (30, 50), False),
        ("alternating", {"options": {"evaluation": "exact"}}, (30, 50), False),
        ("cce", {}, (30, 50), False),
        ("pq", {}, (30, 50), False),
    ],
)
def test_the_rate_falls_by_itself_where_tables_are_for_it(method, about, sizes, falls):
    data = random_data(sizes=sizes)

    def trainer(schedule):
        model = make_model("gmf", sizes, 4, method, 6, 3, **about)
        return Trainer(model, data, Adam(0.02), replace(OPTIONS, schedule=schedule))

    by_itself = trainer("auto")
    assert by_itself.rate_falls == falls
    by_itself.run()
    last = by_itself.history[-1].learning_rate
    assert last == (0.02 * (1 - (OPTIONS.epochs - 1) / OPTIONS.epochs) if falls else 0.02)
    for schedule in ("constant", "linear"):
        assert trainer(schedule).rate_falls == (schedule == "linear")


def test_training_that_diverges_is_an_error_whatever_the_labels():
    data = random_data(task="regression")
    trainer = trainer_of("full", data, Sgd(1e30), name="matrix-factorization")
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="training has diverged"):
        trainer.run()


def test_progress_and_records():
    data = random_data()
    seen, records = [], []
    trainer = trainer_of("ce", data)
    trainer.run(on_progress=seen.append, on_epoch=records.append)
    assert records == trainer.history
    assert [p.rows for p in seen] == [300] * 4
    assert [p.total_rows for p in seen] == [300] * 4
    assert all(p.rows_per_second > 0 for p in seen)
    assert seen[-1].loss == records[-1].train_loss


def test_the_loss_reported_is_the_loss():
    """With a learning rate of next to nothing, that of the model as it stands."""
    data = random_data()
    trainer = trainer_of("full", data, Sgd(1e-12), replace(OPTIONS, epochs=1))
    trainer.run()
    scores = trainer.model.scores(data.train.ids)
    expected = trainer.model.mean_loss(scores, data.train.labels)
    assert trainer.history[0].train_loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.compiled
@pytest.mark.parametrize("method", ["full", "ce", "cce"])
def test_a_good_model_is_found(method):
    """Rows drawn from a low-rank model; the true scores are the best there is."""
    data, scores = low_rank_data(n=60_000)
    best = area_under_curve(data.validation.labels, scores)
    model = make_model("gmf", data.cardinalities, 8, method, 64, 1)
    trainer = Trainer(model, data, Adam(0.01), TrainingOptions(epochs=15, batch_size=256))
    trainer.run()
    assert best > 0.8
    auc = max(record.auc for record in trainer.history)
    assert auc > {"full": best - 0.03, "ce": 0.6, "cce": 0.65}[method]


@pytest.mark.compiled
def test_dlrm_learns_from_dense_features():
    rng = np.random.default_rng(0)
    data = random_data(n=4000, sizes=(5, 6), n_dense=3)
    for rows in (data.train, data.validation):
        rows.labels[:] = rows.dense[:, 0] * rows.dense[:, 1] + 0.1 * rng.standard_normal() > 0
    trainer = trainer_of("full", data, Adam(0.01), replace(OPTIONS, epochs=20), name="dlrm")
    trainer.run()
    assert trainer.best.auc > 0.95


# Saved models -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bias", ["none", "compressed"])
def test_a_saved_model_predicts_the_same(method, bias, tmp_path):
    data = random_data()
    trainer = trainer_of(method, data, bias=bias)
    trainer.run(checkpoint=tmp_path / "state.npz")
    save_model(trainer.model, tmp_path / "model.npz", {"note": "kept"})
    expected = trainer.model.predict(data.validation.ids)
    model, about = load_model(tmp_path / "model.npz")
    assert about == {"note": "kept"}
    np.testing.assert_array_equal(model.predict(data.validation.ids), expected)
    from_checkpoint, _ = load_model(tmp_path / "state.npz")
    np.testing.assert_array_equal(from_checkpoint.predict(data.validation.ids), expected)


def test_files_hold_no_pickle(tmp_path):
    trainer = trainer_of("cce", random_data(), Adagrad())
    trainer.run(checkpoint=tmp_path / "state.npz")
    with np.load(tmp_path / "state.npz", allow_pickle=False) as content:
        assert all(content[name].dtype != object for name in content.files)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    trainer = trainer_of("hash", random_data())
    trainer.save(tmp_path / "state.npz")
    before = (tmp_path / "state.npz").read_bytes()
    monkeypatch.setattr(np, "savez", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        trainer.save(tmp_path / "state.npz")
    assert (tmp_path / "state.npz").read_bytes() == before
    assert os.listdir(tmp_path) == ["state.npz"]


def test_files_that_are_not_ours(tmp_path):
    data = random_data()
    (tmp_path / "text").write_text("not a model")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", metadata=np.array([{}], dtype=object))
    trainer = trainer_of("hash", data)
    trainer.save(tmp_path / "state.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "state.npz").read_bytes()[:-700])
    for name in ("text", "arrays.npz", "pickle.npz", "cut.npz"):
        with pytest.raises(CheckpointError, match="is no saved model or checkpoint"):
            load_model(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nothing")
    save_model(trainer.model, tmp_path / "model.npz")
    with pytest.raises(CheckpointError, match="is a model of format 1; expected a checkpoint"):
        Trainer.resume(tmp_path / "model.npz", data)
    with pytest.raises(CheckpointError, match=r"trained on random \(300 training rows\)"):
        Trainer.resume(tmp_path / "state.npz", random_data(n=301))
    arrays = model_arrays(trainer.model)
    arrays.popitem()
    metadata = {"kind": "model", "model": trainer.model.settings()}
    write_arrays(tmp_path / "less.npz", arrays, metadata)
    with pytest.raises(CheckpointError, match="do not belong to this model"):
        load_model(tmp_path / "less.npz")


def test_errors():
    data = random_data()
    model = make_model("gmf", (9, 9), 4)
    with pytest.raises(ValueError, match=r"made for fields of \(9, 9\) IDs"):
        Trainer(model, data)
    real = random_data(task="regression")
    with pytest.raises(ValueError, match='Choose loss="squared"'):
        trainer_of("full", real)
    with pytest.raises(ValueError, match="no training rows"):
        trainer_of("full", data.subset(slice(0, 0)))
    nothing = replace(data, validation=data.validation.subset([]))
    with pytest.raises(ValueError, match="no validation rows; expected at least one"):
        trainer_of("full", nothing)
    ones = replace(data, validation=data.validation.subset(data.validation.labels == 1))
    with pytest.raises(ValueError, match=r"monitor is auc, but .* one label only; expected both"):
        trainer_of("full", ones, options=replace(OPTIONS, monitor="auc"))
    with pytest.raises(TypeError, match="data must be a Dataset, got int"):
        Trainer(model, 3)
    for settings, message in (
        ({"epochs": -1}, "epochs must be at least 0"),
        ({"monitor": "mse"}, "monitor must be one of"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"drop_factor": 1.5}, "drop_factor must be a number strictly between"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingOptions(**settings)


def test_outside_the_main_thread_ctrl_c_is_not_heard():
    data = random_data()
    trainer = trainer_of("hash", data)
    threads.for_each(lambda trainer: trainer.run(), [trainer, trainer_of("hash", data)])
    assert trainer.finished
