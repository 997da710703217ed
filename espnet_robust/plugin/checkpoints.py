"""Load ESPnet checkpoints without running code that they may contain.

A checkpoint is a pickle, which can hold commands. With ``weights_only``, torch loads only weights
and plain values; the other classes in ESPnet's own checkpoints are allowed by name.
"""

import _codecs
import contextlib
import datetime
import math
import os
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from espnet_robust.common.errors import ModelError
from espnet_robust.common.saving import BACKUP, CHECKPOINT
from espnet_robust.plugin.espnet_versions import reads_weights_only

INSIST = "ESPNET_ALLOW_UNSAFE_TORCH_LOAD"  # ESPnet's own variable
FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch's
# The reporter's state as ESPnet 202511 writes it.
ALLOWED = [
    datetime.timedelta,
    np.dtype,
    *(getattr(np.dtypes, f"{kind}DType") for kind in ("Float64", "Float32", "Int64", "Int32")),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    _codecs.encode,  # for bytes, in the pickle version that torch uses
]


@contextlib.contextmanager
def weights_only() -> Iterator[None]:
    """Context in which ``torch.load`` never runs code from a file, whatever its arguments.

    Raises:
        ModelError: a file holds more than is allowed, unless ``INSIST`` is 1 in the environment.
    """
    if os.environ.get(INSIST) == "1":
        yield
        return
    force = {} if reads_weights_only() else {FORCE: "1"}
    with torch.serialization.safe_globals(ALLOWED), patch.dict(os.environ, force):
        try:
            yield
        except (pickle.UnpicklingError, RuntimeError) as e:
            if name := _refused(e):
                raise ModelError(_unsafe("a checkpoint", name)) from e
            raise


def _refused(error: BaseException) -> str | None:
    """The class that torch refused to load; None if the error is another one."""
    found = re.search(r"\bGLOBAL (\S+)", str(error))
    return found[1] if found else None


def _unsafe(what: str | Path, name: str) -> str:
    return (
        f"{what}: it holds {name}, not only weights, and could run commands when it is loaded; if "
        f"you trust its source: export {INSIST}=1"
    )


def read_checkpoint(path: Path, *, mmap: bool = False) -> Any:
    """The content of a checkpoint, on the CPU.

    Raises:
        ModelError: it is missing or incomplete, or holds more than weights.
    """
    try:
        with torch.serialization.safe_globals(ALLOWED):
            unsafe = os.environ.get(INSIST) == "1"
            return torch.load(path, map_location="cpu", weights_only=not unsafe, mmap=mmap or None)
    except FileNotFoundError as e:
        raise ModelError(f"{path}: not found; has training finished?") from e
    except Exception as e:  # torch raises many kinds for files that are not its own
        if name := _refused(e):
            raise ModelError(_unsafe(path, name)) from e
        raise ModelError(f"{path}: not a complete checkpoint ({_short(e)})") from e


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """The state dict of a model. Raises ModelError if the file is anything else."""
    state = read_checkpoint(path)
    if not isinstance(state, Mapping):
        raise ModelError(f"{path}: not a model: it holds {type(state).__name__}, not named weights")
    for key in ("module", "state_dict"):  # deepspeed's and lightning's
        state = state.get(key, state)
    wrong = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong or not state:
        raise ModelError(
            f"{path}: not a model: it holds {wrong[0] if wrong else 'nothing'}"
            + (f", to resume training; use {path.parent}/Nepoch.pth" if wrong else "")
        )
    return state


@contextlib.contextmanager
def reading(path: str | Path | None) -> Iterator[None]:
    """Context in which ESPnet loads a model from ``path``; a bad file gives a one-line error.

    Raises:
        ModelError: as for ``read_weights``.
    """
    try:
        with weights_only():
            yield
    except Exception:  # torch raises many kinds for files that are not its own
        if path is not None:
            read_weights(Path(path))
        raise


def difference(checkpoint: Path, model: nn.Module, error: Exception) -> str:
    """Why training cannot resume from a checkpoint: the first weight that differs, if one does.

    Raises:
        ModelError: the checkpoint holds more than weights.
    """
    try:
        states = read_checkpoint(checkpoint)
    except ModelError as e:
        if INSIST in str(e):
            raise
        return str(e).removeprefix(f"{checkpoint}: ")
    theirs = states.get("model") if isinstance(states, Mapping) else None
    if not isinstance(theirs, Mapping):
        return "it holds no model"
    ours = model.state_dict()
    for name in sorted({*ours, *theirs}):
        here, there = (
            str(tuple(state[name].shape)) if name in state else "absent" for state in (theirs, ours)
        )
        if here != there:
            return f"{name} is {here} in it and {there} in the model"
    return _short(error)


def check_trained(exp: Path, checkpoint: str) -> None:
    """Check the model of a finished training before anything is built on it.

    Args:
        exp: the training's output_dir.
        checkpoint: the model's file in it, such as ``valid.loss.best.pth``.

    Raises:
        ModelError: it is missing or cannot be read, the last epoch was not saved completely, or
            the link to the best model points to another epoch.
    """
    path = exp / checkpoint
    if (exp / BACKUP).exists():
        raise ModelError(f"{exp}: the last epoch was not saved completely; run the training again")
    try:
        read_weights(path)
        best = _best_epoch(exp, checkpoint)
    except ModelError as e:
        raise ModelError(f"{e}; remove {exp} and train again") from e
    if best is not None and path.resolve() != (exp / f"{best}epoch.pth").resolve():
        raise ModelError(
            f"{path}: links to {path.resolve().name}, but epoch {best} was the best; remove {exp} "
            "and train again"
        )


def _best_epoch(exp: Path, checkpoint: str) -> int | None:
    """The best epoch by ESPnet's record; None if the file is not a link to the best model."""
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    for split, key, mode in config["best_model_criterion"]:
        if checkpoint == f"{split}.{key}.best.pth":
            stats = read_checkpoint(exp / CHECKPOINT, mmap=True)["reporter"]["stats"]
            values = {e: of[split][key] for e, of in stats.items() if key in of.get(split, {})}
            if all(map(math.isfinite, values.values())):
                # Ties go to the first epoch, as in ESPnet's reporter.
                return (min if mode == "min" else max)(values, key=values.__getitem__)
    return None


def _short(error: Exception) -> str:
    """The error's message, without torch's advice to load unsafely."""
    if isinstance(error, pickle.UnpicklingError):
        return "not a torch checkpoint"
    return " ".join(str(error).split())[:200] or type(error).__name__
