"""``lsq-sketch predict``."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.markup import escape

from ..console import console, fail
from ..errors import CheckpointError
from ..files import replacing
from ..recommend.checkpoint import load_buckets, load_model
from ..recommend.data import Buckets
from ..recommend.data.criteo import FIRST, RARE
from ..recommend.models import Model
from ..recommend.pairs import UNKNOWN, Encoder, mean_vectors, predict_rows, read_clicks, read_rows
from . import options

POLICIES = ("mean", "error")
EXAMPLES_SHOWN = 3


def predict_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Saved by train --save.")],
    pairs: Annotated[
        Path,
        typer.Option(
            help="A row a line: user and item (or each field of the data, then the dense "
            "features), separated by tabs, commas or '::'; plain or gzipped, with or without a "
            "header."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write here in place of standard output.")
    ] = None,
    unknown: Annotated[
        str,
        typer.Option(
            help="What to do with values the model has not seen: mean, take the mean vector of "
            "the field and warn; or error."
        ),
    ] = POLICIES[0],
) -> None:
    """Score pairs by a saved model: CSV, the columns of the fields and the prediction.

    The prediction is a probability with logistic loss, and the expected label with squared loss.
    Users and items are named as in the data the model was trained on; those of synthetic data are
    IDs from 0 on. Dense features are taken as the data set gives them to the model (of flights:
    the standardised distance). A model of Criteo's clicks reads lines of that format, with labels
    (not looked at) or without; a category that was rare or not there in training has the vector
    that all rare ones share.

    Examples
    --------
      lsq-sketch predict model.npz --pairs pairs.csv

      lsq-sketch predict model.npz --pairs pairs.tsv.gz --unknown error --out scores.csv
    """
    options.check_choice("--unknown", unknown, POLICIES)
    options.check_writable("--out", out)
    if not pairs.is_file():
        fail(f"--pairs: {pairs}: no such file; expected the path of a text file.")
    loaded, about, buckets = _load(model)
    data = about["data"]
    names = data["fields"]
    if buckets is None:
        encoder = Encoder(loaded.cardinalities, about["vocabularies"])
        blocks, foreign, first = read_rows(pairs, encoder, names, loaded.n_dense), UNKNOWN, 0
    else:
        blocks, foreign, first = read_clicks(pairs, buckets), RARE, FIRST
    unseen: list[Counter[str]] = [Counter() for _ in names]
    n_rows = 0
    with options.one_line_errors(), _written(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        means = mean_vectors(loaded)
        for rows in blocks:
            for row, f in zip(*(rows.ids == foreign).nonzero(), strict=True):
                if unknown == "error":
                    fail(
                        f"{pairs}: {names[f]} {rows.values[row][f]!r} is not among the "
                        f"{loaded.cardinalities[f] - first:,} the model was trained with. Leave "
                        f"such rows out, or take --unknown mean."
                    )
                if buckets is None:
                    unseen[f][rows.values[row][f]] += 1
            scores = predict_rows(loaded, rows, means)
            if not n_rows:
                writer.writerow([*names, "prediction"])
            writer.writerows(
                [*values, f"{value:.6g}"]
                for values, value in zip(rows.values, scores.tolist(), strict=True)
            )
            n_rows += len(scores)
        if not n_rows:
            fail(f"{pairs}: there are no rows to score; expected {', '.join(names)}, a row a line.")
    _warn(names, unseen)


def _load(path: Path) -> tuple[Model, dict[str, Any], Buckets | None]:
    try:
        model, about = load_model(path)
        buckets = load_buckets(path)
    except FileNotFoundError:
        fail(f"{path}: no such file. Save a model with lsq-sketch train --save.")
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}.")
    except CheckpointError as error:
        fail(str(error))
    if "vocabularies" not in about:
        fail(
            f"{path} is no model saved by lsq-sketch train --save. If it is a checkpoint, go on "
            f"with it by --resume and --save."
        )
    return model, about, buckets


@contextmanager
def _written(path: Path | None) -> Iterator[IO[str]]:
    """Standard output; or a file that is there when all is written."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        yield sys.stdout
        return
    encoding: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    try:
        with replacing(path) as temporary, open(temporary, "w", **encoding) as file:
            yield file
    except OSError as error:
        fail(f"--out: could not write {path}: {error.strerror}.")


def _warn(names: list[str], unseen: list[Counter[str]]) -> None:
    for name, counts in zip(names, unseen, strict=True):
        if counts:
            shown = ", ".join(list(counts)[:EXAMPLES_SHOWN])
            more = ", ..." if len(counts) > EXAMPLES_SHOWN else ""
            line = (
                f"lsq-sketch: {len(counts):,} unknown {name}(s) in {counts.total():,} row(s), "
                f"scored by the mean vector: {shown}{more}"
            )
            console(stderr=True).print(escape(line), soft_wrap=True)
