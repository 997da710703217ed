import itertools

import pytest

from espnet_robust.bin.score import get_parser
from espnet_robust.common.errors import DataDirError
from espnet_robust.score.alignment import align, errors_of
from espnet_robust.score.counts import score_utterances
from espnet_robust.score.normalise import Normalisation
from espnet_robust.score.readings import MOST, readings, resolve


def texts(ref):
    return [" ".join(word for word, _ in r) for r in readings(ref, str, "ref")]


def test_alternatives():
    assert texts("{a / b c} d") == ["a d", "b c d"]
    assert texts("x { um / @ } y") == ["x um y", "x y"]
    assert texts("{ u / { k / l } m }") == ["u", "k m", "l m"]
    assert texts("{ a / b } { c / d }") == ["a c", "a d", "b c", "b d"]
    assert texts("and/or") == ["and/or"]  # a word, not a choice
    assert texts("a / b") == ["a / b"]  # nor outside of braces


def test_help_says_what_is_read():
    assert "optional (WORD), as for" in " ".join(get_parser().format_help().split())
    assert texts("(you) (know) f(x)") == ["you know f(x)"]


def test_words_are_normalised_and_marks_are_not():
    normalise = str.lower
    assert readings("{ A / @ } (B)", normalise, "ref")[0] == (("a", False), ("b", True))


def test_a_mapping_may_be_of_several_words(tmp_path):
    (tmp_path / "map").write_text("going to => gonna\nyou know =>\n")
    normalise = Normalisation(mapping=str(tmp_path / "map"), alternatives=True)
    ref = "i am going to {go / keep going to work} (now) you know @ bye"
    said = ["i am gonna go now bye", "i am gonna keep gonna work now bye"]
    assert [" ".join(w for w, _ in r) for r in readings(ref, normalise, "ref")] == said
    for hyp in ("i am going to go now bye", "i am gonna go you know bye"):
        counted = score_utterances({"u": ref}, {"u": hyp}, normalise=normalise)
        assert counted.total.wer == 0


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [
        ("{ going to / gonna } go", "gonna go", (["gonna", "go"], 0)),
        ("{ going to / gonna } go", "going go", (["going", "to", "go"], 0)),
        ("x (y) z", "x z", (["x", "z"], 1)),
        ("x (y) z", "x y z", (["x", "y", "z"], 0)),
        ("x (y) z", "x q z", (["x", "y", "z"], 0)),  # y for q: substituted, as sclite says
    ],
)
def test_the_closest_reading(ref, hyp, expected):
    assert resolve(ref, hyp.split(), str, "sclite", "ref")[:2] == expected


@pytest.mark.parametrize("alignment", ["fewest", "sclite"])
def test_an_optional_word_is_not_heard_instead_of_an_obligatory_one(alignment):
    normalise = Normalisation(alternatives=True)
    for ref in ("the (the) cat", "(the) the cat"):
        counted = score_utterances(
            {"u": ref}, {"u": "the cat"}, normalise=normalise, alignment=alignment
        )
        assert counted.words.tolist() == [[3, 0, 0, 0]]
        assert counted.total.cer == 0


def test_no_choice_of_optional_words_has_fewer_errors():
    for length in (1, 2, 3, 4):
        for letters, marks in itertools.product(
            itertools.product("ab", repeat=length), itertools.product((False, True), repeat=length)
        ):
            ref = " ".join(f"({a})" if may else a for a, may in zip(letters, marks, strict=True))
            for hyp in itertools.chain(*(itertools.product("ab", repeat=n) for n in range(4))):
                found = resolve(ref, hyp, str, "fewest", "ref")
                subsets = itertools.product(*(((False, True) if m else (True,)) for m in marks))
                fewest = min(
                    sum(errors_of(align(list(itertools.compress(letters, kept)), hyp)))
                    for kept in subsets
                )
                assert sum(errors_of(found.path)) == fewest
                assert len(found.words) + found.dropped == length
                assert found.words == [word for op, word, _ in found.path if op != "ins"]


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("a } b", "} without {"),
        ("{ a / b", "{ without }"),
        ("(you know) a", "'(you' in a reference; mark optional words one by one: (you) (know)"),
        ("you know) a", "'know)' in a reference"),
        ("{ ( a ) / b }", "'(' in a reference"),
        ("{um/@} a", "'um/@' between { and } in a reference; write blanks around the / of"),
        ("{ um /@ } a", "'/@' between { and }"),
        ("{ a / b } " * 14, f"more than {MOST} readings"),
    ],
)
def test_bad_references_are_named(ref, message):
    with pytest.raises(DataDirError) as e:
        resolve(ref, ["a"], str, "fewest", "data/test/text: u1")
    assert str(e.value).startswith("data/test/text: u1") and message in str(e.value)
