"""The command ``proofs-check plan``: how small a table can be, and how many rounds it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lsq_sketch import LeastSquares, TooLargeError
from lsq_sketch.cce import NOISES
from lsq_sketch.console import INTERRUPTED, console, fail, progress_bar

from ..instances import InstanceError, catalogue, read_matrix, unavailable
from ..planning import Plan, PlanningError, Setting, from_problem, from_spectrum, plan
from ..planning.report import PICTURES, print_plan, write_json, write_picture
from ..planning.rounds import BUDGET, TRIALS
from ..planning.setting import RANDOM, WORST

MAX_SPECTRUM, MAX_DENSE = 2500, 4096


def plan_command(
    k: Annotated[
        list[int], typer.Option("--k", min=1, help="Parameters an output column: --k 64 128 256.")
    ],
    design: Annotated[
        Path | None, typer.Option(help="Your X: .npy, .npz (dense or scipy sparse) or .csv.")
    ] = None,
    spectrum: Annotated[
        Path | None, typer.Option(help="Instead of X: its singular values, in such a file.")
    ] = None,
    instance: Annotated[
        str | None, typer.Option(help="Instead of X and Y: a built-in problem, as movielens.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option(help="Your Y; without it a target is assumed.")
    ] = None,
    eps: Annotated[
        list[float] | None,
        typer.Option(
            "--eps", help="Wanted excess relative to e_0: --eps 1e-2 1e-3. \\[default: 0.001]"
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(help="gaussian, whitened, count-sketch. \\[default: all three]"),
    ] = None,
    d2: Annotated[
        int | None, typer.Option(min=1, help="Targets, where Y is not given. \\[default: 1]")
    ] = None,
    d1: Annotated[
        int | None,
        typer.Option(min=1, help="Columns of X, with --spectrum. \\[default: as many as values]"),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="Targets to assume without Y: worst, random. \\[default: both]"),
    ] = None,
    trials: Annotated[int, typer.Option(min=2, help="Runs of a simulation, at most.")] = TRIALS,
    budget: Annotated[
        float,
        typer.Option(min=0, help="Work of all simulations: about so many seconds of a core."),
    ] = BUDGET,
    confidence: Annotated[float, typer.Option(help="Of each interval.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulations.")] = 0,
    max_spectrum: Annotated[
        int, typer.Option(min=0, help="Largest rank with all singular values of a sparse X.")
    ] = MAX_SPECTRUM,
    max_dense: Annotated[
        int, typer.Option(min=0, help="Columns of a sparse X that may be made dense.")
    ] = MAX_DENSE,
    json: Annotated[Path | None, typer.Option(help="Write the plan to this file, as JSON.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw it into this file: .pdf, .png or .svg.")
    ] = None,
) -> None:
    """Rounds of Dense CCE and memory for each k, for your own X.

    By the paper's bound, by the sharper ones and by simulation, until the excess loss is at most
    eps times that of the zero table. --k, --eps, --noise and --assume take several values,
    separated by spaces or commas.

    Examples
    --------
      proofs-check plan --design X.npz --k 64 128 256 --eps 1e-3

      proofs-check plan --design X.npz --target Y.npy --k 64 128 --eps 1e-2 1e-4 --noise whitened

      proofs-check plan --spectrum singular_values.npy --d2 16 --k 32,64,128 --json plan.json
    """
    accuracies = eps or [1e-3]
    for accuracy in accuracies:
        if not 0 < accuracy < 1:
            fail(f"--eps must lie strictly between 0 and 1 (relative to e_0); got {accuracy:g}.")
    if not 0 < confidence < 1:
        fail(f"--confidence must lie strictly between 0 and 1; got {confidence:g}.")
    if not np.isfinite(budget):
        fail(f"--budget must be finite; got {budget:g}.")
    _check_words("--noise", noise, NOISES)
    _check_words("--assume", assume, (WORST, RANDOM))
    _check_file("--json", json)
    _check_file("--plot", plot)
    if plot is not None and plot.suffix.lower() not in PICTURES:
        fail(f"--plot: unknown suffix {plot.suffix!r}; expected one of {', '.join(PICTURES)}.")
    _check_sources(design, spectrum, instance, target, d1, d2, assume)
    setting = _setting(
        design, spectrum, instance, target, d1, d2, assume or [WORST, RANDOM], max_spectrum,
        max_dense,
    )  # fmt: skip
    try:
        made = _plan_with_progress(
            setting, k, accuracies, noise or list(NOISES), trials, budget, confidence, seed
        )
    except PlanningError as error:
        fail(f"--k: {error}")
    print_plan(made, console())
    _write("--json", json, lambda path: write_json(made, path))
    _write("--plot", plot, lambda path: write_picture(made, path))
    raise typer.Exit(INTERRUPTED if made.interrupted else 0)


def _check_words(option: str, given: list[str] | None, words: tuple[str, ...]) -> None:
    for word in given or []:
        if word not in words:
            fail(f"{option} must be one of {', '.join(words)}; got {word!r}.")


def _check_file(option: str, path: Path | None) -> None:
    if path is not None and not path.absolute().parent.is_dir():
        fail(f"{option}: the folder {path.absolute().parent} does not exist. Create it first.")


def _check_sources(
    design: Path | None,
    spectrum: Path | None,
    instance: str | None,
    target: Path | None,
    d1: int | None,
    d2: int | None,
    assume: list[str] | None,
) -> None:
    given = [
        name
        for name, value in (
            ("--design", design),
            ("--spectrum", spectrum),
            ("--instance", instance),
        )
        if value is not None
    ]
    if len(given) != 1:
        got = f"got {' and '.join(given)}" if given else "got none"
        fail(f"give one of --design, --spectrum and --instance; {got}.")
    if target is not None and design is None:
        fail("--target needs --design: a target is a column for the rows of X.")
    if d1 is not None and spectrum is None:
        fail("--d1 goes with --spectrum; --design and --instance know their columns.")
    if target is not None or instance is not None:
        whose = "--target" if target is not None else "--instance"
        if d2 is not None:
            fail(f"--d2 is the number of columns of the target, which {whose} gives.")
        if assume:
            fail(f"--assume is for plans without a target, which {whose} gives.")


def _setting(
    design: Path | None,
    spectrum: Path | None,
    instance: str | None,
    target: Path | None,
    d1: int | None,
    d2: int | None,
    assume: list[str],
    max_spectrum: int,
    max_dense: int,
) -> Setting:
    try:
        if spectrum is not None:
            return from_spectrum(read_matrix(spectrum), d2 or 1, d1, assume)
        if instance is not None:
            if instance not in catalogue():
                fail(f"there is no instance {instance!r}; choose from {', '.join(catalogue())}.")
            if instance in unavailable():
                fail(f"{instance} {unavailable()[instance]}.")
            return from_problem(catalogue()[instance].problem, None, assume, max_spectrum)
        assert design is not None
        X = read_matrix(design)
        if target is not None:
            problem = LeastSquares(X, read_matrix(target), max_dense=max_dense)
            return from_problem(problem, None, assume, max_spectrum)
        rows = X.shape[0] if getattr(X, "ndim", 0) == 2 else 1
        problem = LeastSquares(X, np.zeros(max(1, rows)), max_dense=max_dense)
        return from_problem(problem, d2 or 1, assume, max_spectrum)
    except TooLargeError as error:
        fail(
            f"--design: {error} On this command line: --max-dense; or compute the singular values "
            f"elsewhere and pass --spectrum."
        )
    except InstanceError as error:
        fail(str(error))
    except (TypeError, ValueError) as error:
        files = " and ".join(str(path) for path in (spectrum, design, target) if path is not None)
        fail(f"{error} (From {files}.)")


def _plan_with_progress(
    setting: Setting,
    widths: list[int],
    accuracies: list[float],
    noises: list[str],
    trials: int,
    budget: float,
    confidence: float,
    seed: int,
) -> Plan:
    with progress_bar("simulating") as bar:
        task = bar.add_task("simulating", total=None)
        return plan(
            setting,
            widths,
            accuracies,
            noises,
            trials=trials,
            budget=budget,
            confidence=confidence,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _write(option: str, path: Path | None, write: Callable[[Path], None]) -> None:
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        fail(f"{option}: could not write {path}: {error.strerror}.")
