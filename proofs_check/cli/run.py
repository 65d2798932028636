"""``proofs-check run``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lsq_sketch.console import INTERRUPTED, console, fail, progress_bar

from ..backends import BackendError
from ..claim import registry
from ..finding import Evidence
from ..instances import InstanceError, catalogue, from_files, unavailable
from ..journal import JournalError
from ..profile import PROFILES
from ..run import ALPHA, run
from .claims import find
from .report import Html, Json, Markdown, Verbose, check_folders, deliver

WORST_CASES = Path("output/worst-cases")
BACKENDS = ("processes", "dask")
EVERYTHING = "all"


def run_claims(
    claims: Annotated[
        list[str] | None, typer.Argument(help="Ids of claims; all true ones if none is given.")
    ] = None,
    profile: Annotated[str, typer.Option(help="How long: quick (a minute) or full.")] = "quick",
    evidence: Annotated[
        list[str] | None,
        typer.Option(help="trials, exact, search or all; may be given several times."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the trials.")] = 0,
    alpha: Annotated[
        float, typer.Option(help="Chance of any false verdict in the whole run.")
    ] = ALPHA,
    instance: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, or a saved one (.npz); may be given several times."),
    ] = None,
    design: Annotated[
        Path | None, typer.Option(help="Your own X: .npy, .npz (dense or scipy sparse) or .csv.")
    ] = None,
    target: Annotated[Path | None, typer.Option(help="Your own Y: .npy, .npz or .csv.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="Seconds of search for each claim's worst case.")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(min=1, help="The same in evaluations: repeatable to the bit.")
    ] = None,
    worst_cases: Annotated[
        Path, typer.Option(help="Folder for the worst instances that a search finds.")
    ] = WORST_CASES,
    json: Json = None,
    html: Html = None,
    markdown: Markdown = None,
    verbose: Verbose = False,
    journal: Annotated[
        Path | None, typer.Option(help="Record every finished batch in this folder.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with that journal.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
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

      proofs-check run dense-rate whitened-law --profile full --seed 7 --html report.html

      proofs-check run --design X.npz --target Y.npy --evidence exact

      proofs-check run dense-rate --evidence search --budget 30

      proofs-check run dense-rate --instance output/worst-cases/worst-dense-rate.npz

      proofs-check run --profile full --journal DIR             (and, killed: again with --resume)

      proofs-check run --backend dask --scheduler tcp://HOST:8786
    """
    selected = [find(name) for name in claims or []] or [
        claim for claim in registry().values() if not claim.is_false
    ]
    if profile not in PROFILES:
        fail(f"--profile must be one of {', '.join(PROFILES)}; got {profile!r}.")
    if not 0 < alpha < 1:
        fail(f"--alpha must lie strictly between 0 and 1; got {alpha}.")
    if resume and journal is None:
        fail("--resume needs --journal DIR: the folder of the run to go on with.")
    if backend not in BACKENDS:
        fail(f"--backend must be one of {', '.join(BACKENDS)}; got {backend!r}.")
    if (backend == "dask") != (scheduler is not None):
        fail("--backend dask and --scheduler tcp://HOST:PORT go together.")
    check_folders(json=json, html=html, markdown=markdown)
    means = _evidence(evidence)
    searching = Evidence.SEARCH in means
    if not searching and (budget is not None or evaluations is not None):
        fail("--budget and --evaluations are for searches: add --evidence search.")
    if budget is not None and not budget > 0:
        fail(f"--budget must be positive, in seconds; got {budget}.")
    files, names = _problems(design, target, instance)
    if means == [Evidence.SEARCH]:
        if files or instance:
            fail("a search makes up its own instances: leave out --instance and --design.")
        names = []
    with progress_bar("checking") as bar:
        task = bar.add_task("checking", total=None)
        try:
            report = run(
                selected, names, files=files, profile=profile, seed=seed, alpha=alpha,
                evidence=means, jobs=jobs or os.cpu_count() or 1, scheduler=scheduler,
                journal=journal, resume=resume, seconds=budget, evaluations=evaluations,
                worst_cases=worst_cases if searching else None,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
        except (BackendError, JournalError) as error:
            fail(str(error))
        except OSError as error:
            fail(f"could not use {error.filename}: {error.strerror}.")
    deliver(report, verbose, json=json, html=html, markdown=markdown)
    if report.searched:
        console().print(
            f"Worst cases are in {escape(str(worst_cases))}; run one again with --instance FILE.",
            soft_wrap=True,
        )
    if report.failure is not None:
        advice = (
            "the journal has all that was finished: go on with --resume"
            if journal
            else "with --journal DIR a run can be resumed"
        )
        message = f"proofs-check: {escape(report.failure)} The run could not finish; {advice}."
        console(stderr=True).print(message, soft_wrap=True)
        raise typer.Exit(report.exit_status)
    raise typer.Exit(INTERRUPTED if report.interrupted else report.exit_status)


def _evidence(words: list[str] | None) -> list[Evidence]:
    known = [*Evidence, EVERYTHING]
    for word in words or []:
        if word not in known:
            fail(f"--evidence must be one of {', '.join(known)}; got {word!r}.")
    if not words:
        return [Evidence.TRIALS]
    return [kind for kind in Evidence if EVERYTHING in words or kind in words]


def _problems(
    design: Path | None, target: Path | None, instances: list[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    """Files of a problem of the user's own, if there are any, and the names of instances."""
    saved = [name for name in instances or [] if name not in catalogue() and _is_file(name)]
    if design is None and target is None and not saved:
        return (), _instance_names(instances)
    if saved:
        if len(instances or []) > 1 or design is not None or target is not None:
            fail("a saved instance is run alone: leave out other instances, --design and --target.")
        files: tuple[str, ...] = (saved[0],)
    elif design is None or target is None:
        fail("--design and --target go together: give both files.")
    else:
        if instances:
            fail("--instance names a built-in problem and cannot go with --design and --target.")
        files = (str(design), str(target))
    try:
        found = from_files(*files)
        found.problem.reduction  # noqa: B018  (checks the files)
    except InstanceError as error:
        fail(str(error))
    return files, [found.name]


def _is_file(name: str) -> bool:
    return name.endswith(".npz") or Path(name).is_file()


def _instance_names(wanted: list[str] | None) -> list[str]:
    for name in wanted or []:
        if name not in catalogue():
            choice = ", ".join(catalogue())
            fail(f"there is no instance or file {name!r}; choose from {choice}.")
        if name in unavailable():
            fail(f"{name} {unavailable()[name]}.")
    return [name for name in wanted or catalogue() if name not in unavailable()]
