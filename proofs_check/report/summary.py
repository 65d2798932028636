"""What a report says of each claim: its findings grouped by evidence, counted by instance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..claim import Claim, Kind, Section, registry
from ..finding import Certainty, Evidence, Finding, LeftOut, Searched, Verdict
from ..instances import catalogue
from ..run import Report
from .forest import used
from .numerals import count, number, short

SYMBOLS = {Verdict.CONFIRMED: "✓", Verdict.REFUTED: "✗", Verdict.UNDECIDED: "?"}

EVIDENCE_TEXT = {
    Evidence.TRIALS: "by trials",
    Evidence.EXACT: "by exact computation",
    Evidence.SEARCH: "by search",
}

GRAVITY = {Verdict.CONFIRMED: 0, Verdict.UNDECIDED: 1, Verdict.REFUTED: 2}


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """Refuted before undecided before confirmed.

    Examples
    --------
    >>> gravest([Verdict.CONFIRMED, Verdict.UNDECIDED]).value
    'undecided'
    """
    return max(verdicts, key=GRAVITY.__getitem__)


def by_instance(findings: Iterable[Finding]) -> dict[str, Verdict]:
    """The gravest verdict on each instance, over its stages."""
    found: dict[str, list[Verdict]] = {}
    for finding in findings:
        found.setdefault(finding.instance, []).append(finding.verdict)
    return {instance: gravest(verdicts) for instance, verdicts in found.items()}


def tally(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """Number of instances with each verdict."""
    verdicts = list(by_instance(findings).values())
    return {verdict: verdicts.count(verdict) for verdict in Verdict}


def in_words(counts: dict[Verdict, int]) -> str:
    """Counts of verdicts, leaving out what is 0.

    Examples
    --------
    >>> in_words({Verdict.CONFIRMED: 3, Verdict.REFUTED: 1, Verdict.UNDECIDED: 0})
    '3 confirmed, 1 refuted'
    """
    return ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n) or "none"


def nearest(findings: Iterable[Finding]) -> Finding:
    """The finding that comes nearest to refuting its claim, or does."""

    def key(finding: Finding) -> tuple[int, float]:
        share = used(finding)
        return GRAVITY[finding.verdict], -math.inf if math.isnan(share) else share

    return max(findings, key=key)


@dataclass(frozen=True)
class Row:
    """The findings on a claim from one kind of evidence that rest on the same.

    Attributes
    ----------
    claim : Claim
    evidence : Evidence
    certainty : Certainty
    findings : tuple of Finding
        At least one.
    """

    claim: Claim
    evidence: Evidence
    certainty: Certainty
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Block:
    """Findings on a claim that can share a table and an axis.

    Attributes
    ----------
    heading : str
        What tells it from the other blocks of its claim.
    evidence : Evidence
    certainty : Certainty
    kind : Kind
    stage : str
        Without the part of the instance.
    findings : tuple of Finding
        At least one.
    """

    heading: str
    evidence: Evidence
    certainty: Certainty
    kind: Kind
    stage: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Reason:
    """Instances on which a claim was not tried for the same reason."""

    reason: str
    costly: bool
    evidence: Evidence
    instances: tuple[str, ...]


def rows(report: Report) -> list[Row]:
    """Rows of a summary: section by section, claims in the order they were asked for."""
    groups: dict[tuple[str, Evidence, Certainty], list[Finding]] = {}
    for finding in report.findings:
        key = (finding.claim, finding.evidence, finding.certainty)
        groups.setdefault(key, []).append(finding)
    found = [
        Row(registry()[claim], evidence, certainty, tuple(findings))
        for (claim, evidence, certainty), findings in groups.items()
    ]
    sections, evidences, certainties = list(Section), list(Evidence), list(Certainty)
    order = {claim: position for position, claim in enumerate(report.claims)}
    return sorted(
        found,
        key=lambda row: (
            sections.index(row.claim.section),
            order.get(row.claim.id, len(order)),
            evidences.index(row.evidence),
            certainties.index(row.certainty),
        ),
    )


def by_section(found: Sequence[Row]) -> list[tuple[Section, list[list[Row]]]]:
    """Rows claim by claim, claims section by section; of sorted `rows`."""
    return [
        (section, [list(own) for _, own in groupby(group, key=lambda row: row.claim.id)])
        for section, group in groupby(found, key=lambda row: row.claim.section)
    ]


def blocks(findings: Iterable[Finding]) -> list[Block]:
    """The findings on one claim, split where a table could not hold them together."""
    groups: dict[tuple[Evidence, Certainty, str, Kind], list[Finding]] = {}
    for finding in findings:
        key = (finding.evidence, finding.certainty, stage_and_part(finding)[0], finding.kind)
        groups.setdefault(key, []).append(finding)
    varies = [len({key[part] for key in groups}) > 1 for part in range(4)]
    found = []
    for key, group in groups.items():
        evidence, certainty, stage, kind = key
        words = {2: stage, 0: EVIDENCE_TEXT[evidence], 3: f"judged as {_article(kind)}"}
        told = [word for part, word in words.items() if varies[part]]
        heading = ", ".join([*told, str(certainty)])
        found.append(Block(heading, evidence, certainty, kind, stage, tuple(group)))
    return found


def stage_and_part(finding: Finding) -> tuple[str, str]:
    """The stage, and the part of the instance that it was tried on: empty if all of it."""
    stage, _, part = finding.stage.partition("; ")
    return stage, part


def is_exact(finding: Finding) -> bool:
    """Whether the mean is known but for rounding, so that it needs no interval."""
    return finding.upper - finding.lower <= 1e-9 * abs(finding.upper)


def _article(kind: Kind) -> str:
    return f"an {kind}" if kind[0] in "aeu" else f"a {kind}"


def reasons(left_out: Iterable[LeftOut]) -> list[Reason]:
    """What was left out of one claim, the same reasons together."""
    groups: dict[tuple[bool, Evidence, str], list[str]] = {}
    for entry in left_out:
        key = (entry.costly, entry.evidence, entry.reason)
        groups.setdefault(key, []).append(entry.instance)
    return [
        Reason(reason, costly, evidence, tuple(instances))
        for (costly, evidence, reason), instances in groups.items()
    ]


def left_out_on(found: Sequence[Reason]) -> str:
    """On how many instances a claim was not tried, by each kind of evidence if there are several.

    Examples
    --------
    >>> left_out_on([Reason("too large", True, Evidence.TRIALS, ("flat", "digits"))])
    '2 instances'
    """
    names: dict[Evidence, set[str]] = {}
    for reason in found:
        names.setdefault(reason.evidence, set()).update(reason.instances)
    counts = {kind: count(len(own), "instance") for kind, own in names.items()}
    if list(counts) == [Evidence.TRIALS]:
        return counts[Evidence.TRIALS]
    return ", ".join(f"{told} {EVIDENCE_TEXT[kind]}" for kind, told in counts.items())


def given(findings: Iterable[Finding]) -> list[Finding]:
    """The findings on instances that were given, not made up by a search."""
    return [finding for finding in findings if finding.evidence is not Evidence.SEARCH]


def totals(report: Report) -> str:
    """How many claims on how many given instances."""
    findings = given(report.findings) or report.findings
    instances = {finding.instance for finding in findings}
    real = {finding.instance for finding in findings if finding.real}
    claims = {finding.claim for finding in findings}
    return f"{count(len(claims), 'claim')} on {count(len(instances), 'instance')}" + (
        f" ({len(real)} of real data, marked *)" if real else ""
    )


def reached(case: Searched, finding: Finding) -> str:
    """How close a search brought a mean to its bound; empty if the claim bounds none.

    As ``0.9704 (0.96 to 0.98), tightness 0.81``: the ratio and its confidence interval.
    """
    if math.isnan(case.ratio):
        return ""
    told = number(case.ratio)
    if finding.bound > 0:
        told += (
            f" ({short(finding.lower / finding.bound)} to {short(finding.upper / finding.bound)})"
        )
    return told + ("" if math.isnan(case.tightness) else f", tightness {short(case.tightness)}")


def worst_cases(report: Report) -> list[tuple[Searched, Finding]]:
    """The worst case that a search found for each stage of each claim, and the verdict there."""
    verdicts = {
        (f.claim, f.instance, f.stage): f for f in report.findings if f.evidence is Evidence.SEARCH
    }
    return [(case, verdicts[case.claim, case.instance, case.stage]) for case in report.searched]


def certainties(report: Report) -> str:
    """How many verdicts are proofs, exact to rounding, statistical.

    Examples
    --------
    >>> from proofs_check.run import run
    >>> certainties(run([registry()["excess-identity"]], ["diabetes"]))
    '1 found no counterexample'
    """
    decided = [f.certainty for f in report.findings if f.verdict is not Verdict.UNDECIDED]
    words = {
        Certainty.PROOF: ("is a proof", "are proofs"),
        Certainty.ROUNDING: ("is exact to rounding", "are exact to rounding"),
        Certainty.STATISTICAL: ("is statistical", "are statistical"),
        Certainty.UNREFUTED: ("found no counterexample", "found no counterexample"),
    }
    counts = [(decided.count(certainty), words[certainty]) for certainty in Certainty]
    return ", ".join(f"{n} {word[n != 1]}" for n, word in counts if n)


def described(instance: str) -> str:
    """One line on an instance, if it is a built-in one."""
    known = catalogue().get(instance)
    return known.description if known else "given by the user"
