"""Connected digits from the Free Spoken Digit Dataset, one speaker per string; CC BY-SA 4.0.

    recordings/DIGIT_SPEAKER_INDEX.wav (8 kHz)

github.com/Jakobovski/free-spoken-digit-dataset. Whole speakers are held out for test and, on
request, for dev. Because there are few speakers, dev by default consists of takes 0 to 4 of the
training speakers, which are the dataset's own test set. Every take of a speaker is used about
equally often; pauses and order are drawn from the seed.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.common.made_of import sha256
from espnet_robust.corpora.layout import check_root, comma_list, visible
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
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import write_data_dir

WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
DEV_TAKES = 5  # per digit and training speaker, if no speaker is held out for dev
DIGITS_MIN, DIGITS_MAX = 3, 7  # in a string
PAUSE = (0.05, 0.35)  # s, also before and after
FLOOR_DBFS = -72.0  # noise level in pauses: digital silence would betray the seams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="the directory with recordings")
    add_seed(parser)
    parser.add_argument(
        "--dev_speakers",
        type=comma_list,
        default=(),
        help=f"default: none; dev is takes 0 to {DEV_TAKES - 1} of the training speakers",
    )
    parser.add_argument("--test_speakers", type=comma_list, default=("theo", "yweweler"))
    for part, number in (("train", 400), ("dev", 30), ("test", 150)):
        parser.add_argument(
            f"--{part}_strings",
            type=at_least(0),
            default=number,
            help=f"strings per {part} speaker (default: {number}; 0: no such set)",
        )


def prepare(
    out: Path,
    *,
    root: Path,
    seed: int = 0,
    nj: int = 2,
    dev_speakers: tuple[str, ...] = (),
    test_speakers: tuple[str, ...] = ("theo", "yweweler"),
    train_strings: int = 400,
    dev_strings: int = 30,
    test_strings: int = 150,
) -> list[Path]:
    """Write OUT/{train,dev,test} and OUT/fsdd_audio; returns the data dirs.

    A part without strings is not written, and that of an earlier run is removed.

    Raises:
        UserError: ``root`` is not the dataset, a speaker is unknown or in two parts, or no speaker
            is left for training.
        DataDirError: a file is not named DIGIT_SPEAKER_INDEX.wav.
        AudioError: a recording cannot be read.
    """
    check_root(root, "the Free Spoken Digit Dataset", ["recordings/*.wav"])
    parts = split_takes(root, dev_speakers, test_speakers)
    numbers = {"train": train_strings, "dev": dev_strings, "test": test_strings}
    plan = {
        part: [
            item
            for speaker, takes in speakers.items()
            for item in plan_strings(takes, part, speaker, seed, numbers[part])
        ]
        for part, speakers in parts.items()
    }
    items = [item for strings in plan.values() for item in strings]
    audio = out / "fsdd_audio"
    made = make_files(render, items, audio, nj=nj, label="fsdd: strings")
    for part in (part for part, strings in plan.items() if not strings):
        remove_part(out / part, audio)
    return [_write_part(out / part, strings, made) for part, strings in plan.items() if strings]


def _write_part(path: Path, strings: Sequence[dict], made: Mapping[str, Made]) -> Path:
    tables = audio_tables(made, [item["id"] for item in strings])
    tables["text"] = {i["id"]: " ".join(WORDS[d] for d in i["digits"]) for i in strings}
    tables["utt2spk"] = {i["id"]: i["speaker"] for i in strings}
    return write_data_dir(path, tables).path


def read_takes(recordings: Path) -> dict[str, list[Path]]:
    """Speaker -> takes, both sorted."""
    takes: dict[str, list[Path]] = {}
    for path in visible(recordings, "*.wav"):
        words = path.stem.split("_")
        if len(words) != 3 or words[0] not in set("0123456789") or not words[2].isdigit():
            raise DataDirError(f"{path}: not named DIGIT_SPEAKER_INDEX.wav")
        takes.setdefault(words[1], []).append(path)
    return dict(sorted(takes.items()))


def split_takes(
    root: Path, dev_speakers: Sequence[str], test_speakers: Sequence[str]
) -> dict[str, dict[str, list[Path]]]:
    """Part -> speaker -> takes.

    Raises:
        UserError: a speaker is unknown or in two parts, none is left, or a part has no takes.
        DataDirError: a file is not named DIGIT_SPEAKER_INDEX.wav.
    """
    takes = read_takes(root / "recordings")
    held_out = (*dev_speakers, *test_speakers)
    for speaker in held_out:
        if speaker not in takes:
            raise UserError(f"{root}: no speaker {speaker!r} in it; there are {', '.join(takes)}")
        if held_out.count(speaker) > 1:
            raise UserError(f"speaker {speaker} is given for two parts; name it once")
    train = {speaker: takes[speaker] for speaker in takes if speaker not in held_out}
    if not train:
        raise UserError(f"{root}: no speaker is left for training; hold out fewer")
    dev = {speaker: takes[speaker] for speaker in dev_speakers}
    if not dev_speakers:
        dev = {s: [take for take in own if _index(take) < DEV_TAKES] for s, own in train.items()}
        train = {s: [take for take in own if _index(take) >= DEV_TAKES] for s, own in train.items()}
        for speaker in train:
            if not train[speaker] or not dev[speaker]:
                raise UserError(
                    f"{root}: {speaker} has {len(dev[speaker])} takes numbered 0 to "
                    f"{DEV_TAKES - 1}, for dev, and {len(train[speaker])} others, for training; "
                    "give both, or hold out --dev_speakers"
                )
    return {"train": train, "dev": dev, "test": {s: takes[s] for s in test_speakers}}


def _index(take: Path) -> int:
    return int(take.stem.split("_")[2])


def plan_strings(takes: list[Path], part: str, speaker: str, seed: int, number: int) -> list[dict]:
    """``number`` strings of one speaker; takes are dealt from a pack, reshuffled when used up."""
    name = f"{speaker}-dev" if part == "dev" else speaker  # dev may have the speakers of train
    rng = generator(seed, f"fsdd {name}")
    pack: list[Path] = []
    plan = []
    for n in range(number):
        length = int(rng.integers(DIGITS_MIN, DIGITS_MAX + 1))
        while len(pack) < length:
            pack = [takes[i] for i in rng.permutation(len(takes))] + pack
        chosen = [pack.pop() for _ in range(length)]
        utt = f"{name}-{n:04d}"
        plan.append(
            {
                "id": utt,
                "file": f"{speaker}/{utt}.flac",
                "speaker": speaker,
                "takes": [str(path) for path in chosen],
                "takes_sha256": [sha256(path) for path in chosen],
                "digits": [int(path.stem[0]) for path in chosen],
                "pauses": [round(float(p), 4) for p in rng.uniform(*PAUSE, length + 1)],
                "level_dbfs": round(float(rng.uniform(-30, -22)), 2),
                "noise_seed": int(rng.integers(2**31)),
            }
        )
    return plan


def render(item: dict) -> np.ndarray:
    """A planned string, (samples,) at 16 kHz."""
    pieces = [np.zeros(round(item["pauses"][0] * RATE), np.float32)]
    for take, pause in zip(item["takes"], item["pauses"][1:], strict=True):
        pieces += [read_audio(take), np.zeros(round(pause * RATE), np.float32)]
    wav = to_rms(np.concatenate(pieces), item["level_dbfs"])
    floor = np.random.default_rng(item["noise_seed"]).standard_normal(len(wav))
    return wav + (10 ** (FLOOR_DBFS / 20) * floor).astype(np.float32)
