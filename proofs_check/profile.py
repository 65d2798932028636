"""How much work a run may do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Budgets of a run. All are counts, not seconds: the same run decides the same everywhere.

    Attributes
    ----------
    name : str
    trials : int
        At most so many trials of a random claim on a small instance.
    large_trials : int
        The same on an instance of rank above `LARGE_RANK`.
    deterministic_trials : int
        Trials of a deterministic claim (a tenth of it on large instances, at least 3).
    tolerance : float
        An equality is confirmed when the confidence interval lies within this of it; at most a
        quarter of the distance to 0 and to 1.
    spectrum_rank : int
        The whole spectrum of a sparse design is computed up to this rank.
    square_rank : int
        A dense square matrix of random noise is solved with up to this rank.
    noise_rank : int
        Dense noise of a quarter as many columns as the rank is drawn up to this rank.
    exact_draws : int
        Small parts of an instance on which an expectation over all sketches is summed.
    exact_spectrum : int
        Integrals are enclosed with up to so many distinct singular values or weights.
    rounds : int
        Trajectories as long as a bound asks for are run up to so many rounds.
    evaluations : int
        Instances that a search for the worst case tries, counted once for each look.
    """

    name: str
    trials: int
    large_trials: int
    deterministic_trials: int
    tolerance: float
    spectrum_rank: int
    square_rank: int
    noise_rank: int
    exact_draws: int
    exact_spectrum: int
    rounds: int
    evaluations: int


LARGE_RANK = 500

PROFILES = {
    "quick": Profile("quick", 6000, 1000, 30, 0.02, 2500, 500, 500, 4, 64, 500, 60),
    "full": Profile("full", 40_000, 20_000, 300, 0.01, 12_000, 1500, 2000, 16, 400, 500, 400),
}
