"""Plans: counts solve their bounds, simulations obey them, intervals cover, mistakes are clear."""

import json
import math
import os
import signal
import subprocess
import sys
from io import StringIO

import numpy as np
import pytest
import scipy.sparse as sp
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from lsq_sketch import LeastSquares, dense_cce, threads
from lsq_sketch.console import run_app
from lsq_sketch.variadic import VariadicCommand, repeat_names
from proofs_check.claims import (
    dense_count_sketch_rate,
    dense_quadrature_rate,
    iteration_count,
)
from proofs_check.claims import dense_rate as dense_rate_claim
from proofs_check.claims import whitened_law as whitened_law_claim
from proofs_check.cli.plan import plan_command
from proofs_check.instances import catalogue, one_hot, with_spectrum
from proofs_check.planning import PlanningError, from_problem, from_spectrum, memory, plan, rounds
from proofs_check.planning.contraction import (
    Contraction,
    Quadrature,
    count_sketch_rate,
    dense_rate,
    fitted_directions,
    whitened_law,
    whitened_rate,
)
from proofs_check.planning.report import (
    as_dict,
    bytes_text,
    print_plan,
    rounds_text,
    write_json,
    write_picture,
)
from proofs_check.planning.simulation import FLOOR, Run, measure, trajectories
from tests.checks import heed_interrupts

BOTH = ("worst", "random")

spectra = st.tuples(st.integers(1, 30), st.floats(1, 1e8), st.booleans()).map(
    lambda t: np.geomspace(1, 1 / t[1], t[0]) if t[2] else np.linspace(1, 1 / t[1], t[0])
)
accuracies = st.floats(1e-12, 0.9)


def setting_of(problem, d2=None, assume=BOTH, max_spectrum=2500):
    return from_problem(problem, d2, assume, max_spectrum)


# ------------------------------------------------------------------ bounds and their counts


@given(
    st.lists(st.floats(-3, -1e-9), max_size=4),
    st.one_of(st.floats(-3, -1e-13), st.just(-math.inf)),
    accuracies,
)
def test_the_count_is_the_first_round_within_the_accuracy(first, later, accuracy):
    bound = Contraction(tuple(first), later)
    rounds = int(bound.rounds(accuracy))
    assert rounds >= 1
    assert bound.log_bound(rounds) <= math.log(accuracy)
    assert bound.log_bound(rounds - 1) > math.log(accuracy)


def test_a_bound_that_does_not_fall_is_never_there():
    assert Contraction((-0.1,), 0.0).rounds(0.5) == math.inf
    assert Contraction((-0.1, -3.0), 0.0).rounds(0.5) == 2


@given(st.floats(1e-9, 0.5), st.integers(1, 300), accuracies)
def test_paper_count_is_the_formula_of_the_claim(rho, m, accuracy):
    ours = dense_rate(rho, m).rounds(accuracy)
    assert abs(ours - iteration_count.rounds(rho, m, accuracy)) <= 1e-9 * ours
    np.testing.assert_allclose(
        np.exp(dense_rate(rho, m).later), dense_rate_claim.rate(rho, m), rtol=1e-12
    )
    np.testing.assert_allclose(
        np.exp(count_sketch_rate(rho, m).later), dense_count_sketch_rate.rate(rho, m), rtol=1e-9
    )


@given(spectra, st.integers(1, 30), st.integers(1, 6))
def test_quadrature_counts_use_the_rate_of_the_claim(sigma, m, rank):
    r = len(sigma)
    rank = min(rank, r)
    bound = Quadrature(sigma, min(r, m + rank)).contraction(m, rank)
    directions = fitted_directions(m, rank)
    factors = [np.exp(log) for log in (*bound.first, bound.later)]
    wanted = [0.0 if m >= r - t else dense_quadrature_rate.rate(sigma, m, t) for t in directions]
    np.testing.assert_allclose(factors, wanted, rtol=1e-9, atol=1e-15)


@given(spectra, st.integers(1, 30), st.integers(1, 6), accuracies)
def test_sharper_counts_are_never_above_the_papers(sigma, m, rank, accuracy):
    r = len(sigma)
    rank = min(rank, r)
    rho = sigma[-1] ** 2 / (sigma**2).sum()
    paper = dense_rate(rho, m).rounds(accuracy)
    sharper = Quadrature(sigma, min(r, m + rank)).contraction(m, rank).rounds(accuracy)
    assert sharper <= paper * (1 + 1e-9)
    law = whitened_law(r, m, rank).rounds(accuracy)
    assert law <= whitened_rate(r, m).rounds(accuracy)


