"""Make token lists for recognisers: characters, words, or sentencepiece BPE."""

import io
from pathlib import Path

import sentencepiece

from espnet_robust.common.errors import ConfigError, DataDirError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.data_dir import iter_table
from espnet_robust.data.words import words

BLANK, UNKNOWN, ENDS = "<blank>", "<unk>", "<sos/eos>"  # ESPnet's own tokens
SPACE = "<space>"  # ESPnet's name for the blank between words in character lists


def make_tokens(text: Path, out: Path, token_type: str, size: int) -> None:
    """Write ``out/tokens.txt`` (and ``out/bpe.model``) from the transcripts in a Kaldi text file.

    Args:
        token_type: ``char``, ``word`` or ``bpe``.
        size: size of the BPE vocabulary; smaller if the text does not yield as many.

    Raises:
        ConfigError: the BPE vocabulary is too small for the characters.
        DataDirError: there is no text, or it cannot be split into tokens.
    """
    sentences = [" ".join(words(rest)) for _, rest in iter_table(text) if rest]
    if not sentences:
        raise DataDirError(f"{text}: every transcript is empty")
    out.mkdir(parents=True, exist_ok=True)
    if token_type == "char":
        found = {SPACE if c == " " else c for sentence in sentences for c in sentence}
        tokens = sorted(found)
    elif token_type == "word":
        # A text may spell what it could not transcribe as the token for it.
        tokens = sorted({word for sentence in sentences for word in words(sentence)} - {UNKNOWN})
        if taken := [token for token in tokens if token in (BLANK, ENDS)]:
            raise DataDirError(f"{text}: {taken[0]} is no word but ESPnet's own token; remove it")
        if wide := [token for token in tokens if token.split() != [token]]:
            raise DataDirError(
                f"{text}: ESPnet would split the word {wide[0]!r} at its wide blank; replace it"
            )
    else:
        model, tokens = _bpe(sentences, size, text)
        write_atomic(out / "bpe.model", model)
    lines = [BLANK, UNKNOWN, *tokens, ENDS]
    write_atomic(out / "tokens.txt", "\n".join(lines) + "\n")


def _bpe(sentences: list[str], size: int, text: Path) -> tuple[bytes, list[str]]:
    """A sentencepiece model in which every character of the text is a token, and its tokens."""
    characters = {c for sentence in sentences for c in sentence} - {" "}
    least = len(characters) + 2  # <unk>, and the mark at the beginning of a word
    if size < least:
        raise ConfigError(
            f"{text}: {len(characters)} characters and a BPE size of {size}: need at least {least}"
        )
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        # By default it silently skips sentences longer than 4192 bytes.
        max_sentence_length=max(4192, 1 + max(len(s.encode()) for s in sentences)),
        # No normalisation: the default rule replaces wide characters and blanks by others.
        normalization_rule_name="identity",
        bos_id=-1,
        eos_id=-1,
        minloglevel=1,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = map(processor.id_to_piece, range(processor.get_piece_size()))
    tokens = [piece for piece in pieces if piece != UNKNOWN]
    if lost := sorted(characters - set("".join(tokens))):
        if any(UNKNOWN in sentence for sentence in sentences):
            raise DataDirError(f"{text}: {UNKNOWN} is no text but sentencepiece's own; remove it")
        raise DataDirError(f"{text}: sentencepiece has no token for {lost[:5]}; remove them")
    return model.getvalue(), tokens
