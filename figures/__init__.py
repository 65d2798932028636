"""The figures of the paper: ``python -m figures``."""
