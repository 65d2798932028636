"""Dense CCE: excess against iteration for three kinds of noise, beside bounds, law and prediction.

Excess e_i / e_0 of Dense CCE after i rounds on least squares with n = 10,000 examples, d1 = 1,000
columns, d2 = 10 targets and k = 110 (m = 100 fresh noise columns a round), as in Algorithm 1 of
"Clustering the Sketch": median and 10-90 % band of 100 trials. Lines without markers are theory,
on the mean. Columns: the noise. Top: all singular values equal, random targets. Bottom: singular
values that fall geometrically from 1 to 1/10, with random targets (as much in each singular
direction, on average) and, filled markers, with targets in the ten smallest singular directions.

(a, d) Gaussian noise: the paper's Theorem 3.1 (dense-rate), the sharper bound from the whole
spectrum (dense-quadrature-rate), and the prediction for high dimension, which is no theorem. The
bounds must hold for the worst targets, and are near the truth for these in the first rounds; later
ones gain from the columns of the table that are kept. Random targets fare far better.
(b, e) Whitened noise: the paper's rate 1/d1 (whitened-rate), the exact mean (whitened-law) and the
prediction for a flat spectrum, which is what this noise makes of any.
(c, f) Count-sketch noise: the bound by rho (dense-count-sketch-rate) is loose; what happens is what
is predicted for Gaussian noise, as the singular vectors are random.

The designs are random with these exact spectra. The quick profile has n = 1,000, d1 = 100, d2 = 4,
k = 20 and 30 trials.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from lsq_sketch import LeastSquares, dense_cce
from lsq_sketch.threads import single_threaded_blas
from proofs_check.asymptotics import predicted_excess
from proofs_check.claims import (
    dense_count_sketch_rate,
    dense_quadrature_rate,
    dense_rate,
    whitened_law,
    whitened_rate,
)
from proofs_check.instances import with_spectrum

from ..columns import MEDIAN, Columns, quantiles, split, stack
from ..run import Run
from ..style import (
    LABEL_SIZE,
    LOOKS,
    PAGE_WIDTH,
    draw_line,
    draw_trials,
    label_line,
    text_colour,
    write_beside,
)
from ..trials import Progress, run_trials

NOISES = {"gaussian": "gaussian", "whitened": "whitened", "count-sketch-noise": "count-sketch"}
"""By series; the argument of `dense_cce`."""

CONDITIONS = {"flat spectrum": 1.0, "geometric spectrum, condition 10": 10.0}
RANDOM, SMALLEST = "random targets", "smallest directions"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the problems and of the experiment, named as in the paper."""

    n: int
    d1: int
    k: int
    d2: int
    trials: int
    iterations: int = 20

    @property
    def m(self) -> int:
        """Fresh noise columns a round."""
        return self.k - self.d2


SIZES = {
    "draft": Sizes(200, 60, 16, 4, 6, 10),
    "quick": Sizes(1000, 100, 20, 4, 30),
    "full": Sizes(10_000, 1000, 110, 10, 100),
}


def compute(run: Run) -> Columns:
    """Run the trials and evaluate the theory.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each noise, spectrum, target and iteration: quantiles of ``e_i / e_0`` over the trials,
        the bounds of this noise on the mean (of other noises: nan), and the prediction.
    """
    sizes = SIZES[run.profile]
    cases = [("flat spectrum", RANDOM), *((list(CONDITIONS)[1], t) for t in (RANDOM, SMALLEST))]
    parts = []
    for spectrum, target in cases:
        name = f"{spectrum}, {target}"
        measured = run.part(
            name,
            asdict(sizes) | {"condition": CONDITIONS[spectrum], "target": target},
            partial(measure, sizes, CONDITIONS[spectrum], target),
        )
        for noise in NOISES:
            theory = curves(sizes, CONDITIONS[spectrum], target, noise, run.sequence(name))
            rows = split(measured, "noise")[noise]
            bands = {key: rows[key] for key in ("median", "10%", "90%")}
            parts.append(
                {
                    "noise": np.repeat(noise, sizes.iterations + 1),
                    "spectrum": np.repeat(spectrum, sizes.iterations + 1),
                    "targets": np.repeat(target, sizes.iterations + 1),
                    "iteration": np.arange(sizes.iterations + 1),
                    **{f"excess {key}": values for key, values in bands.items()},
                    **theory,
                }
            )
    return stack(parts)


