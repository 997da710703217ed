"""The description in an exported ONNX file: one JSON value in its metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from espnet_robust.common.errors import ModelError

KEY = "espnet_robust"
SPACE = "<space>"  # ESPnet's name for the blank between words in character lists
BOUNDARY = "▁"  # sentencepiece's mark before a piece that begins a word


@dataclass(frozen=True)
class Metadata:
    """What a program needs to know besides the graph.

    Attributes:
        kind: ``recogniser`` (log probabilities), ``stream`` (the same, by the chunk),
            ``classifier`` (log probabilities of classes) or ``student`` (features).
        rate: sampling rate in Hz.
        hop: samples from one output frame to the next.
        min_samples: the fewest samples that yield one frame.
        batch: whether one run can take utterances of different lengths; false in files of earlier
            versions, from models into which padding leaked.
        pieces: for a recogniser: tokens by id, the blank first, with ``BOUNDARY`` before words.
        chunk: for a stream: {"samples": what one run reads, "shift": from the beginning of one
            chunk to that of the next, "frames": the student's frames in it, "subsample": of which
            every n-th is output}.
        states: for a stream: what a run passes to the next one, zeros at first: {input: [type,
            shape]}; the output has the same name with "next_" before it.
        slots: for a classifier: the classes of each slot of its labels, in the order of its output;
            one slot if labels are single words.
    """

    kind: str
    rate: int
    hop: int
    min_samples: int
    batch: bool = True
    pieces: list[str] = field(default_factory=list)
    chunk: dict[str, int] = field(default_factory=dict)
    states: dict[str, list[Any]] = field(default_factory=dict)
    slots: list[list[str]] = field(default_factory=list)

    def dump(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def parse(properties: Mapping[str, str], where: str) -> Metadata:
    """The metadata in the properties of an ONNX file.

    Raises:
        ModelError: the file was not written by ``export``.
    """
    try:
        return Metadata(**json.loads(properties[KEY]))
    except (KeyError, ValueError, TypeError) as e:
        raise ModelError(f"{where}: not written by espnet-robust export") from e


def pieces(tokens: list[str], token_type: str) -> list[str]:
    """Convert ESPnet tokens to pieces that ``text_of`` can join.

    >>> pieces(["<blank>", "A", "<space>"], "char"), pieces(["<blank>", "<unk>", "ON"], "word")
    (['<blank>', 'A', '▁'], ['<blank>', '▁<unk>', '▁ON'])
    """
    blank, *rest = tokens
    if token_type == "char":
        return [blank, *(BOUNDARY if token == SPACE else token for token in rest)]
    if token_type == "word":
        return [blank, *(BOUNDARY + token for token in rest)]
    # As sentencepiece writes an unknown piece.
    return [blank, *(f"{BOUNDARY}⁇{BOUNDARY}" if token == "<unk>" else token for token in rest)]


def text_of(found: list[str]) -> str:
    """The text of a sequence of pieces, with one blank between words.

    >>> text_of(["▁TURN", "▁O", "N"]), text_of([])
    ('TURN ON', '')
    """
    return " ".join("".join(found).replace(BOUNDARY, " ").split())
