"""Which product linear layers use on a CPU: oneDNN's or torch's own (MKL), whichever is faster.

On one AMD EPYC oneDNN is twice as fast (235 against 106 GFLOP/s a core). On another (Zen 4) and on
Intel the two are nearly equal, so which of them wins changes from one measurement to the next.
Their sums differ in the last bits. To keep results reproducible,

* oneDNN is taken only if it is faster by a clear ``MARGIN``, so that a CPU always gets the same (on
  Zen 4 it was 1.06 to 1.21 times as fast in five measurements beside other work);
* CPU time of one thread is measured, which other processes hardly touch: with six of them a core,
  ratios of clock time were 0.95 to 5.17 on an Intel Xeon, those of CPU time 0.97 to 1.04;
* the shape measured is fixed, so that the choice does not depend on the model;
* a training keeps its choice in its directory, and whoever resumes it or decodes with it uses the
  same (``settle``, ``recall``).

``ESPNET_ROBUST_LINEAR=onednn`` or ``torch`` forces one of them, without a measurement.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.files import read_json, write_atomic

ONEDNN, TORCH = KINDS = ("onednn", "torch")
FORCED = "ESPNET_ROBUST_LINEAR"
MARGIN = 1.5
ROWS, SIZE = 256, 768  # frames, and the size of HuBERT Base
_ROUNDS = 7

AVAILABLE = (
    torch.backends.mkldnn.is_available()
    and torch.backends.mkl.is_available()  # else oneDNN is used anyway
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


@dataclass(frozen=True)
class Choice:
    """A product and the reason why it is used.

    Args:
        kind: one of ``KINDS``.
        why: for logs.
    """

    kind: str
    why: str

    def __str__(self) -> str:
        return f"linear layers on the CPU: {self.kind} ({self.why})"


_current: Choice | None = None


def current() -> Choice:
    """The choice of this process, made now unless ``settle`` or ``recall`` made it.

    Raises:
        ConfigError: ``ESPNET_ROBUST_LINEAR`` is neither of ``KINDS``.
    """
    global _current
    if _current is None:
        _current = forced() or choose()
    return _current


def settle(directory: Path, rank: int = 0) -> Choice:
    """Make the choice of a training: the one it was begun with, or else a new one, which is kept.

    Args:
        directory: of the training; exists.
        rank: of this process. Each keeps its own, because they may run on different CPUs.

    Raises:
        ConfigError: another one is forced, or the record is damaged.
    """
    global _current
    kept, asked = _read(path := _record(directory, rank)), forced()
    if kept is None:
        write_atomic(path, json.dumps(vars(current()), indent=1) + "\n")
    elif asked and asked.kind != kept.kind:
        raise ConfigError(
            f"{FORCED}={asked.kind}: this training was begun with {kept.kind} ({path}); unset "
            f"{FORCED} to continue it"
        )
    else:
        _current = kept
    return current()


def recall(directory: Path) -> None:
    """From now on use what a training in ``directory`` used, unless it is unknown or one is forced.

    Raises:
        ConfigError: the record is damaged.
    """
    global _current
    kept = _read(_record(directory, 0))
    if kept is not None and forced() is None:
        _current = kept


def forced() -> Choice | None:
    """The choice that the environment forces, or None.

    Raises:
        ConfigError: its value is unknown.
    """
    kind = os.environ.get(FORCED, "")
    if kind and kind not in KINDS:
        raise ConfigError(f"{FORCED}={kind}: need {' or '.join(KINDS)}")
    return Choice(kind, f"forced by {FORCED}") if kind else None


def choose() -> Choice:
    """The faster product, measured in some 30 ms."""
    if not AVAILABLE:
        return Choice(TORCH, "this torch is built without oneDNN or without MKL")
    ours, theirs = measure()
    rates = f"oneDNN {ours:.0f}, torch {theirs:.0f} GFLOP/s a core"
    return Choice(ONEDNN if ours > MARGIN * theirs else TORCH, rates)


@torch.inference_mode()
def measure() -> tuple[float, float]:
    """GFLOP/s of oneDNN's and of torch's product of (``ROWS``, ``SIZE``) and (``SIZE``, ``SIZE``).

    On one thread, per second of its CPU time: the best of some rounds by turns, because other work
    can only slow a round. Nothing is drawn from torch's generators.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure()
    finally:
        torch.set_num_threads(threads)


def _measure() -> tuple[float, float]:
    x = torch.linspace(-1, 1, ROWS * SIZE).view(ROWS, SIZE)
    weight = torch.linspace(-1, 1, SIZE * SIZE).view(SIZE, SIZE)
    products: tuple[Callable[[], Tensor], ...] = (
        lambda: torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], ""),
        lambda: F.linear(x, weight),
    )
    best = [float("inf")] * len(products)
    for turn in range(1 + _ROUNDS):
        for n, product in enumerate(products):
            began = time.thread_time()
            product()
            if turn:  # the first chooses its kernel
                best[n] = min(best[n], time.thread_time() - began)
    ours, theirs = (2e-9 * ROWS * SIZE * SIZE / seconds for seconds in best)
    return ours, theirs


def _record(directory: Path, rank: int) -> Path:
    return directory / (f"linear{rank}.json" if rank else "linear.json")


def _read(path: Path) -> Choice | None:
    if not path.is_file():
        return None
    kind = read_json(path).get("kind")
    if kind not in KINDS:
        raise ConfigError(f"{path}: kind {kind!r} is not {' or '.join(KINDS)}; delete the file")
    return Choice(kind, f"as {path} says")
