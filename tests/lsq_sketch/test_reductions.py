"""The reductions: factorisations of the design, and their agreement on the same problem."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    LeastSquares,
    TooLargeError,
    dense_cce,
    one_shot,
    resolve,
    sparse_cce,
)
from lsq_sketch.reductions import elimination, normal
from lsq_sketch.reductions.base import PREVIOUS, NoiseColumns
from lsq_sketch.reductions.elimination import EliminationReduction
from lsq_sketch.reductions.normal import NormalReduction
from lsq_sketch.reductions.svd import SingularValueReduction
from tests import twins
from tests.checks import EPS, accuracy, dense
from tests.strategies import (
    bucket_matrices,
    dense_designs,
    one_hot,
    problems,
    random_sparse,
    seeds,
    sparse_designs,
)

KINDS = ["singular values", "elimination", "elimination by QR", "normal"]


def reduce(kind, X, Y):
    """The problem, to be solved by this kind of reduction."""
    if kind == "singular values":
        p, expected = LeastSquares(dense(X), Y), SingularValueReduction
    elif kind == "normal":
        p, expected = LeastSquares(X, Y, max_dense=0), NormalReduction
    else:
        p, expected = LeastSquares(X, Y), EliminationReduction
        if kind == "elimination by QR":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    EliminationReduction, "_factor_schur_complement", lambda self, X, A: False
                )
                assert not p.reduction._gram_is_safe
        else:
            assert p.reduction._gram_is_safe
    assert isinstance(p.reduction, expected)
    return p


def full_rank():
    """Sparse, 24 columns, rank 24: every table is determined by its image."""
    rng = np.random.default_rng(1)
    X = random_sparse(200, 24, 0.15, rng)
    return X, X @ rng.standard_normal((24, 2)) + 0.5 * rng.standard_normal((200, 2))


def two_fields():
    """One-hot, rank-deficient: tables are determined up to a shift of one field by the other."""
    rng = np.random.default_rng(2)
    return one_hot(200, [14, 9], rng), rng.standard_normal((200, 2))


DESIGNS = {"full rank": full_rank(), "two fields": two_fields()}


# The same answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
def test_optimum_and_excess(kind, design):
    X, Y = DESIGNS[design]
    p, twin = reduce(kind, X, Y), twins.Problem(X, Y)
    np.testing.assert_allclose(p.optimum, twin.optimum, rtol=1e-9, atol=1e-10)
    T = np.random.default_rng(0).standard_normal(p.optimum.shape)
    for table in (T, 0 * T, twin.optimum + 1e-3 * T):
        assert p.excess(table) == pytest.approx(twin.excess(table), rel=1e-8)
    assert p.spectral_norm == pytest.approx(twin.sigma[0], rel=1e-12)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_count_sketch_trajectory(kind, design):
    """Of Dense CCE: every excess, to rounding, from the same generator."""
    X, Y = DESIGNS[design]
    d1, d2 = X.shape[1], Y.shape[1]
    noise = twins.count_sketch_noise(d1, 5, np.random.default_rng(7))
    expected, tables = twins.dense_cce(X.toarray(), Y, 6, noise)
    p = reduce(kind, X, Y)
    r = dense_cce(p, 5 + d2, 6, noise="count-sketch", rng=7)
    np.testing.assert_allclose(r.excess, expected, rtol=1e-8)
    assert p.excess(r.table) == pytest.approx(r.excess[-1], rel=1e-8)
    assert twins.Problem(X, Y).excess(r.table) == pytest.approx(expected[-1], rel=1e-8)
    if design == "full rank":
        np.testing.assert_allclose(r.table, tables[-1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_trajectory_with_fewer_columns_than_targets(kind):
    """One column of noise and six targets: tables of rank 1, 2, ... to start from.

    Their images are known to rounding only; what is beyond the rank is not to be fitted with.
    """
    X, _ = DESIGNS["full rank"]
    rng = np.random.default_rng(14)
    for seed in range(10):
        Y = X @ rng.standard_normal((24, 6)) + rng.standard_normal((200, 6))
        noise = twins.count_sketch_noise(24, 1, np.random.default_rng(seed))
        expected, _ = twins.dense_cce(X.toarray(), Y, 5, noise)
        p = reduce(kind, X, Y)
        r = dense_cce(p, 7, 5, noise="count-sketch", rng=seed)
        np.testing.assert_allclose(r.excess, expected, rtol=1e-7)
        assert p.excess(r.table) == pytest.approx(r.excess[-1], rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("design", DESIGNS)
def test_fitting_any_columns(kind, design):
    """Dense ones, with and without a bucket matrix beside them; with the table so far, too."""
    X, Y = DESIGNS[design]
    d1 = X.shape[1]
    rng = np.random.default_rng(15)
    G, C = rng.standard_normal((d1, 3)), CountSketch(d1, 4, rng)
    p, twin = reduce(kind, X, Y), twins.Problem(X, Y)
    state = p.reduction.start()
    state.fit([G])
    assert state.excess == pytest.approx(twin.excess(twin.fit(G)), rel=1e-8)
    state.fit([PREVIOUS, G[:, :1], C])
    H = np.hstack([twin.fit(G), G[:, :1], C.to_sparse().toarray()])
    assert state.excess == pytest.approx(twin.excess(twin.fit(H)), rel=1e-8)
    assert p.excess(state.table) == pytest.approx(state.excess, rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_sparse_trajectory(kind):
    X, Y = DESIGNS["full rank"]
    tables, labels, costs, resolved = twins.sparse_cce(X, Y, 10, 5, np.random.default_rng(3))
    r = sparse_cce(reduce(kind, X, Y), 10, 5, rng=3)
    twin = twins.Problem(X, Y)
    np.testing.assert_allclose(r.excess, [twin.excess(T) for T in tables], rtol=1e-8)
    np.testing.assert_array_equal(r.assignments, labels)
    np.testing.assert_allclose(r.quantization_cost, costs, rtol=1e-8)
    np.testing.assert_allclose(r.resolved_excess, resolved, rtol=1e-8)
    np.testing.assert_allclose(r.table, tables[-1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_stages(kind):
    X, Y = DESIGNS["full rank"]
    reference = one_shot(LeastSquares(X.toarray(), Y), 9, 6, rng=4)
    r = one_shot(reduce(kind, X, Y), 9, 6, rng=4)
    for found, expected in [
        (r.sketched, reference.sketched),
        (r.clustered, reference.clustered),
        (r.resolved, reference.resolved),
    ]:
        assert found.excess == pytest.approx(expected.excess, rel=1e-8)
        assert found.loss == pytest.approx(expected.loss, rel=1e-10)
        np.testing.assert_allclose(found.table, expected.table, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(r.assignments, reference.assignments)
    assert r.quantization_cost == pytest.approx(reference.quantization_cost, rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_resolving_rank_deficient_designs(kind):
    X, Y = DESIGNS["two fields"]
    A = BucketMatrix(np.arange(X.shape[1]) % 5, 5)
    stage = resolve(reduce(kind, X, Y), A)
    twin = twins.Problem(X, Y)
    table = twin.fit(A.to_sparse().toarray())
    assert stage.excess == pytest.approx(twin.excess(table), rel=1e-9)
    assert stage.loss == pytest.approx(twin.loss(table), rel=1e-11)
    assert twin.loss(stage.table) == pytest.approx(stage.loss, rel=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-6, 1e-7, 1e-8])
def test_columns_that_nearly_cancel_in_a_bucket(kind, gap):
    """``x + gap z - x``: their Gram matrix has no correct digit left where ``gap^2 < eps``.

    The shortcut through it is to be taken only where it is harmless. Scaled to unit length, what
    remains of the columns is perfectly conditioned: that alone does not show.
    """
    rng = np.random.default_rng(3)
    x, z = random_sparse(60, 4, 0.5, rng), random_sparse(60, 4, 0.5, rng)
    X = sp.csr_array(sp.hstack([x, x + gap * z]))
    Y = z @ rng.standard_normal((4, 1)) + 0.1 * rng.standard_normal((60, 1))
    C = BucketMatrix([0, 1, 2, 3, 0, 1, 2, 3], 4, [-1, -1, -1, -1, 1, 1, 1, 1])
    if kind == "elimination" and gap < 1e-4:
        p = LeastSquares(X, Y)  # finds out by itself
        assert not p.reduction._gram_is_safe
    else:
        p = reduce(kind, X, Y)
    state = p.reduction.start()
    state.fit([C])
    twin = twins.Problem(X, Y)
    least = twin.loss(twin.fit(C.to_sparse().toarray()))
    within = accuracy(X, Y)
    assert p.loss(state.table) <= least + within.loss
    assert p.loss(state.table) >= least - within.loss


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_cancel_in_a_bucket(kind):
    """``x - x``: a zero column, which can fit nothing, however it is rounded and scaled.

    Of two fields with all IDs in one bucket and opposite signs, and of one other bucket.
    """
    X, Y = DESIGNS["two fields"]
    buckets, signs = np.zeros(23, int), np.repeat([1.0, -1.0], [14, 9])
    buckets[3] = 1
    for C in (BucketMatrix(np.zeros(23, int), 1, signs), BucketMatrix(buckets, 2, signs)):
        p, twin = reduce(kind, X, Y), twins.Problem(X, Y)
        stage = resolve(p, C)
        table = twin.fit(C.to_sparse().toarray())
        assert stage.excess == pytest.approx(twin.excess(table), rel=1e-9)
        assert p.loss(stage.table) == pytest.approx(twin.loss(table), rel=1e-9)
        assert np.abs(stage.table).max() <= 1e3 * np.abs(twin.optimum).max()


@pytest.mark.parametrize("kind", KINDS)
def test_weighted_columns_that_cancel_in_a_bucket(kind):
    """The same with weights that are not exact in binary: what remains is rounding.

    One bucket holds 0.3 x and three copies of 0.1 x with the opposite sign; the design without
    it and them is what counts.
    """
    rng = np.random.default_rng(12)
    x = random_sparse(60, 5, 0.4, rng)
    X = sp.csr_array(sp.hstack([x, x * 0.1, x * 0.3, random_sparse(60, 3, 0.4, rng)]))
    Y = rng.standard_normal((60, 2))
    C = BucketMatrix(
        [*np.concatenate([np.arange(5)] * 3), 5, 6, 7],
        8,
        [*np.repeat([1.0, -1.0, 1.0], 5), 1, 1, 1],
    )
    D = sp.csr_array(sp.hstack([0.3 * x[:, [0]], *[0.1 * x[:, [0]]] * 3, X]))
    E = BucketMatrix([8, 8, 8, 8, *C.buckets], 9, [1, -1, -1, -1, *C.signs])
    twin = twins.Problem(X, Y)
    expected = twin.excess(twin.fit(C.to_sparse().toarray()))
    p = reduce(kind, D, Y) if kind != "elimination" else LeastSquares(D, Y)
    stage = resolve(p, E)
    assert stage.excess == pytest.approx(expected, rel=1e-9)
    assert p.loss(stage.table) == pytest.approx(stage.loss, rel=1e-9)


@pytest.mark.parametrize("noise", ["gaussian", "whitened", "count-sketch"])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_zero_columns_alone_in_their_buckets(form, noise):
    """More buckets than columns: a bucket with nothing but zero columns fits nothing."""
    rng = np.random.default_rng(13)
    X = rng.standard_normal((30, 8)) * (rng.random((30, 8)) < 0.6)
    X[:, [1, 4, 6]] = 0.0
    Y = rng.standard_normal((30, 1))
    p, twin = LeastSquares(form(X), Y), twins.Problem(X, Y)
    for seed in range(20):
        random = np.random.default_rng(seed)
        expected, _ = twins.dense_cce(X, Y, 2, twins.count_sketch_noise(8, 3, random))
        r = dense_cce(p, 4, 2, noise=noise, rng=seed)
        if noise == "count-sketch":
            np.testing.assert_allclose(r.excess, expected, rtol=1e-8, atol=1e-18 * expected[0])
        true = twin.excess(r.table)
        assert abs(true - r.excess[-1]) <= 1e-8 * r.excess[0]
        assert np.linalg.norm(r.table) <= 1e6 * np.linalg.norm(twin.optimum)


@pytest.mark.parametrize("seed", [713, 2464, 3949, 4304, 5101, 6114, 6471, 7798, *range(30)])
def test_a_zero_column_of_a_small_design(seed):
    """In few dimensions LAPACK's rounding exceeds ``max(n, d1) eps`` at times: the named seeds."""
    rng = np.random.default_rng(seed)
    n, d1 = rng.integers(4, 12), rng.integers(3, 9)
    X = rng.standard_normal((n, d1))
    X[:, rng.integers(d1)] = 0
    Y = rng.standard_normal((n, 1))
    p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
    C = BucketMatrix(rng.integers(0, d1, d1), d1, rng.choice([-1.0, 1.0], d1))
    stage = resolve(p, C)
    best = twin.loss(twin.fit(C.to_sparse().toarray()))
    assert stage.loss == pytest.approx(best, rel=1e-8)
    assert p.loss(stage.table) == pytest.approx(best, rel=1e-8)
    assert np.abs(stage.table).max() <= 1e8


