"""One look for all figures: sizes of a two-column paper, colours that everyone can tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from .columns import HIGH, LOW, MEDIAN, Columns

COLUMN_WIDTH = 3.3
"""Inches; one column of a two-column paper."""

PAGE_WIDTH = 6.9
"""Inches; both columns."""

LABEL_SIZE = 7.5
"""Points; the smallest text is 7."""

RC: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "lines.markeredgewidth": 0.9,
    "lines.markerfacecolor": "white",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
}


@dataclass(frozen=True)
class Look:
    """How one method or bound is drawn, in every figure.

    Attributes
    ----------
    label : str
    colour : str
        From the palettes of Okabe and Ito, "Color universal design", 2008, and of Tol, "Colour
        schemes", 2021 (muted): both for all kinds of colour vision.
    line : str or tuple
        Matplotlib's line style: differs where colours are close in grey.
    marker : str
        Measured series have one, theory has none.
    every : (int, int)
        First marker and distance to the next: series that may coincide take turns.
    """

    label: str
    colour: str
    line: str | tuple[float, tuple[float, ...]] = "-"
    marker: str = ""
    every: tuple[int, int] = (0, 1)


LOOKS = {
    # noise of Dense CCE
    "gaussian": Look("Gaussian noise", "#0072B2", "-", "o", (0, 2)),
    "whitened": Look("whitened noise", "#009E73", "-", "s", (1, 2)),
    "count-sketch-noise": Look("count-sketch noise", "#56B4E9", "-", "^", (0, 2)),
    # bounds and laws, by the id of the claim
    "dense-rate": Look("dense-rate", "#D55E00", "-"),
    "dense-quadrature-rate": Look("dense-quadrature-rate", "#000000", (0, (4, 2))),
    "dense-count-sketch-rate": Look("dense-count-sketch-rate", "#D55E00", (0, (6, 1.5))),
    "whitened-rate": Look("whitened-rate", "#D55E00", (0, (5, 1, 1, 1))),
    "whitened-law": Look("whitened-law", "#CC79A7", (0, (1, 1.2))),
    "one-hot-exact": Look("one-hot-exact", "#000000", "-"),
    "recovery-probability": Look("recovery-probability", "#D55E00", (0, (4, 2))),
    "sparse-neighbourhood": Look("sparse-neighbourhood", "#D55E00", (0, (5, 1, 1, 1))),
    "iteration-count": Look("iteration-count", "#D55E00", "-"),
    "prediction": Look("asymptotic prediction", "#7F7F7F", (0, (2, 1.5))),
    # methods; dashed: made from a table that was trained before
    "full": Look("full table", "#000000", "-", "*"),
    "pq": Look("product quantisation", "#E69F00", (0, (4, 1.5)), "s"),
    "rq": Look("residual quantisation", "#882255", (0, (4, 1.5)), "D"),
    "hash": Look("hashing trick", "#332288", "-", "v"),
    "count-sketch": Look("count sketch", "#56B4E9", "-", "o"),
    "ce": Look("CE, concatenated", "#CC79A7", "-", "P"),
    "qr": Look("QR", "#999933", "-", "X"),
    "bloom": Look("sum of hashes", "#44AA99", "-", ">"),
    "hash-embedding": Look("hash embedding", "#44AA99", (0, (5, 1, 1, 1)), "<"),
    "robe": Look("ROBE", "#CC79A7", (0, (5, 1, 1, 1)), "p"),
    "tensor-train": Look("tensor train", "#7F7F7F", "-", "h"),
    "dhe": Look("DHE", "#7F7F7F", (0, (5, 1, 1, 1)), "d"),
    "low-dimensional": Look("low-dimensional", "#7F7F7F", (0, (1, 1.2)), "|"),
    "one-shot": Look("one shot", "#009E73", "-", "^"),
    "cce": Look("Sparse CCE", "#0072B2", "-", "s"),
    "alternating": Look("alternating CCE", "#D55E00", "-", "D"),
    # stages of one shot: the first is the count sketch, the last what the method gives
    "sketched": Look("after sketch", "#56B4E9", "-", "o"),
    "clustered": Look("after clustering", "#E69F00", "-", "v"),
    "resolved": Look("after re-solve", "#009E73", "-", "^"),
    # yardsticks
    "k-means-of-optimum": Look("k-means of $T^{*}$, re-solved", "#000000", (0, (4, 2))),
    "best-codebook": Look("best codebook found", "#000000", (0, (1, 1.2))),
    "floor": Look("proved floor of codebooks", "#000000", "-"),
    "optimum": Look("optimum $T^{*}$", "#7F7F7F", (0, (1, 1.2))),
    "bias-only": Look("biases only", "#000000", (0, (4, 2))),
    "best-reachable": Look("best reachable", "#000000", (0, (1, 1.2))),
}
"""By the name of the series, which is that of its columns."""


def text_colour(name: str) -> str:
    """The colour of a series for text: darker, where it is light on white paper."""
    rgb = np.array(to_rgb(LOOKS[name].colour))
    luminance = float(rgb @ (0.30, 0.59, 0.11))
    red, green, blue = (rgb * 0.4 / max(0.4, luminance)).tolist()
    return to_hex((red, green, blue))


def context() -> AbstractContextManager[None]:
    """Matplotlib's settings inside the ``with`` block: its defaults, then ours."""
    return mpl.rc_context(RC)


