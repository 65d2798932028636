"""A plan to read: tables for the terminal, JSON for machines, a picture."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lsq_sketch import __version__
from lsq_sketch.files import write_whole

from .rounds import Plan, Row
from .setting import GIVEN, RANDOM, WORST
from .simulation import Estimate, Measured
from .storage import NUMBER_BYTES, Memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 112
"""Columns needed to show the point estimates, half of the runs and the unrolled size too."""

COLOURS = {"gaussian": "#0072B2", "whitened": "#009E73", "count-sketch": "#D55E00"}
"""From the palette of Okabe and Ito, "Color universal design", 2008."""

MARKERS = {WORST: "v", RANDOM: "o", GIVEN: "s"}

PICTURES = (".pdf", ".png", ".svg")


# ------------------------------------------------------------------ words and numbers


def rounds_text(rounds: float | None) -> str:
    """A number of rounds in at most nine characters.

    Examples
    --------
    >>> rounds_text(1234.0), rounds_text(1.2e12), rounds_text(None), rounds_text(float("inf"))
    ('1,234', '1.2e+12', '-', 'never')
    """
    if rounds is None:
        return "-"
    if math.isinf(rounds):
        return "never"
    return f"{int(rounds):,}" if rounds < 1e7 else f"{rounds:.1e}"


def bytes_text(size: float) -> str:
    """A size in bytes, decimal units.

    Examples
    --------
    >>> bytes_text(950), bytes_text(40_000), bytes_text(2.5e9)
    ('950 B', '40.0 kB', '2.5 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def share_text(share: float) -> str:
    """A share of the full table: per cent below 10, else a multiple.

    Examples
    --------
    >>> share_text(0.064), share_text(0.0004), share_text(12.3)
    ('6.4 %', '0.040 %', '12 x')
    """
    if share >= 10:
        return f"{share:,.0f} x"
    percent = 100 * share
    digits = 1 if percent >= 1 else 3
    return f"{percent:.{digits}f} %" if percent < 100 else f"{percent:.0f} %"


def _within(estimate: Estimate, measured: Measured) -> str:
    """``lower..upper``, ``>N`` where all is beyond the simulated rounds."""
    beyond = f">{measured.rounds:,}"
    if math.isinf(estimate.lower):
        return beyond
    upper = beyond if math.isinf(estimate.upper) else f"{estimate.upper:,.0f}"
    return f"{estimate.lower:,.0f}..{upper}"


def _value(estimate: Estimate, measured: Measured) -> str:
    return f">{measured.rounds:,}" if math.isinf(estimate.value) else f"{estimate.value:,.0f}"


def unrolled(plan: Plan, row: Row) -> float | None:
    """Numbers that ``T_i`` takes without ``T_{i-1}``, as a share of the full table.

    A table fitted over ``i`` rounds is ``sum_j G_j C_j``: seeds, and ``i m x d2`` coefficients. The
    rounds are those measured, else the best bound.
    """
    measured = row.measured
    if measured is not None and math.isfinite(measured.mean.value):
        rounds: float | None = measured.mean.value
    else:
        rounds = _guaranteed(row)
    if rounds is None:
        return None
    return rounds * (row.k - plan.setting.d2) / plan.setting.d1


# ------------------------------------------------------------------ terminal


def print_plan(plan: Plan, console: Console) -> None:
    """Print the tables, what they mean, and what could not be said.

    On a terminal narrower than `WIDE` some columns are left to ``--json``.
    """
    _print_setting(plan, console)
    _print_memory(plan, console)
    for accuracy in plan.accuracies:
        console.print()
        console.print(
            f"[bold]Rounds until the excess is at most {accuracy:g} e_0[/bold]", soft_wrap=True
        )
        console.print(_rounds_table(plan, accuracy, console.width >= WIDE))
    for k, reason in plan.refused.items():
        console.print(f"[yellow]k = {k:,} is not possible: {escape(reason)}.[/]")
    console.print()
    for line in in_short(plan):
        console.print(f"[bold]{escape(line)}[/bold]")
    console.print()
    for paragraph in explanation(plan):
        console.print(escape(paragraph))
    if plan.interrupted:
        console.print("[yellow]Interrupted: the simulations are not complete.[/]")


def _print_setting(plan: Plan, console: Console) -> None:
    s = plan.setting
    shape = f"{s.n:,} x {s.d1:,}" if s.n is not None else f"of {s.d1:,} columns"
    condition = ""
    if s.singular_values is not None:
        condition = f", condition {s.singular_values[0] / s.singular_values[-1]:.3g}"
    console.print(
        f"[bold]Dense CCE[/bold] for X {shape}, rank {s.rank:,}, rho {s.rho:.2g} "
        f"(at best 1/rank = {1 / s.rank:.2g}){condition}; d2 = {s.d2:,}."
    )
    console.print(
        "eps is relative to e_0 = ||X T*||^2, the excess loss of the zero table: "
        + "; ".join(f"{a:g} leaves {100 * a:g} %" for a in plan.accuracies)
        + " of it."
    )
    named = {
        GIVEN: f"given (X T* has rank {s.targets[0].rank})",
        WORST: "worst: all of X T* in the smallest singular direction (bounds: any target at all)",
        RANDOM: f"random: as much in every singular direction, rank {min(s.d2, s.rank)}",
    }
    console.print("Target " + "; ".join(named[target.name] for target in s.targets) + ".")


def _print_memory(plan: Plan, console: Console) -> None:
    s = plan.setting
    full = NUMBER_BYTES * s.d1 * s.d2
    console.print()
    console.print(
        f"[bold]Memory[/bold]: the full table, {s.d1:,} x {s.d2:,} float32, takes "
        f"{bytes_text(full)}."
    )
    table = _new_table()
    for name in ("k", "codebook", "share", "hashed", "share", "training", "with sketch"):
        table.add_column(name, justify="right", no_wrap=True)
    for k, m in plan.memory.items():
        dense, sketch = m.training("gaussian"), m.training("count-sketch")
        table.add_row(
            f"{k:,}", bytes_text(m.codebook), share_text(m.codebook / full), bytes_text(m.hashed),
            share_text(m.hashed / full), bytes_text(dense), bytes_text(sketch),
        )  # fmt: skip
    console.print(table)


def _new_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)


