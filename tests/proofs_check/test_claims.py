"""Claims: the registry, the bounds' hypotheses, and enumeration over all sketches."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import proofs_check.claims
from lsq_sketch import BucketMatrix, LeastSquares, dense_cce, resolve
from proofs_check.claim import HEADINGS, HypothesisError, Kind, registry
from proofs_check.claims import (
    dense_count_sketch_rate,
    dense_quadrature_rate,
    dense_rate,
    one_hot_exact,
    orthonormal_exact,
    sketch_solve_rate,
)
from proofs_check.experiments import initial_excess
from proofs_check.instances import Instance, catalogue, unavailable, with_spectrum

FIRST_CLAIMS = {
    "excess-identity", "dense-monotone", "dense-rate", "dense-quadrature-rate", "whitened-law",
    "whitened-rate", "dense-count-sketch-rate", "sketch-solve-rate", "orthonormal-exact",
    "one-hot-exact", "sparse-step", "resolve-chain", "resolve-improves", "one-step-exact",
}  # fmt: skip


def instance(problem):
    return Instance("made", "for a test", False, lambda: problem)


def all_sketches(d1, m):
    """Every bucket matrix with signs, up to the sign of the first row."""
    for buckets in itertools.product(range(m), repeat=d1):
        for signs in itertools.product([1.0, -1.0], repeat=d1 - 1):
            yield BucketMatrix(np.array(buckets), m, np.array([1.0, *signs]))


# ------------------------------------------------------------------ registry


def test_registry_is_filled_from_the_files():
    files = {path.stem for path in Path(proofs_check.claims.__path__[0]).glob("[a-z]*.py")}
    assert {claim.replace("-", "_") for claim in registry()} == files
    assert set(registry()) >= FIRST_CLAIMS
    assert sum(claim.is_false for claim in registry().values()) == 8


@pytest.mark.parametrize("claim", registry().values(), ids=lambda claim: claim.id)
def test_every_claim_tells_its_story(claim):
    assert claim.title
    assert all(claim.sections[heading] for heading in HEADINGS)
    if claim.is_false:
        assert claim.twin in registry()
        assert claim.killer in catalogue()


def test_a_bound_is_never_evaluated_outside_its_theorem():
    rng = np.random.default_rng(0)
    tall = instance(LeastSquares(rng.standard_normal((20, 3)), rng.standard_normal(20)))
    zero = instance(LeastSquares(rng.standard_normal((20, 9)), np.zeros(20)))
    narrow = instance(LeastSquares(rng.standard_normal((20, 2)), rng.standard_normal(20)))
    wide = instance(LeastSquares(rng.standard_normal((8, 20)), rng.standard_normal((8, 1))))
    cases = [
        ("orthonormal-exact", tall, "identity"),
        ("one-hot-exact", tall, "mutually orthogonal"),
        ("dense-rate", zero, "e_0 > 0"),
        ("dense-rate", narrow, "one step is exact"),
        ("dense-quadrature-rate", narrow, "one step is exact"),
        ("dense-count-sketch-rate", narrow, "one step is exact"),
        ("whitened-rate", wide, "full column rank"),
        ("sketch-solve-rate", zero, "zero table"),
        ("sparse-step", zero, "zero table"),
        ("one-step-exact", zero, "zero table"),
    ]
    for name, made, reason in cases:
        with pytest.raises(HypothesisError, match=reason):
            registry()[name].bounds(made)


def test_whitened_law_needs_targets_of_full_rank():
    rng = np.random.default_rng(0)
    column = rng.standard_normal((40, 1))
    made = instance(LeastSquares(rng.standard_normal((40, 20)), np.hstack([column, 2 * column])))
    with pytest.raises(HypothesisError, match="rank d2"):
        registry()["whitened-law"].bounds(made)


# ------------------------------------------------------------------ bounds


@given(st.lists(st.floats(1e-3, 1), min_size=3, max_size=12), st.integers(1, 4), st.integers(0, 3))
def test_the_sharper_rate_is_never_worse(values, m, t0):
    sigma = np.sort(np.array(values))[::-1]
    rho = sigma[-1] ** 2 / (sigma**2).sum()
    sharper = dense_quadrature_rate.rate(sigma, m, t0)
    assert sharper <= dense_rate.rate(rho, m) * (1 + 1e-9)
    assert sharper <= dense_quadrature_rate.rate(sigma, m, 0) * (1 + 1e-9)
    assert (sharper == 0) == (len(sigma) - t0 - m + 1 <= 1)


@pytest.mark.parametrize(("r", "m", "t0"), [(10, 3, 0), (10, 3, 2), (48, 12, 4)])
def test_the_sharper_rate_is_the_law_on_a_flat_spectrum(r, m, t0):
    assert dense_quadrature_rate.rate(np.ones(r), m, t0) == pytest.approx(1 - m / (r - t0))


@given(st.floats(1e-9, 0.5), st.integers(1, 50))
def test_count_sketch_rate_is_a_rate_and_weaker_than_linear(rho, m):
    c = dense_count_sketch_rate.rate(rho, m)
    assert max(0, 1 - m * rho) <= c < 1


@given(st.integers(1, 12), st.integers(1, 12))
def test_orthonormal_share_is_the_expected_number_of_empty_buckets(d1, m):
    expected_nonempty = m * (1 - (1 - 1 / m) ** d1)
    share = orthonormal_exact.share_lost(d1, m)
    assert share == pytest.approx(1 - expected_nonempty / d1, abs=1e-12)


def test_one_hot_formula_at_equal_counts_is_the_orthonormal_one():
    X = sp.csr_array(np.kron(np.eye(8), np.ones((3, 1))))
    made = instance(LeastSquares(X, np.random.default_rng(0).standard_normal((24, 2))))
    weights = one_hot_exact.column_weights(made)
    expected = orthonormal_exact.share_lost(8, one_hot_exact.width(made))
    assert one_hot_exact.expected_ratio(made, weights) == pytest.approx(expected, rel=1e-11)


# ------------------------------------------------------------------ exact, by enumeration


def small_problems():
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((9, 2))
    scales = [1, 1e-1, 1e-2, 1e-3]
    duplicate = rng.standard_normal((9, 4))
    duplicate[:, 3] = duplicate[:, 0]
    worst = np.zeros((4, 1))
    worst[-1] = 1
    return {
        "gaussian": LeastSquares(rng.standard_normal((9, 4)), Y),
        "ill-conditioned": LeastSquares(rng.standard_normal((9, 4)) * scales, Y),
        "duplicate column": LeastSquares(duplicate, Y),
        "adversarial": with_spectrum(np.array([1, 1, 1, 0.1]), worst, rng, 9),
    }


@pytest.mark.parametrize("problem", small_problems().values(), ids=small_problems())
@pytest.mark.parametrize("m", [1, 2, 3])
def test_sketch_solve_rate_over_all_sketches(problem, m):
    """The expectation over all sketches is below the instance form, and that below c."""
    ratios = [resolve(problem, C).excess for C in all_sketches(problem.d1, m)]
    mean = np.mean(ratios) / initial_excess(problem)
    by_instance = sketch_solve_rate.instance_rate(instance(problem), m)
    assert mean <= by_instance * (1 + 1e-12)
    assert by_instance <= dense_count_sketch_rate.rate(problem.rho, m) * (1 + 1e-12)


@pytest.mark.parametrize("problem", small_problems().values(), ids=small_problems())
def test_second_moment_over_all_sketches(problem):
    """q of sketch-solve-rate is the expected squared size of X C C' T*, exactly."""
    m, X, T = 2, problem.X, problem.optimum
    sizes = [((X @ C.expand(C.gather(T))) ** 2).sum() for C in all_sketches(problem.d1, m)]
    e0 = initial_excess(problem)
    q = e0 / (1 - sketch_solve_rate.instance_rate(instance(problem), m))
    assert np.mean(sizes) == pytest.approx(q, rel=1e-10)


