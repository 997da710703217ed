"""``aligned.txt``: every utterance with errors, reference over hypothesis, for people to read.

f01-0003 noise_in_snr0 (f01): 6 words, 1 substituted, 0 inserted, 1 deleted
REF: TURN ON  the LIGHT IN THE HALL
HYP: TURN OFF *** LIGHT IN THE HALL
          S   D
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet_robust.common.files import write_atomic
from espnet_robust.data.conditions import read_condition
from espnet_robust.data.data_dir import iter_table
from espnet_robust.data.words import words
from espnet_robust.score.alignment import Steps, align, errors_of
from espnet_robust.score.decoded import Scoring
from espnet_robust.score.facts import speakers_of
from espnet_robust.score.readings import Closest, has_readings, resolve

_MARKS = {"match": " ", "sub": "S", "ins": "I", "del": "D"}


def write_aligned(
    path: Path, data_dirs: Sequence[Path], decode_dir: Path, scoring: Scoring
) -> None:
    """Write the utterances with word errors, condition by condition."""
    blocks = []
    for data_dir in data_dirs:
        name = read_condition(data_dir).name
        blocks += list(_condition(data_dir, name, decode_dir / name / scoring.table, scoring))
    write_atomic(path, "\n".join(blocks))


def _condition(data_dir: Path, name: str, decoded: Path, scoring: Scoring) -> Iterator[str]:
    refs, hyps = dict(iter_table(data_dir / "text")), dict(iter_table(decoded))
    for utt, speaker in zip(refs, speakers_of(data_dir, tuple(refs)), strict=True):
        path = _path(refs[utt], hyps.get(utt, ""), scoring, f"{decoded}: {utt}")
        substituted, inserted, deleted = errors_of(path)
        if substituted or inserted or deleted:
            yield (
                f"{utt} {name} ({speaker}): {len(path) - inserted} words, "
                f"{substituted} substituted, {inserted} inserted, {deleted} deleted\n"
                f"{layout(path)}"
            )


def compared(ref: str, hyp: str, scoring: Scoring, where: str) -> tuple[list[str], list[str]]:
    """The words of both sides in the form in which they are scored."""
    heard = words(scoring.normalisation(hyp))
    if found := _closest(ref, heard, scoring, where):
        return found.words, heard
    return words(scoring.normalisation(ref)), heard


def _path(ref: str, hyp: str, scoring: Scoring, where: str) -> Steps:
    """The alignment whose errors are counted; optional words that are left out are not in it."""
    heard = words(scoring.normalisation(hyp))
    if found := _closest(ref, heard, scoring, where):
        return found.path
    return align(words(scoring.normalisation(ref)), heard, scoring.alignment)


def _closest(ref: str, heard: list[str], scoring: Scoring, where: str) -> Closest | None:
    """The closest reading of a reference with marks; None for other references."""
    normalise = scoring.normalisation
    if normalise.alternatives and has_readings(ref):
        return resolve(ref, heard, normalise, scoring.alignment, where)
    return None


def layout(path: Sequence[tuple]) -> str:
    """Three lines: reference, hypothesis, and what is wrong below them."""
    lines: tuple[list[str], ...] = (["REF:"], ["HYP:"], ["    "])
    for op, ref, hyp in path:
        width = max(len(ref or ""), len(hyp or ""))
        gap = "*" * width
        for line, text in zip(lines, (ref or gap, hyp or gap, _MARKS[op]), strict=True):
            line.append(text.ljust(width))
    return "".join(" ".join(line).rstrip() + "\n" for line in lines)
