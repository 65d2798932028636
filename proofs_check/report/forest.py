"""The forest plot: where a measured interval lies, in units of what its claim allows.

In each kind of claim the limit is the same place in every row, so that rows can be compared:

- an upper bound b on a mean x: ``min(x / b, (1 - b) / (1 - x))``, limit 1: both what is left and
  what is gained must be near the bound's, so that a rate near 1 is not near its bound for that
  alone; where b >= 1, ``x / b``;
- a tolerated Kolmogorov distance: the interval as a share of it, limit 1;
- an equality: the distance from the claimed value in units of the tolerance, limits -1 and 1;
- a deterministic claim: the share of the tolerance for rounding that the worst trial takes, on a
  logarithmic scale, limit 1. A slack of 0 or more takes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..claim import Kind
from ..finding import Finding, Verdict


@dataclass(frozen=True)
class Interval:
    """An interval with a middle, in units of what the claim allows.

    Attributes
    ----------
    low, middle, high : float
        NaN without observations; infinite where the claim allows nothing at all.
    """

    low: float
    middle: float
    high: float

    @property
    def greatest(self) -> float:
        """The greatest distance from nothing: at most 1 where a claim is confirmed."""
        return max(abs(self.low), abs(self.high))


def interval(finding: Finding) -> Interval:
    """What a finding's interval takes of what its claim allows.

    Parameters
    ----------
    finding : Finding

    Returns
    -------
    Interval
        Of NaN without observations.
    """
    if math.isnan(finding.mean):
        return Interval(math.nan, math.nan, math.nan)
    lower = finding.mean if math.isnan(finding.lower) else finding.lower
    upper = finding.mean if math.isnan(finding.upper) else finding.upper
    values = (lower, finding.mean, upper)
    if finding.kind is Kind.DETERMINISTIC:
        shares = [_over(max(0.0, -value), finding.tolerance) for value in reversed(values)]
    elif finding.kind is Kind.EQUALITY:
        shares = [_over(value - finding.bound, finding.tolerance) for value in values]
    elif finding.kind is Kind.UPPER_BOUND:
        shares = [_taken(value, finding.bound) for value in values]
    else:
        shares = [_over(value, finding.bound) for value in values]
    if finding.verdict is Verdict.CONFIRMED:
        # the ends of an exact number are rounded outwards, perhaps across a limit that is attained
        shares = [0.0 if math.isinf(share) else min(1.0, max(-1.0, share)) for share in shares]
    return Interval(*shares)


def _taken(mean: float, bound: float) -> float:
    """The share of an upper bound that a mean takes."""
    ratio = _over(mean, bound)
    return min(ratio, _over(1 - bound, 1 - mean)) if bound < 1 else ratio


def _over(value: float, unit: float) -> float:
    if unit > 0:
        return value / unit
    return math.copysign(math.inf, value) if value else 0.0


def used(finding: Finding) -> float:
    """Share of what the claim allows that the widest end of the interval takes up.

    At most 1 where the claim is confirmed; above 1 where it is refuted or undecided.

    Examples
    --------
    >>> from proofs_check.claim import registry
    >>> from proofs_check.run import run
    >>> finding = run([registry()["excess-identity"]], ["diabetes"]).findings[0]
    >>> bool(0 <= used(finding) <= 1)
    True
    """
    return interval(finding).greatest


def tightness(finding: Finding) -> float:
    """The share of an upper bound that the mean takes: 1 if it is attained. Else NaN."""
    if finding.kind is not Kind.UPPER_BOUND:
        return math.nan
    return interval(finding).middle


ROOM = 1.15
"""An axis goes on so far beyond a limit of 1."""

LEAST_DECADE = -6
"""Shares of the tolerance for rounding below this power of ten are drawn there."""


@dataclass(frozen=True)
class Axis:
    """Where shares are drawn; see the head of this file.

    Attributes
    ----------
    kind : Kind
    reach : float
        The greatest share shown; of a deterministic claim its power of ten.
    """

    kind: Kind
    reach: float

    @property
    def limits(self) -> tuple[float, ...]:
        """Positions of what the claim allows."""
        ends = (-1.0, 1.0) if self.kind is Kind.EQUALITY else (1.0,)
        return tuple(self.place(end) for end in ends)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Positions and what to write there."""
        if self.kind is Kind.EQUALITY:
            return (
                (self.place(-1), "− tolerance"), (self.place(0), "value"),
                (self.place(1), "+ tolerance"),
            )  # fmt: skip
        if self.kind is Kind.DETERMINISTIC:
            return (0.0, "none"), (self.place(1e-3), "1/1000"), (self.place(1), "tolerance")
        limit = "bound" if self.kind is Kind.UPPER_BOUND else "tolerated"
        return (0.0, "0"), (self.place(0.5), "half"), (self.place(1), limit)

    @property
    def caption(self) -> str:
        """What the axis shows."""
        return {
            Kind.UPPER_BOUND: "Share of the bound that the mean and its interval take",
            Kind.DISTRIBUTION: "Kolmogorov distance and its confidence interval, as a share of "
            "what is tolerated",
            Kind.EQUALITY: "Distance from the claimed value, in units of the tolerance",
            Kind.DETERMINISTIC: "Share of the tolerance for rounding that the worst trial takes, "
            "on a logarithmic scale",
        }[self.kind]

    def place(self, share: float) -> float:
        """Position on the axis, from 0 to 1; what lies outside is drawn at its end.

        Examples
        --------
        >>> Axis(Kind.UPPER_BOUND, 2.0).place(1.0)
        0.5
        >>> Axis(Kind.EQUALITY, 2.0).place(-1.0)
        0.25
        """
        if self.kind is Kind.EQUALITY:
            position = (share + self.reach) / (2 * self.reach)
        elif self.kind is Kind.DETERMINISTIC:
            decade = math.log10(share) if share > 0 else -math.inf
            position = (decade - LEAST_DECADE) / (self.reach - LEAST_DECADE)
        else:
            position = share / self.reach
        return min(1.0, max(0.0, position))

    def beyond(self, share: float) -> bool:
        """Whether a share lies off the axis, on the side of what is not allowed."""
        if self.kind is Kind.DETERMINISTIC:
            return share > 0 and math.log10(share) > self.reach
        return share > self.reach


