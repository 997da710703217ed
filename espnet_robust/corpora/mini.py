"""The built-in corpus: smart-home commands spoken by 48 espeak-ng voices, 16 kHz.

Train, dev and test differ in voices and in sentences. A voice is a fixed combination of accent,
timbre (an espeak-ng variant), rate and pitch; every accent and every timbre of the test voices
occurs in training, in another combination. espeak-ng is GPL-3.0-or-later; its output is not
covered by that licence.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.corpora import espeak
from espnet_robust.corpora.mini_grammar import Command, draw_commands, split_commands
from espnet_robust.corpora.synthesis import (
    Made,
    add_seed,
    at_least,
    audio_tables,
    generator,
    make_files,
    remove_part,
    to_rms,
)
from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import write_data_dir

# "en", not "en-gb": espeak-ng 1.51 silently ignores a variant put after "en-gb".
ACCENTS = (
    "en",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)
# Human-sounding and distinct in pitch and spectrum; no whisper, croak or robot.
TIMBRES = {
    "f": ("f1", "f2", "f3", "f4", "f5", "Annie", "aunty", "belinda"),
    "m": ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "sandro"),
}
ROUNDS = 3  # voices per accent and sex
RATES = (130, 200)  # words per minute
PITCHES = (25, 75)  # of espeak-ng's 0..99 around the timbre's own pitch

SENTENCES = {"train": 0.75, "dev": 0.1, "test": 0.15}  # share of the grammar
VOICES = {"dev": 4, "test": 8}  # train has the rest
WIDE = "test_wide"  # a larger test set, for differences that eight voices do not show


@dataclass(frozen=True)
class Voice:
    id: str
    accent: str
    timbre: str
    rate: int
    pitch: int


def draw_voices(rng: np.random.Generator) -> dict[str, list[Voice]]:
    """48 voices, divided among "train", "dev" and "test"; half of each part are female.

    No two voices share both accent and timbre. The eight test voices have eight accents and
    eight timbres, the four dev voices four other timbres: training keeps at least two voices of
    every timbre and four of every accent.
    """
    parts: dict[str, list[Voice]] = {"train": [], "dev": [], "test": []}
    half = len(ACCENTS) // 2
    accents = [ACCENTS[i] for i in rng.permutation(len(ACCENTS))]
    for sex in sorted(TIMBRES):
        timbres = [TIMBRES[sex][i] for i in rng.permutation(len(TIMBRES[sex]))]
        number = len(accents) * ROUNDS
        rates = np.linspace(*RATES, number)[rng.permutation(number)]
        pitches = np.linspace(*PITCHES, number)[rng.permutation(number)]
        for i in range(number):
            round_, nth = divmod(i, len(accents))
            voice = Voice(
                id=f"{sex}{i + 1:02d}",
                accent=accents[nth],
                timbre=timbres[(nth + round_) % len(timbres)],
                rate=round(rates[i]),
                pitch=round(pitches[i]),
            )
            if i < VOICES["test"] // 2:
                parts["test"].append(voice)
            elif i < (VOICES["test"] + VOICES["dev"]) // 2:
                parts["dev"].append(voice)
            else:
                parts["train"].append(voice)
        accents = accents[half:] + accents[:half]  # the test men have the women's other accents
    return parts


def draw_wide_voices(rng: np.random.Generator, voices: Mapping[str, list[Voice]]) -> list[Voice]:
    """The eight test voices of ``draw_voices`` and sixteen new ones, eight of each sex.

    A new voice has the accent of one voice of the first round and the timbre of the third after
    it: no voice has this combination yet, as a round shifts the timbres by one.
    """
    known = {voice.id: voice for part in voices.values() for voice in part}
    number = len(ACCENTS)
    wide = list(voices["test"])
    for sex in sorted(TIMBRES):
        firsts = [known[f"{sex}{n + 1:02d}"] for n in range(number)]
        rates = np.linspace(*RATES, number)[rng.permutation(number)]
        pitches = np.linspace(*PITCHES, number)[rng.permutation(number)]
        for n, first in enumerate(firsts):
            wide.append(
                Voice(
                    id=f"{sex}{number * ROUNDS + n + 1:02d}",
                    accent=first.accent,
                    timbre=firsts[(n + ROUNDS) % number].timbre,
                    rate=round(rates[n]),
                    pitch=round(pitches[n]),
                )
            )
    return wide


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_seed(parser)
    for part, number in (("train", 66), ("dev", 34), ("test", 27)):
        parser.add_argument(
            f"--{part}_utterances",
            type=at_least(1),
            default=number,
            help=f"utterances per {part} voice (default: {number})",
        )
    parser.add_argument(
        "--wide_utterances",
        type=at_least(0),
        default=0,
        help=f"utterances for each of the 24 voices of a larger test set, {WIDE} (default: 0, no"
        " such set)",
    )


def prepare(
    out: Path,
    *,
    seed: int = 0,
    nj: int = 2,
    train_utterances: int = 66,
    dev_utterances: int = 34,
    test_utterances: int = 27,
    wide_utterances: int = 0,
) -> list[Path]:
    """Write OUT/{train,dev,test} and OUT/mini_audio; returns the data dirs.

    With ``wide_utterances`` also OUT/test_wide and OUT/mini_wide_audio: as many utterances for each
    of the 24 voices of ``draw_wide_voices``. The other sets do not change. Without it, an earlier
    run's OUT/test_wide is removed; its audio is kept, for a run that wants it again.

    The same seed (and espeak-ng) gives the same bytes, whatever ``nj`` is and however often the run
    was interrupted. ``utt2intent`` holds "action|object|location".

    Raises:
        UserError: espeak-ng is not installed.
    """
    numbers = {"train": train_utterances, "dev": dev_utterances, "test": test_utterances}
    version = espeak.version(ACCENTS, (name for names in TIMBRES.values() for name in names))
    plans = {"mini_audio": plan_utterances(seed, numbers)}
    if wide_utterances:
        plans["mini_wide_audio"] = plan_wide(seed, wide_utterances)
    data_dirs: list[Path] = []
    for folder, plan in plans.items():
        items = [item | {"espeak": version} for part in plan.values() for item in part]
        made = make_files(say, items, out / folder, nj=nj, label="mini: speech")
        data_dirs += [_write_part(out / part, utts, made) for part, utts in plan.items()]
    if not wide_utterances:
        remove_part(out / WIDE, out / "mini_wide_audio")
    return data_dirs


def plan_utterances(seed: int, numbers: Mapping[str, int]) -> dict[str, list[dict]]:
    """Everything that is drawn at random: for each part, a JSON-able dict per utterance."""
    voices = draw_voices(generator(seed, "mini voices"))
    commands = split_commands(generator(seed, "mini sentences"), SENTENCES)
    return {
        part: _plan_part(seed, part, voices[part], commands[part], number)
        for part, number in numbers.items()
    }


def plan_wide(seed: int, number: int) -> dict[str, list[dict]]:
    """The same for ``test_wide``: test sentences, other utterance ids than in any other part."""
    voices = draw_voices(generator(seed, "mini voices"))
    wide = draw_wide_voices(generator(seed, "mini wide voices"), voices)
    commands = split_commands(generator(seed, "mini sentences"), SENTENCES)["test"]
    return {WIDE: _plan_part(seed, WIDE, wide, commands, number)}


def _plan_part(
    seed: int, part: str, voices: Sequence[Voice], commands: list[Command], number: int
) -> list[dict]:
    if number > len(commands):
        raise UserError(
            f"the grammar has only {len(commands)} {part} sentences per voice, not {number}"
        )
    name, prefix = ("mini wide", "w") if part == WIDE else ("mini", "")
    planned = []
    for voice in voices:
        rng = generator(seed, f"{name} {voice.id}")
        for n, command in enumerate(draw_commands(rng, commands, number)):
            planned.append(_plan_one(rng, voice, f"{voice.id}-{prefix}{n:04d}", command))
    return planned


def _plan_one(rng: np.random.Generator, voice: Voice, utt_id: str, command: Command) -> dict:
    # No two sentences sound alike: rate within 6 %, pitch within 4 steps of the voice's own.
    return asdict(voice) | {
        "id": utt_id,
        "speaker": voice.id,
        "file": f"{voice.id}/{utt_id}.flac",
        "text": command.text,
        "intent": command.intent,
        "rate": round(voice.rate * rng.uniform(0.94, 1.06)),
        "pitch": voice.pitch + int(rng.integers(-4, 5)),
        "silence": [round(float(s), 4) for s in rng.uniform(0.05, 0.3, 2)],  # s before and after
        "level_dbfs": round(float(rng.uniform(-32, -20)), 2),
        "floor_dbfs": round(float(rng.uniform(-78, -68)), 2),
        "noise_seed": int(rng.integers(2**31)),
    }


def say(item: dict) -> np.ndarray:
    """Speak a planned utterance."""
    wav = espeak.speak(
        item["text"], f"{item['accent']}+{item['timbre']}", rate=item["rate"], pitch=item["pitch"]
    )
    before, after = (round(s * RATE) for s in item["silence"])
    wav = np.pad(to_rms(wav, item["level_dbfs"]), (before, after))
    floor = np.random.default_rng(item["noise_seed"]).standard_normal(len(wav))
    return wav + (10 ** (item["floor_dbfs"] / 20) * floor).astype(np.float32)


def _write_part(path: Path, utterances: list[dict], made: Mapping[str, Made]) -> Path:
    tables = {
        "text": {u["id"]: u["text"].upper() for u in utterances},
        "utt2spk": {u["id"]: u["speaker"] for u in utterances},
        "utt2intent": {u["id"]: u["intent"] for u in utterances},
    }
    return write_data_dir(path, audio_tables(made, tables["text"]) | tables).path
