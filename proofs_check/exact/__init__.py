"""Exact evidence: expectations as finite sums, in rational arithmetic; integrals in balls.

Nothing is left to chance. On a small part of an instance (a few columns of its design, a few of
its targets) the expectation over all hash functions and signs is a finite sum; with the stored
floating-point numbers as exact rationals both sides of a claim are rationals, or lie in intervals
of rationals, and the comparison is a proof for that problem. Integrals are enclosed by
python-flint (extra ``certify``).
"""

from .effort import ADVICE, Effort, certifiable
from .examine import examine_exactly

__all__ = ["ADVICE", "Effort", "certifiable", "examine_exactly"]
