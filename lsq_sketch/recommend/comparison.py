"""Methods side by side: every method at every size with every seed, each cell kept in a file.

A comparison is a grid. Each finished cell is a JSON file of what `outcome` gives, named by a
digest of everything it depends on: a comparison that was killed goes on where it stopped, and
cells of other settings, data, code or versions are never taken for it. Beside the grid stand the
bias-only model and, on synthetic data, the best reachable values.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from .. import __version__, _validate
from ..errors import CheckpointError, DataError
from ..files import write_whole
from ..versions import versions
from .data import Dataset
from .experiment import (
    DataSource,
    Experiment,
    MethodChoice,
    baseline_outcome,
    best_reachable,
    code_digest,
    describe,
    digest_of,
    outcome,
)  # fmt: skip
from .methods import make_table
from .training import EpochRecord, Trainer

CELLS = "cells"
"""Folder of the finished cells, within that of a comparison."""

CHECKPOINT_ROWS = 1 << 20
"""Cells of so many training rows or more save a checkpoint after each epoch."""

BIAS_ONLY = "bias-only"
BEST_REACHABLE = "best-reachable"

COLUMNS = {
    "data": "the data set, as it was named",
    "model": "gmf, matrix-factorization or dlrm",
    "method": f"the method and what of its settings is not the default; or {BIAS_ONLY}, or "
    f"{BEST_REACHABLE}",
    "params_per_dim": "the budget of each table, a column; 0 where there is none (full table)",
    "seed": "of the cell; empty for what has none",
    "parameters": "trained numbers of the whole model",
    "table_parameters": "those of tables and biases",
    "serving_bytes": "of all that a prediction reads: parameters, assignments, hash functions",
    "training_bytes": "of all that training holds: those, gradients, the optimiser's state",
    "best_auc": "the highest validation AUC of all epochs; empty for regression",
    "best_auc_epoch": "the epoch that had it, from 1",
    "last_auc": "validation AUC after the last epoch",
    "best_loss": "the lowest validation loss of all epochs: cross-entropy, or squared error",
    "best_loss_epoch": "the epoch that had it, from 1",
    "last_loss": "validation loss after the last epoch",
    "epochs": "epochs trained",
}
"""Columns of the CSV, and what they hold."""


@dataclass(frozen=True)
class Comparison:
    """A grid of experiments on one data set.

    Attributes
    ----------
    source : DataSource
    methods : tuple of MethodChoice
    sizes : tuple of int
        Values of ``params_per_dim``; the full table, which has no budget, is trained once a seed.
    seeds : tuple of int
    base : Experiment
        All other settings.

    Examples
    --------
    >>> methods = tuple(map(MethodChoice.parse, ["full", "hash"]))
    >>> grid = Comparison(DataSource("synthetic:40x25"), methods, (4, 8), (1, 2))
    >>> len(grid.experiments())
    6
    """

    source: DataSource
    methods: tuple[MethodChoice, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    base: Experiment = Experiment()  # noqa: RUF009  (frozen)

    def __post_init__(self) -> None:
        for name in ("methods", "sizes", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; expected at least one.")
        for name in ("sizes", "seeds"):
            for value in getattr(self, name):
                _validate.integer(value, name, low=1 if name == "sizes" else 0)

    def experiments(self) -> list[Experiment]:
        """The cells: by seed first, so that all methods can soon be seen beside each other."""
        cells = [
            replace(
                self.base,
                method=method,
                params_per_dim=size,
                training=replace(self.base.training, seed=seed),
            )
            for seed in self.seeds
            for method in self.methods
            for size in (self.sizes[:1] if method.name == "full" else self.sizes)
        ]
        return list({digest_of(cell.settings()): cell for cell in cells}.values())

    def check(self, data: Dataset) -> None:
        """See that every cell can be trained, at no more cost than small tables.

        Raises
        ------
        ValueError
            Which says what does not fit.
        """
        smallest = replace(self.base, params_per_dim=1, method=MethodChoice.parse("hash"))
        Trainer(smallest.make_model(data), data, options=self.base.training)
        for method in self.methods:
            for size in self.sizes:
                cardinality = min(max(data.cardinalities), 2 * size + 1)
                try:
                    make_table(method.name, cardinality, self.base.dim, size, 0, method.options)
                except (TypeError, ValueError) as error:
                    raise ValueError(
                        f"method {method.label} with params_per_dim = {size}: {error}"
                    ) from error


@dataclass(frozen=True)
class Progress:
    """What has just happened in a comparison.

    Attributes
    ----------
    done, total : int
        Cells finished, and in all.
    cell : str
        Method, size and seed of the one that was finished; empty at the start.
    row : dict or None
        Its values (see `COLUMNS`); None if it failed.
    was_kept : bool
        Whether it was finished before.
    rows_per_second : float
        In training, the median over epochs; 0 if it failed.
    """

    done: int
    total: int
    cell: str = ""
    row: dict[str, Any] | None = None
    was_kept: bool = False
    rows_per_second: float = 0.0


@dataclass(frozen=True)
class Results:
    """What a comparison gave so far.

    Attributes
    ----------
    comparison : Comparison
    data : dict
        From `describe`.
    rows : list of dict
        One a finished cell, in the order of the grid, values as in `COLUMNS`.
    bias_only, best_reachable : dict or None
    failures : dict of str to str
        What went wrong, by the cell's name.
    total : int
        Cells of the grid.
    """

    comparison: Comparison
    data: dict[str, Any]
    rows: list[dict[str, Any]]
    bias_only: dict[str, Any] | None
    best_reachable: dict[str, float] | None
    failures: dict[str, str]
    total: int

    @property
    def interrupted(self) -> bool:
        """Whether cells are missing that did not fail."""
        return len(self.rows) + len(self.failures) < self.total


def name_of(experiment: Experiment) -> str:
    """Method, size and seed of a cell, for people.

    Examples
    --------
    >>> name_of(Experiment())
    'full, seed 0'
    """
    size = "" if experiment.method.name == "full" else f", {experiment.params_per_dim} params/dim"
    return f"{experiment.method.label}{size}, seed {experiment.training.seed}"


def compare(
    comparison: Comparison,
    folder: Path,
    *,
    jobs: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[str, EpochRecord], None] | None = None,
) -> Results:
    """Train all cells that are not yet in the folder.

    Parameters
    ----------
    comparison : Comparison
    folder : Path
        Of the comparison; made if it is not there.
    jobs : int, default 1
        Processes. Results are the same for any number.
    on_progress : callable, optional
        Called with a `Progress` at the start and after each cell.
    on_epoch : callable, optional
        Called with the cell's name and each `EpochRecord`; of cells in this process only.

    Returns
    -------
    Results
        Incomplete after Ctrl-C.

    Raises
    ------
    DataError, ValueError
        If data cannot be loaded, or a cell cannot be trained on them.
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from lsq_sketch.recommend.training import TrainingOptions
    >>> base = Experiment(dim=4, training=TrainingOptions(epochs=2))
    >>> methods = tuple(map(MethodChoice.parse, ["full", "hash"]))
    >>> grid = Comparison(DataSource("synthetic:40x25"), methods, (8,), (1,), base)
    >>> with tempfile.TemporaryDirectory() as name:
    ...     results = compare(grid, Path(name))
    >>> [(row["method"], row["parameters"]) for row in results.rows]
    [('full', 320), ('hash', 64)]
    """
    jobs = _validate.integer(jobs, "jobs", low=1)
    data = comparison.source.load()
    comparison.check(data)
    cells = comparison.experiments()
    paths = cell_paths(comparison, folder, data)
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    found: dict[Path, dict[str, Any]] = {}
    failures: dict[str, str] = {}

    def note(cell: Experiment, path: Path, result: dict[str, Any] | str, was_kept: bool) -> None:
        row, speed = None, 0.0
        if isinstance(result, str):
            failures[name_of(cell)] = result
        else:
            found[path] = result
            row = row_of(cell, result)
            speed = statistics.median(record["rows_per_second"] for record in result["history"])
        if on_progress is not None:
            done = len(found) + len(failures)
            on_progress(Progress(done, len(cells), name_of(cell), row, was_kept, speed))

    if on_progress is not None:
        on_progress(Progress(0, len(cells)))
    baseline = None
    try:
        baseline = _kept_baseline(comparison, folder, data)
        missing = []
        for cell, path in zip(cells, paths, strict=True):
            kept = read_cell(path)
            if kept is None:
                missing.append((cell, path))
            else:
                note(cell, path, kept, True)
        work = _here(data, missing, on_epoch) if jobs == 1 else _apart(comparison, missing, jobs)
        for (cell, path), result in work:
            note(cell, path, result, False)
    except KeyboardInterrupt:
        pass  # what is finished is told; the rest is found missing by the next run
    rows = [row_of(c, found[p]) for c, p in zip(cells, paths, strict=True) if p in found]
    return Results(
        comparison, describe(data), rows, baseline, best_reachable(data), failures, len(cells)
    )


def cell_paths(comparison: Comparison, folder: Path, data: Dataset) -> list[Path]:
    """The file of each cell, in the order of `Comparison.experiments`."""
    about = {"data": describe(data), "code": code_digest(), "versions": versions()}
    return [
        folder / CELLS / f"{cell.method.name}-{cell.params_per_dim}-{cell.training.seed}-"
        f"{digest_of({**about, 'settings': cell.settings()})}.json"
        for cell in comparison.experiments()
    ]


def read_cell(path: Path) -> dict[str, Any] | None:
    """What a finished cell gave; None if there is no such file, or it is none of ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if {"best", "last", "history"} <= set(found) else None
    except (OSError, ValueError, TypeError):
        return None


