"""A plain figure of a comparison: AUC and loss against parameters, a line a method."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .comparison import BEST_REACHABLE, BIAS_ONLY, Results, reference_rows

PANELS = {"best_auc": "best validation AUC", "best_loss": "lowest validation loss"}

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255",
    "#44AA99", "#999933",
)  # fmt: skip
"""Okabe and Ito's, then some of Tol's: for all kinds of colour vision."""

MARKERS = "os^Dvp<>*Xh8P"
REFERENCES = {BIAS_ONLY: ("#555555", (0, (4, 2))), BEST_REACHABLE: ("#555555", (0, (1, 1.5)))}


def draw(results: Results) -> Figure:
    """Mean over seeds, with a band from the least to the greatest.

    Parameters
    ----------
    results : Results

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = results.rows
    panels = [name for name in PANELS if all(row[name] is not None for row in rows)]
    references = reference_rows(results)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, name in zip(axes, panels, strict=True):
            _draw_panel(ax, name, rows, references)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    base = results.comparison.base
    seeds = len(results.comparison.seeds)
    figure.suptitle(
        f"{results.data['name']}, {base.model}, dim {base.dim}: mean and range of {seeds} seed(s)",
        fontsize=9,
    )
    return figure


def _draw_panel(
    ax: Axes, name: str, rows: Sequence[dict[str, Any]], references: Sequence[dict[str, Any]]
) -> None:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for m, method in enumerate(methods):
        points: dict[int, list[tuple[float, float]]] = {}
        for row in rows:
            if row["method"] == method:
                point = (row["table_parameters"], row[name])
                points.setdefault(row["params_per_dim"], []).append(point)
        sizes = sorted(points)
        x = [sum(p[0] for p in points[s]) / len(points[s]) for s in sizes]
        y = [sum(p[1] for p in points[s]) / len(points[s]) for s in sizes]
        low = [min(p[1] for p in points[s]) for s in sizes]
        high = [max(p[1] for p in points[s]) for s in sizes]
        colour = COLOURS[m % len(COLOURS)]
        marker = MARKERS[m % len(MARKERS)]
        ax.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.2, label=method)
        if len(sizes) > 1:
            ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        else:
            ax.vlines(x, low, high, color=colour, linewidth=1.2)
    for row in references:
        if row[name] is not None:
            colour, line = REFERENCES[row["method"]]
            label = row["method"].replace("-", " ")
            ax.axhline(row[name], color=colour, linestyle=line, linewidth=1, label=label)
    ax.set(xscale="log", xlabel="parameters of all tables", ylabel=PANELS[name])


def rendered(figure: Figure, suffix: str) -> bytes:
    """The bytes of a figure as "png" or "pdf", without a date.

    Of a figure drawn anew: laying out twice moves things by a rounding error.
    """
    buffer = BytesIO()
    metadata = {"CreationDate": None} if suffix == "pdf" else None
    figure.savefig(buffer, format=suffix, dpi=200, metadata=metadata)
    return buffer.getvalue()
