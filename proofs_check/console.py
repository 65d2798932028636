"""What every command line does alike (see `lsq_sketch.console`)."""

from lsq_sketch.console import (
    INTERRUPTED,
    PIPE_WIDTH,
    UsageError,
    console,
    fail,
    progress_bar,
    run_app,
)

__all__ = ["INTERRUPTED", "PIPE_WIDTH", "UsageError", "console", "fail", "progress_bar", "run_app"]
