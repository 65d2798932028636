"""The judge itself: verdicts, error rates, seeds, budgets, reports."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lsq_sketch import LeastSquares
from proofs_check.claim import Bound, Kind, registry
from proofs_check.finding import Certainty, Evidence, Finding, LeftOut, Verdict
from proofs_check.instances import Instance, catalogue
from proofs_check.profile import PROFILES
from proofs_check.report import as_dict, number, write_json
from proofs_check.run import Report, run
from proofs_check.selftest import selftest
from proofs_check.verify import (
    decide,
    equality_tolerance,
    examine,
    trial_seed,
)

QUICK = PROFILES["quick"]
TINY = Instance("tiny", "for a test", False, lambda: LeastSquares(np.eye(4), np.ones(4)))


def coin(mean, bound, kind, spread=0.5):
    """A claim about observations of known mean."""
    claim = registry()["dense-rate"]

    def trial(instance, rng):
        return [("every step", mean + spread * (2 * rng.integers(0, 2) - 1))]

    return replace(
        claim, id=f"coin-{mean}-{bound}", kind=kind,
        bounds=lambda instance: {"every step": Bound(bound)}, trial=trial,
    )  # fmt: skip


def verdict_of(claim, seed, profile=QUICK, alpha=0.05):
    (finding,) = examine(claim, TINY, profile, seed, alpha)
    return finding.verdict


# ------------------------------------------------------------------ error rates


def test_false_alarm_rate_of_a_bound_that_is_attained():
    """A true bound with no room: refuted in at most alpha of 200 runs.

    False-alarm rate of this test 1e-6 (binomial tail).
    """
    claim = coin(0.5, 0.5, Kind.UPPER_BOUND)
    profile = replace(QUICK, trials=256)
    verdicts = [verdict_of(claim, seed, profile, 0.2) for seed in range(200)]
    assert verdicts.count(Verdict.REFUTED) <= stats.binom.isf(1e-6, 200, 0.1)
    assert verdicts.count(Verdict.CONFIRMED) <= stats.binom.isf(1e-6, 200, 0.1)


def test_power_against_a_false_bound_and_for_a_true_one():
    """Means 0.1 beyond and short of the bound: always decided, and rightly, in 4000 trials.

    Each of the 100 runs errs with probability at most 1e-6.
    """
    false = [verdict_of(coin(0.5, 0.4, Kind.UPPER_BOUND), s, alpha=1e-6) for s in range(50)]
    true = [verdict_of(coin(0.5, 0.6, Kind.UPPER_BOUND), s, alpha=1e-6) for s in range(50)]
    assert set(false) == {Verdict.REFUTED}
    assert set(true) == {Verdict.CONFIRMED}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, Verdict.CONFIRMED), (0.6, Verdict.REFUTED), (0.4, Verdict.REFUTED)],
)
def test_equality(value, expected):
    """Spread 0.05 about 0.5: the equality 0.5 is confirmed, others refuted (alpha 1e-6)."""
    claim = coin(0.5, value, Kind.EQUALITY, spread=0.05)
    assert verdict_of(claim, 0, replace(QUICK, trials=8000), 1e-6) is expected


def test_undecided_when_the_budget_runs_out():
    finding = examine(coin(0.5, 0.501, Kind.UPPER_BOUND), TINY, replace(QUICK, trials=40), 0, 0.05)
    assert finding[0].verdict is Verdict.UNDECIDED
    assert finding[0].trials == finding[0].observations == 40


@pytest.mark.parametrize("slack", [0.0, 1.0, -1e-13])
def test_deterministic_holds_within_its_tolerance(slack):
    observations = np.array([0.5, slack])
    assert decide(observations, Bound(1e-12), Kind.DETERMINISTIC, 0, 0) is Verdict.CONFIRMED


def test_one_deterministic_violation_refutes():
    observations = np.array([0.5] * 100 + [-1e-11])
    assert decide(observations, Bound(1e-12), Kind.DETERMINISTIC, 0, 0) is Verdict.REFUTED


def test_nothing_is_decided_without_observations():
    """An empty confidence set or a NaN is never recorded as a result."""
    for kind in Kind:
        assert decide(np.array([]), Bound(0.5), kind, 0.1, 0.1) is Verdict.UNDECIDED
    silent = replace(coin(0.5, 0.5, Kind.UPPER_BOUND), trial=lambda instance, rng: [])
    (finding,) = examine(silent, TINY, replace(QUICK, trials=40), 0, 0.05)
    assert finding.verdict is Verdict.UNDECIDED
    assert (finding.lower, finding.upper, finding.observations) == (0.0, 1.0, 0)


def test_an_attained_bound_is_judged_as_an_equality():
    z = np.random.default_rng(0).beta(500, 500, 4000)
    assert decide(z, Bound(0.5), Kind.UPPER_BOUND, 0.05, 0.01) is Verdict.UNDECIDED
    assert decide(z, Bound(0.5, attained=True), Kind.UPPER_BOUND, 0.05, 0.01) is Verdict.CONFIRMED
    assert decide(z, Bound(0.6, attained=True), Kind.UPPER_BOUND, 0.05, 0.01) is Verdict.REFUTED


@pytest.mark.parametrize(("power", "expected"), [(1.0, Verdict.CONFIRMED), (1.5, Verdict.REFUTED)])
def test_distribution(power, expected):
    """Uniform values are confirmed; their powers, at distance 0.15, refuted (alpha 1e-6)."""
    values = np.random.default_rng(0).random(6000) ** power
    assert decide(values, Bound(0.1), Kind.DISTRIBUTION, 0, 1e-6) is expected
    few = decide(values[:50], Bound(0.1), Kind.DISTRIBUTION, 0, 1e-6)
    assert few is Verdict.UNDECIDED


def test_whitened_beta_refutes_another_law():
    """The same ratios put through a wrong distribution function."""
    claim, instance = registry()["whitened-beta"], catalogue()["diabetes"]
    (right,) = examine(claim, instance, QUICK, 0, 0.01)
    wrong = replace(claim, trial=lambda i, rng: [(s, z**1.5) for s, z in claim.trial(i, rng)])
    (refuted,) = examine(wrong, instance, QUICK, 0, 0.01)
    assert (right.verdict, refuted.verdict) == (Verdict.CONFIRMED, Verdict.REFUTED)


def test_command_exits_with_3_when_something_is_undecided(monkeypatch, capsys):
    from proofs_check import cli

    monkeypatch.setitem(PROFILES, "quick", replace(QUICK, trials=8))
    words = ["proofs-check", "run", "whitened-law", "--instance", "diabetes", "--jobs", "1"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert "undecided" in capsys.readouterr().out


def test_tolerance_shrinks_towards_zero_and_one():
    assert equality_tolerance(0.5, 0.02) == 0.02
    assert equality_tolerance(0.99, 0.02) == pytest.approx(0.0025)
    assert equality_tolerance(0.01, 0.02) == pytest.approx(0.0025)


# ------------------------------------------------------------------ seeds and budgets


def test_trials_depend_on_the_seed_and_the_names_alone():
    claim, instance = registry()["dense-rate"], catalogue()["diabetes"]
    first = examine(claim, instance, QUICK, 1, 0.01)
    assert examine(claim, instance, QUICK, 1, 0.01) == first
    assert examine(claim, instance, QUICK, 2, 0.01) != first
    keys = {
        trial_seed(1, other, name, index).spawn_key
        for other in (claim, registry()["whitened-law"])
        for name in ("diabetes", "flat")
        for index in (0, 1)
    }
    assert len(keys) == 8


def test_a_claim_that_does_not_apply_says_why():
    left = examine(registry()["whitened-rate"], catalogue()["rank-deficient"], QUICK, 0, 0.01)
    assert isinstance(left, LeftOut)
    assert not left.costly
    assert "full column rank" in left.reason


def test_a_claim_that_costs_too_much_says_so():
    small = replace(QUICK, square_rank=5)
    left = examine(registry()["one-step-exact"], catalogue()["diabetes"], small, 0, 0.01)
    assert isinstance(left, LeftOut)
    assert left.costly
    assert "10 x 10" in left.reason


def test_rates_of_the_false_statements_and_their_twins():
    pairs = selftest(seed=5)
    assert [pair.false for pair in pairs if not pair.passed] == []
    assert len(pairs) == 8


def test_selftest_fails_a_judge_that_cannot_say_no(monkeypatch):
    monkeypatch.setattr("proofs_check.verify.decide", lambda *_: Verdict.CONFIRMED)
    assert not any(pair.passed for pair in selftest())


def test_selftest_fails_a_judge_that_says_no_to_everything(monkeypatch):
    monkeypatch.setattr("proofs_check.verify.decide", lambda *_: Verdict.REFUTED)
    assert not any(pair.passed for pair in selftest())


# ------------------------------------------------------------------ runs and reports


def finding(verdict, real=False, claim="dense-rate"):
    return Finding(
        claim, "flat", "every step", Kind.UPPER_BOUND, real, verdict,
        0.5, 0.4, 0.3, 0.45, 0.1, 0.0, 32, 96, 0.01, 12, Evidence.TRIALS, Certainty.STATISTICAL,
    )  # fmt: skip


def report_of(*findings):
    return Report(
        "quick", 0, 0.01, ["dense-rate"], ["flat"], [Evidence.TRIALS], list(findings)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (["confirmed"], 0),
        (["confirmed", "refuted", "undecided"], 1),
        (["confirmed", "undecided"], 3),
    ],
)
def test_exit_status(verdicts, status):
    assert report_of(*(finding(Verdict(v)) for v in verdicts)).exit_status == status


def test_a_claim_without_real_data_is_named():
    assert report_of(finding(Verdict.CONFIRMED)).without_real_data == ["dense-rate"]
    assert report_of(finding(Verdict.CONFIRMED, real=True)).without_real_data == []


def test_alpha_is_split_over_the_run():
    claims = [registry()[name] for name in ("dense-rate", "whitened-law", "excess-identity")]
    report = run(claims, ["flat", "diabetes"], alpha=0.04)
    spent = {(f.claim, f.instance, f.stage): f.alpha for f in report.findings}
    assert sum(spent.values()) == pytest.approx(0.04)
    assert spent["whitened-law", "flat", "first step"] == pytest.approx(0.005)
    assert spent["excess-identity", "flat", "every step"] == 0


def test_json_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    write_json(report_of(finding(Verdict.CONFIRMED)), path)
    before = path.read_text()
    assert json.loads(before)["findings"][0]["verdict"] == "confirmed"

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_json(report_of(finding(Verdict.REFUTED)), path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_json_has_no_nan():
    silent = replace(finding(Verdict.UNDECIDED), mean=float("nan"), slack=float("nan"))
    assert as_dict(report_of(silent))["findings"][0]["mean"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.75, "0.7500"),
        (1 - 2.5e-7, "1-2.5e-07"),
        (1e-12, "1.0e-12"),
        (0.0, "0"),
        (-3e-5, "-3.0e-05"),
        (float("nan"), "-"),
        (1.0, "1.0000"),
    ],
)
def test_number(value, text):
    assert number(value) == text
