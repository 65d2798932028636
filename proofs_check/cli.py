"""The command line: ``proofs-check list | explain | run | selftest``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lsq_sketch import __version__

from .backends import BackendError
from .claim import Claim, registry
from .console import INTERRUPTED, console, fail, progress_bar, run_app
from .instances import InstanceError, catalogue, from_files, unavailable
from .journal import JournalError
from .profile import PROFILES
from .report import STYLES, number, print_report, write_json
from .run import ALPHA, run
from .selftest import selftest

BACKENDS = ("processes", "dask")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


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
    3 nothing refuted but something undecided; 4 the run could not finish.[/dim]
    """


@app.command("list")
def list_claims() -> None:
    """List every claim: id, kind, one line. False statements come last.

    Example: proofs-check list
    """
    out = console()
    width = max(len(name) for name in registry())
    for claim in registry().values():
        line = f"{claim.id:{width}}  {claim.kind:13}  {escape(claim.title)}"
        out.print(line, style="dim" if claim.is_false else "", soft_wrap=True)


@app.command()
def explain(claim: Annotated[str, typer.Argument(help="Its id, from proofs-check list.")]) -> None:
    """Print a claim's statement, hypotheses, source and proof idea.

    Example: proofs-check explain dense-rate
    """
    found = _find(claim)
    out = console()
    out.print(f"[bold]{found.id}[/bold]  {escape(found.title)}  [dim]({found.kind})[/dim]")
    for heading, body in found.sections.items():
        out.print(f"\n[bold]{heading}[/bold]")
        out.print(escape(body))
    if found.is_false:
        out.print(f"\n[bold]Refuted on[/bold]\n{found.killer}; its true twin is {found.twin}.")


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
    journal: Annotated[
        Path | None, typer.Option(help="Record every finished batch in this folder.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with that journal.")] = False,
    backend: Annotated[str, typer.Option(help="processes, or dask with --scheduler.")] = BACKENDS[
        0
    ],
    scheduler: Annotated[
        str | None, typer.Option(help="Of a Dask cluster: tcp://HOST:PORT.")
    ] = None,
) -> None:
    """Try to refute claims, on synthetic and real problems or on your own.

    Examples
    --------
      proofs-check run

      proofs-check run dense-rate whitened-law --profile full --seed 7 --json report.json

      proofs-check run --design X.npz --target Y.npy

      proofs-check run --profile full --journal DIR             (and, killed: again with --resume)

      proofs-check run --backend dask --scheduler tcp://HOST:8786
    """
    selected = [_find(name) for name in claims or []] or [
        claim for claim in registry().values() if not claim.is_false
    ]
    if profile not in PROFILES:
        fail(f"--profile must be one of {', '.join(PROFILES)}; got {profile!r}.")
    if not 0 < alpha < 1:
        fail(f"--alpha must lie strictly between 0 and 1; got {alpha}.")
    if json is not None and not json.absolute().parent.is_dir():
        fail(f"--json: the folder {json.absolute().parent} does not exist. Create it first.")
    if resume and journal is None:
        fail("--resume needs --journal DIR: the folder of the run to go on with.")
    if backend not in BACKENDS:
        fail(f"--backend must be one of {', '.join(BACKENDS)}; got {backend!r}.")
    if (backend == "dask") != (scheduler is not None):
        fail("--backend dask and --scheduler tcp://HOST:PORT go together.")
    files = _user_files(design, target, instance)
    names = ["user"] if files else _instance_names(instance)
    with progress_bar("checking") as bar:
        task = bar.add_task("checking", total=None)
        try:
            report = run(
                selected, names, files=files, profile=profile, seed=seed, alpha=alpha,
                jobs=jobs or os.cpu_count() or 1, scheduler=scheduler, journal=journal,
                resume=resume,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
        except (BackendError, JournalError) as error:
            fail(str(error))
        except OSError as error:
            fail(f"--journal: {journal} cannot be used: {error.strerror}.")
    print_report(report, console())
    if json is not None:
        try:
            write_json(report, json)
        except OSError as error:
            fail(f"--json: could not write {json}: {error.strerror}.")
    if report.failure is not None:
        advice = (
            "the journal has all that was finished: go on with --resume"
            if journal
            else ("with --journal DIR a run can be resumed")
        )
        console(stderr=True).print(
            f"proofs-check: {escape(report.failure)} The run could not finish; {advice}.",
            soft_wrap=True,
        )
        raise typer.Exit(report.exit_status)
    raise typer.Exit(INTERRUPTED if report.interrupted else report.exit_status)


@app.command("selftest")
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


def _find(name: str) -> Claim:
    found = registry().get(name)
    if found is None:
        import difflib

        close = difflib.get_close_matches(name, registry(), n=1)
        hint = f" Did you mean {close[0]}?" if close else " See proofs-check list."
        fail(f"there is no claim {name!r}.{hint}")
    return found


def _user_files(
    design: Path | None, target: Path | None, instance: list[str] | None
) -> tuple[str, ...]:
    if design is None and target is None:
        return ()
    if design is None or target is None:
        fail("--design and --target go together: give both files.")
    if instance:
        fail("--instance names a built-in problem and cannot go with --design and --target.")
    try:
        from_files(design, target).problem.reduction  # noqa: B018  (checks the files)
    except InstanceError as error:
        fail(str(error))
    return str(design), str(target)


def _instance_names(wanted: list[str] | None) -> list[str]:
    for name in wanted or []:
        if name not in catalogue():
            fail(f"there is no instance {name!r}; choose from {', '.join(catalogue())}.")
        if name in unavailable():
            fail(f"{name} {unavailable()[name]}.")
    return [name for name in wanted or catalogue() if name not in unavailable()]


def main() -> None:
    """Entry point."""
    run_app(app, "proofs-check")


if __name__ == "__main__":
    main()
