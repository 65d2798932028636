"""Kernels written in vector registers, against NumPy: whatever the sizes, layouts and processor."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError

from lsq_sketch.kernels import clusters, codeword_pairs, network, products, slices, team
from lsq_sketch.kernels.argmin import (
    POINT_BLOCK,
    first_least,
    first_least_in_blocks,
    in_blocks,
)
from lsq_sketch.kernels.clusters import nearest_centroid, sums_of_clusters
from lsq_sketch.kernels.registers import LANES, floats_of_a_register

seeds = st.integers(0, 2**32 - 1)
EPS = float(np.finfo(np.float32).eps)
FILLED = np.float32(7)
ALONE = np.zeros(0, np.int64)

OLDER = {
    4: {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
    8: {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"},
}
"""Older processors that one of the x86 family can be, by the floats of a register."""


def in_layout(a, layout):
    """The same matrix, its entries elsewhere in memory."""
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "strided":
        wide = np.full((2 * a.shape[0], 3 * a.shape[1]), np.nan, np.float32)
        wide[::2, ::3] = a
        return wide[::2, ::3]
    return a


@given(
    st.integers(0, 40), st.integers(0, 20), st.integers(0, 70),
    st.sampled_from(["C", "F", "strided"]), seeds,
)  # fmt: skip
def test_products_agree_with_the_twin(m, depth, n, layout, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, depth), (depth, n)))
    bias = rng.standard_normal(n).astype(np.float32)
    room = np.full((m, n + 3), FILLED)
    out = room[:, :n]
    exact, size = a.astype(float) @ b, abs(a).astype(float) @ abs(b)
    start = rng.standard_normal((m, n)).astype(np.float32)
    out[:] = start
    products.add_product(in_layout(a, layout), b, out)
    assert (abs(out - start - exact) <= (depth + 2) * EPS * (size + abs(start))).all()
    products.multiply(in_layout(a, layout), b, out)
    assert (abs(out - exact) <= (depth + 1) * EPS * size).all()
    start = np.broadcast_to(bias, out.shape)
    team.product(ALONE, in_layout(a, layout), b, start, out, team.NOTHING, out)
    assert (abs(out - bias - exact) <= (depth + 2) * EPS * (size + abs(bias))).all()
    assert (room[:, n:] == FILLED).all()


@pytest.mark.compiled
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 70), seeds)
def test_an_entry_does_not_depend_on_its_tile(m, depth, n, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, depth), (depth, n)))
    whole, part = np.empty((m, n), np.float32), np.empty((1, 1), np.float32)
    products.multiply(a, b, whole)
    i, j = rng.integers(m), rng.integers(n)
    products.multiply(a[i : i + 1], np.ascontiguousarray(b[:, j : j + 1]), part)
    assert part.tobytes() == whole[i : i + 1, j].tobytes()


def test_products_of_extreme_numbers():
    a = np.float32([[3e38, 3e38], [1e-38, 0], [np.inf, 1], [np.nan, 1]])
    b = np.float32([[1, 1e-38, -1], [-1, 1, 1]])
    out = np.empty((4, 3), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # of NumPy's, on some processors
        products.multiply(a, b, out)
        np.testing.assert_array_equal(out, a @ b)


@njit
def gram_of(rows, start, stop, first, in_gram, in_sum, width, gram, total):
    products.gram_and_sum(rows, start, stop, first, in_gram, in_sum, width, gram, total)


@given(st.integers(0, 12), st.integers(1, 20), seeds)
def test_weighted_gram_matrices_agree_with_the_twin(n, width, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n + 5, width + 4)).astype(np.float32)
    w, v = rng.standard_normal((2, n + 5)).astype(np.float32)
    whole = products.whole_blocks(width)
    room = np.full((whole + 1, whole), FILLED)
    total = np.full(whole + 1, FILLED)
    gram_of(rows, 2, 2 + n, 3, w, v, width, room, total)
    own = rows[2 : 2 + n, 3 : 3 + width].astype(float)
    size = abs(own).T @ (abs(w[2 : 2 + n, None]) * abs(own))
    exact = own.T @ (w[2 : 2 + n, None] * own)
    assert (abs(room[:width, :width] - exact) <= (n + 3) * EPS * size).all()
    size = abs(v[2 : 2 + n]) @ abs(own)
    assert (abs(total[:width] - v[2 : 2 + n] @ own) <= (n + 3) * EPS * size).all()
    assert (room[whole] == FILLED).all()
    assert total[whole] == FILLED


@njit
def add_slices(
    values, offsets, t, start, stop, vectors, field, column, width, first, circle
):  # fmt: skip
    slices.add_slices(values, offsets, t, start, stop, vectors, field, column, width, first, circle)


@njit
def add_to_slices(
    values, offsets, t, factors, start, stop, vectors, field, column, width, first, circle
):  # fmt: skip
    slices.add_to_slices(
        values, offsets, t, factors, start, stop, vectors, field, column, width, first, circle
    )


@given(
    st.integers(0, 9), st.integers(1, 75), st.integers(0, 2), st.booleans(), seeds
)  # fmt: skip
def test_slices_have_the_bits_of_the_twin(n, width, more, fields_first, seed):
    """Rows are added in their order: several to the same slice, or to overlapping short ones."""
    rng = np.random.default_rng(seed)
    first, circle = 2, (width + rng.integers(0, 4)) * (more > 0)
    values = rng.standard_normal(first + 4 * width + 4).astype(np.float32)
    if circle and width <= slices.SHORT:
        offsets = first + rng.integers(0, circle, (3, n + 4))
    elif circle:
        offsets = np.full((3, n + 4), first + rng.integers(0, circle))
    else:
        offsets = first + width * rng.integers(0, 4, (3, n + 4))
    factors = rng.standard_normal(n + 4).astype(np.float32)
    vectors = rng.standard_normal((n, 2, width + 5)).astype(np.float32)
    if fields_first:
        vectors = np.ascontiguousarray(vectors.transpose(1, 0, 2)).transpose(1, 0, 2)

    def places(offset):
        found = offset + np.arange(width)
        return np.where(found >= first + circle, found - circle, found) if circle else found

    rows = vectors.copy()
    for i in range(n):
        rows[i, 0, 2 : 2 + width] += values[places(offsets[2, 1 + i])]
    array = values.copy()
    for i in range(n):
        array[places(offsets[1, 2 + i])] += factors[2 + i] * vectors[i, 1, 3 : 3 + width]
    before = values.copy()
    add_to_slices(values, offsets, 1, factors, 2, 2 + n, vectors, 1, 3, width, first, circle)
    np.testing.assert_array_equal(values, array)
    add_slices(before, offsets, 2, 1, 1 + n, vectors, 0, 2, width, first, circle)
    np.testing.assert_array_equal(vectors, rows)


@given(st.integers(1, 2 * POINT_BLOCK + 3), st.integers(1, 12), st.integers(1, 11), seeds)
def test_the_nearest_centroid_and_the_first_of_equals(n, n_centroids, dim, seed):
    """Small integers, so that float32 is exact and ties are many."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-3, 4, (n, dim)).astype(np.float32)
    centroids = rng.integers(-3, 4, (n_centroids, dim)).astype(np.float32)
    labels = np.full(n + 2, -1, np.int32)
    nearest_centroid(points, centroids, 0, n, labels)
    distances = ((points[:, None].astype(float) - centroids) ** 2).sum(axis=2)
    np.testing.assert_array_equal(labels[:n], distances.argmin(axis=1))
    assert (labels[n:] == -1).all()


