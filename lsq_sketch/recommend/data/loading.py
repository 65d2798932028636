"""One word for any data set: what ``--data`` takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ... import _validate
from ...errors import DataError
from . import flights, movielens, text
from .criteo import N_COLUMNS, load_criteo
from .dataset import TASKS, Dataset
from .ratings import load_ratings
from .synthetic import Synthetic

SYNTHETIC = "synthetic"
RATINGS = "ratings"
CRITEO = "criteo"

WORDS = (
    f"{movielens.NAME}, {flights.NAME}, synthetic:USERSxROWS, or the path of a file of ratings "
    f"or of Criteo clicks"
)

SYNTHETIC_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "items": ("n_items", int),
    "dim": ("dim", int),
    "clusters": ("n_clusters", int),
    "zipf": ("zipf", float),
    "choice-scale": ("choice_scale", float),
    "label-scale": ("label_scale", float),
    "seed": ("seed", int),
}


def load(
    spec: str,
    seed: Any = 0,
    *,
    task: str = "binary",
    drop_ratings: Sequence[float] | None = None,
    skip_bad: bool = False,
    cache: str | Path | None = None,
) -> Dataset:
    """The data set that a word or path stands for.

    Parameters
    ----------
    spec : str
        ``movielens-small``
            See `lsq_sketch.recommend.data.movielens`.
        ``flights``
            See `lsq_sketch.recommend.data.flights`.
        ``synthetic:USERSxROWS``
            So many users, as many items, so many rows a user, drawn as `Synthetic` describes.
            Further options follow after colons: ``items=500``, ``dim=8``, ``clusters=20``,
            ``zipf=1.1``, ``choice-scale=1``, ``label-scale=2``, and ``seed=7`` in place of the
            argument.
        a path
            A file of 40 columns separated by tabs is Criteo's, any other one of ratings;
            ``criteo:PATH`` and ``ratings:PATH`` say so.
    seed : int or numpy.random.Generator, default 0
        Of random splits and synthetic data. The splits of `movielens-small`, of ratings with
        timestamps and of Criteo are those of time, whatever the seed.
    task : {"binary", "regression"}, default "binary"
        "regression": the rating, or the delay in minutes, is the label.
    drop_ratings : sequence of float, optional
        Of ratings; see `dataset_of_ratings`.
    skip_bad : bool, default False
        Of files: count malformed lines and leave them out.
    cache : path, optional
        Of Criteo files: where their arrays are kept.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If the word is unknown, a file is missing or malformed, or an option does not apply.
    TypeError, ValueError
        If an argument is of the wrong kind.

    Examples
    --------
    >>> load("synthetic:40x25:items=30:clusters=5", seed=1).cardinalities
    (40, 30)
    >>> load("movielens-smal")
    Traceback (most recent call last):
    ...
    lsq_sketch.errors.DataError: movielens-smal: neither a known data set nor a file. Expected
    movielens-small, flights, synthetic:USERSxROWS, or the path of a file of ratings or of Criteo
    clicks.
    """
    if not isinstance(spec, str | Path) or not str(spec):
        raise TypeError(f"spec must be a word or a path, got {spec!r}. Expected {WORDS}.")
    word = str(spec)
    _validate.choice(task, "task", TASKS)
    kind, path = _kind(word)
    _check_options(word, kind, task, drop_ratings, skip_bad, cache)
    if kind == movielens.NAME:
        return movielens.load_movielens(task=task, drop_ratings=drop_ratings, rng=seed)
    if kind == flights.NAME:
        return flights.load_flights(task=task, rng=seed)
    if kind == SYNTHETIC:
        return _synthetic(word, seed)
    if kind == CRITEO:
        return load_criteo(path, skip_bad=skip_bad, cache=cache)
    return load_ratings(path, skip_bad=skip_bad, task=task, drop_ratings=drop_ratings, rng=seed)


def _kind(word: str) -> tuple[str, Path]:
    """What kind of data a word stands for, and the file, if it is one."""
    if word in (movielens.NAME, flights.NAME):
        return word, Path()
    head, colon, rest = word.partition(":")
    if head == SYNTHETIC:
        return SYNTHETIC, Path()
    if colon and head in (CRITEO, RATINGS):
        return head, Path(rest)
    path = Path(word)
    if not path.exists():
        raise DataError(f"{word}: neither a known data set nor a file. Expected {WORDS}.")
    is_criteo = text.first_line(path).count(b"\t") == N_COLUMNS - 1
    return (CRITEO if is_criteo else RATINGS), path


def _check_options(
    word: str,
    kind: str,
    task: str,
    drop_ratings: Sequence[float] | None,
    skip_bad: bool,
    cache: str | Path | None,
) -> None:
    """Refuse options that would have no effect."""
    of_ratings = (movielens.NAME, RATINGS)
    given = [
        (
            "task='regression' (--task regression)",
            task == "regression",
            (*of_ratings, flights.NAME),
        ),
        ("drop_ratings (--drop-ratings)", drop_ratings is not None, of_ratings),
        ("skip_bad (--skip-bad)", skip_bad, (RATINGS, CRITEO)),
        ("cache", cache is not None, (CRITEO,)),
    ]
    for name, is_given, kinds in given:
        if is_given and kind not in kinds:
            raise DataError(
                f"{name} does not apply to {word}, only to data of kind {', '.join(kinds)}. "
                f"Leave it out."
            )


def _synthetic(word: str, seed: Any) -> Dataset:
    _, *parts = word.split(":")
    size, *options = parts or [""]
    users, times, rows = size.partition("x")
    if not (times and users.isdecimal() and rows.isdecimal()):
        raise DataError(
            f"{word}: expected synthetic:USERSxROWS, as in synthetic:1000x300 for 1,000 users "
            f"with 300 rows each; further options follow after colons."
        )
    values: dict[str, Any] = {
        "n_users": int(users), "n_items": int(users), "rows_per_user": int(rows), "seed": seed
    }  # fmt: skip
    for option in options:
        name, equals, value = option.partition("=")
        if name not in SYNTHETIC_OPTIONS or not equals:
            listed = ", ".join(f"{known}=..." for known in SYNTHETIC_OPTIONS)
            raise DataError(f"{word}: unknown option {option!r}; expected one of {listed}.")
        argument, convert = SYNTHETIC_OPTIONS[name]
        try:
            values[argument] = convert(value)
        except ValueError as error:
            kind = "an integer" if convert is int else "a number"
            raise DataError(f"{word}: {name} must be {kind}, got {value!r}.") from error
    drawn_with = values.pop("seed")
    try:
        return Synthetic(**values).draw(drawn_with, name=word)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"{word}: {error}") from error
