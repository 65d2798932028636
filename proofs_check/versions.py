"""What a result depends on besides its seed (see `lsq_sketch.versions`)."""

from lsq_sketch.versions import DEPENDENCIES, versions

__all__ = ["DEPENDENCIES", "versions"]
