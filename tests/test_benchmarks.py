"""A toy-size run of every benchmark; times themselves are never asserted."""

import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import registry
from benchmarks.timing import Benchmark, Contender, measure


@pytest.mark.parametrize("name", registry())
def test_toy_run_checks_results_equal_and_times_them(name):
    benchmark = registry()[name].prepare("toy")
    timings = measure(benchmark, repeats=2)
    assert timings[0].role == "ours"
    assert {timing.role for timing in timings} == {"ours", "peer", "limit"}
    assert all(0 < timing.least <= timing.median for timing in timings)


def test_contenders_are_interleaved_and_shares_are_scaled():
    order = []
    benchmark = Benchmark(
        "work",
        Contender(lambda: order.append("ours")),
        {"peer": Contender(lambda: order.append("peer"), share=1e-6)},
        {"limit": Contender(lambda: order.append("limit"))},
    )
    timings = {timing.name: timing for timing in measure(benchmark, 3)}
    assert order == ["ours", "peer", "limit"] * 3
    assert timings["peer"].median > 1000 * timings["ours"].median
    assert timings["peer"].ratio == timings["peer"].median / timings["ours"].median


def test_a_wrong_result_is_not_timed(monkeypatch):
    monkeypatch.setattr(
        "benchmarks.count_sketch.CountSketch.apply", lambda self, X: X[:, : self.m] * 0.0
    )
    with pytest.raises(AssertionError):
        registry()["count-sketch"].prepare("toy")


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True
    )


def test_command_line(tmp_path):
    path = tmp_path / "timings.json"
    done = command("count-sketch", "--size", "toy", "--repeats", "2", "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "scipy.sparse product" in done.stdout
    written = json.loads(path.read_text())
    assert written["benchmarks"]["count-sketch"]["timings"][0]["name"] == "ours"
    assert written["environment"]["threads"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no benchmark 'nothing'; choose from"),
        (["--size", "huge"], "--size must be full or toy; got 'huge'"),
        (["--json", "/nonexistent/x.json"], "does not exist"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
