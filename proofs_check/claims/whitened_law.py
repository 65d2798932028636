"""The exact expected error of Dense CCE with whitened noise.

Statement
---------
E e_1 = (1 - m/r) e_0, and E[e_i | T_{i-1}] = (1 - m/(r - d2)) e_{i-1} for i >= 2. So
E e_i = (1 - m/r) (1 - m/(r - d2))^{i-1} e_0.

Hypotheses
----------
Whitened noise (or Gaussian noise and all nonzero singular values equal); rank(X T_{i-1}) = d2,
which holds almost surely if rank(X T*) = d2 and m >= d2; m < r - d2.

Source
------
This toolkit.

Proof idea
----------
The image of whitened noise spans a uniformly random m-dimensional subspace of the r-dimensional
range of X; the projection onto it has expectation (m/r) I. From the second step on the residual is
orthogonal to the d2-dimensional range of X T_{i-1}, which belongs to the span: m fresh directions
in r - d2 dimensions.

Bound
-----
1 - m/r for the first step, 1 - m/(r - d2) for later ones; equalities.

Experiment
----------
The ratios e_i / e_{i-1} of trajectories of three rounds, the first step apart from the later ones.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..experiments import (
    FIRST,
    LATER,
    dense_steps,
    refuse_large_noise,
    require,
    require_noise_columns,
    target_rank,
    whitened_width,
)
from ..instances import Instance

KIND = Kind.EQUALITY
SECTION = Section.DENSE_CCE

STATEMENT = r"""
$$\mathbb{E}\, e_1 = \left(1 - \frac{m}{r}\right) e_0$$
and, for $i \ge 2$,
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] = \left(1 - \frac{m}{r - d_2}\right) e_{i-1}.$$
So
$$\mathbb{E}\, e_i =
\left(1 - \frac{m}{r}\right) \left(1 - \frac{m}{r - d_2}\right)^{i-1} e_0.$$
"""
HYPOTHESES = r"""
Whitened noise (or Gaussian noise and all nonzero singular values equal);
$\operatorname{rank}(X T_{i-1}) = d_2$, which holds almost surely if
$\operatorname{rank}(X T^*) = d_2$ and $m \ge d_2$; $m < r - d_2$.
"""

check_trial_cost = refuse_large_noise


def rate(r: int, m: int, t0: int = 0) -> float:
    """``1 - m/(r - t0)``, ``t0`` the directions already fitted: 0, then d2."""
    return 1 - m / (r - t0)


def bounds(instance: Instance) -> dict[str, Bound]:
    """``1 - m/r`` and ``1 - m/(r - d2)``."""
    require_noise_columns(instance)
    problem, m = instance.problem, whitened_width(instance)
    require(m >= problem.d2, f"the width m ({m}) must be at least d2 ({problem.d2})")
    require(m < problem.rank - problem.d2, "the width m must be less than r - d2")
    require(target_rank(problem) == problem.d2, "X T* must have rank d2")
    return {
        FIRST: Bound(rate(problem.rank, m)),
        LATER: Bound(rate(problem.rank, m, problem.d2)),
    }


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios ``e_i / e_{i-1}``."""
    steps = dense_steps(instance, "whitened", rng, whitened_width(instance))
    return [(FIRST if i == 1 else LATER, ratio) for i, ratio in steps]
