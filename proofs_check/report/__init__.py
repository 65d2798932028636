"""Reports: on the terminal, as JSON with a published schema, as one HTML page, as Markdown."""

from .html import as_html, write_html
from .markdown import as_markdown, write_markdown
from .numerals import number
from .plain import ReportFileError, SavedReport, as_dict, read_json, write_json
from .schema import schema, schema_text
from .terminal import STYLES, print_details, print_report

__all__ = [
    "STYLES",
    "ReportFileError",
    "SavedReport",
    "as_dict",
    "as_html",
    "as_markdown",
    "number",
    "print_details",
    "print_report",
    "read_json",
    "schema",
    "schema_text",
    "write_html",
    "write_json",
    "write_markdown",
]
