import os
import signal
import threading
import time

import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.common.processes import locked, unordered, worker_number


def _refuse(n):
    raise UserError(f"item {n}")


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("nj", [1, 2])
def test_every_item_once_and_few_in_flight(start, nj):
    taken = []

    def items():
        for n in range(20):
            taken.append(n)
            yield n

    done = []
    for result in unordered(abs, items(), nj, start=start):
        done.append(result)
        assert len(taken) <= len(done) + 2 * nj
    assert sorted(done) == list(range(20))
    assert list(unordered(abs, [], nj, start=start)) == []


def _numbered(_):
    time.sleep(0.05)
    return os.getpid(), worker_number()


def test_each_worker_has_its_own_number():
    numbers = dict(unordered(_numbered, range(12), 3))
    assert sorted(numbers.values()) == [*range(len(numbers))] and len(numbers) > 1
    assert list(unordered(_numbered, range(2), 1)) == [(os.getpid(), 0)] * 2


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_killed_worker_is_said(start):
    with pytest.raises(UserError, match="a worker process was killed; out of memory"):
        list(unordered(signal.raise_signal, [signal.SIGKILL] * 3, 2, start=start))


@pytest.mark.parametrize("nj", [1, 2])
def test_what_a_worker_raises_is_raised(nj):
    with pytest.raises(UserError, match="item 0"):
        list(unordered(_refuse, [0], nj))


def test_one_at_a_time_though_the_lock_is_removed_each_time(tmp_path):
    """Who waits for a lock file that is removed meanwhile must not hold it beside a new one."""
    inside, most = [], []

    def work():
        for _ in range(20):
            with locked(tmp_path / "lock", "it"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 60
    assert not list(tmp_path.iterdir())
