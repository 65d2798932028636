"""The command line, as its users meet it."""

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from proofs_check.claim import registry

PROGRAM = [sys.executable, "-m", "proofs_check.cli"]
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"


def call(*arguments, **environment):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )


@pytest.fixture
def problem(tmp_path):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((80, 12)), rng.standard_normal((80, 2))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    return tmp_path, X, Y


def test_list_names_every_claim():
    out = call("list").stdout
    for claim in registry().values():
        (line,) = [line for line in out.splitlines() if line.split()[0] == claim.id]
        assert claim.kind in line
        assert claim.title in line


def test_explain_prints_every_heading():
    out = call("explain", "dense-rate").stdout
    for text in ("Statement", "Hypotheses", "Source", "Proof idea", "(1 - rho)^m", "Theorem 3.1"):
        assert text in out
    assert "true twin is dense-rate" in call("explain", "false-dense-rate-by-dimension").stdout


def test_help_tells_defaults_that_are_lists_or_depend_on_others():
    out = call("plan", "--help", COLUMNS="150").stdout
    for default in ("0.001", "all three", "1", "as many as values", "both"):
        assert f"[default: {default}]" in out


@pytest.mark.compiled
def test_the_quick_profile_confirms_everything_on_synthetic_and_real_problems(tmp_path):
    """Chance that a true claim is refuted here: at most 0.01, once: the seed is fixed."""
    done = call("run", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert {f["verdict"] for f in report["findings"]} == {"confirmed"}
    assert {f["claim"] for f in report["findings"]} == set(report["claims"])
    real = {f["instance"] for f in report["findings"] if f["real"]}
    assert real == {"digits", "diabetes", "movielens", "flights-tail-number", "flights-fields"}
    assert report["without_real_data"] == ["orthonormal-exact", "recovery-probability"]
    assert "orthonormal-exact meets its hypotheses on no real data" in done.stdout
    assert done.stderr == ""


def test_same_seed_same_json_whatever_the_jobs(tmp_path):
    names = ["dense-rate", "whitened-law", "sparse-step", "one-hot-exact", "excess-identity"]
    only = ["--instance", "zipf-one-hot", "--instance", "diabetes", "--instance", "two-fields"]
    files = {}
    for label, jobs, seed in (("a", 1, 3), ("b", 2, 3), ("c", 1, 4)):
        done = call(
            "run", *names, *only, "--seed", seed, "--jobs", jobs, "--json", tmp_path / label
        )
        assert done.returncode == 0, done.stdout + done.stderr
        files[label] = (tmp_path / label).read_bytes()
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_exit_status_1_when_something_is_refuted():
    done = call("run", "false-dense-rate-by-dimension", "--instance", "geometric-1000-adversarial")
    assert done.returncode == 1
    assert "refuted" in done.stdout


@pytest.mark.compiled
def test_selftest():
    done = call("selftest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 8 false statements refuted, none of their true twins." in done.stdout
    assert "of 200" in next(line for line in done.stdout.splitlines() if "false alarms" in line)
    assert "of 200" in next(line for line in done.stdout.splitlines() if "power" in line)


# ------------------------------------------------------------------ evidence and formats


@pytest.mark.compiled
def test_exact_evidence_proves_what_trials_support(tmp_path):
    done = call(
        "run", "sketch-solve-rate", "dense-rate", "--evidence", "trials", "--evidence", "exact",
        "--instance", "diabetes", "--json", tmp_path / "report.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    found = {(f["claim"], f["evidence"], f["certainty"]) for f in findings}
    assert found == {
        (claim, *means)
        for claim in ("sketch-solve-rate", "dense-rate")
        for means in (("trials", "statistical"), ("exact", "proof"))
    }
    assert "are proofs" in done.stdout


def test_a_false_statement_is_refuted_by_proof():
    done = call(
        "run", "false-one-hot-exact-mean-frequency", "--evidence", "exact",
        "--instance", "zipf-one-hot",
    )  # fmt: skip
    assert done.returncode == 1
    assert "refuted" in done.stdout
    assert "proof" in done.stdout


@pytest.mark.compiled
def test_a_search_saves_a_worst_instance_that_runs_again(tmp_path):
    claim = "false-sketch-solve-rate-linear"
    options = ("--evidence", "search", "--evaluations", 150, "--worst-cases", tmp_path)
    done = call("run", claim, *options, "--json", tmp_path / "first.json")
    assert done.returncode == 1, done.stderr
    assert "best ratio found" in done.stdout
    saved = tmp_path / f"worst-{claim}.npz"
    again = call("run", claim, "--instance", saved)
    assert again.returncode == 1, again.stderr
    assert f"worst-{claim}" in again.stdout
    assert call("run", "sketch-solve-rate", "--instance", saved).returncode == 0
    content = saved.read_bytes()
    call("run", claim, *options, "--json", tmp_path / "second.json")
    assert (tmp_path / "second.json").read_bytes() == (tmp_path / "first.json").read_bytes()
    assert saved.read_bytes() == content


def test_a_saved_report_in_every_format(tmp_path):
    saved = tmp_path / "report.json"
    assert call("run", "excess-identity", "--instance", "flat", "--json", saved).returncode == 0
    html, markdown, again = (tmp_path / f"report.{end}" for end in ("html", "md", "again"))
    done = call("report", saved, "--html", html, "--markdown", markdown, "--json", again, "-v")
    assert done.returncode == 0, done.stderr
    assert "excess-identity" in done.stdout
    assert "<math" in html.read_text()
    assert "excess-identity" in markdown.read_text()
    assert again.read_bytes() == saved.read_bytes()
    saved.write_text("{}")
    bad = call("report", saved)
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1


def test_schema_is_json():
    assert json.loads(call("schema").stdout)["$schema"].startswith("https://json-schema.org/")


# ------------------------------------------------------------------ a user's own problem


@pytest.mark.parametrize("form", ["npy", "npz", "sparse", "csv", "csv with header"])
def test_own_problem(problem, form):
    folder, X, Y = problem
    design, target = folder / "X.npy", folder / "Y.npy"
    if form == "npz":
        design = folder / "X.npz"
        np.savez(design, X=X)
    elif form == "sparse":
        design = folder / "X.npz"
        sp.save_npz(design, sp.csr_array(X))
    elif form.startswith("csv"):
        design, target = folder / "X.csv", folder / "Y.csv"
        header = ",".join(f"x{j}" for j in range(X.shape[1])) if "header" in form else ""
        np.savetxt(design, X, delimiter=",", header=header, comments="")
        np.savetxt(target, Y, delimiter=",")
    report = folder / "report.json"
    claims = ["dense-rate", "excess-identity", "one-hot-exact"]
    done = call(
        "run", *claims, "--design", design, "--target", target, "--jobs", 1, "--json", report
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert {f["claim"] for f in found["findings"]} == {"dense-rate", "excess-identity"}
    assert all(f["instance"] == "user" and f["real"] for f in found["findings"])
    assert "one-hot-exact applies to no instance of this run" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "dens-rate"], "no claim 'dens-rate'. Did you mean dense-rate?"),
        (["explain", "xyz"], "no claim 'xyz'. See proofs-check list"),
        (["explain"], "Missing argument"),
        (["run", "--profile", "slow"], "--profile must be one of quick, full; got 'slow'"),
        (["run", "--alpha", "1.5"], "--alpha must lie strictly between 0 and 1; got 1.5"),
        (["run", "--seed", "-1"], "--seed"),
        (["run", "--seed", "x"], "--seed"),
        (["run", "--jobs", "0"], "--jobs"),
        (["run", "--unknown"], "--unknown"),
        (["run", "--instance", "foo"], "no instance or file 'foo'; choose from flat"),
        (["run", "--json", "/nonexistent/r.json"], "the folder /nonexistent does not exist"),
        (["run", "--design", "{X}"], "--design and --target go together"),
        (["run", "--design", "gone.npy", "--target", "{Y}"], "gone.npy: no such file"),
        (["run", "--design", "{X}", "--target", "{bad}"], "could not be read"),
        (["run", "--design", "{X}", "--target", "{text}"], "unknown suffix '.txt'"),
        (["run", "--design", "{X}", "--target", "{short}"], "Y has 3 rows but X has 80"),
        (["run", "--design", "{nan}", "--target", "{Y}"], "X contains NaN or infinity in 1"),
        (["run", "--design", "{two}", "--target", "{Y}"], "holds 2 arrays (a, b); expected one"),
        (["run", "--design", "{X}", "--target", "{Y}", "--instance", "flat"], "cannot go with"),
    ],
)
def test_a_mistake_is_one_clear_line(problem, arguments, message):
    folder, X, _ = problem
    (folder / "bad.npy").write_bytes(b"nothing of the kind")
    (folder / "text.txt").write_text("1 2 3")
    np.save(folder / "short.npy", np.ones(3))
    broken = X.copy()
    broken[3, 4] = np.nan
    np.save(folder / "nan.npy", broken)
    np.savez(folder / "two.npz", a=X, b=X)
    names = {"X": "X.npy", "Y": "Y.npy", "bad": "bad.npy", "text": "text.txt"}
    names |= {"short": "short.npy", "nan": "nan.npy", "two": "two.npz"}
    paths = {key: str(folder / name) for key, name in names.items()}
    done = call(*(argument.format(**paths) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("proofs-check: ")
    assert done.stdout == ""


# ------------------------------------------------------------------ terminals


def on_a_terminal(*arguments, **environment):
    """Output of the program with a terminal as its standard streams."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "130", **environment},
    )  # fmt: skip
    os.close(follower)
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(leader)
    return process.wait(), b"".join(chunks).decode()


ONE = ["run", "excess-identity", "--instance", "diabetes", "--jobs", "1"]


def test_progress_and_colour_on_a_terminal_only():
    status, text = on_a_terminal(*ONE)
    assert status == 0
    assert "checking" in text
    assert "\x1b[32m" in text
    piped = call(*ONE)
    assert "checking" not in piped.stdout + piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr


def test_no_color_is_respected():
    status, text = on_a_terminal(*ONE, NO_COLOR="1")
    assert status == 0
    assert "\x1b[32m" not in text
    assert "confirmed" in text
