"""The figures of the paper: ``python -m figures``.

A figure is a file of `figures.recipes`, which has the figure's id in snake_case: ``compute(run)``
returns the named columns that are plotted, ``draw(columns)`` plots them and computes nothing.
"""
