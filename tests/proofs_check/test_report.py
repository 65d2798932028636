"""What reports say: plots in units of the limit, on the terminal, in Markdown, in the README."""

import io
import json
import math
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from proofs_check.claim import Kind, Section, registry
from proofs_check.finding import Certainty, Evidence, Verdict
from proofs_check.profile import PROFILES
from proofs_check.report import (
    as_html,
    as_markdown,
    number,
    print_details,
    print_report,
    read_json,
    readme,
    write_json,
)
from proofs_check.report.commands import repeat_claim, repeat_finding, repeat_run
from proofs_check.report.forest import ASCII, axis_for, cells, interval, tightness, used
from proofs_check.report.markdown import code, plain
from proofs_check.report.numerals import short
from proofs_check.report.summary import blocks, by_instance, nearest, rows, tally
from proofs_check.run import Report, run
from proofs_check.selftest import Pair
from tests.proofs_check.reports import (
    CONFIRMED,
    NUMBERS,
    REFUTED,
    UNDECIDED,
    every_claim,
    everything,
    finding,
    proof,
    searched,
)

finite = st.floats(-2, 2, allow_nan=False)
kinds = st.sampled_from(list(Kind))


# ------------------------------------------------------------------ numbers and plots


@given(st.floats(0, 1e6).filter(lambda value: value == 0 or value > 1e-90))
def test_a_short_number_is_never_rounded_across_1(value):
    assert (float(short(value)) > 1) == (value > 1 + 1e-12)
    assert len(short(value)) <= 7


@given(st.floats(-10, 1e90))
def test_a_number_is_short(value):
    assert len(number(value)) <= 9


@pytest.mark.parametrize(("kind", "verdict"), NUMBERS)
def test_what_is_used_of_the_limit_is_at_most_1_only_where_confirmed(kind, verdict):
    share = used(finding("dense-rate", kind=kind, verdict=verdict))
    if not (kind is Kind.DETERMINISTIC and verdict is UNDECIDED):  # nothing was observed
        assert (share <= 1) == (verdict is CONFIRMED)


def test_what_is_used_agrees_with_the_judge_on_a_run():
    claims = [registry()[name] for name in ("dense-rate", "one-hot-exact", "excess-identity")]
    found = run(claims, ["zipf-one-hot", "flat", "diabetes"], seed=5).findings
    assert {f.kind for f in found} == {Kind.UPPER_BOUND, Kind.EQUALITY, Kind.DETERMINISTIC}
    for f in found:
        assert f.verdict is CONFIRMED
        assert 0 <= used(f) <= 1


@given(kinds, st.sampled_from(list(Verdict)), finite, finite, finite, st.integers(2, 60))
def test_a_plot_is_as_wide_as_asked_and_marks_what_lies_outside(kind, verdict, a, b, c, width):
    lower, mean, upper = sorted((a, b, c))
    f = replace(finding("dense-rate", kind=kind), lower=lower, mean=mean, upper=upper)
    axis = axis_for([f])
    text = cells(f, axis, width, ASCII)
    assert len(text) == width
    assert sum(text.count(mark) for mark in "o<>") >= 1
    assert axis.beyond(interval(f).high) == (text[-1] == ">") or width < 4
    assert all(0 <= axis.place(share) <= 1 for share in (a, b, c, math.inf, -math.inf))


def test_a_plot_of_a_bound():
    f = finding("whitened-beta", bound=1.0, lower=0.5, mean=0.75, upper=1.0)
    assert cells(f, axis_for([f]), 24, ASCII) == "          -----o----+   "
    refuted = replace(f, lower=1.05, mean=1.1, upper=1.15, verdict=REFUTED)
    row = cells(refuted, axis_for([refuted]), 24, ASCII)
    assert row.index("|") < row.index("-") < row.index("o")


def test_a_plot_of_an_equality_has_two_limits_and_the_value():
    f = finding("whitened-law")
    row = cells(f, axis_for([f]), 31, ASCII)
    assert row.count("|") == 2
    assert row.index("|") < row.index("-") < row.index("o") < row.rindex("|")


