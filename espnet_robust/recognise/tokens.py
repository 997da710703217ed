"""Token lists for recognisers: characters, words, or sentencepiece BPE."""

import io
from pathlib import Path

import sentencepiece

from espnet_robust.data.data_dir import iter_table
from espnet_robust.errors import DataDirError
from espnet_robust.files import write_atomic

SPACE = "<space>"  # ESPnet's name of the blank between words in character lists


def make_tokens(text: Path, out: Path, token_type: str, size: int) -> None:
    """Write ``out/tokens.txt`` (and ``out/bpe.model``) from the transcripts in a Kaldi text file.

    Args:
        token_type: ``char``, ``word`` or ``bpe``.
        size: BPE vocabulary; fewer where the text does not yield that many.

    Raises:
        DataDirError: no text.
    """
    sentences = [words for _, words in iter_table(text) if words]
    if not sentences:
        raise DataDirError(f"{text}: every transcript is empty")
    out.mkdir(parents=True, exist_ok=True)
    if token_type == "char":
        found = {SPACE if c == " " else c for sentence in sentences for c in sentence}
        tokens = sorted(found)
    elif token_type == "word":
        tokens = sorted({word for sentence in sentences for word in sentence.split()})
    else:
        model = _train_bpe(sentences, size)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        write_atomic(out / "bpe.model", model)
        pieces = map(processor.id_to_piece, range(processor.get_piece_size()))
        tokens = [p for p in pieces if p != "<unk>"]
    lines = ["<blank>", "<unk>", *tokens, "<sos/eos>"]
    write_atomic(out / "tokens.txt", "\n".join(lines) + "\n")


def _train_bpe(sentences: list[str], size: int) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        minloglevel=1,
    )
    return model.getvalue()
