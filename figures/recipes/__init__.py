"""One file a figure: the docstring is its title and caption, then `compute` and `draw`."""
