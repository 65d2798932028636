"""Rounds until ``E e_i <= eps e_0``, by bounds and by simulation within a budget of work.

The paper's bound and the sharper ones of the claims are solved for ``i``; trajectories are
simulated, those likely to be cheap first.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lsq_sketch.cce import NOISES

from ..asymptotics import projection_shares
from .contraction import (
    Contraction,
    Quadrature,
    count_sketch_rate,
    dense_rate,
    whitened_law,
    whitened_rate,
)
from .setting import PlanningError, Setting, unknown_direction
from .simulation import (
    FLOOR,
    Measured,
    Run,
    Target,
    count_sketch_seconds,
    dense_noise_seconds,
    measure,
    trajectories,
)
from .storage import Memory, memory

TRIALS, MIN_TRIALS = 50, 20

BUDGET = 60.0

RUN_BYTES, ROUND_BYTES = 1 << 30, 1 << 28
"""Memory for the states of all runs of a simulation, and for the image of the noise of one."""


@dataclass(frozen=True)
class Row:
    """One width, noise, target and accuracy.

    Attributes
    ----------
    k : int
    noise, target : str
    accuracy : float
        eps, relative to ``e_0``.
    paper : float or None
        Rounds by the paper's bound; None where it has none for this noise or design.
    sharper : float or None
        Rounds by the sharper bound (for whitened noise: exactly) of claim ``sharper_claim``.
    sharper_claim : str
    measured : Measured or None
        None where nothing was simulated; ``reason`` says why.
    reason : str
    """

    k: int
    noise: str
    target: str
    accuracy: float
    paper: float | None
    sharper: float | None
    sharper_claim: str
    measured: Measured | None = None
    reason: str = "interrupted"


@dataclass
class Plan:
    """Rounds and memory for each width.

    Attributes
    ----------
    setting : Setting
    accuracies : list of float
    trials : int
    budget : float
    confidence : float
    seed : int
    memory : dict of int to Memory
        For each ``k`` that is possible.
    refused : dict of int to str
        For each ``k`` that is not: why.
    rows : list of Row
        By k, noise, target and accuracy.
    interrupted : bool
        By Ctrl-C: some rows have not been simulated, or not to the end.
    """

    setting: Setting
    accuracies: list[float]
    trials: int
    budget: float
    confidence: float
    seed: int
    memory: dict[int, Memory] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False


@dataclass(frozen=True)
class Cell:
    """What one set of trajectories decides: all accuracies of a width, noise and target."""

    k: int
    noise: str
    target: Target


def plan(
    setting: Setting,
    widths: Sequence[int],
    accuracies: Sequence[float],
    noises: Sequence[str] = NOISES,
    *,
    trials: int = TRIALS,
    budget: float = BUDGET,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Rounds and memory for each width.

    Parameters
    ----------
    setting : Setting
    widths : sequence of int
        ``k``; those not above ``d2`` are refused one by one.
    accuracies : sequence of float
        eps, in (0, 1), relative to ``e_0``.
    noises : sequence of {"gaussian", "whitened", "count-sketch"}
    trials : int, default 50
        Runs of each simulation; down to 20 where the budget would not let so many finish.
    budget : float, default 60
        Work of all simulations together, in seconds of one core by a fixed cost model and never by
        the clock: the same seed gives the same plan everywhere. 0: no simulations.
    confidence : float, default 0.95
    seed : int, default 0
        A row's simulation does not depend on the other rows, but for the rounds it may take.
    progress : callable
        Called with the number of simulations done and in all.

    Returns
    -------
    Plan
        With what is known so far, if interrupted by Ctrl-C.

    Raises
    ------
    PlanningError
        If no width is possible.

    Examples
    --------
    >>> from proofs_check.planning import from_spectrum
    >>> setting = from_spectrum(np.ones(40), 1, None, ["worst"])
    >>> row = plan(setting, [9], [0.1], ["whitened"]).rows[0]
    >>> row.paper, row.sharper
    (12.0, 11.0)
    >>> row.measured.mean.lower <= row.sharper <= row.measured.mean.upper
    True
    """
    accuracies = list(dict.fromkeys(accuracies))
    made = Plan(setting, accuracies, trials, budget, confidence, seed)
    for k in dict.fromkeys(widths):
        if k <= setting.d2:
            made.refused[k] = f"k must exceed d2 = {setting.d2}: take at least {setting.d2 + 1}"
        else:
            made.memory[k] = memory(setting.d1, setting.d2, k)
    if not made.memory:
        raise PlanningError(
            f"k must exceed d2 = {setting.d2}, the columns kept from the last table; got "
            f"{', '.join(map(str, made.refused))}. Take k >= {setting.d2 + 1}."
        )
    cells = [
        Cell(k, noise, target)
        for k in made.memory
        for noise in dict.fromkeys(noises)
        for target in setting.targets
    ]
    bounds = _bounds(setting, list(made.memory))
    rows = {cell: [bounds(cell, accuracy) for accuracy in accuracies] for cell in cells}
    try:
        _simulate_all(made, rows, progress)
    except KeyboardInterrupt:
        made.interrupted = True
    made.rows = [row for found in rows.values() for row in found]
    return made


