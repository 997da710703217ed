"""A training on the screen, from lines as ESPnet writes them."""

from pathlib import Path

import pytest

from espnet_robust.recipe import shown as module
from espnet_robust.recipe.shown import Shown

FIRST = "[vm] 2026-11-26 19:13:16,015 (trainer:334) INFO: 1/4epoch started"
BATCHES = (
    "[vm] 2026-11-26 19:13:36,189 (trainer:810) INFO: 1epoch:train:1-50batch: iter_time=0.024, "
    "loss_ctc=122.638, domain_loss=0.7, loss=9.5, backward_time=0.081"
)
RESULTS = (
    "[vm] 2026-11-26 19:14:08,237 (trainer:392) INFO: 1epoch results: [train] loss=61.627, "
    "time=50.37 seconds, [valid] loss_ctc=30.722, cer_ctc=0.616, loss=30.7, time=2 seconds"
)
SECOND = (
    "[vm] 2026-11-26 19:14:10,089 (trainer:322) INFO: 2/4epoch started. Estimated time to finish: "
    "6 minutes and 18.52 seconds"
)


class Screen:
    """Stands for the line of a terminal; keeps what was shown."""

    def __init__(self):
        self.texts = []

    def show(self, text):
        self.texts.append(text)


@pytest.fixture
def clock(monkeypatch):
    """Seconds since the start, to be set: clock[0] = 10."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_in_a_terminal(monkeypatch, capsys, clock):
    screen = Screen()
    monkeypatch.setattr(module, "own_line", lambda: screen)
    shown = Shown("asr cdm1 0", Path("x/asr.log"), batches=100)
    shown.begin()
    clock[0] = 8.0  # imports: not part of what an epoch takes
    shown.read(FIRST)
    clock[0] = 18.0  # half an epoch of four in 10 s: 70 s for the other 3.5
    shown.read(BATCHES)
    shown.read("[vm] 2026-11-26 (asr:535) INFO: Vocabulary size: 152")
    clock[0] = 28.0
    shown.read(RESULTS)
    shown.read(SECOND)
    clock[0] = 90.0
    shown.end()
    assert screen.texts == [
        "asr cdm1 0: begins",
        "asr cdm1 0: epoch 1/4",
        "asr cdm1 0: epoch 1/4, loss 9.5, 1:10 left",
        "asr cdm1 0: epoch 2/4, loss 30.7, 1:00 left",
        "asr cdm1 0: done in 1:30, loss 30.7 on the dev set",
    ]
    assert capsys.readouterr().err == ""


def test_a_resumed_training_reckons_from_where_it_goes_on(monkeypatch, clock):
    screen = Screen()
    monkeypatch.setattr(module, "own_line", lambda: screen)
    shown = Shown("asr cdm1 0", Path("x/asr.log"))
    shown.read(SECOND.replace("2/4", "3/4"))
    clock[0] = 20.0
    shown.read(SECOND.replace("2/4", "4/4"))
    assert screen.texts == ["asr cdm1 0: epoch 3/4", "asr cdm1 0: epoch 4/4, 0:20 left"]


def test_a_failure_and_an_earlier_end_are_said_in_its_line(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(module, "own_line", lambda: screen)
    shown = Shown("asr cdm1 0", Path("x/asr.log"))
    shown.failed()
    shown.found()
    assert screen.texts == ["asr cdm1 0: failed", "asr cdm1 0: done before"]


def test_in_a_log_only_begin_and_end(monkeypatch, capsys, clock):
    monkeypatch.setattr(module, "own_line", lambda: None)
    shown = Shown("asr cdm1 0", Path("x/asr.log"), batches=100)
    shown.begin()
    for line in (FIRST, BATCHES, RESULTS, SECOND):
        shown.read(line)
    clock[0] = 75.0
    shown.failed()  # the error follows it
    shown.end()
    lines = [line.partition(" [")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "asr cdm1 0] begins; all output in x/asr.log",
        "asr cdm1 0] done in 1:15, loss 30.7 on the dev set",
    ]
