"""``counts.tsv``: the errors of every utterance, for intervals, groups of speakers and the page.

One line per condition and utterance. In a classification task an utterance counts as one word,
correct or substituted, and has no characters. The speaker is ``-`` if unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import write_atomic

HEADER = (
    "condition", "utterance", "speaker", "words", "sub", "ins", "del", "chars", "char_sub",
    "char_ins", "char_del",
)  # fmt: skip
UNKNOWN = "-"


@dataclass(frozen=True)
class UtteranceErrors:
    """The errors in one condition, one utterance per row.

    Args:
        ids: (N,) utterance ids.
        speakers: (N,) speaker ids, ``-`` where unknown.
        words, chars: (N, 4): tokens of the reference, substituted, inserted, deleted.
    """

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    words: np.ndarray
    chars: np.ndarray


def write_counts(path: str | Path, conditions: Mapping[str, UtteranceErrors]) -> None:
    """Write ``counts.tsv``, whole or not at all."""
    lines = ["\t".join(HEADER)]
    for name, errors in conditions.items():
        table = np.concatenate([errors.words, errors.chars], 1).tolist()
        for utt, speaker, row in zip(errors.ids, errors.speakers, table, strict=True):
            lines.append("\t".join([name, utt, speaker, *map(str, row)]))
    write_atomic(path, "\n".join(lines) + "\n")


def read_counts(path: str | Path) -> dict[str, UtteranceErrors]:
    """Read ``counts.tsv``: condition name -> errors.

    Raises:
        UserError: it is missing, or is not such a table.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").rstrip("\n").split("\n")
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    if tuple(lines[0].split("\t")) != HEADER:
        raise UserError(f"{path}: first line must be {' '.join(HEADER)}; score again")
    rows: dict[str, list[list[str]]] = {}
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(HEADER):
            raise UserError(f"{path}:{number}: not a line of counts; score again")
        rows.setdefault(cells[0], []).append(cells)
    try:
        return {name: _errors(cells) for name, cells in rows.items()}
    except ValueError as e:
        raise UserError(f"{path}: not a table of counts ({e}); score again") from None


def joined(parts: Sequence[UtteranceErrors]) -> UtteranceErrors:
    """Several sets of utterances as one, sorted by utterance id."""
    ids = [utt for part in parts for utt in part.ids]
    speakers = [speaker for part in parts for speaker in part.speakers]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return UtteranceErrors(
        tuple(ids[n] for n in order),
        tuple(speakers[n] for n in order),
        np.concatenate([part.words for part in parts])[order],
        np.concatenate([part.chars for part in parts])[order],
    )


def _errors(rows: Iterable[list[str]]) -> UtteranceErrors:
    _, ids, speakers, *numbers = zip(*rows, strict=True)
    table = np.array([list(map(int, column)) for column in numbers], np.int64).T
    if table.min(initial=0) < 0:
        raise ValueError("a count below 0")
    return UtteranceErrors(tuple(ids), tuple(speakers), table[:, :4], table[:, 4:])
