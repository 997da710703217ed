"""A recipe's commands end when the recipe ends, however it ends.

A killed shell leaves its children running, and its background jobs never see Ctrl-C. So each
command watches the shells that started it.
"""

import contextlib
import os
import select
import signal
import threading

RECIPES = "ESPNET_ROBUST_RECIPES"  # HOST:PID of these shells, set by egs/TEMPLATE/stages.sh

_watched: set[str] = set()


def end_with_recipe() -> None:
    """Have this process end with the recipe that started it. Idempotent.

    A command that no recipe started, or one on another host, is left alone.
    """
    for recipe in set(os.environ.get(RECIPES, "").split()) - _watched:
        _watched.add(recipe)
        host, _, pid = recipe.rpartition(":")
        if host == os.uname().nodename and hasattr(os, "pidfd_open"):  # Linux
            threading.Thread(target=_end_with, args=(int(pid),), daemon=True).start()


def _end_with(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        select.select([os.pidfd_open(pid)], [], [])
    os.kill(os.getpid(), signal.SIGTERM)