def row_of(experiment: Experiment, result: dict[str, Any]) -> dict[str, Any]:
    """The row of a cell in the CSV, from its `outcome`."""
    return {
        "data": result["data"]["name"],
        "model": experiment.model,
        "method": experiment.method.label,
        "params_per_dim": 0 if experiment.method.name == "full" else experiment.params_per_dim,
        "seed": experiment.training.seed,
        **{
            name: result[name]
            for name in ("parameters", "table_parameters", "serving_bytes", "training_bytes")
        },
        "best_auc": result["best"]["auc"],
        "best_auc_epoch": result["best"]["auc_epoch"],
        "last_auc": result["last"]["auc"],
        "best_loss": result["best"]["loss"],
        "best_loss_epoch": result["best"]["loss_epoch"],
        "last_loss": result["last"]["loss"],
        "epochs": len(result["history"]),
    }


def reference_rows(results: Results) -> list[dict[str, Any]]:
    """Rows of the bias-only model and of the best reachable values, where they are known."""
    rows = []
    for name, found in (
        (BIAS_ONLY, results.bias_only), (BEST_REACHABLE, results.best_reachable)
    ):  # fmt: skip
        if found is not None:
            rows.append(
                dict.fromkeys(COLUMNS)
                | {"data": results.data["name"], "model": name, "method": name}
                | {"params_per_dim": 0, "parameters": found.get("parameters", 0)}
                | {"table_parameters": found.get("parameters", 0)}
                | {"serving_bytes": found.get("bytes", 0)}
                | {"best_auc": found["auc"], "last_auc": found["auc"]}
                | {"best_loss": found["loss"], "last_loss": found["loss"]}
            )
    return rows


