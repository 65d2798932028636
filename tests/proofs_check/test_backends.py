"""Workers that die, trials that fail, and a cluster that loses a worker."""

import os
import signal
import threading
from dataclasses import replace

import pytest
from joblib.externals.loky import reusable_executor

from proofs_check.backends import BackendError, executor
from proofs_check.claim import registry
from proofs_check.report import as_dict
from proofs_check.run import run

CLAIMS = ["dense-rate", "whitened-law", "sketch-solve-rate", "excess-identity"]
INSTANCES = ["flat", "geometric-10", "digits", "diabetes"]


def small_run(profile="quick", **options):
    return run([registry()[name] for name in CLAIMS], INSTANCES, profile=profile, **options)


def test_a_trial_that_fails_is_named_with_its_seed(monkeypatch):
    def trial(instance, rng):
        raise FloatingPointError("overflow")

    broken = replace(registry()["dense-rate"], trial=trial)
    monkeypatch.setitem(registry(), "dense-rate", broken)
    report = run([broken, registry()["excess-identity"]], ["diabetes"], seed=5)
    assert "trial 0 of dense-rate on diabetes (numpy.random.SeedSequence(5, spawn_key=(" in (
        report.failure
    )
    assert "FloatingPointError: overflow" in report.failure
    assert report.interrupted >= 1
    assert report.exit_status == 4


@pytest.mark.compiled
def test_a_worker_that_dies_is_an_error_with_the_seed_and_nothing_is_lost(tmp_path):
    killed = []

    def kill_a_worker(finished, total):
        if finished >= 2 and not killed:
            killed.append(next(iter(reusable_executor._executor._processes)))
            os.kill(killed[0], signal.SIGKILL)

    report = small_run("full", jobs=2, journal=tmp_path, progress=kill_a_worker)
    assert killed
    assert "a worker process died" in report.failure
    assert "SeedSequence(0, spawn_key=(" in report.failure
    assert report.exit_status == 4
    resumed = small_run("full", jobs=2, journal=tmp_path, resume=True)
    assert as_dict(resumed) == as_dict(small_run("full"))


@pytest.mark.compiled
def test_a_cluster_that_loses_a_worker_gives_the_same_report():
    import distributed

    expected = as_dict(small_run())
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        first = next(iter(cluster.workers.values()))
        done = threading.Event()

        def kill_when_busy(finished, total):
            if finished >= total // 4 and not done.is_set():
                done.set()
                os.kill(first.pid, signal.SIGKILL)

        report = small_run(scheduler=cluster.scheduler_address, progress=kill_when_busy)
        assert done.is_set()
    assert as_dict(report) == expected


def test_no_scheduler_is_a_clear_error():
    with (
        pytest.raises(BackendError, match=r"there is no Dask scheduler at tcp://127\.0\.0\.1:1"),
        executor(1, "tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.compiled
def test_a_trial_that_kills_every_worker_of_a_cluster_is_named(tmp_path):
    import dask
    import distributed

    poison = tmp_path / "poison.py"
    poison.write_text(
        "import dataclasses, os\n"
        "from proofs_check.claim import registry\n"
        "deadly = dataclasses.replace(registry()['dense-rate'], trial=lambda *_: os._exit(1))\n"
        "registry()['dense-rate'] = deadly\n"
    )
    with (
        dask.config.set({"distributed.worker.preload": [str(poison)]}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
    ):
        report = run([registry()["dense-rate"]], ["flat"], scheduler=cluster.scheduler_address)
    assert "died again and again while doing trial 0 of dense-rate on flat (" in report.failure
    assert report.exit_status == 4
