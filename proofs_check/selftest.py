"""The judge on trial: false statements must be refuted, their true twins must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .claim import registry
from .finding import Finding, Verdict
from .run import ALPHA, Report, run


@dataclass(frozen=True)
class Pair:
    """A false statement beside its true twin, on the instance that tells them apart.

    Attributes
    ----------
    false, twin, instance : str
    false_findings, twin_findings : list of Finding
    """

    false: str
    twin: str
    instance: str
    false_findings: list[Finding]
    twin_findings: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether the false statement was refuted and the true one was not."""
        refuted = any(f.verdict is Verdict.REFUTED for f in self.false_findings)
        held = bool(self.twin_findings) and all(
            f.verdict is not Verdict.REFUTED for f in self.twin_findings
        )
        return refuted and held


def selftest(seed: int = 0, alpha: float = ALPHA, false: Sequence[str] = ()) -> list[Pair]:
    """Run every false statement and its twin on the instance that refutes the former.

    Parameters
    ----------
    seed : int
    alpha : float
        Of each run: the chance that a pair fails although the judge works is at most ``alpha``
        for its twin; a false statement is missed only if the trials run out.
    false : sequence of str
        Only these statements; all if empty.

    Returns
    -------
    list of Pair
    """
    claims = registry()
    pairs = []
    for claim in claims.values():
        if not claim.is_false or (false and claim.id not in false):
            continue
        assert claim.twin is not None
        assert claim.killer is not None
        reports: list[Report] = [
            run([claims[name]], [claim.killer], seed=seed, alpha=alpha)
            for name in (claim.id, claim.twin)
        ]
        pairs.append(
            Pair(claim.id, claim.twin, claim.killer, reports[0].findings, reports[1].findings)
        )
    return pairs
