"""False: one-hot-exact with the frequencies replaced by their mean.

Statement
---------
(Wrong.) If X'X = diag(w) then E e(C M) is as if all w_i in q_i were equal to their mean.

Hypotheses
----------
Those of one-hot-exact. They do not suffice.

Source
------
False statement 8.

Proof idea
----------
A frequent ID suffers little from the rare ones in its bucket, and they suffer much from it: with
Zipf counts the average over the IDs is far from that of equal counts.

Bound
-----
The formula of one-hot-exact with equal weights; an equality.

Experiment
----------
That of one-hot-exact.

Exact evidence: that of one-hot-exact, as rationals.
"""

from fractions import Fraction

import numpy as np

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.rational import exact_bucket_shares
from ..experiments import EVERY
from ..instances import Instance
from . import one_hot_exact

KIND = Kind.EQUALITY
SECTION = Section.SPARSE_CCE
TWIN = "one-hot-exact"
KILLED_BY = "zipf-one-hot"

STATEMENT = r"""
If $X^\top X = \operatorname{diag}(w)$ then $\mathbb{E}\, e(CM)$ is as if all $w_i$ in $q_i$ were
equal to their mean.
"""

trial = one_hot_exact.trial


def bounds(instance: Instance) -> dict[str, Bound]:
    """The formula with the mean of the counts."""
    weights = one_hot_exact.column_weights(instance)
    seen = weights > 0
    mean = np.where(seen, weights[seen].mean(), 0.0)
    return {EVERY: Bound(one_hot_exact.expected_ratio(instance, mean))}


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The enumeration against the integral with equal weights, both as rationals."""
    one_hot_exact.column_weights(instance)
    candidates = []
    for small in effort.small_problems(instance):
        true = one_hot_exact.diagonal_loss(small, effort, instance)
        mean = sum(true.weights, Fraction(0)) / small.d1
        shares = exact_bucket_shares([mean] * small.d1, true.m)
        candidates.append(
            one_hot_exact.diagonal_claim(small, true.weights, true.optimum, true.m, shares)
        )
    return [effort.settle(candidates)]
