"""Instances as numbers that can be varied: drawn at random, changed a little, built.

Worst cases of least-squares sketches sit where things coincide: equal singular values, duplicated
rows of the table, columns that copy one another, buckets as few as one. So the moves here do not
only shift numbers, they also make them equal, set them to zero and change the sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from lsq_sketch import LeastSquares

from ..instances import Instance, one_hot

MAX_D1, MAX_D2, MAX_ROWS = 32, 6, 600
"""Sizes of the search: a trial takes well under a millisecond there."""

NOTHING = 1e-20
"""Entries of the target this small, relative to the largest, are 0."""

APART = 90
"""At most so many decades between the scales of X and Y: their ratio is the table's."""

DIRECTIONS, ROWS = "singular directions", "rows of the table"
SPECTRUM, ONE_FIELD, TWO_FIELDS = "spectrum", "one-hot", "two one-hot fields"


@dataclass(frozen=True)
class Limits:
    """How far the numbers may go.

    Attributes
    ----------
    condition : float
        Decades between the singular values.
    scale : float
        Decades by which ``X`` and ``Y`` may be rescaled.
    """

    condition: float
    scale: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """Everything that an instance is built from.

    Attributes
    ----------
    design : str
        `SPECTRUM`: ``X = U diag(sigma) V'``. `ONE_FIELD`: a one-hot design. `TWO_FIELDS`: two.
    log_spectrum : ndarray, shape (d,)
        Decimal logarithms of the singular values, or of the counts of the IDs.
    mixing : float
        How far ``V`` is from the identity: 0 the identity, large a random rotation.
    target : ndarray, shape (d, d2)
        Rows of ``U'Y`` or of the planted table; see ``basis``.
    basis : str
        `DIRECTIONS` or `ROWS`.
    residual : float
        Size of what of ``Y`` lies outside the range of ``X``, relative to the rest.
    extra_rows : int
        Rows beyond ``d``; fewer, if negative.
    copies, zeros : int
        Further columns that repeat the first ones, or are zero.
    log_scale_X, log_scale_Y : float
    width : int
        ``m``.
    vectors : int
        Seed of the singular vectors, the residual and the rows of a one-hot design.
    """

    design: str
    log_spectrum: np.ndarray
    mixing: float
    target: np.ndarray
    basis: str
    residual: float
    extra_rows: int
    copies: int
    zeros: int
    log_scale_X: float
    log_scale_Y: float
    width: int
    vectors: int

    @property
    def d(self) -> int:
        """Columns, without copies and zeros."""
        return self.log_spectrum.size


# ------------------------------------------------------------------ building


def build(candidate: Candidate) -> LeastSquares:
    """The problem of a candidate.

    Parameters
    ----------
    candidate : Candidate

    Returns
    -------
    LeastSquares

    Examples
    --------
    >>> build(draw(np.random.default_rng(0), Limits(4, 0))).d1 <= MAX_D1 + 6
    True
    """
    rng = np.random.default_rng(candidate.vectors)
    scale = 10.0**candidate.log_scale_X
    if candidate.design == SPECTRUM:
        X, U = _dense_design(candidate, rng)
    else:
        X = _one_hot_design(candidate, rng)
        U = None
    fitted = U @ candidate.target if U is not None else X @ candidate.target
    residual = rng.standard_normal(fitted.shape)
    if U is not None:
        residual -= U @ (U.T @ residual)
    size = np.linalg.norm(residual) or 1.0
    Y = fitted + candidate.residual * np.linalg.norm(fitted) / size * residual
    return LeastSquares(_with_more_columns(X * scale, candidate), Y * 10.0**candidate.log_scale_Y)


def _dense_design(candidate: Candidate, rng: np.random.Generator) -> tuple[Any, Any]:
    """``X``, and the basis that the target is given in: None for the rows of the table."""
    d, n = candidate.d, max(1, candidate.d + candidate.extra_rows)
    sigma = 10.0**candidate.log_spectrum
    if n < d:  # rank deficient: rows of a square design
        X = (np.linalg.qr(rng.standard_normal((d, d)))[0] * sigma)[:n]
        return X @ _rotation(d, candidate.mixing, rng).T, None
    U = np.linalg.qr(rng.standard_normal((n, d)))[0] if candidate.mixing else np.eye(n, d)
    X = (U * sigma) @ _rotation(d, candidate.mixing, rng).T
    return X, U if candidate.basis == DIRECTIONS else None


