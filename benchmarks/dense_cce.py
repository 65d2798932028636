"""Dense CCE, many trials, against the algorithm written plainly in NumPy."""

from __future__ import annotations

import numpy as np

from lsq_sketch import LeastSquares, dense_cce
from lsq_sketch.threads import for_each, single_threaded_blas

from .timing import Benchmark, Contender

SIZES = {
    "full": {"n": 10_000, "d1": 1000, "d2": 10, "k": 110, "n_iter": 20, "trials": 100, "sample": 5},
    "toy": {"n": 300, "d1": 40, "d2": 3, "k": 10, "n_iter": 4, "trials": 4, "sample": 2},
}


def plain_dense_cce(
    X: np.ndarray, Y: np.ndarray, k: int, noise: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 of the paper, line by line.

    Parameters
    ----------
    X, Y : ndarray, shapes (n, d1) and (n, d2)
    k : int
    noise : list of ndarray, each of shape (d1, k - d2)

    Returns
    -------
    table : ndarray, shape (d1, d2)
    loss : ndarray, shape (len(noise),)
    """
    T = np.zeros((X.shape[1], Y.shape[1]))
    losses = []
    for G in noise:
        H = np.hstack([T, G])
        XH = X @ H
        M = np.linalg.lstsq(XH, Y, rcond=None)[0]
        T = H @ M
        losses.append(((XH @ M - Y) ** 2).sum())
    return T, np.array(losses)


def prepare(size: str) -> Benchmark:
    """Check that both give the same trajectory for the same noise; then time."""
    n, d1, d2, k, n_iter, trials, sample = SIZES[size].values()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d1)) * np.geomspace(1, 0.1, d1)
    Y = rng.standard_normal((n, d2))

    problem = LeastSquares(X, Y)
    found = dense_cce(problem, k, n_iter, rng=1)
    same = np.random.default_rng(1)
    Vt = np.linalg.svd(X, full_matrices=False)[2]
    Vt *= np.sign((Vt * problem.reduction.Vt).sum(axis=1))[:, None]  # type: ignore[attr-defined]
    noise = [Vt.T @ same.standard_normal((d1, k - d2)) for _ in range(n_iter)]
    table, loss = plain_dense_cce(X, Y, k, noise)
    np.testing.assert_allclose(found.loss[1:], loss, rtol=1e-9)
    np.testing.assert_allclose(found.table, table, rtol=1e-6, atol=1e-9 * np.abs(table).max())

    def ours() -> None:
        problem = LeastSquares(X, Y)
        problem.reduction  # noqa: B018  (before the threads)
        with single_threaded_blas():
            for_each(lambda seed: dense_cce(problem, k, n_iter, rng=seed), range(trials))

    def peer() -> None:
        rng = np.random.default_rng(0)
        for _ in range(sample):
            noise = [rng.standard_normal((d1, k - d2)) for _ in range(n_iter)]
            plain_dense_cce(X, Y, k, noise)

    def draw() -> None:
        def one(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(n_iter):
                rng.standard_normal((d1, k - d2))

        for_each(one, range(trials))

    return Benchmark(
        f"Dense CCE: {trials} trials x {n_iter} iterations, n={n}, d1={d1}, k={k}, d2={d2}",
        Contender(ours),
        {f"plain NumPy ({sample} of {trials} trials)": Contender(peer, sample / trials)},
        {"drawing the noise": Contender(draw)},
    )
