"""The terminal line in which one job of a recipe shows its progress.

A recipe runs several jobs at a time (``each_system`` of egs/TEMPLATE/stages.sh). Where stderr is a
terminal it prints one line for each job and tells the job which one is its own:

    ESPNET_ROBUST_LINE="3 2"    on file descriptor 3, two rows above the cursor

A job writes nothing else to the terminal, so that the rows stay where they are. Without the
variable, as in a log, there is no such line, and a job says when it begins and when it ends.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tqdm import tqdm

LINE = "ESPNET_ROBUST_LINE"

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One row of a terminal.

    Args:
        fd: file descriptor of the terminal.
        up: rows above that of the cursor.
    """

    fd: int
    up: int

    def show(self, text: str) -> None:
        """Replace what the line says; cut to the width of the terminal, or it would wrap.

        The text goes out in one write, so that jobs do not write into each other's lines. A
        terminal that is gone is no reason to stop working.
        """
        with contextlib.suppress(OSError):
            width = os.get_terminal_size(self.fd).columns
            os.write(
                self.fd, f"\x1b[{self.up}A\r\x1b[K{text[: width - 1]}\x1b[{self.up}B\r".encode()
            )


def own_line() -> Line | None:
    """The line that the recipe has given to this process; None if it has none."""
    words = os.environ.get(LINE, "").split()
    return Line(*map(int, words)) if words else None


def counted(items: Collection[T], title: str, unit: str) -> Iterator[T]:
    """The items, while a bar on stderr counts them, and the line of this process if it has one."""
    line, began = own_line(), time.monotonic()
    for number, item in enumerate(tqdm(items, desc=title, unit=unit)):
        if line:
            share = number / len(items)
            left = time_left(time.monotonic() - began, share, 1 - share)
            line.show(f"{title}: {number}/{len(items)} {unit}s{left}")
        yield item
    if line:
        line.show(f"{title}: done in {clock(time.monotonic() - began)}")


def time_left(seconds: float, done: float, left: float) -> str:
    """ ", 0:41 left", where the share ``done`` took ``seconds``; nothing before any is done.

    >>> time_left(20.0, 0.25, 0.5)
    ', 0:40 left'
    """
    return f", {clock(seconds / done * left)} left" if done > 0 else ""


def clock(seconds: float) -> str:
    """Minutes and seconds, hours before them if need be.

    >>> clock(41.2), clock(3725)
    ('0:41', '1:02:05')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