def _bounds(setting: Setting, widths: list[int]) -> Callable[[Cell, float], Row]:
    quadrature = None
    if setting.singular_values is not None:
        most_fitted = max(target.rank for target in setting.targets)
        most = max(k - setting.d2 for k in widths) + most_fitted
        quadrature = Quadrature(setting.singular_values, min(setting.rank, most))
    r, rho, d1 = setting.rank, setting.rho, setting.d1

    def row(cell: Cell, accuracy: float) -> Row:
        m = cell.k - setting.d2
        paper: float | None = None
        sharper: Contraction | None
        if cell.noise == "gaussian":
            paper = dense_rate(rho, m).rounds(accuracy)
            claim = "dense-quadrature-rate"
            sharper = quadrature.contraction(m, cell.target.rank) if quadrature else None
        elif cell.noise == "whitened":
            paper = whitened_rate(d1, m).rounds(accuracy) if r == d1 else None
            claim, sharper = "whitened-law", whitened_law(r, m, cell.target.rank)
        else:
            claim, sharper = "dense-count-sketch-rate", count_sketch_rate(rho, m)
        if m >= r and cell.noise != "count-sketch":
            claim, sharper = "one-step-exact", Contraction((), -math.inf)
        rounds = None if sharper is None else sharper.rounds(accuracy)
        return Row(cell.k, cell.noise, cell.target.name, accuracy, paper, rounds, claim)

    return row


def _simulate_all(
    made: Plan, rows: dict[Cell, list[Row]], progress: Callable[[int, int], None]
) -> None:
    """Simulate the cells, those likely to be cheap first; what they leave goes to the others."""
    setting = made.setting
    wanted = [accuracy for accuracy in made.accuracies if accuracy >= FLOOR]
    waiting = []
    for cell, found in rows.items():
        reason = _why_not(setting, cell, bool(wanted))
        if reason:
            rows[cell] = [replace(row, reason=reason) for row in found]
        else:
            rounds = expected_rounds(setting, cell, min(wanted))
            waiting.append((rounds * _seconds_a_round(setting, cell), cell))
    waiting.sort(key=lambda entry: entry[0])  # stable: ties stay in order
    left = made.budget
    progress(0, len(waiting))
    for done, (guess, cell) in enumerate(waiting):
        share = left / (len(waiting) - done)
        cost = _seconds_a_round(setting, cell)
        trials = made.trials
        if trials * guess > share:
            trials = max(min(trials, MIN_TRIALS), min(trials, int(share / guess)))
        fitting = _runs_that_fit(setting, cell)
        trials = min(trials, fitting)
        max_rounds = int(share / (max(2, trials) * cost))
        if fitting < 2 or max_rounds == 0:
            reason = (
                f"at k = {cell.k:,} it would take gigabytes of memory"
                if fitting < 2
                else f"at k = {cell.k:,} one round of {trials} runs is beyond the budget"
            )
            rows[cell] = [replace(row, reason=reason) for row in rows[cell]]
            progress(done + 1, len(waiting))
            continue

        def keep(ratios: np.ndarray, cell: Cell = cell) -> None:
            rows[cell] = [
                replace(row, measured=measure(ratios, row.accuracy, made.confidence), reason="")
                if row.accuracy >= FLOOR
                else replace(row, reason=f"below {FLOOR:g} there is only rounding error")
                for row in rows[cell]
            ]

        runs = _runs(made, cell, trials)
        ratios = trajectories(runs, min(wanted), max_rounds, cost, made.confidence, keep)
        keep(ratios)
        left -= trials * (ratios.shape[1] - 1) * cost
        progress(done + 1, len(waiting))


def _runs_that_fit(setting: Setting, cell: Cell) -> int:
    """Runs whose targets, residuals and tables fit in `RUN_BYTES`; 0 if no round of one fits."""
    if 8 * setting.rank * cell.k > ROUND_BYTES:
        return 0
    return RUN_BYTES // (8 * cell.target.columns * (2 * setting.rank + setting.d1))


def _seconds_a_round(setting: Setting, cell: Cell) -> float:
    if cell.noise == "count-sketch":
        return count_sketch_seconds(
            setting.rank, setting.d1, setting.nonzeros, cell.k, cell.target.columns
        )
    return dense_noise_seconds(setting.rank, cell.k)


SLACK = 1.5
"""The last of many runs takes longer than their mean."""


def expected_rounds(setting: Setting, cell: Cell, accuracy: float) -> float:
    """Rounds that simulations are likely to take: not a bound, only to allot the work.

    For whitened noise from whitened-law. For others, and the worst target, from the prediction of
    `proofs_check.asymptotics`; without the spectrum, from the paper's bound.

    Examples
    --------
    >>> from proofs_check.planning import from_spectrum
    >>> setting = from_spectrum(np.ones(40), 1, None, ["worst"])
    >>> expected_rounds(setting, Cell(9, "gaussian", setting.targets[0]), 0.1) < 20
    True
    """
    m, r = cell.k - setting.d2, setting.rank
    if cell.noise == "whitened":
        return SLACK * whitened_law(r, m, cell.target.rank).rounds(accuracy)
    if m >= r:
        return SLACK
    if setting.singular_values is None:
        return dense_rate(setting.rho, m).rounds(accuracy)
    share = float(projection_shares(setting.singular_values, m)[-1])
    return 1 + SLACK * math.log(accuracy) / math.log1p(-share)


def _why_not(setting: Setting, cell: Cell, wanted: bool) -> str:
    if cell.target.draw is unknown_direction:
        return "the worst direction is not known"
    if cell.noise == "count-sketch" and not setting.design_known:
        return "a count sketch needs the design, not its spectrum alone"
    return "" if wanted else f"below {FLOOR:g} there is only rounding error"


def _runs(made: Plan, cell: Cell, trials: int) -> list[Run]:
    words = [zlib.crc32(word.encode()) for word in (cell.noise, cell.target.name)]
    seeds = np.random.SeedSequence(made.seed, spawn_key=(cell.k, *words)).spawn(trials)
    setting = made.setting
    return [
        Run(setting.reduction, setting.d1, cell.target, cell.noise, cell.k - setting.d2, child)
        for child in seeds
    ]