@pytest.mark.filterwarnings("ignore:LSMR stopped:RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_dense_cce_is_monotone_on_ill_conditioned_designs(kind):
    rng = np.random.default_rng(4)
    x, z = random_sparse(60, 4, 0.5, rng), random_sparse(60, 4, 0.5, rng)
    Y = z @ rng.standard_normal((4, 1)) + 0.1 * rng.standard_normal((60, 1))
    for gap in (1e-4, 1e-6, 1e-7, 1e-8):
        X = sp.csr_array(sp.hstack([x, x + gap * z]))
        p = LeastSquares(X, Y) if kind == "elimination" else reduce(kind, X, Y)
        r = dense_cce(p, 3, 12, noise="count-sketch", rng=1)
        slack = accuracy(X, Y).fit * np.linalg.norm(Y)
        assert np.diff(r.excess).max() <= slack
        losses = [p.loss(dense_cce(p, 3, i, noise="count-sketch", rng=1).table) for i in range(12)]
        assert np.diff(losses).max() <= slack


@given(problems(sparse_designs()), seeds)
def test_all_kinds_agree_on_any_sparse_problem(problem, seed):
    X, Y = problem
    T = np.random.default_rng(seed).standard_normal((X.shape[1], Y.shape[1]))
    C = CountSketch(X.shape[1], 3, seed)
    twin = twins.Problem(X, Y)
    scale = twin.excess(0 * T) + twin.excess(T)
    expected = twin.excess(twin.fit(C.to_sparse().toarray()))
    for p in (LeastSquares(dense(X), Y), LeastSquares(X, Y), LeastSquares(X, Y, max_dense=0)):
        assert abs(p.excess(T) - twin.excess(T)) <= 1e-9 * scale
        state = p.reduction.start()
        assert state.excess == pytest.approx(twin.excess(0 * T), rel=1e-9, abs=1e-12)
        state.fit([C])
        assert abs(state.excess - expected) <= 1e-9 * scale
        assert abs(twin.excess(state.table) - expected) <= 1e-9 * scale


# The factored ones --------------------------------------------------------------------------


def factored(X, Y):
    """All factored reductions of a problem: of a sparse one the second by elimination."""
    found = [reduce("singular values", X, Y).reduction]
    if sp.issparse(X):
        found.append(LeastSquares(X, Y).reduction)
        if found[-1]._remaining.size:
            found.append(reduce("elimination by QR", X, Y).reduction)
    return found


@given(problems())
def test_the_factor_has_the_gram_matrix_of_the_design(problem):
    X, Y = problem
    X = dense(X) if isinstance(X, np.ndarray) else X
    for reduction in factored(X, Y):
        R = reduction.image(np.eye(X.shape[1]))
        assert R.shape == (reduction.rank, X.shape[1])
        size = twins.squared_norm(dense(X))
        np.testing.assert_allclose(R.T @ R, dense(X).T @ dense(X), rtol=0, atol=1e-12 * size)
        np.testing.assert_allclose(
            R.T @ reduction.target, dense(X).T @ Y, rtol=0, atol=1e-11 * (1 + size)
        )


@given(problems(), seeds, st.integers(1, 3))
def test_image_and_preimage(problem, seed, columns):
    """``preimage`` is a right inverse of ``image``, and gives the table of minimum norm."""
    X, Y = problem
    for reduction in factored(X, Y):
        R = reduction.image(np.eye(X.shape[1]))
        rng = np.random.default_rng(seed)
        T = rng.standard_normal((X.shape[1], columns))
        Z = rng.standard_normal((reduction.rank, columns))
        np.testing.assert_allclose(reduction.image(T), R @ T, rtol=1e-10, atol=1e-10)
        sigma = np.linalg.svd(R, compute_uv=False)
        cond = sigma[0] / sigma[-1] if sigma.size else 1.0
        np.testing.assert_allclose(reduction.image(reduction.preimage(Z)), Z, atol=1e-13 * cond**2)
        least = np.linalg.pinv(R) @ Z
        size = 1 + np.abs(least).max(initial=0.0)
        np.testing.assert_allclose(reduction.preimage(Z), least, atol=1e-13 * cond**2 * size)


@given(problems(sparse_designs()), seeds)
def test_image_and_adjoint(problem, seed):
    """``<R T, Z> = <T, R' Z>``."""
    X, Y = problem
    for reduction in factored(X, Y)[1:]:
        rng = np.random.default_rng(seed)
        T = rng.standard_normal((X.shape[1], 2))
        Z = rng.standard_normal((reduction.rank, 2))
        left, right = (reduction.image(T) * Z).sum(), (T * reduction.adjoint(Z)).sum()
        assert left == pytest.approx(right, rel=1e-10, abs=1e-10)
        unit = np.eye(reduction.rank)
        np.testing.assert_allclose(
            reduction.adjoint(unit), reduction.image(np.eye(X.shape[1])).T, atol=1e-12
        )


@given(st.data())
def test_bucket_image(data):
    """``R C`` of a bucket matrix is ``R`` times the dense ``C``."""
    X, Y = data.draw(problems())
    C = data.draw(bucket_matrices(X.shape[1]))
    for reduction in factored(X, Y):
        expected = reduction.image(C.to_sparse().toarray())
        for _ in range(2):  # the second time from what was kept
            np.testing.assert_allclose(reduction.bucket_image(C), expected, rtol=1e-10, atol=1e-11)


@given(problems(sparse_designs()))
def test_eliminated_columns(problem):
    """Mutually orthogonal, nonzero, and with the remaining ones all nonzero columns."""
    X, _ = problem
    gram = sp.csr_array(X.T @ X)
    gram.sort_indices()
    eliminated, remaining = elimination.eliminated_columns(gram)
    nonzero = np.flatnonzero(np.abs(X.toarray()).sum(axis=0))
    np.testing.assert_array_equal(np.sort(np.concatenate([eliminated, remaining])), nonzero)
    block = gram.toarray()[eliminated][:, eliminated]
    assert np.count_nonzero(block) == eliminated.size
    assert (np.diff(eliminated) > 0).all()
    assert (np.diff(remaining) > 0).all()


def test_the_larger_field_is_eliminated():
    X = one_hot(300, [40, 5], np.random.default_rng(0))
    gram = sp.csr_array(X.T @ X)
    eliminated, remaining = elimination.eliminated_columns(gram)
    assert eliminated.tolist() == list(range(40))
    assert remaining.tolist() == list(range(40, 45))


@given(dense_designs())
def test_gaussian_and_whitened_noise_of_dense_designs(X):
    """In rotated coordinates: ``S Z`` and ``Z`` for standard normal ``Z`` from the generator."""
    reduction = LeastSquares(X, np.ones(len(X))).reduction
    Z = np.random.default_rng(5).standard_normal((reduction.rank, 3))
    gaussian = reduction.gaussian(np.random.default_rng(5), 3).columns
    np.testing.assert_array_equal(gaussian, reduction.singular_values[:, None] * Z)
    np.testing.assert_array_equal(reduction.whitened(np.random.default_rng(5), 3).columns, Z)


@given(problems(sparse_designs()))
def test_gaussian_and_whitened_noise_of_sparse_designs(problem):
    """The image of an explicit Gaussian matrix; and an isotropic one."""
    X, Y = problem
    reduction = LeastSquares(X, Y).reduction
    G = np.random.default_rng(5).standard_normal((X.shape[1], 3))
    gaussian = reduction.gaussian(np.random.default_rng(5), 3).columns
    np.testing.assert_allclose(gaussian.T @ gaussian, (X @ G).T @ (X @ G), rtol=1e-9, atol=1e-9)
    Z = np.random.default_rng(5).standard_normal((reduction.rank, 3))
    np.testing.assert_array_equal(reduction.whitened(np.random.default_rng(5), 3).columns, Z)


# The Gram matrix alone ----------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
def test_noise_of_the_normal_reduction(design):
    """Gaussian: explicit. Whitened: its image is the projection of Gaussian noise on the range."""
    X, Y = DESIGNS[design]
    reduction = reduce("normal", X, Y).reduction
    G = np.random.default_rng(6).standard_normal((X.shape[1], 3))
    np.testing.assert_array_equal(reduction.gaussian(np.random.default_rng(6), 3), G)
    noise = np.random.default_rng(6).standard_normal((X.shape[0], 3))
    projected = X.toarray() @ np.linalg.lstsq(X.toarray(), noise)[0]
    image = X @ reduction.whitened(np.random.default_rng(6), 3)
    np.testing.assert_allclose(image, projected, atol=1e-9)


@pytest.mark.parametrize("noise", ["gaussian", "whitened"])
def test_dense_cce_of_the_normal_reduction_with_explicit_noise(noise):
    X, Y = DESIGNS["full rank"]
    p = reduce("normal", X, Y)
    rng = np.random.default_rng(8)
    draw = {"gaussian": p.reduction.gaussian, "whitened": p.reduction.whitened}[noise]
    expected, tables = twins.dense_cce(X.toarray(), Y, 5, lambda: draw(rng, 4))
    r = dense_cce(p, 6, 5, noise=noise, rng=8)
    np.testing.assert_allclose(r.excess, expected, rtol=1e-7)
    np.testing.assert_allclose(r.table, tables[-1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda p: p.rank, "rank"),
        (lambda p: p.singular_values, "singular_values"),
        (lambda p: p.rho, "rank"),
        (lambda p: p.reduction.smallest_singular_value, "the smallest singular value"),
    ],
    ids=["rank", "singular_values", "rho", "smallest_singular_value"],
)
def test_what_a_large_design_refuses(ask, name):
    """With the number that lifts the refusal in the message."""
    X, Y = DESIGNS["two fields"]
    p = reduce("normal", X, Y)
    pattern = (
        rf"^{name} of this design needs a dense matrix of (\d+) columns .* If memory allows "
        rf"\(\d+\.\d GiB, a few times\), pass LeastSquares\(X, Y, max_dense=(\d+)\)\.$"
    )
    with pytest.raises(TooLargeError, match=pattern) as caught:
        ask(p)
    sizes = re.match(pattern, str(caught.value))
    assert sizes[1] == sizes[2]
    assert isinstance(caught.value, ValueError)
    needed = int(sizes[2])
    lifted = LeastSquares(X, Y, max_dense=needed)
    np.testing.assert_allclose(ask(lifted), ask(LeastSquares(X, Y)))
    with pytest.raises(TooLargeError):
        ask(LeastSquares(X, Y, max_dense=needed - 1))
    assert not p.reduction.spectrum_is_cheap