def draw_trials(
    ax: Axes, x: str, columns: Columns, name: str, column: str | None = None, fill: str = "white"
) -> None:
    """Median and 10-90 % band of a series.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x : str
        Column of the horizontal axis.
    columns : Columns
    name : str
        Series, one of `LOOKS`.
    column : str, optional
        Stem of its columns; the name of the series if not given.
    fill : str
        Colour inside the markers.
    """
    stem = column or name
    band = columns[f"{stem} {LOW}"], columns[f"{stem} {HIGH}"]
    ax.fill_between(columns[x], *band, color=LOOKS[name].colour, alpha=0.25, linewidth=0)
    draw_line(ax, x, columns, name, f"{stem} {MEDIAN}", fill)


def draw_line(
    ax: Axes, x: str, columns: Columns, name: str, column: str | None = None, fill: str = "white"
) -> None:
    """One column as a line, in the look of series ``name``."""
    look = LOOKS[name]
    ax.plot(
        columns[x], columns[column or name], color=look.colour, linestyle=look.line,
        marker=look.marker, markevery=look.every, label=look.label, markerfacecolor=fill,
        zorder=2 if look.marker else 3,
    )  # fmt: skip


def write_beside(
    ax: Axes,
    text: str,
    x: float,
    y: float,
    colour: str = "#000000",
    offset: tuple[float, float] = (2, 2),
    **settings: Any,
) -> None:
    """Write a label at an offset in points from a point of the data."""
    ax.annotate(
        text, (x, y), offset, textcoords="offset points",
        fontsize=LABEL_SIZE, color=colour, annotation_clip=False, **settings,
    )  # fmt: skip


def label_line(
    ax: Axes, name: str, x: float, y: float, offset: tuple[float, float] = (2, 2), **settings: Any
) -> None:
    """Write the name of a series beside one of its points."""
    write_beside(ax, LOOKS[name].label, x, y, text_colour(name), offset, **settings)


def label_ends(figure: Figure, ax: Axes, ends: Iterable[tuple[str, float]]) -> None:
    """Write the name of each series at the right end of its line, without overlaps.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes
        Of this figure, with its limits set.
    ends : iterable of (str, float)
        Series and the height of its end.
    """
    figure.draw_without_rendering()
    points = 72 / figure.dpi
    x = ax.get_xlim()[1]
    order = sorted(ends, key=lambda end: end[1])
    heights = points * ax.transData.transform([(x, y) for _, y in order])[:, 1]
    gaps = 1.15 * LABEL_SIZE * np.arange(len(order))
    shifts = isotonic_regression(heights - gaps).x + gaps - heights  # nearest heights with gaps
    for (name, y), shift in zip(order, shifts, strict=True):
        ax.annotate(
            LOOKS[name].label, (x, y), (4, shift), textcoords="offset points",
            fontsize=LABEL_SIZE, color=text_colour(name), va="center", annotation_clip=False,
        )  # fmt: skip
