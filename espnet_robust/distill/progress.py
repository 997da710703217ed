"""Show the progress of a training: a progress bar or log lines, and a table of all curves."""

import csv
import io
import itertools
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from espnet_robust.common.errors import DataDirError, one_line_errors
from espnet_robust.common.files import write_atomic
from espnet_robust.common.launch import IDLE

LOG_SECONDS = 60.0  # between two log lines, if stderr is not a terminal


class Progress:
    """Batches of one epoch, passed on while their speed is shown on stderr.

    A terminal gets a bar with the time left, anything else a log line a minute.

    Args:
        batches: (utterance ids, batch) as ESPnet's iterators give them; it has a length.
        title: shown first.
        rate: sampling rate in Hz.
        limit: number of batches to pass on; None: all.
        shown: whether this process shows its progress; of several, one does.
    """

    def __init__(
        self,
        batches: Iterable[tuple[list[str], dict]],
        title: str,
        rate: int,
        limit: int | None = None,
        shown: bool = True,
    ):
        self.batches = batches
        self.shown = shown
        self.limit = limit
        self.title = title
        self.rate = rate
        self.audio_seconds = 0.0
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self.batches) if self.limit is None else self.limit

    @property
    def speed(self) -> float:
        """Seconds of audio per second, in this process."""
        return self.audio_seconds / self.seconds if self.seconds else 0.0

    def __iter__(self) -> Iterator[tuple[list[str], dict]]:
        terminal = self.shown and sys.stderr.isatty()
        # Log lines would break up the bar.
        with (
            logging_redirect_tqdm() if terminal else nullcontext(),
            tqdm(
                total=len(self), desc=self.title, unit="step", leave=False, disable=not terminal
            ) as bar,
        ):
            start = told = time.perf_counter()
            batches = itertools.islice(one_line_errors(self.batches), len(self))
            for step, (ids, batch) in enumerate(batches, 1):
                samples = 0.0 if ids == [IDLE] else float(batch["speech_lengths"].sum())
                yield ids, batch
                now = time.perf_counter()
                self.audio_seconds += samples / self.rate
                self.seconds = now - start
                bar.set_postfix_str(f"{self.speed:.1f} audio-s/s", refresh=False)
                bar.update()
                if self.shown and not terminal and now - told >= LOG_SECONDS:
                    told = now
                    left = tqdm.format_interval(self.seconds / step * (len(self) - step))
                    logging.info(
                        f"{self.title}: {step}/{len(self)} steps, {left} left, "
                        f"{self.speed:.1f} audio-s/s"
                    )


class Curves:
    """``curves.csv``: one row for each epoch and split, one column for each scalar.

    Args:
        path: the file. Rows of an earlier run stay, except for epochs that are repeated.
    """

    def __init__(self, path: Path):
        self.path = path

    def add(self, epoch: int, split: str, scalars: Mapping[str, float]) -> None:
        """Write one row, replacing that of the same epoch and split; later epochs are dropped.

        Raises:
            DataDirError: the file is not such a table.
        """
        rows = [
            row
            for row in self._read()
            if int(row["epoch"]) <= epoch and (int(row["epoch"]), row["split"]) != (epoch, split)
        ]
        rows.append({"epoch": str(epoch), "split": split, **scalars})
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path, text.getvalue())

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with open(self.path, encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
        if not all(row.get("split") and str(row.get("epoch")).isdecimal() for row in rows):
            raise DataDirError(f"{self.path}: not a table of epochs and splits; remove this file")
        return rows
