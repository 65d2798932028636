"""The judge on trial: its error rates are measured, and a judge that errs is found out."""

from dataclasses import replace

import pytest
from scipy import stats

from proofs_check import selftest
from proofs_check.finding import Verdict
from proofs_check.selftest import RATES_ALPHA, Rate, Rates, measure_rates, rate
from proofs_check.verify import examine


@pytest.mark.parametrize(("count", "repetitions"), [(0, 200), (3, 200), (190, 200), (200, 200)])
def test_intervals_are_those_of_clopper_and_pearson(count, repetitions):
    found = rate(count, repetitions)
    lower = stats.beta.ppf(0.025, count, repetitions - count + 1) if count else 0.0
    upper = stats.beta.ppf(0.975, count + 1, repetitions - count) if count < repetitions else 1.0
    assert (found.lower, found.upper) == (pytest.approx(lower), pytest.approx(upper))
    assert found.value == count / repetitions


@pytest.mark.compiled
def test_two_hundred_repetitions():
    """False alarms within their promise, and full power.

    A right judge fails here with probability at most 2e-6: two binomial tails of 1e-6, the first
    at its promised rate 0.05, the second at a power of 0.99. Seeds are fixed.
    """
    calls = []
    found = measure_rates(trials=64, progress=lambda done, total: calls.append((done, total)))
    assert (found.true, found.false) == ("whitened-law", "false-whitened-law-without-d2")
    assert found.false_alarm.repetitions == found.power.repetitions == 200
    assert found.false_alarm.count <= stats.binom.isf(1e-6, 200, RATES_ALPHA)
    assert found.false_confirmed.count <= stats.binom.isf(1e-6, 200, RATES_ALPHA)
    assert found.power.count >= stats.binom.ppf(1e-6, 200, 0.99)
    assert 32 <= found.trials <= 64
    assert found.passed
    assert calls[0] == (0, 200)
    assert calls[-1] == (200, 200)


def test_rates_depend_on_the_seed_alone():
    """At an alpha so small that 32 trials find the false statement about half of the time."""
    few = {"repetitions": 12, "trials": 32, "alpha": 1e-6}
    found = [measure_rates(seed, **few) for seed in (0, 0)]
    assert found[0] == found[1]
    assert measure_rates(0, jobs=2, **few) == found[0]
    assert 0 < found[0].power.count < 12  # seeds differ, and so do verdicts
    assert not found[0].passed
    assert len({measure_rates(seed, **few).power.count for seed in range(1, 5)}) > 1


def broken(monkeypatch, verdict):
    """A judge that always says the same."""

    def examine_wrongly(*arguments):
        return [replace(finding, verdict=verdict) for finding in examine(*arguments)]

    monkeypatch.setattr(selftest, "examine", examine_wrongly)
    return measure_rates(repetitions=20, trials=32)


def test_a_judge_that_cries_wolf_is_found_out(monkeypatch):
    found = broken(monkeypatch, Verdict.REFUTED)
    assert found.false_alarm.count == found.power.count == 20
    assert not found.passed


@pytest.mark.parametrize("verdict", [Verdict.CONFIRMED, Verdict.UNDECIDED])
def test_a_judge_that_never_refutes_is_found_out(monkeypatch, verdict):
    found = broken(monkeypatch, verdict)
    assert found.false_alarm.count == found.power.count == 0
    assert found.false_confirmed.count == (20 if verdict is Verdict.CONFIRMED else 0)
    assert found.trials is None
    assert not found.passed


def test_what_it_takes_to_pass():
    full = rate(200, 200)

    def rates(alarms, power=full, confirmed=0):
        return Rates("a", "b", "c", 0.05, rate(alarms, 200), power, rate(confirmed, 200), 32.0)

    assert rates(0).passed
    assert rates(10).passed  # exactly the promise
    assert not rates(25).passed
    assert not rates(0, confirmed=25).passed
    assert not rates(0, power=rate(180, 200)).passed
    assert rates(0, power=rate(195, 200)).passed
    assert isinstance(full, Rate)
