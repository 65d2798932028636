"""One training run from plain settings: what it is made of, what it is known by, what it gave."""

from __future__ import annotations

import hashlib
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validate
from ..errors import CheckpointError, DataError
from ..versions import versions
from .baselines import Baseline, bias_only
from .data import Dataset, load
from .data.dataset import is_memory_map
from .methods import make_options, registry
from .methods.base import FLOAT_BYTES
from .models import make_model
from .models.base import BIASES, LOSSES, Model
from .optimizers import Adam, Optimizer
from .training import Trainer, TrainingOptions

PAPER = "paper"
"""Word after a method's name for its published procedure."""

SHARED_CODE = ("*.py", "recommend/*.py", "recommend/m*/*.py", "kernels/*.py")
"""What a result is computed with, from the folder of this package."""

DIGEST_ROWS = 1 << 20


@dataclass(frozen=True)
class DataSource:
    """Where data come from: the arguments of `lsq_sketch.recommend.data.load`.

    Attributes
    ----------
    spec : str
    seed : int
        Of random splits and synthetic data.
    task : {"binary", "regression"}
    drop_ratings : tuple of float, optional
    skip_bad : bool
    tuning : bool
        Leave the validation rows alone, and hold out some of the training rows instead: for
        choosing settings (`Dataset.tuning`).

    Examples
    --------
    >>> DataSource("synthetic:40x25").load().cardinalities
    (40, 40)
    """

    spec: str
    seed: int = 0
    task: str = "binary"
    drop_ratings: tuple[float, ...] | None = None
    skip_bad: bool = False
    tuning: bool = False

    def load(self) -> Dataset:
        """The data set.

        Raises
        ------
        DataError
            If it cannot be loaded.
        """
        data = load(
            self.spec,
            self.seed,
            task=self.task,
            drop_ratings=self.drop_ratings,
            skip_bad=self.skip_bad,
        )
        return data.tuning(self.seed) if self.tuning else data


@dataclass(frozen=True)
class MethodChoice:
    """A method and its settings, written as ``METHOD[:paper][:OPTION=VALUE...]``.

    Attributes
    ----------
    name : str
    options : dataclass

    Examples
    --------
    >>> choice = MethodChoice.parse("cce:n-chunks=8:seeding=warm")
    >>> choice.options.n_chunks, choice.label
    (8, 'cce:n-chunks=8:seeding=warm')
    """

    name: str
    options: Any

    @classmethod
    def parse(cls, text: str) -> MethodChoice:
        """A method from its text.

        Parameters
        ----------
        text : str
            As in ``cce``, ``cce:paper`` or ``cce:n-chunks=8:cluster-until=0.5``. Options are
            those of the method's own ``Options``; what is not named has its default, or the
            published value after ``paper``.

        Returns
        -------
        MethodChoice

        Raises
        ------
        ValueError
            If there is no such method or option, or a value is out of range.
        """
        name, *words = text.split(":")
        kind = registry()[_validate.choice(name, "method", tuple(registry()))]
        given: dict[str, Any] = {}
        if PAPER in words:
            if kind.published is None:
                having = [m for m, other in registry().items() if other.published is not None]
                raise ValueError(
                    f"method {name} has no published procedure beside its default; expected one "
                    f"of {', '.join(having)} with {PAPER!r}. Leave it out."
                )
            given = asdict(kind.published)
        types = typing.get_type_hints(kind.Options)
        for word in words:
            option, equals, value = word.partition("=")
            option = option.replace("-", "_")
            if word == PAPER:
                continue
            if not equals or option not in types:
                listed = ", ".join(f"{f.name.replace('_', '-')}=..." for f in fields(kind.Options))
                raise ValueError(
                    f"method {text}: {word!r} is no option of {name}; expected any of: "
                    f"{listed or 'none at all'}."
                )
            given[option] = _converted(value, types[option], f"method {text}: {option}")
        try:
            return cls(name, make_options(kind, given))
        except (TypeError, ValueError) as error:
            raise ValueError(f"method {text}: {error}") from error

    @property
    def label(self) -> str:
        """The shortest text that stands for it."""
        kind = registry()[self.name]
        if kind.published is not None and self.options == kind.published != kind.Options():
            return f"{self.name}:{PAPER}"
        usual = asdict(kind.Options())
        own = {name: v for name, v in asdict(self.options).items() if v != usual[name]}
        return ":".join([self.name, *(f"{name.replace('_', '-')}={own[name]}" for name in own)])