def test_a_slack_takes_its_share_of_the_tolerance_logarithmically():
    places = []
    for slack in (0.3, 0.0, -1e-17, -1e-15, -1e-13, -1e-12):
        f = finding("lloyd-monotone", lower=slack, mean=0.3, upper=0.3)
        assert used(f) == pytest.approx(max(0, -slack) / 1e-12)
        places.append(axis_for([f]).place(used(f)))
    assert places == sorted(places)
    assert places[:2] == [0, 0]
    assert places[4] - places[3] == pytest.approx(2 * (places[5] - places[4]))


def test_nothing_allowed_and_nothing_used():
    f = replace(finding("excess-identity"), tolerance=0.0, lower=0.0, mean=0.0, upper=0.0)
    assert used(f) == 0
    assert used(replace(f, lower=-1e-300, verdict=REFUTED)) == math.inf


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_share_of_a_bound_rises_with_the_mean_and_is_1_at_the_bound(bound, a, b):
    low, high = sorted((a, b))
    made = finding("dense-rate", bound=bound, lower=low, mean=low, upper=high, verdict=UNDECIDED)
    shares = interval(made)
    assert shares.low <= shares.high
    if abs(high - bound) > 1e-9:
        assert (shares.high <= 1) == (high <= bound)


def test_an_exact_number_rounded_across_an_attained_limit_is_at_the_limit():
    """Seen in exact evidence: the bound is attained, the enclosure one unit in the last place."""
    above = math.nextafter(0.5, 1)
    attained = proof("dense-rate", bound=0.5)
    attained = replace(attained, mean=0.5, lower=math.nextafter(0.5, 0), upper=above)
    assert used(attained) == 1
    assert short(used(attained)) == "1"
    equal = replace(attained, kind=Kind.EQUALITY, tolerance=0.0)
    assert used(equal) == 0
    assert used(replace(equal, verdict=REFUTED)) == math.inf


def test_nothing_observed_draws_nothing():
    f = finding("lloyd-monotone", verdict=UNDECIDED)
    assert set(cells(f, axis_for([f]), 20, ASCII)) == {" ", "|"}


def test_the_tightest_ratio_is_of_upper_bounds_alone():
    assert tightness(finding("dense-rate")) == pytest.approx((1 - 0.8) / (1 - 0.6))
    assert tightness(finding("dense-rate", bound=0.8, mean=0.1)) == pytest.approx(0.1 / 0.8)
    assert tightness(finding("dense-rate", bound=2.0, mean=1.5)) == 0.75
    assert tightness(finding("dense-rate", bound=0.8, mean=0.8)) == pytest.approx(1)
    assert math.isnan(tightness(finding("whitened-law")))


# ------------------------------------------------------------------ what is told of a claim


def test_the_gravest_stage_counts_for_an_instance():
    found = [
        finding("resolve-chain"),
        finding("resolve-chain", verdict=REFUTED, stage="other"),
        finding("resolve-chain", "digits"),
    ]
    assert by_instance(found) == {"flat": REFUTED, "digits": CONFIRMED}
    assert tally(found) == {CONFIRMED: 1, REFUTED: 1, UNDECIDED: 0}
    assert nearest(found) is found[1]


def test_rows_go_by_section_then_claim_then_evidence():
    found = rows(everything())
    sections = [row.claim.section for row in found]
    assert list(dict.fromkeys(sections)) == list(Section)
    assert sections == sorted(sections, key=list(Section).index)
    own = [(row.evidence, row.certainty) for row in found if row.claim.id == "dense-rate"]
    assert own == [
        (Evidence.TRIALS, Certainty.STATISTICAL),
        (Evidence.SEARCH, Certainty.UNREFUTED),
    ]
    assert sum(len(row.findings) for row in found) == len(everything().findings)


