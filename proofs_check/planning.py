"""How small a table can be, and how many rounds it takes: bounds, simulation and memory.

Dense CCE with ``k`` parameters an output column, until ``E e_i <= eps e_0``: the paper's bound and
the sharper ones of the claims, solved for ``i``; trajectories that are simulated; and what each
``k`` takes to store beside the full table.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from lsq_sketch import LeastSquares, TooLargeError
from lsq_sketch.cce import NOISES
from lsq_sketch.reductions.base import FactoredReduction

from .asymptotics import projection_shares
from .contraction import (
    Contraction,
    Quadrature,
    count_sketch_rate,
    dense_rate,
    whitened_law,
    whitened_rate,
)
from .experiments import target_rank
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

NUMBER_BYTES = 4
"""Bytes of a parameter: float32, as in training."""

INDEX_BYTES = 4

GIVEN, RANDOM, WORST = "given", "random", "worst"

TRIALS, MIN_TRIALS = 50, 20

BUDGET = 60.0

RUN_BYTES, ROUND_BYTES = 1 << 30, 1 << 28
"""Memory for the states of all runs of a simulation, and for the image of the noise of one."""

DIRECTION_SIZE = 2500
"""The smallest singular direction of a sparse design is found by an SVD up to this size."""


class PlanningError(ValueError):
    """A plan that cannot be made; the message says why and what to do."""


# ------------------------------------------------------------------ memory


@dataclass(frozen=True)
class Memory:
    """What ``k`` parameters an output column take, in bytes of float32.

    Attributes
    ----------
    full_table : int
        ``d1 x d2``.
    codebook : int
        ``k x d2``: what is trained at once.
    hashed : int
        Codebook and one bucket or cluster number an ID: what a table compressed by hashing or
        clustering takes (Sparse CCE, alternating CCE).
    previous_table : int
        ``T_{i-1}``, the part of ``H_i`` that Dense CCE learned.
    noise : dict of str to int
        The fresh part of ``H_i``, stored: dense, or a bucket and a sign an ID. From a seed it
        takes nothing, but whitened noise cannot be drawn without the singular vectors of ``X``.
    """

    full_table: int
    codebook: int
    hashed: int
    previous_table: int
    noise: dict[str, int]

    def training(self, noise: str) -> int:
        """Codebook and ``H_i`` as stored."""
        return self.codebook + self.previous_table + self.noise[noise]


def memory(d1: int, d2: int, k: int) -> Memory:
    """Memory of Dense CCE with ``k`` parameters an output column.

    Examples
    --------
    >>> needed = memory(d1=1000, d2=10, k=64)
    >>> needed.codebook, needed.full_table, needed.training("gaussian")
    (2560, 40000, 258560)
    """
    m = k - d2
    dense = NUMBER_BYTES * d1 * m
    table = NUMBER_BYTES * d1 * d2
    codebook = NUMBER_BYTES * k * d2
    sketch = INDEX_BYTES * d1 + -(-d1 // 8)
    noise = {"gaussian": dense, "whitened": dense, "count-sketch": sketch}
    return Memory(table, codebook, codebook + INDEX_BYTES * d1, table, noise)


# ------------------------------------------------------------------ the problem


@dataclass(frozen=True)
class Setting:
    """What a plan is made for.

    Attributes
    ----------
    n : int or None
        Rows, if the design is known.
    d1, d2, rank : int
    rho : float
    singular_values : ndarray or None
        None if they are too expensive.
    reduction : FactoredReduction
        Of the design; or, if only the spectrum is known, of a diagonal one with this spectrum.
    targets : tuple of Target
    design_known : bool
        Whether the reduction is that of the user's design: count sketches need it.
    nonzeros : int or None
        Of a sparse design.
    left_out : tuple of str
        What cannot be said, why, and what to do.
    """

    n: int | None
    d1: int
    d2: int
    rank: int
    rho: float
    singular_values: np.ndarray | None = field(repr=False)
    reduction: FactoredReduction = field(repr=False)
    targets: tuple[Target, ...]
    design_known: bool
    nonzeros: int | None = None
    left_out: tuple[str, ...] = ()


def from_spectrum(values: Any, d2: int, d1: int | None, assume: Sequence[str]) -> Setting:
    """A setting from the singular values of ``X`` alone.

    Parameters
    ----------
    values : array_like, shape (q,)
        In any order; zeros count as columns, not for the rank.
    d2 : int
        Targets, at least 1.
    d1 : int or None
        Columns of ``X``; as many as values if None.
    assume : sequence of {"worst", "random"}

    Returns
    -------
    Setting

    Raises
    ------
    PlanningError
        If the values are not singular values, or fewer columns than values are claimed.

    Examples
    --------
    >>> from_spectrum([1.0, 1.0, 0.0], 1, None, ["worst"]).rank
    2
    """
    try:
        sigma = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanningError(f"the singular values must be real numbers: {error}.") from error
    if sum(size != 1 for size in sigma.shape) > 1 or sigma.size == 0:
        raise PlanningError(
            f"the singular values must be one row or column of numbers, got shape {sigma.shape}. "
            f"Pass the matrix itself as --design."
        )
    sigma = np.sort(sigma.ravel())[::-1]
    if not np.isfinite(sigma).all() or sigma[-1] < 0:
        raise PlanningError(
            "the singular values must be finite and not negative. Are these eigenvalues? Take the "
            "square roots of those of X'X."
        )
    if d1 is not None and d1 < sigma.size:
        raise PlanningError(
            f"d1 = {d1} columns cannot have {sigma.size} singular values; expected at least "
            f"{sigma.size}."
        )
    try:
        problem = LeastSquares(sp.diags_array(sigma).tocsr(), np.zeros(sigma.size))
    except ValueError as error:
        raise PlanningError(str(error)) from error
    _require_rank(problem)
    targets = assumed_targets(problem, d2, assume)
    return Setting(
        None, d1 or sigma.size, d2, problem.rank, problem.rho, problem.singular_values,
        _factored(problem), tuple(targets), False,
    )  # fmt: skip


def from_problem(
    problem: LeastSquares, d2: int | None, assume: Sequence[str], max_spectrum: int
) -> Setting:
    """A setting from a design.

    Parameters
    ----------
    problem : LeastSquares
        With the user's targets, or any.
    d2 : int or None
        Number of targets to assume; None to take those of the problem.
    assume : sequence of {"worst", "random"}
        Ignored if ``d2`` is None.
    max_spectrum : int
        Largest rank at which all singular values of a sparse design are computed, unless they are
        cheap.

    Returns
    -------
    Setting

    Raises
    ------
    PlanningError
        If ``X`` is zero, or explains nothing of ``Y``.
    TooLargeError
        If the design is too large for rank and ``rho``.
    """
    _require_rank(problem)
    rho = problem.rho
    left_out = []
    sigma = None
    try:
        if problem.reduction.spectrum_is_cheap or problem.rank <= max_spectrum:
            sigma = problem.singular_values
        else:
            left_out.append(
                f"dense-quadrature-rate needs all {problem.rank:,} singular values; for a sparse "
                f"design they are computed up to rank {max_spectrum:,}. Pass --max-spectrum "
                f"{problem.rank} if minutes can be spared."
            )
    except TooLargeError as error:
        left_out.append(f"dense-quadrature-rate: {error}")
    if d2 is None:
        targets = [given_target(problem)]
        d2 = problem.d2
    else:
        targets = assumed_targets(problem, d2, assume)
    if any(target.draw is _unknown_direction for target in targets):
        left_out.append(
            "the worst target is not simulated: the smallest singular direction of a sparse design "
            f"is computed up to {DIRECTION_SIZE:,} columns. Its bounds hold."
        )
    return Setting(
        problem.n, problem.d1, d2, problem.rank, rho, sigma, _factored(problem), tuple(targets),
        True, None if isinstance(problem.X, np.ndarray) else problem.X.nnz, tuple(left_out),
    )  # fmt: skip


def _require_rank(problem: LeastSquares) -> None:
    if problem.rank == 0:
        raise PlanningError("X is zero: no table explains anything. Give X a nonzero entry.")


def _factored(problem: LeastSquares) -> FactoredReduction:
    reduction = problem.reduction
    assert isinstance(reduction, FactoredReduction)  # others refuse to give their rank
    return reduction


def given_target(problem: LeastSquares) -> Target:
    """The target of the problem itself.

    Raises
    ------
    PlanningError
        If the design explains nothing of it.
    """
    Z = _factored(problem).target
    if not np.linalg.norm(Z) > 1e-12 * np.linalg.norm(problem.Y):
        raise PlanningError(
            "X explains nothing of Y (e_0 = 0): the zero table is optimal already. Is this the "
            "right target?"
        )
    return Target(GIVEN, target_rank(problem), lambda rng: Z.copy(), Z.shape[1])


def assumed_targets(problem: LeastSquares, d2: int, assume: Sequence[str]) -> list[Target]:
    """Targets by assumption: the worst one, and random ones.

    Parameters
    ----------
    problem : LeastSquares
        For its design.
    d2 : int
    assume : sequence of {"worst", "random"}
        Worst: all of it in the smallest singular direction, so that ``X T*`` has rank 1. Random:
        independent N(0, 1) coefficients of the left singular vectors, drawn anew for each run.

    Returns
    -------
    list of Target

    Raises
    ------
    PlanningError
        For other words.
    """
    r = problem.rank
    made = []
    for name in dict.fromkeys(assume):
        if name == RANDOM:
            draw = partial(_normal, r, d2)
            made.append(Target(name, min(r, d2), draw, d2))
        elif name == WORST:
            z = smallest_direction(problem)
            made.append(Target(name, 1, _unknown_direction if z is None else partial(_one, z), 1))
        else:
            raise PlanningError(f"a target can be assumed {WORST} or {RANDOM}; got {name!r}.")
    return made


def _normal(r: int, d2: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((r, d2))


def _one(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return z[:, None].copy()


def _unknown_direction(rng: np.random.Generator) -> np.ndarray:
    raise AssertionError("a target of unknown direction is never drawn")


def smallest_direction(problem: LeastSquares) -> np.ndarray | None:
    """The left singular vector of ``sigma_r``, in the coordinates of the reduction, (r,).

    None for a sparse design where it would be expensive.

    Examples
    --------
    >>> smallest_direction(LeastSquares(np.diag([2.0, 1.0]), np.ones(2))).tolist()
    [0.0, 1.0]
    """
    reduction, r = _factored(problem), problem.rank
    if not sp.issparse(problem.X):
        return np.eye(1, r, r - 1)[0]  # singular vectors are the coordinates
    gram = sp.csr_array(problem.X.T @ problem.X)
    lengths = gram.diagonal()
    if abs(gram - sp.diags_array(lengths)).sum() == 0:  # one field: columns are orthogonal
        column = np.where(lengths > reduction.zero**2, lengths, np.inf).argmin()
        unit = np.zeros((problem.d1, 1))
        unit[column] = 1 / np.sqrt(lengths[column])
        return reduction.image(unit)[:, 0]
    if max(r, problem.d1) > DIRECTION_SIZE:
        return None
    return scipy.linalg.svd(reduction.image(np.eye(problem.d1)), full_matrices=False)[0][:, r - 1]


# ------------------------------------------------------------------ the plan


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
    if cell.target.draw is _unknown_direction:
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