def _converted(text: str, kind: Any, name: str) -> Any:
    """A setting's value from its text, by the annotation of the setting."""
    kinds = typing.get_args(kind) or (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{name} must be true or false, got {text!r}.")
        return text.lower() == "true"
    for number, described in ((int, "an integer"), (float, "a number")):
        if number in kinds:
            try:
                return number(text)
            except ValueError as error:
                raise ValueError(f"{name} must be {described}, got {text!r}.") from error
    return text


@dataclass(frozen=True)
class Experiment:
    """Everything but the data that decides what one training run gives.

    Attributes
    ----------
    model : str
    method : MethodChoice
    params_per_dim : int
    dim : int
    bias : {"none", "full", "compressed"}
    loss : {"squared", "logistic"}, optional
        By default squared for real labels, else the model's usual one.
    hidden : tuple of int, optional
        Widths of hidden layers, of models that have some.
    optimizer : Sgd, Adagrad or Adam
    training : TrainingOptions
        Its seed is the seed of the experiment: of starting values too.

    Examples
    --------
    >>> data = DataSource("synthetic:40x25").load()
    >>> experiment = Experiment(method=MethodChoice.parse("hash"), params_per_dim=8, dim=4)
    >>> trainer = experiment.trainer(data)
    >>> trainer.model.parameter_count
    64
    """

    model: str = "gmf"
    method: MethodChoice = field(default_factory=lambda: MethodChoice.parse("full"))
    params_per_dim: int = 64
    dim: int = 32
    bias: str = "none"
    loss: str | None = None
    hidden: tuple[int, ...] | None = None
    optimizer: Optimizer = field(default_factory=Adam)
    training: TrainingOptions = field(default_factory=TrainingOptions)

    def __post_init__(self) -> None:
        _validate.integer(self.params_per_dim, "params_per_dim", low=1)
        _validate.integer(self.dim, "dim", low=1)
        _validate.choice(self.bias, "bias", BIASES)
        if self.loss is not None:
            _validate.choice(self.loss, "loss", tuple(LOSSES))

    def make_model(self, data: Dataset) -> Model:
        """The model at its starting values.

        Raises
        ------
        TypeError, ValueError
            If settings and data do not go together.
        """
        settings: dict[str, Any] = {} if self.hidden is None else {"hidden": self.hidden}
        if self.model != "dlrm" and (settings or data.n_dense):
            what = "hidden layers" if settings else f"the dense features of {data.name}"
            raise ValueError(f"model {self.model} has no place for {what}. Choose dlrm.")
        # a stream of its own: training draws from the seed itself
        rng = np.random.SeedSequence(self.training.seed, spawn_key=(0,))
        return make_model(
            self.model,
            data.cardinalities,
            self.dim,
            self.method.name,
            self.params_per_dim,
            rng,
            options=self.method.options,
            bias=self.bias,
            n_dense=data.n_dense,
            loss=self.loss or ("squared" if data.task == "regression" else None),
            **settings,
        )

    def trainer(self, data: Dataset) -> Trainer:
        """A trainer of the model, which knows what it was made from.

        Raises
        ------
        TypeError, ValueError
            If settings and data do not go together.
        """
        trainer = Trainer(self.make_model(data), data, self.optimizer, self.training)
        trainer.about = self.about(data)
        return trainer

    def about(self, data: Dataset) -> dict[str, Any]:
        """Settings and data, as they are kept with checkpoints and models."""
        return {"settings": self.settings(), "data": describe(data)}

    def resumed(self, path: Path, data: Dataset) -> Trainer:
        """A trainer from a checkpoint of the same experiment; there may be more epochs now.

        Parameters
        ----------
        path : Path
        data : Dataset

        Returns
        -------
        Trainer

        Raises
        ------
        CheckpointError
            If the file is no checkpoint, or one of other settings or data.
        OSError
            If it cannot be read.
        """
        trainer = Trainer.resume(path, data, epochs=self.training.epochs)
        saved, wanted = _flat(trainer.about), _flat(self.about(data))
        for name, value in wanted.items():
            if name not in ("settings.training.epochs",) and saved.get(name) != value:
                what = name.removeprefix("settings.").replace("data.", "other data: ")
                raise CheckpointError(
                    f"{path} was made with {what} = {saved.get(name)}, got {value}. Resume with "
                    f"the same data and settings, or name another checkpoint."
                )
        trainer.about = self.about(data)
        return trainer

    def settings(self) -> dict[str, Any]:
        """All settings as plain numbers and strings."""
        return {
            "model": self.model,
            "method": self.method.name,
            "options": asdict(self.method.options),
            "params_per_dim": self.params_per_dim,
            "dim": self.dim,
            "bias": self.bias,
            "loss": self.loss,
            "hidden": None if self.hidden is None else list(self.hidden),
            "optimizer": {"name": self.optimizer.name, **asdict(self.optimizer)},
            "training": asdict(self.training),
        }

    def key(self, data: Dataset) -> str:
        """What tells the result from others: a digest of settings, data, code and versions."""
        return digest_of({**self.about(data), "code": code_digest(), "versions": versions()})


def digest_of(described: Any) -> str:
    """A digest of plain numbers and strings, 16 hexadecimal digits.

    Examples
    --------
    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


@cache
def code_digest() -> str:
    """A digest of the code that trains.

    Examples
    --------
    >>> len(code_digest())
    16
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for pattern in SHARED_CODE:
        for path in sorted(root.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def describe(data: Dataset) -> dict[str, Any]:
    """A data set in plain numbers and strings.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    dict
        With a ``digest`` of its rows: of all, or, where they are memory maps, of the first and
        the last.

    Examples
    --------
    >>> describe(DataSource("synthetic:40x25").load())["rows"]
    900
    """
    digest = hashlib.sha256()
    for part in (data.train, data.validation):
        for array in (part.ids, part.dense, part.labels):
            ends = [array[:DIGEST_ROWS], array[-DIGEST_ROWS:]]
            for piece in ends if is_memory_map(array) else [array]:
                digest.update(np.ascontiguousarray(piece).data if piece.size else b"")
    return {
        "name": data.name,
        "task": data.task,
        "rows": len(data.train),
        "validation_rows": len(data.validation),
        "fields": list(data.field_names),
        "cardinalities": [int(size) for size in data.cardinalities],
        "dense_features": data.n_dense,
        "skipped_lines": data.skipped_lines,
        "digest": digest.hexdigest()[:16],
    }


def training_bytes(trainer: Trainer) -> int:
    """Bytes of all that training holds: parameters, gradients, the optimiser's state, assignments.

    Without the rows of data, and without the second copy of the parameters that ``keep="best"``
    takes.
    """
    return trainer.training_bytes


def outcome(trainer: Trainer) -> dict[str, Any]:
    """What a training run gave, in plain numbers and strings.

    Parameters
    ----------
    trainer : Trainer
        From `Experiment.trainer`; after at least one epoch.

    Returns
    -------
    dict
        ``settings`` and ``data``; counts ``parameters``, ``table_parameters``, ``serving_bytes``
        and ``training_bytes``; ``best`` (of each of ``auc`` and ``loss`` the best value on the
        validation rows, and its epoch), ``last`` (those of the last epoch), ``stopped_early``,
        ``history`` (all epochs). AUC is None where the task is regression or the validation
        rows have one label only.

    Examples
    --------
    >>> trainer = Experiment(dim=4).trainer(DataSource("synthetic:40x25").load())
    >>> trainer.run()
    >>> found = outcome(trainer)
    >>> found["parameters"], len(found["history"]), found["best"]["loss_epoch"] <= 30
    (320, 30, True)
    """
    history = [asdict(record) for record in trainer.history]
    for record in history:
        if record["auc"] is not None and math.isnan(record["auc"]):
            record["auc"] = None
    ranked = [record for record in history if record["auc"] is not None]
    by_auc = max(ranked, key=lambda record: record["auc"], default=None)
    by_loss = min(history, key=lambda record: record["validation_loss"])
    return {
        **trainer.about,
        "parameters": trainer.model.parameter_count,
        "table_parameters": trainer.model.table_parameter_count,
        "serving_bytes": trainer.model.serving_bytes,
        "training_bytes": training_bytes(trainer),
        "best": {
            "auc": by_auc and by_auc["auc"],
            "auc_epoch": by_auc and by_auc["epoch"],
            "loss": by_loss["validation_loss"],
            "loss_epoch": by_loss["epoch"],
        },
        "last": {"auc": history[-1]["auc"], "loss": history[-1]["validation_loss"]},
        "stopped_early": trainer.stopped_early,
        "history": history,
    }


def baseline_outcome(data: Dataset) -> dict[str, Any] | None:
    """The bias-only model of a data set (see `bias_only`); None where it has none.

    Examples
    --------
    >>> found = baseline_outcome(DataSource("synthetic:40x25").load())
    >>> found["parameters"], 0.5 < found["auc"] < 1
    (81, True)
    """
    try:
        found: Baseline = bias_only(data)
    except DataError:
        return None  # one label only, or too few rows to choose a penalty
    return {
        "auc": found.auc,
        "loss": found.loss,
        "parameters": found.parameters,
        "bytes": FLOAT_BYTES * found.parameters,
        "penalty": found.penalty,
        "rows": found.rows,
    }


def best_reachable(data: Dataset) -> dict[str, float] | None:
    """The loss and AUC of the true probabilities, where they are known.

    Examples
    --------
    >>> sorted(best_reachable(DataSource("synthetic:40x25").load()))
    ['auc', 'loss']
    """
    if data.best_loss is None or data.best_auc is None:
        return None
    return {"auc": data.best_auc, "loss": data.best_loss}


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
