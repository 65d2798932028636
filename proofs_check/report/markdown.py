"""A report as GitHub-flavoured Markdown, short enough to paste into an issue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsq_sketch.files import write_whole

from ..claim import Kind
from ..finding import Finding, Verdict
from ..run import Report
from .commands import repeat_finding, repeat_run
from .forest import used
from .numerals import count, number, short
from .plain import unavailable_to, versions_of
from .summary import (
    by_section,
    certainties,
    in_words,
    nearest,
    reached,
    rows,
    tally,
    totals,
    worst_cases,
)


def write_markdown(report: Report, path: Path) -> None:
    """Write a report as Markdown: whole, or not at all.

    Parameters
    ----------
    report : Report
    path : Path

    Raises
    ------
    OSError
        If the file cannot be written; an existing one is then untouched.
    """
    write_whole(path, as_markdown(report).encode())


def as_markdown(report: Report) -> str:
    """A report as Markdown: a line a claim, every finding that is not confirmed, how to repeat it.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
    """
    verdicts = in_words({verdict: report.count(verdict) for verdict in Verdict})
    told = certainties(report)
    parts = [
        f"**{plain(totals(report))}: {verdicts}.** "
        + (f"Of the decided verdicts, {told}. " if told else "")
        + f"Profile {report.profile}, seed {report.seed}; the chance of any false verdict in this "
        f"run is at most {report.alpha:g}."
    ]
    if report.interrupted:
        tasks = count(report.interrupted, "task was", "tasks were")
        parts.append(f"Not complete: {tasks} not finished." + plain(_because(report.failure)))
    if report.findings:
        parts.append(_summary(report))
    doubtful = [f for f in report.findings if f.is_doubtful]
    if doubtful:
        parts.append("Not confirmed:\n\n" + _details(doubtful))
        parts.append(fenced(repeat_finding(report, finding) for finding in doubtful))
    if report.searched:
        parts.append("Worst cases found by search:\n\n" + _worst_cases(report))
    missing = [f"{code(name)} was not run: it {plain(why)}." for name, why in _missing(report)]
    parts += missing
    made = ", ".join(f"{name} {version}" for name, version in versions_of(report).items())
    parts += ["To repeat the run (" + made + "):", fenced([repeat_run(report)])]
    return "\n\n".join(parts) + "\n"


def _because(failure: str | None) -> str:
    return f" {failure}" if failure else ""


def _missing(report: Report) -> Iterable[tuple[str, str]]:
    return () if "user" in report.instances else unavailable_to(report).items()


def _summary(report: Report) -> str:
    lines = []
    for section, claims in by_section(rows(report)):
        lines.append([f"**{plain(section)}**", "", "", "", ""])
        for claim in claims:
            for position, row in enumerate(claim):
                closest = nearest(row.findings)
                lines.append([
                    "" if position else code(row.claim.id),
                    in_words(tally(row.findings)),
                    plain(str(row.certainty)),
                    code(closest.instance),
                    short(used(closest)),
                ])  # fmt: skip
    return table(["claim", "instances", "certainty", "nearest to a refutation", "of limit"], lines)


def _details(findings: Iterable[Finding]) -> str:
    heads = ["claim", "instance", "stage", "verdict", "mean", "interval", "limit", "trials"]
    lines = []
    for f in findings:
        if f.kind is Kind.DETERMINISTIC:
            numbers = [number(f.mean), f"least slack {number(f.lower)}"]
            limit = f">= -{number(f.tolerance)}"
        else:
            numbers = [number(f.mean), f"{number(f.lower)} .. {number(f.upper)}"]
            limit = f"{'=' if f.kind is Kind.EQUALITY else '<='} {number(f.bound)}"
        lines.append([
            code(f.claim), code(f.instance), plain(f.stage), f"**{f.verdict}**", *numbers,
            plain(limit), str(f.trials),
        ])  # fmt: skip
    return table(heads, lines)


def _worst_cases(report: Report) -> str:
    heads = ["claim", "stage", "best ratio", "verdict", "instance", "evaluations"]
    return table(heads, [
        [
            code(case.claim), plain(case.stage), reached(case, finding), str(finding.verdict),
            plain(case.description), f"{case.evaluations:,}",
        ]
        for case, finding in worst_cases(report)
    ])  # fmt: skip


SPECIAL = re.compile(r"([\\`*_\[\]<#|~$&])")


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is, in a table too.

    Examples
    --------
    >>> print(plain("|x|_2 <= *a*"))
    \|x\|\_2 \<= \*a\*
    """
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    r"""A name as code, in a table too: GitHub takes a pipe there for the end of the cell.

    Examples
    --------
    >>> print(code("dense-rate"), code("a|b"))
    `dense-rate` `a\|b`
    """
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown, without pipes of their own.

    Examples
    --------
    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    marks = ["---"] * len(heads)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *lines))


def fenced(lines: Iterable[str]) -> str:
    """Commands in a block of code; the same ones once."""
    return "```console\n" + "\n".join(f"$ {line}" for line in dict.fromkeys(lines)) + "\n```"