@given(st.integers(1, 2 * POINT_BLOCK + 3), st.integers(1, 12), st.integers(1, 11), seeds)
def test_the_first_of_the_least(n, n_rows, dim, seed):
    """Small integers again, and some of the points only."""
    rng = np.random.default_rng(seed)
    points, rows = (rng.integers(-3, 4, (count, dim)).astype(np.float32) for count in (n, n_rows))
    offsets = rng.integers(-3, 4, n_rows).astype(np.float32)
    start, stop = np.sort(rng.integers(0, n + 1, 2))
    labels = np.full(n, 99, np.int64)
    first_least(points, np.float32(0.5), rows, offsets, start, stop, labels)
    expected = (offsets + 0.5 * points.astype(float) @ rows.T).argmin(axis=1)
    np.testing.assert_array_equal(labels[start:stop], expected[start:stop])
    assert (labels[:start] == 99).all()
    assert (labels[stop:] == 99).all()


@given(st.integers(1, 2 * POINT_BLOCK + 3), st.integers(1, 12), st.integers(1, 11), seeds)
def test_the_first_of_the_least_in_blocks(n, n_rows, dim, seed):
    """Small integers, and some of the blocks only."""
    rng = np.random.default_rng(seed)
    points, rows = (rng.integers(-3, 4, (count, dim)).astype(np.float32) for count in (n, n_rows))
    offsets = rng.integers(-3, 4, n_rows).astype(np.float32)
    blocks = in_blocks(points)
    together = blocks.transpose(0, 2, 1).reshape(-1, dim)
    np.testing.assert_array_equal(together[:n], points)
    assert not together[n:].any()
    start, stop = np.sort(rng.integers(0, len(blocks) + 1, 2))
    labels = np.full((len(blocks), POINT_BLOCK), 99, np.int32)
    first_least_in_blocks(blocks, rows, offsets, start, stop, labels)
    expected = (offsets + together.astype(float) @ rows.T).argmin(axis=1)
    np.testing.assert_array_equal(
        labels[start:stop].ravel(), expected.reshape(labels.shape)[start:stop].ravel()
    )
    assert (labels[:start] == 99).all()
    assert (labels[stop:] == 99).all()


