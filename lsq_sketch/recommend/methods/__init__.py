"""Methods of compressing an embedding table: one file each. `base` tells how to add one."""

from .base import (
    ComposedTable,
    GatherTable,
    Parameter,
    Table,
    Term,
    make_options,
    make_table,
    registry,
)

__all__ = [
    "ComposedTable",
    "GatherTable",
    "Parameter",
    "Table",
    "Term",
    "make_options",
    "make_table",
    "registry",
]
