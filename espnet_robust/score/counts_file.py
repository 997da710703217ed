"""``counts.tsv``: the errors of every utterance, for intervals, groups of speakers and the page.

One line per condition and utterance. In a classification task an utterance counts as one word,
correct or substituted, and has no characters. The speaker is ``-`` if unknown.
"""

import itertools
from collections.abc import Mapping, Sequence
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
        header, _, text = Path(path).read_text(encoding="utf-8").partition("\n")
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a table of counts (not UTF-8 text); score again") from None
    if tuple(header.split("\t")) != HEADER:
        raise UserError(f"{path}: first line must be {' '.join(HEADER)}; score again")
    lines = text.removesuffix("\n")
    # All cells at once: tables of a million lines are read in a second.
    cells = lines.replace("\n", "\t").split("\t") if lines else []
    columns = [cells[n :: len(HEADER)] for n in range(len(HEADER))]
    try:
        if len(cells) != len(HEADER) * (lines.count("\n") + bool(lines)):
            raise ValueError("a line is too short or too long")
        numbers = [list(map(int, column)) for column in columns[3:]]
    except ValueError as e:
        raise UserError(f"{path}: not a table of counts ({e}); score again") from None
    table = np.array(numbers, np.int64).reshape(len(numbers), -1).T
    if table.min(initial=0) < 0:
        raise UserError(f"{path}: not a table of counts (one is below 0); score again")
    found, first = {}, 0
    for name, group in itertools.groupby(columns[0]):
        last = first + sum(1 for _ in group)
        if name in found:
            raise UserError(f"{path}: condition {name!r} is there twice; score again")
        part = slice(first, last)
        found[name] = UtteranceErrors(
            tuple(columns[1][part]), tuple(columns[2][part]), table[part, :4], table[part, 4:]
        )
        first = last
    return found


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
