"""Label audio files with an exported classifier: no torch, no ESPnet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import AudioError
from espnet_robust.data.classes import SEPARATOR, Classes
from espnet_robust.device.audio import open_speech, read_blocks
from espnet_robust.device.runtime import Runtime

LONGEST_S = 60  # memory grows with the length, and classifiers are trained on shorter utterances


@dataclass(frozen=True)
class Labelled:
    """The label of one file.

    Attributes:
        file: its path as given.
        seconds: its duration.
        label: the best class of each slot.
        classes: {class: probability}, the most likely first; if labels have several slots, with
            the slot's number, as in ``0:on``.
    """

    file: str
    seconds: float
    label: str
    classes: dict[str, float]


def label_file(model: Runtime, path: Path, note: Callable[[str], None]) -> Labelled:
    """Label one file.

    Args:
        note: called with a message if the audio is resampled or its channels are averaged.

    Raises:
        AudioError: not audio, shorter than one frame, or longer than ``LONGEST_S``.
    """
    rate = model.metadata.rate
    source = open_speech(path, rate, model.metadata.min_samples, note)
    if source.seconds > LONGEST_S:
        raise AudioError(
            f"{path}: {source.seconds:.0f} s; a classifier gives one label to an utterance of up "
            f"to {LONGEST_S} s; cut it into utterances"
        )
    wav = np.concatenate(list(read_blocks(source, rate)))
    (scores,) = model.classes([wav])
    classes = Classes(tuple(tuple(slot) for slot in model.metadata.slots))
    probabilities = np.exp(scores).tolist()
    ranked = sorted(zip(classes.tokens, probabilities, strict=True), key=lambda pair: -pair[1])
    return Labelled(
        str(path), round(source.seconds, 3), best_label(classes, scores),
        {name: round(value, 6) for name, value in ranked},
    )  # fmt: skip


def best_label(classes: Classes, scores: np.ndarray) -> str:
    """The best class of each slot, from the scores (C,) of all slots.

    >>> best_label(Classes((("off", "on"), ("lamp", "radio"))), np.array([1, 2, 4, 3]))
    'on|lamp'
    """
    ends = np.cumsum([len(slot) for slot in classes.slots])[:-1]
    parts = zip(classes.slots, np.split(scores, ends), strict=True)
    return SEPARATOR.join(slot[part.argmax()] for slot, part in parts)
