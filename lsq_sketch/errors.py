"""Errors a caller may want to catch by name."""


class TooLargeError(ValueError):
    """A quantity was asked for that this design is too large to give in reasonable memory.

    The message says what would be needed and how to ask for it all the same.
    """


class DataError(ValueError):
    """A data set could not be loaded; the message says which file or word, and what to do."""


class CheckpointError(ValueError):
    """A saved model or checkpoint cannot be used; the message says why, and what to do."""
