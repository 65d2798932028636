"""Adversarial evidence: searches find what refutes the false and nothing that refutes the true."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lsq_sketch import LeastSquares
from proofs_check.claim import Bound, Kind, registry
from proofs_check.finding import Certainty, Evidence, LeftOut, Verdict
from proofs_check.instances import (
    Instance,
    InstanceError,
    catalogue,
    from_files,
    load_instance,
    save_instance,
)
from proofs_check.profile import PROFILES
from proofs_check.search import search
from proofs_check.search.candidate import MAX_D1, MAX_ROWS, Limits, build, draw, mutate
from proofs_check.search.objective import score, tightness
from proofs_check.verify import examine
from tests.strategies import seeds

QUICK = PROFILES["quick"]


def found(claim, evaluations, seed=0, alpha=1e-3):
    return search(
        registry()[claim], profile=QUICK, alpha=alpha, seed=seed, evaluations=evaluations
    )  # fmt: skip


# ------------------------------------------------------------------ what it must find


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("claim", "evaluations"),
    [
        ("false-dense-rate-by-dimension", 150),
        ("false-whitened-law-without-d2", 250),
        ("false-count-sketch-second-moment-diagonal", 30),
        ("false-sketch-solve-rate-linear", 150),
        ("false-sparse-monotone", 30),
        ("false-cluster-recovery-radius", 250),
        ("false-kmeanspp-constant-one", 150),
        ("false-one-hot-exact-mean-frequency", 150),
    ],
)
def test_every_false_statement_is_refuted_from_random_instances(claim, evaluations):
    """Every one, from every one of two seeds; the true twin is not refuted on what refuted it."""
    for seed in range(2):
        worst = found(claim, evaluations, seed).worst[0]
        assert worst.finding.verdict is Verdict.REFUTED
        assert worst.finding.evidence is Evidence.SEARCH
        fewer = replace(QUICK, trials=256)
        twin = examine(registry()[registry()[claim].twin], worst.instance, fewer, seed, 1e-6)
        if not isinstance(twin, LeftOut):
            assert Verdict.REFUTED not in [finding.verdict for finding in twin]


@pytest.mark.compiled
def test_attained_bounds_are_found_tight():
    """One bucket and orthogonal columns make the instance form an equality."""
    tight = {w.finding.stage: w.tightness for w in found("sketch-solve-rate", 250).worst}
    assert tight["instance form"] > 0.97
    assert 0.6 < tight["by rho"] < 1


@pytest.mark.compiled
def test_every_upper_bound_has_a_best_ratio():
    """Also where it is exact, and judged as an equality; no other claim has one."""
    for claim in ("dense-quadrature-rate", "kmeanspp", "whitened-law", "excess-identity"):
        bounded = registry()[claim].kind is Kind.UPPER_BOUND
        for worst in found(claim, 60).worst:
            assert np.isfinite(worst.ratio) == np.isfinite(worst.tightness) == bounded


@pytest.mark.compiled
@pytest.mark.parametrize(
    "claim", [claim.id for claim in registry().values() if not claim.is_false]
)  # fmt: skip
def test_nothing_true_is_refuted(claim):
    """A short search of every true claim, with a chance of 1e-6 each of a false alarm."""
    result = found(claim, 40, seed=2, alpha=1e-6)
    assert [f.stage for f in result.findings if f.verdict is Verdict.REFUTED] == []
    assert result.worst or result.left_out is not None


# ------------------------------------------------------------------ honesty


def made_up(trial, bound=0.5, kind=Kind.UPPER_BOUND):
    claim = registry()["dense-rate"]
    return replace(
        claim, kind=kind, bounds=lambda instance: {"stage": Bound(bound)}, trial=trial,
        check_bound_cost=lambda *_: None, check_trial_cost=lambda *_: None,
    )  # fmt: skip


def coin(instance, rng):
    return [("stage", float(rng.integers(0, 2)))]


def test_a_search_among_equals_raises_no_false_alarm():
    """All instances attain the bound 1/2, and the search picks the luckiest: still 1/2 afterwards.

    False-alarm rate of this test 1e-6 (binomial tail, half of alpha on each side).
    """
    results = [
        search(made_up(coin), profile=QUICK, alpha=0.2, seed=seed, evaluations=40)
        for seed in range(25)
    ]
    verdicts = [result.worst[0].finding.verdict for result in results]
    assert verdicts.count(Verdict.REFUTED) <= stats.binom.isf(1e-6, 25, 0.1)
    assert verdicts.count(Verdict.CONFIRMED) <= stats.binom.isf(1e-6, 25, 0.1)


def test_a_planted_counterexample_is_found_and_stays_one():
    """Refuted by designs of more than 20 columns alone; by every trial on them."""

    def trial(instance, rng):
        return [("stage", float(rng.random() * (1.0 if instance.problem.d1 > 20 else 0.7)))]

    claim = made_up(trial, 0.42)
    (worst,) = search(claim, profile=QUICK, alpha=1e-6, seed=0, evaluations=400).worst
    assert worst.finding.verdict is Verdict.REFUTED
    assert worst.instance.problem.d1 > 20


def test_a_counterexample_to_a_deterministic_claim_is_kept():
    """It shows in few trials; the one that showed it is drawn again for the verdict."""

    def trial(instance, rng):
        return [("stage", -1.0 if rng.random() < 0.003 else 1.0)]

    claim = made_up(trial, 1e-12, Kind.DETERMINISTIC)
    (worst,) = search(claim, profile=QUICK, alpha=0.01, seed=1, evaluations=300).worst
    assert worst.finding.verdict is Verdict.REFUTED
    assert worst.finding.certainty is Certainty.ROUNDING
    assert worst.finding.slack == -1.0
    assert worst.instance.provenance.trial[2] == 1


def test_what_is_not_finite_or_refused_is_no_counterexample():
    def trial(instance, rng):
        if instance.problem.d1 % 3 == 1:
            return [("stage", np.nan)]
        if instance.problem.d1 % 3 == 2:
            raise ValueError("X has largest magnitude 1e200")
        return [("stage", 1.0)]

    claim = made_up(trial, 1e-12, Kind.DETERMINISTIC)
    result = search(claim, profile=QUICK, alpha=0.01, evaluations=100)
    assert result.findings[0].verdict is Verdict.CONFIRMED
    reasons = dict(result.inapplicable)
    assert reasons["an observation is not finite"] > 0
    assert reasons["refused: X has largest magnitude 1e200"] > 0


def test_a_fault_is_not_swallowed():
    def trial(instance, rng):
        raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError) as caught:
        search(made_up(trial), profile=QUICK, alpha=0.01, evaluations=100)
    assert "spawn_key" in caught.value.__notes__[0]


def test_nothing_applies():
    claim = registry()["cluster-recovery"]

    def bounds(instance):
        return claim.bounds(catalogue()["flat"])  # whose optimum has no clusters

    result = search(replace(claim, bounds=bounds), profile=QUICK, alpha=0.01, evaluations=20)
    assert result.worst == ()
    assert "none of 20 random instances met the hypotheses" in result.left_out.reason
    assert result.left_out.evidence is Evidence.SEARCH


def test_a_budget_for_nothing():
    reason = found("dense-rate", 5).left_out.reason
    assert reason == "a budget of 5 evaluations ends before the first trial"


# ------------------------------------------------------------------ repetition and interruption


def same(first, second):
    assert [w.finding for w in first.worst] == [w.finding for w in second.worst]
    for a, b in zip(first.worst, second.worst, strict=True):
        np.testing.assert_array_equal(*(as_dense(w.instance.problem.X) for w in (a, b)))
        np.testing.assert_array_equal(a.instance.problem.Y, b.instance.problem.Y)
        assert a.instance.provenance == b.instance.provenance


def as_dense(X):
    return X if isinstance(X, np.ndarray) else X.toarray()


def test_same_seed_same_bits():
    first = found("sketch-solve-rate", 60)
    same(first, found("sketch-solve-rate", 60))
    other = found("sketch-solve-rate", 60, seed=1)
    assert other.worst[0].finding != first.worst[0].finding


def test_a_search_by_seconds_can_be_repeated_by_its_evaluations():
    claim = registry()["row-sketch-embedding"]
    first = search(claim, profile=QUICK, alpha=0.01, seed=3, seconds=0.3)
    assert first.evaluations > 0
    same(first, search(claim, profile=QUICK, alpha=0.01, seed=3, evaluations=first.evaluations))


def test_ctrl_c_keeps_what_is_known():
    def progress(evaluations):
        if evaluations == 45:
            raise KeyboardInterrupt

    claim = registry()["row-sketch-embedding"]
    result = search(claim, profile=QUICK, alpha=0.01, evaluations=10**9, progress=progress)
    assert result.interrupted
    assert result.evaluations == 45
    assert result.findings[0].observations > 0
    assert result.seconds < 20


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({}, "needs a budget"),
        ({"seconds": 0}, "seconds must be positive, got 0"),
        ({"evaluations": -1}, "evaluations must be positive, got -1"),
    ],
)
def test_a_search_without_budget(budget, message):
    with pytest.raises(ValueError, match=message):
        search(registry()["dense-rate"], profile=QUICK, alpha=0.01, **budget)


# ------------------------------------------------------------------ candidates and the objective


@given(seeds, st.sampled_from([Limits(4, 0), Limits(8, 100)]))
def test_candidates_stay_within_their_limits(seed, limits):
    rng = np.random.default_rng(seed)
    candidate = draw(rng, limits)
    for _ in range(30):
        candidate = mutate(candidate, 2.0, rng, limits)
        assert 1 <= candidate.width <= candidate.d <= MAX_D1
        assert np.ptp(candidate.log_spectrum) <= limits.condition
        assert abs(candidate.log_scale_X) <= limits.scale
    problem = build(candidate)
    assert problem.n <= MAX_ROWS + MAX_D1
    assert problem.d1 == candidate.d + candidate.copies + candidate.zeros
    np.testing.assert_array_equal(as_dense(build(candidate).X), as_dense(problem.X))


@given(seeds)
def test_dense_candidates_have_the_spectrum_they_say(seed):
    rng = np.random.default_rng(seed)
    candidate = replace(
        draw(rng, Limits(4, 0)), design="spectrum", copies=0, zeros=0, extra_rows=3
    )  # fmt: skip
    expected = np.sort(10.0**candidate.log_spectrum)[::-1]
    np.testing.assert_allclose(build(candidate).singular_values, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("mean", "bound", "expected"),
    [
        (0.25, 0.5, 0.5),
        (0.5, 0.5, 1.0),
        (0.98, 0.99, 0.5),  # half of what is gained is promised
        (0.9, 0.8, 1.125),  # fails: above 1 in both senses
        (0.5, 1.0, 0.0),
        (0.5, 0.0, 2.0),
        (1.0, 0.5, 2.0),
        (0.0, 0.0, 0.0),
    ],
)
def test_tightness(mean, bound, expected):
    assert tightness(mean, bound) == pytest.approx(expected)


def test_few_trials_never_score_above_what_many_confirm():
    values = np.full(8, 0.5)
    scores = [score(np.tile(values, k), Bound(0.5), Kind.UPPER_BOUND) for k in (1, 8, 64)]
    assert scores == sorted(scores)
    assert scores[-1] < 1
    assert score(np.array([0.5, -1e-9]), Bound(1e-10), Kind.DETERMINISTIC) == pytest.approx(10)
    rare = np.append(np.ones(99), 0.5)
    assert score(rare, Bound(0.99), Kind.UPPER_BOUND) < tightness(rare.mean(), 0.99)


# ------------------------------------------------------------------ saved instances


def test_a_found_instance_is_saved_and_runs_again(tmp_path):
    """The same trials as in the search's last word: same name, same seed, same numbers."""
    worst = found("false-sketch-solve-rate-linear", 60).worst[0]
    path = tmp_path / "worst.npz"
    save_instance(worst.instance, path)
    again = load_instance(path)
    assert again.provenance == worst.instance.provenance
    assert again.width == worst.instance.width == worst.finding.width
    claim = registry()["false-sketch-solve-rate-linear"]
    profile = replace(QUICK, trials=worst.finding.trials)
    (finding,) = examine(claim, again, profile, 0, worst.finding.alpha)
    assert (finding.bound, finding.verdict) == (worst.finding.bound, worst.finding.verdict)
    assert from_files(path).name == worst.instance.name


