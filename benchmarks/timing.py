"""Timing: contenders interleaved in one run, medians, ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
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
    part : str
        Its name among several benchmarks of one file.
    rows : int or None
        Rows of data in the work, where it is measured in rows a second.
    allowances : mapping of str to Contender
        Work that ours may take as long as.
    """

    work: str
    ours: Contender
    peers: Mapping[str, Contender]
    limits: Mapping[str, Contender]
    part: str = ""
    rows: int | None = None
    allowances: Mapping[str, Contender] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender.

    Attributes
    ----------
    name, role : str
        Role: ours, peer, limit or allowance.
    median, least : float
        Seconds, for the whole work.
    cpu : float
        Median of the seconds of all cores together: where the machine is busy with something
        else, a fairer measure of what runs on one.
    ratio, least_ratio : float
        Its median over ours, and its least over ours: above 1, ours is faster. Where they differ
        much, something else kept the machine busy.
    cpu_ratio : float
        The same for the time of all cores.
    repeats : int
    """

    name: str
    role: str
    median: float
    least: float
    cpu: float
    ratio: float
    least_ratio: float
    cpu_ratio: float
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
    allowances = benchmark.allowances.items()
    contenders += [(name, "allowance", contender) for name, contender in allowances]
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    cpu: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    for _ in range(repeats):
        for name, _, contender in contenders:
            start, cpu_start = time.perf_counter(), time.process_time()
            contender.run()
            seconds[name].append((time.perf_counter() - start) / contender.share)
            cpu[name].append((time.process_time() - cpu_start) / contender.share)
    ours, least, ours_cpu = median(seconds["ours"]), min(seconds["ours"]), median(cpu["ours"])
    return [
        Timing(name, role, median(seconds[name]), min(seconds[name]), median(cpu[name]),
               median(seconds[name]) / ours, min(seconds[name]) / least,
               median(cpu[name]) / max(ours_cpu, 1e-9), repeats)
        for name, role, _ in contenders
    ]  # fmt: skip