THEORY = {
    "gaussian": ("dense-rate", "dense-quadrature-rate", "prediction"),
    "whitened": ("whitened-rate", "whitened-law", "prediction"),
    "count-sketch-noise": ("dense-count-sketch-rate", "prediction"),
}
"""What is drawn beside each noise."""


def measure(
    sizes: Sizes, condition: float, target: str, seed: np.random.SeedSequence, progress: Progress
) -> Columns:
    """Quantiles of ``e_i / e_0`` for each noise."""
    problem_seed, trial_seed = seed.spawn(2)
    with single_threaded_blas():
        problem = build(sizes, condition, target, np.random.default_rng(problem_seed))

    def trial(_: None, rng: np.random.Generator) -> np.ndarray:
        runs = [
            dense_cce(problem, sizes.k, sizes.iterations, noise, rng) for noise in NOISES.values()
        ]
        return np.stack([run.excess / run.excess[0] for run in runs])

    (ratios,) = run_trials(trial, [None], sizes.trials, trial_seed, progress)
    return stack(
        {
            "noise": np.repeat(noise, sizes.iterations + 1),
            **{
                key.removeprefix("excess "): values
                for key, values in quantiles("excess", ratios[:, j]).items()
            },
        }
        for j, noise in enumerate(NOISES)
    )