def test_one_field_is_never_too_large():
    X = one_hot(100, [30], np.random.default_rng(0))
    p = LeastSquares(X, np.ones(100), max_dense=0)
    assert p.rank == np.count_nonzero(X.sum(axis=0))


def test_the_normal_reduction_falls_back_to_qr():
    """Duplicate columns in different buckets: a singular Gram matrix."""
    rng = np.random.default_rng(9)
    x = random_sparse(80, 6, 0.4, rng)
    X = sp.csr_array(sp.hstack([x, x]))
    Y = rng.standard_normal((80, 2))
    p, twin = LeastSquares(X, Y, max_dense=0), twins.Problem(X, Y)
    C = BucketMatrix(np.arange(12), 12)
    with pytest.MonkeyPatch.context() as patch:
        calls = []
        original = normal.NormalState._solve_by_qr
        patch.setattr(normal, "MIN_BLOCK_ROWS", 30)
        patch.setattr(
            normal.NormalState,
            "_solve_by_qr",
            lambda self, blocks: calls.append(1) or original(self, blocks),
        )
        state = p.reduction.start()
        state.fit([C])
        assert calls == [1]
    assert state.excess <= 1e-20 * twin.excess(0 * twin.optimum)
    np.testing.assert_allclose(X @ state.table, X @ twin.optimum, atol=1e-10)
    # Then from the table so far, of which nothing is left to improve.
    state.fit([PREVIOUS, CountSketch(12, 3)])
    assert state.excess <= 1e-20 * twin.excess(0 * twin.optimum)


