"""Recommender models: matrix factorisation, GMF, DLRM."""

from __future__ import annotations

from typing import Any

from ... import _validate
from .base import Model
from .dlrm import DLRM
from .gmf import GMF
from .matrix_factorization import MatrixFactorization

MODELS: dict[str, type[Model]] = {kind.name: kind for kind in (DLRM, GMF, MatrixFactorization)}


def make_model(model: str, *args: Any, **settings: Any) -> Model:
    """A model by its name.

    Parameters
    ----------
    model : str
        A name from ``MODELS``.
    *args, **settings
        As for `Model`, and the model's own.

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> make_model("gmf", (10, 20), 4).parameter_count
    120
    """
    return MODELS[_validate.choice(model, "model", tuple(MODELS))](*args, **settings)


__all__ = ["DLRM", "GMF", "MODELS", "MatrixFactorization", "Model", "make_model"]