def test_quadrature_of_a_long_spectrum_is_the_same_in_pieces():
    sigma = np.geomspace(1, 0.1, 9000)
    rate = dense_quadrature_rate.rate(sigma, 50, 3)
    contraction = Quadrature(sigma, 60).contraction(50, 3)
    assert np.exp(contraction.later) == pytest.approx(rate, rel=1e-12)


@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 4), accuracies)
def test_quadrature_of_a_flat_spectrum_is_the_whitened_law(r, m, rank, accuracy):
    rank = min(r, rank)
    flat = Quadrature(np.full(r, 3.0), min(r, m + rank)).contraction(m, rank)
    law = whitened_law(r, m, rank)
    np.testing.assert_allclose(flat.first, law.first, rtol=1e-9)
    np.testing.assert_allclose(flat.later, law.later, rtol=1e-9)
    if m < r - rank:
        later = whitened_law_claim.rate(r, m, rank)
        np.testing.assert_allclose(np.exp(law.later), later, rtol=1e-12)


@pytest.mark.parametrize(("m", "d2"), [(1, 3), (2, 5), (4, 3)])
def test_fitted_directions_are_those_of_dense_cce(m, d2):
    problem = with_spectrum(
        np.geomspace(1, 0.3, 12), np.random.default_rng(0).standard_normal((12, d2)),
        np.random.default_rng(1), n=30,
    )  # fmt: skip
    directions = fitted_directions(m, d2)
    for i, expected in enumerate([*directions, directions[-1]]):
        fitted = problem.X @ dense_cce(problem, m + d2, i, "gaussian", 5).table
        assert np.linalg.matrix_rank(fitted, tol=1e-9) == expected


# ------------------------------------------------------------------ intervals


def beta_trajectories(rng, runs, r, m, rounds):
    """``e_i / e_0`` by the law of claim whitened-beta, one target."""
    first = rng.beta((r - m) / 2, m / 2, (runs, 1))
    later = rng.beta((r - 1 - m) / 2, m / 2, (runs, rounds - 1))
    return np.cumprod(np.hstack([np.ones((runs, 1)), first, later]), axis=1)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """200 simulations of 50 runs whose exact law is known (whitened-beta, r = 48, m = 12).

    Coverage is at least 0.95 for the quantiles; the approximate one of the mean is at least 0.92
    here. A right program fails with probability at most 3e-6 (three binomial tails of 1e-6).
    """
    r, m, accuracy, repeats = 48, 12, 1e-2, 200
    rng = np.random.default_rng(0)
    mean = whitened_law(r, m, 1).rounds(accuracy)
    many = (beta_trajectories(rng, 200_000, r, m, 60) <= accuracy).argmax(axis=1)
    median, ninety = np.quantile(many, [0.5, 0.9], method="inverted_cdf")
    share = (many <= median).mean(), (many < median).mean()
    assert share[0] > 0.51  # the median is far from being two numbers
    assert share[1] < 0.49
    covered = np.zeros(3)
    for _ in range(repeats):
        found = measure(beta_trajectories(rng, 50, r, m, 60), accuracy, 0.95)
        pairs = zip((found.mean, found.median, found.ninety), (mean, median, ninety), strict=True)
        covered += [estimate.lower <= truth <= estimate.upper for estimate, truth in pairs]
    assert covered[0] >= stats.binom.ppf(1e-6, repeats, 0.92)
    assert (covered[1:] >= stats.binom.ppf(1e-6, repeats, 0.95)).all()
    wrong = measure(beta_trajectories(rng, 50, r, m, 60), accuracy, 0.95).mean
    assert not wrong.lower <= 2 * mean <= wrong.upper  # and they are not everything


