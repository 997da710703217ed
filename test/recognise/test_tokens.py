import pytest
import sentencepiece

from espnet_robust.errors import DataDirError
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


def test_no_text(tmp_path):
    (tmp_path / "text").write_text("a\nb\n")
    with pytest.raises(DataDirError, match="every transcript is empty"):
        make_tokens(tmp_path / "text", tmp_path / "out", "char", 0)
