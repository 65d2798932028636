"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path


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
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
