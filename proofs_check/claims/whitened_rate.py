"""Dense CCE with whitened noise converges at the rate 1/d1.

Statement
---------
E e_i <= (1 - 1/d1)^{i m} e_0, step by step E[e_i | T_{i-1}] <= (1 - 1/d1)^m e_{i-1}.

Hypotheses
----------
Whitened noise, X of full column rank, k > d2.

Source
------
Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, section 3.

Proof idea
----------
From whitened-law: 1 - m/r <= (1 - 1/r)^m (Bernoulli), and later steps contract more.

Bound
-----
(1 - 1/d1)^m on the mean of e_i / e_{i-1}, given the past.

Experiment
----------
The ratios e_i / e_{i-1} of trajectories of three rounds.

Exact evidence: the rates of whitened-law against the bound, as rationals.
"""

from fractions import Fraction

import numpy as np

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.interval import Interval
from ..experiments import (
    EVERY,
    FIRST,
    LATER,
    dense_steps,
    refuse_large_noise,
    require,
    require_noise_columns,
    whitened_width,
)
from ..finding import Certainty
from ..instances import Instance

KIND = Kind.UPPER_BOUND
SECTION = Section.DENSE_CCE

STATEMENT = r"""
$$\mathbb{E}\, e_i \le \left(1 - \frac{1}{d_1}\right)^{im} e_0,$$
step by step
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] \le \left(1 - \frac{1}{d_1}\right)^{m} e_{i-1}.$$
"""
HYPOTHESES = r"Whitened noise, $X$ of full column rank, $k > d_2$."

check_trial_cost = refuse_large_noise


def rate(d1: int, m: int) -> float:
    """``(1 - 1/d1)^m``."""
    return float((1 - 1 / d1) ** m)


def bounds(instance: Instance) -> dict[str, Bound]:
    """``(1 - 1/d1)^m`` for each step."""
    problem = instance.problem
    require(
        problem.rank == problem.d1,
        f"X must have full column rank (rank {problem.rank} of {problem.d1} columns)",
    )
    require_noise_columns(instance)
    return {EVERY: Bound(rate(problem.d1, whitened_width(instance)))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios ``e_i / e_{i-1}``."""
    return [
        (EVERY, ratio)
        for _, ratio in dense_steps(instance, "whitened", rng, whitened_width(instance))
    ]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``1 - m/r`` and ``1 - m/(r - d2)``, the law, against ``(1 - 1/d1)^m``: rationals."""
    bounds(instance)
    problem, m = instance.problem, whitened_width(instance)
    limit = Interval.exactly((1 - Fraction(1, problem.d1)) ** m)
    found = [
        Comparison(
            f"{stage}, law against rate", KIND,
            Interval.exactly(1 - Fraction(min(m, left), left)), limit, Certainty.PROOF, width=m,
        )
        for stage, left in ((FIRST, problem.rank), (LATER, problem.rank - problem.d2))
        if left > 0
    ]  # fmt: skip
    return [comparison.rounded() for comparison in found] if effort.is_floating else found