def csv_text(results: Results) -> str:
    """A comment line with what it was made by, the names (`COLUMNS`), a row a cell.

    The same results give the same bytes: there are no times in it.
    """
    text = StringIO()
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    base = results.comparison.base.settings()
    for name in ("method", "options", "params_per_dim"):
        del base[name]
    del base["training"]["seed"]
    text.write(f"# lsq-sketch {__version__} compare; {json.dumps(base)}; {packages}\n")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*results.rows, *reference_rows(results)])
    return text.getvalue()


@dataclass(frozen=True)
class Summary:
    """A method at one size: means over seeds, and the standard deviation of the best AUC.

    Attributes
    ----------
    method : str
    params_per_dim : int
    parameters, serving_bytes, training_bytes : int
    seeds : int
        How many.
    best_auc, last_auc : float or None
    best_auc_deviation : float or None
        Of the sample; None with fewer than two seeds.
    best_loss, last_loss : float
    """

    method: str
    params_per_dim: int
    parameters: int
    serving_bytes: int
    training_bytes: int
    seeds: int
    best_auc: float | None
    best_auc_deviation: float | None
    last_auc: float | None
    best_loss: float
    last_loss: float


def summaries(rows: Sequence[dict[str, Any]]) -> list[Summary]:
    """Rows of cells, averaged over seeds, in the order of their first coming."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["params_per_dim"]), []).append(row)
    return [
        Summary(
            method,
            size,
            round(_mean(group, "parameters") or 0),
            round(_mean(group, "serving_bytes") or 0),
            round(_mean(group, "training_bytes") or 0),
            len(group),
            _mean(group, "best_auc"),
            _deviation(group, "best_auc"),
            _mean(group, "last_auc"),
            _mean(group, "best_loss") or 0.0,
            _mean(group, "last_loss") or 0.0,
        )
        for (method, size), group in groups.items()
    ]


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if None in values else statistics.fmean(values)


def _deviation(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if None in values or len(values) < 2 else statistics.stdev(values)


# ------------------------------------------------------------------ the work


@lru_cache(maxsize=1)
def _loaded(source: DataSource) -> Dataset:
    return source.load()


Cell = tuple[Experiment, Path]


def _here(
    data: Dataset,
    cells: Sequence[Cell],
    on_epoch: Callable[[str, EpochRecord], None] | None,
) -> Iterator[tuple[Cell, dict[str, Any] | str]]:
    for cell in cells:
        yield cell, train_cell(cell[0], data, cell[1], on_epoch)


def _apart(
    comparison: Comparison, cells: Sequence[Cell], jobs: int
) -> Iterator[tuple[Cell, dict[str, Any] | str]]:
    parallel = joblib.Parallel(
        n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs
    )
    work = (
        joblib.delayed(_train_apart)(index, comparison.source, *cell)
        for index, cell in enumerate(cells)
    )
    try:
        for index, result in parallel(work):
            yield cells[index], result
    except TerminatedWorkerError as error:
        raise DataError(
            "a worker process died, killed from outside or for want of memory. Finished cells "
            "are kept: run the same command again, with fewer --jobs."
        ) from error


def _train_apart(
    index: int, source: DataSource, experiment: Experiment, path: Path
) -> tuple[int, dict[str, Any] | str]:
    return index, train_cell(experiment, _loaded(source), path)


def train_cell(
    experiment: Experiment,
    data: Dataset,
    path: Path,
    on_epoch: Callable[[str, EpochRecord], None] | None = None,
) -> dict[str, Any] | str:
    """Train one cell and write its file; go on with its checkpoint, if there is one.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    path : Path
        Of its file; the checkpoint stands beside it.
    on_epoch : callable, optional

    Returns
    -------
    dict or str
        What `outcome` gives; or why the cell failed, such as a diverged training.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, with the checkpoint saved; after a second one, with that of before.
    OSError
        If a file cannot be written.
    """
    checkpoint = path.with_suffix(".checkpoint")
    try:
        trainer = _begun(experiment, data, checkpoint)
        try:
            trainer.run(
                on_epoch=on_epoch and (lambda record: on_epoch(name_of(experiment), record)),
                checkpoint=checkpoint if len(data.train) >= CHECKPOINT_ROWS else None,
            )
        except KeyboardInterrupt:
            if not trainer.broken_off:
                trainer.save(checkpoint)
            raise
    except (ValueError, MemoryError) as error:
        return str(error) or "out of memory"
    result = outcome(trainer) | {"versions": versions()}
    write_whole(path, json.dumps(result, indent=1).encode())
    checkpoint.unlink(missing_ok=True)
    return result


def _begun(experiment: Experiment, data: Dataset, checkpoint: Path) -> Trainer:
    """A trainer from the checkpoint, if there is one and it is whole."""
    if checkpoint.is_file():
        try:
            return experiment.resumed(checkpoint, data)
        except CheckpointError:
            checkpoint.unlink()
    return experiment.trainer(data)


def _kept_baseline(comparison: Comparison, folder: Path, data: Dataset) -> dict[str, Any] | None:
    about = {"data": describe(data), "code": code_digest(), "versions": versions()}
    path = folder / CELLS / f"{BIAS_ONLY}-{digest_of(about)}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = baseline_outcome(data)
    write_whole(path, json.dumps(found, indent=1).encode())
    return found
