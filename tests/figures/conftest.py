"""Every figure in the draft profile, made when first asked for; its parts are shared by workers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from figures import output
from figures.registry import registry
from figures.run import Run

PROFILE = "draft"


@dataclass(frozen=True)
class Made:
    """A figure with its numbers, drawing and files."""

    columns: dict[str, Any]
    origin: str
    drawing: Any
    files: dict[str, Path]
    parts: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """``made(name)``: a figure in the draft profile with seed 0."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    files = tmp_path_factory.mktemp("files")
    found: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in found:
            recipe = registry()[name]
            run = Run(name, 0, PROFILE, shared / "parts")
            columns = recipe.compute(run)
            origin = output.provenance(name, 0, PROFILE, run.notes)
            drawing = recipe.draw(columns)
            paths = output.save(recipe, columns, drawing, origin, files)
            found[name] = Made(columns, origin, drawing, paths, shared / "parts")
        return found[name]

    return make
