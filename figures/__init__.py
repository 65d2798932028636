"""The figures of the paper: ``python -m figures``.

Every module here with a `compute` and a `draw` is a figure, and has its id in snake_case:
``compute(seed, profile, progress)`` returns the named columns that are plotted, ``draw(columns)``
plots them and computes nothing.
"""
