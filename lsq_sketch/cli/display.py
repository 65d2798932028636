"""What training looks like: a line an epoch, and on a terminal what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..console import console, live_screen
from ..recommend.data import Dataset
from ..recommend.models import Model
from ..recommend.training import EpochRecord
from ..recommend.training import Progress as TrainingProgress

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def in_bytes(count: int) -> str:
    """A number of bytes for people, in powers of 1,000.

    Examples
    --------
    >>> in_bytes(640), in_bytes(65536)
    ('640 bytes', '65.5 kB')
    """
    value, unit = float(count), 0
    while value >= 999.95 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{count} bytes" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def score(value: float | None) -> str:
    """A loss or an AUC.

    Examples
    --------
    >>> score(0.78641), score(None), score(1234.56)
    ('0.7864', '-', '1234.6')
    """
    if value is None or value != value:
        return "-"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def data_line(data: Dataset) -> str:
    """A data set in one line."""
    fields = zip(data.field_names, data.cardinalities, strict=True)
    sizes = ", ".join(f"{size:,} {name}" for name, size in fields)
    dense = f"; {data.n_dense} dense feature(s)" if data.n_dense else ""
    skipped = f"; {data.skipped_lines:,} malformed line(s) left out" if data.skipped_lines else ""
    return (
        f"{data.name}: {len(data.train):,} rows to train on, {len(data.validation):,} to validate "
        f"on; IDs: {sizes}{dense}{skipped}"
    )


def model_line(model: Model, label: str, training: int) -> str:
    """A model in one line: its parameters, and bytes in serving and in training."""
    size = "" if model.method == "full" else f" with {model.params_per_dim} parameters a dimension"
    bias = "" if model.bias == "none" else f", {model.bias} biases"
    return (
        f"{model.name}, dim {model.dim}, {label}{size}{bias}: {model.parameter_count:,} "
        f"parameters, {in_bytes(model.serving_bytes)} in serving, {in_bytes(training)} in training"
    )


def epoch_header(ranked: bool) -> str:
    """The names above the lines of `epoch_line`."""
    auc = "     AUC" if ranked else ""
    return f"epoch  train loss  validation loss{auc}      rows/s"


def epoch_line(record: EpochRecord) -> str:
    """An epoch in one line.

    Examples
    --------
    >>> epoch_line(EpochRecord(1, 0.69, 0.66, 0.512, 0.001, 3.1e6))
    '    1      0.6900           0.6600  0.5120   3,100,000'
    """
    auc = "" if record.auc is None else f"{score(record.auc):>8}"
    return (
        f"{record.epoch:>5}{score(record.train_loss):>12}{score(record.validation_loss):>17}{auc}"
        f"{record.rows_per_second:>12,.0f}"
    )


class TrainingDisplay:
    """Lines of epochs on standard output; on a terminal a bar of the epoch under way.

    Parameters
    ----------
    out : rich.console.Console
    bar : rich.progress.Progress
    """

    def __init__(self, out: Console, bar: Progress):
        self._out = out
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self.epoch, self.share = 0, 0.0

    def progress(self, now: TrainingProgress) -> None:
        """Show where the epoch stands."""
        self.epoch, self.share = now.epoch, now.rows / now.total_rows
        text = f"epoch {now.epoch}  loss {score(now.loss)}  {now.rows_per_second:,.0f} rows/s"
        self._bar.update(self._task, completed=now.rows, total=now.total_rows, description=text)

    def line(self, record: EpochRecord) -> None:
        """Print an epoch's line."""
        self._out.print(epoch_line(record), soft_wrap=True)


@contextmanager
def training_display() -> Iterator[TrainingDisplay]:
    """A display for the ``with`` block; its bar is gone afterwards."""
    out = console()
    shared = live_screen(out)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=shared,
        disable=not shared.is_terminal,
        transient=True,
    ) as bar:
        yield TrainingDisplay(out, bar)