def axis_for(findings: Iterable[Finding]) -> Axis:
    """An axis that shows all these findings, all of one kind.

    Parameters
    ----------
    findings : iterable of Finding
        At least one.

    Returns
    -------
    Axis
        Reaches beyond the limit, and to the farthest interval unless that is very far.
    """
    found = list(findings)
    kind = found[0].kind
    shares = [used(finding) for finding in found]
    farthest = max((share for share in shares if math.isfinite(share)), default=1.0)
    if kind is Kind.DETERMINISTIC:
        farthest = math.log10(farthest) if farthest > 0 else -math.inf
        # the least reach puts the limit where it is for an upper bound
        least, most = -LEAST_DECADE * (ROOM - 1), 14.0
    else:
        least, most = (1.5, 8.0) if kind is Kind.EQUALITY else (ROOM, 4.0)
    return Axis(kind, min(most, max(least, 1.05 * farthest)))


@dataclass(frozen=True)
class Glyphs:
    """Characters of a plot on the terminal."""

    line: str
    middle: str
    limit: str
    crossed: str
    centre: str
    before: str
    beyond: str


UNICODE = Glyphs("━", "●", "│", "┿", "┊", "◀", "▶")
ASCII = Glyphs("-", "o", "|", "+", ":", "<", ">")


def cells(finding: Finding, axis: Axis, width: int, glyphs: Glyphs = UNICODE) -> str:
    """One row of a forest plot in characters.

    Parameters
    ----------
    finding : Finding
    axis : Axis
    width : int
    glyphs : Glyphs

    Returns
    -------
    str
        ``width`` characters; blank but for the limits where nothing was observed.
    """
    row = [" "] * width

    def column(share: float) -> int:
        return round(axis.place(share) * (width - 1))

    if axis.kind is Kind.EQUALITY:
        row[column(0)] = glyphs.centre
    limits = [round(position * (width - 1)) for position in axis.limits]
    for limit in limits:
        row[limit] = glyphs.limit
    shares = interval(finding)
    if math.isnan(shares.middle):
        return "".join(row)
    middle = shares.middle
    if axis.kind is Kind.DETERMINISTIC:
        middle = shares.high  # the worst trial decides
    else:
        for position in range(column(shares.low), column(shares.high) + 1):
            row[position] = glyphs.crossed if position in limits else glyphs.line
    row[column(middle)] = glyphs.middle
    if axis.kind is Kind.EQUALITY and shares.low < -axis.reach:
        row[0] = glyphs.before
    if axis.beyond(shares.high):
        row[-1] = glyphs.beyond
    return "".join(row)
