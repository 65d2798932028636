"""The distribution of the error of Dense CCE with whitened noise and one target.

Statement
---------
For d2 = 1, e_1/e_0 ~ Beta((r - m)/2, m/2) and e_i/e_{i-1} ~ Beta((r - 1 - m)/2, m/2) for i >= 2,
all independent.

Hypotheses
----------
Whitened noise, d2 = 1, m < r - 1, e_0 > 0.

Source
------
This toolkit; the law of a random projection of a fixed vector is classic.

Proof idea
----------
The share of a fixed unit vector outside a uniform m-dimensional subspace of R^r is
Beta((r - m)/2, m/2): a ratio of independent chi-squares. From the second step on everything happens
in the r - 1 dimensions orthogonal to X T_{i-1}.

Bound
-----
Kolmogorov distance of the values of the claimed distribution functions from Uniform(0, 1): 0,
tolerated up to 0.1.

Experiment
----------
The ratios e_i / e_{i-1} of trajectories of three rounds, put through their distribution functions;
first and later steps pooled.
"""

import numpy as np
from scipy.special import betainc

from ..claim import Bound, Kind, Section
from ..experiments import (
    EVERY,
    dense_steps,
    refuse_large_noise,
    require,
    require_noise_columns,
    whitened_width,
)
from ..instances import Instance

KIND = Kind.DISTRIBUTION
SECTION = Section.DENSE_CCE

STATEMENT = r"""
For $d_2 = 1$,
$$\frac{e_1}{e_0} \sim \operatorname{Beta}\left(\frac{r - m}{2}, \frac{m}{2}\right)$$
and, for $i \ge 2$,
$$\frac{e_i}{e_{i-1}} \sim \operatorname{Beta}\left(\frac{r - 1 - m}{2}, \frac{m}{2}\right),$$
all independent.
"""
HYPOTHESES = r"Whitened noise, $d_2 = 1$, $m < r - 1$, $e_0 > 0$."

check_trial_cost = refuse_large_noise


def bounds(instance: Instance) -> dict[str, Bound]:
    """Tolerated distance."""
    problem = instance.problem
    require(problem.d2 == 1, f"there must be one target (d2 = {problem.d2})")
    require_noise_columns(instance)
    require(whitened_width(instance) < problem.rank - 1, "the width m must be less than r - 1")
    return {EVERY: Bound(0.1)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Values of the distribution functions."""
    r, m = instance.problem.rank, whitened_width(instance)
    return [
        (EVERY, float(betainc((r - m - (i > 1)) / 2, m / 2, min(ratio, 1.0))))
        for i, ratio in dense_steps(instance, "whitened", rng, m)
    ]
