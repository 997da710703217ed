"""Log lines, progress bar and table of curves."""

import csv
import io
import logging
import sys

import pytest
import torch

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.distill import progress
from espnet_robust.distill.progress import Curves, Progress


def batches(count: int) -> list[tuple[list[str], dict]]:
    return [([f"u{i}"], {"speech_lengths": torch.tensor([8000, 4000])}) for i in range(count)]


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes by a second at each look at it."""
    now = [0.0]

    def look() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(progress.time, "perf_counter", look)


def test_batches_pass_unchanged_and_are_timed(clock):
    given = batches(4)
    shown = Progress(given, "epoch 1 train", rate=8000)
    assert len(shown) == 4 and shown.speed == 0.0
    assert list(shown) == given
    assert shown.audio_seconds == 4 * 1.5
    assert shown.seconds == 4.0
    assert shown.speed == 1.5


def test_limit_fetches_nothing_beyond(clock):
    def endless():
        yield from batches(2)
        raise AssertionError("a third one was fetched")

    shown = Progress(endless(), "x", rate=8000, limit=2)
    assert len(shown) == 2
    assert [ids for ids, _ in shown] == [["u0"], ["u1"]]


def test_a_line_a_minute_tells_what_is_left(clock, monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_SECONDS", 3.0)
    with caplog.at_level(logging.INFO):
        list(Progress(batches(8), "epoch 2 train", rate=8000))
    assert [record.message for record in caplog.records] == [
        "epoch 2 train: 3/8 steps, 00:05 left, 1.5 audio-s/s",
        "epoch 2 train: 6/8 steps, 00:02 left, 1.5 audio-s/s",
    ]


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for _ in Progress(batches(3), "epoch 2 train", rate=8000):
        logging.info("a line")
    assert "epoch 2 train" in terminal.getvalue() and "3" in terminal.getvalue()


def test_error_of_a_worker_is_its_one_line():
    def failing():
        yield from batches(1)
        # As torch's DataLoader raises it again in the main process.
        raise AudioError(
            "Caught AudioError in DataLoader worker process 0.\nTraceback (most recent call):\n"
            '  File "x.py", line 1, in f\nespnet_robust.common.errors.AudioError: u1: too short\n'
        )

    with pytest.raises(AudioError, match="^u1: too short$"):
        list(Progress(failing(), "x", rate=8000, limit=2))


def read(path) -> list[dict[str, str]]:
    with path.open() as f:
        return list(csv.DictReader(f))


def test_curves_of_a_run_and_its_continuation(tmp_path):
    path = tmp_path / "curves.csv"
    for epoch in (1, 2, 3):
        Curves(path).add(epoch, "train", {"loss": epoch + 0.5})
        Curves(path).add(epoch, "valid", {"loss": epoch + 0.25, "acc": 1.0})
    # Resumed after epoch 1, with one more scalar.
    Curves(path).add(2, "train", {"loss": 9.0, "lambda": 0.1})
    assert read(path) == [
        {"epoch": "1", "split": "train", "loss": "1.5", "acc": "", "lambda": ""},
        {"epoch": "1", "split": "valid", "loss": "1.25", "acc": "1.0", "lambda": ""},
        {"epoch": "2", "split": "valid", "loss": "2.25", "acc": "1.0", "lambda": ""},
        {"epoch": "2", "split": "train", "loss": "9.0", "acc": "", "lambda": "0.1"},
    ]
    Curves(path).add(2, "valid", {"loss": 8.0, "acc": 0.5})
    assert [row["loss"] for row in read(path)] == ["1.5", "1.25", "9.0", "8.0"]


def test_another_file_in_its_place(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataDirError, match="not a table of epochs and splits; remove"):
        Curves(path).add(1, "train", {"loss": 1.0})
    assert path.read_text() == "a,b\n1,2\n"
