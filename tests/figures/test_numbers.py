"""The numbers in the CSVs: curves named after a claim are the claim's; measurements make sense."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from figures.columns import split
from figures.recipes import (
    claims_forest,
    compression,
    dense_convergence,
    hashing_trick_exact,
    iterations_needed,
    memory,
    recovery,
    sparse_convergence,
    tightness_atlas,
)
from figures.run import Run
from lsq_sketch import BucketMatrix, LeastSquares, resolve
from proofs_check.asymptotics import predicted_excess
from proofs_check.claim import registry as claims
from proofs_check.claims import (
    dense_count_sketch_rate,
    dense_quadrature_rate,
    dense_rate,
    one_hot_exact,
    recovery_probability,
    whitened_law,
    whitened_rate,
)
from proofs_check.floors import codebook_floor
from proofs_check.instances import Instance, catalogue, one_hot
from proofs_check.run import run as judge
from tests.figures.conftest import PROFILE
from tests.figures.reading import read_csv

compiled = pytest.mark.compiled


def numbers(made, name):
    return read_csv(made(name).files["csv"])[1]


# ------------------------------------------------------------------ dense-convergence


def geometric(d1, condition):
    sigma = np.geomspace(1, 1 / condition, d1)
    return sigma, sigma[-1] ** 2 / (sigma @ sigma)


@compiled
def test_dense_convergence_draws_the_claims_own_bounds(made):
    columns = numbers(made, "dense-convergence")
    sizes = dense_convergence.SIZES[PROFILE]
    m, d1, d2 = sizes.m, sizes.d1, sizes.d2
    seen = set()
    for (noise, spectrum), part in by(columns, "noise", "spectrum"):
        condition = dense_convergence.CONDITIONS[spectrum]
        sigma, rho = geometric(d1, condition)
        expected = {
            "dense-rate": [dense_rate.rate(rho, m)] * 2,
            "dense-quadrature-rate": [dense_quadrature_rate.rate(sigma, m, t) for t in (0, d2)],
            "whitened-rate": [whitened_rate.rate(d1, m)] * 2,
            "whitened-law": [whitened_law.rate(d1, m, t) for t in (0, d2)],
            "dense-count-sketch-rate": [dense_count_sketch_rate.rate(rho, m)] * 2,
        }
        i = part["iteration"]
        for name, (first, later) in expected.items():
            if name not in dense_convergence.THEORY[noise]:
                assert np.isnan(part[name]).all()
                continue
            seen.add(name)
            product = np.where(i == 0, 1, first * later ** np.maximum(i - 1.0, 0))
            np.testing.assert_allclose(part[name], product, rtol=1e-9)
    assert seen == set(expected)


def by(columns, *keys):
    """Groups of rows by several columns."""
    groups = [((), columns)]
    for key in keys:
        groups = [
            ((*names, name), rows)
            for names, part in groups
            for name, rows in split(part, key).items()
        ]
    return groups


def test_rates_are_what_the_claims_judge():
    """The functions drawn give the bounds that a run holds beside its trials."""
    rng = np.random.default_rng(0)
    problem = LeastSquares(rng.standard_normal((60, 24)), rng.standard_normal((60, 3)))
    instance = Instance("own", "random", False, lambda: problem)
    m = problem.rank // 4  # the width at which these claims are judged
    law = whitened_law.bounds(instance)
    first, later = (law[stage].value for stage in (whitened_law.FIRST, whitened_law.LATER))
    assert (first, later) == (whitened_law.rate(24, m), whitened_law.rate(24, m, 3))
    (bound,) = whitened_rate.bounds(instance).values()
    assert bound.value == whitened_rate.rate(24, m)
    (bound,) = dense_rate.bounds(instance).values()
    assert bound.value == dense_rate.rate(problem.rho, m)
    (bound,) = dense_count_sketch_rate.bounds(instance).values()
    assert bound.value == dense_count_sketch_rate.rate(problem.rho, m)


@compiled
def test_dense_convergence_prediction_and_monotony(made):
    columns = numbers(made, "dense-convergence")
    sizes = dense_convergence.SIZES[PROFILE]
    for (noise, spectrum, _), part in by(columns, "noise", "spectrum", "targets"):
        assert part["excess median"][0] == 1
        for suffix in ("median", "10%", "90%"):
            assert (np.diff(part[f"excess {suffix}"]) < 0).all()
        if noise == "whitened" or (noise == "gaussian" and spectrum == "flat spectrum"):
            flat = predicted_excess(np.ones(sizes.d1), np.ones((sizes.d1, 1)), sizes.m, 10)
            np.testing.assert_allclose(part["prediction"], flat / flat[0], rtol=1e-6)


# ------------------------------------------------------------------ iterations-needed


def first_round(first, later, accuracy):
    product, i = first, 1
    while product > accuracy:
        product, i = product * later, i + 1
    return i


@compiled
def test_iterations_needed_counts_by_the_claims(made):
    columns, d2 = numbers(made, "iterations-needed"), iterations_needed.D2
    accuracy = iterations_needed.ACCURACY
    for i, noise in enumerate(columns["noise"]):
        d1 = int(columns["d1"][i])
        m = d1 // int(columns["d1 / m"][i])
        sigma, rho = geometric(d1, iterations_needed.CONDITION)
        if noise == "whitened":
            rho = 1 / d1
            law = first_round(whitened_law.rate(d1, m), whitened_law.rate(d1, m, d2), accuracy)
            assert columns["whitened-law"][i] == law
            assert columns["measured"][i] == pytest.approx(law, abs=2 + 0.2 * law)
        else:
            rates = (dense_quadrature_rate.rate(sigma, m, t) for t in (0, d2))
            assert columns["dense-quadrature-rate"][i] == first_round(*rates, accuracy)
            assert columns["measured"][i] < columns["dense-quadrature-rate"][i]
        paper = dense_rate.rate(rho, m)
        assert columns["iteration-count"][i] == first_round(paper, paper, accuracy)


def test_rounds_that_were_not_reached_are_an_error():
    with pytest.raises(RuntimeError, match=r"still 5\.00e-01 after 1 rounds"):
        iterations_needed.first_below(np.array([1.0, 0.5]))
    assert iterations_needed.first_below(np.array([1.0, 0.5, 1e-4, 1e-9])) == 2


# ------------------------------------------------------------------ hashing-trick-exact


def test_hashing_trick_exact_is_the_claims_bound(made):
    """At m = d1/4, the width at which the claim is judged, to the bit of its bounds function."""
    columns = numbers(made, "hashing-trick-exact")
    sizes = hashing_trick_exact.SIZES[PROFILE]
    run = Run("hashing-trick-exact", 0, PROFILE)
    for name, exponent in hashing_trick_exact.EXPONENTS.items():
        seed = run.sequence(name)
        weights, table = hashing_trick_exact.frequencies_and_table(sizes, exponent, seed)
        ids = np.repeat(np.arange(sizes.d1), weights.astype(int))
        instance = Instance(
            "own", "one field", False, lambda ids=ids, t=table: LeastSquares(one_hot(ids), t[ids])
        )
        (bound,) = one_hot_exact.bounds(instance).values()
        part = split(columns, "frequencies")[name]
        at = part["buckets"] == one_hot_exact.width(instance)
        assert at.sum() == 1
        np.testing.assert_allclose(part["one-hot-exact"][at], bound.value, rtol=1e-9)


def test_hashing_trick_exact_goes_through_the_points(made):
    columns = numbers(made, "hashing-trick-exact")
    error = (columns["upper"] - columns["lower"]) / 2 / hashing_trick_exact.NORMAL_95
    assert (np.abs(columns["mean"] - columns["one-hot-exact"]) < 6 * error + 1e-12).all()


# ------------------------------------------------------------------ tightness-atlas


def test_tightness_atlas_is_the_ratio_of_logarithms(made):
    columns, d1 = numbers(made, "tightness-atlas"), tightness_atlas.SIZES[PROFILE].d1
    for i, condition in enumerate(columns["condition"]):
        sigma, rho = geometric(d1, condition)
        m = int(columns["m"][i])
        bounds = {
            "dense-rate": dense_rate.rate(rho, m),
            "dense-quadrature-rate": dense_quadrature_rate.rate(sigma, m),
        }
        for name, bound in bounds.items():
            np.testing.assert_allclose(columns[name][i], bound, rtol=1e-9)
            factor = math.log(columns["measured"][i]) / math.log(bound)
            np.testing.assert_allclose(columns[f"factor of {name}"][i], factor, rtol=1e-6)
    worst = columns["condition"] == columns["condition"].max()
    random = columns["target"] == tightness_atlas.RANDOM
    assert (columns["factor of dense-rate"][worst & random] > 3).all()


# ------------------------------------------------------------------ recovery


@compiled
def test_recovery_draws_the_claims_guarantee(made):
    columns = split(numbers(made, "recovery"), "algorithm")[recovery.DENSE]
    sizes = recovery.SIZES[PROFILE]
    instance = recovery.planted(sizes)
    start = 16 * (recovery.ROWS**2).mean() * sizes.d1  # e_0, sigma_r = delta = 1
    np.testing.assert_allclose(recovery_probability.scale(instance), start, rtol=1e-9)
    for m, part in split(columns, "width").items():
        c = dense_count_sketch_rate.rate(1 / sizes.d1, int(float(m)))
        expected = np.maximum(0, 1 - start * c ** part["round"])
        np.testing.assert_allclose(part["recovery-probability"], expected, atol=1e-9)
    # where the claim is judged: its first round at which the bound is at most 1/2
    i, bound = recovery_probability.rounds_and_bound(instance)
    drawn = recovery.guarantee(sizes, instance.width, np.array([i - 1, i]))
    np.testing.assert_allclose(drawn[1], 1 - bound, rtol=1e-9)
    assert drawn[0] < 0.5 <= drawn[1]


@compiled
def test_recovery_beats_its_guarantee_and_ends_in_certainty(made):
    columns = split(numbers(made, "recovery"), "algorithm")
    dense, sizes = columns[recovery.DENSE], recovery.SIZES[PROFILE]
    error = 1 / math.sqrt(sizes.trials)
    assert (dense["recovered"] >= dense["recovery-probability"] - error).all()
    assert dense["recovered"][-1] == 1
    assert np.isnan(columns[recovery.SPARSE]["recovery-probability"]).all()


# ------------------------------------------------------------------ sparse-convergence


@compiled
def test_sparse_convergence_draws_the_claims_bound(made):
    columns, sizes = numbers(made, "sparse-convergence"), sparse_convergence.SIZES[PROFILE]
    m, rho = sizes.k // 2, 1 / sizes.d1
    c = 1 - m * rho / (1 + rho + m * rho)
    for part in split(columns, "table").values():
        bound = part["sparse-neighbourhood"]
        assert np.isnan(bound[:2]).all()
        right = np.sqrt(part["excess"][1:-1]) + np.sqrt(part["quantisation"][1:-1])
        np.testing.assert_allclose(bound[2:], c * right**2, rtol=1e-9)
        assert (part["excess"][2:] <= bound[2:] * 1.2).all()  # the claim is on the mean
        assert part["excess"][0] == pytest.approx(1)


@compiled
def test_sparse_convergence_is_measured_on_the_tables_it_names():
    sizes = sparse_convergence.SIZES[PROFILE]
    rng = np.random.default_rng(0)
    exact = sparse_convergence.build(sizes, 0.0, rng)
    assert len(np.unique(np.round(exact.optimum, 9), axis=0)) <= sizes.distinct
    np.testing.assert_allclose(exact.rho, 1 / sizes.d1, rtol=1e-9)
    random = sparse_convergence.build(sizes, None, rng)
    assert len(np.unique(np.round(random.optimum, 9), axis=0)) == sizes.d1


# ------------------------------------------------------------------ compression


@compiled
def test_compression_keeps_its_promises(made):
    columns = numbers(made, "compression")
    for (_, k), part in by(columns, "problem", "k"):
        excess = dict(zip(part["method"].tolist(), part["median"].tolist(), strict=True))
        assert set(excess) == {*compression.METHODS, compression.BEST, compression.FLOOR}
        assert all(0 <= value <= 1 + 1e-9 for value in excess.values())
        assert excess["alternating"] < excess["count-sketch"]
        np.testing.assert_allclose(part["parameters / d1"], float(k) / part["parameters / d1"][0]
                                   * part["parameters / d1"][0] ** 2 / float(k))  # fmt: skip


@compiled
def test_compression_floor_is_the_bound_and_no_codebook_goes_below(made):
    columns, sizes = numbers(made, "compression"), compression.SIZES[PROFILE]
    cases = {name: build(sizes) for name, build in compression.PROBLEMS.items()
             if name not in compression.REAL}  # fmt: skip
    for (name, k), part in by(columns, "problem", "k"):
        series = split(part, "method")
        floor, best = (series[key]["median"][0] for key in (compression.FLOOR, compression.BEST))
        problem = cases[name].problem
        bound = codebook_floor(problem, int(float(k)), cases[name].fields)
        assert floor == pytest.approx(bound / problem.excess(np.zeros((problem.d1, problem.d2))))
        assert 0 < floor <= best * (1 + 1e-9)
        for method in compression.CODEBOOKS:
            for quantile in ("10%", "median", "90%"):
                assert best <= series[method][quantile][0] * (1 + 1e-9)
        if name == "one field, Zipf":
            assert floor == pytest.approx(best, rel=1e-9)


@compiled
@pytest.mark.parametrize("kind", ["one field", "two fields"])
def test_compression_floor_and_best_codebook_on_every_codebook(kind):
    """A problem so small that all assignments can be tried, and every trial of every method."""
    rng = np.random.default_rng(3)
    ids = [rng.permutation(np.arange(24) % size) for size in (3, 4)]
    if kind == "one field":
        case = compression.Case(
            LeastSquares(one_hot(np.arange(24) % 7), rng.standard_normal((24, 2)))
        )
    else:
        X = one_hot(*ids)
        case = compression.Case(
            LeastSquares(X, rng.standard_normal((24, 2))), np.arange(7) // 3 > 0
        )
    problem, k, trials = case.problem, 2, 10
    least = 0.0
    for column in problem.Y.T:
        single = LeastSquares(problem.X, column)
        labels = itertools.product(range(k), repeat=7)
        least += min(resolve(single, BucketMatrix(a, k)).excess for a in labels)
    least /= problem.excess(np.zeros((7, 2)))
    part = compression.measure(
        lambda: case, k, trials, np.random.SeedSequence(0), lambda done, total: None
    )
    excess = dict(zip(part["method"].tolist(), part["median"].tolist(), strict=True))
    floor, best = excess[compression.FLOOR], excess[compression.BEST]
    assert floor <= least * (1 + 1e-9)
    assert best == pytest.approx(least, rel=1e-9)
    if kind == "one field":
        assert floor == pytest.approx(least, rel=1e-9)
    else:
        assert floor > 0.2 * least
    for name in compression.CODEBOOKS:
        for rng in np.random.default_rng(1).spawn(trials):
            found = compression.METHODS[name](case, k, rng) / problem.excess(np.zeros((7, 2)))
            assert found >= least * (1 - 1e-9)


@compiled
def test_compression_knows_the_real_problems():
    """MovieLens has one target: one block, in which CE is the hashing trick and is left out."""
    sizes = compression.Sizes((48, 4), (64, 4), (4,), 1, 1)
    seed = np.random.SeedSequence(0)
    shapes = {"MovieLens": (9737, 1), "flights": (4043, 3)}
    for name in compression.REAL:
        case = compression.PROBLEMS[name](sizes)
        assert (case.problem.d1, case.problem.d2) == shapes[name]
        part = compression.measure(lambda case=case: case, 16, 1, seed, lambda done, total: None)
        excess = dict(zip(part["method"].tolist(), part["median"].tolist(), strict=True))
        assert ("ce" in excess) == (case.blocks > 1)
        assert excess["alternating"] < 0.1 * excess["hash"] < 0.1 * excess["count-sketch"]
        floor, best = excess[compression.FLOOR], excess[compression.BEST]
        assert floor <= best < excess["alternating"]
        assert best < (5 if name == "MovieLens" else 1 + 1e-6) * floor
    assert set(compression.PROBLEMS) >= {"MovieLens", "planted clusters", "one field, Zipf"}


@compiled
def test_compression_draws_where_the_optimum_lies(made):
    """The band is what lies between the two lines; only exact panels say so."""
    for ax, (name, part) in zip(
        made("compression").drawing.axes,
        split(numbers(made, "compression"), "problem").items(), strict=False,
    ):  # fmt: skip
        series = split(part, "method")
        (band,) = ax.collections
        edges = {tuple(point) for point in band.get_paths()[0].vertices.tolist()}
        for key in (compression.FLOOR, compression.BEST):
            assert set(zip(series[key]["k"], series[key]["median"], strict=True)) <= edges
        notes = "".join(text.get_text() for text in ax.texts)
        assert ("floor reached" in notes) == (name == "one field, Zipf")


# ------------------------------------------------------------------ pictures of objects


def test_sketch_gallery_shows_what_the_methods_are(made):
    columns = numbers(made, "sketch-gallery")
    entries = Counter()
    for (method, block), part in by(columns, "method", "block"):
        rows = part["value"].reshape(int(part["row"].max()) + 1, -1)
        if method == "Gaussian":
            assert (rows != 0).all()
            continue
        assert set(np.unique(rows)) <= {-1.0, 0.0, 1.0}
        assert (np.abs(rows).sum(axis=1) == 1).all()  # one entry a row in each block
        signed = (rows < 0).any()
        is_sketch = method in ("count sketch", "CCE before clustering")
        assert signed == (is_sketch or (method == "CCE after clustering" and float(block) == 1))
        entries[method] += 1
    assert entries == {
        "hashing trick": 1, "count sketch": 1, "sum of hashes": 2, "CE": 2, "QR": 2, "PQ": 2,
        "RQ": 2, "CCE before clustering": 1, "CCE after clustering": 2, "alternating CCE": 1,
    }  # fmt: skip
    after = split(columns, "method")["CCE after clustering"]
    clusters = split(after, "block")["0.0"]
    A = clusters["value"].reshape(32, -1)
    planted = np.repeat(np.arange(4), 8)
    for column in A.T[A.sum(axis=0) > 0]:
        assert len(set(planted[column > 0].tolist())) == 1  # no cluster mixes planted ones


def test_method_is_a_run_that_ends_in_the_truth(made):
    columns = numbers(made, "method")
    rounds = list(split(columns, "round").values())
    assert rounds[0]["excess"][0] > 0.1
    assert rounds[-1]["excess"][0] < 1e-12
    for part in rounds:
        for axis in "xy":
            for cluster in np.unique(part["cluster"]):
                mine = part["cluster"] == cluster
                mean = part[f"row {axis}"][mine].mean()
                np.testing.assert_allclose(part[f"codeword {axis}"][mine], mean, atol=1e-9)
    last = rounds[-1]
    for cluster in np.unique(last["cluster"]):
        assert np.unique(last["true cluster"][last["cluster"] == cluster]).size == 1


# ------------------------------------------------------------------ claims-forest


@compiled
def test_claims_forest_is_the_judges_report(made):
    columns = numbers(made, "claims-forest")
    names, instances = claims_forest.scope(PROFILE)
    report = judge([claims()[name] for name in names], instances, seed=0)
    assert len(report.findings) == len(columns["claim"])
    found = {(f.claim, f.instance, f.stage): f for f in report.findings}
    for i, claim in enumerate(columns["claim"]):
        finding = found[claim, columns["instance"][i], columns["of"][i]]
        assert columns["mean"][i] == finding.mean
        assert columns["verdict"][i] == finding.verdict.value
        if finding.kind.value == "deterministic":
            assert columns["high"][i] <= 1
            continue
        low, high = (columns[key][i] * finding.bound for key in ("low", "high"))
        np.testing.assert_allclose([low, high], [finding.lower, finding.upper], rtol=1e-12)


def test_claims_forest_judges_all_true_claims_on_all_instances():
    names, instances = claims_forest.scope("full")
    assert set(names) == {claim.id for claim in claims().values() if not claim.is_false}
    assert set(instances) == set(catalogue())
    assert set(claims_forest.scope("quick")[1]) == set(catalogue()) - set(claims_forest.LARGE)


# ------------------------------------------------------------------ memory, one-shot-stages


@compiled
def test_memory_is_measured_and_counted(made):
    columns, sizes = numbers(made, "memory"), memory.SIZES[PROFILE]
    methods = split(columns, "method")
    np.testing.assert_array_equal(methods["full"]["stored"], methods["full"]["table"])
    assert (methods["hash"]["stored"] == 8 * sizes.k * memory.D2).all()
    assert (columns["training"] > 0).all()
    for part in methods.values():
        np.testing.assert_array_equal(part["table"], 8 * memory.D2 * part["d1"])


@compiled
def test_hashing_needs_less_memory_than_the_table_and_the_table_at_least_itself():
    rng = np.random.default_rng(0)
    problem = memory.build(2000, 2**15, rng)
    table = 8 * 2**15 * memory.D2
    assert memory.peak_of(memory.METHODS["hash"], problem, 16) < table
    assert memory.peak_of(memory.METHODS["full"], problem, 16) >= table


def test_peak_counts_what_is_allocated():
    peak = memory.peak_of(lambda problem, k, rng: np.ones(k).sum(), None, 10**6)
    assert 8e6 <= peak < 8.1e6


def test_one_shot_stages_keep_their_order(made):
    """Re-solving never raises the loss, trial by trial: so every quantile is ordered too."""
    columns = made("one-shot-stages").columns
    for suffix in ("median", "10%", "90%"):
        resolved, clustered = columns[f"resolved {suffix}"], columns[f"clustered {suffix}"]
        assert (resolved <= clustered * (1 + 1e-9)).all()
        assert (resolved > 0).all()
    for part in split(columns, "problem").values():
        assert np.unique(part["k-means-of-optimum median"]).size == 1
        assert (part["k"] == part["k"][0] * part["k / d1"] / part["k / d1"][0]).all()
