"""Same seed, same bits: for any number of our own threads, and of BLAS's."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from threadpoolctl import threadpool_info, threadpool_limits

from lsq_sketch import (
    CountSketch,
    LeastSquares,
    cluster,
    dense_cce,
    kmeans,
    one_shot,
    problem,
    sketched_normal_equations,
    sketches,
    solve,
    sparse_cce,
    threads,
)
from tests.strategies import one_hot, random_sparse


def bits(*values):
    """Arrays and numbers as bytes: -0.0 and 0.0 differ, and so do two roundings."""
    return b"".join(
        np.ascontiguousarray(v.toarray() if sp.issparse(v) else v).tobytes() for v in values
    )


def blas_threads():
    return {
        (info["filepath"], info["num_threads"])
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }


# What is computed, in pieces ----------------------------------------------------------------


def sketch_everything():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1100, 40))
    C = CountSketch(40, 7, rng)
    S = random_sparse(300, 40, 0.2, rng)
    return bits(C.apply(X), C.apply(np.asfortranarray(X)), C.apply(S), C.apply(sp.csc_array(S)))


def normal_equations():
    rng = np.random.default_rng(1)
    X = one_hot(400, [30, 20, 10], rng)
    X = X * rng.standard_normal(60)
    return bits(
        *sketched_normal_equations(X, rng.standard_normal((400, 2)), CountSketch(60, 90, rng))
    )


def clustering():
    rng = np.random.default_rng(2)
    points = rng.standard_normal((900, 3))
    found = kmeans(points, 8, 5)
    return bits(found.labels, found.centroids, found.cost)


def trajectories():
    rng = np.random.default_rng(3)
    dense = rng.standard_normal((400, 150)), rng.standard_normal((400, 2))
    sparse = one_hot(400, [60, 40], rng), rng.standard_normal((400, 2))
    out = []
    for X, Y in (dense, sparse):
        p = LeastSquares(X, Y)
        assert p.rank > 0  # the first to ask for the reduction
        out += [p.optimum, p.rho, p.optimal_loss, p.singular_values, p.excess(np.ones((p.d1, 2)))]
        for noise in ("gaussian", "whitened", "count-sketch"):
            r = dense_cce(p, 12, 3, noise, rng=4)
            out += [r.excess, r.table, r.loss]
        s = sparse_cce(p, 20, 3, rng=4)
        out += [s.excess, s.table, s.assignments, s.quantization_cost, s.resolved_excess]
        shot = one_shot(p, 20, 10, rng=4)
        out += [shot.sketched.table, shot.clustered.loss, shot.resolved.excess]
    return bits(*out)


def many_row_blocks():
    """Triangles of several row blocks, factored by several threads."""
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((9000, 20)), rng.standard_normal((9000, 2))
    p = LeastSquares(X, Y)
    return bits(p.optimum, p.singular_values, p.optimal_loss)


def norms():
    X = np.random.default_rng(6).standard_normal((300, 300))
    p = LeastSquares(X, X[:, :2])
    q = LeastSquares(sp.csr_array(X), X[:, :2])
    return bits(p.squared_frobenius_norm, q.squared_frobenius_norm)


COMPUTATIONS = [
    sketch_everything, normal_equations, clustering, trajectories, many_row_blocks, norms,
]  # fmt: skip


@pytest.fixture
def small_pieces(monkeypatch):
    """So that toy sizes are cut into many pieces too."""
    monkeypatch.setattr(sketches, "DENSE_ROWS", 16)
    monkeypatch.setattr(sketches, "F_BUFFER", 7)
    monkeypatch.setattr(sketches, "PAIRS", 100)
    monkeypatch.setattr(sketches, "PANEL_BITS", 3)
    monkeypatch.setattr(cluster, "POINTS_PER_PIECE", 10)


@pytest.mark.parametrize("compute", COMPUTATIONS)
def test_our_threads_do_not_change_a_bit(compute, monkeypatch, small_pieces):
    results = set()
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        results.add(compute())
    assert len(results) == 1


@pytest.mark.parametrize("compute", COMPUTATIONS)
def test_threads_of_blas_do_not_change_a_bit(compute):
    results = set()
    for count in (1, 2):
        with threadpool_limits(count, user_api="blas"):
            results.add(compute())
    assert len(results) == 1


SCRIPT = """
import hashlib
from tests.lsq_sketch import test_threads as t
from lsq_sketch import threads
print(threads.thread_count(), hashlib.sha256(b"".join(f() for f in t.COMPUTATIONS)).hexdigest())
"""


def test_a_fresh_process_with_other_settings_gives_the_same_bits():
    runs = []
    for count in ("1", "2"):
        environment = os.environ | {"NUMBA_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
        runs.append(
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True
            )
        )
    counts, digests = zip(*(run.communicate()[0].split() for run in runs), strict=True)
    assert counts == ("1", str(min(2, os.cpu_count() or 1)))
    assert digests[0] == digests[1]


def test_calls_from_several_threads_at_once_give_the_same_bits():
    expected = trajectories()
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: trajectories(), range(3))) == {expected}


# for_each -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_for_each_keeps_the_order(count, monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: count)
    pieces = list(range(50))
    assert threads.for_each(lambda piece: piece * piece, pieces) == [p * p for p in pieces]
    assert threads.for_each(lambda piece: piece, []) == []


def test_for_each_uses_several_threads(monkeypatch):
    """Two pieces that wait for each other: with one thread they would wait for ever."""
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    meeting = threading.Barrier(2, timeout=30)
    threads.for_each(lambda piece: meeting.wait(), [0, 1])


def test_for_each_within_for_each():
    """As many pieces as threads, each with pieces of its own: they must not wait for each other.

    In a process of its own, since threads that wait for ever cannot be ended.
    """
    script = """
