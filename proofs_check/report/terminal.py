"""Reports on the terminal: a summary of one line a claim, or every instance of every claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..claim import Kind, registry
from ..finding import Evidence, Finding, LeftOut, Verdict
from ..run import Report
from .commands import repeat_finding
from .forest import ASCII, UNICODE, Axis, Glyphs, axis_for, cells, used
from .numerals import count, number, short
from .plain import unavailable_to
from .summary import (
    SYMBOLS,
    Block,
    Row,
    blocks,
    by_section,
    certainties,
    is_exact,
    nearest,
    reached,
    rows,
    stage_and_part,
    tally,
    totals,
    worst_cases,
)

STYLES = {Verdict.CONFIRMED: "green", Verdict.REFUTED: "bold red", Verdict.UNDECIDED: "yellow"}

ASCII_SYMBOLS = {Verdict.CONFIRMED: "ok", Verdict.REFUTED: "NO", Verdict.UNDECIDED: "?"}

LEAST_PLOT, MOST_PLOT = 9, 24
"""Columns of a plot: none is drawn in fewer."""

GAP = 2


def print_report(report: Report, console: Console) -> None:
    """Print a line for each claim, in full whatever is not confirmed, and a summary.

    A run of one claim is printed in full, as by `print_details`.

    Parameters
    ----------
    report : Report
    console : rich.console.Console
        Any width from 70 columns; what does not fit is left out, the least needed first.
    """
    if len(report.claims) == 1:
        print_details(report, console)
        return
    _print_rows(rows(report), console, several=len(report.evidence) > 1)
    doubtful = [f for f in report.findings if f.is_doubtful]
    if doubtful:
        console.print("[bold]Not confirmed[/bold]\n")
        _print_claims(rows(report), doubtful, console)
        for command in dict.fromkeys(repeat_finding(report, finding) for finding in doubtful):
            console.print(f"[dim]Again: {command}[/]", soft_wrap=True)
        console.print()
    _print_worst_cases(report, console)
    _print_too_large(report, console)
    _print_end(report, console)


def print_details(report: Report, console: Console) -> None:
    """Print every instance of every claim, what was left out, and a summary.

    Parameters
    ----------
    report : Report
    console : rich.console.Console
        See `print_report`.
    """
    _print_claims(rows(report), report.findings, console)
    _print_worst_cases(report, console)
    _print_every_too_large(report, console)
    _print_end(report, console)


def _glyphs(console: Console) -> Glyphs:
    return ASCII if console.options.ascii_only else UNICODE


def _symbols(console: Console) -> dict[Verdict, str]:
    return ASCII_SYMBOLS if console.options.ascii_only else SYMBOLS


def _table() -> Table:
    # the box puts one blank between columns, the padding the other
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0), show_edge=False)


# ------------------------------------------------------------------ a line for each claim


def _print_rows(found: Sequence[Row], console: Console, several: bool) -> None:
    if not found:
        return
    symbols = _symbols(console)
    columns, plot = _layout(found, symbols, several, console.width)
    console.print(_table_of_rows(columns, plot, symbols))  # the head alone
    for section, claims in by_section(found):
        console.print(f"[bold]{section}[/bold]")
        table = _table_of_rows(columns, plot, symbols)
        table.show_header = False
        for claim in claims:
            for position, row in enumerate(claim):
                cell = _cells_of_row(row, symbols)
                if position:
                    cell["claim"] = ""  # named in the row above
                line = [cell[title] for title in columns]
                if plot:
                    line += _plot([nearest(row.findings)], None, plot, _glyphs(console))
                table.add_row(*line)
        console.print(table)
        console.print()
    _print_legend(symbols, console)


def _table_of_rows(columns: Mapping[str, int], plot: int, symbols: dict[Verdict, str]) -> Table:
    table = _table()
    for title, width in columns.items():
        right = title in symbols.values() or title == "of limit"
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(title, justify=justify, no_wrap=True, width=width - GAP)
    if plot:
        table.add_column("", no_wrap=True, width=plot)
    return table


def _layout(
    found: Sequence[Row], symbols: dict[Verdict, str], several: bool, width: int
) -> tuple[dict[str, int], int]:
    """Titles of the columns with their widths, and that of the plot (0: none is drawn)."""
    columns = {"claim": max(len(row.claim.id) for row in found) + GAP}
    columns |= dict.fromkeys(symbols.values(), 2 + GAP)
    columns["certainty"] = len("no counterexample") + GAP
    if several:
        columns["evidence"] = len("evidence") + GAP
    columns["of limit"] = len("of limit") + GAP
    columns["nearest"] = max(len(nearest(row.findings).instance) for row in found) + 2 + GAP
    for dropped in ("nearest", "evidence", "of limit"):  # the least needed first
        if width - sum(columns.values()) >= LEAST_PLOT:
            break
        columns.pop(dropped, None)
    if sum(columns.values()) > width:
        columns.pop("certainty")
    room = width - sum(columns.values())
    return columns, min(room, MOST_PLOT) if room >= LEAST_PLOT else 0


def _cells_of_row(row: Row, symbols: dict[Verdict, str]) -> dict[str, str]:
    closest = nearest(row.findings)
    cell = {
        symbols[verdict]: f"[{STYLES[verdict]}]{n}[/]" if n else ""
        for verdict, n in tally(row.findings).items()
    }
    return {
        **cell,
        "claim": row.claim.id,
        "certainty": str(row.certainty),
        "evidence": str(row.evidence),
        "of limit": short(used(closest)),
        "nearest": escape(closest.instance) + (" *" if closest.real else ""),
    }


def _print_legend(symbols: dict[Verdict, str], console: Console) -> None:
    marks = ", ".join(f"{symbol} {verdict}" for verdict, symbol in symbols.items())
    console.print(
        f"[dim]{marks}: numbers of instances. Plotted is the instance nearest to a refutation; "
        "'of limit' is how much of what the claim allows its interval takes: of the bound; for an "
        "equality, of the tolerance around it; for a deterministic claim, of the tolerance for "
        "rounding (its logarithm is plotted).[/]\n"
    )


def _plot(findings: Sequence[Finding], axis: Axis | None, width: int, glyphs: Glyphs) -> list[str]:
    return [
        f"[{STYLES[f.verdict]}]{escape(cells(f, axis or axis_for([f]), width, glyphs))}[/]"
        for f in findings
    ]


# ------------------------------------------------------------------ a line for each instance


def _print_claims(found: Sequence[Row], shown: Iterable[Finding], console: Console) -> None:
    wanted = list(shown)
    for section, claims in by_section(found):
        own = [
            (claim[0].claim, [f for f in wanted if f.claim == claim[0].claim.id])
            for claim in claims
        ]
        if not any(findings for _, findings in own):
            continue
        console.print(f"[bold underline]{section}[/]\n")
        for claim, findings in own:
            if not findings:
                continue
            console.print(
                f"[bold]{claim.id}[/bold]  {escape(claim.title)}  [dim]({claim.kind})[/dim]",
                soft_wrap=True,
            )
            for block in blocks(findings):
                console.print(f"[dim]{escape(block.heading)}[/dim]")
                console.print(_instances(block, console))
                console.print()


def _instances(block: Block, console: Console) -> Table:
    columns = _cells_of_block(block)
    widths = {
        title: max(len(title), *(len(text) for text in column)) + GAP
        for title, column in columns.items()
    }
    # what is dropped first when the terminal is narrow
    for title in ("part of it", "room", "cases", "trials", "interval", "mean slack"):
        if sum(widths.values()) + LEAST_PLOT > console.width:
            widths.pop(title, None)
    plot = min(MOST_PLOT, console.width - sum(widths.values()))
    table = _table()
    for title in widths:
        left = title in ("instance", "verdict", "part of it")
        table.add_column(title, justify="left" if left else "right", no_wrap=True)
    drawn = plot >= LEAST_PLOT
    if drawn:
        table.add_column("", no_wrap=True)
    plots = _plot(block.findings, axis_for(block.findings), max(plot, 2), _glyphs(console))
    for position, finding in enumerate(block.findings):
        line = [escape(columns[title][position]) for title in widths]
        verdict = list(widths).index("verdict")
        line[verdict] = f"[{STYLES[finding.verdict]}]{line[verdict]}[/]"
        table.add_row(*line, *([plots[position]] if drawn else []))
    return table


def _cells_of_block(block: Block) -> dict[str, list[str]]:
    """Columns of text, all that there are, by their titles."""
    found = block.findings
    columns = {
        "instance": [f.instance + (" *" if f.real else "") for f in found],
        "verdict": [str(f.verdict) for f in found],
    }
    if block.kind is Kind.DETERMINISTIC:
        columns |= {
            "least slack": [number(f.lower) for f in found],
            "mean slack": [number(f.mean) for f in found],
            "tolerance": [number(f.tolerance) for f in found],
        }
    else:
        sign = "= " if block.kind is Kind.EQUALITY else "<= "
        columns["mean"] = [number(f.mean) for f in found]
        if not all(map(is_exact, found)):
            columns["interval"] = [f"{number(f.lower)} .. {number(f.upper)}" for f in found]
        columns |= {
            "bound": [sign + number(f.bound) for f in found],
            "room": [number(f.slack) for f in found],
        }
    if any(f.trials for f in found):
        cases = "cases" if block.evidence is Evidence.EXACT else "trials"
        columns[cases] = [str(f.trials) for f in found]
    parts = [stage_and_part(f)[1] for f in found]
    if any(parts):
        columns["part of it"] = parts
    return columns


# ------------------------------------------------------------------ what is left to say


def _print_worst_cases(report: Report, console: Console) -> None:
    """The worst instance that a search found for each stage, and how tight it makes a bound."""
    if not report.searched:
        return
    console.print(
        "[bold]Worst cases found[/bold] (a bound that is attained there stays undecided: no number "
        "of trials tells it from one that is exceeded by a hair)",
        soft_wrap=True,
    )
    for case, finding in worst_cases(report):
        how = f"best ratio found: {ratio}" if (ratio := reached(case, finding)) else ""
        effort = f"{case.evaluations:,} evaluations"
        parts = [part for part in (how, escape(case.description), effort) if part]
        stages = {other.stage for other in report.searched if other.claim == case.claim}
        stage = f", {case.stage}" if len(stages) > 1 else ""
        text = f"  [bold]{case.claim}[/bold]{escape(stage)}: " + "; ".join(parts)
        console.print(text, soft_wrap=True)
    console.print()


def _print_too_large(report: Report, console: Console) -> None:
    """What was left out for its size: a line for each claim."""
    costly: dict[str, list[LeftOut]] = {}
    for entry in report.left_out:
        if entry.costly:
            costly.setdefault(entry.claim, []).append(entry)
    if costly:
        console.print("[bold]Left out for their size[/bold] (the claim may apply)")
        for claim, entries in costly.items():
            names = list(dict.fromkeys(entry.instance for entry in entries))
            on = names[0] if len(names) == 1 else f"{len(names)} instances, such as {names[0]}"
            text = f"  {claim} on {on}: {escape(entries[0].reason)}"
            console.print(text, soft_wrap=True)
        console.print()


def _print_every_too_large(report: Report, console: Console) -> None:
    """The same, with every instance."""
    costly: dict[tuple[str, str, Evidence], list[str]] = {}
    for entry in report.left_out:
        if entry.costly:
            key = (entry.instance, entry.reason, entry.evidence)
            costly.setdefault(key, []).append(entry.claim)
    if costly:
        console.print("[bold]Left out for their size[/bold] (the claim may apply)")
        for (instance, reason, evidence), claims in costly.items():
            how = f" ({evidence})" if len(report.evidence) > 1 else ""
            console.print(
                f"  {instance}{how}: {', '.join(claims)}: {escape(reason)}", soft_wrap=True
            )
        console.print()


def _print_end(report: Report, console: Console) -> None:
    """What applied to nothing, or to no real data; and a summary."""
    tried = {finding.claim for finding in report.findings}
    untried: dict[str, list[str]] = {}
    for claim in report.claims:
        left = [entry for entry in report.left_out if entry.claim == claim]
        if left and claim not in tried and not any(entry.costly for entry in left):
            untried.setdefault(min(entry.reason for entry in left), []).append(claim)
    for reason, claims in untried.items():
        verb = "applies" if len(claims) == 1 else "apply"
        text = f"[bold]{', '.join(claims)}[/bold] {verb} to no instance of this run: "
        console.print(text + escape(reason), soft_wrap=True)
    for claim in report.without_real_data:
        if registry()[claim].is_false:
            continue  # one instance is enough to refute it
        left = [entry for entry in report.left_out if entry.claim == claim and entry.real]
        applies = any(entry.costly for entry in left)
        what = "was tried on no real data" if applies else "meets its hypotheses on no real data"
        why = f": {escape(min(entry.reason for entry in left))}" if left else ""
        text = f"[bold]{claim}[/bold] {what} here{why}"
        console.print(text, soft_wrap=True)
    if "user" not in report.instances:
        for name, advice in unavailable_to(report).items():
            console.print(f"[bold]{name}[/bold] was not run: it {escape(advice)}", soft_wrap=True)
    counts = ", ".join(
        f"[{STYLES[verdict]}]{report.count(verdict)} {verdict}[/]" for verdict in Verdict
    )
    console.print(f"\n{totals(report)}: {counts}.")
    if report.findings:
        told = certainties(report)
        console.print(f"Of the decided verdicts, {told}." if told else "Nothing was decided.")
    console.print(
        f"Profile {report.profile}, seed {report.seed}; the chance of any false verdict in this "
        f"run is at most {report.alpha:g}."
    )
    if report.interrupted:
        tasks = count(report.interrupted, "task was", "tasks were")
        console.print(f"[yellow]Interrupted: {tasks} not finished.[/]")
