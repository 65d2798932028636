"""The published schema of a report in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

SCHEMA_VERSION = 1
"""Raised whenever a reader of the version before could misunderstand a report."""


def schema_text() -> str:
    """The JSON Schema (2020-12) of a report, as published."""
    return (files(__package__) / "report.schema.json").read_text(encoding="utf-8")


@cache
def schema() -> dict[str, Any]:
    """The same as plain data.

    Examples
    --------
    >>> schema()["$schema"], schema()["properties"]["schema_version"]["const"]
    ('https://json-schema.org/draft/2020-12/schema', 1)
    """
    return json.loads(schema_text())


def mistakes(document: Any) -> Iterator[tuple[str, str]]:
    """Where a document is not a report, and why; nothing if it is one.

    Parameters
    ----------
    document : object
        Plain data.

    Yields
    ------
    (str, str)
        A place, and what is wrong there.

    Examples
    --------
    >>> next(mistakes({"schema_version": 1}))
    ('$', "'versions' is a required property")
    """
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema()).iter_errors(document):
        message = error.message if len(error.message) <= 200 else error.message[:200] + " ..."
        yield error.json_path, message
