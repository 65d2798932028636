"""Text files in blocks of whole lines, plain or gzipped, and what is wrong with a line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import DataError
from . import kernels

BLOCK_BYTES = 1 << 23
"""Text that is held at once, and the longest line."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MALFORMED = {
    kernels.COLUMNS: "the number of columns is not {columns}",
    kernels.EMPTY_ID: "the user or the item is empty",
    kernels.LONG_ID: f"the user or the item is longer than {kernels.LONGEST_ID} bytes",
    kernels.RATING: "the rating (third column) is not a number from -1e18 to 1e18",
    kernels.TIMESTAMP: "the timestamp (fourth column) is not a finite number",
    kernels.QUOTE: "a quoted field does not end with a quote",
    kernels.NUL: "there is a NUL byte: this is no text",
    kernels.LABEL: "the label (first column) is not 0 or 1",
    kernels.INTEGER: "one of columns 2 to 14 is neither empty nor an integer",
    kernels.CATEGORY: "one of columns 15 to 40 is neither empty nor 1 to 8 hexadecimal digits",
}


def open_text(path: Path) -> IO[bytes]:
    """A file of text, through gzip if its first bytes say so.

    Parameters
    ----------
    path : Path

    Returns
    -------
    binary file

    Raises
    ------
    DataError
        If there is no such file, or it cannot be opened.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a text file, plain or gzipped.")
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
        return gzip.open(path) if compressed else path.open("rb")  # type: ignore[return-value]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Check the path of --data.") from error
    except OSError as error:
        raise DataError(f"{path}: could not be opened: {error.strerror}.") from error


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines of a file, each with the number of its first line (from 1).

    Parameters
    ----------
    path : Path

    Yields
    ------
    number : int
    block : bytes
        Ends with a newline.

    Raises
    ------
    DataError
        If the file cannot be read, is no complete gzip file, or has a line longer than a block.
    """
    size, number, rest = BLOCK_BYTES, 1, b""
    with open_text(path) as file:
        while True:
            try:
                text = file.read(size)
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(
                    f"{path}: could not be read beyond line {number}: {error}. "
                    f"Is the file complete?"
                ) from error
            if number == 1 and not rest:
                text = text.removeprefix(_BYTE_ORDER_MARK)
            if not text:
                break
            last = text.rfind(b"\n") + 1
            if not last:
                rest += text
                if len(rest) > size:
                    raise DataError(
                        f"{path}:{number}: a line longer than {size} bytes; expected lines of "
                        f"text, one an interaction."
                    )
                continue
            block, rest = rest + text[:last], text[last:]
            yield number, block
            number += block.count(b"\n")
    if rest:
        yield number, rest + b"\n"


def lines(block: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""The bytes of a block, and where its lines begin and end.

    Parameters
    ----------
    block : bytes
        Ends with a newline.

    Returns
    -------
    buffer : ndarray of uint8
    starts, ends : ndarray of int64
        A line is ``buffer[start:end]``, without its newline.

    Examples
    --------
    >>> buffer, starts, ends = lines(b"ab\n\nc\n")
    >>> starts.tolist(), ends.tolist()
    ([0, 3, 4], [2, 3, 5])
    """
    buffer = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(buffer == ord("\n")).astype(np.int64)
    return buffer, np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]), ends


def first_line(path: Path) -> bytes:
    """The first line that is not blank, without its newline and byte order mark.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bytes

    Raises
    ------
    DataError
        If there is none.
    """
    for _, block in blocks(path):
        for line in block.split(b"\n"):
            if line.strip():
                return line.rstrip(b"\r ")
    raise DataError(f"{path}: the file is empty; expected one interaction a line.")


def columns(line: bytes, separator: bytes) -> list[bytes]:
    """The columns of a line, without spaces around them or, where commas separate, their quotes.

    Parameters
    ----------
    line : bytes
        Not empty, without its newline.
    separator : bytes

    Returns
    -------
    list of bytes
        The whole line if a quoted field does not end with a quote.

    Examples
    --------
    >>> columns(b'7, "a, b"', b",")
    [b'7', b'a, b']
    """
    bounds = np.empty((line.count(separator) + 1, 2), np.int64)
    buffer = np.frombuffer(line, np.uint8)
    n = kernels.fields_of_line(
        buffer, 0, buffer.size, separator[0], len(separator), separator == b",", bounds
    )
    return [line[a:b] for a, b in bounds[:n].tolist()] if n >= 0 else [line]


def check_lines(
    path: Path,
    number: int,
    block: bytes,
    reasons: np.ndarray,
    columns: int,
    skip_bad: bool,
    remedy: str = "or count and leave out malformed lines with --skip-bad (skip_bad=True)",
) -> int:
    """Count the malformed lines of a block, or raise for the first.

    Parameters
    ----------
    path : Path
    number : int
        Of the block's first line.
    block : bytes
    reasons : ndarray of int, one a line
    columns : int
        That were expected.
    skip_bad : bool
        Count them only.
    remedy : str
        What to do if the line cannot be corrected.

    Returns
    -------
    int

    Raises
    ------
    DataError
        With file, line number, what is wrong and the text.
    """
    bad = np.flatnonzero((reasons != kernels.READ) & (reasons != kernels.BLANK))
    if bad.size and not skip_bad:
        line = int(bad[0])
        text = block.split(b"\n", line + 1)[line].decode(errors="replace").rstrip("\r")
        shown = text if len(text) <= 80 else text[:77] + "..."
        what = MALFORMED[int(reasons[line])].format(columns=columns)
        raise DataError(
            f"{path}:{number + line}: malformed line: {what}. Got {shown!r}. Correct it, {remedy}."
        )
    return int(bad.size)