@pytest.mark.parametrize("name", ["zipf-one-hot", "rank-deficient"])
def test_saving_keeps_every_bit(tmp_path, name):
    instance = replace(catalogue()[name], description="Zählung – ℓ₂")
    for file in ("a.npz", "b.npz"):
        save_instance(instance, tmp_path / file)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_instance(tmp_path / "a.npz")
    np.testing.assert_array_equal(as_dense(again.problem.X), as_dense(instance.problem.X))
    assert isinstance(again.problem.X, type(instance.problem.X))
    np.testing.assert_array_equal(again.problem.Y, instance.problem.Y)
    assert (again.name, again.description, again.real) == (name, "Zählung – ℓ₂", False)
    assert again.given_width is None
    assert again.provenance is None
    assert again.width == instance.width


def fields_of(instance, tmp_path):
    save_instance(instance, tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "proofs_check instance, version 0"}, "format 'proofs_check instance, version"),
        ({"format": None}, "format 'none'"),
        ({"Y": None}, "field 'Y' is missing"),
        ({"Y": np.ones((3, 1))}, "Y has 3 rows but X has 1610"),
        ({"Y": np.array([{}], dtype=object)}, "could not be read"),
        ({"X_indices": np.full(1610, 99)}, "not a valid instance"),
        ({"X_indptr": np.arange(5)}, "not a valid instance"),
        ({"X_data": None}, "field 'X_data' is missing"),
        ({"width": 0}, "width 0; expected at least 1"),
        ({"width": "many"}, "not a valid instance"),
        ({"provenance": "{"}, "not a valid instance"),
        ({"provenance": '{"trial": []}'}, "not a valid instance"),
    ],
)
def test_damaged_instances_are_refused_with_a_message(tmp_path, changes, message):
    fields = {**fields_of(catalogue()["zipf-one-hot"], tmp_path), **changes}
    path = tmp_path / "bad.npz"
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    with pytest.raises(InstanceError, match=message) as caught:
        load_instance(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_instances(tmp_path):
    with pytest.raises(InstanceError, match=r"nowhere\.npz: no such file"):
        load_instance(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("X,Y\n1,2\n")
    with pytest.raises(InstanceError, match="could not be read"):
        load_instance(tmp_path / "text.npz")
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(InstanceError, match="could not be read"):
        load_instance(tmp_path / "array.npy")
    sp.save_npz(tmp_path / "sparse.npz", sp.eye_array(3).tocsr())
    with pytest.raises(InstanceError, match="a design and a target, in two files"):
        load_instance(tmp_path / "sparse.npz")
    whole = tmp_path / "whole.npz"
    save_instance(catalogue()["flat"], whole)
    for size in (0, 40, whole.stat().st_size // 2, whole.stat().st_size - 10):
        (tmp_path / "torn.npz").write_bytes(whole.read_bytes()[:size])
        with pytest.raises(InstanceError, match="could not be read"):
            load_instance(tmp_path / "torn.npz")


def test_a_flipped_byte_is_noticed(tmp_path):
    save_instance(catalogue()["flat"], tmp_path / "flat.npz")
    content = bytearray((tmp_path / "flat.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "flat.npz").write_bytes(content)
    with pytest.raises(InstanceError, match="could not be read"):
        load_instance(tmp_path / "flat.npz")


def test_instances_that_cannot_be_saved(tmp_path):
    instance = Instance("tiny", "", False, lambda: LeastSquares(np.eye(2), np.ones(2)))
    with pytest.raises(InstanceError, match=r"give a name that ends in \.npz"):
        save_instance(instance, tmp_path / "tiny.csv")
    with pytest.raises(InstanceError, match="could not be written"):
        save_instance(instance, tmp_path / "missing" / "tiny.npz")


@pytest.mark.compiled
@settings(max_examples=3)
@given(seeds)
def test_saved_instances_run_the_same_anywhere(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    instance = Instance("drawn", "", False, lambda: build(draw(rng, Limits(4, 0))), 2)
    path = tmp_path_factory.mktemp("saved") / "drawn.npz"
    save_instance(instance, path)
    claim = registry()["excess-identity"]
    assert examine(claim, load_instance(path), QUICK, 0, 0.01) == examine(
        claim, instance, QUICK, 0, 0.01
    )
