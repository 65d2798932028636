"""Timing: contenders interleaved in one run, medians, ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Contender:
    """Something that does the work, or a part of it.

    Attributes
    ----------
    run : callable
        Does the work once.
    share : float
        Part of the work that one call does; times are divided by it.
    """

    run: Callable[[], Any]
    share: float = 1.0


@dataclass(frozen=True)
class Benchmark:
    """A piece of work, ready to be timed: results have been checked equal.

    Attributes
    ----------
    work : str
        What is done, with its sizes.
    ours : Contender
    peers : mapping of str to Contender
    limits : mapping of str to Contender
        What no method of this kind can do without, such as reading the data once.
    """

    work: str
    ours: Contender
    peers: Mapping[str, Contender]
    limits: Mapping[str, Contender]


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender.

    Attributes
    ----------
    name, role : str
        Role: ours, peer or limit.
    median, least : float
        Seconds, for the whole work.
    ratio, least_ratio : float
        Its median over ours, and its least over ours: above 1, ours is faster. Where they differ
        much, something else kept the machine busy.
    repeats : int
    """

    name: str
    role: str
    median: float
    least: float
    ratio: float
    least_ratio: float
    repeats: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def measure(benchmark: Benchmark, repeats: int) -> list[Timing]:
    """Time all contenders, one after the other, ``repeats`` times over.

    Parameters
    ----------
    benchmark : Benchmark
        One call of ours has been made already, so that compilation is not timed.
    repeats : int
        At least 1.

    Returns
    -------
    list of Timing
        Ours first.
    """
    contenders = [("ours", "ours", benchmark.ours)]
    contenders += [(name, "peer", contender) for name, contender in benchmark.peers.items()]
    contenders += [(name, "limit", contender) for name, contender in benchmark.limits.items()]
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    for _ in range(repeats):
        for name, _, contender in contenders:
            start = time.perf_counter()
            contender.run()
            seconds[name].append((time.perf_counter() - start) / contender.share)
    ours, least = median(seconds["ours"]), min(seconds["ours"])
    return [
        Timing(name, role, median(seconds[name]), min(seconds[name]),
               median(seconds[name]) / ours, min(seconds[name]) / least, repeats)
        for name, role, _ in contenders
    ]  # fmt: skip
