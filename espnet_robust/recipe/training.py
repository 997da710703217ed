"""Start, resume or skip one training of a recipe, in its own process."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import yaml

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.made_of import Output, damage, summary
from espnet_robust.common.merging import Config
from espnet_robust.common.processes import end_with_parent, locked
from espnet_robust.recipe.shown import Shown

CONFIG = "train.yaml"
# How torch shows an exception in one of several processes.
_RAISED = re.compile(r"\[rank\d+\]: [\w.]*(?:Error|Exception): .*")


class TrainingFailed(UserError):
    """A training ended with an error, which is in its log."""


def train(
    output: Output,
    config: Config,
    command: Sequence[str],
    name: str,
    best: str,
    *,
    redo: bool,
    node: int = 0,
) -> None:
    """Train, unless the training is finished.

    Args:
        output: the training's directory and what decides it.
        config: ESPnet's configuration; written to train.yaml in the directory.
        command: the command that trains with that file; its output goes to DIRECTORY.log.
        name: its name in messages.
        best: file name of the model that it writes.
        redo: delete a training that was made of something else, instead of refusing.
        node: of several that run this together; all but 0 only lend their processes.

    Raises:
        UserError: it was made of something else, or is already running.
        TrainingFailed: it ended with an error.
    """
    output.path.parent.mkdir(parents=True, exist_ok=True)
    log = output.path.with_suffix(".log")
    if node:
        if not redo:
            remove_stale(output, redo=False)  # refused, as node 0 refuses it
        if not output.is_done():
            _run(command, Shown(name, log.with_suffix(f".node{node}.log")))
        return
    with locked(output.path.with_name(f".{output.path.name}.lock"), output.path):
        remove_stale(output, redo=redo)
        shown = Shown(name, log, config.get("num_iters_per_epoch"))
        if output.is_done():
            shown.found()
            return
        output.begin()
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        write_atomic(output.path / CONFIG, text)
        _run(command, shown)
        for name in ("config.yaml", best):
            if not (output.path / name).is_file():
                raise TrainingFailed(f"{output.path}: training left no {name}; see {log}")
        output.finish(["config.yaml", best])
        shown.end()


TAG = "--tag NAME keeps it and begins another"


def remove_stale(output: Output, *, redo: bool, otherwise: str = TAG) -> None:
    """Delete a stale training if that is allowed.

    Args:
        otherwise: the alternative to --redo, for the message.

    Raises:
        UserError: it is not allowed; the message says what has changed and what to do.
    """
    if not output.exists():
        return
    reasons = output.changes()
    if not reasons and (lost := damage(output.path)):
        reasons = [lost]
    if not reasons:
        return
    if not redo:
        raise UserError(
            f"{output.path}: was made of something else: {summary(reasons)}; --redo deletes it and "
            f"makes it again, {otherwise}"
        )
    print(f"{output.path}: deleted, to be made again: {summary(reasons)}", file=sys.stderr)
    output.remove()


def _run(command: Sequence[str], shown: Shown) -> None:
    """Run the command to its end, its output in the log; show how far it is."""
    shown.begin()
    with (
        open(shown.log, "w", encoding="utf-8") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, errors="replace", preexec_fn=end_with_parent,
        ) as child,
        _ending(child),
    ):  # fmt: skip
        assert child.stdout
        reason = _copy(child.stdout, file, shown)
    if child.returncode:
        shown.failed()
        reason = reason or str(child.returncode)
        raise TrainingFailed(f"[{shown.name}] {reason}; all output in {shown.log}")


@contextlib.contextmanager
def _ending(child: subprocess.Popen) -> Iterator[None]:
    """Context in which anything that ends this process first ends the child."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except BaseException:
        child.terminate()
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _copy(lines: Iterable[str], file: IO[str], shown: Shown) -> str:
    """Copy to ``file`` line by line as output arrives.

    Returns:
        The error in it, else what a rank raised first, else the last line.
    """
    error = raised = last = ""
    for line in lines:
        file.write(line)
        file.flush()
        last = line.strip() or last
        shown.read(line)
        if line.startswith("error: "):
            error = line.removeprefix("error: ").strip()
        elif _RAISED.match(line):
            raised = raised or line.strip()
    return error or raised or last
