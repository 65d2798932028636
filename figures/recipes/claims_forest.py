"""Every claim on every problem: the measured value against the claimed one, with its interval.

One row a claim, one line an instance (and step, where a claim tells steps apart), from a report of
the judge, trials only: --report FILE of proofs-check run --json, or a run of its quick profile.
Blue: made-up problems; orange: real data; a red cross: not confirmed.

(a) Upper bounds: the mean as a share of the bound, with its confidence interval, valid whenever the
run stopped; the bound is the line at 1. Bounds that are attained are judged as equalities.
(b) Equalities: the mean as a share of the claimed value. (c) Deterministic claims: the share of the
tolerance for rounding that the worst trial takes, on a logarithmic scale; "none" is a slack of 0 or
more. Below, for the distribution claim, the Kolmogorov distance as a share of what is tolerated.

The chance that any interval of the run misses is at most alpha, 0.01 by default. The quick profile
leaves out MovieLens and flights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from proofs_check.claim import Kind, registry
from proofs_check.finding import Evidence, Finding, Verdict
from proofs_check.instances import catalogue, unavailable
from proofs_check.report import ReportFileError, read_json
from proofs_check.report.forest import interval
from proofs_check.run import Report
from proofs_check.run import run as judge

from ..columns import Columns, split
from ..run import FigureInputError, Run, files_digest
from ..style import LABEL_SIZE, PAGE_WIDTH
from ..trials import Progress

LARGE = ("movielens", "flights-tail-number", "flights-fields")

DRAFT_CLAIMS = ("dense-rate", "excess-identity", "orthonormal-exact", "whitened-beta")
DRAFT_INSTANCES = ("planted-exact", "few-columns", "diabetes")

UPPER, EQUAL, SURE, LAW = (
    kind.value for kind in (Kind.UPPER_BOUND, Kind.EQUALITY, Kind.DETERMINISTIC, Kind.DISTRIBUTION)
)


def compute(run: Run) -> Columns:
    """The findings of a report, as shares of what was claimed.

    Parameters
    ----------
    run : Run
        With the option ``report``, a path; else the claims are judged here.

    Returns
    -------
    Columns
        A row a finding: what it is of, its numbers, and the interval as it is drawn.

    Raises
    ------
    FigureInputError
        If the report cannot be read, or has no findings from trials.
    """
    path = run.options.get("report")
    if path is not None:
        return from_file(Path(path), run)
    claims, instances = scope(run.profile)
    parameters = {
        "claims": claims,
        "instances": instances,
        "judge": files_digest("proofs_check/*.py", "proofs_check/claims/*.py"),
        "seed": run.seed,
    }

    def findings(seed: np.random.SeedSequence, progress: Progress) -> Columns:
        chosen = [registry()[claim] for claim in claims]
        report = judge(
            chosen, instances, seed=run.seed, jobs=1 if run.profile == "draft" else 2,
            progress=progress,
        )  # fmt: skip
        if report.interrupted:
            raise KeyboardInterrupt
        return table(report.findings)

    return run.part("report", parameters, findings)


def scope(profile: str) -> tuple[list[str], list[str]]:
    """Claims and instances that are judged if no report is given."""
    if profile == "draft":
        return list(DRAFT_CLAIMS), list(DRAFT_INSTANCES)
    left_out = {*unavailable(), *(LARGE if profile == "quick" else ())}
    claims = [claim.id for claim in registry().values() if not claim.is_false]
    return claims, [name for name in catalogue() if name not in left_out]


def from_file(path: Path, run: Run) -> Columns:
    """The findings of a saved report; says in the provenance which one."""
    try:
        report: Report = read_json(path)
    except ReportFileError as error:
        raise FigureInputError(f"--report: {error}") from error
    run.notes.append(
        f"report of profile {report.profile}, seed {report.seed}, alpha {report.alpha:g}"
    )
    chosen = [finding for finding in report.findings if _is_drawn(finding)]
    if not chosen:
        raise FigureInputError(
            f"--report: {path} has no findings from trials; make it with "
            f"proofs-check run --json FILE."
        )
    return table(chosen)


def _is_drawn(finding: Finding) -> bool:
    claim = registry().get(finding.claim)
    tried = finding.evidence is Evidence.TRIALS and finding.observations > 0
    return tried and not (claim is None or claim.is_false)


def table(findings: Iterable[Finding]) -> Columns:
    """Findings as columns, sorted by kind and claim."""
    chosen = [finding for finding in findings if _is_drawn(finding)]
    order = (UPPER, EQUAL, SURE, LAW)
    chosen.sort(key=lambda finding: (order.index(finding.kind.value), finding.claim))
    shares = np.array([shown(finding) for finding in chosen]).reshape(-1, 3)
    return {
        "claim": np.array([finding.claim for finding in chosen]),
        "instance": np.array([finding.instance for finding in chosen]),
        "of": np.array([finding.stage for finding in chosen]),
        "kind": np.array([finding.kind.value for finding in chosen]),
        "real": np.array([int(finding.real) for finding in chosen]),
        "verdict": np.array([finding.verdict.value for finding in chosen]),
        "trials": np.array([finding.trials for finding in chosen]),
        "claimed": np.array([finding.bound for finding in chosen]),
        "mean": np.array([finding.mean for finding in chosen]),
        "low": shares[:, 0],
        "middle": shares[:, 1],
        "high": shares[:, 2],
    }


LEAST = 1e-6
"""Shares of the tolerance for rounding below this are drawn there."""


def shown(finding: Finding) -> tuple[float, float, float]:
    """The interval as it is drawn: over the claimed value, or over the tolerance for rounding."""
    if finding.kind is Kind.DETERMINISTIC:
        found = interval(finding)
        return (
            LEAST,
            float(np.clip(found.high, LEAST, None)),
            float(np.clip(found.high, LEAST, None)),
        )
    values = (finding.lower, finding.mean, finding.upper)
    low, middle, high = (value / finding.bound if finding.bound else 1.0 for value in values)
    return low, middle, high


COLOURS = ("#0072B2", "#E69F00")
REFUTED = "#D55E00"


def draw(columns: Columns) -> Figure:
    """Upper bounds on the left; the other kinds on the right, each with an axis of its own.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    kinds = split(columns, "kind")
    rows = {kind: len(split(part, "claim")) for kind, part in kinds.items()}
    right = [kind for kind in (EQUAL, SURE, LAW) if kind in kinds]
    tallest = max(rows.get(UPPER, 0), sum(rows[kind] for kind in right) + 3 * len(right))
    figure = Figure((PAGE_WIDTH, max(2.4, 0.7 + 0.19 * tallest)), layout="constrained")
    grid = figure.add_gridspec(1, 2)
    left = figure.add_subplot(grid[0, 0])
    heights = [rows[kind] + 1 for kind in right]
    below = grid[0, 1].subgridspec(len(right), 1, height_ratios=heights)
    axes = {UPPER: left} | {kind: figure.add_subplot(below[i]) for i, kind in enumerate(right)}
    titles = {
        UPPER: ("upper bounds", "mean / bound"),
        EQUAL: ("equalities", "mean / claimed value"),
        SURE: ("deterministic claims", "share of rounding tolerance"),
        LAW: ("distribution", "distance / tolerated"),
    }
    for letter, (kind, ax) in zip("abcd", axes.items(), strict=False):
        title, label = titles[kind]
        ax.set_title(f"({letter}) {title}")
        ax.set_xlabel(label)
        if kind in kinds:
            _draw_kind(ax, kinds[kind])
        else:
            ax.set_visible(False)
    points = [
        Line2D([], [], color=COLOURS[real], marker="os"[real], markersize=3, linewidth=0.7,
               markerfacecolor=COLOURS[real], label=("made-up problems", "real data")[real])
        for real in sorted(set(columns["real"].tolist()))
    ]  # fmt: skip
    figure.legend(handles=points, loc="outside lower center", ncols=2)
    for kind in (UPPER, LAW):
        if kind in kinds:
            high = float(kinds[kind]["high"].max())
            axes[kind].set_xlim(-0.03, max(1.12, min(high, 2.0) + 0.05))
    if EQUAL in kinds:
        part = kinds[EQUAL]
        reach = max(0.02, min(0.5, float(np.abs([part["low"] - 1, part["high"] - 1]).max())))
        axes[EQUAL].set_xlim(1 - 1.1 * reach, 1 + 1.1 * reach)
    if SURE in kinds:
        ax = axes[SURE]
        ax.set_xscale("log")
        ax.set_xlim(LEAST / 2, 4)
        ax.set_xticks([LEAST, 1e-3, 1], ["none", "1/1000", "1"])
        ax.minorticks_off()
    return figure


def _draw_kind(ax: Axes, part: Columns) -> None:
    """A row a claim; inside it the findings below each other."""
    claims: Sequence[str] = list(split(part, "claim"))
    for row, claim in enumerate(claims):
        mine = {name: column[part["claim"] == claim] for name, column in part.items()}
        count = len(mine["claim"])
        heights = row + np.linspace(-0.36, 0.36, count) if count > 1 else np.array([float(row)])
        for real in (0, 1):
            ours = mine["real"] == real
            ax.hlines(
                heights[ours], mine["low"][ours], mine["high"][ours],
                color=COLOURS[real], linewidth=0.7, alpha=0.8,
            )  # fmt: skip
            ax.plot(
                mine["middle"][ours], heights[ours], "os"[real], color=COLOURS[real],
                markersize=1.7, markerfacecolor=COLOURS[real],
            )  # fmt: skip
        bad = mine["verdict"] != Verdict.CONFIRMED.value
        ax.plot(mine["middle"][bad], heights[bad], "x", color=REFUTED, markersize=5)
        if row % 2:
            ax.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", zorder=0, linewidth=0)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_yticks(range(len(claims)), claims, fontsize=LABEL_SIZE)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(claims) - 0.5, -0.5)
