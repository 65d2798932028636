"""How numbers are written in every report."""

from __future__ import annotations

import math

ROUNDING = 1e-12


def number(value: float) -> str:
    """A number in at most nine characters; close to 1 as its distance from 1.

    Examples
    --------
    >>> number(0.75), number(1 - 2.5e-7), number(1e-12)
    ('0.7500', '1-2.5e-07', '1.0e-12')
    """
    if math.isnan(value):
        return "-"
    if 0 < 1 - value < 1e-3:
        return f"1-{1 - value:.1e}"
    if value == 0:
        return "0"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def short(value: float) -> str:
    """A number in at most seven characters: two digits are enough to see how much room is left.

    Never rounded up to 1 from below, nor down to it from above, but for rounding error.

    Examples
    --------
    >>> short(0.123), short(0.9996), short(1.0), short(1.0004), short(3e-9), short(float("inf"))
    ('0.12', '0.99', '1', '1.01', '3.0e-09', 'inf')
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    if value == 0:
        return "0"
    if abs(value - 1) < ROUNDING:
        return "1"
    if not 1e-2 <= abs(value) < 1e4:
        return f"{value:.1e}"
    if abs(value) < 1:
        return f"{math.copysign(min(abs(value), 0.99), value):.2f}"
    return f"{max(value, 1.01) if 1 < value < 1.01 else value:.2f}"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    Examples
    --------
    >>> count(1, "claim"), count(0, "claim"), count(2, "task has", "tasks have")
    ('1 claim', '0 claims', '2 tasks have')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
