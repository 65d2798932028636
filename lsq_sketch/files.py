"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which replaces it when the ``with`` block ends well.

    Parameters
    ----------
    path : Path
        Its folder exists. Of a symbolic link the file it stands for is replaced; what is no file,
        such as ``/dev/stdout``, is given as it is, to be written to.

    Raises
    ------
    OSError
        If it cannot be written; an existing file is then untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all: through a temporary one beside it.

    Parameters
    ----------
    path : Path
        Its folder exists.
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written; an existing file is then untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", b"whole")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'whole'
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)
