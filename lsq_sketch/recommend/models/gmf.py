"""Generalised matrix factorisation: elementwise product, sum, sigmoid."""

from __future__ import annotations

from .factors import FactorModel


class GMF(FactorModel):
    """Probability of a positive action = sigmoid of the inner product of two vectors.

    References
    ----------
    He, Liao, Zhang, Nie, Hu and Chua, "Neural collaborative filtering", WWW 2017 (with the output
    weights fixed to one).

    Examples
    --------
    >>> model = GMF((1000, 500), dim=8, method="hash", params_per_dim=16, rng=0)
    >>> model.parameter_count, model.predict([[0, 1], [999, 499]]).shape
    (256, (2,))
    """

    name = "gmf"
    usual_loss = "logistic"
