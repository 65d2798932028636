"""The command line: ``proofs-check list | explain | run | selftest``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lsq_sketch import __version__

from .claim import Claim, registry
from .instances import InstanceError, catalogue, from_files, unavailable
from .profile import PROFILES
from .report import number, print_report, write_json
from .run import ALPHA, Report, run
from .selftest import selftest

WIDE = 110
"""Columns of a table that goes to a pipe, where there is no terminal to fit."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _console(stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else WIDE)


def _fail(message: str) -> NoReturn:
    """One clear line, exit status 2."""
    _console(stderr=True).print(f"proofs-check: {escape(message)}", soft_wrap=True)
    raise typer.Exit(2)


def _version(value: bool) -> None:
    if value:
        print(f"proofs-check {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold each theorem on clustered embedding tables beside measured error.

    [dim]Exit status of run: 0 all confirmed; 1 something refuted; 2 bad input or usage;
    3 nothing refuted but something undecided.[/dim]
    """


@app.command("list")
def list_claims() -> None:
    """List every claim: id, kind, one line. False statements come last.

    Example: proofs-check list
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("id", "kind", "claim"):
        table.add_column(name, no_wrap=name != "claim")
    for claim in registry().values():
        style = "dim" if claim.is_false else ""
        table.add_row(claim.id, claim.kind, escape(claim.title), style=style)
    _console().print(table)


@app.command()
def explain(claim: Annotated[str, typer.Argument(help="Its id, from proofs-check list.")]) -> None:
    """Print a claim's statement, hypotheses, source and proof idea.

    Example: proofs-check explain dense-rate
    """
    found = _find(claim)
    console = _console()
    console.print(f"[bold]{found.id}[/bold]  {escape(found.title)}  [dim]({found.kind})[/dim]")
    for heading, body in found.sections.items():
        console.print(f"\n[bold]{heading}[/bold]")
        console.print(escape(body))
    if found.is_false:
        console.print(f"\n[bold]Refuted on[/bold]\n{found.killer}; its true twin is {found.twin}.")


@app.command("run")
def run_claims(
    claims: Annotated[
        list[str] | None, typer.Argument(help="Ids of claims; all true ones if none is given.")
    ] = None,
    profile: Annotated[str, typer.Option(help="How long: quick (a minute) or full.")] = "quick",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the trials.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    alpha: Annotated[
        float, typer.Option(help="Chance of any false verdict in the whole run.")
    ] = ALPHA,
    json: Annotated[
        Path | None, typer.Option(help="Write the report to this file, as JSON.")
    ] = None,
    instance: Annotated[
        list[str] | None, typer.Option(help="Only this instance; may be given several times.")
    ] = None,
    design: Annotated[
        Path | None, typer.Option(help="Your own X: .npy, .npz (dense or scipy sparse) or .csv.")
    ] = None,
    target: Annotated[Path | None, typer.Option(help="Your own Y: .npy, .npz or .csv.")] = None,
) -> None:
    """Try to refute claims, on synthetic and real problems or on your own.

    Examples
    --------
      proofs-check run

      proofs-check run dense-rate whitened-law --profile full --seed 7 --json report.json

      proofs-check run --design X.npz --target Y.npy
    """
    selected = [_find(name) for name in claims or []] or [
        claim for claim in registry().values() if not claim.is_false
    ]
    if profile not in PROFILES:
        _fail(f"--profile must be one of {', '.join(PROFILES)}; got {profile!r}.")
    if not 0 < alpha < 1:
        _fail(f"--alpha must lie strictly between 0 and 1; got {alpha}.")
    if json is not None and not json.absolute().parent.is_dir():
        _fail(f"--json: the folder {json.absolute().parent} does not exist. Create it first.")
    files = _user_files(design, target, instance)
    names = ["user"] if files else _instance_names(instance)
    report = _run_with_progress(selected, names, files, profile, seed, alpha, jobs)
    print_report(report, _console())
    if json is not None:
        try:
            write_json(report, json)
        except OSError as error:
            _fail(f"--json: could not write {json}: {error.strerror}.")
    raise typer.Exit(130 if report.interrupted else report.exit_status)


@app.command("selftest")
def run_selftest(
    seed: Annotated[int, typer.Option(min=0, help="Seed of the trials.")] = 0,
) -> None:
    """Put the judge on trial: false statements must be refuted, their true twins must not.

    Example: proofs-check selftest
    """
    console = _console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("statement", "on", "expected", "verdict", "mean", "bound", "trials"):
        table.add_column(name, no_wrap=True)
    pairs = selftest(seed)
    for pair in pairs:
        rows = [(f, "refuted") for f in pair.false_findings]
        rows += [(f, "not refuted") for f in pair.twin_findings]
        for finding, expected in rows:
            table.add_row(
                finding.claim, finding.instance, expected, finding.verdict,
                number(finding.mean), number(finding.bound), str(finding.trials),
            )  # fmt: skip
    console.print(table)
    failed = [pair.false for pair in pairs if not pair.passed]
    if failed:
        console.print(f"\n[bold red]The judge failed on {', '.join(failed)}.[/]")
        raise typer.Exit(1)
    console.print(
        f"\n[green]All {len(pairs)} false statements refuted, none of their true twins.[/] A false "
        f"statement with several stages counts as refuted when one of them is."
    )


def _find(name: str) -> Claim:
    found = registry().get(name)
    if found is None:
        import difflib

        close = difflib.get_close_matches(name, registry(), n=1)
        hint = f" Did you mean {close[0]}?" if close else " See proofs-check list."
        _fail(f"there is no claim {name!r}.{hint}")
    return found


def _user_files(
    design: Path | None, target: Path | None, instance: list[str] | None
) -> tuple[str, str] | None:
    if design is None and target is None:
        return None
    if design is None or target is None:
        _fail("--design and --target go together: give both files.")
    if instance:
        _fail("--instance names a built-in problem and cannot go with --design and --target.")
    try:
        from_files(design, target).problem.reduction  # noqa: B018  (checks the files)
    except InstanceError as error:
        _fail(str(error))
    return str(design), str(target)


def _instance_names(wanted: list[str] | None) -> list[str]:
    for name in wanted or []:
        if name not in catalogue():
            _fail(f"there is no instance {name!r}; choose from {', '.join(catalogue())}.")
        if name in unavailable():
            _fail(f"{name} {unavailable()[name]}.")
    return [name for name in wanted or catalogue() if name not in unavailable()]


def _run_with_progress(
    claims: list[Claim],
    names: list[str],
    files: tuple[str, str] | None,
    profile: str,
    seed: int,
    alpha: float,
    jobs: int | None,
) -> Report:
    console = _console(stderr=True)
    with Progress(
        TextColumn("checking"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("checking", total=None)
        return run(
            claims,
            names,
            files=files,
            profile=profile,
            seed=seed,
            alpha=alpha,
            jobs=jobs or os.cpu_count() or 1,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
