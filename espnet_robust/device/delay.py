"""How late a stream outputs words: seconds from the end of a word in the audio to its last token.

A token of a chunk can be output once the samples are there that the chunk reads, whatever has come
after them; the time to compute a chunk comes on top. At the end of a file ``Stream.finish`` does
not wait for the rest of the chunk, but somebody who has stopped speaking does, so it counts.
"""

from collections.abc import Sequence

import numpy as np

from espnet_robust.device.greedy import best_path, by_word
from espnet_robust.device.runtime import Runtime
from espnet_robust.device.stream import stream_log_probs
from espnet_robust.score.alignment import align


def output_at(model: Runtime, frame: int) -> float:
    """Seconds of audio that must be there before output frame ``frame`` is."""
    chunk = model.metadata.chunk
    number = frame // (chunk["frames"] // chunk["subsample"])
    return (number * chunk["shift"] + chunk["samples"]) / model.metadata.rate


def words_output(model: Runtime, wav: np.ndarray) -> list[tuple[str, float]]:
    """(samples,) float32 -> each word, and the seconds of audio that its last token needs."""
    tokens = best_path(stream_log_probs(model, [wav]))
    return [
        (word, output_at(model, held[-1].first))
        for word, held in by_word(tokens, model.metadata.pieces)
    ]


def word_delays(
    found: Sequence[tuple[str, float]], text: Sequence[str], ends: Sequence[float | None]
) -> list[tuple[int, float]]:
    """Delays of the correct words whose end is known.

    Args:
        found: as from ``words_output``.
        text: the words that were spoken.
        ends: where each of them ends, in seconds from the beginning of the audio; None: unknown.

    Returns:
        (position in ``text``, delay in s, negative if the word comes before it has ended).

    >>> word_delays([("TURN", 0.7), ("OF", 0.7), ("IT", 1.3)], ["TURN", "ON", "IT"], [0.5, 0.6, 1])
    [(0, 0.2), (2, 0.3)]
    """
    delays, at, place = [], 0, 0
    for op, _, _ in align(text, [word for word, _ in found]):
        end = ends[at] if op == "match" else None
        if end is not None:
            delays.append((at, round(found[place][1] - end, 6)))
        at += op != "ins"
        place += op != "del"
    return delays
