"""Rounds of Dense CCE to a given accuracy, measured and counted: how tight is "tight".

The first round i at which the mean of e_i / e_0 over the trials is at most 1/1000, against
d1 / (k - d2), where k - d2 is the number of fresh noise columns a round; bars: 10-90 % of single
trials. The paper bounds the count by the order of d1 / (k - d2) log(1 / eps).

(a) Whitened noise, d2 = 2 targets, three sizes d1, any spectrum: the exact law gives the very
number; the paper's count (iteration-count at the rate 1/d1) is hardly above it where few columns
are drawn, and 40 % above it where half as many columns as the rank are.
(b) Gaussian noise, geometric spectrum of condition 10, d1 = 256: the paper's count and the sharper
one (dense-quadrature-rate) hold for any targets, and ask for four to ten times the rounds that
targets in the two smallest singular directions need; random targets need little less. The
prediction for high dimension is close to both.

20 trials a point; the quick profile has smaller sizes and 5 trials.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from itertools import count

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lsq_sketch import LeastSquares, dense_cce
from lsq_sketch.threads import single_threaded_blas
from proofs_check.asymptotics import predicted_excess
from proofs_check.claims import dense_quadrature_rate, iteration_count, whitened_law
from proofs_check.instances import with_spectrum

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LOOKS, PAGE_WIDTH, draw_line, label_line, text_colour, write_beside
from ..trials import Progress, run_trials

ACCURACY = 1e-3
D2 = 2
CONDITION = 10.0
RANDOM, SMALLEST = "random targets", "smallest directions"


@dataclass(frozen=True)
class Sizes:
    """Columns of the designs of (a) and of (b), ratios ``d1/m``, trials."""

    whitened: tuple[int, ...]
    gaussian: int
    ratios: tuple[int, ...]
    trials: int


SIZES = {
    "draft": Sizes((32,), 32, (2, 4), 3),
    "quick": Sizes((64, 128), 128, (2, 4, 8, 16), 5),
    "full": Sizes((64, 256, 1024), 256, (2, 4, 8, 16, 32), 20),
}


def compute(run: Run) -> Columns:
    """Count rounds, measured and by theory.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each noise, ``d1``, target and ratio: the measured rounds, and the counts that apply
        (others: nan).
    """
    sizes = SIZES[run.profile]
    cases = [("whitened", d1, RANDOM) for d1 in sizes.whitened]
    cases += [("gaussian", sizes.gaussian, target) for target in (RANDOM, SMALLEST)]
    parts = []
    for noise, d1, target in cases:
        name = f"{noise}, d1 = {d1}, {target}"
        parameters = asdict(sizes) | {"noise": noise, "d1": d1, "target": target}
        measured = run.part(name, parameters, partial(measure, sizes, noise, d1, target))
        rows = len(sizes.ratios)
        parts.append(
            {
                "noise": np.repeat(noise, rows),
                "d1": np.repeat(d1, rows),
                "targets": np.repeat(target, rows),
                "d1 / m": np.array(sizes.ratios),
                **measured,
                **counts(sizes, noise, d1, target, run.sequence(name)),
            }
        )
    return stack(parts)


def spectrum_and_targets(
    noise: str, d1: int, target: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Singular values and ``U'Y``."""
    sigma = np.geomspace(1, 1 / CONDITION, d1)
    if target == RANDOM:
        return sigma, rng.standard_normal((d1, D2))
    coefficients = np.zeros((d1, D2))
    coefficients[-D2:] = np.eye(D2)
    return sigma, coefficients