@pytest.mark.parametrize("problem", small_problems().values(), ids=small_problems())
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
def test_sparse_step_over_all_sketches(problem, labels):
    """E[e_i | A_i] <= c a_i, the expectation over every sketch beside fixed assignments."""
    A, m = BucketMatrix(labels, 2), 2
    a = resolve(problem, A).excess
    excesses = []
    for C in all_sketches(problem.d1, m):
        state = problem.reduction.start()
        state.fit([A, C])
        excesses.append(state.excess)
    assert np.mean(excesses) <= dense_count_sketch_rate.rate(problem.rho, m) * a * (1 + 1e-12)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_orthonormal_exact_over_all_sketches(m):
    rng = np.random.default_rng(2)
    X = np.linalg.qr(rng.standard_normal((9, 4)))[0]
    problem = LeastSquares(X, rng.standard_normal((9, 2)))
    ratios = [resolve(problem, C).excess for C in all_sketches(4, m)]
    expected = orthonormal_exact.share_lost(4, m) * initial_excess(problem)
    assert np.mean(ratios) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("counts", [[1, 1, 1, 1, 1], [16, 8, 4, 2, 1], [100, 1, 1, 1, 1]])
@pytest.mark.parametrize("sparse", [True, False])
def test_one_hot_exact_over_all_sketches(counts, sparse):
    ids = np.repeat(np.arange(5), counts)
    X = sp.csr_array((np.ones(ids.size), ids, np.arange(ids.size + 1)), shape=(ids.size, 5))
    Y = np.random.default_rng(3).standard_normal((5, 2))[ids]
    problem = LeastSquares(X if sparse else X.toarray(), Y)
    made = instance(problem)
    m = one_hot_exact.width(made)
    ratios = [resolve(problem, C).excess for C in all_sketches(5, m)]
    expected = one_hot_exact.expected_ratio(made, np.array(counts, float))
    assert np.mean(ratios) == pytest.approx(expected * initial_excess(problem), rel=1e-11)


