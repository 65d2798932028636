"""Dense CCE never makes the table worse.

Statement
---------
e_i <= e_{i-1} for every round of Dense CCE, with any noise.

Hypotheses
----------
k > d2.

Source
------
Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, section 3.

Proof idea
----------
T_{i-1} is among the tables H_i M: take M = [I; 0].

Bound
-----
The slack (e_{i-1} - e_i) / e_{i-1} may not fall below minus 1e-12.

Experiment
----------
Trajectories of three rounds with Gaussian and with count-sketch noise; whitened noise too where
the rank is at most 500.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, dense_steps, initial_excess, is_large, require
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.DENSE_CCE

STATEMENT = r"""
$$e_i \le e_{i-1}$$
for every round of Dense CCE, with any noise.
"""
HYPOTHESES = r"$k > d_2$."


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    require(initial_excess(instance.problem) > 0, "the optimum must differ from the zero table")
    return {EVERY: Bound(1e-12)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative decrease in each step, for each kind of noise."""
    noises = ["gaussian", "count-sketch"] + ([] if is_large(instance) else ["whitened"])
    return [
        (EVERY, 1 - ratio) for noise in noises for _, ratio in dense_steps(instance, noise, rng)
    ]
