"""Reports: a table for the terminal, JSON for machines."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lsq_sketch import __version__

from .claim import Kind, registry
from .files import write_whole
from .finding import Finding, Verdict
from .instances import unavailable
from .run import Report

STYLES = {Verdict.CONFIRMED: "green", Verdict.REFUTED: "bold red", Verdict.UNDECIDED: "yellow"}


INTERVAL_WIDTH = 114
"""Columns needed to show the confidence intervals too."""


def number(value: float) -> str:
    """A number in at most nine characters; close to 1 as its distance from 1.

    Examples
    --------
    >>> number(0.75), number(1 - 2.5e-7), number(1e-12)
    ('0.7500', '1-2.5e-07', '1.0e-12')
    """
    if math.isnan(value):
        return "-"
    if 0 < 1 - value < 1e-3:
        return f"1-{1 - value:.1e}"
    if value == 0:
        return "0"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def write_json(report: Report, path: Path) -> None:
    """Write a report as JSON: whole, or not at all.

    It holds no times and no file names of the machine: the same seed gives the same file.

    Parameters
    ----------
    report : Report
    path : Path

    Raises
    ------
    OSError
        If the file cannot be written; an existing one is then untouched.
    """
    write_whole(path, json.dumps(as_dict(report), indent=1, allow_nan=False).encode() + b"\n")


def as_dict(report: Report) -> dict[str, Any]:
    """A report as plain data; numbers that do not exist (no observations) are None."""

    def plain(entry: Any) -> dict[str, Any]:
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(entry).items()
        }

    return {
        "version": __version__,
        "profile": report.profile,
        "seed": report.seed,
        "alpha": report.alpha,
        "claims": report.claims,
        "instances": report.instances,
        "findings": [plain(finding) for finding in report.findings],
        "left_out": [plain(entry) for entry in report.left_out],
        "without_real_data": report.without_real_data,
        "unavailable": unavailable(),
        "interrupted": report.interrupted,
        "exit_status": report.exit_status,
    }


def print_report(report: Report, console: Console) -> None:
    """Print the findings claim by claim, what was left out, and a summary.

    On a terminal narrower than `INTERVAL_WIDTH` the confidence intervals are left to ``--json``.
    """
    for claim, group in groupby(report.findings, key=lambda finding: finding.claim):
        findings = list(group)
        kind = registry()[claim].kind
        console.print(
            f"[bold]{claim}[/bold]  {registry()[claim].title}  [dim]({kind})[/dim]", soft_wrap=True
        )
        console.print(_table(findings, with_interval=console.width >= INTERVAL_WIDTH))
        console.print()
    _print_left_out(report, console)
    _print_summary(report, console)


def _table(findings: list[Finding], with_interval: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    deterministic = findings[0].kind is Kind.DETERMINISTIC
    stages = len({finding.stage for finding in findings}) > 1
    table.add_column("instance", no_wrap=True)
    if stages:
        table.add_column("of", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if deterministic:
        names = ["least slack", "mean slack", "tolerance"]
    else:
        names = ["mean", *(["interval"] if with_interval else []), "bound", "room"]
    for name in [*names, "trials"]:
        table.add_column(name, justify="right", no_wrap=True)
    for f in findings:
        row = [f.instance + (" *" if f.real else "")] + ([f.stage] if stages else [])
        row.append(f"[{STYLES[f.verdict]}]{f.verdict}[/]")
        if deterministic:
            row += [number(f.lower), number(f.mean), number(f.tolerance)]
        else:
            sign = "= " if f.kind is Kind.EQUALITY else "<= "
            interval = [f"{number(f.lower)} .. {number(f.upper)}"] if with_interval else []
            row += [number(f.mean), *interval, sign + number(f.bound), number(f.slack)]
        table.add_row(*row, str(f.trials))
    return table


def _print_left_out(report: Report, console: Console) -> None:
    costly: dict[tuple[str, str], list[str]] = {}
    for entry in report.left_out:
        if entry.costly:
            costly.setdefault((entry.instance, entry.reason), []).append(entry.claim)
    if costly:
        console.print("[bold]Left out for their size[/bold] (the claim may apply)")
        for (instance, reason), claims in costly.items():
            console.print(f"  {instance}: {', '.join(claims)}: {escape(reason)}", soft_wrap=True)
        console.print()
    tried = {finding.claim for finding in report.findings}
    for claim in report.claims:
        reasons = {entry.reason for entry in report.left_out if entry.claim == claim}
        too_large = any(entry.costly for entry in report.left_out if entry.claim == claim)
        if reasons and claim not in tried and not too_large:
            text = (
                f"[bold]{claim}[/bold] applies to no instance of this run: {escape(min(reasons))}"
            )
            console.print(text, soft_wrap=True)
    for claim in report.without_real_data:
        left = [entry for entry in report.left_out if entry.claim == claim and entry.real]
        applies = any(entry.costly for entry in left)
        what = "was tried on no real data" if applies else "meets its hypotheses on no real data"
        why = f": {escape(min(entry.reason for entry in left))}" if left else ""
        text = f"[bold]{claim}[/bold] {what} here{why}"
        console.print(text, soft_wrap=True)
    if "user" not in report.instances:
        for name, advice in unavailable().items():
            console.print(f"[bold]{name}[/bold] was not run: it {escape(advice)}", soft_wrap=True)


def _print_summary(report: Report, console: Console) -> None:
    counts = ", ".join(
        f"[{STYLES[verdict]}]{report.count(verdict)} {verdict}[/]" for verdict in Verdict
    )
    instances = {finding.instance for finding in report.findings}
    real = {finding.instance for finding in report.findings if finding.real}
    console.print(
        f"\n{len({f.claim for f in report.findings})} claims on {len(instances)} instances "
        f"({len(real)} of real data, marked *): {counts}."
    )
    console.print(
        f"Profile {report.profile}, seed {report.seed}; the chance of any false verdict in this "
        f"run is at most {report.alpha:g}."
    )
    if report.interrupted:
        console.print(f"[yellow]Interrupted: {report.interrupted} tasks were not finished.[/]")
