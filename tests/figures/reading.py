"""Reading a figure back: its CSV, and the numbers that are drawn."""

import csv

import numpy as np
from matplotlib.image import AxesImage
from matplotlib.quiver import Quiver


def read_csv(path):
    """Comment line, and columns: numbers where every field is one, else text."""
    comment, *lines = path.read_text(encoding="utf-8").splitlines()
    header, *rows = csv.reader(lines)
    columns = {}
    for name, values in zip(header, zip(*rows, strict=True), strict=True):
        try:
            columns[name] = np.array([float(value) for value in values])
        except ValueError:
            columns[name] = np.array(values)
    return comment, columns


def drawn_numbers(figure):
    """Coordinates and values of everything that is drawn, sorted."""
    found = []
    for ax in figure.axes:
        for line in ax.lines:
            found += [np.ravel(line.get_xdata()), np.ravel(line.get_ydata())]
        for collection in ax.collections:
            found += [np.ravel(path.vertices) for path in collection.get_paths()]
            if isinstance(collection, Quiver):
                found += [np.ravel(collection.XY), collection.U, collection.V]
        for image in ax.findobj(AxesImage):
            found.append(np.ravel(image.get_array()))
    values = np.concatenate([np.asarray(part, dtype=float).ravel() for part in found])
    return np.unique(values[np.isfinite(values)])


def is_among(values, drawn):
    """Whether each number is among sorted others, to rounding."""
    right = np.searchsorted(drawn, values).clip(1, len(drawn) - 1)
    gap = np.minimum(np.abs(drawn[right] - values), np.abs(drawn[right - 1] - values))
    return gap <= 1e-9 * np.maximum(np.abs(values), 1e-3)