def test_nothing_is_claimed_beyond_the_simulated_rounds():
    ratios = np.tile(0.9 ** np.arange(6), (20, 1))
    found = measure(ratios, 0.5, 0.95)
    assert found.rounds == 5
    assert found.reached == pytest.approx(0.9**5)
    for estimate in (found.mean, found.median, found.ninety):
        assert estimate.value == estimate.upper == math.inf
    half = np.vstack([ratios, np.tile(0.5 ** np.arange(6), (20, 1))])
    found = measure(half, 0.3, 0.95)
    assert found.median.lower == 2
    assert found.ninety.value == math.inf


# ------------------------------------------------------------------ simulations against bounds


DESIGNS = {
    "flat": (np.ones(30), 2),
    "geometric": (np.geomspace(1, 0.1, 30), 3),
    "one small direction": (np.append(np.ones(29), 0.2), 1),
    "few targets missing": (np.geomspace(1, 0.5, 20), 6),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_bounds_hold_and_the_whitened_count_is_exact(name):
    """Measured counts are at most the bounds', and for whitened noise the law's.

    Each of the 12 rows of a design may fail with probability about 1e-5 (the confidence of its
    interval): 5e-4 in all, once, the seed being fixed.
    """
    sigma, d2 = DESIGNS[name]
    setting = from_spectrum(sigma, d2, None, BOTH)
    noises = ["gaussian", "whitened"]
    made = plan(setting, [d2 + 4, d2 + 8], [0.3, 0.1], noises, trials=40, confidence=1 - 1e-5)
    assert len(made.rows) == 16
    for row in made.rows:
        found = row.measured.mean
        assert math.isfinite(found.upper), row
        assert found.lower <= row.sharper <= row.paper
        if row.noise == "whitened":
            assert row.sharper_claim == "whitened-law"
            assert found.lower <= row.sharper <= found.upper
    if name == "flat":  # both noises have the same law, and the bound is exact
        for row in made.rows:
            assert row.measured.mean.lower <= row.sharper <= row.measured.mean.upper


@pytest.mark.parametrize("sparse", [False, True])
def test_count_sketches_on_a_design(sparse):
    """Error rate as above."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12))
    if sparse:
        X = one_hot(rng.integers(0, 6, 200), rng.integers(0, 5, 200))
    setting = setting_of(LeastSquares(X, np.zeros(X.shape[0])), d2=2)
    made = plan(setting, [5], [0.2], ["count-sketch"], trials=40, confidence=1 - 1e-5, budget=20)
    assert [row.target for row in made.rows] == list(BOTH)
    for row in made.rows:
        assert row.paper is None
        assert row.sharper_claim == "dense-count-sketch-rate"
        assert row.measured.mean.lower <= row.sharper
        assert math.isfinite(row.measured.mean.upper)


def test_a_simulation_is_dense_cce():
    """Run by run, the library's trajectories of the same random numbers."""
    problem = catalogue()["diabetes"].problem
    setting = setting_of(problem)
    for noise in ("gaussian", "whitened", "count-sketch"):
        run = Run(setting.reduction, setting.d1, setting.targets[0], noise, 3, 7)
        excess = dense_cce(problem, 4, 6, noise, 7).excess
        np.testing.assert_allclose(run.advance(6), excess[1:] / excess[0], rtol=1e-12)


def test_same_numbers_for_any_chunks_and_threads(monkeypatch):
    setting = from_spectrum(np.geomspace(1, 0.2, 15), 1, None, ["random"])

    def simulate(cost, count):
        monkeypatch.setattr(threads, "thread_count", lambda: count)
        seeds = np.random.SeedSequence(3).spawn(20)
        runs = [Run(setting.reduction, 15, setting.targets[0], "gaussian", 3, s) for s in seeds]
        return trajectories(runs, 1e-2, 200, cost, 0.95)

    wanted = simulate(1.0, 1)
    assert wanted.shape[1] < 150  # it stopped when all had arrived
    np.testing.assert_array_equal(simulate(1e-6, 1), wanted)
    np.testing.assert_array_equal(simulate(1e-3, 2), wanted)


def test_as_many_columns_as_the_rank_take_one_round():
    setting = from_spectrum(np.geomspace(1, 1e-3, 8), 2, None, BOTH)
    for row in plan(setting, [10, 20], [1e-6], ["gaussian", "whitened"]).rows:
        assert (row.sharper, row.sharper_claim) == (1, "one-step-exact")
        found = row.measured
        assert found.mean.lower == found.mean.upper == found.ninety.value == 1
        assert row.paper >= 1


def test_rank_one_design():
    setting = setting_of(LeastSquares(np.ones((5, 1)), np.arange(5.0)))
    for row in plan(setting, [2], [0.01]).rows:
        assert row.measured.mean.value == 1
        assert row.sharper == (1 if row.noise != "count-sketch" else row.sharper)


def test_the_budget_ends_a_hopeless_simulation():
    """Condition 1e6, worst direction: the bounds say millions, the simulation says more than N."""
    setting = from_spectrum(np.geomspace(1, 1e-6, 20), 1, None, ["worst"])
    (row,) = plan(setting, [6], [1e-3], ["gaussian"], budget=0.5).rows
    assert row.paper > 1e9
    assert row.sharper <= row.paper
    assert math.isfinite(row.sharper)
    assert row.measured.mean.lower == math.inf
    assert 1 <= row.measured.rounds <= 300
    assert row.measured.reached > 0.5
    (none,) = plan(setting, [6], [1e-3], ["gaussian"], budget=0.0).rows
    assert none.measured is None
    assert none.reason == "at k = 6 one round of 20 runs is beyond the budget"
    assert none.sharper == row.sharper


def test_memory_limits_the_runs(monkeypatch):
    setting = from_spectrum(np.geomspace(1, 0.5, 20), 2, None, ["random"])
    monkeypatch.setattr(rounds, "RUN_BYTES", 8 * 2 * 60 * 7)
    (row,) = plan(setting, [6], [0.5], ["whitened"], trials=40).rows
    assert row.measured.trials == 7
    monkeypatch.setattr(rounds, "ROUND_BYTES", 8 * 20 * 6 - 1)
    (row,) = plan(setting, [6], [0.5], ["whitened"], trials=40).rows
    assert row.measured is None
    assert row.reason == "at k = 6 it would take gigabytes of memory"


def test_zero_columns_of_a_target_change_nothing():
    """The worst of three targets is simulated as one column: the excess is the same."""
    setting = from_spectrum(np.geomspace(1, 0.3, 10), 3, None, ["worst"])
    (target,) = setting.targets
    wide = np.hstack([target.draw(np.random.default_rng(0)), np.zeros((10, 2))])
    problem = LeastSquares(np.diag(np.geomspace(1, 0.3, 10)), wide)
    run = Run(problem.reduction, 10, target, "whitened", 4, 5)
    excess = dense_cce(problem, 7, 4, "whitened", 5).excess
    np.testing.assert_allclose(run.advance(4), excess[1:] / excess[0], rtol=1e-9)


def test_accuracies_below_rounding_error_are_not_simulated():
    setting = from_spectrum(np.ones(8), 1, None, ["worst"])
    fine, coarse = plan(setting, [4], [FLOOR / 10, 0.1], ["whitened"], budget=1).rows
    assert fine.measured is None
    assert "rounding error" in fine.reason
    assert fine.sharper > coarse.sharper
    assert coarse.measured is not None


# ------------------------------------------------------------------ designs of every kind


def designs():
    rng = np.random.default_rng(2)
    dense = rng.standard_normal((40, 9)) * np.geomspace(1, 0.1, 9)
    deficient = np.hstack([dense, dense[:, :2], np.zeros((40, 1))])
    field = one_hot(rng.zipf(1.5, 200) % 15)
    return {
        "dense": dense,
        "wide": dense[:6],
        "float32": dense.astype(np.float32),
        "rank-deficient": deficient,
        "one field": field,
        "one field and unseen IDs": sp.hstack([field, sp.csr_array((200, 3))]).tocsr(),
        "two fields": one_hot(rng.integers(0, 6, 100), rng.integers(0, 5, 100)),
    }


@pytest.mark.parametrize("name", designs())
def test_settings_of_designs(name):
    X = designs()[name]
    full = np.array(X.toarray() if sp.issparse(X) else X, dtype=float)
    tolerance = max(full.shape) * np.finfo(getattr(X, "dtype", float)).eps
    sigma = np.linalg.svd(full, compute_uv=False)
    sigma = sigma[sigma > tolerance * sigma[0]]
    setting = setting_of(LeastSquares(X, np.zeros(len(full))), d2=2)
    assert (setting.n, setting.d1, setting.d2, setting.rank) == (*full.shape, 2, len(sigma))
    np.testing.assert_allclose(setting.singular_values, sigma, rtol=1e-6)
    assert setting.rho == pytest.approx(sigma[-1] ** 2 / (full**2).sum(), rel=1e-6)
    worst, random = setting.targets
    Z = worst.draw(np.random.default_rng(0))
    assert (worst.rank, random.rank) == (1, 2)
    T = setting.reduction.preimage(Z)  # the table is longest where the singular value is smallest
    assert np.linalg.norm(full @ T) == pytest.approx(1, rel=1e-6)
    assert np.linalg.norm(T) == pytest.approx(1 / sigma[-1], rel=1e-6)
    rows = plan(setting, [4], [0.5], trials=20, budget=1.0).rows
    assert all(row.measured is not None for row in rows)
    whitened = [row for row in rows if row.noise == "whitened"]
    full_rank = setting.rank == setting.d1
    assert all((row.paper is not None) is full_rank for row in whitened)


def test_spectrum_and_design_agree():
    X = designs()["dense"]
    by_design = setting_of(LeastSquares(X, np.zeros(len(X))), d2=1)
    by_spectrum = from_spectrum(by_design.singular_values[::-1], 1, None, BOTH)
    rows = [plan(s, [3], [0.1], ["gaussian"], budget=2).rows for s in (by_design, by_spectrum)]
    for a, b in zip(*rows, strict=True):
        assert (a.paper, a.sharper) == (b.paper, b.sharper)
    one, other = rows[0][0].measured.mean, rows[1][0].measured.mean
    assert one == other  # worst direction: the same law, the same random numbers
    (sketch, _) = plan(by_spectrum, [3], [0.1], ["count-sketch"]).rows
    assert sketch.measured is None
    assert "needs the design" in sketch.reason
    zeros = from_spectrum([2.0, 0.0, 1.0], 1, 7, BOTH)
    assert (zeros.rank, zeros.d1, zeros.rho) == (2, 7, 0.2)


def test_expensive_spectra_are_left_out_with_advice():
    X = designs()["two fields"]
    setting = setting_of(LeastSquares(X, np.zeros(X.shape[0])), d2=1)
    assert setting.singular_values is not None  # cheap at this size
    problem = LeastSquares(X, np.ones(X.shape[0]))
    reduction = problem.reduction

    class Expensive(type(reduction)):
        spectrum_is_cheap = False

    reduction.__class__ = Expensive
    setting = setting_of(problem, max_spectrum=4)
    assert setting.singular_values is None
    assert f"--max-spectrum {setting.rank}" in setting.left_out[0]
    rows = {row.noise: row for row in plan(setting, [3, 40], [0.1], budget=1).rows if row.k == 3}
    assert rows["gaussian"].sharper is None
    assert rows["gaussian"].paper > 1
    assert rows["whitened"].sharper > 1
    (exact,) = plan(setting, [40], [0.1], ["gaussian"], budget=1).rows
    assert exact.sharper == 1


@pytest.mark.compiled
def test_movielens():
    """Real ratings: the rank and rho of 9,737 columns are known, the spectrum is left out."""
    setting = setting_of(catalogue()["movielens"].problem)
    assert (setting.d1, setting.rank, setting.targets[0].name) == (9737, 9736, "given")
    made = plan(setting, [32], [0.1], ["whitened", "count-sketch"], budget=2, trials=4)
    whitened, sketch = made.rows
    assert whitened.sharper == whitened_law(9736, 31, 1).rounds(0.1)
    assert sketch.measured.rounds >= 1
    assert sketch.sharper > 1000
    assert "--max-spectrum 9736" in setting.left_out[0]


# ------------------------------------------------------------------ memory


def test_memory():
    needed = memory(d1=1000, d2=10, k=64)
    assert needed.full_table == 4 * 1000 * 10
    assert needed.codebook == 4 * 64 * 10
    assert needed.hashed == 4 * 64 * 10 + 4 * 1000
    assert needed.training("whitened") == 4 * (64 * 10 + 1000 * 10 + 1000 * 54)
    assert needed.training("count-sketch") == 4 * (64 * 10 + 1000 * 10 + 1000) + 125


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("values", "d1", "message"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], None, "one row or column of numbers"),
        ([1.0, -1.0], None, "must be finite and not negative"),
        ([1.0, np.nan], None, "must be finite and not negative"),
        ([0.0, 0.0], None, "X is zero"),
        ([1.0, 1.0], 1, "cannot have 2 singular values"),
        (["a"], None, "must be real numbers"),
        ([], None, "one row or column of numbers"),
        ([1e200], None, "leaves the range of float64"),
    ],
)
def test_wrong_spectra(values, d1, message):
    with pytest.raises(PlanningError, match=message):
        from_spectrum(values, 1, d1, BOTH)


