"""Methods of compressing an embedding table: one file each. `base` tells how to add one."""

from .base import GatherTable, Parameter, Table, Term, make_options, make_table, registry

__all__ = [
    "GatherTable",
    "Parameter",
    "Table",
    "Term",
    "make_options",
    "make_table",
    "registry",
]
