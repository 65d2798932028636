"""One making of a figure: its seed, its profile, its progress, and what is kept from before."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lsq_sketch import __version__
from lsq_sketch.files import write_whole

from .columns import Columns
from .trials import Progress

DEPENDENCIES = ("numpy", "scipy", "numba", "scikit-learn", "matplotlib")
"""Packages whose version can change a figure."""

SHARED_CODE = (
    "lsq_sketch/*.py",
    "lsq_sketch/reductions/*.py",
    "lsq_sketch/kernels/*.py",
    "proofs_check/floors.py",
    "proofs_check/instances.py",
    "figures/trials.py",
)
"""What every part of every figure is computed with."""

DRAWING = (
    "style", "matplotlib.axes", "matplotlib.figure", "matplotlib.lines", "matplotlib.patches",
    "matplotlib.ticker",
)  # fmt: skip
"""Modules from which a figure's file imports what it draws with."""

PartProgress = Callable[[str, int, int], None]
"""Called with the name of the part at work, and its trials done and in all."""


class FigureInputError(ValueError):
    """An option or a file given for a figure is of no use; the message says what to do."""


def no_progress(part: str, done: int, total: int) -> None:
    """No progress report."""


@dataclass
class Run:
    """What a figure is computed with.

    Parts of a figure are random streams of their own, and are kept in files: a part whose file
    was made with the same parameters, seed, code and versions is not computed again. So an
    interrupted run goes on where it stopped, and a figure can be drawn again at no cost.

    Attributes
    ----------
    figure : str
        Its id.
    seed : int
    profile : str
    folder : Path or None
        Where the parts are kept, ``<folder>/<figure>/<profile>/<part>.json``; None keeps nothing.
    progress : callable
    options : mapping
        Of single figures, by name.
    computed, kept : list of str
        Names of the parts that were computed, and that were read from files.
    notes : list of str
        What else the figure was made with, for its provenance.
    """

    figure: str
    seed: int = 0
    profile: str = "full"
    folder: Path | None = None
    progress: PartProgress = no_progress
    options: Mapping[str, Any] = field(default_factory=dict)
    computed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def sequence(self, part: str) -> np.random.SeedSequence:
        """The random stream of a part: the same whatever other parts there are."""
        return np.random.SeedSequence([self.seed, *f"{self.figure}/{part}".encode()])

    def part(
        self,
        name: str,
        parameters: Any,
        compute: Callable[[np.random.SeedSequence, Progress], Columns],
    ) -> Columns:
        """The columns of a part: from its file if that fits, else computed and kept.

        Parameters
        ----------
        name : str
        parameters : dataclass or mapping
            Everything but the seed that the numbers depend on.
        compute : callable
            ``compute(sequence, progress) -> Columns``.

        Returns
        -------
        Columns

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        path = self._path(name)
        key = {
            "figure": self.figure,
            "part": name,
            "seed": self.seed,
            "parameters": _plain(parameters),
            "version": __version__,
            "code": code_digest(self.figure),
            "packages": {package: version(package) for package in DEPENDENCIES},
        }
        columns = None if path is None else read_part(path, key)
        if columns is not None:
            self.kept.append(name)
            return columns
        self.progress(name, 0, 1)
        columns = compute(
            self.sequence(name),
            lambda done, total: self.progress(name, done, total),
        )
        self.computed.append(name)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, part_text(key, columns).encode())
        return columns

    def _path(self, part: str) -> Path | None:
        if self.folder is None:
            return None
        stem = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")
        return self.folder / self.figure / self.profile / f"{stem}.json"


def _plain(parameters: Any) -> Any:
    """Parameters as they come back from JSON."""
    if is_dataclass(parameters) and not isinstance(parameters, type):
        parameters = asdict(parameters)
    return json.loads(json.dumps(parameters, default=_listed))


def _listed(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, range):
        return list(value)
    raise TypeError(f"a parameter of a figure must be plain data, got {type(value).__name__}")


def part_text(key: Mapping[str, Any], columns: Columns) -> str:
    """The file of a part: what it was made with, and its columns.

    Examples
    --------
    >>> print(part_text({"seed": 0}, {"x": np.array([0.1])}), end="")
    {
     "made with": {"seed": 0},
     "columns": {"x": [0.1]}
    }
    """
    kept = json.dumps({name: column.tolist() for name, column in columns.items()})
    return f'{{\n "made with": {json.dumps(key)},\n "columns": {kept}\n}}\n'


def read_part(path: Path, key: Mapping[str, Any]) -> Columns | None:
    """The columns of a part's file, or None if it is missing, damaged or made otherwise."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["made with"] != key:
            return None
        return {name: np.array(column) for name, column in content["columns"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@cache
def code_digest(figure: str) -> str:
    """Digest of the code that computes a figure: `SHARED_CODE`, and its file without the drawing.

    Examples
    --------
    >>> len(code_digest("dense-convergence"))
    16
    """
    digest = hashlib.sha256()
    _update(digest, SHARED_CODE)
    module = source_root() / "figures" / "recipes" / f"{figure.replace('-', '_')}.py"
    digest.update(computing_code(module.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


@cache
def files_digest(*patterns: str) -> str:
    """Digest of files of the project, by glob patterns from its root."""
    digest = hashlib.sha256()
    _update(digest, patterns)
    return digest.hexdigest()[:16]


def _update(digest: Any, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        for file in sorted(source_root().glob(pattern)):
            digest.update(file.read_bytes())


def source_root() -> Path:
    """The folder that holds the three packages."""
    spec = find_spec("lsq_sketch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


def computing_code(source: str) -> str:
    r"""The code of a figure's file without comments, docstring, and what draws.

    A function that draws has a name that begins with ``draw``, with or without an underscore.

    Examples
    --------
    >>> computing_code("'Title.'\nx = 1  # why\ndef draw(columns): ...")
    'x = 1'
    """
    tree = ast.parse(source)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.FunctionDef) and re.match("_?draw", node.name))
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.ImportFrom) and node.module in DRAWING)
    ]
    return ast.unparse(tree)
