"""A sharper rate for Dense CCE, from the whole spectrum.

Statement
---------
Let lmin(s) be the expected share of the smallest direction of the spectrum s in one Gaussian
combination, lmin(s) = E[s_min^2 g^2 / sum_j s_j^2 g_j^2]. Then
E[e_i | T_{i-1}] <= e_{i-1} prod_{t=t0}^{t0+m-1} (1 - lmin(sigma_1, ..., sigma_{r-t-1}, sigma_r)),
t0 = 0 in the first step and t0 = rank(X T_{i-1}) after that. A factor is 0 once r - t <= 1.

Hypotheses
----------
Gaussian noise, k > d2. (If m >= r one step is exact, see one-step-exact.)

Source
------
This toolkit; sharper than Theorem 3.1 of Tsang and Ahle and never worse.

Proof idea
----------
As for dense-rate, keeping the whole spectrum: after projecting out t directions the j-th singular
value is at most sigma_j and the last one at least sigma_r (Cauchy interlacing), and lmin rises with
its smallest entry and falls with the others. From the second step on the residual is already
orthogonal to the range of X T_{i-1}, which is worth t0 directions.

Bound
-----
The product, by quadrature. On a flat spectrum it telescopes to 1 - m/(r - t0), the exact law, and
the claim is judged as an equality.

Experiment
----------
The ratios e_i / e_{i-1} of trajectories of three rounds, the first step apart from the later ones.

Exact evidence, in balls: the rate is at most (1 - rho)^m, that of dense-rate; and the quadrature.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.spectrum import QUADRATURE, at_most, enclosed_equality, spectrum_of
from ..experiments import (
    FIRST,
    LATER,
    dense_steps,
    refuse_large_spectrum,
    require_noise_columns,
    target_rank,
)
from ..instances import Instance
from ..integrals import smallest_direction_weights

KIND = Kind.UPPER_BOUND
SECTION = Section.DENSE_CCE

STATEMENT = r"""
Let $\ell(s)$ be the expected share of the smallest direction of the spectrum $s$ in one Gaussian
combination,
$$\ell(s) = \mathbb{E}\left[\frac{s_{\min}^2\, g^2}{\sum_j s_j^2\, g_j^2}\right].$$
Then
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] \le e_{i-1} \prod_{t=t_0}^{t_0+m-1} (1 - \ell_t),$$
$$\ell_t = \ell(\sigma_1, \dots, \sigma_{r-t-1}, \sigma_r),$$
$t_0 = 0$ in the first step and $t_0 = \operatorname{rank}(X T_{i-1})$ after that. A factor is 0
once $r - t \le 1$.
"""
HYPOTHESES = r"""
Gaussian noise, $k > d_2$. (If $m \ge r$ one step is exact, see `one-step-exact`.)
"""

check_bound_cost = refuse_large_spectrum


def rate(singular_values: np.ndarray, m: int, t0: int = 0) -> float:
    """The product of the claim.

    Parameters
    ----------
    singular_values : ndarray, shape (r,)
        Positive, descending.
    m : int
        Fresh noise columns.
    t0 : int, default 0
        Directions already projected out.

    Returns
    -------
    float
        In [0, 1].
    """
    r = len(singular_values)
    counts = np.arange(r - t0, r - t0 - m, -1)
    if counts[-1] <= 1:
        return 0.0
    return float(np.exp(np.log1p(-smallest_direction_weights(singular_values, counts)).sum()))


def bounds(instance: Instance) -> dict[str, Bound]:
    """The product for the first step and, with ``t0 = rank(X T_1)``, for later ones."""
    require_noise_columns(instance)
    problem, m = instance.problem, instance.width
    t0 = min(m, target_rank(problem))
    sigma = problem.singular_values
    flat = bool(sigma[-1] > (1 - 1e-9) * sigma[0])
    found = {FIRST: Bound(rate(sigma, m), attained=flat)}
    if problem.rank - t0 > m:
        found[LATER] = Bound(rate(sigma, m, t0), attained=flat)
    return found


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios ``e_i / e_{i-1}``."""
    steps = dense_steps(instance, "gaussian", rng)
    return [(FIRST if i == 1 else LATER, ratio) for i, ratio in steps]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The rate against that of dense-rate; the quadrature of the first step."""
    require_noise_columns(instance)
    problem, m = instance.problem, instance.width
    spectrum = spectrum_of(problem, effort)
    sigma, simple = spectrum.singular_values, (1 - spectrum.rho) ** m
    t0 = min(m, target_rank(problem))

    def against_simple(stage: str, past: int) -> Comparison:
        return at_most(
            f"{stage} against dense-rate",
            lambda bits: spectrum.rate(m, past, bits),
            lambda: rate(sigma, m, past),
            simple,
            m,
            effort,
        )

    found = [against_simple(FIRST, 0)]
    if problem.rank - t0 > m:
        found.append(against_simple(LATER, t0))
    if not effort.is_floating:
        computed = rate(sigma, m)
        found.append(
            enclosed_equality(
                "quadrature of the first step",
                lambda bits: spectrum.rate(m, 0, bits),
                computed,
                QUADRATURE,
                m,
            )
        )
    return found
