"""Files of a figure: PDF, PNG and the plotted numbers, each whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from io import BytesIO, StringIO
from pathlib import Path

from matplotlib.figure import Figure

from lsq_sketch import __version__
from lsq_sketch.files import write_whole

from . import style
from .columns import Columns
from .registry import Recipe
from .run import DEPENDENCIES


def provenance(name: str, seed: int, profile: str, notes: Iterable[str] = ()) -> str:
    """One line that says what a figure was made with.

    Parameters
    ----------
    name : str
        Of the figure.
    seed : int
    profile : str
    notes : iterable of str
        What else it was made with, see `figures.run.Run`.

    Returns
    -------
    str

    Examples
    --------
    >>> provenance("dense-convergence", 7, "quick").split(";")[0].split(", ")[1:]
    ['seed 7', 'profile quick']
    """
    packages = ", ".join(f"{package} {version(package)}" for package in DEPENDENCIES)
    made = f"{name} of lsq-sketch {__version__}, seed {seed}, profile {profile}"
    return "; ".join([made, *notes, packages])


def save(
    recipe: Recipe, columns: Columns, figure: Figure, origin: str, folder: Path
) -> dict[str, Path]:
    """Write a figure as ``<id>.pdf``, ``.png`` (200 dpi) and ``.csv``.

    The same numbers and versions give the same bytes: no file holds a date.

    Parameters
    ----------
    recipe : Recipe
    columns : Columns
        The plotted numbers.
    figure : matplotlib.figure.Figure
    origin : str
        From `provenance`; the first line of the CSV, and in the metadata of PDF and PNG.
    folder : Path
        Exists.

    Returns
    -------
    dict of str to Path
        By suffix: ``"pdf"``, ``"png"``, ``"csv"``.

    Raises
    ------
    OSError
        If a file cannot be written; the one of that name, if any, is then untouched.
    """
    pdf = {
        "Title": recipe.title, "Subject": recipe.caption, "Keywords": origin, "CreationDate": None,
    }  # fmt: skip
    png = {"Title": recipe.title, "Description": recipe.caption, "Source": origin}
    contents = {
        "pdf": _rendered(figure, "pdf", pdf),
        "png": _rendered(figure, "png", png),
        "csv": csv_text(columns, origin).encode(),
    }
    paths = {suffix: folder / f"{recipe.id}.{suffix}" for suffix in contents}
    for suffix, content in contents.items():
        write_whole(paths[suffix], content)
    return paths


def _rendered(figure: Figure, suffix: str, metadata: Mapping[str, str | None]) -> bytes:
    buffer = BytesIO()
    with style.context():
        figure.savefig(buffer, format=suffix, metadata=dict(metadata))
    return buffer.getvalue()


def csv_text(columns: Columns, origin: str) -> str:
    """Comma-separated values: a comment line, the names, a row a point.

    Numbers are the shortest text that reads back as the same float64.

    Examples
    --------
    >>> import numpy as np
    >>> print(csv_text({"x": np.array([0, 1]), "y": np.array([0.1, 1e-20])}, "by hand"), end="")
    # by hand
    x,y
    0,0.1
    1,1e-20
    """
    text = StringIO()
    text.write(f"# {origin}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue()
