import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.common.errors import UserError
from espnet_robust.score.counts import (
    Counts,
    Edits,
    score_text,
    score_utterances,
)
from espnet_robust.score.normalise import Normalisation


def score_utterance(ref, hyp):
    return score_text({"u": ref}, {"u": hyp})


@pytest.mark.parametrize(
    ("ref", "hyp", "edits"),
    [
        ("a b c", "a b c", Edits(3, 0, 0, 0)),
        ("a b c", "a x c", Edits(3, 1, 0, 0)),
        ("a b c", "a b x c", Edits(3, 0, 1, 0)),
        ("a b c", "a c", Edits(3, 0, 0, 1)),
        ("a b c", "", Edits(3, 0, 0, 3)),
        ("", "a b", Edits(0, 0, 2, 0)),
        ("", "", Edits(0, 0, 0, 0)),
        ("TURN ON THE LIGHT NOW", "TURN OF LIGHT NOW PLEASE", Edits(5, 1, 1, 1)),
    ],
)
def test_words_by_hand(ref, hyp, edits):
    assert score_utterance(ref, hyp).words == edits


def test_characters_by_hand():
    counts = score_utterance("ab cd", "abcd")
    assert counts.chars == Edits(5, 0, 0, 1)  # the space is a character
    assert counts.chars_no_space == (4, 0) and counts.cer_no_space == 0
    assert counts.words == Edits(2, 1, 0, 1)


def test_whitespace_is_one_space():
    assert score_utterance(" a \t b\n c ", "a b c").chars == Edits(5, 0, 0, 0)


@pytest.mark.parametrize("wide", ["\u00a0", "\u3000", "\u2003", "\x85"])
def test_wide_blanks_are_part_of_words(wide):
    """As for Kaldi and sclite."""
    assert score_utterance(f"a{wide}b c", f"a{wide}b c").words == Edits(2)
    assert score_utterance(f"a{wide}b", "a b").words == Edits(1, 1, 1, 0)


def test_composed_and_decomposed_letters_are_the_same():
    assert score_utterance("caf\u00e9", "cafe\u0301").chars == Edits(4, 0, 0, 0)


def test_case_counts():
    assert score_utterance("A", "a").wer == 100


def test_corpus_sum_is_not_the_mean_of_utterances():
    ref = {"u1": "a b c d", "u2": "a"}
    hyp = {"u1": "a b c d", "u2": "b"}
    assert score_text(ref, hyp).wer == 20.0  # the mean of 0 % and 100 % would be 50 %


def test_empty_reference_adds_insertions_only():
    counts = score_text({"u1": "", "u2": "a b"}, {"u1": "x", "u2": "a b"})
    assert counts.words == Edits(2, 0, 1, 0)
    assert counts.wer == 50.0


def test_rate_without_reference_words_is_unknown():
    assert score_text({"u1": ""}, {"u1": "x"}).wer is None


def test_missing_hypotheses_are_named():
    ref = {f"u{i}": "a" for i in range(5)}
    with pytest.raises(UserError) as e:
        score_text(ref, {"u0": "a"}, strict=True, where="exp/x/decode/clean/text")
    assert str(e.value) == (
        "exp/x/decode/clean/text: no hypothesis for 4 utterances (u1, u2, u3, ...) of 5; "
        "decode again, or count them as deleted, without --strict"
    )


def test_missing_hypotheses_as_deletions():
    counts = score_utterances({"u1": "a b", "u2": "a"}, {"u2": "a"})
    assert counts.total.words == Edits(3, 0, 0, 2)
    assert counts.missing == ("u1",)


def test_empty_references_are_named():
    assert score_utterances({"u1": "", "u2": "a"}, {"u1": "x", "u2": "a"}).empty == ("u1",)


def test_normalisation_is_of_both_sides():
    lower = Normalisation(case="lower", punctuation="drop")
    assert (
        score_utterances({"u": "Don't stop!"}, {"u": "DON'T STOP"}, normalise=lower).total.wer == 0
    )


def test_alternatives_are_words_unless_asked_for():
    ref, hyp = {"u": "{ a / b } c"}, {"u": "b c"}
    assert score_text(ref, hyp).words == Edits(6, 0, 0, 4)
    asked = score_utterances(ref, hyp, normalise=Normalisation(alternatives=True))
    assert asked.total.words == Edits(2)
    assert asked.total.chars == Edits(3)


def test_hypotheses_of_other_utterances_are_refused():
    with pytest.raises(UserError, match=r"1 utterance \(u9\) not among the reference"):
        score_text({"u1": "a"}, {"u1": "a", "u9": "a"})


def test_no_references():
    with pytest.raises(UserError, match="no reference transcripts"):
        score_text({}, {})


def test_order_is_that_of_the_references():
    assert score_utterances({"b": "x", "a": "x"}, {"a": "x", "b": "x"}).ids == ("b", "a")


transcript = st.lists(st.sampled_from(["a", "b", "cc"]), max_size=8)


@given(pairs=st.lists(st.tuples(transcript, transcript), min_size=1, max_size=5))
def test_corpus_is_the_sum_of_its_utterances(pairs):
    ref = {str(i): " ".join(r) for i, (r, _) in enumerate(pairs)}
    hyp = {str(i): " ".join(h) for i, (_, h) in enumerate(pairs)}
    corpus = score_text(ref, hyp)
    one_by_one = [score_text({utt: ref[utt]}, {utt: hyp[utt]}) for utt in ref]
    assert corpus.utterances == len(pairs)
    assert corpus == sum(one_by_one, Counts())