def measure(
    sizes: Sizes,
    noise: str,
    d1: int,
    target: str,
    seed: np.random.SeedSequence,
    progress: Progress,
) -> Columns:
    """Rounds until the mean excess, and that of single trials, is at most `ACCURACY`."""
    problem_seed, trial_seed = seed.spawn(2)
    rng = np.random.default_rng(problem_seed)
    with single_threaded_blas():
        sigma, coefficients = spectrum_and_targets(noise, d1, target, rng)
        problem = with_spectrum(sigma, coefficients, rng, d1 + D2)
    guesses = counts(sizes, noise, d1, target, seed.spawn(1)[0], coefficients)
    expected = guesses["whitened-law" if noise == "whitened" else "prediction"]
    cases = [
        (problem, d1 // ratio, int(1.5 * guess) + 10)
        for ratio, guess in zip(sizes.ratios, expected, strict=True)
    ]

    def trial(case: tuple[LeastSquares, int, int], rng: np.random.Generator) -> np.ndarray:
        problem, m, n_iter = case
        excess = dense_cce(problem, m + D2, n_iter, noise, rng).excess
        return excess / excess[0]

    results = run_trials(trial, cases, sizes.trials, trial_seed, progress)
    means = [first_below(ratios.mean(axis=0)) for ratios in results]
    single = [[first_below(ratio) for ratio in ratios] for ratios in results]
    low, high = np.quantile(single, (0.1, 0.9), axis=1)
    return {"measured": np.array(means), "10%": low, "90%": high}


def first_below(ratios: np.ndarray) -> int:
    """The first round at which the excess is at most `ACCURACY`.

    Raises
    ------
    RuntimeError
        If there is none: the trajectories were too short.
    """
    reached = np.flatnonzero(ratios <= ACCURACY)
    if not reached.size:
        raise RuntimeError(f"the excess was still {ratios[-1]:.2e} after {len(ratios) - 1} rounds")
    return int(reached[0])


def counts(
    sizes: Sizes,
    noise: str,
    d1: int,
    target: str,
    seed: np.random.SeedSequence,
    coefficients: np.ndarray | None = None,
) -> Columns:
    """Rounds that suffice by each count that applies to a noise; nan for those that do not."""
    if coefficients is None:
        rng = np.random.default_rng(seed.spawn(2)[0])  # the targets of `measure`
        sigma, coefficients = spectrum_and_targets(noise, d1, target, rng)
    sigma = np.geomspace(1, 1 / CONDITION, d1)
    rho = 1 / d1 if noise == "whitened" else float(sigma[-1] ** 2 / (sigma @ sigma))
    found: dict[str, list[float]] = {
        "iteration-count": [],
        "whitened-law": [],
        "dense-quadrature-rate": [],
        "prediction": [],
    }
    for ratio in sizes.ratios:
        m = d1 // ratio
        found["iteration-count"].append(iteration_count.rounds(rho, m, ACCURACY))
        if noise == "whitened":
            law = whitened_law.rate(d1, m), whitened_law.rate(d1, m, D2)
            found["whitened-law"].append(iteration_count.rounds_at_rates(*law, ACCURACY))
            found["dense-quadrature-rate"].append(np.nan)
            found["prediction"].append(np.nan)
        else:
            sharper = (
                dense_quadrature_rate.rate(sigma, m),
                dense_quadrature_rate.rate(sigma, m, D2),
            )
            found["whitened-law"].append(np.nan)
            found["dense-quadrature-rate"].append(
                iteration_count.rounds_at_rates(*sharper, ACCURACY)
            )
            found["prediction"].append(predicted_rounds(sigma, coefficients, m))
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def predicted_rounds(sigma: np.ndarray, coefficients: np.ndarray, m: int) -> int:
    """Rounds by the prediction for high dimension."""
    for n_iter in (64 << i for i in count()):
        predicted = predicted_excess(sigma, coefficients, m, n_iter)
        if predicted[-1] <= ACCURACY * predicted[0]:
            return first_below(predicted / predicted[0])
    raise AssertionError("unreachable")


MARKERS = "osD"


def draw(columns: Columns) -> Figure:
    """Two panels, one a noise.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 2.8), layout="constrained")
    panels = split(columns, "noise")
    axes = figure.subplots(1, 2, sharex=True)
    for letter, ax, (noise, part) in zip("ab", axes, panels.items(), strict=True):
        where = "any spectrum" if noise == "whitened" else f"condition {CONDITION:g}"
        ax.set_title(f"({letter}) {LOOKS[noise].label}, {where}")
        ax.set(xscale="log", yscale="log", xlabel="$d_1 / (k - d_2)$")
        ratios = np.unique(part["d1 / m"])
        ax.set_xticks(ratios, [str(ratio) for ratio in ratios])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter("{x:,.0f}")
    axes[0].set_ylabel("rounds to $e_i / e_0 = 1/1000$")
    _draw_whitened(axes[0], split(panels["whitened"], "d1"))
    _draw_gaussian(axes[1], split(panels["gaussian"], "targets"))
    return figure


def _draw_points(ax: Axes, noise: str, part: Columns, marker: str, fill: str, label: str) -> None:
    look, middle = LOOKS[noise], part["measured"]
    spread = [middle - np.minimum(part["10%"], middle), np.maximum(part["90%"], middle) - middle]
    ax.errorbar(
        part["d1 / m"], middle, spread, color=look.colour, marker=marker, linestyle="none",
        markerfacecolor=fill, elinewidth=0.8, label=label, zorder=4,
    )  # fmt: skip


def _draw_whitened(ax: Axes, sizes: dict[str, Columns]) -> None:
    largest = list(sizes.values())[-1]
    for name in ("iteration-count", "whitened-law"):
        draw_line(ax, "d1 / m", largest, name)
    for marker, (d1, part) in zip(MARKERS, sizes.items(), strict=False):
        _draw_points(ax, "whitened", part, marker, "white", f"$d_1$ = {int(d1):,}")
    points = [handle for handle in ax.containers if handle.get_label()]
    ax.legend(handles=points, loc="lower right", handletextpad=0.3)
    label_line(ax, "iteration-count", *_middle(largest, "iteration-count"), (-6, 6), ha="right")
    label_line(ax, "whitened-law", *_middle(largest, "whitened-law"), (8, -12))


def _draw_gaussian(ax: Axes, targets: dict[str, Columns]) -> None:
    for name in ("iteration-count", "dense-quadrature-rate"):
        draw_line(ax, "d1 / m", targets[RANDOM], name)
    colour = LOOKS["gaussian"].colour
    for target, part in targets.items():
        draw_line(ax, "d1 / m", part, "prediction")
        _draw_points(ax, "gaussian", part, "o", "white" if target == RANDOM else colour, target)
    part = targets[RANDOM]
    ratios, top = part["d1 / m"], _middle(part, "iteration-count")
    for line, name in enumerate(("dense-quadrature-rate", "iteration-count")):
        label_line(ax, name, *top, (-6, 6 + 9 * line), ha="right")
    low, high = ax.get_ylim()
    ax.set_ylim(0.6 * low, high)
    above, below = _middle(targets[SMALLEST], "measured"), _middle(part, "measured")
    write_beside(ax, SMALLEST, *above, text_colour("gaussian"), (-6, 4), ha="right")
    write_beside(ax, RANDOM, *below, text_colour("gaussian"), (10, -10))
    label_line(ax, "prediction", ratios[0], part["prediction"][0], (8, -12))


def _middle(part: Columns, name: str) -> tuple[float, float]:
    """The point half way along a line on logarithmic axes."""
    x = np.log(part["d1 / m"])
    at = (x[0] + x[-1]) / 2
    return float(np.exp(at)), float(np.exp(np.interp(at, x, np.log(part[name]))))