def _rotation(d: int, mixing: float, rng: np.random.Generator) -> np.ndarray:
    if mixing == 0:
        return np.eye(d)
    return np.linalg.qr(np.eye(d) + mixing * rng.standard_normal((d, d)))[0]


def _one_hot_design(candidate: Candidate, rng: np.random.Generator) -> sp.csr_array:
    d = candidate.d
    shares = 10.0 ** (candidate.log_spectrum - candidate.log_spectrum.max())
    if candidate.design == ONE_FIELD or d < 4:
        counts = np.maximum(1, np.round(shares / shares.min())).astype(np.int64)
        counts = np.maximum(1, counts * MAX_ROWS // max(MAX_ROWS, counts.sum()))
        return one_hot(np.repeat(np.arange(d), counts))
    users, items = d // 2, d - d // 2
    rows = items + max(0, candidate.extra_rows)
    who = rng.choice(users, rows, p=shares[:users] / shares[:users].sum())
    what = rng.choice(items, rows, p=shares[users:] / shares[users:].sum())
    who[:users], what[:items] = np.arange(users), np.arange(items)  # every ID occurs
    return one_hot(who, what)


def _with_more_columns(X: Any, candidate: Candidate) -> Any:
    parts = [X, X[:, : candidate.copies], sp.csr_array((X.shape[0], candidate.zeros))]
    if isinstance(X, np.ndarray):
        return np.hstack([*parts[:2], parts[2].toarray()])
    return sp.csr_array(sp.hstack(parts))


def instance_of(candidate: Candidate, name: str) -> Instance:
    """The instance of a candidate, with a width of its own."""
    return Instance(name, describe(candidate), False, lambda: build(candidate), candidate.width)


def describe(candidate: Candidate) -> str:
    """A candidate in one line."""
    decades = float(np.ptp(candidate.log_spectrum))
    of = "singular values" if candidate.design == SPECTRUM else "counts"
    groups = np.unique(candidate.log_spectrum.round(9)).size
    words = [
        candidate.design,
        f"{candidate.d} columns",
        f"{groups} distinct {of} over {decades:.2g} decades",
        f"target on {candidate.basis}",
        f"m = {candidate.width}",
    ]
    if candidate.copies or candidate.zeros:
        words.append(f"{candidate.copies} repeated and {candidate.zeros} zero columns")
    if candidate.log_scale_X or candidate.log_scale_Y:
        words.append(
            f"X scaled by 1e{candidate.log_scale_X:.0f}, Y by 1e{candidate.log_scale_Y:.0f}"
        )
    return "found by search: " + ", ".join(words)


# ------------------------------------------------------------------ drawing


def draw(rng: np.random.Generator, limits: Limits) -> Candidate:
    """A random candidate.

    Parameters
    ----------
    rng : numpy.random.Generator
    limits : Limits

    Returns
    -------
    Candidate
    """
    d = int(np.exp(rng.uniform(np.log(2), np.log(MAX_D1 + 1))))
    d2 = 1 if rng.random() < 0.5 else int(rng.integers(1, MAX_D2 + 1))
    design = str(rng.choice([SPECTRUM, ONE_FIELD, TWO_FIELDS], p=[0.7, 0.2, 0.1]))
    log_spectrum = _spectrum(d, rng, limits)
    target, basis = _target(d, d2, log_spectrum, rng)
    rescaled = limits.scale > 0 and rng.random() < 0.25
    candidate = Candidate(
        design=design,
        log_spectrum=log_spectrum,
        mixing=float(rng.choice([0.0, 10.0 ** rng.uniform(-3, 1)])),
        target=target,
        basis=basis,
        residual=float(rng.choice([0.0, 10.0 ** rng.uniform(-8, 2)])),
        extra_rows=_extra_rows(d, rng),
        copies=int(rng.integers(1, min(3, d) + 1)) if rng.random() < 0.15 else 0,
        zeros=int(rng.integers(1, 4)) if rng.random() < 0.1 else 0,
        log_scale_X=float(rng.uniform(-limits.scale, limits.scale)) if rescaled else 0.0,
        log_scale_Y=float(rng.uniform(-limits.scale, limits.scale)) if rescaled else 0.0,
        width=_width(d, rng),
        vectors=int(rng.integers(1 << 32)),
    )
    return _normalised(candidate, limits)


def _width(d: int, rng: np.random.Generator) -> int:
    return int(np.exp(rng.uniform(0, np.log(d + 1))))


def _extra_rows(d: int, rng: np.random.Generator) -> int:
    return int(10 ** rng.uniform(0, np.log10(MAX_ROWS - d))) if rng.random() < 0.9 else -1


def _spectrum(d: int, rng: np.random.Generator, limits: Limits) -> np.ndarray:
    decades = rng.uniform(0, limits.condition)
    layouts: list[Callable[[], np.ndarray]] = [
        lambda: np.zeros(d),
        lambda: np.linspace(0, -decades, d),
        lambda: np.where(np.arange(d) < rng.integers(1, d), 0.0, -decades),
        lambda: np.where(np.arange(d) < d - 1, 0.0, -decades),
        lambda: -rng.uniform(0.25, 2) * np.log10(np.arange(1.0, d + 1)),
        lambda: rng.uniform(-decades, 0, d),
    ]
    return layouts[rng.integers(len(layouts))]()


def _target(
    d: int, d2: int, log_spectrum: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    gaussian = rng.standard_normal((d, d2))
    layouts: list[Callable[[], tuple[np.ndarray, str]]] = [
        lambda: (gaussian, DIRECTIONS),
        lambda: (gaussian, ROWS),
        lambda: (_on_one(d, d2, int(np.argmin(log_spectrum)), rng), DIRECTIONS),
        lambda: (_on_one(d, d2, int(rng.integers(d)), rng), ROWS),
        lambda: (np.sign(gaussian), ROWS),
        lambda: (_clusters(d, d2, rng), ROWS),
        lambda: (_clusters(d, d2, rng), ROWS),
    ]
    return layouts[rng.integers(len(layouts))]()


def _on_one(d: int, d2: int, row: int, rng: np.random.Generator) -> np.ndarray:
    target = np.zeros((d, d2))
    target[row] = rng.standard_normal(d2)
    return target


def _clusters(d: int, d2: int, rng: np.random.Generator) -> np.ndarray:
    """Rows in clusters: even or uneven sizes, centres at equal or geometric distances."""
    count = int(rng.integers(2, min(9, d + 1))) if d > 2 else 2
    centres = rng.standard_normal((count, d2))
    shape = rng.integers(3)
    if shape == 0:
        centres = np.arange(count)[:, None] * np.ones(d2)
    elif shape == 1:
        centres *= 10.0 ** rng.uniform(0, 1.5) ** np.arange(count)[:, None]
    sizes = 1 / np.arange(1.0, count + 1) ** rng.choice([0.0, 2.0])
    target = centres[rng.choice(count, d, p=sizes / sizes.sum())]
    spread = float(rng.choice([0.0, 10 ** rng.uniform(-6, 0)]))
    return target + spread * rng.standard_normal((d, d2))


# ------------------------------------------------------------------ changing


def mutate(
    candidate: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    """A neighbour of a candidate.

    Parameters
    ----------
    candidate : Candidate
    strength : float
        About 1 for a large step, 0.01 for a fine one. Steps that make things equal, or change
        sizes, come at any strength.
    rng : numpy.random.Generator
    limits : Limits

    Returns
    -------
    Candidate
        With one or more of its parts changed.
    """
    for move in rng.choice(len(MOVES), 1 + rng.poisson(0.7), p=MOVE_SHARES):
        candidate = MOVES[move](candidate, strength, rng, limits)
    return _normalised(candidate, limits)


def _normalised(c: Candidate, limits: Limits) -> Candidate:
    """Largest singular value and target 1 (`log_scale_X` and ``Y`` say the rest), none too small.

    What is equal stays equal.
    """
    values = np.maximum(c.log_spectrum - c.log_spectrum.max(), -limits.condition)
    largest = np.abs(c.target).max() or 1.0
    target = np.where(np.abs(c.target) < NOTHING * largest, 0.0, c.target / largest)
    log_scale_Y = np.clip(c.log_scale_Y, c.log_scale_X - APART, c.log_scale_X + APART)
    return replace(c, log_spectrum=values, target=target, log_scale_Y=float(log_scale_Y))


def _move_spectrum(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    values = c.log_spectrum.copy()
    how, i, j = rng.integers(7), rng.integers(c.d), rng.integers(c.d)
    if how == 0:
        values[i] = values[j]
    elif how == 1:
        values[i] += strength * rng.standard_normal()
    elif how == 2:  # equal ones stay equal
        _, group = np.unique(values, return_inverse=True)
        values += strength * rng.standard_normal(c.d)[group]
    elif how == 3:
        values += strength * rng.standard_normal(c.d)
    elif how == 4:  # flatter or steeper
        values = values.mean() + (values - values.mean()) * np.exp(strength * rng.normal())
    elif how == 5:
        values[values <= values[i]] += strength * rng.standard_normal()
    else:
        values = np.maximum(values, values[i])
    return replace(c, log_spectrum=values)


def _move_target(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    target = c.target.copy()
    size = np.sqrt((target**2).mean()) or 1.0
    how, i, j = rng.integers(9), rng.integers(c.d), rng.integers(c.d)
    if how == 0:
        target[i] = target[j]
    elif how == 1:
        target[i] += strength * size * rng.standard_normal(target.shape[1])
    elif how == 2:  # equal rows stay equal
        _, group = np.unique(target, axis=0, return_inverse=True)
        target += strength * size * rng.standard_normal(target.shape)[group.ravel()]
    elif how == 3:
        target *= np.exp(strength * rng.standard_normal((c.d, 1)))
    elif how == 4:
        target[i] *= 10 ** (2 * strength * rng.standard_normal())
    elif how == 5:
        target[i] = 0.0
    elif how == 6:
        target[i], target[j] = c.target[j], c.target[i]
    elif how == 7:  # all rows equal to a row become equal to another
        target[(target == c.target[i]).all(axis=1)] = c.target[j]
    else:
        target, basis = _target(c.d, target.shape[1], c.log_spectrum, rng)
        return replace(c, target=target, basis=basis)
    return replace(c, target=target)


def _move_columns(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    i = rng.integers(c.d)
    if rng.random() < 0.5 and c.d > 2:
        kept = np.delete(np.arange(c.d), i)
    elif c.d < MAX_D1:
        kept = np.append(np.arange(c.d), i)
    else:
        return c
    return replace(
        c, log_spectrum=c.log_spectrum[kept], target=c.target[kept],
        width=min(c.width, len(kept)), copies=min(c.copies, len(kept)),
    )  # fmt: skip


def _move_targets(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    d2 = c.target.shape[1]
    if rng.random() < 0.5 and d2 > 1:
        return replace(c, target=np.delete(c.target, rng.integers(d2), axis=1))
    if d2 < MAX_D2:
        return replace(c, target=np.hstack([c.target, rng.standard_normal((c.d, 1))]))
    return c


def _move_width(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    step = int(rng.choice([-1, 1])) if rng.random() < 0.7 else _width(c.d, rng) - c.width
    return replace(c, width=int(np.clip(c.width + step, 1, c.d)))


def _move_vectors(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    how = rng.integers(4)
    if how == 0:
        return replace(c, vectors=int(rng.integers(1 << 32)))
    if how == 1:
        return replace(c, mixing=0.0 if c.mixing else 10 ** rng.uniform(-3, 1))
    if how == 2:
        return replace(c, mixing=c.mixing * 10 ** (strength * rng.normal()))
    return replace(c, basis=ROWS if c.basis == DIRECTIONS else DIRECTIONS)


def _move_rows(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    how = rng.integers(3)
    if how == 0:
        return replace(c, residual=0.0 if c.residual else 10 ** rng.uniform(-8, 2))
    if how == 1:
        return replace(c, residual=c.residual * 10 ** (2 * strength * rng.normal()))
    return replace(c, extra_rows=_extra_rows(c.d, rng))


def _move_extremes(
    c: Candidate, strength: float, rng: np.random.Generator, limits: Limits
) -> Candidate:
    how = rng.integers(4)
    if how == 0:
        return replace(c, copies=0 if c.copies else int(rng.integers(1, min(3, c.d) + 1)))
    if how == 1:
        return replace(c, zeros=0 if c.zeros else int(rng.integers(1, 4)))
    before = c.log_scale_X if how == 2 else c.log_scale_Y
    value = before + 20 * strength * rng.normal() if rng.random() < 0.7 else 0.0
    value = float(np.clip(value, -limits.scale, limits.scale))
    return replace(c, log_scale_X=value) if how == 2 else replace(c, log_scale_Y=value)


MOVES = (
    _move_spectrum, _move_target, _move_columns, _move_targets, _move_width, _move_vectors,
    _move_rows, _move_extremes,
)  # fmt: skip
MOVE_SHARES = (0.26, 0.30, 0.12, 0.04, 0.1, 0.08, 0.05, 0.05)