def test_the_fallback_starts_from_the_current_table():
    """A second round through QR: the residual, not the target, is fitted."""
    rng = np.random.default_rng(10)
    x = random_sparse(80, 6, 0.4, rng)
    X = sp.csr_array(sp.hstack([x, x]))
    Y = rng.standard_normal((80, 2))
    p = LeastSquares(X, Y, max_dense=0)
    first, second = CountSketch(12, 3, 1), np.vstack([np.eye(6), np.eye(6)])
    state = p.reduction.start()
    state.fit([first])
    state.fit([first, second[:, :4], second[:, :4]])
    H = np.hstack([first.to_sparse().toarray(), second[:, :4]])
    twin = twins.Problem(X, Y)
    assert state.excess == pytest.approx(twin.excess(twin.fit(H)), rel=1e-9)


def test_noise_without_a_matrix_does_not_fit_the_normal_reduction():
    X, Y = DESIGNS["two fields"]
    state = reduce("normal", X, Y).reduction.start()
    with pytest.raises(TypeError, match="noise known by its image only does not fit"):
        state.fit([NoiseColumns(np.ones((22, 2)))])


@pytest.mark.filterwarnings("always")
def test_lsmr_warns_when_it_has_not_converged(monkeypatch):
    rng = np.random.default_rng(11)
    X = random_sparse(100, 40, 0.1, rng)
    X = sp.csr_array(X * np.geomspace(1, 1e-6, 40))
    original = normal.lsmr
    monkeypatch.setattr(
        normal, "lsmr", lambda *a, **options: original(*a, **{**options, "maxiter": 3})
    )
    p = LeastSquares(X, rng.standard_normal(100), max_dense=0)
    with pytest.warns(RuntimeWarning, match=r"LSMR stopped with a relative gradient of \d"):
        p.optimum  # noqa: B018


