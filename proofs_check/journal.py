"""A journal of a run: every finished batch, written as it ends, so that a run can go on.

One line a record: a checksum, then the record as JSON. The checksum is of the record and of the
checksum before it, so that a line that was changed, moved or lost is noticed. The first record
says which run it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .claim import Bound
from .finding import Finding, LeftOut, Searched
from .verify import Opening
from .work import Outcome

NAME = "journal.jsonl"
FORMAT = 1
_CHECKSUM = 16


class JournalError(RuntimeError):
    """A journal cannot be used; the message says why and what to do."""


class Journal:
    """An append-only record of outcomes in a folder.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    run : dict
        Plain data that says which run this is: what the outcomes depend on.
    resume : bool
        Go on with the journal in the folder, if there is one.

    Attributes
    ----------
    outcomes : list of Outcome
        Of the run that is resumed.

    Raises
    ------
    JournalError
        If there is a journal and ``resume`` is False; if it is of another run, is damaged before
        its last record, or is in use.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Journal(folder, {"seed": 0}, resume=False) as journal:
    ...     journal.append([Outcome(number=0, stop=32)])
    >>> with Journal(folder, {"seed": 0}, resume=True) as journal:
    ...     journal.outcomes[0].stop
    32
    """

    def __init__(self, folder: Path, run: dict[str, Any], resume: bool):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self.outcomes: list[Outcome] = []
        if self.path.exists() and not resume:
            raise JournalError(
                f"{folder} already holds the journal of a run: add --resume to go on with it, or "
                f"choose another folder."
            )
        self._file: IO[bytes] = self.path.open("ab+")
        try:
            self._lock()
            self._open(run)
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Keep a second process out until this one ends, however it ends."""
        try:
            import fcntl
        except ImportError:  # not on Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(f"{self.path} is in use by another run; wait for it.") from error

    def _open(self, run: dict[str, Any]) -> None:
        self._file.seek(0)
        records, end, self._last = _read(self._file.read(), self.path)
        self._file.truncate(end)  # a torn last record
        header = {"format": FORMAT, **json.loads(json.dumps(run))}
        if not records:
            self._write([header])
            return
        _compare(records[0], header, self.path)
        self.outcomes = [_outcome(record) for record in records[1:]]

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Write outcomes; they are on the disk when this returns."""
        self._write([_record(outcome) for outcome in outcomes])

    def _write(self, records: Iterable[dict[str, Any]]) -> None:
        lines = []
        for record in records:
            text = json.dumps(record).encode()
            self._last = _checksum(self._last, text)
            lines.append(self._last.encode() + b" " + text + b"\n")
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _checksum(last: str, text: bytes) -> str:
    return hashlib.sha256(last.encode() + text).hexdigest()[:_CHECKSUM]


def _read(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int, str]:
    """The records, the length of what holds them, and the last checksum."""
    records, end, last = [], 0, ""
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        whole = line.endswith(b"\n") and checksum.decode("ascii", "replace") == _checksum(
            last, text
        )
        if not whole:
            if number == len(lines):
                break
            raise JournalError(
                f"{path} is damaged: record {number} of {len(lines)} does not match its checksum. "
                f"Only a last record may be torn. Start again in another folder."
            )
        records.append(json.loads(text))
        end, last = end + len(line), checksum.decode()
    return records, end, last


def _compare(found: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    differing = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    if differing:
        key = differing[0]
        raise JournalError(
            f"{path} is of another run: its {key} is {_short(found.get(key))}, this run's is "
            f"{_short(wanted.get(key))}. Repeat that run's options to resume it, or choose another "
            f"folder."
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _record(outcome: Outcome) -> dict[str, Any]:
    record = asdict(outcome)
    if isinstance(outcome.settled, LeftOut):
        record["settled"] = {"left_out": asdict(outcome.settled)}
    elif outcome.settled is not None:
        record["settled"] = {"findings": [asdict(finding) for finding in outcome.settled]}
    return record


def _outcome(record: dict[str, Any]) -> Outcome:
    opening, settled = record["opening"], record["settled"]
    if opening is not None:
        bounds = {stage: Bound(**bound) for stage, bound in opening["bounds"].items()}
        opening = Opening(**{**opening, "bounds": bounds})
    if settled is not None and "left_out" in settled:
        settled = LeftOut.from_dict(settled["left_out"])
    elif settled is not None:
        settled = [Finding.from_dict(entry) for entry in settled["findings"]]
    searched = tuple(Searched.from_dict(entry) for entry in record["searched"])
    return Outcome(**{**record, "opening": opening, "settled": settled, "searched": searched})
