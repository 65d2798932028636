"""A report as one HTML page that needs nothing else: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lsq_sketch.files import write_whole

from ..claim import Claim, Kind, Section
from ..finding import Evidence, Finding, LeftOut, Searched, Verdict
from ..instances import catalogue
from ..run import Report
from .commands import repeat_claim, repeat_finding, repeat_run
from .forest import Axis, axis_for, interval, tightness, used
from .numerals import count, number, short
from .plain import unavailable_to, versions_of
from .summary import (
    SYMBOLS,
    Block,
    Reason,
    Row,
    blocks,
    by_section,
    certainties,
    described,
    in_words,
    is_exact,
    left_out_on,
    nearest,
    reached,
    reasons,
    rows,
    stage_and_part,
    tally,
    totals,
    worst_cases,
)
from .typeset import typeset

RELATIONS = {Kind.UPPER_BOUND: "≤", Kind.EQUALITY: "=", Kind.DISTRIBUTION: "≤"}

BACKGROUND = ("Source", "Proof idea", "Bound", "Experiment", "Departures")
"""Sections of a claim's file that stand in its background, as they were written."""


@dataclass(frozen=True)
class Plot:
    """One row of a forest plot; lengths are percentages of its width.

    Attributes
    ----------
    low, middle, high : str
        Ends of the interval, and the mean or the worst trial.
    limits : tuple of str
    outside : tuple of (str, str)
        Left ends and widths of what the claim does not allow.
    centre : str or None
        The claimed value of an equality.
    observed : bool
    before, beyond : bool
        Whether the interval goes on to the left or right of the plot.
    """

    low: str
    middle: str
    high: str
    width: str
    limits: tuple[str, ...]
    outside: tuple[tuple[str, str], ...]
    centre: str | None
    observed: bool
    before: bool
    beyond: bool


@dataclass(frozen=True)
class Line:
    """A finding as a line of a table."""

    finding: Finding
    part: str
    plot: Plot
    numbers: tuple[tuple[str, str], ...]
    told: str


@dataclass(frozen=True)
class Table:
    """The findings of a block, on one axis."""

    block: Block
    axis: Axis
    ticks: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    heads: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """Everything that a page says of one claim."""

    claim: Claim
    statement: Markup
    hypotheses: Markup
    rows: tuple[Row, ...]
    verdicts: str
    counted: str
    tightest: str
    tables: tuple[Table, ...]
    left_out: tuple[Reason, ...]
    command: str
    commands: tuple[str, ...]
    background: tuple[tuple[str, tuple[str, ...]], ...]
    overview: tuple[tuple[Row, Line], ...]
    worst: tuple[tuple[Searched, str], ...]


@dataclass(frozen=True)
class Part:
    """The claims of a section of the theory."""

    section: Section
    entries: tuple[Entry, ...]

    @property
    def verdicts(self) -> str:
        """All that occur in it."""
        return " ".join(sorted({v for entry in self.entries for v in entry.verdicts.split()}))


def write_html(report: Report, path: Path) -> None:
    """Write a report as one HTML page: whole, or not at all.

    Parameters
    ----------
    report : Report
    path : Path

    Raises
    ------
    OSError
        If the file cannot be written; an existing one is then untouched.
    """
    write_whole(path, as_html(report).encode())


def as_html(report: Report) -> str:
    """A report as one HTML page.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        The same for the same report.
    """
    parts = _sections(report)
    shown = [entry for part in parts for entry in part.entries]
    verdicts = {
        str(verdict): sum(str(verdict) in entry.verdicts.split() for entry in shown)
        for verdict in Verdict
    }
    return _environment().get_template("page.html").render(
        style=Markup((files(__package__) / "templates" / "style.css").read_text("utf-8")),
        report=report,
        headline=_headline(report),
        totals=totals(report),
        counted=in_words({verdict: report.count(verdict) for verdict in Verdict}),
        certainties=certainties(report),
        parts=parts,
        claims=len(shown),
        filters=verdicts,
        untried=_untried(report),
        instances=[(name, described(name), _is_real(name)) for name in report.instances],
        unavailable=unavailable_to(report),
        versions=versions_of(report),
        command=repeat_run(report),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "symbol": SYMBOLS.__getitem__,
        "tally": _tally,
        "sentence": _sentence,
    }
    environment.globals |= {"count": count, "left_out_on": left_out_on}
    return environment


def _sentence(text: str) -> str:
    """With a capital letter; the rest is left as it is, unlike by `str.capitalize`."""
    return text[:1].upper() + text[1:]


def _tally(row: Row) -> list[tuple[Verdict, int]]:
    return list(tally(row.findings).items())


def _headline(report: Report) -> str:
    claims = count(len({finding.claim for finding in report.findings}), "claim")
    doubtful = [finding for finding in report.findings if finding.is_doubtful]
    counts = {v: len({f.claim for f in doubtful if f.verdict is v}) for v in Verdict}
    told = in_words(counts) if doubtful else "none refuted"
    return f"{claims}, {told}"


