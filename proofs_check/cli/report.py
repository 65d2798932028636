"""``proofs-check report`` and ``proofs-check schema``; the files that a run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsq_sketch.console import console, fail

from ..report import (
    ReportFileError,
    print_details,
    print_report,
    read_json,
    schema_text,
    write_html,
    write_json,
    write_markdown,
)
from ..run import Report

Json = Annotated[Path | None, typer.Option(help="Write the report to this file, as JSON.")]
Html = Annotated[Path | None, typer.Option(help="The same, as one page for a browser.")]
Markdown = Annotated[Path | None, typer.Option(help="The same, to paste into an issue.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Every instance of every claim, not one line each.")
]

_WRITERS = {"json": write_json, "html": write_html, "markdown": write_markdown}


def check_folders(**files: Path | None) -> None:
    """Fail now, not after a long run, if a report cannot be written."""
    for option, path in files.items():
        if path is None:
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            fail(f"--{option}: the folder {folder} does not exist. Create it first.")
        if path.is_dir():
            fail(f"--{option}: {path} is a folder; expected the name of a file.")


def deliver(report: Report, verbose: bool, **files: Path | None) -> None:
    """Print a report, and write it to files in the formats asked for."""
    (print_details if verbose else print_report)(report, console())
    for option, path in files.items():
        if path is not None:
            try:
                _WRITERS[option](report, path)
            except OSError as error:
                fail(f"--{option}: could not write {path}: {error.strerror}.")


def render(
    file: Annotated[Path, typer.Argument(help="From proofs-check run --json.")],
    json: Json = None,
    html: Html = None,
    markdown: Markdown = None,
    verbose: Verbose = False,
) -> None:
    """Show a saved report again, or turn it into another format.

    Example: proofs-check report report.json --html report.html
    """
    check_folders(json=json, html=html, markdown=markdown)
    try:
        report = read_json(file)
    except ReportFileError as error:
        fail(str(error))
    deliver(report, verbose, json=json, html=html, markdown=markdown)


def print_schema() -> None:
    """Print the JSON Schema of reports.

    Example: proofs-check schema > report.schema.json
    """
    print(schema_text(), end="")
