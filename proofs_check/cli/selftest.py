"""``proofs-check selftest``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from ..console import console
from ..report import STYLES, number
from ..selftest import selftest


def run_selftest(
    seed: Annotated[int, typer.Option(min=0, help="Seed of the trials.")] = 0,
) -> None:
    """Put the judge on trial: false statements must be refuted, their true twins must not.

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
    if failed:
        out.print(f"\n[bold red]The judge failed on {', '.join(failed)}.[/]", soft_wrap=True)
        raise typer.Exit(1)
    out.print(f"\n[green]All {len(pairs)} false statements refuted, none of their true twins.[/]")
