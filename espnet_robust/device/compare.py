"""Compare the word error rates of exported recognisers, condition by condition."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import audio_info, read_audio
from espnet_robust.data.conditions import CLEAN
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.device.audio import check_length
from espnet_robust.device.greedy import best_path
from espnet_robust.device.metadata import text_of
from espnet_robust.device.runtime import Runtime
from espnet_robust.device.stream import stream_log_probs
from espnet_robust.score.counts import Counts, score_text


def some_utterances(data_dirs: Sequence[Path], count: int, rate: int) -> dict[str, np.ndarray]:
    """``count`` utterances, spread evenly over data dirs and within.

    Returns:
        {"DATA_DIR: ID": (samples,) float32 at ``rate`` Hz}.
    """
    wavs = {}
    for i, data_dir in enumerate(data_dirs):
        entries = list(read_data_dir(data_dir).wav.items())
        share = count // len(data_dirs) + (i < count % len(data_dirs))
        picked = np.linspace(0, len(entries) - 1, min(share, len(entries))).round().astype(int)
        for utt_id, entry in (entries[n] for n in picked):
            wavs[f"{data_dir}: {utt_id}"] = read_audio(entry, rate=rate)
    return wavs


@dataclass(frozen=True)
class Row:
    """The results of one file in all conditions.

    Attributes:
        wer: condition -> word error rate, per cent.
        same: share of utterances, over all conditions, with the same text as from the first file.
        rtf: real-time factor, one utterance at a time.
    """

    file: str
    mib: float
    wer: dict[str, float]
    same: float
    rtf: float

    @property
    def distorted(self) -> float | None:
        """The mean WER of the conditions that are not clean."""
        values = [wer for name, wer in self.wer.items() if name != CLEAN]
        return sum(values) / len(values) if values else None


def compare(models: Sequence[Path], conditions: Mapping[str, Path], threads: int) -> list[Row]:
    """Transcribe every condition with every model; the others are compared with the first.

    Args:
        conditions: name -> data dir.

    Raises:
        ModelError, DataDirError: a model or data dir cannot be used.
        AudioError: an utterance cannot be read, or is shorter than one frame.
    """
    from espnet_robust.device.runtime import recogniser

    rows, reference = [], None
    for path in models:
        model = recogniser(path, threads)
        for data_dir in conditions.values():  # before hours of computing
            _check_lengths(model, data_dir)
        counts, texts, seconds = {}, {}, [0.0, 0.0]
        for name, data_dir in conditions.items():
            texts[name], spent = _texts(model, data_dir)
            counts[name] = _count(texts[name], data_dir)
            seconds = [a + b for a, b in zip(seconds, spent, strict=True)]
        reference = reference or texts
        size = path.stat().st_size / 2**20
        wer = {name: one.wer for name, one in counts.items() if one.wer is not None}
        rows.append(Row(str(path), size, wer, _same(texts, reference), seconds[0] / seconds[1]))
    return rows


def _check_lengths(model: Runtime, data_dir: Path) -> None:
    for utt_id, entry in read_data_dir(data_dir).wav.items():
        samples = audio_info(entry).num_samples_at(model.metadata.rate)
        check_length(f"{data_dir}: {utt_id}", samples, model.metadata)


def _texts(model: Runtime, data_dir: Path) -> tuple[dict[str, str], tuple[float, float]]:
    """{utterance id: text}, and (seconds of computing, seconds of audio)."""
    texts, spent, heard = {}, 0.0, 0.0
    for utt_id, entry in read_data_dir(data_dir).wav.items():
        wav = read_audio(entry, rate=model.metadata.rate)
        began = time.perf_counter()
        stream = model.metadata.kind == "stream"
        tokens = best_path(stream_log_probs(model, [wav]) if stream else model.rows([wav]))
        texts[utt_id] = text_of([model.metadata.pieces[token.id] for token in tokens])
        spent += time.perf_counter() - began
        heard += len(wav) / model.metadata.rate
    return texts, (spent, heard)


def _count(texts: Mapping[str, str], data_dir: Path) -> Counts:
    references = read_data_dir(data_dir).tables.get("text")
    if not references:
        raise DataDirError(f"{data_dir}: no text to compare with")
    return score_text(references, texts, strict=True, where=str(data_dir))


def _same(texts: Mapping[str, Mapping[str, str]], reference: Mapping[str, Any]) -> float:
    pairs = [(text, reference[name][utt]) for name in texts for utt, text in texts[name].items()]
    return sum(a == b for a, b in pairs) / len(pairs)


def markdown(rows: Sequence[Row]) -> str:
    """The comparison as a Markdown table: one line per condition, one column per file."""
    names = list(rows[0].wer)
    lines = [["WER, %", *(Path(row.file).name for row in rows)], ["---", *["---:"] * len(rows)]]
    lines += [[name, *(f"{row.wer[name]:.2f}" for row in rows)] for name in names]
    if rows[0].distorted is not None:
        lines.append(["mean, distorted", *(f"{row.distorted:.2f}" for row in rows)])
    lines.append(["same text as the first, %", *(f"{100 * row.same:.1f}" for row in rows)])
    lines.append(["size, MiB", *(f"{row.mib:.1f}" for row in rows)])
    lines.append(["real-time factor", *(f"{row.rtf:.4f}" for row in rows)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
