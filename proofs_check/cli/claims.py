"""``proofs-check list`` and ``proofs-check explain``."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer
from rich.markup import escape

from lsq_sketch.console import console, fail

from ..claim import Claim, registry


def list_claims() -> None:
    """List every claim: id, kind, one line. False statements come last.

    Example: proofs-check list
    """
    out = console()
    width = max(len(name) for name in registry())
    for claim in registry().values():
        line = f"{claim.id:{width}}  {claim.kind:13}  {escape(claim.title)}"
        out.print(line, style="dim" if claim.is_false else "", soft_wrap=True)


def explain(claim: Annotated[str, typer.Argument(help="Its id, from proofs-check list.")]) -> None:
    """Print a claim's statement, hypotheses, source and proof idea.

    Example: proofs-check explain dense-rate
    """
    found = find(claim)
    out = console()
    out.print(f"[bold]{found.id}[/bold]  {escape(found.title)}  [dim]({found.kind})[/dim]")
    for heading, body in found.sections.items():
        out.print(f"\n[bold]{heading}[/bold]")
        out.print(escape(body))
    if found.is_false:
        out.print(f"\n[bold]Refuted on[/bold]\n{found.killer}; its true twin is {found.twin}.")


def find(name: str) -> Claim:
    """The claim of that id, or an error that names the closest."""
    found = registry().get(name)
    if found is None:
        close = difflib.get_close_matches(name, registry(), n=1)
        hint = f" Did you mean {close[0]}?" if close else " See proofs-check list."
        fail(f"there is no claim {name!r}.{hint}")
    return found
