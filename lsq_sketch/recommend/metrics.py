"""How good scores are: cross-entropy, area under the ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate


def area_under_curve(labels: Any, scores: Any) -> float:
    """Area under the ROC curve: how often a positive row scores above a negative one.

    Exact, ties counted one half (the Mann-Whitney statistic).

    Parameters
    ----------
    labels : array_like, shape (n,)
        Positive where above one half.
    scores : array_like, shape (n,)

    Returns
    -------
    float
        NaN if there are only positive or only negative rows.

    Raises
    ------
    ValueError
        If lengths differ or a score is not finite.

    Examples
    --------
    >>> area_under_curve([0, 1, 0, 1], [0.1, 0.9, 0.5, 0.5])
    0.875
    """
    positive = _validate.real_array(labels, "labels").ravel() > 0.5
    values = _validate.real_array(scores, "scores").ravel()
    if positive.shape != values.shape:
        raise ValueError(
            f"labels and scores must have equal lengths, got {positive.size} and {values.size}."
        )
    if not np.isfinite(values).all():
        raise ValueError("scores contain NaN or infinity: training has diverged. Lower the rate.")
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    from scipy.stats import rankdata  # here: it takes its time

    ranks = rankdata(values)
    wins = float(ranks[positive].sum()) - n_positive * (n_positive + 1) / 2
    return wins / (n_positive * n_negative)
