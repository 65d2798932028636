"""``proofs-check selftest``."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.table import Table

from lsq_sketch.console import console, progress_bar

from ..report import STYLES, number
from ..selftest import Rate, Rates, measure_rates, selftest


def run_selftest(
    seed: Annotated[int, typer.Option(min=0, help="Seed of the trials.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
) -> None:
    """Put the judge on trial: false statements must be refuted, their true twins must not.

    Then its false-alarm rate and power are measured, on one true and one false claim with 200
    other seeds; intervals of Clopper and Pearson, 95 %.

    Example: proofs-check selftest
    """
    out = console()
    pairs = selftest(seed)
    for pair in pairs:
        out.print(f"[bold]{pair.false}[/bold] on {pair.instance}", soft_wrap=True)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=False)
        rows = [("false statement, must be refuted:", f) for f in pair.false_findings]
        rows += [(f"{pair.twin}, must not be:", f) for f in pair.twin_findings]
        for expected, f in rows:
            table.add_row(
                expected, f.stage, f"[{STYLES[f.verdict]}]{f.verdict}[/]",
                f"mean {number(f.mean)}", f"bound {number(f.bound)}", f"{f.trials} trials",
            )  # fmt: skip
        out.print(table)
    failed = [pair.false for pair in pairs if not pair.passed]
    with progress_bar("repeating") as bar:
        task = bar.add_task("repeating", total=None)
        rates = measure_rates(
            seed,
            jobs=jobs or os.cpu_count() or 1,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    out.print(_table_of_rates(rates))
    if failed or not rates.passed:
        what = ", ".join([*failed, *([] if rates.passed else ["its error rates"])])
        out.print(f"\n[bold red]The judge failed on {what}.[/]", soft_wrap=True)
        raise typer.Exit(1)
    out.print(f"\n[green]All {len(pairs)} false statements refuted, none of their true twins.[/]")


def _table_of_rates(rates: Rates) -> Table:
    """How often the judge errs, measured; with intervals of 95 %."""

    def shown(measured: Rate) -> tuple[str, str, str]:
        share = f"{measured.value:.1%}"
        interval = f"[{measured.lower:.1%}, {measured.upper:.1%}]"
        return share, interval, f"{measured.count} of {measured.repetitions}"

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=False)
    table.title = f"The judge itself, on {rates.instance} with other seeds"
    table.title_style, table.title_justify = "bold", "left"
    promise = f"promised: at most {rates.alpha:.0%}"
    table.add_row(f"false alarms: {rates.true} refuted", *shown(rates.false_alarm), promise)
    median = "" if rates.trials is None else f"after {rates.trials:g} trials (median)"
    table.add_row(f"power: {rates.false} refuted", *shown(rates.power), median)
    table.add_row(f"{rates.false} confirmed", *shown(rates.false_confirmed), promise)
    return table