@njit
def come_closer(blocks, seed, closest, sums):
    clusters.come_closer(blocks, seed, closest, sums)


@given(st.integers(1, 2 * POINT_BLOCK + 3), st.integers(1, 11), seeds)
def test_points_come_closer_to_a_seed(n, dim, seed):
    """Small integers again; some points have been closer before."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-3, 4, (n, dim)).astype(np.float32)
    blocks, chosen = in_blocks(points), points[rng.integers(n)]
    closest = np.zeros((len(blocks), POINT_BLOCK), np.float32)
    before = rng.choice([0, 5, 10, np.inf], n)
    closest.ravel()[:n] = before
    sums = np.full(len(blocks), FILLED)
    come_closer(blocks, chosen, closest, sums)
    expected = np.minimum(before, ((points - chosen) ** 2).sum(axis=1))
    np.testing.assert_array_equal(closest.ravel()[:n], expected)
    assert not closest.ravel()[n:].any()
    np.testing.assert_array_equal(sums, closest.sum(axis=1))


@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 45), seeds)
def test_sums_of_clusters_have_the_bits_of_the_twin(n, n_clusters, width, seed):
    """In the order of rows, whatever their size."""
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((n, width)) * 10.0 ** rng.integers(-20, 20, (n, 1))).astype("f4")
    labels = rng.integers(0, n_clusters, n).astype(np.int32)
    sums, counts = sums_of_clusters(rows, labels, n_clusters)
    expected = np.zeros((n_clusters, width))
    np.add.at(expected, labels, rows.astype(float))
    np.testing.assert_array_equal(sums[:, :width], expected)
    assert not sums[:, width:].any()  # nothing is read beyond a row
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=n_clusters))


@pytest.mark.compiled  # NumPy's argmin gives the place of a not-a-number
def test_numbers_that_are_not_comparable_give_a_place():
    points = np.float32([[np.nan], [1.0], [np.inf], [-np.inf]])
    labels = np.full(4, 99, np.int32)
    rows, offsets = np.float32([[1.0], [0.0], [-1.0]]), np.float32([0.0, np.nan, 0.0])
    first_least(points, np.float32(1), rows, offsets, 0, 4, labels)
    np.testing.assert_array_equal(labels, [0, 2, 2, 0])


@njit
def add_pair_scores(*arguments):
    codeword_pairs.add_pair_scores(*arguments)


@given(st.integers(1, 4), st.integers(1, 20), st.integers(1, 5), st.integers(0, 12), seeds)
def test_scores_of_pairs_agree_with_the_twin(n_chunks, width, n_others, n, seed):
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((n_chunks, width)).astype(np.float32)
    others = rng.standard_normal((n_chunks, n_others, width)).astype(np.float32)
    codes = rng.integers(0, n_others, (n_chunks, n)).astype(np.int32)
    before = rng.standard_normal(n).astype(np.float32)
    start = int(rng.integers(0, n + 1))
    scores = before.copy()
    add_pair_scores(own, others, codes, start, n, scores)
    expected, size = before.astype(float), abs(before).astype(float)
    for chunk in range(n_chunks):
        products = others[chunk, codes[chunk]].astype(float) * own[chunk]
        expected += products.sum(axis=1)
        size += abs(products).sum(axis=1)
    np.testing.assert_array_equal(scores[:start], before[:start])
    error = abs(scores - expected)[start:]
    assert (error <= (n_chunks * width + 1) * EPS * size[start:]).all()


@njit
def least_parabola(*arguments):
    codeword_pairs.least_parabola(*arguments)


@given(st.integers(1, 5 * LANES), st.integers(1, 5), st.integers(0, 12), st.booleans(), seeds)
def test_the_least_parabola_agrees_with_the_twin(n_codewords, n_others, n, whole_numbers, seed):
    """Row by row in float64; with whole numbers, of which many are the same, the first of them."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        numbers = rng.integers(-2, 3, shape) if whole_numbers else rng.standard_normal(shape)
        return numbers.astype(np.float32)

    whole = -(-n_codewords // LANES) * LANES
    products = np.zeros((n_others, whole), np.float32)
    others, own = draw(1, n_others, 3), draw(1, n_codewords, 3)
    codeword_pairs.products_of_codewords(others, own, products[None])
    np.testing.assert_allclose(products[:, :n_codewords], others[0] @ own[0].T, atol=1e-5)
    assert (products[:, n_codewords:] == 0).all()
    codes = rng.integers(0, n_others, n).astype(np.int32)
    old = int(rng.integers(n_codewords))
    firsts, seconds = draw(n), abs(draw(n))
    penalties = np.full(whole, np.inf, np.float32)
    penalties[:n_codewords] = draw(n_codewords)
    factors = np.float32([3, 0.5])
    start = int(rng.integers(0, n + 1))
    best, least = np.full(1, -1, np.int32), np.full(1, np.nan, np.float32)
    least_parabola(products, codes, start, n, old, firsts, seconds, factors, penalties, best, least)
    costs = penalties[:n_codewords].astype(float)
    size = abs(costs)
    for i in range(start, n):
        row = products[codes[i], :n_codewords].astype(float)
        terms = np.array([firsts[i] * (row - row[old]), 0.5 * seconds[i] * (row - row[old]) ** 2])
        costs += 3 * terms.sum(axis=0)
        size += 3 * abs(terms).sum(axis=0)
    allowed = 0 if whole_numbers else (n + 8) * EPS * size.max()
    assert costs[best[0]] <= costs.min() + allowed
    assert abs(least[0] - costs[best[0]]) <= allowed
    if whole_numbers:
        assert best[0] == costs.argmin()


def test_a_parabola_that_is_not_comparable_is_not_the_least():
    products = np.zeros((1, LANES), np.float32)
    products[0, :3] = np.nan, 0, 1
    penalties = np.full(LANES, np.inf, np.float32)
    penalties[:3] = -5, 0, -1
    best, least = np.empty(1, np.int32), np.empty(1, np.float32)
    ones = np.ones(1, np.float32)
    for old, expected in ((1, 2), (0, 0)):
        least_parabola(
            products, np.zeros(1, np.int32), 0, 1, old, 0 * ones, ones, np.float32([1, 0.5]),
            penalties, best, least,
        )  # fmt: skip
        assert best[0] == expected
        assert least[0] == (-0.5 if old else np.inf)


@given(st.integers(0, 300), st.integers(1, 20), st.integers(1, 40), seeds)
def test_layers_and_the_way_back(n, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, weight, gradients = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((n, inputs), (inputs, outputs), (n, outputs))
    )
    x = np.maximum(x, 0)
    bias = rng.standard_normal(outputs).astype(np.float32)
    out = np.empty((n, outputs), np.float32)
    network.layer(ALONE, x, weight, bias, out)
    np.testing.assert_allclose(out, x @ weight + bias, atol=1e-5)
    network.rectified_layer(ALONE, x, weight, bias, out)
    np.testing.assert_allclose(out, np.maximum(x @ weight + bias, 0), atol=1e-5)
    by_weight, by_bias = np.ones_like(weight), np.ones_like(bias)
    network.layer_gradient(ALONE, x, gradients, by_weight, by_bias)
    np.testing.assert_allclose(by_weight - 1, x.T @ gradients, atol=2e-5)
    np.testing.assert_allclose(by_bias - 1, gradients.sum(axis=0), atol=2e-5)
    by_inputs = np.empty_like(x)
    network.rectified_inputs_gradient(ALONE, x, weight, gradients, by_inputs)
    np.testing.assert_allclose(by_inputs, (gradients @ weight.T) * (x > 0), atol=2e-5)


@pytest.mark.compiled
def test_entries_of_another_kind_are_refused():
    a, out = np.zeros((2, 2)), np.zeros((2, 2), np.float32)
    with pytest.raises(TypingError, match="got an array of float64, expected"):
        products.multiply(a, a, out)


def test_floats_of_a_register():
    assert floats_of_a_register("+sse2,-avx,-avx512f") == 4
    assert floats_of_a_register("+avx,+avx2,-avx512f") == 8
    assert floats_of_a_register("+avx,+avx512f,+avx512vl") == 16
    assert floats_of_a_register("+neon") == floats_of_a_register("") == 4


WITH_OTHER_REGISTERS = """
import sys
from lsq_sketch.kernels import registers
registers.LANES = int(sys.argv[1])  # before any kernel reads it
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


@pytest.mark.compiled
@pytest.mark.parametrize("lanes", [lanes for lanes in (4, 8, 16) if lanes != LANES])
def test_registers_of_other_lengths(lanes, tmp_path):
    """The tests above, with shorter and longer ones: LLVM makes what there is of them.

    Shorter ones are those of an older processor, where this one can be it.
    """
    can_be = platform.machine().lower() in ("x86_64", "amd64") and lanes < LANES
    environment = os.environ | (OLDER[lanes] if can_be else {})
    run = subprocess.run(
        [
            sys.executable, "-c", WITH_OTHER_REGISTERS, str(lanes), "-q", "-n0",
            "-p", "no:cacheprovider", "-k", "not other_lengths", __file__,
        ],
        env=environment | {"NUMBA_CACHE_DIR": str(tmp_path), "HYPOTHESIS_PROFILE": "ci"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "17 passed" in run.stdout
