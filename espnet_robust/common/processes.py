"""Worker processes that end with the process that started them, and a lock that they hold.

joblib and filelock were tried instead. joblib's workers outlive a killed parent and start further
work. filelock closes the descriptor in a forked process, so a new run would start while workers of
the killed one are still writing.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, TypeVar

from espnet_robust.common.errors import DataDirError, UserError

_PR_SET_PDEATHSIG = 1  # of prctl(2)
ORPHAN_S = 0.2  # how often a worker checks that its parent is alive

T = TypeVar("T")
R = TypeVar("R")


def unordered(
    call: Callable[[T], R], items: Iterable[T], nj: int, *, start: str = "fork"
) -> Iterator[R]:
    """Yield ``call(item)`` for every item, in the order in which they finish.

    At most two items per process are in flight, so ``items`` may be of any length. The processes
    end within ``ORPHAN_S`` if the one that started them is killed.

    Args:
        nj: number of processes; 1 runs in the caller's own.
        start: "fork": workers hold the caller's locks too; "spawn": for callers with threads.

    Raises:
        UserError: a worker was killed. What ``call`` raises is raised here.
    """
    if nj <= 1:
        yield from map(call, items)
        return
    left = iter(items)
    context = get_context(start)
    pool = ProcessPoolExecutor(
        nj, context, initializer=_begin_worker, initargs=(os.getpid(), context.Value("i", 0))
    )
    running: set[Future] = set()
    try:
        while True:
            running |= {pool.submit(call, item) for item in islice(left, 2 * nj - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise UserError("a worker process was killed; out of memory?") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_number = 0


def worker_number() -> int:
    """Which of the processes of ``unordered`` this is, from 0; also 0 in the caller's own."""
    return _number


def _begin_worker(parent: int, begun: Any) -> None:
    """Number a worker, and end it when its parent is killed; the executor would wait for ever."""
    global _number
    with begun.get_lock():
        _number, begun.value = begun.value, begun.value + 1

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_parent() -> None:
    """For subprocess's ``preexec_fn``: send SIGTERM to the child when its parent dies. Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def locked(path: Path, name: str | Path, *, patience_s: float | None = None) -> Iterator[None]:
    """Keep other processes out while ``name`` is being made, with a lock on the file ``path``.

    Forked workers inherit the lock: after a kill it is held until the last of them has ended.

    Args:
        patience_s: how long to wait for another process to release it, at least as long as the
            workers of a killed process need to end; None: ``10 * ORPHAN_S``.

    Raises:
        DataDirError: the lock is still held after that, or cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        f = _lock(path, name, 10 * ORPHAN_S if patience_s is None else patience_s)
    except OSError as e:
        raise DataDirError(f"{name}: cannot be made: {e.strerror}") from None
    with f:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock(path: Path, name: str | Path, patience_s: float) -> IO:
    until = time.monotonic() + patience_s
    while True:
        f = open(path, "w")  # noqa: SIM115
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its holder may have removed the file since it was opened here.
            if os.fstat(f.fileno()).st_nlink:
                return f
        except BlockingIOError:
            if time.monotonic() > until:
                f.close()
                raise DataDirError(f"{name}: another process is making it") from None
            time.sleep(ORPHAN_S / 4)
        f.close()
