"""Reports: on the terminal, as JSON with a published schema, as one HTML page, as Markdown."""

from .numerals import number
from .plain import ReportFileError, SavedReport, as_dict, read_json, write_json
from .schema import schema, schema_text
from .terminal import STYLES, print_details, print_report

__all__ = [
    "STYLES",
    "ReportFileError",
    "SavedReport",
    "as_dict",
    "number",
    "print_details",
    "print_report",
    "read_json",
    "schema",
    "schema_text",
    "write_json",
]
