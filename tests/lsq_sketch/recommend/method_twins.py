"""Plain NumPy twins of methods that are no sums of slices, of ROBE, reassignment, seeding."""

from __future__ import annotations

import numpy as np

from .twins import hash_bucket, logistic_loss, spread_seeds


def hash_embedding(table, j):
    """Weighted sum of hashed rows."""
    codebook, weights = (p.value.astype(float) for p in table.parameters.values())
    functions = table.state["coefficients"]
    own = j if table.n_sets == table.cardinality else hash_bucket(*functions[0], j, table.n_sets)
    rows = [hash_bucket(*function, j, len(codebook)) for function in functions[1:]]
    return sum(weights[own, h] * codebook[row] for h, row in enumerate(rows))


def robe(table, j):
    """Blocks of an array repeated for ever."""
    array = table.parameters["codebook"].value.ravel()
    functions = table.state["coefficients"]
    width = -(-table.dim // table.options.n_chunks)
    blocks = []
    for function in functions:
        start = hash_bucket(*function, j, array.size)
        blocks.append(np.take(array, np.arange(start, start + width), mode="wrap"))
    return np.concatenate(blocks)[: table.dim]


def low_dimensional(table, j):
    """A row of the product of two matrices."""
    narrow, projection = (p.value.astype(float) for p in table.parameters.values())
    if table.rows < table.cardinality:
        j = hash_bucket(*table.state["coefficients"][0], j, table.rows)
    return narrow[j] @ projection


def tensor_train(table, j):
    """One contraction of the three slices."""
    _, n2, n3 = table.radices
    d1, d2, d3 = table.factors
    first, second, third = (p.value.astype(float) for p in table.parameters.values())
    middle = second[(j // n3) % n2].reshape(table.rank, d2, table.rank)
    slices = first[j // (n2 * n3)], middle, third[j % n3]
    assert slices[0].shape == (d1, table.rank)
    assert slices[2].shape == (d3, table.rank)
    return np.einsum("as,sbt,ct->abc", *slices).ravel()


def dhe(table, j):
    """The network on hashes taken as fractions of 2^32."""
    functions = table.state["coefficients"]
    high = [((int(a) * j + int(b)) % 2**64) >> 32 for a, b in functions]
    x = (2 * np.array(high) / 2**32 - 1) / np.sqrt(len(functions))
    for layer in range(table.options.n_layers + 1):
        x = x @ table.parameters[f"weight{layer}"].value.astype(float)
        x = x + table.parameters[f"bias{layer}"].value
        if layer < table.options.n_layers:
            x = np.maximum(x, 0)
    return x


def summed_losses(loss, slopes, scores, labels, codewords, present):
    """Loss of an ID's rows for each codeword of a chunk: (K,), in float64."""
    moves = codewords.astype(float) - codewords[present]
    z = scores.astype(float)[:, None] + slopes.astype(float) @ moves.T
    each = (z - labels[:, None]) ** 2 if loss == "squared" else logistic_loss(z, labels[:, None])
    return each.sum(axis=0)


def majorizer(loss, slopes, scores, labels, codewords, present):
    """The parabola above the loss: value at each codeword, (K,), in float64."""
    z = scores.astype(float)
    step = slopes.astype(float) @ (codewords.astype(float) - codewords[present]).T
    if loss == "squared":
        value, first, second = (z - labels) ** 2, 2 * (z - labels), np.full(len(z), 2.0)
    else:
        value, first = logistic_loss(z, labels), 1 / (1 + np.exp(-z)) - labels
        second = np.tanh(z / 2) / (2 * z)
    return (value[:, None] + first[:, None] * step + second[:, None] / 2 * step**2).sum(axis=0)


# Codebooks seeded anew ------------------------------------------------------------------------


def quadratic_parts(features):
    """Curvature matrices, (n, width, width), and slopes, (n, width), of parabolas."""
    n, columns = features.shape
    width = next(w for w in range(1, columns + 1) if w * (w + 3) // 2 == columns)
    rows, cols = np.tril_indices(width)
    curvatures = np.zeros((n, width, width))
    curvatures[:, rows, cols] = features[:, : len(rows)]
    curvatures[:, cols, rows] = features[:, : len(rows)]
    curvatures[:, range(width), range(width)] *= 2
    return curvatures, features[:, len(rows) :].astype(float)


def least_points(features, precision):
    """Where parabolas, plus half of ``precision`` times the squared length, are least."""
    curvatures, slopes = quadratic_parts(features)
    ridge = precision * np.eye(slopes.shape[1])
    return -np.linalg.solve(curvatures + ridge, slopes[:, :, None])[:, :, 0]


def penalties_of(codewords, labels, precision, prior):
    """What each codeword adds to the loss of an ID: for its length, and for being rare."""
    counts = np.bincount(labels, minlength=len(codewords))
    shares = (counts + 1) / (len(labels) + len(codewords))
    return precision / 2 * (codewords**2).sum(axis=1) - prior * np.log(shares)


def seed_codewords(features, n_codewords, precision, prior, uniforms, rounds):
    """k-means of the least points, then Lloyd by the loss: so many ``rounds`` of each."""
    points = least_points(features, precision).astype(np.float32)
    codewords = spread_seeds(points, uniforms, n_codewords)

    def nearest():
        return ((points[:, None] - codewords) ** 2).sum(axis=2).argmin(axis=1)

    for _ in range(rounds[0]):
        labels = nearest()
        for k in np.unique(labels):
            codewords[k] = points[labels == k].mean(axis=0, dtype=float)
    labels = nearest()
    curvatures, slopes = quadratic_parts(features)
    for _ in range(rounds[1]):
        costs = 0.5 * np.einsum("ka,nab,kb->nk", codewords, curvatures, codewords)
        costs += slopes @ codewords.T + penalties_of(codewords, labels, precision, prior)
        labels = costs.argmin(axis=1)
        for k in np.unique(labels):
            total = features[labels == k].sum(axis=0, dtype=float)
            codewords[k] = least_points(total[None], precision)[0]
    return codewords, penalties_of(codewords, labels, precision, prior)
