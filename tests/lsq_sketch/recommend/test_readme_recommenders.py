"""The README's part on recommenders: its commands run, and print what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lsq_sketch.recommend.comparison import COLUMNS

ROOT = Path(__file__).parents[3]
BEGIN, END = "<!-- recommenders:begin -->", "<!-- recommenders:end -->"
PART = (ROOT / "README.md").read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
TOLERANCE = 0.01
"""Of losses, AUCs and predictions: other processors round otherwise, and training amplifies it."""


def examples():
    """Commands of the part, each with the lines it is said to print."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", PART, flags=re.MULTILINE | re.DOTALL):
        for text in block.split("$ lsq-sketch ")[1:]:
            command, *lines = text.splitlines()
            found.append((shlex.split(command), lines))
    return found


def words_and_numbers(lines):
    """The words of lines, and their decimal numbers below 10; not speeds, and spaces are alike."""
    text = "\n".join(re.sub(r" +[\d,]+$", "", line) if "." in line else line for line in lines)
    number = r"(?<![\d.,])\d\.\d{4,}"
    return re.sub(number, "#", text).split(), [float(n) for n in re.findall(number, text)]


@pytest.mark.compiled
def test_its_commands_print_what_it_says(tmp_path):
    (tmp_path / "pairs.csv").write_text("user,item\n1,31\n1,1029\nnew,31\n")
    assert [command[0] for command, _ in examples()] == ["train", "compare", "predict"]
    for command, expected in examples():
        done = subprocess.run(
            [sys.executable, "-m", "lsq_sketch.cli", *command],
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed = done.stdout + done.stderr
        if command[0] == "compare":
            printed = printed[printed.index("method ") :]
        found_words, found = words_and_numbers(printed.splitlines())
        words, numbers = words_and_numbers(expected)
        assert found_words == words, f"Paste this into the README:\n{printed}"
        assert found == pytest.approx(numbers, abs=TOLERANCE), (
            f"Paste this into the README:\n{printed}"
        )


def test_it_describes_every_column():
    table = PART.split("| column | what it holds |")[1]
    described = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE))
    assert described == COLUMNS
