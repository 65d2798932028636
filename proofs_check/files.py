"""Files that are written whole, or not at all (see `lsq_sketch.files`)."""

from lsq_sketch.files import write_whole

__all__ = ["write_whole"]
