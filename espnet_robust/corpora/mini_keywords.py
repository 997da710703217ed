"""One-second keywords in the voices of the mini corpus, after Speech Commands' 12-class protocol.

Ten keywords, ``_unknown_`` (other words of the mini corpus) and ``_silence_`` (a faint floor).
Train, dev and test have the voices of ``mini``; no two takes of a word sound alike.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from espnet_robust.corpora import espeak
from espnet_robust.corpora.mini import ACCENTS, TIMBRES, Voice, draw_voices
from espnet_robust.corpora.speech_commands import SILENCE, UNKNOWN
from espnet_robust.corpora.synthesis import (
    add_seed,
    at_least,
    audio_tables,
    generator,
    make_files,
    to_rms,
)
from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import write_data_dir

KEYWORDS = ("on", "off", "up", "down", "open", "close", "stop", "lights", "music", "kitchen")
OTHERS = (
    "bathroom", "bedroom", "blinds", "curtains", "degrees", "door", "garage", "garden", "heating",
    "lamp", "lock", "lower", "office", "percent", "please", "radio", "raise", "television",
    "temperature", "turn", "volume", "window",
)  # fmt: skip
TAKES = {"train": 2, "dev": 5, "test": 4}  # per keyword and voice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_seed(parser)
    for part, number in TAKES.items():
        parser.add_argument(
            f"--{part}_takes",
            type=at_least(1),
            default=number,
            help=f"takes per keyword and {part} voice (default: {number})",
        )


def prepare(
    out: Path,
    *,
    seed: int = 0,
    nj: int = 2,
    train_takes: int = TAKES["train"],
    dev_takes: int = TAKES["dev"],
    test_takes: int = TAKES["test"],
) -> list[Path]:
    """Write OUT/{train,dev,test} and OUT/mini_keywords_audio, with the class in ``utt2label``.

    The same seed (and espeak-ng) gives the same bytes. ``_unknown_`` and ``_silence_`` each have as
    many recordings as a keyword.

    Raises:
        UserError: espeak-ng is not installed.
    """
    takes = {"train": train_takes, "dev": dev_takes, "test": test_takes}
    version = espeak.version(ACCENTS, (name for names in TIMBRES.values() for name in names))
    voices = draw_voices(generator(seed, "mini voices"))
    plan = {
        part: [item for voice in voices[part] for item in plan_voice(seed, voice, number)]
        for part, number in takes.items()
    }
    items = [item | {"espeak": version} for part in plan.values() for item in part]
    made = make_files(say, items, out / "mini_keywords_audio", nj=nj, label="mini: keywords")
    dirs = []
    for part, recordings in plan.items():
        tables = {
            "text": {r["id"]: r["text"].upper() for r in recordings},
            "utt2spk": {r["id"]: r["speaker"] for r in recordings},
            "utt2label": {r["id"]: r["label"] for r in recordings},
        }
        dirs.append(write_data_dir(out / part, audio_tables(made, tables["text"]) | tables).path)
    return dirs


def plan_voice(seed: int, voice: Voice, takes: int) -> list[dict]:
    """Everything that is drawn at random for one voice: a JSON-able dict per recording."""
    rng = generator(seed, f"mini keywords {voice.id}")
    words = [(word, word, take) for word in KEYWORDS for take in range(takes)]
    order = rng.permutation(len(OTHERS))
    for take in range(takes):
        words.append((OTHERS[order[take % len(OTHERS)]], UNKNOWN, take))
        words.append(("", SILENCE, take))
    return [_plan_one(rng, voice, *word) for word in words]


def _plan_one(rng: np.random.Generator, voice: Voice, text: str, label: str, take: int) -> dict:
    utt_id = f"{voice.id}-{label.strip('_')}-{take:02d}"
    return asdict(voice) | {
        "id": utt_id,
        "speaker": voice.id,
        "file": f"{voice.id}/{utt_id}.flac",
        "text": text,
        "label": label,
        "rate": round(voice.rate * rng.uniform(0.85, 1.15)),
        "pitch": voice.pitch + int(rng.integers(-8, 9)),
        "place": round(float(rng.uniform()), 4),  # of the word: 0 earliest, 1 latest
        "level_dbfs": round(float(rng.uniform(-32, -20)), 2),
        "floor_dbfs": round(float(rng.uniform(-78, -58)), 2),
        "noise_seed": int(rng.integers(2**31)),
    }


def say(item: dict) -> np.ndarray:
    """(samples,): one second with the planned word, or with the noise floor alone."""
    floor = np.random.default_rng(item["noise_seed"]).standard_normal(RATE)
    wav = (10 ** (item["floor_dbfs"] / 20) * floor).astype(np.float32)
    if item["text"]:
        voice = f"{item['accent']}+{item['timbre']}"
        word = espeak.speak(item["text"], voice, rate=item["rate"], pitch=item["pitch"])[:RATE]
        start = round(item["place"] * (RATE - len(word)))
        wav[start : start + len(word)] += to_rms(word, item["level_dbfs"])
    return wav
