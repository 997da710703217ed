"""References with alternatives and optional words, written as for sclite.

``{ going to / gonna }`` may be said either way, ``{ um / @ }`` may be said or not, and ``(the)`` is
optional: a word of the reference that counts as right if it is left out, as with ``sclite -D``. The
``/`` has blanks around it, and every optional word has parentheses of its own.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.words import words
from espnet_robust.score.alignment import ALIGNMENTS, Steps, align

MOST = 10_000  # readings of one reference
NOTHING = "@"

_MARK = re.compile(r"[{}()/]")

Word = tuple[str, bool]  # and whether it is optional
Reading = tuple[Word, ...]


class Closest(NamedTuple):
    """The reading of a reference that is closest to a hypothesis.

    Attributes:
        words: without the optional ones that the hypothesis leaves out.
        dropped: the number of these.
        path: ``words`` aligned with the hypothesis.
    """

    words: list[str]
    dropped: int
    path: Steps


def has_readings(text: str) -> bool:
    """Whether a reference has a mark of alternatives or optional words."""
    return bool(_MARK.search(text))


def resolve(
    ref: str,
    hyp: Sequence[str],
    normalise: Callable[[str], str],
    alignment: str,
    where: str,
) -> Closest:
    """The reading of a reference that is closest to the hypothesis.

    Args:
        ref: a reference with marks.
        hyp: words, normalised.
        normalise: applied to the words of the reference between its marks, as one text each.
        alignment: a key of ``ALIGNMENTS``.
        where: beginning of error messages.

    Raises:
        DataDirError: braces or parentheses do not match, alternatives have no blanks between them,
            or there are more than ``MOST`` readings.
    """
    paths = (_aligned(one, hyp, alignment) for one in readings(ref, normalise, where))
    best = min(paths, key=ALIGNMENTS[alignment].cost)
    path = [step for step in best if step[0] != "drop"]
    kept = [str(word) for op, word, _ in path if op != "ins"]
    return Closest(kept, len(best) - len(path), path)


def _aligned(reading: Reading, hyp: Sequence[str], alignment: str) -> Steps:
    return align([word for word, _ in reading], hyp, alignment, [may for _, may in reading])


def readings(ref: str, normalise: Callable[[str], str], where: str) -> list[Reading]:
    """All readings of a reference, those of the first alternatives first."""
    tokens = words(re.sub(r"([{}])", r" \1 ", ref))
    found, rest = _sequence(tokens, normalise, where)
    if rest:
        raise DataDirError(f"{where}: }} without {{ in the reference {ref!r}")
    return found


def _sequence(
    tokens: Sequence[str], normalise: Callable[[str], str], where: str, inside: bool = False
) -> tuple[list[Reading], Sequence[str]]:
    """The readings up to a closing mark, and the tokens from there on."""
    parts: list[list[Reading]] = []
    ends = ("}", "/") if inside else ("}",)
    while tokens and tokens[0] not in ends:
        if tokens[0] == "{":
            options, tokens = _alternatives(tokens[1:], normalise, where)
            parts.append(options)
        else:
            run = list(itertools.takewhile(lambda token: token not in ("{", *ends), tokens))
            _check(run, inside, where)
            parts.append([tuple(_words(run, normalise))])
            tokens = tokens[len(run) :]
        number = 1
        for part in parts:
            number *= len(part)
        if number > MOST:
            raise DataDirError(f"{where}: a reference with more than {MOST} readings")
    return [tuple(itertools.chain(*choice)) for choice in itertools.product(*parts)], tokens


def _alternatives(
    tokens: Sequence[str], normalise: Callable[[str], str], where: str
) -> tuple[list[Reading], Sequence[str]]:
    found: list[Reading] = []
    while True:
        some, tokens = _sequence(tokens, normalise, where, inside=True)
        found += some
        if not tokens:
            raise DataDirError(f"{where}: {{ without }} in a reference")
        ended, tokens = tokens[0] == "}", tokens[1:]
        if ended:
            return list(dict.fromkeys(found)), tokens


def _words(run: Sequence[str], normalise: Callable[[str], str]) -> Iterator[Word]:
    """Words without a mark between them are one text: a mapping may be of several."""
    for optional, some in itertools.groupby(run, _is_optional):
        spoken = [word for token in some if (word := token[1:-1] if optional else token) != NOTHING]
        for text in spoken if optional else [" ".join(spoken)]:
            yield from ((word, optional) for word in words(normalise(text)))


def _check(run: Sequence[str], inside: bool, where: str) -> None:
    """Refuse words with a part of a mark in them: as words they would be errors, unnoticed."""
    for token in run:
        if token.count("(") != token.count(")"):
            raise DataDirError(
                f"{where}: {token!r} in a reference; mark optional words one by one: (you) (know)"
            )
        if inside and "/" in token:
            raise DataDirError(
                f"{where}: {token!r} between {{ and }} in a reference; write blanks around the / "
                "of alternatives: {um / @}"
            )


def _is_optional(token: str) -> bool:
    return len(token) > 2 and token[0] == "(" and token[-1] == ")"
