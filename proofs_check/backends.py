"""Where batches are done: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import queue
import tempfile
import threading
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from .work import Batch, Diary, Outcome, name_trial, perform

Executor = Callable[[Sequence[Sequence[Batch]]], Iterator[list[Outcome]]]
"""Does groups of batches, each group on one process; yields their outcomes as groups end."""


class BackendError(RuntimeError):
    """Batches could not be done for a reason outside them; the message says which and why."""


def executor(jobs: int, scheduler: str | None = None) -> AbstractContextManager[Executor]:
    """An executor.

    Parameters
    ----------
    jobs : int
        Processes on this machine; 1 is this process.
    scheduler : str, optional
        Address of the scheduler of a Dask cluster, to use instead.

    Returns
    -------
    context manager of callable
        Ends what it started.

    Raises
    ------
    BackendError
        If there is no such cluster, or the extra ``dask`` is not installed.

    Examples
    --------
    >>> with executor(1) as execute:
    ...     list(execute([]))
    []
    """
    if scheduler is not None:
        return _cluster(scheduler)
    return _here() if jobs == 1 else _processes(jobs)


@contextmanager
def _here() -> Iterator[Executor]:
    """A thread of this process, so that Ctrl-C need not wait for a long call to return."""
    stopped = threading.Event()

    def execute(groups: Sequence[Sequence[Batch]]) -> Iterator[list[Outcome]]:
        done: queue.SimpleQueue[list[Outcome]] = queue.SimpleQueue()

        def work() -> None:
            for group in groups:
                if stopped.is_set():
                    return
                done.put([perform(batch) for batch in group])

        threading.Thread(target=work, daemon=True).start()
        for _ in groups:
            yield done.get()

    try:
        yield execute
    finally:
        stopped.set()


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    with tempfile.TemporaryDirectory(prefix="proofs-check-") as folder:
        diary = Diary(Path(folder))

        def execute(groups: Sequence[Sequence[Batch]]) -> Iterator[list[Outcome]]:
            parallel = joblib.Parallel(
                n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
            )
            outstanding = {batch for group in groups for batch in group}
            tasks = {batch.number: batch.task for batch in outstanding}
            try:
                work = (joblib.delayed(_perform)(group, diary) for group in groups)
                yield from parallel(work)
            except TerminatedWorkerError as error:
                trials = [
                    name_trial(tasks[number], index)
                    for number, index in diary.entries()
                    if number in tasks
                ]
                raise BackendError(
                    f"a worker process died, killed from outside, by a crash or for want of "
                    f"memory; under way were {' and '.join(trials) or 'no trials'}."
                ) from error

        yield execute


def _perform(group: Sequence[Batch], diary: Diary | None = None) -> list[Outcome]:
    return [perform(batch, diary) for batch in group]


@contextmanager
def _cluster(scheduler: str) -> Iterator[Executor]:
    """Futures of Dask itself: an error on a worker never gets through joblib's Dask backend."""
    client = _client(scheduler)
    from distributed import KilledWorker, as_completed

    def execute(groups: Sequence[Sequence[Batch]]) -> Iterator[list[Outcome]]:
        futures = {client.submit(_perform, group, pure=False): group for group in groups}
        try:
            for future in as_completed(futures, loop=client.loop):
                try:
                    yield future.result()
                except KilledWorker as error:
                    trials = ", ".join(_describe(batch) for batch in futures[future])
                    raise BackendError(
                        f"workers of the cluster died again and again while doing {trials}."
                    ) from error
                except (CancelledError, OSError) as error:
                    raise BackendError(f"the cluster at {scheduler} was lost.") from error
        finally:
            client.cancel(list(futures))

    try:
        yield execute
    finally:
        client.close()


def _describe(batch: Batch) -> str:
    first = name_trial(batch.task, batch.start)
    return first if batch.stop == batch.start + 1 else f"{first} and those after it"


def _client(scheduler: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendError(
            "the backend dask needs the package distributed: pip install 'lsq-sketch[dask]'"
        ) from error
    try:
        return Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise BackendError(f"there is no Dask scheduler at {scheduler}: {error}") from error
