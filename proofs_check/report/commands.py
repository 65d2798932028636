"""The commands that repeat a run, or a part of it, and find the same."""

from __future__ import annotations

from collections.abc import Sequence

from ..claim import Kind, registry
from ..finding import Evidence, Finding
from ..instances import catalogue
from ..profile import PROFILES
from ..run import ALPHA, Report, random_tasks
from .plain import unavailable_to


def repeat_run(report: Report) -> str:
    """The command that repeats the whole run.

    Examples
    --------
    >>> from proofs_check.run import run
    >>> repeat_run(run([registry()["excess-identity"]], ["diabetes"]))
    'proofs-check run excess-identity --instance diabetes --profile quick --seed 0'
    """
    true = [claim.id for claim in registry().values() if not claim.is_false]
    claims = [] if report.claims == true else report.claims
    return _command(report, claims, report.instances, report.alpha, report.evidence)


def repeat_claim(report: Report, claim: str) -> str:
    """The command that repeats one claim on all instances of the run.

    The run's chance of a false verdict was shared evenly by its claims; the command gives this
    claim the same share, so that it looks as often and stops at the same trial.

    Parameters
    ----------
    report : Report
    claim : str
        Its id.
    """
    alpha = report.alpha / _sharers(report, claim)
    return _command(report, [claim], report.instances, alpha, report.evidence)


def repeat_finding(report: Report, finding: Finding) -> str:
    """The command that repeats one claim on one instance, by one kind of evidence.

    See `repeat_claim`.

    Parameters
    ----------
    report : Report
    finding : Finding
    """
    sharers = _sharers(report, finding.claim)
    if _is_random(finding.claim):
        sharers *= random_tasks(len(report.instances), report.evidence)
    alpha = report.alpha / sharers
    if finding.evidence is Evidence.SEARCH:
        return _command(report, [finding.claim], [], alpha, [finding.evidence])
    return _command(report, [finding.claim], [finding.instance], alpha, [finding.evidence])


def _is_random(claim: str) -> bool:
    return registry()[claim].kind is not Kind.DETERMINISTIC


def _sharers(report: Report, claim: str) -> int:
    """Among how many claims alpha was split, if this one is random; else its alpha is not used."""
    return sum(map(_is_random, report.claims)) if _is_random(claim) else 1


def _command(
    report: Report,
    claims: Sequence[str],
    instances: Sequence[str],
    alpha: float,
    evidence: Sequence[Evidence],
) -> str:
    words = ["proofs-check run", *claims]
    if not instances:
        pass  # a search makes up its own
    elif instances == ["user"]:
        words.append("--design X --target Y")
    elif instances != [name for name in catalogue() if name not in unavailable_to(report)]:
        words += [f"--instance {name}" for name in instances]
    words.append(f"--profile {report.profile} --seed {report.seed}")
    if evidence != [Evidence.TRIALS]:
        words += [f"--evidence {kind}" for kind in evidence]
    own = claims or report.claims
    tried = {case.evaluations for case in report.searched if case.claim in own}
    if Evidence.SEARCH in evidence and len(tried) == 1:  # it varies with a budget in seconds
        words += [f"--evaluations {n}" for n in tried - {PROFILES[report.profile].evaluations}]
    random = any(map(_is_random, own))
    if random and alpha != ALPHA and evidence != [Evidence.EXACT]:
        words.append(f"--alpha {alpha!r}")
    return " ".join(words)
