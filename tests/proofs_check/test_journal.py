"""Runs that survive: the journal, SIGKILL, Ctrl-C."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest

from proofs_check.claim import Bound, Kind, registry
from proofs_check.finding import Certainty, Evidence, Finding, LeftOut, Searched, Verdict
from proofs_check.journal import NAME, Journal, JournalError
from proofs_check.report import as_dict
from proofs_check.run import run
from proofs_check.verify import Opening
from proofs_check.work import Outcome
from tests.checks import heed_interrupts

RUN = {"seed": 3, "claims": ["dense-rate"], "versions": {"lsq-sketch": "0.1.0"}}
FINDING = Finding(
    "dense-rate", "flat", "every step", Kind.UPPER_BOUND, False, Verdict.CONFIRMED, 0.5, 0.4, 0.3,
    0.45, 0.1, 0.0, 32, 96, 0.01, 12, Evidence.EXACT, Certainty.PROOF,
)  # fmt: skip
OUTCOMES = [
    Outcome(
        0, 0, 32, {"a": [0.1, 1 / 3, math.pi]},
        Opening({"a": Bound(0.5)}, "flat", False, False, 4),
    ),
    Outcome(1, settled=LeftOut("dense-rate", "flat", False, "too large", True)),
    Outcome(2, settled=[FINDING]),
    Outcome(
        3, settled=[FINDING], saved={"worst-dense-rate": "UEs="},
        searched=(Searched("dense-rate", "every step", "worst-dense-rate", "flat", 0.9, 0.8, 7),),
    ),
    Outcome(0, 32, 64, {"a": [5e-324, 1e308]}, seconds=0.5),
]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    with Journal(tmp_path / "runs", RUN, resume=False) as journal:
        for outcome in OUTCOMES:
            journal.append([outcome])
    return tmp_path / "runs"


def resumed(folder, run=RUN):
    with Journal(folder, run, resume=True) as journal:
        return journal.outcomes


def test_everything_comes_back_to_the_bit(written):
    assert resumed(written) == OUTCOMES


def test_a_torn_last_record_is_dropped_wherever_it_tears(written):
    content = (written / NAME).read_bytes()
    last = content[:-1].rindex(b"\n") + 1
    for end in range(last, len(content)):
        (written / NAME).write_bytes(content[:end])
        assert resumed(written) == OUTCOMES[:-1]
        assert (written / NAME).read_bytes() == content[:last]


def test_a_torn_record_is_written_again(written):
    content = (written / NAME).read_bytes()
    (written / NAME).write_bytes(content[:-7])
    with Journal(written, RUN, resume=True) as journal:
        journal.append(OUTCOMES[-1:])
    assert (written / NAME).read_bytes() == content


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_earlier_record_is_refused(written, seed):
    content = bytearray((written / NAME).read_bytes())
    last = content[:-1].rindex(b"\n") + 1
    rng = np.random.default_rng(seed)
    content[rng.integers(last)] ^= 1 << rng.integers(8)
    (written / NAME).write_bytes(content)
    with pytest.raises(JournalError, match="is damaged: record"):
        resumed(written)


@pytest.mark.parametrize("change", ["lost", "doubled", "moved"])
def test_a_lost_doubled_or_moved_record_is_refused(written, change):
    lines = (written / NAME).read_bytes().splitlines(keepends=True)
    order = {
        "lost": [0, 2, 3, 4, 5],
        "doubled": [0, 1, 1, 2, 3, 4, 5],
        "moved": [0, 2, 1, 3, 4, 5],
    }[change]
    (written / NAME).write_bytes(b"".join(lines[i] for i in order))
    with pytest.raises(JournalError, match="does not match its checksum"):
        resumed(written)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({**RUN, "seed": 4}, "its seed is 3, this run's is 4"),
        ({**RUN, "claims": ["kmeanspp"]}, 'its claims is ["dense-rate"]'),
        ({**RUN, "versions": {"lsq-sketch": "9"}}, "its versions is"),
        ({**RUN, "more": 1}, "its more is null, this run's is 1"),
    ],
)
def test_the_journal_of_another_run_is_refused(written, other, message):
    before = (written / NAME).read_bytes()
    with pytest.raises(JournalError) as error:
        resumed(written, other)
    assert message in str(error.value)
    assert (written / NAME).read_bytes() == before


def test_a_journal_is_not_overwritten_by_mistake(written):
    with pytest.raises(JournalError, match="add --resume to go on with it"):
        Journal(written, RUN, resume=False)


def test_a_journal_in_use_is_refused(written):
    with Journal(written, RUN, resume=True), pytest.raises(JournalError, match="in use"):
        Journal(written, RUN, resume=True)


def test_resuming_where_there_is_nothing_begins(tmp_path):
    assert resumed(tmp_path / "new") == []


# ------------------------------------------------------------------ whole runs

CLAIMS = ["dense-rate", "excess-identity", "one-hot-exact", "whitened-beta", "kmeanspp"]
INSTANCES = ["flat", "few-columns", "zipf-one-hot"]


def small_run(**options):
    return run([registry()[name] for name in CLAIMS], INSTANCES, **options)


@pytest.mark.compiled
def test_any_part_of_a_journal_resumes_to_the_same_report(tmp_path):
    whole = as_dict(small_run(journal=tmp_path))
    assert whole == as_dict(small_run())
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    rng = np.random.default_rng(0)
    for keep in (1, *rng.integers(2, len(lines), 3), len(lines)):
        (tmp_path / NAME).write_bytes(b"".join(lines[:keep]) + b"torn")
        assert as_dict(small_run(journal=tmp_path, resume=True)) == whole


def command(tmp_path, *more):
    instances = [word for name in INSTANCES for word in ("--instance", name)]
    return [
        sys.executable, "-m", "proofs_check.cli", "run", *CLAIMS, *instances, "--profile", "full",
        "--journal", str(tmp_path / "journal"), "--json", str(tmp_path / "report.json"), *more,
    ]  # fmt: skip


def call(tmp_path, *more):
    return subprocess.run(
        command(tmp_path, *more), capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.compiled
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_at_any_moment_and_resumed_the_report_is_the_same(tmp_path, jobs):
    (tmp_path / "whole").mkdir()
    assert call(tmp_path / "whole").returncode == 0
    written_whole = (tmp_path / "whole" / "journal" / NAME).stat().st_size
    killed = 0
    # moments of the work, not of the clock: machines differ
    for share in np.sort(np.random.default_rng(int(jobs)).uniform(0, 0.8, 3)):
        process = subprocess.Popen(
            command(tmp_path, "--jobs", jobs, "--resume"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if (tmp_path / "journal" / NAME).stat().st_size > share * written_whole:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    killed += 1
                    break
            time.sleep(0.002)
    assert killed
    finished = call(tmp_path, "--resume")
    assert finished.returncode == 0, finished.stderr
    report = (tmp_path / "report.json").read_bytes()
    assert report == (tmp_path / "whole" / "report.json").read_bytes()


@pytest.mark.compiled
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_soon_with_what_is_known(tmp_path, jobs):
    instances = [word for name in (*INSTANCES, "digits") for word in ("--instance", name)]
    process = subprocess.Popen(
        [sys.executable, "-m", "proofs_check.cli", "run", "--profile", "full", "--jobs", jobs,
         "--json", str(tmp_path / "report.json"), "--journal", str(tmp_path), *instances],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:  # until something is known
        with contextlib.suppress(FileNotFoundError):
            if b'"settled"' in (tmp_path / NAME).read_bytes():
                break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=60)
    seconds = time.monotonic() - begun
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "Interrupted" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"] > 0
    assert report["findings"]
    assert seconds < 10  # promised: 2, on a machine that is not busy with other tests


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume"], "--resume needs --journal DIR"),
        (["--backend", "cloud"], "--backend must be one of processes, dask; got 'cloud'"),
        (["--backend", "dask"], "--backend dask and --scheduler tcp://HOST:PORT go together"),
        (["--journal", "{file}"], "could not use"),
    ],
)
def test_mistakes_are_one_line(tmp_path, options, message):
    (tmp_path / "file").write_text("")
    options = [option.format(file=tmp_path / "file") for option in options]
    done = subprocess.run(
        [sys.executable, "-m", "proofs_check.cli", "run", "excess-identity", *options],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_findings_and_left_out_entries_come_back_from_plain_data():
    assert Finding.from_dict(json.loads(json.dumps(asdict(FINDING)))) == FINDING
    left = LeftOut("a", "b", True, "why", False, Evidence.EXACT)
    assert LeftOut.from_dict(asdict(left)) == left
