#!/usr/bin/env python3
"""Compare exported recognisers with ESPnet's: log probabilities and texts.

    tools/measure_export.py EXP --data egs/mini/asr1/data/test --utterances 100

EXP is an ASR experiment on a student. Speech of DATA is joined and cut to lengths from 400 samples
to 30 s. onnxruntime processes each piece alone and in batches of eight; the reference is ESPnet's
model in torch, on each piece alone. Then both greedy decoders and sherpa-onnx transcribe every
condition of DATA.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.conditions import condition_dirs, read_condition
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.device.export import export
from espnet_robust.device.greedy import best_path
from espnet_robust.device.metadata import text_of
from espnet_robust.device.runtime import Runtime
from espnet_robust.recognise.decode import batches, load_recogniser, padded

SHORTEST, LONGEST = 400, 30 * RATE


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("exp", type=Path)
    parser.add_argument("--checkpoint", default="valid.loss.best.pth")
    parser.add_argument("--data", type=Path, required=True, help="data dir, with its conditions")
    parser.add_argument("--utterances", type=int, default=100)
    parser.add_argument("--texts", type=int, default=40, help="utterances of each condition")
    parser.add_argument("--json", type=Path)
    return parser


def cut(data_dir: Path, count: int) -> list[np.ndarray]:
    """``count`` pieces of joined speech, with lengths evenly spaced on a log scale."""
    speech = np.concatenate([read_audio(one) for one in read_data_dir(data_dir).wav.values()])
    rng = np.random.default_rng(0)
    lengths = np.geomspace(SHORTEST, LONGEST, count).round().astype(int)
    starts = [rng.integers(0, len(speech) - n + 1) for n in lengths]
    return [speech[at : at + n] for at, n in zip(starts, lengths, strict=True)]


def parity(model, runtime: Runtime, wavs: list[np.ndarray]) -> dict[str, float]:
    """The largest differences of log probabilities from ESPnet's, alone and in batches of 8."""
    expected = []
    for wav in wavs:
        with torch.inference_mode():
            encoded, _ = model.encode(*padded([wav], model))
            expected.append(model.ctc.log_softmax(encoded)[0].numpy())
    alone = [runtime.rows([wav])[0] for wav in wavs]
    rng = np.random.default_rng(1)
    order = rng.permutation(len(wavs))
    worst = 0.0
    for at in range(0, len(order), 8):
        ids = order[at : at + 8]
        rows = runtime.rows([wavs[i] for i in ids])
        worst = max(worst, *(_far(row, expected[i]) for row, i in zip(rows, ids, strict=True)))
    return {"alone": max(map(_far, alone, expected)), "batched": worst}


def _far(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape, (a.shape, b.shape)
    return float(np.abs(a - b).max())


def texts(recogniser, exported: Path, data: Path, count: int) -> dict[str, int]:
    """Number of utterances of all conditions with the same text as the greedy decoder's."""
    import sherpa_onnx

    runtime = Runtime(exported / "model.onnx")
    sherpa = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(exported / "sherpa.onnx"), tokens=str(exported / "tokens.txt"), num_threads=1
    )
    same = {"utterances": 0, "onnxruntime": 0, "sherpa-onnx": 0, "conditions": 0}
    for data_dir in condition_dirs(data):
        entries = dict(list(read_data_dir(data_dir).wav.items())[:: max(1, 216 // count)][:count])
        same["conditions"] += bool(read_condition(data_dir).name)
        for ids in batches(entries, 60.0):
            wavs = [read_audio(entries[utt]) for utt in ids]
            for wav, text in zip(wavs, recogniser(wavs), strict=True):
                expected = " ".join(text.split())
                tokens = best_path(runtime.rows([wav]))
                found = text_of([runtime.metadata.pieces[token.id] for token in tokens])
                stream = sherpa.create_stream()
                stream.accept_waveform(RATE, wav)
                sherpa.decode_stream(stream)
                same["utterances"] += 1
                same["onnxruntime"] += found == expected
                same["sherpa-onnx"] += " ".join(stream.result.text.split()) == expected
    return same


def main() -> None:
    args = get_parser().parse_args()
    recogniser = load_recogniser(args.exp, args.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        export(args.exp, Path(folder), "all", args.checkpoint)
        runtime = Runtime(Path(folder) / "model.onnx")
        found = parity(recogniser.model, runtime, cut(args.data, args.utterances))
        found |= texts(recogniser, Path(folder), args.data, args.texts)
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
