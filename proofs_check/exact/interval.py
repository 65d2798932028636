"""Intervals with rational ends, known to contain a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Interval:
    """A closed interval; of width 0 where the number is known exactly.

    Attributes
    ----------
    lower, upper : Fraction

    Examples
    --------
    >>> Interval.exactly(2) - Interval(Fraction(0), Fraction(1))
    Interval(lower=Fraction(1, 1), upper=Fraction(2, 1))
    """

    lower: Fraction
    upper: Fraction

    def __post_init__(self) -> None:
        if self.lower > self.upper:
            raise ValueError(f"the lower end {self.lower} exceeds the upper end {self.upper}")

    @classmethod
    def exactly(cls, value: int | float | Fraction) -> Interval:
        """The number itself; a float stands for the binary fraction that it is."""
        number = Fraction(value)
        return cls(number, number)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lower + other.lower, self.upper + other.upper)

    def __neg__(self) -> Interval:
        return Interval(-self.upper, -self.lower)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __abs__(self) -> Interval:
        if self.lower >= 0:
            return self
        if self.upper <= 0:
            return -self
        return Interval(Fraction(0), max(-self.lower, self.upper))

    def scaled(self, factor: Fraction) -> Interval:
        """The product with a positive rational."""
        return Interval(self.lower * factor, self.upper * factor)

    def widened(self, radius: Fraction) -> Interval:
        """Longer by ``radius`` at both ends."""
        return Interval(self.lower - radius, self.upper + radius)

    def within(self, lower: int, upper: int) -> Interval:
        """The part between two numbers that the number is known to lie between."""
        return Interval(max(self.lower, Fraction(lower)), min(self.upper, Fraction(upper)))

    def through_decreasing(self, function: Callable[[Fraction], Fraction]) -> Interval:
        """The image under a function that does not rise."""
        return Interval(function(self.upper), function(self.lower))

    @property
    def middle(self) -> float:
        """The middle, rounded."""
        return float((self.lower + self.upper) / 2)

    @property
    def outward(self) -> tuple[float, float]:
        """The ends as floats, rounded outward.

        Examples
        --------
        >>> low, high = Interval.exactly(Fraction(1, 3)).outward
        >>> low < Fraction(1, 3) < high
        True
        """
        low, high = float(self.lower), float(self.upper)
        if Fraction(low) > self.lower:
            low = math.nextafter(low, -math.inf)
        if Fraction(high) < self.upper:
            high = math.nextafter(high, math.inf)
        return low, high
