"""Transcribe audio files, with word times, using an exported recogniser: no torch, no ESPnet.

Files of up to ``WINDOW_S`` seconds are processed in one run. Longer ones are processed in windows
of that length, which overlap by ``CONTEXT_S`` of context on either side, so that memory use does
not grow with the file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_robust.device.audio import open_speech, read_blocks, with_progress
from espnet_robust.device.greedy import Word, best_path, words
from espnet_robust.device.runtime import Runtime
from espnet_robust.device.stream import stream_log_probs

WINDOW_S = 12
CONTEXT_S = 3


@dataclass(frozen=True)
class Transcript:
    """The transcript of one file.

    Attributes:
        file: its path as given.
        seconds: its duration.
        text: all words, separated by one blank.
    """

    file: str
    seconds: float
    text: str
    words: list[Word]


def transcribe(
    model: Runtime, path: Path, note: Callable[[str], None], window_s: float = WINDOW_S
) -> Transcript:
    """Transcribe one file.

    Args:
        note: called with a message if the audio is resampled or its channels are averaged.
        window_s: length of the longest run, in seconds; more than three times ``CONTEXT_S``.

    Raises:
        AudioError: not audio, or shorter than one frame.
    """
    rate = model.metadata.rate
    source = open_speech(path, rate, model.metadata.min_samples, note)
    blocks = with_progress(read_blocks(source, rate), source, rate)
    tokens = best_path(log_probs(model, blocks, window_s))
    found = list(words(tokens, model.metadata.pieces, frame_seconds(model)))
    text = " ".join(word.word for word in found)
    return Transcript(str(path), round(source.seconds, 3), text, found)


def frame_seconds(model: Runtime) -> float:
    return model.metadata.hop / model.metadata.rate


def log_probs(
    model: Runtime, blocks: Iterable[np.ndarray], window_s: float = WINDOW_S
) -> Iterator[np.ndarray]:
    """Blocks of samples -> blocks of log probabilities (T_i, V), window by window, or chunk by
    chunk if the model is a stream.
    """
    if model.metadata.kind == "stream":
        yield from stream_log_probs(model, blocks)
        return
    hop, rate = model.metadata.hop, model.metadata.rate
    context = round(CONTEXT_S * rate / hop)  # frames
    window = round(window_s * rate / hop)
    assert window > 3 * context, (window_s, CONTEXT_S)
    held = np.zeros(0, np.float32)
    left = 0  # frames at the beginning of ``held`` that are only context
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > window * hop:
            (out,) = model.rows([held[: window * hop]])
            yield out[left : window - context]
            held = held[(window - 2 * context) * hop :]
            left = context
    if len(held) >= model.metadata.min_samples:
        (out,) = model.rows([held])
        yield out[left:]