def spectrum_and_targets(
    sizes: Sizes, condition: float, target: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Singular values and ``U'Y``, of expected squared norm one a target."""
    sigma = np.geomspace(1, 1 / condition, sizes.d1)
    if target == RANDOM:
        return sigma, rng.standard_normal((sizes.d1, sizes.d2)) / np.sqrt(sizes.d1)
    coefficients = np.zeros((sizes.d1, sizes.d2))
    coefficients[-sizes.d2 :] = np.eye(sizes.d2)
    return sigma, coefficients


def build(sizes: Sizes, condition: float, target: str, rng: np.random.Generator) -> LeastSquares:
    """A random design with geometric spectrum."""
    return with_spectrum(*spectrum_and_targets(sizes, condition, target, rng), rng, sizes.n)


def curves(
    sizes: Sizes, condition: float, target: str, noise: str, seed: np.random.SeedSequence
) -> Columns:
    """The bounds on ``E e_i / e_0`` by the claims' own functions, and the prediction.

    Those of other noises are nan.
    """

    def product(first: float, later: float) -> np.ndarray:
        return np.cumprod([1.0, first] + [later] * (sizes.iterations - 1))

    problem_seed = seed.spawn(2)[0]  # that of `measure`: the same targets
    rng = np.random.default_rng(problem_seed)
    sigma, coefficients = spectrum_and_targets(sizes, condition, target, rng)
    m, d2, r = sizes.m, sizes.d2, sizes.d1
    rho = float(sigma[-1] ** 2 / (sigma @ sigma))
    paper, sharper, law = dense_rate.rate(rho, m), dense_quadrature_rate.rate, whitened_law.rate
    sketch, whitened = dense_count_sketch_rate.rate(rho, m), whitened_rate.rate(r, m)
    # whitened noise is Gaussian noise on a flat spectrum
    seen = np.ones_like(sigma) if noise == "whitened" else sigma
    predicted = predicted_excess(seen, coefficients, m, sizes.iterations)
    found = {
        "dense-rate": product(paper, paper),
        "dense-quadrature-rate": product(sharper(sigma, m), sharper(sigma, m, d2)),
        "whitened-rate": product(whitened, whitened),
        "whitened-law": product(law(r, m), law(r, m, d2)),
        "dense-count-sketch-rate": product(sketch, sketch),
        "prediction": predicted / predicted[0],
    }
    return {
        name: values if name in THEORY[noise] else np.full_like(values, np.nan)
        for name, values in found.items()
    }


def draw(columns: Columns) -> Figure:
    """Six panels: a column a noise, a row a spectrum.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 4.3), layout="constrained")
    noises, spectra = split(columns, "noise"), list(dict.fromkeys(columns["spectrum"].tolist()))
    axes = figure.subplots(2, 3, sharex=True, sharey="row")
    letters = iter("abcdef")
    for row, spectrum in zip(axes, spectra, strict=True):
        for ax, (noise, rows) in zip(row, noises.items(), strict=True):
            targets = split(split(rows, "spectrum")[spectrum], "targets")
            for bound in THEORY[noise]:
                for target, curve in targets.items():
                    if bound == "prediction" or target == RANDOM:
                        draw_line(ax, "iteration", curve, bound)
            for target, curve in targets.items():
                fill = "white" if target == RANDOM else LOOKS[noise].colour
                draw_trials(ax, "iteration", curve, noise, "excess", fill)
            first = spectrum == spectra[0]
            kind = "flat spectrum" if first else "condition 10"
            ax.set_title(f"({next(letters)}) {LOOKS[noise].label}, {kind}")
    last = int(columns["iteration"].max())
    for row in axes:
        ax = row[0]
        ax.set_yscale("log")
        ax.set_ylabel("excess $e_i / e_0$")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_xlim(-0.02 * last, 1.02 * last)
    for ax in axes[1]:
        ax.set_xlabel("iteration $i$")
        ax.set_xticks(range(0, last + 1, 5))
    axes[1, 0].set_ylim(top=1.6)
    for noise, top, bottom in zip(noises, *axes, strict=True):
        flat, geometric = (split(noises[noise], "spectrum")[spectrum] for spectrum in spectra)
        _draw_labels(noise, top, bottom, split(flat, "targets"), split(geometric, "targets"))
    return figure


def _draw_labels(
    noise: str, top: Axes, bottom: Axes, flat: dict[str, Columns], geometric: dict[str, Columns]
) -> None:
    """Names of the lines, beside them."""
    last = int(flat[RANDOM]["iteration"][-1])
    middle, late = int(0.45 * last), int(0.8 * last)
    bound, *others = THEORY[noise]
    label_line(top, bound, middle, flat[RANDOM][bound][middle], (4, 2))
    for line, other in enumerate(reversed(others)):
        _draw_note(top, other, "as measured", 0.06 + 0.085 * line)
    curve = geometric[RANDOM]
    if noise == "whitened":
        label_line(bottom, bound, middle, curve[bound][middle], (4, 2))
        _draw_note(bottom, "prediction", "as measured", 0.06)
        _draw_note(bottom, "whitened-law", "as measured,\nwhatever the targets", 0.145)
        return
    names = [name for name in THEORY[noise] if name != "prediction"]
    for line, name in enumerate(reversed(names)):
        label_line(bottom, name, last, curve[name][-1], (0, 8 + 9 * line), ha="right")
    for target, place, offset in ((SMALLEST, late, (2, -11)), (RANDOM, middle, (-4, -10))):
        height = geometric[target][f"excess {MEDIAN}"][place]
        write_beside(bottom, target, place, height, text_colour(noise), offset, ha="right")
    _draw_note(bottom, "prediction", "as measured", 0.06)


def _draw_note(ax: Axes, name: str, what: str, height: float) -> None:
    """What a line does that cannot be told from another."""
    ax.text(
        0.04, height, f"{LOOKS[name].label}: {what}", transform=ax.transAxes,
        fontsize=LABEL_SIZE, color=text_colour(name),
    )  # fmt: skip
