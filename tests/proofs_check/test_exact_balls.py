"""Integrals in balls: they contain what is known otherwise, and claim nothing when too wide."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_check.claim import Kind
from proofs_check.exact.balls import _interval, smallest_shares, weighted_loss, weighted_share
from proofs_check.exact.comparison import Comparison, first_decided, judge
from proofs_check.exact.effort import Arithmetic, Effort
from proofs_check.exact.interval import Interval
from proofs_check.exact.rational import exact_bucket_shares
from proofs_check.exact.spectrum import Spectrum, at_most, chebyshev, enclosed_equality
from proofs_check.finding import Certainty, Verdict
from proofs_check.integrals import direction_weights

EFFORT = Effort(np.random.default_rng(0), 1, 64, Arithmetic.RIGOROUS)
spectra = st.lists(st.integers(1, 1000), min_size=2, max_size=6).map(
    lambda values: np.sort(np.array(values, float) / 100)[::-1]
)


def contains(interval, value):
    return interval.lower <= Fraction(value) <= interval.upper


# ------------------------------------------------------------------ enclosures


@given(spectra)
def test_shares_sum_to_one_and_contain_the_quadrature(sigma):
    squared = Spectrum(sigma).squared
    assert contains(weighted_share(squared, [Fraction(1)] * len(squared), 64), 1)
    quadrature = direction_weights(sigma**2)
    for j in (0, len(squared) - 1):
        one = [Fraction(i == j) for i in range(len(squared))]
        found = weighted_share(squared, one, 64)
        assert abs(found.middle - quadrature[j]) < 1e-11
        assert found.upper - found.lower < Fraction(1, 10**9)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_two_directions_in_closed_form(first, second):
    """``lambda_1 = sigma_1 / (sigma_1 + sigma_2)``, to 70 digits."""
    squared = [Fraction(first) ** 2, Fraction(second) ** 2]
    found = weighted_share(squared, [Fraction(1), Fraction(0)], 256)
    assert contains(found, Fraction(first, first + second))
    assert found.upper - found.lower < Fraction(1, 10**60)


def test_more_bits_give_a_ball_inside_the_wider_one():
    squared = [Fraction(9), Fraction(2), Fraction(1, 100)]
    balls = [weighted_share(squared, [Fraction(0), Fraction(0), Fraction(1)], b) for b in (64, 256)]
    assert balls[0].lower < balls[1].lower < balls[1].upper < balls[0].upper
    assert balls[1].upper - balls[1].lower < Fraction(1, 10**60)


def test_equal_directions_share_exactly():
    shares = smallest_shares([Fraction(2)] * 5, [5, 3, 1], 64)
    assert [(s.lower, s.upper) for s in shares] == [(Fraction(1, c),) * 2 for c in (5, 3, 1)]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=5), st.integers(1, 4))
def test_the_loss_of_the_hashing_trick_contains_the_rational(counts, m):
    w = [Fraction(v) for v in counts]
    energies = [Fraction(i + 1) for i in range(len(w))]
    expected = sum(e * (1 - q) for e, q in zip(energies, exact_bucket_shares(w, m), strict=True))
    found = weighted_loss(w, energies, m, 128)
    assert contains(found, expected)
    assert found.upper - found.lower < Fraction(1, 10**25)


# ------------------------------------------------------------------ what they prove


@given(spectra)
def test_lambda_min_is_at_least_rho_and_proved_so(sigma):
    found = chebyshev(Spectrum(sigma), EFFORT)
    judgement = judge(found)
    assert (judgement.verdict, judgement.certainty) == (Verdict.CONFIRMED, Certainty.PROOF)
    assert judgement.tolerance == 0
    assert found.slack.lower > 0 or sigma[0] == sigma[-1]


def test_a_spectrum_equal_to_rounding_is_decided_by_more_bits():
    """The slack of rho <= lambda_min is of the order of the rounding errors, and still proved."""
    sigma = np.array([1.0, 1.0, np.nextafter(1, 0)])
    found = chebyshev(Spectrum(sigma), EFFORT)
    assert judge(found).certainty is Certainty.PROOF
    assert 0 < found.slack.upper < Fraction(1, 10**15)


@given(spectra, st.integers(1, 3))
def test_a_planted_rate_is_refuted(sigma, m):
    """A rate a few per cent beyond lambda_min is below the truth for the worst direction."""
    spectrum = Spectrum(sigma)
    share = spectrum.smallest_share(64)
    wrong = 1 - share.upper * (1 + Fraction(m, 100))

    def enclose(bits):
        return Interval.exactly(1) - spectrum.smallest_share(bits)

    found = judge(at_most("planted", enclose, lambda: 0.0, wrong, 1, EFFORT))
    assert (found.verdict, found.certainty) == (Verdict.REFUTED, Certainty.PROOF)
    right = 1 - share.lower
    found = judge(at_most("right", enclose, lambda: 0.0, right, 1, EFFORT))
    assert found.verdict is Verdict.CONFIRMED


# ------------------------------------------------------------------ what they do not prove


def comparison(kind, value, bound, tolerance=Fraction(0)):
    return Comparison("", kind, value, bound, Certainty.PROOF, tolerance)


@given(st.fractions(0, 1), st.fractions(Fraction(1, 10**6), 1))
def test_a_ball_on_both_sides_of_the_bound_proves_nothing(middle, radius):
    ball = Interval(middle - radius, middle + radius)
    for bound in (middle, middle + radius / 2, middle - radius / 2):
        found = judge(comparison(Kind.UPPER_BOUND, ball, Interval.exactly(bound)))
        assert found.verdict is Verdict.UNDECIDED
        assert found.certainty is not Certainty.PROOF
    found = judge(comparison(Kind.EQUALITY, ball, Interval.exactly(middle), radius / 2))
    assert (found.verdict, found.certainty) == (Verdict.UNDECIDED, Certainty.ROUNDING)
    found = judge(comparison(Kind.DETERMINISTIC, ball - ball, Interval.exactly(0)))
    assert (found.verdict, found.certainty) == (Verdict.UNDECIDED, Certainty.ROUNDING)


def test_a_narrow_ball_around_the_bound_confirms_to_rounding_only():
    tiny = Fraction(1, 10**12)
    ball = Interval(Fraction(1, 2) - tiny, Fraction(1, 2) + tiny)
    found = judge(comparison(Kind.UPPER_BOUND, ball, Interval.exactly(0.5)))
    assert (found.verdict, found.certainty) == (Verdict.CONFIRMED, Certainty.ROUNDING)
    assert found.tolerance > 0


def test_equality_without_tolerance_needs_the_number_itself():
    half = Interval.exactly(0.5)
    exact = judge(comparison(Kind.EQUALITY, half, half))
    assert (exact.verdict, exact.certainty) == (Verdict.CONFIRMED, Certainty.PROOF)
    off = judge(
        comparison(Kind.EQUALITY, half, Interval.exactly(Fraction(1, 2) + Fraction(1, 10**40)))
    )
    assert (off.verdict, off.certainty) == (Verdict.REFUTED, Certainty.PROOF)


def test_too_few_bits_prove_nothing():
    squared = [Fraction(4), Fraction(2), Fraction(1)]
    ones = [Fraction(1)] * 3

    def compare(bits):
        value = weighted_share(squared, ones, bits)
        return comparison(Kind.EQUALITY, value, Interval.exactly(1), Fraction(1, 10**15))

    coarse = first_decided(compare, bits=(32,))
    assert coarse.value.upper - coarse.value.lower > Fraction(1, 10**15)
    assert judge(coarse).certainty is Certainty.ROUNDING
    fine = first_decided(compare)
    assert judge(fine).certainty is Certainty.PROOF


def test_precision_is_raised_only_until_it_decides():
    asked = []

    def compare(bits):
        asked.append(bits)
        radius = Fraction(1, 2**bits)
        value = Interval(Fraction(1, 2) - radius, Fraction(1, 2) + radius)
        bound = Interval.exactly(Fraction(1, 2) + Fraction(1, 2**100))
        return comparison(Kind.UPPER_BOUND, value, bound)

    assert judge(first_decided(compare)).certainty is Certainty.PROOF
    assert asked == [64, 128]


def test_an_enclosed_equality_that_fails_is_refuted():
    found = enclosed_equality(
        "", lambda bits: weighted_share([Fraction(4), Fraction(1)], [Fraction(1)] * 2, bits),
        1 + Fraction(1, 10**10), Fraction(1, 10**15), 1,
    )  # fmt: skip
    assert judge(found).verdict is Verdict.REFUTED
    assert judge(replace(found, bound=Interval.exactly(1))).verdict is Verdict.CONFIRMED


def test_flint_is_imported_only_when_needed():
    code = "import sys, proofs_check.claim as c; c.registry(); print('flint' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("t0", [0, 2])
def test_rate_is_one_minus_m_over_r_on_a_flat_spectrum(t0):
    rate = Spectrum(np.ones(8)).rate(3, t0, 64)
    assert rate.lower == rate.upper == 1 - Fraction(3, 8 - t0)
    assert Spectrum(np.ones(4)).rate(4, 0, 64) == Interval.exactly(0)


def test_singular_values_over_a_hundred_decades():
    found = chebyshev(Spectrum(np.array([1e50, 1.0, 1e-50])), EFFORT)
    assert judge(found).certainty is Certainty.PROOF


def test_a_ball_that_is_not_finite_decides_nothing():
    import flint

    for ball in (flint.arb("nan"), flint.arb("inf"), flint.arb(0, flint.arb("inf"))):
        found = judge(comparison(Kind.UPPER_BOUND, _interval(ball), Interval.exactly(1)))
        assert found.verdict is Verdict.UNDECIDED
    exact = _interval(flint.arb(1) / 3)
    assert exact.lower < Fraction(1, 3) < exact.upper
