"""Show the progress of a training, read from the log that ESPnet writes.

In a terminal, one line that is updated in place (``common/live.py``):

    asr cdm2_dat 0: epoch 2/4, loss 3.9, 0:41 left

Elsewhere, one line when it begins and one when it ends.
"""

import re
import time
from pathlib import Path

from espnet_robust.common.live import clock, own_line, time_left
from espnet_robust.common.messages import say

_BEGINS = re.compile(r" INFO: (\d+)/(\d+)epoch started")
_BATCHES = re.compile(r" INFO: (\d+)epoch:train:\d+-(\d+)batch: (.*)")
_ENDS = re.compile(r" INFO: (\d+)epoch results: .*\[valid\] (.*)")
_LOSS = re.compile(r"(?:^|, )loss=([^,\s]+)")


class Shown:
    """The progress of one training.

    Args:
        name: name to show.
        log: file with its whole output.
        batches: number in an epoch; None if it is not known before the first epoch ends.
    """

    def __init__(self, name: str, log: Path, batches: int | None = None):
        self.name, self.log, self.batches = name, log, batches
        self.line = own_line()
        self.began = time.monotonic()
        self.epochs = 0
        self.loss = ""
        self._start: tuple[float, float] | None = None  # time and share done when first shown

    def found(self) -> None:
        """It was done by an earlier run."""
        if self.line:
            self.line.show(f"{self.name}: done before")

    def begin(self) -> None:
        if self.line:
            self.line.show(f"{self.name}: begins")
        else:
            say(f"[{self.name}] begins; all output in {self.log}")

    def read(self, line: str) -> None:
        """Update the display from one line of the log."""
        if found := _BEGINS.search(line):
            self.epochs = int(found[2])
            self._progress(int(found[1]), 0)
        elif found := _BATCHES.search(line):
            self._keep_loss(found[3])
            self._progress(int(found[1]), int(found[2]))
        elif found := _ENDS.search(line):
            self._keep_loss(found[2])

    def end(self) -> None:
        """Show that it has finished, how long it took and its loss."""
        took = clock(time.monotonic() - self.began)
        loss = f", loss {self.loss} on the dev set" if self.loss else ""
        self._say(f"done in {took}{loss}")

    def failed(self) -> None:
        """Show that it has failed; its error message follows below."""
        if self.line:
            self.line.show(f"{self.name}: failed")

    def _say(self, text: str) -> None:
        if self.line:
            self.line.show(f"{self.name}: {text}")
        else:
            say(f"[{self.name}] {text}")

    def _keep_loss(self, scalars: str) -> None:
        if found := _LOSS.search(scalars):
            self.loss = found[1]

    def _progress(self, epoch: int, batch: int) -> None:
        if self.line is None or not self.epochs:
            return
        within = min(batch / self.batches, 1.0) if self.batches else 0.0
        share, now = (epoch - 1 + within) / self.epochs, time.monotonic()
        if self._start is None:
            self._start = now, share
        loss = f", loss {self.loss}" if self.loss else ""
        left = time_left(now - self._start[0], share - self._start[1], 1 - share)
        self.line.show(f"{self.name}: epoch {epoch}/{self.epochs}{loss}{left}")
