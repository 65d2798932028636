"""The search itself: random restarts, screening by halving, and an evolution strategy.

The space has no fixed dimension (columns, targets and buckets come and go) and its extremes lie
where numbers coincide, which steps along a covariance never hit; and the objective is a mean over
trials. So the search is a plain (1 + lambda) evolution strategy on moves that respect all this
(Rechenberg 1973), with restarts, rather than CMA-ES. Parent and children see the same trials
(common random numbers), and other ones in every generation, so that no instance is kept for its
luck.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lsq_sketch import TooLargeError

from ..claim import Bound, Claim, HypothesisError, Kind, TooCostlyError
from ..instances import Instance
from ..profile import Profile
from .candidate import Candidate, Limits, draw, instance_of, mutate
from .objective import score

Key = tuple[int, ...]

SCREENED = ((12, 8), (4, 32))
"""How many candidates of a restart are seen with how many trials."""

SCREENED_DETERMINISTIC = ((12, 1), (4, 3))

CHILDREN = 3
PATIENCE = 5
"""Generations without success after which trials are doubled, or the descent ends."""

FINEST, COARSEST = 0.01, 2.0
"""Strengths of the moves."""

KEPT = 6
"""Candidates remembered for each stage."""

EXTREME = Limits(condition=8, scale=100)
"""For deterministic claims, whose tolerance is relative."""

MODERATE = Limits(condition=4, scale=0)
"""For means: trials cannot tell a rate from 1 beyond."""

FEWEST, MOST, SETTLED = 32, 256, 512
"""Trials of a generation, at first and at most; and of a score that can be relied on."""

ROUNDS = 100
"""Rounds of a trajectory, at most."""


class Spent(Exception):
    """The budget is spent."""


@dataclass(eq=False)
class Individual:
    """A candidate, its instance and bounds.

    Attributes
    ----------
    candidate : Candidate
    instance : Instance
    bounds : dict of str to Bound
    """

    candidate: Candidate
    instance: Instance
    bounds: dict[str, Bound]


@dataclass(eq=False)
class Contender:
    """An individual among the worst of a stage.

    Attributes
    ----------
    individual : Individual
    score : float
    trials : int
        Behind the score.
    trial : tuple of int
        Spawn key of the trial with the least observation.
    """

    individual: Individual
    score: float
    trials: int
    trial: Key


@dataclass
class Search:
    """State of a search; `run` may be interrupted at any time.

    Attributes
    ----------
    claim : Claim
    profile : Profile
    seed : int
    deadline : float or None
        On the clock of `time.monotonic`.
    limit : int or None
        Evaluations.
    progress : callable
        Called with the number of evaluations.
    evaluations, trials : int
        Instances scored, and trials drawn for that.
    inapplicable : Counter
        Reasons for which instances were not tried.
    worst : dict of str to list of Contender
        By stage, worst first.
    """

    claim: Claim
    profile: Profile
    seed: int
    deadline: float | None
    limit: int | None
    progress: Callable[[int], None]
    evaluations: int = 0
    trials: int = 0
    inapplicable: Counter[str] = field(default_factory=Counter)
    worst: dict[str, list[Contender]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.stream(0))
        self.profile = replace(self.profile, rounds=min(ROUNDS, self.profile.rounds))
        self.limits = EXTREME if self.deterministic else MODERATE
        self._keys = 0

    @property
    def deterministic(self) -> bool:
        """Whether every single observation counts, not their mean."""
        return self.claim.kind is Kind.DETERMINISTIC

    def stream(self, *key: int) -> np.random.SeedSequence:
        """A random stream of this search; none is shared with trials outside it."""
        name = zlib.crc32(self.claim.id.encode())
        return np.random.SeedSequence(self.seed, spawn_key=(name, zlib.crc32(b"search"), *key, 0))

    def run(self) -> None:
        """Search until the budget is spent."""
        try:
            while True:
                self.restart()
        except Spent:
            return

    def restart(self) -> None:
        """One descent from new candidates, towards the worst case of one stage."""
        stages = list(self.worst)
        stage = stages[int(self.rng.integers(len(stages)))] if stages else None
        individual = self.screen(stage)
        if individual is None:
            return
        if stage not in individual.bounds:
            stage = next(iter(individual.bounds))
        self.evolve(individual, stage)

    def screen(self, stage: str | None) -> Individual | None:
        """The best of some new candidates, by successive halving."""
        halving = self._halving
        pool = [found for found in (self.fresh(stage) for _ in range(halving[0][0])) if found]
        for (_, trials), (kept, _) in zip(halving, (*halving[1:], (1, 0)), strict=True):
            keys = self.new_keys(trials)
            scores = [self.evaluate(individual, keys) for individual in pool]
            order = np.argsort([-_value(s, stage) for s in scores], kind="stable")
            pool = [pool[i] for i in order[:kept]]
        return pool[0] if pool else None

    @property
    def _halving(self) -> Sequence[tuple[int, int]]:
        return SCREENED_DETERMINISTIC if self.deterministic else SCREENED

    def fresh(self, stage: str | None) -> Individual | None:
        """A random individual, or a distant relative of one of the worst so far."""
        known = self.worst.get(stage, []) if stage is not None else []
        if known and self.rng.random() < 0.4:
            candidate = known[int(self.rng.integers(len(known)))].individual.candidate
            for _ in range(3):
                candidate = mutate(candidate, 1.0, self.rng, self.limits)
        else:
            candidate = draw(self.rng, self.limits)
        return self.born(candidate)

    def evolve(self, parent: Individual, stage: str) -> None:
        """A (1 + lambda) evolution strategy; steps grow with success and shrink without."""
        trials, most = (2, 8) if self.deterministic else (FEWEST, MOST)
        strength, failures = 0.5, 0
        while failures < PATIENCE or trials < most:
            if failures >= PATIENCE:
                trials, failures = 2 * trials, 0
            children = [
                self.born(mutate(parent.candidate, strength, self.rng, self.limits))
                for _ in range(CHILDREN)
            ]
            keys = self.new_keys(trials)
            best, best_score = parent, _value(self.evaluate(parent, keys), stage)
            for child in children:
                if child is not None and stage in child.bounds:
                    reached = _value(self.evaluate(child, keys), stage)
                    if reached > best_score:
                        best, best_score = child, reached
            if best is parent:
                strength, failures = max(FINEST, strength / 1.25), failures + 1
            else:
                parent, strength, failures = best, min(COARSEST, strength * 1.5), 0
        if not self.deterministic:
            self.evaluate(parent, self.new_keys(2 * SETTLED))

    def new_keys(self, count: int) -> list[Key]:
        """Keys of trials that nobody has seen."""
        first = self._keys
        self._keys += count
        return [(1, first + i) for i in range(count)]

    def born(self, candidate: Candidate) -> Individual | None:
        """The individual of a candidate, if the claim applies to it."""
        self._spend()
        instance = instance_of(candidate, f"worst-{self.claim.id}")
        try:
            return Individual(candidate, instance, self.claim.bounds_within(instance, self.profile))
        except (HypothesisError, TooCostlyError, TooLargeError) as reason:
            self.inapplicable[str(reason)] += 1
        except ValueError as reason:
            self.inapplicable[f"refused: {reason}"] += 1
        return None

    def evaluate(self, individual: Individual, keys: Sequence[Key]) -> dict[str, float]:
        """Scores by stage, from the budget; the worst are remembered."""
        self._spend()
        self.trials += len(keys)
        contenders = self.contend(individual, keys)
        for stage, contender in contenders.items():
            self.remember(stage, contender)
        return {stage: contender.score for stage, contender in contenders.items()}

    def contend(self, individual: Individual, keys: Sequence[Key]) -> dict[str, Contender]:
        """What an individual is worth on some trials, by stage."""
        seen: dict[str, list[tuple[float, Key]]] = {}
        for key in keys:
            stream = self.stream(*key)
            try:
                observed = self.observe(individual.instance, np.random.default_rng(stream))
            except Exception as error:
                where = individual.instance.description
                error.add_note(f"in a trial of {self.claim.id} with {stream}, {where}")
                raise
            for stage, value in observed:
                seen.setdefault(stage, []).append((value, key))
        found = {}
        for stage, pairs in seen.items():
            if stage in individual.bounds:
                values = np.array([value for value, _ in pairs])
                reached = score(values, individual.bounds[stage], self.claim.kind)
                found[stage] = Contender(individual, reached, len(keys), min(pairs)[1])
        return found

    def observe(self, instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
        """One trial.

        Without observations if the library refuses the numbers that come up in it (see
        `lsq_sketch._validate`), or if one is not finite: both are counted, and neither is a
        counterexample.
        """
        try:
            found = [(stage, float(value)) for stage, value in self.claim.trial(instance, rng)]
        except np.linalg.LinAlgError:
            raise
        except ValueError as reason:
            self.inapplicable[f"refused: {reason}"] += 1
            return []
        if not all(np.isfinite(value) for _, value in found):
            self.inapplicable["an observation is not finite"] += 1
            return []
        return found

    def remember(self, stage: str, contender: Contender) -> None:
        """Keep the worst of a stage, each individual once."""
        known = self.worst.setdefault(stage, [])
        for other in known:
            if other.individual is contender.individual:
                if self._rank(other) > self._rank(contender):
                    return
                known.remove(other)
                break
        known.append(contender)
        known.sort(key=self._rank, reverse=True)
        del known[KEPT:]

    def _rank(self, contender: Contender) -> tuple[bool, float]:
        """A counterexample is one at any number of trials; a mean of few of them is mostly luck."""
        return self.deterministic or contender.trials >= SETTLED, contender.score

    def _spend(self) -> None:
        if self.limit is not None and self.evaluations >= self.limit:
            raise Spent
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Spent
        self.evaluations += 1
        self.progress(self.evaluations)


def _value(scores: dict[str, float], stage: str | None) -> float:
    if stage is None:
        return max(scores.values(), default=-np.inf)
    return scores.get(stage, -np.inf)
