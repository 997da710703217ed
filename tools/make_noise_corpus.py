#!/usr/bin/env python3
"""Make data dirs like those of a recipe after stages 1 and 2, without a speech synthesiser.

    cd SOMEWHERE && python tools/make_noise_corpus.py [--seconds 15.6 --utterances 96]

Writes ``data/{train,dev,test}``, whose "words" are bursts of noise in a band of their own, and
``data/{noise,rir}_{train,dev}``: all that the trainings of ``egs/mini/asr1`` read. Use it to
measure speed or to check that a command runs; it contains no speech.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

from espnet_robust.common.cli import run
from espnet_robust.corpora.synthesis import Made, audio_tables, generator, to_rms
from espnet_robust.data.audio import RATE, write_audio
from espnet_robust.data.data_dir import write_data_dir

# Enough letters for a BPE of 150 tokens.
WORDS = (
    "turn", "switch", "on", "off", "the", "lights", "heating", "kitchen", "bedroom", "bathroom",
    "louder", "quieter", "music", "volume", "window", "curtains", "open", "close", "please", "now",
    "temperature", "degrees", "seven", "fourteen", "twenty", "garage", "hallway", "brighter",
    "dim", "stop", "play", "next", "alarm", "timer", "minutes", "six", "warmer", "colder", "fan",
    "vacuum", "jazz", "quiz", "my", "give", "make", "living", "room", "increase", "decrease",
)  # fmt: skip
WORD_SECONDS = 0.3
SPEAKERS = 4
SECONDS = {"noise": 10.0, "rir": 0.5}  # of each recording
RECORDINGS = 6


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("data"))
    parser.add_argument("--seconds", type=float, default=2.5, help="of an utterance")
    parser.add_argument(
        "--utterances", type=int, default=60, help="in train; a fifth in the others"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser


def speech(seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Samples and the words in them."""
    chosen = rng.choice(len(WORDS), int(seconds / WORD_SECONDS))
    wav = 0.003 * rng.standard_normal(round(seconds * RATE))
    length = int(WORD_SECONDS * RATE)
    for i, word in enumerate(chosen):
        low = 150 * 1.08**word  # 150 to 6000 Hz
        band = butter(2, [low, 1.2 * low], "bandpass", fs=RATE, output="sos")
        burst = sosfilt(band, rng.standard_normal(length)) * np.hanning(length)
        wav[i * length : (i + 1) * length] += burst
    return to_rms(wav, -26), " ".join(WORDS[word] for word in chosen)


def noise(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Noise with a level that changes every quarter of a second."""
    levels = np.repeat(rng.uniform(0.2, 1, int(4 * seconds) + 1), RATE // 4)
    wav = rng.standard_normal(round(seconds * RATE))
    return to_rms(wav * levels[: len(wav)], -26)


def response(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A direct path and a tail that decays by 60 dB within the time or half of it."""
    t = np.arange(round(seconds * RATE)) / RATE
    tail = 0.2 * rng.standard_normal(len(t)) * 10 ** (-3 * t / rng.uniform(seconds / 2, seconds))
    tail[0] = 1.0
    return (0.9 * tail / np.abs(tail).max()).astype(np.float32)


def save(out: Path, name: str, wavs: dict[str, np.ndarray], **tables: dict[str, str]) -> None:
    """A data dir of these samples by utterance id."""
    audio = out / "audio" / name
    audio.mkdir(parents=True, exist_ok=True)
    made = {}
    for utt_id, wav in wavs.items():
        write_audio(audio / f"{utt_id}.flac", wav)
        made[utt_id] = Made(audio / f"{utt_id}.flac", len(wav))
    write_data_dir(out / name, audio_tables(made, made) | tables)


def make(out: Path, seconds: float, utterances: int, seed: int = 0) -> None:
    """Write all data dirs."""
    for part in ("train", "dev", "test"):
        rng = generator(seed, f"noise_corpus {part}")
        number = utterances if part == "train" else max(2, utterances // 5)
        spoken = {}
        for i in range(number):
            speaker = f"{part}-speaker{i % SPEAKERS}"
            spoken[f"{speaker}-{i:04d}"] = speech(seconds, rng)
        save(
            out,
            part,
            {utt_id: wav for utt_id, (wav, _) in spoken.items()},
            text={utt_id: text for utt_id, (_, text) in spoken.items()},
            utt2spk={utt_id: utt_id.rsplit("-", 1)[0] for utt_id in spoken},
        )
    for part in ("train", "dev"):
        for kind, draw in (("noise", noise), ("rir", response)):
            rng = generator(seed, f"noise_corpus {kind} {part}")
            ids = [f"{kind}-{part}-{i}" for i in range(RECORDINGS)]
            save(out, f"{kind}_{part}", {utt_id: draw(SECONDS[kind], rng) for utt_id in ids})


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    make(args.out, args.seconds, args.utterances, args.seed)


if __name__ == "__main__":
    run(main)
