import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.common.errors import ConfigError, DataDirError
from espnet_robust.data.words import words
from espnet_robust.recognise.tokens import make_tokens


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text("a THE LIGHT\nb THE LIGHTS\nc\n")
    return path


def test_characters(text, tmp_path):
    make_tokens(text, tmp_path / "tokens", "char", 0)
    tokens = (tmp_path / "tokens/tokens.txt").read_text().split("\n")
    assert tokens[:2] == ["<blank>", "<unk>"] and tokens[-2:] == ["<sos/eos>", ""]
    assert sorted(tokens[2:-2]) == sorted(["<space>", *"EGHILST"])


def test_words(text, tmp_path):
    make_tokens(text, tmp_path / "tokens", "word", 0)
    tokens = (tmp_path / "tokens/tokens.txt").read_text().splitlines()
    assert tokens == ["<blank>", "<unk>", "LIGHT", "LIGHTS", "THE", "<sos/eos>"]


def test_bpe_covers_the_text(text, tmp_path):
    make_tokens(text, tmp_path / "tokens", "bpe", 14)
    tokens = (tmp_path / "tokens/tokens.txt").read_text().split()
    model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokens/bpe.model"))
    assert set(model.encode("THE LIGHTS", out_type=str)) <= set(tokens)
    assert tokens.count("<unk>") == 1


def as_text(path, *lines):
    rows = (f"u{i:05d} {line}\n" for i, line in enumerate(lines))
    path.write_text("".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("length", [4190, 4193, 70_000])
def test_no_line_is_too_long(tmp_path, length):
    """sentencepiece leaves lines of more than 4192 bytes out, if not told otherwise."""
    long = ("QUIZ JO " * length)[:length]
    for lines in (["ONE TWO"] * 9 + [long], [long]):
        make_tokens(as_text(tmp_path / "text", *lines), tmp_path / "tokens", "bpe", 50)
        tokens = (tmp_path / "tokens/tokens.txt").read_text()
        assert set("QUIZJO") <= set(tokens)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40))
def test_every_character_is_a_token_or_named(tmp_path_factory, line):
    """And the text comes back from the tokens, split into the same words."""
    path = tmp_path_factory.getbasetemp() / "characters"
    path.mkdir(exist_ok=True)
    if not words(line):
        return
    least = len({*line} - {*" "}) + 2
    try:
        make_tokens(as_text(path / "text", line), path, "bpe", least)
    except DataDirError as e:
        assert "sentencepiece has no token for" in str(e)
        return
    tokens = set((path / "tokens.txt").read_text(encoding="utf-8").split("\n"))
    model = sentencepiece.SentencePieceProcessor(model_file=str(path / "bpe.model"))
    pieces = model.encode(" ".join(words(line)), out_type=str)
    assert set(pieces) <= tokens
    assert words(model.decode(pieces)) == words(line)


@pytest.mark.parametrize(
    ("line", "size", "least"),
    [("THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG", 20, 28), ("ÄÖÜ ß", 5, 6), ("A", -1, 3)],
)
def test_the_least_bpe_size(tmp_path, line, size, least):
    text = as_text(tmp_path / "text", line)
    with pytest.raises(ConfigError, match=f"a BPE size of {size}: need at least {least}$"):
        make_tokens(text, tmp_path / "out", "bpe", size)
    with pytest.raises(ConfigError):
        make_tokens(text, tmp_path / "out", "bpe", least - 1)
    make_tokens(text, tmp_path / "out", "bpe", least)


def test_a_word_that_espnet_would_split(tmp_path):
    text = as_text(tmp_path / "text", "ONE\u00a0TWO")
    with pytest.raises(DataDirError, match="would split the word 'ONE.xa0TWO'"):
        make_tokens(text, tmp_path / "out", "word", 0)


def test_espnets_own_tokens_in_the_text(tmp_path):
    as_text(tmp_path / "text", "HELLO <unk> WORLD")
    make_tokens(tmp_path / "text", tmp_path / "tokens", "word", 0)
    tokens = (tmp_path / "tokens/tokens.txt").read_text().splitlines()
    assert tokens == ["<blank>", "<unk>", "HELLO", "WORLD", "<sos/eos>"]
    with pytest.raises(DataDirError, match="text: <unk> is no text but sentencepiece's own"):
        make_tokens(tmp_path / "text", tmp_path / "tokens", "bpe", 30)
    for token in ("<blank>", "<sos/eos>"):
        as_text(tmp_path / "text", f"HELLO {token}")
        with pytest.raises(DataDirError, match=f"{token} is no word but ESPnet's own token"):
            make_tokens(tmp_path / "text", tmp_path / "tokens", "word", 0)


def test_no_text(tmp_path):
    (tmp_path / "text").write_text("a\nb\n")
    with pytest.raises(DataDirError, match="every transcript is empty"):
        make_tokens(tmp_path / "text", tmp_path / "out", "char", 0)
