"""The table of verdicts in the README: written from a full run, never by hand.

``python -m proofs_check.report.readme REPORT.json README.md`` puts it between two comments.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsq_sketch.files import write_whole

from ..claim import Kind, Section, registry
from ..finding import Certainty, Finding, Searched, Verdict
from ..run import Report
from ..selftest import Pair, selftest
from .commands import repeat_run
from .forest import tightness
from .markdown import code, plain, table
from .numerals import number, short
from .plain import ReportFileError, read_json
from .summary import by_instance, certainties, given, gravest, in_words, totals, worst_cases

BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"


class ReadmeError(ValueError):
    """A README has no place for the table."""


def verdicts(report: Report, pairs: Sequence[Pair]) -> str:
    """The table of verdicts, in Markdown.

    Parameters
    ----------
    report : Report
        Of the true claims.
    pairs : sequence of Pair
        What the judge made of the false statements.

    Returns
    -------
    str
    """
    judged = given(report.findings)
    counts = in_words({v: sum(f.verdict is v for f in judged) for v in Verdict})
    told = (
        f"{plain(totals(report))}: {counts}. Of the decided verdicts, {certainties(report)}. "
        f"{_searches(report)}The chance of any false verdict in this run is at most "
        f"{report.alpha:g}. (`{repeat_run(report)}`, then `make verdicts`, which writes this part.)"
    )
    heads = ["claim", "what it says", "kind", "certainty", "instances", "tightest"]
    if report.searched:
        heads.append("searched")
    lines: list[list[str]] = []
    for section in Section:
        own = [name for name in report.claims if registry()[name].section is section]
        for name in own:
            findings = [finding for finding in judged if finding.claim == name]
            cases = [pair for pair in worst_cases(report) if pair[0].claim == name]
            if findings or cases:
                line = _line(name, findings)
                lines.append([*line, _worst(cases)] if report.searched else line)
    parts = [told, table(heads, lines)]
    if pairs:
        parts.append(_false(pairs))
    return "\n\n".join(parts)


def _line(name: str, findings: Sequence[Finding]) -> list[str]:
    claim = registry()[name]
    ratios = [ratio for f in findings if not math.isnan(ratio := tightness(f))]
    return [
        code(name),
        plain(claim.title),
        str(claim.kind),
        _certainty(findings),
        _instances(findings),
        short(max(ratios)) if ratios else "",
    ]


def _searches(report: Report) -> str:
    """What searches came to, as a sentence."""
    if not report.searched:
        return ""
    looks = sum({case.claim: case.evaluations for case in report.searched}.values())
    refuted = sum(finding.verdict is Verdict.REFUTED for _, finding in worst_cases(report))
    return (
        f"A search for the worst case of each claim, {looks:,} looks in all, refuted "
        f"{refuted or 'none'}: the last column has the best ratio of a mean to its bound that it "
        "found and, in brackets, its tightness, the lesser of that ratio and the ratio of what is "
        "gained (1 - bound) / (1 - mean). A bound that is attained has ratios a hair above 1 too, "
        "by chance. "
    )


def _worst(cases: Sequence[tuple[Searched, Finding]]) -> str:
    """What a search found for one claim: for its tightest stage, or whether it holds there."""
    if not cases:
        return ""
    bounded = [case for case, _ in cases if not math.isnan(case.tightness)]
    if bounded:
        tightest = max(bounded, key=lambda case: case.tightness)
        return f"{number(tightest.ratio)} ({short(tightest.tightness)})"
    verdict = gravest(finding.verdict for _, finding in cases)
    return f"**{verdict}**" if verdict is Verdict.REFUTED else "not refuted"


def _certainty(findings: Sequence[Finding]) -> str:
    """The kinds of certainty, each with its number of instances if there are several."""
    groups = {
        certainty: {f.instance for f in findings if f.certainty is certainty}
        for certainty in Certainty
    }
    found = {certainty: names for certainty, names in groups.items() if names}
    if len(found) == 1:
        return str(next(iter(found)))
    return ", ".join(f"{certainty} ({len(names)})" for certainty, names in found.items())


def _instances(findings: Iterable[Finding]) -> str:
    verdicts_by_instance = list(by_instance(findings).values())
    if not verdicts_by_instance:
        return "none"
    confirmed = verdicts_by_instance.count(Verdict.CONFIRMED)
    if confirmed == len(verdicts_by_instance):
        return f"{confirmed} confirmed"
    counts = {verdict: verdicts_by_instance.count(verdict) for verdict in Verdict}
    return f"**{in_words(counts)}**"


def _false(pairs: Sequence[Pair]) -> str:
    lines = []
    for pair in pairs:
        finding = _decisive(pair.false_findings)
        relation = "=" if finding.kind is Kind.EQUALITY else "<="
        if finding.kind is Kind.DETERMINISTIC:
            measured, limit = number(finding.lower), f">= -{number(finding.tolerance)}"
        else:
            measured, limit = number(finding.mean), f"{relation} {number(finding.bound)}"
        lines.append([
            plain(registry()[pair.false].title.removeprefix("False: ")),
            code(pair.instance),
            str(finding.verdict),
            measured,
            plain(limit),
        ])  # fmt: skip
    refuted = sum(_decisive(pair.false_findings).verdict is Verdict.REFUTED for pair in pairs)
    twins = sum(_decisive(pair.twin_findings).verdict is Verdict.REFUTED for pair in pairs)
    told = (
        f"A judge that cannot say no proves nothing: of {len(pairs)} false statements, each close "
        f"to a true one, it refuted {refuted}, and of their true twins {twins or 'none'} "
        "(`proofs-check selftest`)."
    )
    heads = ["false statement", "instance", "verdict", "measured", "it says"]
    return told + "\n\n" + table(heads, lines)


def _decisive(findings: Sequence[Finding]) -> Finding:
    """The finding that refutes, if any does."""
    refuted = [finding for finding in findings if finding.verdict is Verdict.REFUTED]
    return (refuted or list(findings))[0]


def rewritten(text: str, part: str) -> str:
    r"""A README with its part between the two comments replaced.

    Raises
    ------
    ReadmeError
        If the comments are not there, once each and in order.

    Examples
    --------
    >>> rewritten(f"a {BEGIN} old {END} b", "new")
    'a <!-- verdicts:begin -->\n\nnew\n\n<!-- verdicts:end --> b'
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ReadmeError(f"expected {BEGIN} and, after it, {END}, once each; put them in.")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{rest.split(END)[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 0, or 2 after one line on standard error."""
    parser = argparse.ArgumentParser(prog="readme", description=__doc__)
    parser.add_argument("report", type=Path, help="from proofs-check run --json")
    parser.add_argument("readme", type=Path, help="rewritten in place, or not at all")
    chosen = parser.parse_args(arguments)
    try:
        report = read_json(chosen.report)
        text = chosen.readme.read_text(encoding="utf-8")
        rewritten(text, "")  # before the long part
        part = verdicts(report, selftest(report.seed, report.alpha))
        write_whole(chosen.readme, rewritten(text, part).encode())
    except ReportFileError as error:
        print(f"readme: {error}", file=sys.stderr)
        return 2
    except ReadmeError as error:
        print(f"readme: {chosen.readme}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"readme: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