def test_parts_of_instances_share_a_table():
    found = [
        replace(proof("sketch-solve-rate", name), stage=f"by rho; columns {columns} of 48")
        for name, columns in (("flat", "1, 2"), ("digits", "3, 5"))
    ]
    (block,) = blocks(found)
    assert block.stage == "by rho"
    assert block.heading == "proof"
    report = every_claim()
    report.findings += found
    for text in (printed(print_details, report, 200), as_html(report)):
        assert "columns 3, 5 of 48" in text


# ------------------------------------------------------------------ the terminal


def printed(show, report, width, **options):
    stream = io.StringIO()
    show(report, Console(file=stream, width=width, highlight=False, **options))
    return stream.getvalue()


PROSE = re.compile(
    r"^(?:Again: |Worst |  \S+ on |  \S+: best |\S+ (?:applies|meets|was)|\S+  |\S+ was not run)"
)


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
@pytest.mark.parametrize("show", [print_report, print_details])
def test_tables_fit_and_nothing_is_cut_off(show, width):
    text = printed(show, everything(), width)
    assert "…" not in text
    assert "\x1b" not in text
    for line in text.splitlines():
        assert len(line) <= width or PROSE.match(line), line


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_has_a_line_for_each_claim_under_its_section(width):
    lines = printed(print_report, every_claim(), width).splitlines()
    section = None
    told = {}
    for line in lines:
        if line.strip() in set(Section):
            section = line.strip()
        elif line.split() and line.split()[0] in registry() and section:
            told.setdefault(line.split()[0], section)
            assert re.search(r"\s5\s.*(?:statistical|no counterexample)", line)
            assert re.search("[●━]", line)
    assert told == {claim.id: claim.section for claim in registry().values() if not claim.is_false}
    assert len(lines) < 70


def test_whatever_is_not_confirmed_is_shown_in_full():
    text = printed(print_report, everything(), 120)
    after = text.split("Not confirmed")[1]
    for f in everything().findings:
        row = re.search(rf"^{f.instance} .*{f.verdict}", after.split(f"{f.claim}  ")[-1], re.M)
        if f.verdict is not CONFIRMED:
            assert row, f
            assert f"run {f.claim} --instance {f.instance}" in after
    assert "excess-identity  " not in after


def test_the_end_says_what_verdicts_rest_on():
    text = printed(print_report, everything(), 200)
    report = everything()
    decided = [f.certainty for f in report.findings if f.verdict is not UNDECIDED]
    for certainty, word in {
        Certainty.PROOF: "are proofs",
        Certainty.ROUNDING: "are exact to rounding",
        Certainty.STATISTICAL: "are statistical",
        Certainty.UNREFUTED: "found no counterexample",
    }.items():
        assert f"{decided.count(certainty)} {word}" in text
    assert "2 tasks were not finished" in text
    assert "at most 0.01" in text


def test_one_claim_is_shown_in_full():
    report = run([registry()["excess-identity"]], ["diabetes", "flat"])
    text = printed(print_report, report, 120)
    assert text == printed(print_details, report, 120)
    assert re.search(r"^diabetes \*\s+confirmed", text, re.M)


def test_an_empty_report_says_so():
    empty = Report("quick", 0, 0.01, ["dense-rate", "kmeanspp"], ["flat"], [Evidence.TRIALS])
    assert "0 claims on 0 instances" in printed(print_report, empty, 80)


def test_a_terminal_without_unicode_gets_ascii():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_report(everything(), Console(file=stream, width=100))
    print_details(everything(), Console(file=stream, width=100))
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "--o--" in text


def test_colour_only_where_there_is_any():
    assert "\x1b[32m" in printed(
        print_report, everything(), 100, force_terminal=True, color_system="standard"
    )


# ------------------------------------------------------------------ Markdown


