"""Draw the spans of frames to mask in a student's or a small teacher's input, in two ways.

Both cover a given share of the frames on average. There are two because they follow two papers, and
existing trainings can be repeated bit for bit only with the same draws.
"""

import numpy as np


def counted_spans(rng: np.random.Generator, frames: int, share: float, length: int) -> np.ndarray:
    """(frames,) int64 with ones on spans of ``length`` frames at distinct random starts.

    For distillation, one utterance at a time: the number of spans hardly varies, so a short
    utterance does not end up without any. Their number is ``share * frames / length``, rounded up
    or down at random such that this is the mean. They may overlap. A span is never longer than half
    the frames. Follows wav2vec 2.0's code (arXiv:2006.11477).
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

    For pretraining, a whole batch at a time: frames are independent, so padding can be cut off
    afterwards without changing the rest. Follows HuBERT's paper (arXiv:2106.07447).
    """
    starts = rng.random(shape) < prob
    masked = np.zeros(shape, dtype=bool)
    for shift in range(min(length, shape[1])):
        masked[:, shift:] |= starts[:, : shape[1] - shift]
    return masked
