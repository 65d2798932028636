"""The training loop: shuffled batches, evaluation, early stopping, checkpoints, Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validate
from ..errors import CheckpointError
from ..rng import generator
from ..threads import row_chunks, single_threaded_blas
from .checkpoint import (
    copy_model,
    model_arrays,
    read_arrays,
    restore_arrays,
    restore_model,
    saved_model,
    write_arrays,
)
from .data import Dataset, Interactions
from .data.dataset import is_memory_map
from .methods import Parameter, Table
from .metrics import area_under_curve
from .models import Model
from .optimizers import OPTIMIZERS, Adam, Optimizer
from .post_training import compress, compresses_trained, fine_tuned_from, uncompressed
from .workspace import BLOCK_BATCHES, Placed, Workspace

WINDOW_ROWS = 1 << 20
"""Rows of a memory map that are read and shuffled together."""

MONITORS = ("loss", "auc")
KEEPS = ("best", "last")
SCHEDULES = ("auto", "constant", "linear")


@dataclass(frozen=True)
class TrainingOptions:
    """How long and in what order to train.

    Attributes
    ----------
    epochs : int
    batch_size : int
    seed : int
        Of the order of rows and of what methods draw between epochs. (The starting values are
        drawn when the model is made.)
    monitor : {"loss", "auc"}
        What is watched on the validation rows.
    patience : int or None
        Stop after so many epochs without a better value; None: never.
    drop_patience : int or None
        Multiply the learning rate by ``drop_factor`` after so many epochs without a better value;
        None: never.
    drop_factor : float
    schedule : {"auto", "constant", "linear"}
        Of the learning rate. Linear: in epoch ``t`` of ``epochs``, from 0, times
        ``1 - t / epochs``, so that the last epochs change little; it regularises where codebooks
        come to fit noise, and wants more epochs where they do not. Auto: linear if all tables
        that are compressed are for it (`Table.for_falling_rate`), as alternating CCE is where IDs
        have few rows.
    keep : {"best", "last"}
        Which epoch's parameters the model has at the end. "best" holds them twice meanwhile.
    """

    epochs: int = 30
    batch_size: int = 1024
    seed: int = 0
    monitor: str = "loss"
    patience: int | None = None
    drop_patience: int | None = None
    drop_factor: float = 0.1
    schedule: str = "auto"
    keep: str = "best"

    def __post_init__(self) -> None:
        _validate.integer(self.epochs, "epochs", low=0)
        _validate.integer(self.batch_size, "batch_size", low=1)
        _validate.integer(self.seed, "seed", low=0)
        _validate.choice(self.monitor, "monitor", MONITORS)
        _validate.choice(self.schedule, "schedule", SCHEDULES)
        _validate.choice(self.keep, "keep", KEEPS)
        for name in ("patience", "drop_patience"):
            if getattr(self, name) is not None:
                _validate.integer(getattr(self, name), name, low=1)
        _validate.probability(self.drop_factor, "drop_factor")


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave.

    Attributes
    ----------
    epoch : int
        From 1.
    train_loss : float
        Mean over the rows, each before the step of its batch.
    validation_loss : float
    auc : float or None
        On the validation rows; None for regression.
    learning_rate : float
    rows_per_second : float
        In training alone, since the loop was last entered.
    between_seconds : float
        Time of what methods did after the epoch before this one.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    auc: float | None
    learning_rate: float
    rows_per_second: float = field(compare=False)
    between_seconds: float = field(compare=False, default=0.0)


@dataclass(frozen=True)
class Progress:
    """Where training stands within an epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    rows, total_rows : int
        Rows of this epoch done, and in all.
    loss : float
        Mean over the rows done.
    rows_per_second : float
    """

    epoch: int
    rows: int
    total_rows: int
    loss: float
    rows_per_second: float


@dataclass(frozen=True)
class EpochContext:
    """What a method may know between epochs.

    Attributes
    ----------
    epoch : int
        Epochs done, from 1; 0 before the first.
    epochs : int
        Epochs in all, if training is not stopped early.
    rng : numpy.random.Generator
        The method's own stream for this epoch and table.
    model : Model
    table : Table
        The one that is asked; one of ``model.tables`` or ``model.biases``.
    field, column : int
        Its place: field of the IDs, first column of the vectors (``model.dim`` for biases).
    train : Interactions
        The training rows; perhaps memory maps.
    workspace : Workspace
    """

    epoch: int
    epochs: int
    rng: np.random.Generator
    model: Model
    table: Table
    field: int
    column: int
    train: Interactions
    workspace: Workspace
    _frequencies: dict[int, np.ndarray]

    def frequencies(self) -> np.ndarray:
        """Training rows of each ID of the field: int64, (cardinality,). Counted once."""
        return self._frequencies_of(self.field)

    def mean_frequency(self, field: int) -> float:
        """Training rows of an ID of any field, on average over those that have any."""
        seen = int(np.count_nonzero(self._frequencies_of(field)))
        return len(self.train) / max(seen, 1)

    def _frequencies_of(self, field: int) -> np.ndarray:
        if field not in self._frequencies:
            counts = np.zeros(self.model.cardinalities[field], np.int64)
            for start, stop in row_chunks(len(self.train), WINDOW_ROWS):
                counts += np.bincount(self.train.ids[start:stop, field], minlength=counts.size)
            self._frequencies[field] = counts
        return self._frequencies[field]

    def moments(self, parameter: Parameter) -> list[np.ndarray]:
        """The optimiser's state of one of the table's parameters, as views."""
        return self.workspace.moments(parameter)


class Trainer:
    """Training of one model on one data set, which can be stopped and taken up again.

    Parameters
    ----------
    model : Model
    data : Dataset
    optimizer : Sgd, Adagrad or Adam, optional
        By default Adam with its defaults.
    options : TrainingOptions, optional

    Attributes
    ----------
    history : list of EpochRecord
    best : EpochRecord or None
        The epoch with the best monitored value so far.
    learner : Model
        What is trained: the model itself, or, where its method compresses trained tables, one with
        full tables, which is compressed into the model after each epoch.
    training_bytes : int
        Of parameters, gradients, the optimiser's state and all that methods keep, at most; without
        the rows of data and the second copy of the parameters that ``keep="best"`` takes.
    finished : bool
        Whether there is nothing left to do.
    rate_falls : bool
        Whether the learning rate falls linearly (see ``options.schedule``).
    broken_off : bool
        Whether a second Ctrl-C or an error ended it in the middle of a block or between two
        epochs: it is then in no state to go on from, and is not saved.
    about : dict
        Anything else to keep in checkpoints that JSON can hold; empty unless set.

    Raises
    ------
    TypeError, ValueError
        If model, data and options do not fit together. In `run`, if training diverges.

    Notes
    -----
    Order of an epoch: all rows in random order, in batches; evaluation; then what the methods do
    between epochs. Memory maps are shuffled in windows of `WINDOW_ROWS` rows, in random order of
    windows, so that no more than a window is in memory. Every random draw comes from the seed,
    and the state of the generator is part of a checkpoint: a resumed run gives the same bits, and
    so does any number of threads.

    Examples
    --------
    >>> from lsq_sketch.recommend.data import Dataset, Interactions
    >>> from lsq_sketch.recommend.models import GMF
    >>> rows = Interactions.of([[0, 0], [0, 1], [1, 0], [1, 1]] * 8, [1, 0, 0, 1] * 8)
    >>> data = Dataset("tiny", ("user", "item"), (2, 2), rows, rows)
    >>> trainer = Trainer(GMF((2, 2), 4), data, Adam(0.1), TrainingOptions(epochs=20, batch_size=8))
    >>> trainer.run()
    >>> trainer.best.auc
    1.0
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        optimizer: Optimizer | None = None,
        options: TrainingOptions | None = None,
    ):
        _validate.instance(model, "model", Model, "Make one with make_model.")
        _validate.instance(data, "data", Dataset, "Load one, or build Dataset(...).")
        if model.cardinalities != tuple(data.cardinalities) or model.n_dense != data.n_dense:
            raise ValueError(
                f"the model is made for fields of {model.cardinalities} IDs and {model.n_dense} "
                f"dense features, but {data.name} has {tuple(data.cardinalities)} and "
                f"{data.n_dense}. Make it with the data's cardinalities."
            )
        if data.task == "regression" and model.loss == "logistic":
            raise ValueError(
                f"{data.name} has real labels, but the model has logistic loss; expected labels "
                f'0 and 1. Choose loss="squared".'
            )
        for part, rows in (("training", data.train), ("validation", data.validation)):
            if len(rows) == 0:
                raise ValueError(f"{data.name} has no {part} rows; expected at least one.")
        self.model = model
        self.data = data
        self.optimizer = Adam() if optimizer is None else optimizer
        self.options = TrainingOptions() if options is None else options
        labels = data.validation.labels
        if self.options.monitor == "auc" and labels.min() == labels.max():
            raise ValueError(
                f"monitor is auc, but the {len(labels)} validation rows of {data.name} have one "
                f"label only; expected both. Monitor the loss."
            )
        self.learner = model
        if compresses_trained(model):
            # starting values of a stream of its own
            rng = np.random.SeedSequence(self.options.seed, spawn_key=(1,))
            self.learner = uncompressed(model, rng)
        self.workspace = self._new_workspace()
        self.training_bytes = self._bytes_held()
        self.history: list[EpochRecord] = []
        self.best: EpochRecord | None = None
        self.stopped_early = False
        self.broken_off = False
        self.about: dict[str, Any] = {}
        self._random = generator(self.options.seed)
        self._epoch_seed = self._draw_seed()
        self._rows_done = 0
        self._loss_sum = 0.0
        self._since_best = 0
        self._since_drop = 0
        self._rate = self.workspace.rate  # but for the schedule
        self._best_arrays: dict[str, np.ndarray] = {}
        self._frequencies: dict[int, np.ndarray] = {}
        self._between_seconds = 0.0
        self._seconds = 0.0
        self._speed = 0.0

    def _new_workspace(self) -> Workspace:
        return Workspace(self.learner.store, self.optimizer, self.options.batch_size)

    def _bytes_held(self) -> int:
        uncompressed_bytes = 0 if self.learner is self.model else self.learner.serving_bytes
        kept_bytes = sum(array.nbytes for array in self.model.kept.values())
        return self.model.serving_bytes + uncompressed_bytes + kept_bytes + self.workspace.nbytes

    def _draw_seed(self) -> int:
        return int(self._random.integers(2**63))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or training has stopped early."""
        return self.stopped_early or len(self.history) >= self.options.epochs

    def run(
        self,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Train until all is done, or until Ctrl-C.

        Parameters
        ----------
        on_progress : callable, optional
            Called after each block of `BLOCK_BATCHES` batches.
        on_epoch : callable, optional
            Called after each evaluation.
        checkpoint : Path, optional
            Where the state is saved after each epoch and on Ctrl-C.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C: the block at hand has been finished and the checkpoint saved. A second
            Ctrl-C interrupts at once, and leaves the checkpoint as it was (see ``broken_off``).
        OSError
            If the checkpoint cannot be written.
        """
        with single_threaded_blas(), _heard() as interrupted:
            while not self.finished:
                self._train_epoch(interrupted, on_progress)
                if self._rows_done == len(self.data.train):
                    with self._whole_or_broken_off():
                        self._end_epoch(on_epoch)
                if checkpoint is not None:
                    self.save(checkpoint)
                if interrupted.is_set():
                    raise KeyboardInterrupt
        if self.options.keep == "best" and self._best_arrays:
            restore_model(self.model, self._best_arrays)

    @contextmanager
    def _whole_or_broken_off(self) -> Iterator[None]:
        """Work in the middle of which there is no state to save."""
        self.broken_off = True
        yield
        self.broken_off = False

    def _train_epoch(
        self, interrupted: threading.Event, on_progress: Callable[[Progress], None] | None
    ) -> None:
        """Blocks of the epoch from where it stands, to its end or until Ctrl-C."""
        total, before = len(self.data.train), self._rows_done
        self.workspace.rate = self._rate * self._share_of_rate()
        self._seconds = 0.0
        for rows in self.blocks(skip=self._rows_done):
            with self._whole_or_broken_off():
                started = time.perf_counter()
                loss = self.learner.train_block(self.workspace, rows.ids, rows.dense, rows.labels)
                self._seconds += time.perf_counter() - started
                self._loss_sum += loss
                self._rows_done += len(rows)
            self._speed = (self._rows_done - before) / max(self._seconds, 1e-9)
            if on_progress is not None:
                mean = self._loss_sum / self._rows_done
                epoch = len(self.history) + 1
                on_progress(Progress(epoch, self._rows_done, total, mean, self._speed))
            if interrupted.is_set():
                return

    def _share_of_rate(self) -> float:
        """What the schedule leaves of the learning rate in this epoch."""
        return 1 - len(self.history) / self.options.epochs if self.rate_falls else 1.0

    @cached_property
    def rate_falls(self) -> bool:
        """Whether the learning rate falls from epoch to epoch."""
        if self.options.schedule != "auto":
            return self.options.schedule == "linear"
        learner = self.learner
        votes = [
            place.table.for_falling_rate(self._context(place, 0))
            for place in learner.store.placed
            if place.table in learner.tables and place.table.method == learner.method
        ]
        return any(votes) and all(votes)

    def blocks(self, skip: int) -> Iterator[Interactions]:
        """The rows of this epoch, in its order, but for the first ``skip``.

        In blocks of `BLOCK_BATCHES` batches; a subclass may take them in another order.
        """
        train, order = self.data.train, generator(self._epoch_seed)
        n, size = len(train), self.options.batch_size * BLOCK_BATCHES
        if not is_memory_map(train.ids):
            permutation = order.permutation(n)
            for start, stop in row_chunks(n, size):
                if start >= skip:
                    yield train.subset(permutation[start:stop])
            return
        windows = row_chunks(n, max(size, WINDOW_ROWS // size * size))
        seen = 0
        for w in order.permutation(len(windows)):
            start, stop = windows[w]
            permutation = order.permutation(stop - start)
            if seen + stop - start > skip:
                window = _in_memory(train.subset(slice(start, stop)))
                for a, b in row_chunks(stop - start, size):
                    if seen + a >= skip:
                        yield window.subset(permutation[a:b])
            seen += stop - start

    def _end_epoch(self, on_epoch: Callable[[EpochRecord], None] | None) -> None:
        if self.learner is not self.model:
            compress(self.learner, self.model, generator(self._draw_seed()))
        record = self._evaluate()
        self.history.append(record)
        self._keep_best(record)
        self._loss_sum, self._rows_done = 0.0, 0
        if on_epoch is not None:
            on_epoch(record)
        if not self.finished:
            self._begin_next_epoch()

    def _begin_next_epoch(self) -> None:
        started = time.perf_counter()
        if self.learner is not self.model and len(self.history) == fine_tuned_from(self.model):
            self._fine_tune()
        self._between_epochs()
        self._between_seconds = time.perf_counter() - started
        self._epoch_seed = self._draw_seed()

    def _fine_tune(self) -> None:
        """Go on with the codebooks themselves, from where the last epoch's compression put them."""
        self.learner = self.model
        self.workspace = self._new_workspace()
        self.training_bytes = max(self.training_bytes, self._bytes_held())

    def _evaluate(self) -> EpochRecord:
        validation, model = self.data.validation, self.model
        scores = np.empty(len(validation), np.float32)
        for start, stop in row_chunks(len(validation), WINDOW_ROWS):
            part = slice(start, stop)
            scores[part] = model.scores(validation.ids[part], validation.dense[part])
        labels = np.asarray(validation.labels)
        train_loss = self._loss_sum / len(self.data.train)
        validation_loss = model.mean_loss(scores, labels)
        if not np.isfinite([train_loss, validation_loss]).all():
            raise ValueError("the loss is NaN or infinity: training has diverged. Lower the rate.")
        auc = area_under_curve(labels, scores) if self.data.task == "binary" else None
        return EpochRecord(
            epoch=len(self.history) + 1,
            train_loss=train_loss,
            validation_loss=validation_loss,
            auc=auc,
            learning_rate=self.workspace.rate,
            rows_per_second=self._speed,
            between_seconds=self._between_seconds,
        )

    def _keep_best(self, record: EpochRecord) -> None:
        if self.best is None or self._monitored(record) < self._monitored(self.best):
            self.best = record
            self._since_best = self._since_drop = 0
            if self.options.keep == "best":
                self._best_arrays = copy_model(self.model)
            return
        self._since_best += 1
        self._since_drop += 1
        if self.options.patience is not None and self._since_best >= self.options.patience:
            self.stopped_early = True
        if (
            self.options.drop_patience is not None
            and self._since_drop >= self.options.drop_patience
        ):
            self._rate *= self.options.drop_factor
            self._since_drop = 0

    def _monitored(self, record: EpochRecord) -> float:
        """The watched value, the lower the better."""
        if self.options.monitor == "auc" and record.auc is not None:
            return -record.auc
        return record.validation_loss

    def _between_epochs(self) -> None:
        """What the methods do: each table has its own random stream."""
        for place in self.model.store.placed:
            place.table.after_epoch(self._context(place, self._draw_seed()))

    def _context(self, place: Placed, seed: int) -> EpochContext:
        """What one table may know after the epochs so far."""
        return EpochContext(
            epoch=len(self.history),
            epochs=self.options.epochs,
            rng=generator(seed),
            model=self.model,
            table=place.table,
            field=place.field,
            column=place.column,
            train=self.data.train,
            workspace=self.workspace,
            _frequencies=self._frequencies,
        )

    def save(self, path: Path) -> None:
        """Save all that `resume` needs: written whole, or not at all.

        Parameters
        ----------
        path : Path

        Raises
        ------
        CheckpointError
            If training was broken off.
        OSError
            If it cannot be written.
        """
        if self.broken_off:
            raise CheckpointError(
                f"{path} is not written: training was broken off in the middle of its work. "
                f"Resume from the checkpoint before, or train anew."
            )
        arrays = {f"now/{name}": array for name, array in model_arrays(self.model).items()}
        arrays |= {f"best/{name}": array for name, array in self._best_arrays.items()}
        if self.learner is not self.model:
            full = model_arrays(self.learner)
            arrays |= {f"learner/{name}": array for name, array in full.items()}
        arrays |= {f"kept/{name}": array for name, array in self.model.kept.items()}
        arrays |= {"first": self.workspace.first, "second": self.workspace.second}
        write_arrays(path, arrays, {"kind": "checkpoint", **self._settings()})

    def _settings(self) -> dict[str, Any]:
        return {
            "model": self.model.settings(),
            "optimizer": {"name": self.optimizer.name, **asdict(self.optimizer)},
            "options": asdict(self.options),
            "about": self.about,
            "data": self.data.name,
            "rows": len(self.data.train),
            "history": [asdict(record) for record in self.history],
            "best": self.best.epoch if self.best else None,
            "stopped_early": self.stopped_early,
            "random": self._random.bit_generator.state,
            "epoch_seed": self._epoch_seed,
            "rows_done": self._rows_done,
            "loss_sum": self._loss_sum,
            "since_best": self._since_best,
            "since_drop": self._since_drop,
            "rate": self._rate,
            "step": self.workspace.step,
        }

    @classmethod
    def resume(cls, path: Path, data: Dataset, *, epochs: int | None = None) -> Trainer:
        """A trainer as it was saved; running it gives the bits an unbroken run would have given.

        Parameters
        ----------
        path : Path
            Of a checkpoint.
        data : Dataset
            The same as before.
        epochs : int, optional
            Epochs in all, instead of as many as before.

        Returns
        -------
        Trainer

        Raises
        ------
        CheckpointError
            If the file is no checkpoint, or one of other data.
        OSError
            If it cannot be read.
        """
        arrays, saved = read_arrays(path, kind="checkpoint")
        if saved["data"] != data.name or saved["rows"] != len(data.train):
            raise CheckpointError(
                f"{path} was trained on {saved['data']} ({saved['rows']} training rows), got "
                f"{data.name} ({len(data.train)}). Resume with the same data."
            )
        settings = dict(saved["optimizer"])
        optimizer = OPTIMIZERS[settings.pop("name")](**settings)
        options = TrainingOptions(**saved["options"])
        if epochs is not None:
            options = replace(options, epochs=epochs)
        trainer = cls(saved_model(path, saved["model"]), data, optimizer, options)
        restore_model(trainer.model, _part(arrays, "now/"))
        restore_arrays(trainer.model.kept, _part(arrays, "kept/"))
        learner_arrays = _part(arrays, "learner/")
        if learner_arrays:
            restore_model(trainer.learner, learner_arrays)
        elif trainer.learner is not trainer.model:
            trainer._fine_tune()
        trainer._best_arrays = _part(arrays, "best/")
        trainer.workspace.first[:] = arrays["first"]
        trainer.workspace.second[:] = arrays["second"]
        trainer.about = saved["about"]
        trainer._rate = saved["rate"]
        trainer.workspace.step = saved["step"]
        trainer.history = [EpochRecord(**record) for record in saved["history"]]
        trainer.best = trainer.history[saved["best"] - 1] if saved["best"] else None
        trainer.stopped_early = saved["stopped_early"]
        trainer._random.bit_generator.state = saved["random"]
        trainer._epoch_seed = saved["epoch_seed"]
        trainer._rows_done = saved["rows_done"]
        trainer._loss_sum = saved["loss_sum"]
        trainer._since_best = saved["since_best"]
        trainer._since_drop = saved["since_drop"]
        if len(trainer.history) >= saved["options"]["epochs"] and not trainer.finished:
            trainer._begin_next_epoch()  # it was the last, and there was no next
        return trainer


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _in_memory(rows: Interactions) -> Interactions:
    return Interactions(np.array(rows.ids), np.array(rows.dense), np.array(rows.labels))


@contextmanager
def _heard() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C interrupts as usual.

    Outside the main thread signals cannot be heard, and the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def listen(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, listen)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
