"""Options that take several values at once (see `lsq_sketch.variadic`)."""

from lsq_sketch.variadic import VariadicCommand, repeat_names

__all__ = ["VariadicCommand", "repeat_names"]