from lsq_sketch import threads
threads.thread_count = lambda: 2
found = threads.for_each(lambda a: threads.for_each(lambda b: (a, b), [0, 1, 2]), [0, 1, 2, 3])
assert found == [[(a, b) for b in range(3)] for a in range(4)]
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


@pytest.mark.parametrize("count", [1, 3])
def test_for_each_passes_errors_on(count, monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: count)

    def fail(piece):
        raise KeyError(piece)

    with pytest.raises(KeyError, match="1"):
        threads.for_each(fail, [1, 1])


def test_no_piece_is_begun_after_an_error(monkeypatch):
    """Whichever thread has it; and the calling thread has its threads again."""
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    both, over = threading.Barrier(2, timeout=30), threading.Event()
    begun = []

    def work(piece):
        begun.append(piece)
        both.wait()
        if piece == 0:
            raise KeyError(piece)
        over.wait(0.5)  # by then the error is known; the event never comes
        return piece

    with pytest.raises(KeyError):
        threads.for_each(work, range(50))
    over.wait(1)
    assert set(begun) == {0, 1}
    assert not threads._worker.busy
    test_for_each_uses_several_threads(monkeypatch)


def test_row_chunks_cover_everything_once():
    for n in (0, 1, 5, 6, 7):
        chunks = threads.row_chunks(n, 3)
        assert [i for a, b in chunks for i in range(a, b)] == list(range(n))
        assert all(b - a <= 3 for a, b in chunks)


def test_thread_count_obeys_numba(monkeypatch):
    assert 1 <= threads.thread_count() <= (os.cpu_count() or 1)
    monkeypatch.setattr(threads.config, "NUMBA_NUM_THREADS", 1)
    assert threads.thread_count() == 1


# BLAS on one thread -------------------------------------------------------------------------


@pytest.fixture(params=["by default", "limited by the caller"])
def before(request):
    """The numbers of threads of BLAS, which the caller may have set for a block of its own."""
    if request.param == "by default":
        yield blas_threads()
    else:
        with threadpool_limits(2, user_api="blas"):
            yield blas_threads()


