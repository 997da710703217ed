"""Which frames of a student's or a small teacher's input are masked: spans, drawn in two ways.

Both cover a share of the frames on average. They are two because they answer to two papers, and
trainings made with either can be repeated bit for bit only with the same draws.
"""

import numpy as np


def counted_spans(rng: np.random.Generator, frames: int, share: float, length: int) -> np.ndarray:
    """(frames,) int64 with ones on spans of ``length`` frames at distinct random starts.

    For distillation, one utterance at a time: the number of spans hardly varies, so that a short
    utterance is not left without any. There are ``share * frames / length`` of them, rounded up or
    down at random so that this is their number on average. They may overlap. A span is never
    longer than half the frames. As in wav2vec 2.0's code (arXiv:2006.11477).
    """
    mask = np.zeros(frames, dtype=np.int64)
    length = min(length, frames // 2)
    if length == 0:
        return mask
    spans = int(share * frames / length + rng.random())
    starts = frames - length + 1
    for start in rng.choice(starts, size=min(spans, starts), replace=False):
        mask[start : start + length] = 1
    return mask


def independent_spans(
    rng: np.random.Generator, shape: tuple[int, int], prob: float, length: int
) -> np.ndarray:
    """(B, T) bool: each frame starts a span of ``length`` frames with probability ``prob``.

    For pretraining, a whole batch at a time: frames are independent, so that padding may be cut
    off afterwards without changing what the rest saw. As HuBERT's paper has it (arXiv:2106.07447).
    """
    starts = rng.random(shape) < prob
    masked = np.zeros(shape, dtype=bool)
    for shift in range(min(length, shape[1])):
        masked[:, shift:] |= starts[:, : shape[1] - shift]
    return masked
