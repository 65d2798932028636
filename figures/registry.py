"""What a figure is, and the registry that fills itself from the files in `figures.recipes`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from matplotlib.figure import Figure

from . import style
from .columns import Columns
from .run import Run

PROFILES = ("draft", "quick", "full")
"""Sizes: for the tests, to look at in a minute, as in the paper."""


@dataclass(frozen=True)
class Recipe:
    """How a figure is made.

    Attributes
    ----------
    id : str
        Kebab-case; the file has the same name in snake_case.
    title : str
        One line: the first paragraph of the file's docstring.
    caption : str
        The rest of it, a paragraph a line.
    compute : callable
        ``compute(run) -> Columns``, the numbers that are plotted; they depend on the seed, the
        profile and the options of the run alone.
    """

    id: str
    title: str
    caption: str
    compute: Callable[[Run], Columns]
    _draw: Callable[[Columns], Figure]

    def draw(self, columns: Columns) -> Figure:
        """The figure of these numbers, in the common style."""
        with style.context():
            return self._draw(columns)


def _from_module(module: ModuleType) -> Recipe:
    title, *caption = [" ".join(part.split()) for part in (module.__doc__ or "").split("\n\n")]
    name = module.__name__.rsplit(".", 1)[1].replace("_", "-")
    return Recipe(name, title.rstrip("."), "\n".join(caption), module.compute, module.draw)


@cache
def registry() -> dict[str, Recipe]:
    """All figures by id: one for each file of `figures.recipes`.

    Returns
    -------
    dict of str to Recipe
        Sorted by id.

    Examples
    --------
    >>> registry()["dense-convergence"].id
    'dense-convergence'
    """
    package = importlib.import_module("figures.recipes")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    recipes = [_from_module(module) for module in modules]
    return {recipe.id: recipe for recipe in sorted(recipes, key=lambda recipe: recipe.id)}