def test_other_mistakes():
    with pytest.raises(PlanningError, match="X is zero"):
        setting_of(LeastSquares(np.zeros((3, 2)), np.ones(3)))
    with pytest.raises(PlanningError, match="explains nothing of Y"):
        setting_of(LeastSquares([[1.0], [1.0]], [1.0, -1.0]))
    with pytest.raises(PlanningError, match="worst or random; got 'best'"):
        from_spectrum([1.0], 1, None, ["best"])
    with pytest.raises(PlanningError, match=r"k must exceed d2 = 3.*got 2, 3. Take k >= 4"):
        plan(from_spectrum(np.ones(9), 3, None, BOTH), [2, 3], [0.1])


def test_one_impossible_width_does_not_spoil_the_others():
    made = plan(from_spectrum(np.ones(9), 3, None, BOTH), [2, 5, 5], [0.1], budget=1)
    assert list(made.refused) == [2]
    assert {row.k for row in made.rows} == {5}


# ------------------------------------------------------------------ the command line


@given(st.lists(st.sampled_from(["1", "2e-3", "-4", "x"]), max_size=4))
def test_words_belong_to_the_list_option_before_them(values):
    wanted = [word for value in values for word in ("--k", value)] or ["--k"]
    tail = ["--seed", "1"]
    assert list(repeat_names(["--k", *values, *tail], {"--k"})) == [*wanted, *tail]
    if values:
        assert list(repeat_names(["--k", ",".join(values), *tail], {"--k"})) == [*wanted, *tail]
        assert list(repeat_names([f"--k={','.join(values)}"], {"--k"})) == wanted
        assert list(repeat_names([*tail, *wanted], {"--k"})) == [*tail, *wanted]


