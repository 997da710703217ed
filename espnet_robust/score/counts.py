"""Word and character errors of utterances, summed over a corpus.

Conventions, the same for reference and hypothesis:

* Text is compared after ``normalise.py``: case and punctuation count, unless options say otherwise.
* Words are separated by ASCII blanks, as in a data dir and in sclite: ``data/words.py``.
* Characters are counted twice: with one space between words as a character of its own, as ESPnet
  does (``chars``), and without any space (``chars_no_space``, of which only the sum is kept).
* Errors are those of ``alignment.py``: the fewest, or sclite's.
* Rates are computed from sums over the corpus, all errors / all reference tokens, and never as
  means of utterance rates. An utterance with an empty reference adds only its insertions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.data.words import words
from espnet_robust.score.alignment import count_errors, count_fewest, errors_of
from espnet_robust.score.normalise import Normalisation
from espnet_robust.score.readings import Closest, has_readings, resolve


@dataclass(frozen=True)
class Edits:
    """Counts of edits from reference to hypothesis, which can be added over utterances.

    Args:
        ref: number of tokens in the reference.
        sub, ins, dele: number of substituted, inserted, deleted tokens.
    """

    ref: int = 0
    sub: int = 0
    ins: int = 0
    dele: int = 0

    @property
    def errors(self) -> int:
        return self.sub + self.ins + self.dele

    @property
    def percent(self) -> float | None:
        """Error rate in per cent; above 100 with many insertions; None without a reference."""
        return 100 * self.errors / self.ref if self.ref else None

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Counts:
    """Errors of a corpus. Counts of several corpora can be added.

    Args:
        chars_no_space: characters of the references, and the fewest errors.
    """

    utterances: int = 0
    words: Edits = Edits()
    chars: Edits = Edits()
    chars_no_space: tuple[int, int] = (0, 0)

    @property
    def wer(self) -> float | None:
        """Word error rate in per cent."""
        return self.words.percent

    @property
    def cer(self) -> float | None:
        """Character error rate in per cent, spaces between words included."""
        return self.chars.percent

    @property
    def cer_no_space(self) -> float | None:
        """Character error rate in per cent, spaces left out on both sides."""
        tokens, errors = self.chars_no_space
        return 100 * errors / tokens if tokens else None

    def __add__(self, other: "Counts") -> "Counts":
        tokens, errors = (
            a + b for a, b in zip(self.chars_no_space, other.chars_no_space, strict=True)
        )
        return Counts(
            self.utterances + other.utterances,
            self.words + other.words,
            self.chars + other.chars,
            (tokens, errors),
        )


@dataclass(frozen=True)
class UtteranceCounts:
    """Errors of utterances, one utterance per row.

    Args:
        ids: (N,) utterance ids.
        words, chars: (N, 4): tokens of the reference, substituted, inserted, deleted.
        chars_no_space: (N, 2): characters of the reference, and the fewest errors.
        missing: ids without a hypothesis, whose words count as deleted.
        empty: ids whose reference is empty.
    """

    ids: tuple[str, ...]
    words: np.ndarray
    chars: np.ndarray
    chars_no_space: np.ndarray
    missing: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def total(self) -> Counts:
        """The sum over utterances."""
        by_word, by_char = (Edits(*table.sum(0).tolist()) for table in (self.words, self.chars))
        tokens, errors = self.chars_no_space.sum(0).tolist()
        return Counts(len(self.ids), by_word, by_char, (tokens, errors))


def score_utterances(
    ref: Mapping[str, str],
    hyp: Mapping[str, str],
    *,
    strict: bool = False,
    where: str = "hypotheses",
    normalise: Normalisation | None = None,
    alignment: str = "fewest",
) -> UtteranceCounts:
    """Errors of every utterance of ``ref``, in its order.

    Args:
        ref, hyp: utterance id -> transcript; either may be empty text.
        strict: refuse utterances without a hypothesis, rather than count their words as deleted.
        where: beginning of error messages, such as the file of the hypotheses.
        normalise: applied to both sides; None: ``Normalisation()``.
        alignment: a key of ``alignment.ALIGNMENTS``.

    Raises:
        UserError: there are no references, ``hyp`` has utterances that are not in ``ref``, or, with
            ``strict``, hypotheses are missing.
    """
    missing = _check_ids(ref, hyp, strict, where)
    normalise = normalise or Normalisation()
    refs: list[list[str]] = []
    hyps = [words(normalise(hyp.get(utt, ""))) for utt in ref]
    closest: dict[int, Closest] = {}
    for n, (utt, text) in enumerate(ref.items()):
        if normalise.alternatives and has_readings(text):
            closest[n] = resolve(text, hyps[n], normalise, alignment, f"{where}: {utt}")
            refs.append(closest[n].words)
        else:
            refs.append(words(normalise(text)))
    counted = count_errors(refs, hyps, alignment)
    for n, one in closest.items():  # optional words that were left out are right
        counted[n] = len(one.words) + one.dropped, *errors_of(one.path)
    spaced = count_errors(list(map(" ".join, refs)), list(map(" ".join, hyps)), alignment)
    unspaced = count_fewest(list(map("".join, refs)), list(map("".join, hyps)))
    empty = tuple(utt for utt, (tokens, *_) in zip(ref, counted, strict=True) if not tokens)
    return UtteranceCounts(tuple(ref), counted, spaced, unspaced, missing, empty)


def score_text(
    ref: Mapping[str, str],
    hyp: Mapping[str, str],
    *,
    strict: bool = False,
    where: str = "hypotheses",
) -> Counts:
    """Errors of a corpus; for arguments and errors see ``score_utterances``.

    >>> score_text({"u1": "a b c d", "u2": "a"}, {"u1": "a b c d", "u2": "b"}).wer
    20.0
    """
    return score_utterances(ref, hyp, strict=strict, where=where).total


def _check_ids(
    ref: Mapping[str, str], hyp: Mapping[str, str], strict: bool, where: str
) -> tuple[str, ...]:
    """The utterances without a hypothesis."""
    if not ref:
        raise UserError(f"{where}: no reference transcripts to score against")
    if unknown := [utt for utt in hyp if utt not in ref]:
        raise UserError(
            f"{where}: {some(unknown)} not among the reference transcripts; "
            "were these decoded from another data dir?"
        )
    missing = tuple(utt for utt in ref if utt not in hyp)
    if missing and strict:
        raise UserError(
            f"{where}: no hypothesis for {some(missing)} of {len(ref)}; decode again, "
            "or count them as deleted, without --strict"
        )
    return missing


def some(utts: Sequence[str]) -> str:
    """
    >>> some(["u1", "u2", "u3", "u4"])
    '4 utterances (u1, u2, u3, ...)'
    """
    names = ", ".join(utts[:3]) + (", ..." if len(utts) > 3 else "")
    return f"{len(utts)} utterance{'s' if len(utts) > 1 else ''} ({names})"