def _rounds_table(plan: Plan, accuracy: float, wide: bool) -> Table:
    table = _new_table()
    several = len(plan.setting.targets) > 1
    per_cent = f"{100 * plan.confidence:g} %"
    table.add_column("k", justify="right", no_wrap=True)
    table.add_column("noise", no_wrap=True)
    if several:
        table.add_column("target", no_wrap=True)
    names = ["paper", "sharper"] + (["mean"] if wide else []) + [per_cent]
    names += ["half", "9 in 10", "unrolled"] if wide else ["9 in 10"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    last_k = last_noise = None
    rows = [row for row in plan.rows if row.accuracy == accuracy]
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        same_k = row.k == last_k
        cells = ["" if same_k else f"{row.k:,}"]
        cells.append("" if same_k and row.noise == last_noise else row.noise)
        if several:
            cells.append(row.target)
        exact = row.sharper_claim in ("whitened-law", "one-step-exact")
        sharper = rounds_text(row.sharper)
        cells += [rounds_text(row.paper), f"= {sharper}" if exact else sharper]
        cells += _measured_cells(row, wide)
        if wide:
            share = unrolled(plan, row)
            cells.append("-" if share is None else share_text(share))
        last_k, last_noise = row.k, row.noise
        ends = following is not None and following.k != row.k
        table.add_row(*cells, end_section=ends)
    return table


def _measured_cells(row: Row, wide: bool) -> list[str]:
    measured = row.measured
    if measured is None:
        return ["-"] * (4 if wide else 2)
    interval = _within(measured.mean, measured)
    ninety = _value(measured.ninety, measured)
    if not wide:
        return [interval, ninety]
    mean = _value(measured.mean, measured)
    if math.isinf(measured.mean.value):
        mean += f" at {measured.reached:.2g}"
    return [mean, interval, _value(measured.median, measured), ninety]


def in_short(plan: Plan) -> list[str]:
    """How small the table and how many rounds: a line for each width, at the first accuracy."""
    s, accuracy = plan.setting, plan.accuracies[0]
    whom = "this target" if s.targets[0].name == GIVEN else "the targets above"
    if any(target.name == WORST for target in s.targets):
        whom = "any target"
    lines = []
    for k in plan.memory:
        rows = [row for row in plan.rows if row.k == k and row.accuracy == accuracy]
        guaranteed, measured = [], []
        for noise in dict.fromkeys(row.noise for row in rows):
            here = [row for row in rows if row.noise == noise]
            counts = [_guaranteed(row) for row in here]
            if None not in counts:
                most = max(count for count in counts if count is not None)
                guaranteed.append(f"{rounds_text(most)} ({noise})")
            seen = [row.measured for row in here if row.measured is not None]
            if seen:
                slowest = max(seen, key=lambda found: (found.mean.value, found.rounds))
                measured.append(f"{_value(slowest.mean, slowest)} ({noise})")
        lines.append(
            f"k = {k:,}: {share_text(k / s.d1)} of the parameters at once. Rounds to {accuracy:g} "
            f"e_0 on average, guaranteed for {whom}: {', '.join(guaranteed) or '-'}; simulated, "
            f"slowest target: {', '.join(measured) or '-'}."
        )
    return lines


def _guaranteed(row: Row) -> float | None:
    known = [bound for bound in (row.paper, row.sharper) if bound is not None]
    return min(known) if known else None


def explanation(plan: Plan) -> list[str]:
    """What the columns mean, for this plan."""
    s = plan.setting
    per_cent = f"{100 * plan.confidence:g} %"
    noises = {row.noise for row in plan.rows}
    paper = {
        "gaussian": "Theorem 3.1 (dense-rate) for Gaussian noise",
        "whitened": "whitened-rate for whitened noise, full column rank only",
    }
    sharper = {
        "gaussian": "dense-quadrature-rate",
        "whitened": "whitened-law (the exact count, marked =)",
        "count-sketch": "dense-count-sketch-rate",
    }
    said = [text for noise, text in paper.items() if noise in noises]
    lines = []
    if said:
        lines.append(f"paper: rounds after which E e_i <= eps e_0, by {' and '.join(said)}.")
    listed = "; ".join(text for noise, text in sharper.items() if noise in noises)
    lines.append(f"sharper: the same, by {listed}; 1 where k - d2 reaches the rank.")
    counts = sorted({row.measured.trials for row in plan.rows if row.measured is not None})
    if counts:
        runs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        lines.append(
            f"simulated ({runs} runs, seed {plan.seed}): {per_cent} interval for the round at "
            f"which the mean of e_i/e_0 is eps (approximate: Student's t on its logarithm), and "
            f"rounds after which 9 in 10 single runs are there. '>N': not within the N rounds that "
            f"the budget paid for ('at 0.5': e_i/e_0 was 0.5 on average); a larger --budget "
            f"simulates more."
        )
    lines.append(
        "Memory: codebook, k x d2, is what is trained at once. hashed: with one bucket or cluster "
        "number an ID, what a hashed or clustered table of this k takes (Sparse CCE, alternating "
        "CCE). training: Dense CCE as stated, whose H_i holds T_{i-1} (as large as the full table) "
        "and the noise, stored; with sketch: with count-sketch noise. unrolled: T_i kept as seeds "
        "and the coefficients of all i rounds, i (k - d2) d2 numbers (whitened noise needs the "
        "singular vectors of X besides); above 100 % the full table is smaller."
    )
    reasons: dict[str, list[str]] = {}
    for row in plan.rows:
        if row.measured is None and row.reason != "interrupted":
            whose = reasons.setdefault(row.reason, [])
            whose += [] if row.noise in whose else [row.noise]
    for reason, whose in reasons.items():
        lines.append(f"Not simulated ({', '.join(whose)}): {reason}.")
    if "whitened" in noises and s.rank < s.d1:
        lines.append(
            f"whitened: the paper's bound is for full column rank; here {s.rank:,} of {s.d1:,}."
        )
    lines += s.left_out
    return lines


# ------------------------------------------------------------------ JSON


def as_dict(plan: Plan) -> dict[str, Any]:
    """A plan as plain data: no times, no names of files; what is infinite or unknown is None."""
    s = plan.setting

    def finite(value: float | None) -> float | int | None:
        if value is None or not math.isfinite(value):
            return None
        return int(value) if float(value).is_integer() else value

    def memory(k: int, needed: Memory) -> dict[str, Any]:
        training = {noise: needed.training(noise) for noise in needed.noise}
        return {"k": k, **asdict(needed), "training": training, "share": k / s.d1}

    def row(entry: Row) -> dict[str, Any]:
        plain = asdict(entry)
        plain["paper"], plain["sharper"] = finite(entry.paper), finite(entry.sharper)
        share = unrolled(plan, entry)
        plain["unrolled_share"] = None if share is None else float(share)
        if entry.measured is not None:
            for name in ("mean", "median", "ninety"):
                estimate = getattr(entry.measured, name)
                plain["measured"][name] = {
                    key: finite(value) for key, value in asdict(estimate).items()
                }
        return plain

    return {
        "version": __version__,
        "seed": plan.seed,
        "trials": plan.trials,
        "budget": plan.budget,
        "confidence": plan.confidence,
        "n": s.n,
        "d1": s.d1,
        "d2": s.d2,
        "rank": s.rank,
        "rho": s.rho,
        "targets": [{"name": target.name, "rank": target.rank} for target in s.targets],
        "accuracies": plan.accuracies,
        "memory": [memory(k, needed) for k, needed in plan.memory.items()],
        "refused": [{"k": k, "reason": reason} for k, reason in plan.refused.items()],
        "rows": [row(entry) for entry in plan.rows],
        "left_out": list(s.left_out),
        "interrupted": plan.interrupted,
    }


def write_json(plan: Plan, path: Path) -> None:
    """Write a plan as JSON: whole, or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one is then untouched.
    """
    write_whole(path, json.dumps(as_dict(plan), indent=1, allow_nan=False).encode() + b"\n")


# ------------------------------------------------------------------ picture


def draw(plan: Plan) -> Figure:
    """Rounds against ``k``, a panel for each accuracy: bounds as lines, measured as points."""
    from matplotlib.figure import Figure  # here: Matplotlib takes its time
    from matplotlib.ticker import NullLocator

    panels = len(plan.accuracies)
    figure = Figure((3.6 * panels + 1.6, 3.2), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
    noises = list(dict.fromkeys(row.noise for row in plan.rows))
    for ax, accuracy in zip(axes, plan.accuracies, strict=True):
        for noise in noises:
            for target in plan.setting.targets:
                rows = [
                    row
                    for row in plan.rows
                    if (row.noise, row.target, row.accuracy) == (noise, target.name, accuracy)
                ]
                _draw_series(ax, rows, noise, target.name)
        ax.set(xscale="log", yscale="log", xlabel="$k$", title=rf"$e_i \leq {accuracy:g}\, e_0$")
        ax.set_xticks(list(plan.memory), [f"{k:,}" for k in plan.memory])
        ax.xaxis.set_minor_locator(NullLocator())
    axes[0].set_ylabel("rounds")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    return figure


def _draw_series(ax: Any, rows: list[Row], noise: str, target: str) -> None:
    widths = [row.k for row in rows]
    bounds = [math.nan if row.sharper is None else row.sharper for row in rows]
    colour, marker = COLOURS[noise], MARKERS[target]
    style = ":" if target == RANDOM else "-"
    ax.plot(widths, bounds, color=colour, linestyle=style, label=f"{noise}, {target}: bound")
    seen = [
        (row.k, row.measured.mean)
        for row in rows
        if row.measured is not None and math.isfinite(row.measured.mean.upper)
    ]
    if seen:
        values = [estimate.value for _, estimate in seen]
        low = [estimate.value - estimate.lower for _, estimate in seen]
        high = [estimate.upper - estimate.value for _, estimate in seen]
        ax.errorbar(
            [k for k, _ in seen], values, yerr=[low, high], color=colour, marker=marker,
            linestyle="", markersize=4, capsize=2, label=f"{noise}, {target}: simulated",
        )  # fmt: skip


def write_picture(plan: Plan, path: Path) -> None:
    """Write `draw` as PDF, PNG or SVG, by the suffix: whole, or not at all, and without a date.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one is then untouched.
    """
    suffix = path.suffix.lower()
    date = {".pdf": "CreationDate", ".svg": "Date"}.get(suffix)
    buffer = BytesIO()
    draw(plan).savefig(buffer, format=suffix[1:], dpi=150, metadata={date: None} if date else None)
    write_whole(path, buffer.getvalue())
