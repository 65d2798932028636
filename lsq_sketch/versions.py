"""What a result depends on besides its seed."""

from __future__ import annotations

import platform
from importlib.metadata import version

from . import __version__

DEPENDENCIES = ("numpy", "scipy", "numba", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of this toolkit, of Python and of what computes.

    Examples
    --------
    >>> sorted(versions())
    ['lsq-sketch', 'numba', 'numpy', 'python', 'scikit-learn', 'scipy']
    """
    found = {name: version(name) for name in DEPENDENCIES}
    return {"lsq-sketch": __version__, "python": platform.python_version(), **found}
