"""Random generators: one ``rng`` argument everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np


def generator(rng: Any) -> np.random.Generator:
    """The `numpy.random.Generator` that ``rng`` stands for.

    Parameters
    ----------
    rng : int, numpy.random.SeedSequence, numpy.random.BitGenerator, numpy.random.Generator or None
        A seed, or a generator, which is used as it is. None: fresh entropy from the system.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    TypeError
        If ``rng`` is none of these.
    ValueError
        If the seed is negative.

    Examples
    --------
    >>> int(generator(0).integers(100)) == int(generator(0).integers(100))
    True
    """
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng must be a nonnegative integer seed, a numpy.random.Generator, a SeedSequence "
            f"or None; got {rng!r} of type {type(rng).__name__}."
        ) from error
