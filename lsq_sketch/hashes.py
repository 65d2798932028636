"""Hash embeddings in the least-squares setting: other choices of ``H``, and how to solve them.

A table is a sum or a concatenation of parts, each a bucket matrix with a codebook of its own:
``T = sum_b A_b M_b`` (sums of hashes, residual quantisation), or block ``b`` of the columns of
``T`` is ``A_b M_b`` (CE, quotient-remainder, product quantisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from . import _validate
from .cce import Stage, _validate_problem
from .problem import LeastSquares
from .rng import generator
from .sketches import BucketMatrix
from .threads import single_threaded_blas


def hashing_trick(d1: int, m: int, rng: Any = 0) -> BucketMatrix:
    """The hashing trick without signs: one 1 in each row, in a random column.

    Parameters
    ----------
    d1 : int
        IDs.
    m : int
        Buckets.
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    BucketMatrix
        ``H`` (d1 x m).

    Raises
    ------
    TypeError, ValueError
        If ``d1`` or ``m`` is not a positive integer.

    References
    ----------
    Weinberger, Dasgupta, Langford, Smola and Attenberg, "Feature hashing for large scale
    multitask learning", ICML 2009 (there with signs: `CountSketch`).

    Examples
    --------
    >>> hashing_trick(5, 2, rng=0).signs
    array([1., 1., 1., 1., 1.])
    """
    d1 = _validate.integer(d1, "d1", low=1)
    m = _validate.integer(m, "m", low=1, high=2**30)
    return BucketMatrix(generator(rng).integers(0, m, d1, dtype=np.int32), m)


def several_hashes(d1: int, m: int, n_hashes: int, rng: Any = 0) -> list[BucketMatrix]:
    """Independent hashing tricks, for `fit_sum` or `fit_concatenation`.

    Parameters
    ----------
    d1 : int
        IDs.
    m : int
        Buckets of each.
    n_hashes : int
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    list of BucketMatrix

    Raises
    ------
    TypeError, ValueError
        If an argument is not a positive integer.

    References
    ----------
    Svenstrup, Hansen and Winther, "Hash embeddings for efficient word representations", NIPS 2017
    (sums); Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023 (CE: concatenations).

    Examples
    --------
    >>> several_hashes(5, 2, n_hashes=3)
    [BucketMatrix(d1=5, m=2), BucketMatrix(d1=5, m=2), BucketMatrix(d1=5, m=2)]
    """
    n_hashes = _validate.integer(n_hashes, "n_hashes", low=1)
    random = generator(rng)
    return [hashing_trick(d1, m, random) for _ in range(n_hashes)]


def quotient_remainder(d1: int, m: int) -> list[BucketMatrix]:
    """The quotient-remainder trick: two parts without chance, that together tell all IDs apart.

    Parameters
    ----------
    d1 : int
        IDs.
    m : int
        Buckets of the remainder ``i mod m``; the quotient ``i div m`` has ``ceil(d1/m)``.

    Returns
    -------
    list of BucketMatrix
        Quotient and remainder.

    Raises
    ------
    TypeError, ValueError
        If ``d1`` or ``m`` is not a positive integer.

    References
    ----------
    Shi, Mudigere, Naumov and Yang, "Compositional embeddings using complementary partitions for
    memory-efficient recommendation systems", KDD 2020.

    Examples
    --------
    >>> [part.buckets.tolist() for part in quotient_remainder(5, 2)]
    [[0, 0, 1, 1, 2], [0, 1, 0, 1, 0]]
    """
    d1 = _validate.integer(d1, "d1", low=1)
    m = _validate.integer(m, "m", low=1, high=2**30)
    ids = np.arange(d1)
    return [BucketMatrix(ids // m, -(-d1 // m)), BucketMatrix(ids % m, m)]


def fit_sum(problem: LeastSquares, parts: Sequence[BucketMatrix]) -> Stage:
    """The best codebooks of a sum: ``min ||X sum_b A_b M_b - Y||``.

    Parameters
    ----------
    problem : LeastSquares
    parts : sequence of BucketMatrix
        ``A_b`` (d1 x m_b): ``H`` has them side by side.

    Returns
    -------
    Stage
        With the table ``sum_b A_b M_b``.

    Raises
    ------
    TypeError, ValueError
        If there are no parts, or one has not ``d1`` rows.

    Examples
    --------
    >>> import numpy as np
    >>> p = LeastSquares(np.eye(4), [1.0, 2.0, 11.0, 12.0])
    >>> np.round(fit_sum(p, quotient_remainder(4, 2)).table.ravel(), 9).tolist()
    [1.0, 2.0, 11.0, 12.0]
    """
    _validate_parts(problem, parts)
    with single_threaded_blas():
        state = problem.reduction.start()
        state.fit(list(parts))
        return Stage(state.table, problem.optimal_loss + state.excess, state.excess)


def fit_concatenation(problem: LeastSquares, parts: Sequence[BucketMatrix]) -> Stage:
    """The best codebooks of a concatenation, one part for each block of output columns.

    Parameters
    ----------
    problem : LeastSquares
    parts : sequence of BucketMatrix
        ``A_b`` (d1 x m_b), at most ``d2``: the columns are cut into blocks as equal as may be, as
        in `product_quantization` and `alternating_cce`.

    Returns
    -------
    Stage
        Whose table has ``A_b M_b`` in block ``b``.

    Raises
    ------
    TypeError, ValueError
        If there are no parts or more than ``d2``, or one has not ``d1`` rows.

    Examples
    --------
    >>> import numpy as np
    >>> p = LeastSquares(np.eye(2), [[1.0, 1.0], [3.0, 3.0]])
    >>> parts = [BucketMatrix([0, 0], 1), BucketMatrix([0, 1], 2)]
    >>> np.round(fit_concatenation(p, parts).table, 9).tolist()
    [[2.0, 1.0], [2.0, 3.0]]
    """
    _validate_parts(problem, parts)
    if len(parts) > problem.d2:
        raise ValueError(
            f"parts has {len(parts)} bucket matrices, but Y only d2 = {problem.d2} columns; "
            f"expected at most one a column."
        )
    bounds = np.linspace(0, problem.d2, len(parts) + 1).astype(int)
    table = np.empty((problem.d1, problem.d2))
    with single_threaded_blas():
        for part, (a, b) in zip(parts, pairwise(bounds), strict=True):
            state = problem.reduction.start()
            state.fit([part])
            table[:, a:b] = state.table[:, a:b]
        excess = problem.reduction.excess(table)
        return Stage(table, problem.optimal_loss + excess, excess)


def _validate_parts(problem: Any, parts: Sequence[BucketMatrix]) -> None:
    _validate_problem(problem)
    if not len(parts):
        raise ValueError("parts is empty; expected at least one BucketMatrix.")
    for index, part in enumerate(parts):
        how = "Draw them with several_hashes(d1, m, n_hashes)."
        _validate.instance(part, f"parts[{index}]", BucketMatrix, how)
        if part.d1 != problem.d1:
            raise ValueError(
                f"parts[{index}] has {part.d1} rows; expected one for each of the d1 = "
                f"{problem.d1} columns of X."
            )
