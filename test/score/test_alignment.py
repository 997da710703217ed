import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.score.alignment import ALIGNMENTS, align, count_errors

tokens = st.lists(st.sampled_from("abcd"), max_size=9)
both = pytest.mark.parametrize("alignment", ALIGNMENTS)


def counted(ref, hyp, alignment="fewest"):
    return count_errors([ref.split()], [hyp.split()], alignment)[0].tolist()


@pytest.mark.parametrize(
    ("ref", "hyp", "counts"),
    [
        ("a b c", "a b c", [3, 0, 0, 0]),
        ("a b c", "a x c", [3, 1, 0, 0]),
        ("a b c", "a b x c", [3, 0, 1, 0]),
        ("a b c", "a c", [3, 0, 0, 1]),
        ("a b c", "", [3, 0, 0, 3]),
        ("", "a b", [0, 0, 2, 0]),
        ("", "", [0, 0, 0, 0]),
    ],
)
@both
def test_by_hand(ref, hyp, counts, alignment):
    assert counted(ref, hyp, alignment) == counts


def test_of_as_few_errors_the_fewest_substitutions():
    # Three substitutions, or one with an insertion and a deletion, which leaves a word right.
    assert counted("a b c", "x a y") == [3, 1, 1, 1]


def test_sclite_takes_an_error_more_to_have_words_right():
    ref, hyp = "a b c x y", "x y 7 8 9"
    assert counted(ref, hyp) == [5, 5, 0, 0]
    assert counted(ref, hyp, "sclite") == [5, 0, 3, 3]  # 6 x 3 is less than 5 x 4


@both
@given(pairs=st.lists(st.tuples(tokens, tokens), max_size=4))
def test_counts_are_those_of_the_path(alignment, pairs):
    refs, hyps = [r for r, _ in pairs], [h for _, h in pairs]
    for ref, hyp, row in zip(refs, hyps, count_errors(refs, hyps, alignment), strict=True):
        path = align(ref, hyp, alignment)
        ops = [op for op, _, _ in path]
        assert row.tolist() == [len(ref), *(ops.count(op) for op in ("sub", "ins", "del"))]
        assert [r for _, r, _ in path if r is not None] == ref
        assert [h for _, _, h in path if h is not None] == hyp
        assert all((op == "match") == (r == h) for op, r, h in path)


@given(ref=tokens, hyp=tokens)
def test_fewest_is_the_edit_distance_and_sclite_is_not_below(ref, hyp):
    fewest, sclite = (count_errors([ref], [hyp], a)[0, 1:].sum() for a in ("fewest", "sclite"))
    back = count_errors([hyp], [ref])[0]
    assert fewest == back[1:].sum() <= max(len(ref), len(hyp))
    assert (fewest == 0) == (ref == hyp)
    assert sclite >= fewest


def test_many_different_tokens():
    """Beyond the code points that are left out."""
    words = [str(n) for n in range(0xD900)]
    assert count_errors([words], [words[1:]]).tolist() == [[0xD900, 0, 0, 1]]


def test_no_utterances():
    assert count_errors([], []).shape == (0, 4)
    assert count_errors([], []).dtype == np.int64
