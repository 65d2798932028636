"""The README: every snippet runs and prints what it says; every command exists."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import registry as benchmarks
from proofs_check.claim import registry as claims
from proofs_check.report.markdown import plain
from proofs_check.report.readme import BEGIN, END

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.compiled
def test_python_snippets():
    result = doctest.testfile(
        str(ROOT / "README.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted > 10
    assert result.failed == 0


def commands(program):
    return re.findall(rf"^\$ {re.escape(program)}(.*?)(?:  +#.*)?$", README, flags=re.MULTILINE)


@pytest.mark.parametrize("arguments", commands("proofs-check"))
def test_every_subcommand_and_option_exists(arguments):
    words = arguments.split()
    done = subprocess.run(
        [sys.executable, "-m", "proofs_check.cli", words[0], "--help"],
        capture_output=True, text=True, env={"COLUMNS": "200", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0
    for option in [word for word in words if word.startswith("--")]:
        assert option in done.stdout
    if words[0] in ("explain", "run") and len(words) > 1 and not words[1].startswith("-"):
        assert words[1] in claims()


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {arguments.split()[0] for arguments in commands("make")}
    assert {"check", "test"} <= named <= targets


def test_named_things_exist():
    for picture in re.findall(r"\]\((docs/[^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
    text = README.split("```text")[1].split("```")[0]
    shown = re.findall(r"^(\S+) +\d+ +(?:statistical|no counterexample)", text, re.MULTILINE)
    assert shown
    assert set(shown) <= set(claims())
    for name in re.findall(
        r"^\| `([\w-]+)` \|", README.split("benchmarks --json")[1], re.MULTILINE
    ):
        assert name in benchmarks()


@pytest.mark.compiled
def test_the_plan_counts_what_it_says():
    """The counts by bounds; simulated ones depend on how a processor rounds."""
    said = re.findall(r"^(?:16)? +(gaussian|whitened) +(\S+) +(= \d+|[\d,]+)", README, re.MULTILINE)
    assert [noise for noise, *_ in said] == ["gaussian", "whitened"]
    arguments = "--instance digits --k 16 32 48 --eps 1e-3 --noise gaussian whitened"
    assert arguments in README
    done = subprocess.run(
        [sys.executable, "-m", "proofs_check.cli", "plan", *arguments.split(), "--budget", "0.1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for noise, paper, sharper in said:
        assert re.search(rf"{noise} +{re.escape(paper)} +{re.escape(sharper)} ", done.stdout)


def test_the_table_of_verdicts_is_there_and_of_every_true_claim():
    """`make verdicts` writes it; here only that it was written, by this set of claims."""
    part = README.split(BEGIN)[1].split(END)[0]
    told = re.findall(r"^\| `([\w-]+)` \|", part, re.MULTILINE)
    assert sorted(told) == sorted(name for name, claim in claims().items() if not claim.is_false)
    false = [claim.title.removeprefix("False: ") for claim in claims().values() if claim.is_false]
    assert all(f"| {plain(title)} |" in part for title in false)
    assert "| refuted |" in part
