"""Exact evidence as a whole: proofs, refutations, and clear reasons where there is neither."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import scipy.sparse as sp

from lsq_sketch import LeastSquares
from proofs_check.claim import registry
from proofs_check.claims import count_sketch_second_moment, dense_count_sketch_rate
from proofs_check.exact import ADVICE, effort, examine_exactly
from proofs_check.exact.effort import Arithmetic, Effort
from proofs_check.exact.expectation import by_rho
from proofs_check.exact.past import ClusteredTable, Clusters, Table
from proofs_check.exact.rational import integers
from proofs_check.exact.small import SmallProblem, draw_small
from proofs_check.finding import Certainty, Evidence, Finding, LeftOut, Verdict
from proofs_check.instances import Instance, catalogue, one_hot
from proofs_check.profile import PROFILES

QUICK = PROFILES["quick"]
CLAIMS = registry()
TRUE = [claim for claim in CLAIMS.values() if claim.exact and not claim.is_false]


def made(X, Y, name="made", width=None):
    return Instance(name, "for a test", False, lambda: LeastSquares(X, Y), width)


def gaussian(d1=3, d2=2, seed=0):
    rng = np.random.default_rng(seed)
    return made(rng.standard_normal((8, d1)), rng.standard_normal((8, d2)))


def orthonormal(d1=3):
    X = np.linalg.qr(np.random.default_rng(0).standard_normal((8, d1)))[0]
    return made(X, np.random.default_rng(1).standard_normal((8, 2)))


def zipf():
    ids = np.repeat(np.arange(4), [9, 4, 2, 1])
    return made(one_hot(ids), np.random.default_rng(1).standard_normal((ids.size, 2)))


def small_instances():
    """Few columns, so that a run without compilation is quick."""
    return {"gaussian": gaussian(), "orthonormal": orthonormal(), "zipf": zipf()}


def examined(name, instance, certify=True, seed=0):
    found = examine_exactly(CLAIMS[name], instance, QUICK, seed, certify)
    assert isinstance(found, list), found
    return found


# ------------------------------------------------------------------ true claims


@pytest.mark.parametrize("claim", TRUE, ids=lambda claim: claim.id)
@pytest.mark.parametrize("name", small_instances())
def test_true_claims_are_proved(claim, name):
    """Every stage of every claim that applies, to the last; the floats say the same."""
    instance = small_instances()[name]
    proofs = examine_exactly(claim, instance, QUICK, 3, True)
    floats = examine_exactly(claim, instance, QUICK, 3, False)
    if isinstance(proofs, LeftOut):
        assert isinstance(floats, LeftOut)
        assert not proofs.costly
        return
    for finding in proofs:
        assert (finding.verdict, finding.evidence) == (Verdict.CONFIRMED, Evidence.EXACT), finding
        assert finding.alpha == 0
        assert finding.lower <= finding.mean <= finding.upper
        attained = claim.id == "codebook-sandwich" and name == "orthonormal"  # both sides equal
        assert finding.certainty is Certainty.PROOF or attained
    by_stage = {finding.stage: finding for finding in proofs}
    for finding in floats:
        assert finding.verdict is Verdict.CONFIRMED
        assert finding.certainty is Certainty.ROUNDING
        assert finding.mean == pytest.approx(by_stage[finding.stage].mean, rel=1e-8, abs=1e-10)
        assert finding.bound == pytest.approx(by_stage[finding.stage].bound, rel=1e-8)


def test_each_claim_with_exact_evidence_is_proved_somewhere():
    proved = set()
    for claim in TRUE:
        for instance in small_instances().values():
            found = examine_exactly(claim, instance, QUICK, 3, True)
            proved |= {claim.id} if isinstance(found, list) else set()
    assert proved == {claim.id for claim in TRUE}
    assert proved >= {
        "count-sketch-unbiased", "count-sketch-second-moment", "count-sketch-inner-product",
        "row-sketch-moment", "row-sketch-embedding", "dense-rate", "dense-first-column-exact",
        "dense-quadrature-rate", "whitened-rate", "dense-count-sketch-rate", "sketch-solve-rate",
        "orthonormal-exact", "one-hot-exact", "sparse-step", "sparse-neighbourhood",
    }  # fmt: skip


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["flat", "geometric-1000", "zipf-one-hot", "digits"])
def test_on_instances_of_the_catalogue(name):
    """Nothing true is refuted or undecided; hardly anything rests on rounding."""
    instance = catalogue()[name]
    findings = []
    for claim in TRUE:
        found = examine_exactly(claim, instance, QUICK, 0, True)
        findings += found if isinstance(found, list) else []
    assert len(findings) > 20
    assert all(finding.verdict is Verdict.CONFIRMED for finding in findings)
    assert sum(finding.certainty is not Certainty.PROOF for finding in findings) <= 1
    sketched = [f for f in findings if f.claim == "sketch-solve-rate"]
    assert {(f.trials, f.width) for f in sketched} == {(46_656, 3)}
    assert all("columns" in f.stage and " of " in f.stage for f in sketched)


# ------------------------------------------------------------------ false statements


@pytest.mark.compiled
@pytest.mark.parametrize(
    "name",
    [
        "false-dense-rate-by-dimension",
        "false-count-sketch-second-moment-diagonal",
        "false-sketch-solve-rate-linear",
        "false-kmeanspp-constant-one",
        "false-one-hot-exact-mean-frequency",
    ],
)
def test_false_statements_are_refuted_by_proof_and_their_twins_proved(name):
    claim = CLAIMS[name]
    instance = catalogue()[claim.killer]
    for finding in examined(name, instance):
        assert (finding.verdict, finding.certainty) == (Verdict.REFUTED, Certainty.PROOF)
        assert finding.slack < 0
    for finding in examined(claim.twin, instance):
        assert (finding.verdict, finding.certainty) == (Verdict.CONFIRMED, Certainty.PROOF)


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("false-count-sketch-second-moment-diagonal", gaussian()),
        ("false-sketch-solve-rate-linear", orthonormal(4)),
        ("false-one-hot-exact-mean-frequency", zipf()),
        ("false-kmeanspp-constant-one", gaussian(8)),
    ],
)
@pytest.mark.parametrize("certify", [True, False])
def test_false_statements_on_few_columns(name, instance, certify):
    for finding in examined(name, instance, certify):
        assert finding.verdict is Verdict.REFUTED
        assert finding.certainty is (Certainty.PROOF if certify else Certainty.ROUNDING)


def test_a_planted_rate_is_refuted():
    """Three fifths of c, on orthonormal columns, where c is not far from the truth."""

    def exact(instance, effort):
        small = draw_small(instance, effort.rng)
        return [by_rho("", small, 3, lambda rho, m: dense_count_sketch_rate.rate(rho, m) * 3 / 5)]

    claim = replace(
        CLAIMS["sketch-solve-rate"],
        exact=lambda instance, effort: [effort.settle(exact(instance, effort))],
    )
    (proof,) = examine_exactly(claim, orthonormal(4), QUICK, 0, True)
    assert (proof.verdict, proof.certainty) == (Verdict.REFUTED, Certainty.PROOF)
    (rounded,) = examine_exactly(claim, orthonormal(4), QUICK, 0, False)
    assert (rounded.verdict, rounded.certainty) == (Verdict.REFUTED, Certainty.ROUNDING)


@pytest.mark.parametrize("diagonals", [0, 1, 3])
def test_a_planted_second_moment_is_refuted(diagonals):
    claim = replace(
        CLAIMS["count-sketch-second-moment"],
        exact=lambda instance, effort: [
            count_sketch_second_moment.compare_exactly(instance, effort, diagonals)
        ],
    )
    (found,) = examine_exactly(claim, gaussian(), QUICK, 0, True)
    assert (found.verdict, found.certainty) == (Verdict.REFUTED, Certainty.PROOF)


# ------------------------------------------------------------------ left out


def test_without_python_flint_integrals_are_left_out_and_sums_are_not(monkeypatch):
    monkeypatch.setattr(effort.importlib.util, "find_spec", lambda name: None)
    found = examine_exactly(CLAIMS["dense-rate"], gaussian(4), QUICK, 0, True)
    assert isinstance(found, LeftOut)
    assert found.reason == ADVICE
    assert "pip install 'lsq-sketch[certify]'" in found.reason
    assert found.costly
    assert found.evidence is Evidence.EXACT
    assert {f.certainty for f in examined("sketch-solve-rate", gaussian())} == {Certainty.PROOF}
    assert {f.certainty for f in examined("one-hot-exact", zipf())} == {Certainty.PROOF}
    rounded = examined("dense-rate", gaussian(4), certify=False)
    assert {f.certainty for f in rounded} == {Certainty.ROUNDING}


@pytest.mark.parametrize(
    ("name", "instance", "reason"),
    [
        ("lloyd-monotone", gaussian(), "neither an expectation"),
        ("one-hot-exact", gaussian(), "mutually orthogonal"),
        ("orthonormal-exact", gaussian(), "identity"),
        ("dense-rate", gaussian(2), "one step is exact"),
        ("whitened-rate", made(np.eye(3, 5), np.ones(3)), "full column rank"),
        ("sketch-solve-rate", made(np.zeros((3, 2)), np.ones(3)), "X must not be zero"),
        ("sketch-solve-rate", made(np.eye(3), np.zeros(3)), "e_0 > 0"),
        ("sparse-step", gaussian(1), "fewer clusters than rows"),
    ],
)
def test_hypotheses_come_first(name, instance, reason):
    found = examine_exactly(CLAIMS[name], instance, QUICK, 0, True)
    assert isinstance(found, LeftOut)
    assert reason in found.reason
    assert not found.costly


def test_large_spectra_are_left_to_a_larger_profile():
    rng = np.random.default_rng(0)
    instance = made(rng.standard_normal((90, 80)), rng.standard_normal(90))
    found = examine_exactly(CLAIMS["dense-quadrature-rate"], instance, QUICK, 0, True)
    assert isinstance(found, LeftOut)
    assert found.costly
    assert "at most 64 distinct singular values" in found.reason


# ------------------------------------------------------------------ parts of an instance


def test_the_seed_chooses_the_part_and_decides_everything():
    spread = made(np.eye(40), np.arange(40.0) ** 2)
    profile = replace(QUICK, exact_draws=1)
    runs = [examine_exactly(CLAIMS["kmeanspp"], spread, profile, seed, True) for seed in (0, 0, 1)]
    assert [asdict(f) for f in runs[0]] == [asdict(f) for f in runs[1]]
    assert runs[0][0].stage != runs[2][0].stage
    twice = [examined("sparse-step", gaussian(4)) for _ in range(2)]
    assert twice[0] == twice[1]


def test_dependent_columns_are_left_out_of_a_part():
    X = np.random.default_rng(0).standard_normal((9, 5))
    X[:, 3] = X[:, 1] - 2 * X[:, 0]
    X[:, 4] = 0
    small = draw_small(made(X, np.ones(9)), np.random.default_rng(0))
    assert small.d1 == 3
    assert np.linalg.matrix_rank(small.X) == 3
    assert small.name == "columns 0, 1, 2 of 5"


def test_sparse_parts_are_the_same_as_dense_ones():
    X = sp.random_array((60, 9), density=0.3, rng=np.random.default_rng(0)).tocsr()
    Y = np.random.default_rng(1).standard_normal((60, 3))
    parts = [draw_small(made(A, Y), np.random.default_rng(2)) for A in (X, X.toarray())]
    assert parts[0].name == parts[1].name
    np.testing.assert_array_equal(parts[0].X, parts[1].X)
    assert parts[0].gram == parts[1].gram
    assert parts[0].X.any(axis=1).all()
    assert parts[0].Y.shape[1] == 2


def test_a_width_given_with_the_instance_is_used():
    rng = np.random.default_rng(0)
    instance = made(rng.standard_normal((8, 3)), rng.standard_normal(8), width=2)
    assert {f.width for f in examined("sketch-solve-rate", instance)} == {2}
    too_many = Effort(rng, 1, 1, Arithmetic.FLOATING).width(replace(instance, given_width=90), 6)
    assert too_many == 3


@pytest.mark.parametrize("past", ["table", "clusters", "clustered table"])
def test_references_in_both_arithmetics(past):
    rng = np.random.default_rng(0)
    small = SmallProblem(rng.standard_normal((7, 4)), rng.standard_normal((7, 2)), "")
    table, labels = rng.standard_normal((4, 2)), np.array([0, 2, 2, 0])
    made_past = {
        "table": Table(table),
        "clusters": Clusters(labels),
        "clustered table": ClusteredTable(labels, table),
    }[past]
    reference, e0 = made_past.reference(small), small.initial_excess
    _, B = small.factors
    expected = made_past.reference_in_floating_point(small) / (B**2).sum()
    assert float(reference / e0) == pytest.approx(expected, rel=1e-10)
    whole = integers(made_past.columns)[0].tolist()
    assert float(small.excess_beside(whole) / e0) <= expected + 1e-12
    assert float(small.excess(table) / e0) == pytest.approx(
        small.problem.excess(table) / (B**2).sum(), rel=1e-10
    )


def test_findings_are_findings():
    for finding in examined("dense-count-sketch-rate", gaussian()):
        assert isinstance(finding, Finding)
        assert Finding.from_dict(asdict(finding)) == finding


RNG = np.random.default_rng(0)
EXTREME = {
    "huge": made(RNG.standard_normal((9, 4)) * 1e110, RNG.standard_normal(9) * 1e-110),
    "rows of all sizes": made(
        RNG.standard_normal((9, 4)) * np.geomspace(1, 1e-100, 9)[:, None], RNG.standard_normal(9)
    ),
    "columns of all sizes": made(
        RNG.standard_normal((9, 4)) * np.geomspace(1, 1e-100, 4), RNG.standard_normal(9)
    ),
    "nearly dependent": made(
        RNG.standard_normal((9, 1)) + 1e-7 * RNG.standard_normal((9, 4)), RNG.standard_normal(9)
    ),
    "one column": made(np.ones((3, 1)), np.arange(3.0)),
    "more columns than rows": made(RNG.standard_normal((2, 9)), RNG.standard_normal((2, 3))),
}


@pytest.mark.parametrize("name", EXTREME)
def test_extreme_problems(name):
    """Nothing overflows, nothing true is refuted; sums are proved whatever the condition."""
    for claim in TRUE:
        found = examine_exactly(claim, EXTREME[name], QUICK, 0, True)
        if isinstance(found, list):
            assert {finding.verdict for finding in found} == {Verdict.CONFIRMED}, found
            if "sketch" in claim.id:
                assert {finding.certainty for finding in found} == {Certainty.PROOF}
