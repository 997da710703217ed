import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.device.greedy import Token, Word, best_path, words
from espnet_robust.device.metadata import pieces, text_of

PIECES = ["<blank>", "▁ON", "▁", "O", "FF"]


@pytest.fixture(scope="module")
def trained_bpe(tmp_path_factory):
    from espnet_robust.recognise.tokens import make_tokens

    out = tmp_path_factory.mktemp("bpe")
    (out / "text").write_text("a TURN ON THE LIGHT\nb TURN OFF THE HEATING IN THE HALL\n")
    make_tokens(out / "text", out, "bpe", 30)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(out / "bpe.model"))
    return processor, (out / "tokens.txt").read_text().split("\n")[:-2]


def block(ids: list[int]) -> np.ndarray:
    return np.log(np.eye(5)[ids] + 1e-3)


def test_repetitions_are_merged_and_blanks_dropped():
    tokens = list(best_path([block([0, 1, 1, 0, 1, 3, 3, 0])]))
    assert tokens == [Token(1, 1, 2), Token(1, 4, 4), Token(3, 5, 6)]


@given(st.lists(st.integers(0, 4)), st.integers(1, 5))
def test_blocks_do_not_matter(ids, size):
    whole = list(best_path([block(ids)]))
    parts = [block(ids[i : i + size]) for i in range(0, len(ids), size)]
    assert list(best_path(parts)) == whole


def test_words_and_their_times():
    tokens = [Token(1, 2, 3), Token(2, 5, 5), Token(3, 6, 6), Token(4, 8, 9)]
    assert list(words(tokens, PIECES, 0.04)) == [Word("ON", 0.08, 0.16), Word("OFF", 0.2, 0.4)]
    assert not list(words([Token(2, 1, 1)], PIECES, 0.04))


@given(st.lists(st.integers(1, 30), max_size=12))
def test_bpe_text_is_sentencepieces(trained_bpe, ids):
    processor, tokens = trained_bpe
    ids = [i % len(tokens) or 1 for i in ids]
    expected = processor.decode_pieces([tokens[i] for i in ids])
    found = text_of([pieces(tokens, "bpe")[i] for i in ids])
    assert found == " ".join(expected.split())
