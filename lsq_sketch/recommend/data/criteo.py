"""Criteo display advertising: clicks, streamed from text into memory-mapped arrays."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import _validate
from ...errors import DataError
from . import kernels, text
from .dataset import Dataset, Interactions

N_DENSE = 13
N_FIELDS = 26
N_COLUMNS = 1 + N_DENSE + N_FIELDS

FIELDS = tuple(f"C{f + 1}" for f in range(N_FIELDS))

BUCKETS = 1 << 20
MIN_COUNT = 2
HELD_OUT_FRACTION = 1 / 7

MISSING, RARE, FIRST = 0, 1, 2
"""Local IDs of missing and of rare values, and the first of the others, in every field."""

LAYOUT = 2
"""Version of the cached arrays: raised when they change."""

HASH_SEED = 2023

FINISHED = "finished.json"
KEPT = "kept"
ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class _Options:
    """All that decides what is cached, beside the file."""

    buckets: int
    min_count: int
    held_out_fraction: float
    skip_bad: bool


@dataclass(frozen=True)
class Buckets:
    """Which ID each category of Criteo's has.

    Attributes
    ----------
    number : int
        Buckets that a field's categories are hashed into.
    kept : ndarray of int32
        Buckets that have an ID of their own, from `FIRST` on: field after field, in order.
    cardinalities : tuple of int

    Examples
    --------
    >>> kept = np.arange(26, dtype=np.int32) % 8
    >>> Buckets(8, kept, (3,) * 26).lookup()[1].tolist()
    [1, 2, 1, 1, 1, 1, 1, 1, 0]
    """

    number: int
    kept: np.ndarray
    cardinalities: tuple[int, ...]

    def lookup(self) -> np.ndarray:
        """The ID of each bucket of each field, and last that of a missing value."""
        out = np.full((N_FIELDS, self.number + 1), RARE, np.int32)
        out[:, self.number] = MISSING
        stops = np.cumsum(np.array(self.cardinalities) - FIRST)
        for field, own in enumerate(np.split(self.kept, stops[:-1])):
            out[field, own] = np.arange(FIRST, FIRST + len(own))
        return out

    def read(self, path: Path) -> Iterator[tuple[list[list[str]], np.ndarray, np.ndarray]]:
        """Categories as they stand in a file, their IDs and the dense features, block by block.

        Parameters
        ----------
        path : Path
            In Criteo's format, with labels (which are not looked at) or without.

        Yields
        ------
        values : list of list of str
        ids : ndarray of int32, shape (n, 26)
        dense : ndarray of float32, shape (n, 13)

        Raises
        ------
        DataError
            For a malformed line, with its number; or if the file cannot be read.
        """
        labelled = text.first_line(path).count(b"\t") != N_COLUMNS - 2
        lookup = self.lookup()
        label = rb"(?m)^[^\t\r\n]*\t" if labelled else rb"(?m)^(?=[^\r\n])"
        for number, block in text.blocks(path):
            full = re.sub(label, b"0\t", block)
            _, dense, ids, reasons = _parse(full, self.number)
            columns = N_COLUMNS if labelled else N_COLUMNS - 1
            text.check_lines(path, number, block, reasons, columns, False, "or leave it out")
            read = reasons == kernels.READ
            ids = ids[read]
            kernels.renumber(ids, lookup)
            lines = [line.rstrip("\r") for line in block.decode("ascii").split("\n")]
            yield [line.split("\t")[-N_FIELDS:] for line in lines if line], ids, dense[read]


def load_criteo(
    path: str | Path,
    *,
    skip_bad: bool = False,
    buckets: int = BUCKETS,
    min_count: int = MIN_COUNT,
    held_out_fraction: float = HELD_OUT_FRACTION,
    cache: str | Path | None = None,
) -> Dataset:
    r"""Clicks from a file in the format of Criteo's display-advertising challenge.

    A line holds a label (0 or 1), 13 integers and 26 categories of up to eight hexadecimal
    digits, separated by tabs; integers and categories may be missing. The file, plain or
    gzipped, is read once, a block at a time, into binary arrays in a cache folder; later loads
    only map these. It may be larger than memory, and so may the arrays.

    Parameters
    ----------
    path : path
    skip_bad : bool, default False
        Count malformed lines and leave them out.
    buckets : int, default 2^20
        Each category is hashed into one of so many buckets of its field, from 2 to 2^28.
        Of ``v`` values in a field about ``v^2 / (2 buckets)`` pairs share a bucket.
    min_count : int, default 2
        A bucket that occurs in fewer training rows shares one ID with all such buckets of its
        field. With 2, that ID is trained on the values seen once, and stands for unseen ones.
    held_out_fraction : float, default 1/7
        The last rows of the file (Criteo's stand in the order of time: of seven days the last)
        are the validation part.
    cache : path, optional
        Folder of the arrays: 160 bytes a row. By default ``lsq-sketch`` in ``$XDG_CACHE_HOME``
        or ``~/.cache``.

    Returns
    -------
    Dataset
        With memory maps. In each field ID 0 is a missing value, ID 1 a rare one. Dense features
        are ``sign(x) log(1 + |x|)``, 0 where missing.

    Raises
    ------
    DataError
        For a malformed line, with its number; if the file is missing or too short, or the cache
        cannot be written.
    ValueError
        If an option is out of range.

    Notes
    -----
    The cache is made anew when the file's size or time of change, or an option, is another. It
    is written beside its place and moved there when complete, its marker ``finished.json`` last:
    an interrupted run leaves nothing that would be taken for it.

    Memory: a block of text, ``104 buckets`` bytes of counts, and pages of the maps that the
    system may drop at any time.

    Examples
    --------
    >>> import tempfile
    >>> line = "1" + 13 * "\t2" + 26 * "\t68fd1e64" + "\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "clicks.txt"
    ...     _ = path.write_text(14 * line)
    ...     data = load_criteo(path, cache=folder)
    ...     len(data.train), len(data.validation), data.cardinalities[:2], data.train.ids[0, :2]
    (12, 2, (3, 3), memmap([2, 2], dtype=int32))
    """
    options = _Options(
        _validate.integer(buckets, "buckets", low=2, high=1 << 28),
        _validate.integer(min_count, "min_count", low=1),
        _validate.probability(held_out_fraction, "held_out_fraction"),
        bool(skip_bad),
    )
    path = Path(path)
    source = _source(path)
    folder = _cache_folder(cache) / _key(source, options)
    if not (folder / FINISHED).is_file():
        _build(path, folder, source, options)
    try:
        return _open(str(path), folder)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"the cached arrays in {folder} are damaged: {error} "
            f"Delete that folder, and load again."
        ) from error


def _cache_folder(cache: str | Path | None) -> Path:
    if cache is not None:
        return Path(cache)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "lsq-sketch" / "criteo"


def _source(path: Path) -> dict[str, Any]:
    """What tells this state of the file from others."""
    with text.open_text(path):  # says what is wrong if it cannot be opened
        status = path.stat()
    return {"path": str(path.resolve()), "bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def _key(source: dict[str, Any], options: _Options) -> str:
    described = json.dumps([LAYOUT, source, vars(options)], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:24]


def _build(path: Path, folder: Path, source: dict[str, Any], options: _Options) -> None:
    """Write the arrays into a new folder and move it to its place."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    except OSError as error:
        raise DataError(
            f"the cache folder {folder.parent} cannot be written: {error.strerror}. "
            f"Name another one (cache=...)."
        ) from error
    try:
        rows, skipped = _write_rows(path, part, options)
        n_train = rows - max(1, round(rows * options.held_out_fraction))
        if n_train < 1:
            raise DataError(
                f"{path}: {rows} line(s) could be read ({skipped} malformed); expected at least "
                f"one to train on and one to validate on."
            )
        cardinalities = _renumber(part, rows, n_train, options)
        described = {
            "layout": LAYOUT,
            "source": source,
            "options": vars(options),
            "rows": rows,
            "train_rows": n_train,
            "skipped_lines": skipped,
            "cardinalities": cardinalities,
        }
        (part / FINISHED).write_text(json.dumps(described, indent=1), encoding="utf-8")
        _move(part, folder)
    except OSError as error:
        raise DataError(
            f"the cache in {folder.parent} cannot be written: {error.strerror}. It takes about "
            f"160 bytes a row. Free some space, or name another folder (cache=...)."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move(part: Path, folder: Path) -> None:
    """Move the finished folder to its place, unless another process was first."""
    try:
        os.replace(part, folder)
    except OSError:
        if not (folder / FINISHED).is_file():
            # an unfinished folder of this name can only come from elsewhere: it is no cache
            shutil.rmtree(folder)
            os.replace(part, folder)


def _hash_coefficients() -> tuple[np.ndarray, np.ndarray]:
    """``a`` (odd, below 2^31) and ``b`` of each field's hash: fixed, so that IDs never change."""
    random = np.random.default_rng(HASH_SEED)
    multipliers = random.integers(0, 1 << 30, N_FIELDS) * 2 + 1
    return multipliers, random.integers(0, kernels.CATEGORY_PRIME, N_FIELDS)


def _write_rows(path: Path, part: Path, options: _Options) -> tuple[int, int]:
    """Text to arrays of labels, dense features and buckets; the numbers read and skipped."""
    rows = skipped = 0
    with (
        (part / "labels").open("wb") as labels_file,
        (part / "dense").open("wb") as dense_file,
        (part / "ids").open("wb") as ids_file,
    ):
        for number, block in text.blocks(path):
            labels, dense, ids, reasons = _parse(block, options.buckets)
            skipped += text.check_lines(path, number, block, reasons, N_COLUMNS, options.skip_bad)
            read = reasons == kernels.READ
            rows += int(read.sum())
            labels[read].tofile(labels_file)
            dense[read].tofile(dense_file)
            ids[read].tofile(ids_file)
    return rows, skipped


def _parse(block: bytes, buckets: int) -> tuple[np.ndarray, ...]:
    """Labels, dense features, buckets, and what is wrong with each line."""
    multipliers, increments = _hash_coefficients()
    buffer, starts, ends = text.lines(block)
    n = starts.size
    labels = np.zeros(n, np.float32)
    dense = np.zeros((n, N_DENSE), np.float32)
    ids = np.zeros((n, N_FIELDS), np.int32)
    reasons = np.zeros(n, np.int8)
    kernels.parse_criteo(
        buffer, starts, ends, multipliers, increments, buckets, labels, dense, ids, reasons
    )
    return labels, dense, ids, reasons


def _renumber(part: Path, rows: int, n_train: int, options: _Options) -> list[int]:
    """Buckets to local IDs, in place; the cardinality of each field. Writes which are kept."""
    ids = np.memmap(part / "ids", np.int32, "r+", shape=(rows, N_FIELDS))
    lookup = np.zeros((N_FIELDS, options.buckets + 1), np.int32)
    for start in range(0, n_train, ROWS_AT_ONCE):
        kernels.count_ids(np.array(ids[start : min(start + ROWS_AT_ONCE, n_train)]), lookup)
    own = [np.flatnonzero(counts[:-1] >= options.min_count) for counts in lookup]
    kept = np.concatenate(own).astype(np.int32)
    kept.tofile(part / KEPT)
    cardinalities = [FIRST + len(buckets) for buckets in own]
    lookup = Buckets(options.buckets, kept, tuple(cardinalities)).lookup()
    for start in range(0, rows, ROWS_AT_ONCE):
        block = np.array(ids[start : start + ROWS_AT_ONCE])
        kernels.renumber(block, lookup)
        ids[start : start + ROWS_AT_ONCE] = block
    ids.flush()
    return cardinalities


def _open(name: str, folder: Path) -> Dataset:
    """The data set of a finished cache folder."""
    described = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
    rows, n_train = described["rows"], described["train_rows"]
    everything = Interactions(
        np.memmap(folder / "ids", np.int32, "r", shape=(rows, N_FIELDS)),
        np.memmap(folder / "dense", np.float32, "r", shape=(rows, N_DENSE)),
        np.memmap(folder / "labels", np.float32, "r", shape=(rows,)),
    )
    return Dataset(
        name,
        FIELDS,
        tuple(described["cardinalities"]),
        everything.subset(slice(0, n_train)),
        everything.subset(slice(n_train, rows)),
        skipped_lines=described["skipped_lines"],
        buckets=Buckets(
            described["options"]["buckets"],
            np.fromfile(folder / KEPT, np.int32),
            tuple(described["cardinalities"]),
        ),
    )
