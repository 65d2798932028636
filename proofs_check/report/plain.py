"""Reports as plain data and as JSON, to and fro."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lsq_sketch.files import write_whole
from lsq_sketch.versions import versions

from ..claim import registry
from ..finding import Evidence, Finding, LeftOut, Searched
from ..instances import unavailable
from ..run import Report
from .schema import SCHEMA_VERSION, mistakes


class ReportFileError(ValueError):
    """A file does not hold a report; the message says which file, where, and what to do."""


@dataclass
class SavedReport(Report):
    """A report that was read from a file, with what made it.

    Attributes
    ----------
    versions : mapping of str to str
        Of this toolkit, of Python and of what computes, where the report was made.
    unavailable : mapping of str to str
        Instances whose data were not installed there, and how to install them.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)


def versions_of(report: Report) -> Mapping[str, str]:
    """Versions that made a report: those saved with it, or those running now."""
    return report.versions if isinstance(report, SavedReport) else versions()


def unavailable_to(report: Report) -> Mapping[str, str]:
    """Instances that a report could not try, and how to get them."""
    return report.unavailable if isinstance(report, SavedReport) else unavailable()


def as_dict(report: Report) -> dict[str, Any]:
    """A report as plain data; numbers that do not exist (no observations) are None.

    It follows the published schema, see `proofs_check.report.schema`.

    Parameters
    ----------
    report : Report

    Returns
    -------
    dict
    """

    def plain(entry: Any) -> dict[str, Any]:
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(entry).items()
        }

    return {
        "schema_version": SCHEMA_VERSION,
        "versions": dict(versions_of(report)),
        "profile": report.profile,
        "seed": report.seed,
        "alpha": report.alpha,
        "claims": report.claims,
        "instances": report.instances,
        "evidence": report.evidence,
        "findings": [plain(finding) for finding in report.findings],
        "left_out": [plain(entry) for entry in report.left_out],
        "searched": [plain(case) for case in report.searched],
        "without_real_data": report.without_real_data,
        "unavailable": dict(unavailable_to(report)),
        "interrupted": report.interrupted,
        "failure": report.failure,
        "exit_status": report.exit_status,
    }


def write_json(report: Report, path: Path) -> None:
    """Write a report as JSON: whole, or not at all.

    It holds no times and no file names of the machine: the same seed and the same versions give
    the same file.

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


def read_json(path: Path) -> SavedReport:
    """Read a report that `write_json` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    SavedReport
        Everything that takes a report takes it.

    Raises
    ------
    ReportFileError
        If there is no such file, it is not a report, or one of another version of the schema.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ReportFileError(f"{path}: no such file.") from None
    except OSError as error:
        raise ReportFileError(f"{path}: could not be read: {error.strerror}.") from error
    except ValueError as error:
        raise ReportFileError(f"{path}: not JSON: {error}.") from error
    if not isinstance(found, dict) or "schema_version" not in found:
        raise ReportFileError(
            f"{path}: not a report: it has no schema_version. Write one with "
            "proofs-check run --json FILE."
        )
    if found["schema_version"] != SCHEMA_VERSION:
        raise ReportFileError(
            f"{path}: a report of schema version {found['schema_version']!r}; expected "
            f"{SCHEMA_VERSION}. Read it with the version of lsq-sketch that wrote it, or run again."
        )
    for place, mistake in mistakes(found):
        raise ReportFileError(f"{path}: not a valid report: at {place}: {mistake}.")
    names = {
        name for entry in (*found["findings"], *found["left_out"]) for name in [entry["claim"]]
    }
    unknown = sorted({*found["claims"], *names} - set(registry()))
    if unknown:
        raise ReportFileError(
            f"{path}: holds a claim that this version does not know: {', '.join(unknown)}. Read it "
            "with the version of lsq-sketch that wrote it."
        )
    given = {field.name: found[field.name] for field in fields(SavedReport)}
    return SavedReport(
        **{
            **given,
            "evidence": [Evidence(name) for name in found["evidence"]],
            "findings": [Finding.from_dict(entry) for entry in found["findings"]],
            "left_out": [LeftOut.from_dict(entry) for entry in found["left_out"]],
            "searched": [Searched.from_dict(entry) for entry in found["searched"]],
        }
    )
