"""How late words come, on sounds whose ends are known."""

import importlib
import types
from ctypes.util import find_library

import numpy as np
import pytest

from espnet_robust.common.errors import DataDirError
from espnet_robust.corpora.mini import say
from espnet_robust.device import delay
from espnet_robust.device.delay import output_at, word_delays, words_output
from espnet_robust.device.metadata import Metadata

CHUNK = {"samples": 2800, "shift": 2560, "frames": 8, "subsample": 2}


@pytest.fixture(scope="module")
def tools(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "tools"))
        yield types.SimpleNamespace(
            delay=importlib.import_module("measure_delay"),
            ends=importlib.import_module("mini_word_ends"),
        )


def test_a_frame_is_there_when_its_chunk_is_by_hand():
    model = types.SimpleNamespace(metadata=Metadata("stream", 16000, 640, 400, chunk=CHUNK))
    heard = [output_at(model, frame) for frame in (0, 3, 4, 11)]
    assert heard == [0.175, 0.175, 0.335, 0.495]


def test_a_word_is_output_with_its_last_token(monkeypatch):
    pieces = ["<blank>", "▁TURN", "▁O", "N"]
    frames = [0, 1, 1, 0, 2, 0, 0, 0, 3, 0]
    monkeypatch.setattr(
        delay,
        "stream_log_probs",
        lambda model, blocks: [np.eye(4)[frames[:4]], np.eye(4)[frames[4:]]],
    )
    model = types.SimpleNamespace(
        metadata=Metadata("stream", 16000, 640, 400, pieces=pieces, chunk=CHUNK)
    )
    assert words_output(model, np.zeros(1)) == [("TURN", 0.175), ("ON", 0.495)]


def test_only_correct_words_with_known_ends_count():
    found = [("A", 0.5), ("B", 0.9), ("X", 0.9), ("D", 1.0)]
    assert word_delays(found, ["A", "B", "C", "D"], [0.1, None, 0.8, 1.1]) == [(0, 0.4), (3, -0.1)]
    assert word_delays([], ["A"], [0.1]) == []
    assert word_delays(found, [], []) == []


def test_the_rows_of_the_table(monkeypatch, data, tools):
    """Six utterances; in each, the last word comes 0.1 s after its end, the first one 0.8 s."""
    texts = ["AB C", "CA", "BB A", "CB", "A", "B C A"]
    ends = {f"u{n}": [1.0 + at for at in range(len(t.split()))] for n, t in enumerate(texts)}
    found = iter(
        [(w, 1.8 if at == 0 else at + 1.1) for at, w in enumerate(text.split())] for text in texts
    )
    monkeypatch.setattr(tools.delay, "words_output", lambda model, wav: next(found))
    first, every = tools.delay.measure(None, data, ends)
    assert (first["known"], first["correct"], first["share"]) == (6, 6, 0)
    assert first["median"] == first["p95"] == first["largest"] == pytest.approx(800)
    assert (every["known"], every["correct"], every["share"]) == (10, 10, 40)
    assert every["median"] == pytest.approx(800) and every["largest"] == pytest.approx(800)
    assert tools.delay.row("test", "all words", 3, []) == {
        "data": "test", "which": "all words", "known": 3, "correct": 0,
    }  # fmt: skip


@pytest.mark.skipif(not find_library("espeak-ng"), reason="no espeak-ng")
def test_ends_of_words_from_espeak(tools):
    """As long as the corpus's own rendering; the words follow each other."""
    item = {
        "id": "f03-0000", "text": "please open the kitchen door", "accent": "en", "timbre": "f4",
        "rate": 170, "pitch": 60, "silence": [0.1, 0.2], "level_dbfs": -25.0, "floor_dbfs": -70.0,
        "noise_seed": 1,
    }  # fmt: skip
    begins, seconds = tools.ends.spoken_words(item)
    assert seconds == pytest.approx(len(say(item)) / 16000, abs=1e-3)
    ends = tools.ends.format_ends(item["text"], begins, seconds - 0.2)
    times = [float(end) for end in ends if end != "-"]
    assert len(ends) == 5 and len(times) >= 4 and times == sorted(times)
    assert tools.delay.read_ends(" ".join(ends))[-1] == pytest.approx(seconds - 0.2, abs=1e-3)


def test_a_corpus_of_another_rendering_is_refused(tools, data):
    tools.ends.check_length(data / "u2.wav", 0.8)
    with pytest.raises(DataDirError, match=r"u2.wav: 0.800 s, but spoken again 0.700 s"):
        tools.ends.check_length(data / "u2.wav", 0.7)