def call(monkeypatch, capsys, *words):
    """Exit status, output and errors of the command, in this process."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("plan", cls=VariadicCommand)(plan_command)
    monkeypatch.setattr(sys, "argv", ["proofs-check", "plan", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        run_app(app, "proofs-check")
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 12))
    np.savez(tmp_path / "X.npz", X=X)
    np.save(tmp_path / "Y.npy", rng.standard_normal((80, 2)))
    np.save(tmp_path / "short.npy", np.ones(3))
    np.save(tmp_path / "zero.npy", np.zeros((4, 2)))
    np.save(tmp_path / "s.npy", np.linalg.svd(X, compute_uv=False))
    sp.save_npz(tmp_path / "tangled.npz", sp.csr_array(np.triu(np.ones((30, 30)))))
    return tmp_path


def test_the_command_as_the_readme_writes_it(monkeypatch, capsys, files):
    report = files / "plan.json"
    words = [
        "--design",
        files / "X.npz",
        "--eps",
        "1e-3",
        "1e-1",
        "--json",
        report,
        "--budget",
        0.6,
    ]
    status, out, err = call(monkeypatch, capsys, *words, "--k", "1", "4", "9", "20")
    assert (status, err) == (0, "")
    assert "k = 1 is not possible: k must exceed d2 = 1: take at least 2." in out
    assert "Rounds until the excess is at most 0.001 e_0" in out
    assert "Rounds until the excess is at most 0.1 e_0" in out
    assert "\x1b" not in out
    found = json.loads(report.read_text())
    assert [entry["k"] for entry in found["memory"]] == [4, 9, 20]
    assert found["refused"][0]["k"] == 1
    assert len(found["rows"]) == 3 * 3 * 2 * 2
    assert {row["accuracy"] for row in found["rows"]} == {1e-3, 1e-1}
    for row in found["rows"]:
        if row["k"] == 20 and row["noise"] != "count-sketch":
            assert row["sharper"] == 1
            assert row["measured"]["mean"]["value"] == 1
    first = report.read_bytes()
    assert call(monkeypatch, capsys, *words, "--k", "1,4", "--k=9", "20")[0] == 0
    assert report.read_bytes() == first  # the same however the lists are written
    assert call(monkeypatch, capsys, *words, "--k", "1,4,9,20", "--seed", 1)[0] == 0
    assert report.read_bytes() != first


def test_the_command_with_target_spectrum_and_picture(monkeypatch, capsys, files):
    design, target = files / "X.npz", files / "Y.npy"
    small = ["--k", "5", "--budget", "0.2", "--noise", "whitened"]
    picture = files / "plan.svg"
    status, out, _ = call(
        monkeypatch, capsys, "--design", design, "--target", target, *small, "--plot", picture
    )
    assert status == 0
    assert "Target given (X T* has rank 2)" in out
    assert b"<svg" in picture.read_bytes()
    status, out, _ = call(
        monkeypatch, capsys, "--spectrum", files / "s.npy", "--d1", 50, "--d2", 3, "--assume",
        "worst", *small,
    )  # fmt: skip
    assert status == 0
    assert "50 columns, rank 12" in out
    status, out, _ = call(monkeypatch, capsys, "--instance", "diabetes", *small)
    assert status == 0
    assert "442 x 10, rank 10" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--design", "{X}"], "Missing option '--k'"),
        (["--design", "{X}", "--k"], "--k"),
        (["--design", "{X}", "--k", "4", "x"], "valid integer"),
        (["--design", "{X}", "--k", "0"], "--k"),
        (["--design", "{X}", "--k", "4", "--eps", "1e-3", "1"], "--eps must lie strictly between"),
        (["--design", "{X}", "--k", "4", "--eps", "-1"], "between 0 and 1 (relative to e_0)"),
        (["--design", "{X}", "--k", "4", "--noise", "pink"], "--noise must be one of gaussian"),
        (["--design", "{X}", "--k", "4", "--assume", "best"], "--assume must be one of worst"),
        (["--design", "{X}", "--k", "4", "--confidence", "2"], "--confidence must lie strictly"),
        (["--design", "{X}", "--k", "4", "--budget", "inf"], "--budget must be finite"),
        (["--design", "{X}", "--k", "4", "--trials", "1"], "--trials"),
        (["--design", "{X}", "--k", "2", "1", "--d2", "2"], "--k: k must exceed d2 = 2"),
        (["--k", "4"], "give one of --design, --spectrum and --instance; got none"),
        (["--k", "4", "--design", "{X}", "--spectrum", "{s}"], "got --design and --spectrum"),
        (["--k", "4", "--design", "gone.npy"], "gone.npy: no such file"),
        (["--k", "4", "--design", "{zero}"], "X is zero"),
        (["--k", "4", "--design", "{short}"], "X must be two-dimensional"),
        (["--k", "4", "--spectrum", "{X}"], "one row or column of numbers"),
        (["--k", "4", "--spectrum", "{s}", "--target", "{Y}"], "--target needs --design"),
        (["--k", "4", "--design", "{X}", "--target", "{short}"], "Y has 3 rows but X has 80"),
        (["--k", "4", "--design", "{X}", "--target", "{Y}", "--d2", "2"], "--d2 is the number"),
        (["--k", "4", "--instance", "diabetes", "--assume", "worst"], "--assume is for plans"),
        (["--k", "4", "--design", "{X}", "--d1", "50"], "--d1 goes with --spectrum"),
        (["--k", "4", "--spectrum", "{s}", "--d1", "5"], "cannot have 12 singular values"),
        (["--k", "4", "--instance", "foo"], "no instance 'foo'; choose from flat"),
        (["--k", "4", "--design", "{X}", "--json", "/nonexistent/p"], "/nonexistent does not"),
        (["--k", "4", "--design", "{X}", "--plot", "p.txt"], "unknown suffix '.txt'"),
        (["--k", "4", "--design", "{tangled}", "--max-dense", "3"], "--max-dense; or compute"),
    ],
)
def test_a_mistake_is_one_clear_line(monkeypatch, capsys, files, words, message):
    names = {"X": "X.npz", "Y": "Y.npy", "short": "short.npy", "zero": "zero.npy", "s": "s.npy"}
    names["tangled"] = "tangled.npz"
    paths = {key: str(files / name) for key, name in names.items()}
    status, out, err = call(monkeypatch, capsys, *(word.format(**paths) for word in words))
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert err.startswith("proofs-check: ")
    assert out == ""


def test_files_are_written_whole_or_not_at_all(monkeypatch, capsys, files):
    (files / "taken.json").mkdir()
    words = ["--design", files / "X.npz", "--k", 4, "--budget", 0, "--noise", "whitened"]
    status, _, err = call(monkeypatch, capsys, *words, "--json", files / "taken.json")
    assert status == 2
    assert "--json: could not write" in err
    assert not list(files.glob(".*"))
    old = files / "old.json"
    old.write_text("old")
    made = plan(from_spectrum(np.ones(4), 1, None, BOTH), [3], [0.1], ["whitened"], budget=0)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_json(made, old)
    assert old.read_text() == "old"
    assert not list(files.glob(".*"))


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit(width):
    """Every number is whole, at both widths, even the long ones."""
    setting = from_spectrum(np.geomspace(1, 1e-4, 30), 3, 1_000_000, BOTH)
    made = plan(setting, [2, 8, 16, 4096], [1e-3], budget=1)
    text = StringIO()
    print_plan(made, Console(file=text, width=width, highlight=False))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text.getvalue()
    for row in made.rows:
        assert any(rounds_text(row.sharper) in line for line in lines)
    for needed in made.memory.values():
        assert any(bytes_text(needed.codebook) in line for line in lines)
    assert any(line.startswith("k = 8: ") for line in lines)


def test_report_is_plain_data_without_infinities(tmp_path):
    setting = from_spectrum(np.geomspace(1, 1e-6, 9), 1, None, ["worst"])
    made = plan(setting, [3], [1e-3], ["gaussian"], budget=0.1)
    (row,) = as_dict(made)["rows"]
    assert row["measured"]["mean"] == {"value": None, "lower": None, "upper": None}
    assert row["measured"]["rounds"] >= 1
    json.dumps(as_dict(made), allow_nan=False)
    write_picture(made, tmp_path / "a.pdf")
    write_picture(made, tmp_path / "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_interrupted_plans_say_what_is_known(monkeypatch, capsys, files):
    """Ctrl-C in the middle of the second simulation."""
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            arguments[-1](np.tile([1.0, 0.5], (20, 1)))  # the first piece of work was done
            raise KeyboardInterrupt
        return trajectories(*arguments)

    monkeypatch.setattr(rounds, "trajectories", interrupted)
    words = ["--design", files / "X.npz", "--k", 4, 6, "--budget", 1, "--noise", "whitened"]
    status, out, err = call(monkeypatch, capsys, *words, "--json", files / "p.json")
    assert status == 130
    assert "Traceback" not in out + err
    assert "Interrupted: the simulations are not complete." in out
    found = json.loads((files / "p.json").read_text())
    assert found["interrupted"] is True
    measured = [row["measured"] for row in found["rows"]]
    assert sum(entry is None for entry in measured) == 2
    assert {row["reason"] for row in found["rows"] if row["measured"] is None} == {"interrupted"}
    assert sorted(entry["rounds"] for entry in measured if entry is not None)[0] == 1
    assert all(row["sharper"] for row in found["rows"])


def test_ctrl_c_ends_at_once(files):
    program = (
        "import sys, typer\n"
        "from lsq_sketch.console import run_app\n"
        "from proofs_check.cli.plan import plan_command\n"
        "from proofs_check.planning import rounds\n"
        "from lsq_sketch.variadic import VariadicCommand\n"
        "first = rounds.trajectories\n"
        "def announced(*arguments):\n"
        "    print('begun', flush=True)\n"
        "    return first(*arguments)\n"
        "rounds.trajectories = announced\n"
        "app = typer.Typer(pretty_exceptions_enable=False)\n"
        "app.callback()(lambda: None)\n"
        "app.command('plan', cls=VariadicCommand)(plan_command)\n"
        f"sys.argv = ['proofs-check', 'plan', '--spectrum', {str(files / 'steep.npy')!r},\n"
        "    '--k', '4', '--noise', 'gaussian', '--budget', '1e6']\n"
        "run_app(app, 'proofs-check')\n"
    )
    np.save(files / "steep.npy", np.geomspace(1, 1e-7, 40))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert "Interrupted" in out
