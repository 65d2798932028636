"""Matrix factorisation with squared loss."""

from __future__ import annotations

from .factors import FactorModel


class MatrixFactorization(FactorModel):
    """Rating = inner product of two vectors, squared loss.

    References
    ----------
    Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems",
    Computer 2009.

    Examples
    --------
    >>> model = MatrixFactorization((100, 50), dim=4, bias="full", rng=0)
    >>> model.parameter_count
    751
    """

    name = "matrix-factorization"
    usual_loss = "squared"
