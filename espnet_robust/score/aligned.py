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
from espnet_robust.score.alignment import align
from espnet_robust.score.decoded import Scoring
from espnet_robust.score.facts import speakers_of
from espnet_robust.score.readings import has_readings, resolve

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
        ref, hyp = compared(refs[utt], hyps.get(utt, ""), scoring, f"{decoded}: {utt}")
        path = align(ref, hyp, scoring.alignment)
        ops = [op for op, _, _ in path]
        if set(ops) - {"match"}:
            yield (
                f"{utt} {name} ({speaker}): {len(ref)} words, {ops.count('sub')} substituted, "
                f"{ops.count('ins')} inserted, {ops.count('del')} deleted\n{layout(path)}"
            )


def compared(ref: str, hyp: str, scoring: Scoring, where: str) -> tuple[list[str], list[str]]:
    """The words of both sides in the form in which they are scored."""
    normalise = scoring.normalisation
    heard = words(normalise(hyp))
    if normalise.alternatives and has_readings(ref):
        return resolve(ref, heard, normalise, scoring.alignment, where)[0], heard
    return words(normalise(ref)), heard


def layout(path: Sequence[tuple]) -> str:
    """Three lines: reference, hypothesis, and what is wrong below them."""
    lines: tuple[list[str], ...] = (["REF:"], ["HYP:"], ["    "])
    for op, ref, hyp in path:
        width = max(len(ref or ""), len(hyp or ""))
        gap = "*" * width
        for line, text in zip(lines, (ref or gap, hyp or gap, _MARKS[op]), strict=True):
            line.append(text.ljust(width))
    return "".join(" ".join(line).rstrip() + "\n" for line in lines)
