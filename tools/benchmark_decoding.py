#!/usr/bin/env python3
"""Compare speed and word error rate of our decoding with ESPnet's, on one trained recogniser.

    cd egs/mini/asr1    # paths in an experiment's config.yaml are relative
    OMP_NUM_THREADS=1 python ../../../tools/benchmark_decoding.py --exp EXP data/test [data/test_X]

Three decoders take turns on the same utterances, so that other load slows all: batched greedy
CTC and batched beam search as ``espnet_robust.bin.decode`` does them, and one utterance after
another by ``Speech2Text`` as ``espnet2.bin.asr_inference`` does, with ESPnet's defaults but for
``ctc_weight`` 1. Loading models and audio is not timed.
"""

import argparse
import logging
import time
from collections.abc import Callable
from pathlib import Path

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet

# isort: split
from espnet2.bin.asr_inference import Speech2Text

from espnet_robust import register
from espnet_robust.common.cli import run
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.recognise.decode import batches, load_recogniser
from espnet_robust.score.counts import Counts, score_text


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exp", type=Path, required=True, help="output_dir of asr_train")
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="file in --exp")
    parser.add_argument("--beam_size", type=int, default=20, help="default: ESPnet's, %(default)s")
    parser.add_argument("--batch_seconds", type=float, default=60.0)
    parser.add_argument("data_dirs", type=Path, nargs="+", help="with reference text")
    return parser


def decoders(args: argparse.Namespace) -> dict[str, Callable]:
    """Name -> batch of utterances to their texts."""
    register()
    one = Speech2Text(
        args.exp / "config.yaml",
        args.exp / args.checkpoint,
        beam_size=args.beam_size,
        ctc_weight=1.0,
    )
    logging.disable(logging.WARNING)  # every search of ESPnet's says how it went
    return {
        "greedy, batched": load_recogniser(args.exp, args.checkpoint),
        f"beam {args.beam_size}, batched": load_recogniser(
            args.exp, args.checkpoint, "beam", args.beam_size
        ),
        f"asr_inference, beam {args.beam_size}": lambda wavs: [one(wav)[0][0] for wav in wavs],
    }


def main() -> None:
    args = get_parser().parse_args()
    names = decoders(args)
    seconds, errors, audio = dict.fromkeys(names, 0.0), dict.fromkeys(names, Counts()), 0.0
    for data_dir in map(read_data_dir, args.data_dirs):
        hypotheses = {name: {} for name in names}
        for ids in batches(data_dir.wav, args.batch_seconds):
            wavs = [read_audio(data_dir.wav[utt_id]) for utt_id in ids]
            audio += sum(map(len, wavs)) / RATE
            for name, decoder in names.items():
                began = time.perf_counter()
                hypotheses[name].update(zip(ids, decoder(wavs), strict=True))
                seconds[name] += time.perf_counter() - began
        for name in names:
            errors[name] += score_text(data_dir.tables["text"], hypotheses[name])
    slowest = list(names)[-1]
    print(f"{audio:.0f} s of audio, {errors[slowest].utterances} utterances\n")
    print("| | seconds | real-time factor | speed | WER % |\n|---|---:|---:|---:|---:|")
    for name in names:
        print(
            f"| {name} | {seconds[name]:.1f} | {seconds[name] / audio:.4f} | "
            f"{seconds[slowest] / seconds[name]:.1f} x | {errors[name].wer:.1f} |"
        )


if __name__ == "__main__":
    run(main)