def test_targets_orthogonal_to_the_design():
    """The optimum is zero, and no warning is due for a gradient that is rounding only."""
    X, Y = DESIGNS["full rank"]
    residual = Y - X @ twins.Problem(X, Y).optimum
    for kind in KINDS:
        p = reduce(kind, X, residual)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.abs(p.optimum).max() <= 1e-10
        assert p.excess(np.zeros_like(p.optimum)) <= 1e-20
        assert p.optimal_loss == pytest.approx(twins.squared_norm(residual), rel=1e-12)


def test_spectrum_is_cheap():
    X, Y = DESIGNS["two fields"]
    for kind in KINDS[:3]:
        assert reduce(kind, X, Y).reduction.spectrum_is_cheap
    one_field = LeastSquares(one_hot(30, [7], np.random.default_rng(0)), np.ones(30))
    assert one_field.reduction.spectrum_is_cheap


def test_rounding_errors_do_not_add_up_over_rounds():
    """After 60 rounds the excess known to the state is still that of its table."""
    X, Y = DESIGNS["full rank"]
    for kind in KINDS:
        p = reduce(kind, X, Y)
        r = dense_cce(p, 6, 60, noise="count-sketch", rng=2)
        exact = twins.Problem(X, Y).excess(r.table)
        floor = (1e3 * EPS) ** 2 * r.excess[0] * 60
        assert abs(r.excess[-1] - exact) <= 1e-6 * exact + floor