def parsed(text):
    """Tables of a document as GitHub reads it: rows of the text of their cells."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    tables = []
    for position, token in enumerate(tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inline = tokens[position + 1]
            tables[-1][-1].append("".join(child.content for child in inline.children))
    return tables


def test_markdown_holds_a_line_a_claim_and_every_doubt():
    report = everything()
    summary, doubts, worst = parsed(as_markdown(report))
    assert {len(row) for row in summary} == {5}
    assert {row[0] for row in summary} >= set(report.claims) | set(Section)
    assert {(row[0], row[1], row[3]) for row in doubts[1:]} == {
        (f.claim, f.instance, f.verdict) for f in report.findings if f.verdict is not CONFIRMED
    }
    (case,) = report.searched
    assert worst[1:] == [
        [
            "dense-rate",
            "every step",
            "0.9700 (0.96 to 0.97), tightness 0.88",
            "confirmed",
            case.description,
            "1,234",
        ]
    ]


def test_an_undecided_worst_case_is_no_doubt():
    """No number of trials tells a bound that is attained from one that is exceeded by a hair."""
    report = every_claim()
    report.findings.append(searched("dense-rate", "dense-rate-worst", verdict=UNDECIDED))
    assert report.exit_status == 0
    assert "Not confirmed" not in as_markdown(report)
    assert "Not confirmed" not in printed(print_report, report, 100)
    assert "none refuted" in as_html(report)
    report.findings.append(searched("dense-rate", "dense-rate-worst", verdict=REFUTED))
    assert report.exit_status == 1
    assert "Not confirmed" in as_markdown(report)


def test_a_page_shows_the_worst_case_of_its_claim():
    text = as_html(everything())
    assert text.count("Worst case found by search") == 1
    assert "best ratio found: 0.9700 (0.96 to 0.97), tightness 0.88; 1,234 evaluations" in text
    assert "&lt;b&gt;17&lt;/b&gt; | columns" in text


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1))
def test_any_text_survives_a_cell_of_markdown(text):
    (rows_of_table,) = parsed(f"| a | b |\n| --- | --- |\n| x{plain(text)}x | {code(text)} |")
    assert rows_of_table[1] == [f"x{text}x", text.replace("`", "'")]


def test_markdown_says_how_to_repeat():
    text = as_markdown(everything())
    assert f"$ {repeat_run(everything())}\n" in text
    assert "numpy " in text


# ------------------------------------------------------------------ commands


def test_the_command_of_a_finding_finds_the_same(tmp_path):
    claims = [registry()[name] for name in ("dense-rate", "whitened-law", "excess-identity")]
    report = run(claims, ["flat", "few-columns"], seed=7)
    for number_of_command, f in enumerate(report.findings[::3]):
        file = tmp_path / f"{number_of_command}.json"
        words = shlex.split(repeat_finding(report, f))
        assert words[:2] == ["proofs-check", "run"]
        program = [sys.executable, "-m", "proofs_check.cli", *words[1:]]
        done = subprocess.run(
            [*program, "--json", str(file), "--jobs", "1"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        again = {g.stage: g for g in read_json(file).findings}[f.stage]
        assert replace(again, alpha=0.0) == replace(f, alpha=0.0)
        assert again.alpha == pytest.approx(f.alpha, rel=1e-12)


def test_commands_say_only_what_is_not_usual():
    report = every_claim()
    assert repeat_run(report) == (
        "proofs-check run --instance flat --instance geometric-1000-adversarial --instance "
        "zipf-one-hot --instance digits --instance flights-tail-number --profile quick --seed 0"
    )
    assert "--alpha" not in repeat_claim(report, "excess-identity")
    random = sum(registry()[name].kind is not Kind.DETERMINISTIC for name in report.claims)
    assert f"--alpha {0.01 / random!r}" in repeat_claim(report, "dense-rate")
    assert repeat_finding(report, proof("dense-rate")).count("--evidence exact") == 1
    all_kinds = everything()
    search = repeat_finding(all_kinds, searched("dense-rate", "dense-rate-worst"))
    assert "--evidence search --evaluations 1234" in search
    assert "--evaluations 1234" in repeat_run(all_kinds)
    usual = replace(all_kinds.searched[0], evaluations=PROFILES["quick"].evaluations)
    assert "--evaluations" not in repeat_run(replace(all_kinds, searched=[usual]))
    assert "--evaluations" not in repeat_run(replace(
        all_kinds, searched=[*all_kinds.searched, usual]
    ))  # fmt: skip
    own = Report("full", 3, 0.01, ["dense-rate"], ["user"], [Evidence.TRIALS])
    assert repeat_claim(own, "dense-rate") == (
        "proofs-check run dense-rate --design X --target Y --profile full --seed 3"
    )


# ------------------------------------------------------------------ the README's table


def pairs():
    return [
        Pair(claim.id, claim.twin, claim.killer, [finding(claim.id, verdict=REFUTED)],
             [finding(claim.twin)])
        for claim in registry().values()
        if claim.is_false
    ]  # fmt: skip


def test_the_table_of_verdicts():
    text = readme.verdicts(everything(), pairs())
    true, false = parsed(text)
    by_claim = {row[0]: row for row in true[1:]}
    assert set(by_claim) == set(everything().claims)
    assert by_claim["excess-identity"][2:] == ["deterministic", "no counterexample",
                                               "5 confirmed", "", ""]  # fmt: skip
    assert by_claim["dense-rate"][3:] == [
        "statistical", "5 confirmed", "0.50", "0.9700 (0.88)"
    ]  # fmt: skip
    assert "1,234 looks in all, refuted none" in text
    assert by_claim["kmeanspp"][4] == "5 confirmed, 1 undecided"
    without = replace(everything(), searched=[])
    assert [len(row) for row in parsed(readme.verdicts(without, pairs()))[0][:2]] == [6, 6]
    assert len(false) == 9
    assert {row[2] for row in false[1:]} == {"refuted"}
    assert "of 8 false statements" in text
    assert "it refuted 8, and of their true twins none" in text


def test_only_the_part_between_the_comments_is_rewritten():
    text = f"# A\n\n{readme.BEGIN}\n\nold\n\n{readme.END}\n\nmore\n"
    once = readme.rewritten(text, "new | table")
    assert once == f"# A\n\n{readme.BEGIN}\n\nnew | table\n\n{readme.END}\n\nmore\n"
    assert readme.rewritten(once, "new | table") == once


@pytest.mark.parametrize(
    "text", ["", readme.BEGIN, f"{readme.END}{readme.BEGIN}", 2 * f"{readme.BEGIN}{readme.END}"]
)
def test_a_readme_without_a_place_is_left_alone(text, tmp_path, capsys):
    report = tmp_path / "r.json"
    write_json(every_claim(), report)
    (tmp_path / "README.md").write_text(text)
    assert readme.main([str(report), str(tmp_path / "README.md")]) == 2
    assert (tmp_path / "README.md").read_text() == text
    assert "once each; put them in." in capsys.readouterr().err
    assert readme.main([str(tmp_path / "gone.json"), str(tmp_path / "README.md")]) == 2
    assert "gone.json: no such file." in capsys.readouterr().err


@pytest.mark.compiled
def test_the_command_writes_verdicts_and_false_statements(tmp_path):
    report = run([registry()["excess-identity"], registry()["dense-rate"]], ["flat", "diabetes"])
    write_json(report, tmp_path / "r.json")
    file = tmp_path / "README.md"
    file.write_text(f"before {readme.BEGIN}{readme.END} after")
    assert readme.main([str(tmp_path / "r.json"), str(file)]) == 0
    text = file.read_text()
    true, false = parsed(text)
    assert [row[0] for row in true[1:]] == ["dense-rate", "excess-identity"]
    assert len(false) == 1 + sum(claim.is_false for claim in registry().values())
    assert "it refuted 8, and of their true twins none" in text
    assert json.loads((tmp_path / "r.json").read_text())["seed"] == 0
