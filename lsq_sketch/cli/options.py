"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from ..console import fail
from ..errors import CheckpointError, DataError
from ..recommend.data.loading import WORDS
from ..recommend.experiment import PAPER, DataSource, MethodChoice
from ..recommend.methods import registry
from ..recommend.models import MODELS
from ..recommend.models.base import BIASES, LOSSES
from ..recommend.optimizers import OPTIMIZERS, Optimizer
from ..recommend.training import KEEPS, MONITORS, SCHEDULES, TrainingOptions
from ..variadic import VariadicCommand

DATA, MODEL, TRAINING, OUTPUT = "Data", "Model", "Training", "Output"
"""Panels of the help."""


class TrainingCommand(VariadicCommand):
    """A command whose options may take several values, or stand alone with an implied one."""

    implied: ClassVar[Mapping[str, str]] = {
        "--bias": "full",
        "--early-stopping": "5",
        "--plateau": "3",
    }


def _listed(names: Any) -> str:
    return ", ".join(names)


Data = Annotated[
    str,
    typer.Option(
        metavar="SPEC",
        help=f"{WORDS} (or criteo:PATH).",
        rich_help_panel=DATA,
    ),
]
DataSeed = Annotated[
    int, typer.Option(min=0, help="Of random splits and synthetic data.", rich_help_panel=DATA)
]
Task = Annotated[
    str,
    typer.Option(
        help="binary, or regression: the rating or the delay itself is the label.",
        rich_help_panel=DATA,
    ),
]
DropRatings = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RATING...",
        help="Leave out ratings equal to these, as in 3 3.5; none: leave out none. By default 3, "
        "for a binary task.",
        rich_help_panel=DATA,
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help="Count malformed lines and leave them out.", rich_help_panel=DATA
    ),
]
Tuning = Annotated[
    bool,
    typer.Option(
        "--tuning",
        help="Validate on a part of the training rows: to choose settings without a look at the "
        "validation rows.",
        rich_help_panel=DATA,
    ),
]
ModelName = Annotated[
    str, typer.Option("--model", help=f"One of {_listed(MODELS)}.", rich_help_panel=MODEL)
]
METHOD_HELP = (
    f"{_listed(registry())}. Settings may follow after colons: cce:n-chunks=8:seeding=warm."
)
Dim = Annotated[int, typer.Option(min=1, help="Columns of the vectors.", rich_help_panel=MODEL)]
Bias = Annotated[
    str,
    typer.Option(
        metavar="[none|full|compressed]",
        help="Add a scalar for each ID; alone it means full: one for each. Compressed: by the "
        "same method.",
        rich_help_panel=MODEL,
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        help=f"{' or '.join(LOSSES)}; by default the model's usual one.", rich_help_panel=MODEL
    ),
]
Hidden = Annotated[
    list[int] | None,
    typer.Option(
        min=1, metavar="WIDTH...", help="Hidden layers of dlrm: 64 32.", rich_help_panel=MODEL
    ),
]
Paper = Annotated[
    bool,
    typer.Option(
        "--paper",
        help="The published procedure of methods whose default is another (as METHOD:paper).",
        rich_help_panel=MODEL,
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="At most so many.", rich_help_panel=TRAINING)]
BatchSize = Annotated[int, typer.Option(min=1, help="Rows a step.", rich_help_panel=TRAINING)]
OptimizerName = Annotated[
    str,
    typer.Option("--optimizer", help=f"One of {_listed(OPTIMIZERS)}.", rich_help_panel=TRAINING),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="By default "
        + _listed(f"{kind().learning_rate:g} ({name})" for name, kind in OPTIMIZERS.items())
        + ".",
        rich_help_panel=TRAINING,
    ),
]
WeightDecay = Annotated[
    float | None, typer.Option(help="Decoupled; of adam only.", rich_help_panel=TRAINING)
]
EarlyStopping = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="[EPOCHS]",
        help="Stop after so many epochs without a better value (alone: 5).",
        rich_help_panel=TRAINING,
    ),
]
Plateau = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="[EPOCHS]",
        help="Divide the learning rate by 10 after so many epochs without a better value "
        "(alone: 3).",
        rich_help_panel=TRAINING,
    ),
]
Schedule = Annotated[
    str,
    typer.Option(
        help="Of the learning rate: constant; linear, which falls epoch by epoch to nearly 0; or "
        "auto: linear for alternating CCE where IDs have few rows.",
        rich_help_panel=TRAINING,
    ),
]
Monitor = Annotated[
    str,
    typer.Option(
        help=f"Which value is meant, on the validation rows: {' or '.join(MONITORS)}.",
        rich_help_panel=TRAINING,
    ),
]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What the library raises for a wrong argument, as one line that names the option."""
    try:
        yield
    except (DataError, CheckpointError) as error:
        fail(" ".join(str(error).split()))
    except (TypeError, ValueError) as error:
        fail(with_dashes(str(error)))


def with_dashes(message: str) -> str:
    """A message of the library about an argument, as one about the option.

    Examples
    --------
    >>> with_dashes("batch_size must be at least 1, got 0.")
    '--batch-size must be at least 1, got 0.'
    >>> with_dashes("the training part has one label only.")
    'the training part has one label only.'
    """
    renamed = {"patience": "early_stopping", "drop_patience": "plateau"}
    options = {*TrainingOptions.__dataclass_fields__, *renamed, "learning_rate", "weight_decay"}
    options |= {"model", "method", "params_per_dim", "dim", "bias", "loss", "hidden", "task"}
    options |= {"optimizer", "seeds"}
    name, _, rest = " ".join(message.split()).partition(" ")
    if name not in options:
        return f"{name} {rest}"
    return f"--{renamed.get(name, name).replace('_', '-')} {rest}"


def source_of(
    data: str,
    data_seed: int,
    task: str,
    drop_ratings: list[str] | None,
    skip_bad: bool,
    tuning: bool,
) -> DataSource:
    """The data that the options name."""
    dropped: tuple[float, ...] | None = None
    if drop_ratings is not None:
        words = [] if drop_ratings == ["none"] else drop_ratings
        try:
            dropped = tuple(float(word) for word in words)
        except ValueError:
            fail(f"--drop-ratings must be numbers, or none; got {' '.join(words)}.")
    return DataSource(data, data_seed, task, dropped, skip_bad, tuning)


def method_of(text: str, paper: bool) -> MethodChoice:
    """The method that the options name."""
    with one_line_errors():
        return MethodChoice.parse(f"{text}:{PAPER}" if paper else text)


def methods_of(texts: list[str], paper: bool) -> tuple[MethodChoice, ...]:
    """The methods that the options name; published procedures where there are any."""
    found = []
    for text in texts:
        kind = registry().get(text.partition(":")[0])
        published = paper and kind is not None and kind.published is not None
        found.append(method_of(text, published and PAPER not in text.split(":")))
    if paper and not any(registry()[method.name].published is not None for method in found):
        fail("--paper: none of the --methods has a published procedure beside its default.")
    return tuple(found)


def optimizer_of(name: str, learning_rate: float | None, weight_decay: float | None) -> Optimizer:
    """The optimiser that the options name."""
    if name not in OPTIMIZERS:
        fail(f"--optimizer must be one of {_listed(OPTIMIZERS)}; got {name!r}.")
    if weight_decay is not None and name != "adam":
        fail(f"--weight-decay goes with --optimizer adam, got {name}. Leave it out.")
    given = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    with one_line_errors():
        return OPTIMIZERS[name](**{key: v for key, v in given.items() if v is not None})


def check_choice(option: str, value: str | None, choices: Any) -> None:
    """A usage error unless the value is None or one of the choices."""
    if value is not None and value not in choices:
        fail(f"{option} must be one of {_listed(choices)}; got {value!r}.")


def check_choices(
    model: str,
    bias: str,
    loss: str | None,
    monitor: str,
    schedule: str,
    keep: str,
    task: str,
) -> None:
    """Usage errors for words that are not among the choices."""
    check_choice("--model", model, MODELS)
    check_choice("--bias", bias, BIASES)
    check_choice("--loss", loss, LOSSES)
    check_choice("--monitor", monitor, MONITORS)
    check_choice("--schedule", schedule, SCHEDULES)
    check_choice("--keep", keep, KEEPS)
    check_choice("--task", task, ("binary", "regression"))
    if monitor == "auc" and task == "regression":
        fail("--monitor auc needs a binary task; with --task regression there is the loss only.")


def check_writable(option: str, path: Path | None) -> None:
    """A usage error unless the folder of a file to be written is there."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        fail(f"{option}: the folder {path.absolute().parent} does not exist. Create it first.")
    if path.is_dir():
        fail(f"{option}: {path} is a folder; expected the name of a file.")
