import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.score.normalise import Normalisation, read_mapping, without_punctuation


def test_by_default_unicode_is_composed_and_nothing_else():
    assert Normalisation()("Caf\u0065\u0301, <noise> OK") == "Caf\u00e9, <noise> OK"
    assert Normalisation(nfc=False)("e\u0301") == "e\u0301"
    assert Normalisation().record() == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Well, don't stop!", "Well don't stop"),
        ("twenty-one", "twenty one"),
        ("l\u2019eau \u00abpure\u00bb", "l\u2019eau pure"),
        ("'quoted'", "quoted"),
        ("$5 + 5", "$5 + 5"),  # symbols are no punctuation
        ("well...okay", "well okay"),
        ("wait--what?!", "wait what"),
        ('he said,"no"', "he said no"),
        ("rock'n'roll o''clock", "rock'n'roll o clock"),
        ("$5-$10", "$5 $10"),
        # Hindi, with a vowel sign before the hyphen, and with a joiner
        ("\u0926\u0940-\u0926\u0940", "\u0926\u0940 \u0926\u0940"),
        ("\u0915\u094d\u200d-\u0915", "\u0915\u094d\u200d \u0915"),
    ],
)
def test_punctuation(text, expected):
    assert without_punctuation(text) == expected


def test_case():
    assert Normalisation(case="upper")("stra\u00dfe") == "STRASSE"
    assert Normalisation(case="lower")("ON") == "on"


def test_symbols_are_dropped_as_words(tmp_path):
    (tmp_path / "symbols").write_text("<noise>\n[laughter]\n")
    normalise = Normalisation(symbols=str(tmp_path / "symbols"))
    assert normalise("<noise> a<noise> b [laughter]") == "a<noise> b"


def test_mapping(tmp_path):
    path = tmp_path / "map"
    path.write_text(";; spellings\ngoing to => gonna\ngoing => go\nuh =>\n\n")
    normalise = Normalisation(mapping=str(path))
    assert normalise("uh i am going to go going") == "i am gonna go go"


def test_record_says_what_was_done_without_the_directory(tmp_path):
    (tmp_path / "map").write_text("a => b\n")
    record = Normalisation(case="lower", mapping=str(tmp_path / "map")).record()
    assert record.keys() == {"case", "mapping"}
    assert record["mapping"].startswith("map ") and str(tmp_path) not in record["mapping"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b\n", ":1: need FROM => TO, found 'a b'"),
        ("a => b\n=> c\n", ":2: need FROM => TO"),
        ("a => b\na => c\n", ":2: 'a' is mapped twice"),
    ],
)
def test_bad_mapping(tmp_path, text, message):
    (tmp_path / "map").write_text(text)
    with pytest.raises(ConfigError) as e:
        read_mapping(tmp_path / "map")
    assert message in str(e.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Normalisation(symbols=str(tmp_path / "nothing"))
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        Normalisation(mapping=str(tmp_path / "latin"))


@pytest.mark.parametrize("option", ["case", "punctuation"])
def test_unknown_options(option):
    with pytest.raises(ConfigError, match=f"{option}: need keep or "):
        Normalisation(**{option: "none"})


def test_files_are_composed_exactly_when_texts_are(tmp_path):
    apart, composed = "e\u0301", "\u00e9"
    (tmp_path / "symbols").write_text(f"<{apart}>\n", encoding="utf-8")
    (tmp_path / "map").write_text(f"{apart} => a{apart}\n", encoding="utf-8")
    files = {"symbols": str(tmp_path / "symbols"), "mapping": str(tmp_path / "map")}
    for text in (apart, composed):
        assert Normalisation(**files)(f"<{text}> {text}") == f"a{composed}"
    asis = Normalisation(nfc=False, **files)
    assert asis(f"<{apart}> {apart}") == f"a{apart}"
    assert asis(f"<{composed}> {composed}") == f"<{composed}> {composed}"