def counts():
    return {count for _, count in blas_threads()}


def test_blas_is_limited_inside_and_as_before_afterwards(before):
    with threads.single_threaded_blas():
        assert counts() == {1}
        with threads.single_threaded_blas():
            assert counts() == {1}
        assert counts() == {1}
    assert blas_threads() == before


def test_the_limit_is_lifted_after_an_error(before):
    with pytest.raises(ZeroDivisionError), threads.single_threaded_blas():
        raise ZeroDivisionError
    assert blas_threads() == before


def test_several_threads_share_the_limit(before):
    """The first in sets it, the last out lifts it, in whichever order they leave."""
    both_in, one_out = threading.Barrier(2, timeout=30), threading.Event()
    seen = []

    def first():
        with threads.single_threaded_blas():
            both_in.wait()
        one_out.set()

    def second():
        with threads.single_threaded_blas():
            both_in.wait()
            assert one_out.wait(30)
            seen.append(counts())

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    assert seen == [{1}]
    assert blas_threads() == before


def test_many_threads_leave_the_limit_as_it_was(before):
    def work(i):
        with threads.single_threaded_blas():
            A = np.random.default_rng(i).standard_normal((60, 60))
            return counts(), float((A @ A).sum())

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, [0, 1, 2, 3] * 5))
    assert all(inside == {1} for inside, _ in results)
    assert len({value for _, value in results}) == 4
    assert blas_threads() == before


def test_the_library_leaves_the_limit_as_it_was(before):
    p = LeastSquares(np.eye(3), np.ones(3))
    assert p.rho > 0
    assert p.optimal_loss == 0
    with pytest.raises(ValueError, match="T has shape"):
        p.loss(np.ones(7))
    assert len(trajectories()) > 0
    assert blas_threads() == before


def test_factorisations_see_one_thread_whoever_asks_first(before, monkeypatch):
    """Rounding of LAPACK may depend on the number of threads, and need not at these sizes."""
    seen = []

    def spied(original):
        def spy(*args, **options):
            seen.append(counts())
            return original(*args, **options)

        return spy

    for module, name in [
        (problem, "choose_reduction"),
        (np.linalg, "qr"),
        (scipy.linalg, "svd"),
        (scipy.linalg, "eigh"),
        (solve.lapack, "dpotrf"),
    ]:
        monkeypatch.setattr(module, name, spied(getattr(module, name)))
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((60, 2))
    for X in (rng.standard_normal((60, 9)), one_hot(60, [8, 6], rng)):
        for ask in ("rank", "singular_values", "spectral_norm", "rho", "optimum", "optimal_loss"):
            getattr(LeastSquares(X, Y), ask)
        p = LeastSquares(X, Y)
        p.excess(np.ones((p.d1, 2)))
        dense_cce(LeastSquares(X, Y), 5, 2, "count-sketch")
        sparse_cce(LeastSquares(X, Y), 8, 2)
        one_shot(LeastSquares(X, Y), 5, 3)
    assert len(seen) > 30
    assert all(threads_seen == {1} for threads_seen in seen)
    assert blas_threads() == before


def test_the_callers_own_limit_works_afterwards():
    before = blas_threads()
    assert len(trajectories()) > 0
    with threadpool_limits(1, user_api="blas"):
        assert counts() == {1}
    assert blas_threads() == before


def test_a_forked_child_starts_afresh():
    """It has none of its parent's threads: a fork within the block must not hang or be limited."""
    script = """
import os, sys
import numpy as np
from lsq_sketch import LeastSquares, threads
with threads.single_threaded_blas():
    child = os.fork()
    if child == 0:
        assert threads._depth == 0
        threads.for_each(lambda piece: piece, [1, 2, 3])
        p = LeastSquares(np.diag([2.0, 1.0]), np.ones(2))
        os._exit(0 if abs(p.rho - 0.2) < 1e-12 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=60)
    assert done.returncode == 0
