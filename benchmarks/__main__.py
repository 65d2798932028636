"""``python -m benchmarks [NAME ...] [--json FILE]``: ours beside the peers', in one run."""

from __future__ import annotations

import importlib
import json as json_module
import pkgutil
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import numba
import numpy as np
import scipy
import typer
from rich.markup import escape
from rich.table import Table

import benchmarks
from lsq_sketch import __version__
from lsq_sketch.console import console, fail, run_app
from lsq_sketch.files import write_whole
from lsq_sketch.threads import thread_count

from .timing import Benchmark, Timing, measure

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


def registry() -> dict[str, Any]:
    """Benchmarks by name: one for each module here that has a `prepare`."""
    names = [info.name for info in pkgutil.iter_modules(benchmarks.__path__)]
    modules = {
        name: importlib.import_module(f"benchmarks.{name}") for name in names if name[0] != "_"
    }
    return {
        name.replace("_", "-"): module
        for name, module in modules.items()
        if hasattr(module, "prepare")
    }


def benchmarks_of(module: Any, size: str) -> Iterator[Benchmark]:
    """The benchmarks of a file: its `prepare` gives one, or one after the other."""
    found = module.prepare(size)
    if isinstance(found, Benchmark):
        yield found
    else:
        yield from found


def unavailable(module: Any) -> str | None:
    """What a benchmark is missing, and how to install it; None if nothing."""
    return module.unavailable() if hasattr(module, "unavailable") else None


def environment() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "lsq-sketch": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        **_version_of("torch"),
        "processor": _processor(),
        "threads": thread_count(),
    }


def _version_of(package: str) -> dict[str, str]:
    try:
        return {package: metadata.version(package)}
    except metadata.PackageNotFoundError:
        return {}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks; all if none given.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the benchmarks.")] = False,
    size: Annotated[str, typer.Option(help="full or toy.")] = "full",
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; medians are reported.")] = 5,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
) -> None:
    """Time our code beside the peers', interleaved in one run, after checking equal results.

    Example: python -m benchmarks count-sketch --repeats 9 --json timings.json
    """
    known = registry()
    for name in names or []:
        if name not in known:
            fail(f"there is no benchmark {name!r}; choose from {', '.join(known)}.")
        missing = unavailable(known[name])
        if missing is not None and not list_only:
            fail(f"{name} {missing}.")
    if size not in ("full", "toy"):
        fail(f"--size must be full or toy; got {size!r}.")
    if json is not None and not json.absolute().parent.is_dir():
        fail(f"--json: the folder {json.absolute().parent} does not exist. Create it first.")
    out = console()
    if list_only:
        for name, module in known.items():
            out.print(f"{name:28}{(module.__doc__ or '').splitlines()[0]}", soft_wrap=True)
        return
    results: dict[str, Any] = {"environment": environment(), "size": size, "benchmarks": {}}
    for name in names or known:
        missing = unavailable(known[name])
        if missing is not None:
            out.print(
                f"[bold]{name}[/bold]  [yellow]left out: {escape(missing)}[/]", soft_wrap=True
            )
            continue
        for benchmark in benchmarks_of(known[name], size):
            timings = measure(benchmark, repeats)
            key = f"{name}: {benchmark.part}" if benchmark.part else name
            out.print(f"[bold]{key}[/bold]  {benchmark.work}", soft_wrap=True)
            out.print(_table(timings, benchmark.rows))
            results["benchmarks"][key] = {
                "work": benchmark.work,
                **({"rows": benchmark.rows} if benchmark.rows else {}),
                "timings": [timing.as_dict() for timing in timings],
            }
    if json is not None:
        write_whole(json, json_module.dumps(results, indent=1).encode() + b"\n")


MARKS = {"ours": "", "peer": "", "limit": "limit: ", "allowance": "allowed: "}


def _table(timings: list[Timing], rows: int | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 1))
    headings = ["", "median s", "least s", "cpu s", "times ours", "(least)", "(cpu)"]
    for name in headings + ["rows/s"] * (rows is not None):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for timing in timings:
        label = escape(MARKS[timing.role] + timing.name)
        ratios = [
            f"{timing.ratio:.2f}", f"({timing.least_ratio:.2f})", f"({timing.cpu_ratio:.2f})"
        ]  # fmt: skip
        cells = [f"{seconds:.4f}" for seconds in (timing.median, timing.least, timing.cpu)]
        cells += ratios if timing.role != "ours" else [""] * 3
        if rows is not None:
            cells.append(f"{rows / timing.median:,.0f}")
        style = "dim" if timing.role in ("limit", "allowance") else None
        table.add_row(label, *cells, style=style)
    return table


if __name__ == "__main__":
    run_app(app, "python -m benchmarks")
