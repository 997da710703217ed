"""Word and character errors: edit distance for each utterance, summed over a corpus.

Conventions, the same for reference and hypothesis:

* Unicode is brought to NFC, so that a letter with its accent is one character however it was
  typed. Case and punctuation count as they are: normalise them before scoring if they should not.
* Words are what ASCII blanks separate, as in a data dir and in sclite: ``data/words.py``.
* Characters are counted twice: with one space between words as a character of its own, as ESPnet
  does (``chars``), and without any space (``chars_no_space``).
* Rates are sums over the corpus, all errors / all reference tokens, never means of the rates of
  utterances. An utterance with an empty reference adds its insertions and nothing to the divisor.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from rapidfuzz.distance import Levenshtein

from espnet_robust.common.errors import UserError
from espnet_robust.data.words import words


@dataclass(frozen=True)
class Edits:
    """The fewest edits from reference to hypothesis. They add up over utterances.

    Args:
        ref: tokens in the reference.
        sub, ins, dele: substituted, inserted, deleted tokens. The sum is unique; where several
            alignments have it, its division is the one rapidfuzz finds.
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
        """Error rate in per cent; more than 100 if much is inserted, None without a reference."""
        return 100 * self.errors / self.ref if self.ref else None

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Counts:
    """Errors of one utterance or, summed, of a corpus."""

    utterances: int = 0
    words: Edits = Edits()
    chars: Edits = Edits()
    chars_no_space: Edits = Edits()

    @property
    def wer(self) -> float | None:
        """Word error rate in per cent."""
        return self.words.percent

    @property
    def cer(self) -> float | None:
        """Character error rate in per cent, spaces between words included."""
        return self.chars.percent

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def count_edits(ref: Sequence, hyp: Sequence) -> Edits:
    """Levenshtein distance of two token sequences (strings are sequences of characters).

    >>> count_edits("turn on the light now".split(), "turn of light now please".split())
    Edits(ref=5, sub=1, ins=1, dele=1)
    """
    tags = [op.tag for op in Levenshtein.editops(ref, hyp)]
    return Edits(len(ref), tags.count("replace"), tags.count("insert"), tags.count("delete"))


def score_utterance(ref: str, hyp: str) -> Counts:
    """Errors of one transcript.

    >>> score_utterance("a b", "a  c").wer
    50.0
    """
    r, h = (words(unicodedata.normalize("NFC", text)) for text in (ref, hyp))
    return Counts(
        utterances=1,
        words=count_edits(r, h),
        chars=count_edits(" ".join(r), " ".join(h)),
        chars_no_space=count_edits("".join(r), "".join(h)),
    )


def score_utterances(
    ref: Mapping[str, str],
    hyp: Mapping[str, str],
    *,
    missing: Literal["refuse", "delete"] = "refuse",
    where: str = "hypotheses",
) -> dict[str, Counts]:
    """Errors of every utterance of ``ref``, in its order.

    Args:
        ref, hyp: utterance id -> transcript; either may be empty text.
        missing: what to do about utterances without a hypothesis: ``refuse``, or count all their
            words as deleted.
        where: opens the message of an error; best the file of the hypotheses.

    Raises:
        UserError: no references, hypotheses missing (unless they may be), or hypotheses of
            utterances that ``ref`` does not have.
    """
    if not ref:
        raise UserError(f"{where}: no reference transcripts to score against")
    unknown = [utt for utt in hyp if utt not in ref]
    if unknown:
        raise UserError(
            f"{where}: {_some(unknown)} not among the reference transcripts; "
            "were these decoded from another data dir?"
        )
    absent = [utt for utt in ref if utt not in hyp]
    if absent and missing == "refuse":
        raise UserError(
            f"{where}: no hypothesis for {_some(absent)} of {len(ref)}; decode again, "
            "or count them as deleted with --missing delete"
        )
    return {utt: score_utterance(text, hyp.get(utt, "")) for utt, text in ref.items()}


def score_text(
    ref: Mapping[str, str],
    hyp: Mapping[str, str],
    *,
    missing: Literal["refuse", "delete"] = "refuse",
    where: str = "hypotheses",
) -> Counts:
    """Errors of a corpus; for arguments and errors see ``score_utterances``.

    >>> score_text({"u1": "a b c d", "u2": "a"}, {"u1": "a b c d", "u2": "b"}).wer
    20.0
    """
    return total(score_utterances(ref, hyp, missing=missing, where=where).values())


def total(counts: Iterable[Counts]) -> Counts:
    """The sum over utterances."""
    return sum(counts, Counts())


def _some(utts: Sequence[str]) -> str:
    names = ", ".join(utts[:3]) + (", ..." if len(utts) > 3 else "")
    return f"{len(utts)} utterance{'s' if len(utts) > 1 else ''} ({names})"