def _is_real(instance: str) -> bool:
    known = catalogue().get(instance)
    return known.real if known else True


def _untried(report: Report) -> list[tuple[str, list[Reason]]]:
    """Claims that were tried on no instance, and why."""
    tried = {finding.claim for finding in report.findings}
    left = {claim: _left_out(report, claim) for claim in report.claims if claim not in tried}
    return [(claim, reasons(entries)) for claim, entries in left.items() if entries]


def _left_out(report: Report, claim: str) -> list[LeftOut]:
    return [entry for entry in report.left_out if entry.claim == claim]


def _sections(report: Report) -> list[Part]:
    ids = frozenset(finding.claim for finding in report.findings)
    return [
        Part(section, tuple(_entry(report, own, ids) for own in claims))
        for section, claims in by_section(rows(report))
    ]


def _entry(report: Report, own: Sequence[Row], ids: frozenset[str]) -> Entry:
    claim = own[0].claim
    findings = [finding for finding in report.findings if finding.claim == claim.id]
    ratios = [ratio for finding in findings if (ratio := tightness(finding)) == tightness(finding)]
    return Entry(
        claim=claim,
        statement=typeset(claim.typeset["Statement"], ids),
        hypotheses=typeset(claim.typeset["Hypotheses"], ids),
        rows=tuple(own),
        verdicts=" ".join(sorted({str(finding.verdict) for finding in findings})),
        counted=in_words(tally(findings)),
        tightest=short(max(ratios)) if ratios else "",
        tables=tuple(map(_table, blocks(findings))),
        left_out=tuple(reasons(_left_out(report, claim.id))),
        command=repeat_claim(report, claim.id),
        commands=tuple(dict.fromkeys(repeat_finding(report, finding) for finding in findings)),
        background=tuple(
            (heading, _paragraphs(claim.sections[heading]))
            for heading in BACKGROUND
            if heading in claim.sections
        ),
        overview=tuple((row, _nearest_line(row)) for row in own),
        worst=tuple(
            (case, reached(case, finding))
            for case, finding in worst_cases(report)
            if case.claim == claim.id
        ),
    )


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _nearest_line(row: Row) -> Line:
    closest = nearest(row.findings)
    return _line(closest, axis_for([closest]))


def _table(block: Block) -> Table:
    axis = axis_for(block.findings)
    lines = tuple(_line(finding, axis) for finding in block.findings)
    ticks = tuple((_percent(position), label) for position, label in axis.ticks)
    return Table(block, axis, ticks, lines, tuple(head for head, _ in lines[0].numbers))


def _line(finding: Finding, axis: Axis) -> Line:
    part = stage_and_part(finding)[1]
    return Line(finding, part, _plot(finding, axis), _numbers(finding), _told(finding))


def _numbers(finding: Finding) -> tuple[tuple[str, str], ...]:
    """Titles and texts of the columns."""
    cases = "cases" if finding.evidence is Evidence.EXACT else "trials"
    trials = (cases, f"{finding.trials:,}" if finding.trials else "–")
    if finding.kind is Kind.DETERMINISTIC:
        return (
            ("least slack", number(finding.lower)),
            ("mean slack", number(finding.mean)),
            ("tolerance", number(finding.tolerance)),
            trials,
        )
    between = f"{number(finding.lower)} … {number(finding.upper)}"
    return (
        ("mean", number(finding.mean)),
        ("interval", "exact" if is_exact(finding) else between),
        ("limit", f"{RELATIONS[finding.kind]} {number(finding.bound)}"),
        trials,
    )


def _told(finding: Finding) -> str:
    """The plot in words, for those who do not see it."""
    texts = ", ".join(f"{title} {text}" for title, text in _numbers(finding)[:3])
    return (
        f"{finding.instance}: {texts}; takes {short(used(finding))} of what the claim allows: "
        f"{finding.verdict}"
    )


def _percent(position: float) -> str:
    return f"{100 * position:.4g}%"


def _plot(finding: Finding, axis: Axis) -> Plot:
    shares = interval(finding)
    observed = shares.middle == shares.middle
    low, middle, high = shares.low, shares.middle, shares.high
    if axis.kind is Kind.DETERMINISTIC:
        low, middle = high, high  # the worst trial decides
    ends = axis.limits
    outside = [(ends[-1], 1 - ends[-1])]
    if axis.kind is Kind.EQUALITY:
        outside.insert(0, (0.0, ends[0]))
    left, right = axis.place(low) if observed else 0.0, axis.place(high) if observed else 0.0
    return Plot(
        low=_percent(left),
        middle=_percent(axis.place(middle)) if observed else "0%",
        high=_percent(right),
        width=_percent(right - left),
        limits=tuple(map(_percent, ends)),
        outside=tuple((_percent(start), _percent(width)) for start, width in outside),
        centre=_percent(axis.place(0)) if axis.kind is Kind.EQUALITY else None,
        observed=observed,
        before=observed and axis.kind is Kind.EQUALITY and low < -axis.reach,
        beyond=observed and axis.beyond(high),
    )