def test_first_column_in_expectation_is_the_quadrature():
    """m = 1, target on the worst direction: dense-quadrature-rate is the truth.

    Five standard errors of 2,000 trials: false-alarm rate below 1e-6.
    """
    from proofs_check.integrals import direction_weights

    sigma = np.array([1.0, 0.8, 0.5, 0.2])
    target = np.zeros((4, 1))
    target[-1] = 1
    problem = with_spectrum(sigma, target, np.random.default_rng(0), 10)
    rng = np.random.default_rng(1)
    ratios = np.array([np.divide(*dense_cce(problem, 2, 1, rng=rng).excess[::-1])
                       for _ in range(2000)])  # fmt: skip
    expected = 1 - direction_weights(sigma**2)[-1]
    assert abs(ratios.mean() - expected) < 5 * ratios.std() / np.sqrt(ratios.size)
    assert dense_quadrature_rate.rate(sigma, 1) == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------ instances


@pytest.mark.parametrize("name", [n for n in catalogue() if n not in unavailable()])
def test_instances_are_what_they_say(name):
    problem = catalogue()[name].problem
    assert problem.rank >= 2
    assert initial_excess(problem) > 0
    assert 2 <= catalogue()[name].width <= 32


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("movielens", (100_004, 671 + 9066, 1)),
        ("flights-tail-number", (334_264, 4043, 1)),
        ("flights-fields", (334_264, 4043 + 16 + 3 + 104 + 12, 3)),
        ("digits", (1797, 64, 10)),
        ("diabetes", (442, 10, 1)),
    ],
)
def test_real_data_have_their_real_size(name, shape):
    problem = catalogue()[name].problem
    assert (problem.n, problem.d1, problem.d2) == shape


def test_kinds_are_those_of_the_theory():
    equalities = {c.id for c in registry().values() if c.kind is Kind.EQUALITY and not c.is_false}
    assert equalities == {
        "whitened-law", "orthonormal-exact", "one-hot-exact", "dense-first-column-exact",
    }  # fmt: skip
