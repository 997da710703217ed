"""Speech Commands v1 and v2: one-second keywords, 12-class protocol; CC BY 4.0.

    WORD/HASH_nohash_N.wav  _background_noise_/*.wav  validation_list.txt  testing_list.txt

Warden, arXiv:1804.03209. The split is that of the published lists or, if these are missing, of
the published speaker hash that the lists were made with. Classes: the keywords, ``_unknown_``
(other words) and ``_silence_`` (crops of the background noise, from another stretch for each part).
"""

import argparse
import hashlib
import math
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.common.made_of import sha256
from espnet_robust.corpora.layout import (
    PARTS,
    Recording,
    add_root,
    comma_list,
    read_text,
    visible,
    write_recordings,
)
from espnet_robust.corpora.synthesis import generator, make_files
from espnet_robust.data.audio import RATE, audio_info, read_audio

KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "_unknown_", "_silence_"
NOISE = "_background_noise_"
LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
# Each part's silence is cut from its own stretch of the background noise.
STRETCHES = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}
FAINT_DBFS = (-70.0, -45.0)  # level of the silence made if there is no background noise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "one directory per word")
    parser.add_argument(
        "--keywords", type=comma_list, default=KEYWORDS, help="(default: the ten of the protocol)"
    )
    for name in ("unknown", "silence"):
        parser.add_argument(
            f"--{name}_share",
            type=float,
            default=0.1,
            help=f"number of _{name}_, relative to all keywords (default: 0.1, as published)",
        )
    parser.add_argument("--seed", type=int, default=0)


def prepare(
    out: Path,
    *,
    root: Path,
    keywords: tuple[str, ...] = KEYWORDS,
    unknown_share: float = 0.1,
    silence_share: float = 0.1,
    seed: int = 0,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/{train,dev,test} with the class in ``utt2label`` and the word in ``text``.

    If there are fewer other words than ``unknown_share`` asks for, all are taken.

    Raises:
        UserError: ``root`` is not Speech Commands, or has no such keyword, or a share is negative
            or not finite.
        DataDirError: a list names a missing file, a file name lacks _nohash_, or background noise
            is too short for a second of each part.
        AudioError: as for ``write_recordings``.
    """
    for option, share in {"unknown_share": unknown_share, "silence_share": silence_share}.items():
        if not 0 <= share < math.inf:  # false for NaN
            raise UserError(f"--{option} {share}: need a number of 0 or more, such as 0.1")
    parts = read_words(root, keywords)
    silence = _make_silence(out, root, parts, keywords, silence_share, seed)
    dirs = {}
    for part in PARTS:
        known = [r for r in parts[part] if r.entries["utt2label"] != UNKNOWN]
        others = [r for r in parts[part] if r.entries["utt2label"] == UNKNOWN]
        wanted = min(len(others), round(unknown_share * len(known)))
        order = generator(seed, f"speech_commands {part}").permutation(len(others))
        dirs[out / part] = known + [others[i] for i in order[:wanted]] + silence[part]
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def read_words(root: Path, keywords: tuple[str, ...]) -> dict[str, list[Recording]]:
    """Part -> all recordings of words, labelled with the keyword or ``_unknown_``."""
    if not root.is_dir():
        raise UserError(f"{root}: no such directory; --root must contain one directory per word")
    words = [p.name for p in visible(root) if visible(p, "*_nohash_*.wav")]
    if not words:
        message = "Speech Commands is the directory that contains one directory per word"
        if visible(root, "*_nohash_*.wav"):
            raise UserError(f"{root} is one level too deep: {message}; use --root {root.parent}")
        for below in visible(root):
            if visible(below, "*/*_nohash_*.wav"):
                raise UserError(f"{root} is one level too high: {message}; use --root {below}")
        raise UserError(f"{root} is not Speech Commands: no WORD/HASH_nohash_N.wav in it")
    if missing := [word for word in keywords if word not in words]:
        raise UserError(f"{root}: no keyword {missing[0]!r} in it; there are {', '.join(words)}")
    listed = _read_lists(root)
    parts: dict[str, list[Recording]] = {part: [] for part in PARTS}
    for word in words:
        for path in visible(root / word, "*.wav"):
            speaker, nohash, take = path.stem.partition("_nohash_")
            if not nohash:
                raise DataDirError(f"{path}: not named HASH_nohash_N.wav")
            name = f"{word}/{path.name}"
            part = part_of_speaker(speaker) if listed is None else listed.pop(name, "train")
            entries = {
                "text": word.upper(),
                "utt2spk": speaker,
                "utt2label": word if word in keywords else UNKNOWN,
            }
            parts[part].append(Recording(f"{speaker}-{word}-{take}", path, entries))
    if listed:
        name, part = min(listed.items())
        raise DataDirError(f"{root}/{LISTS[part]}: {name} is missing")
    return parts


def part_of_speaker(speaker: str) -> str:
    """The corpus's published rule: 10 % of the speakers are dev and 10 % test, by SHA-1.

    >>> part_of_speaker("004ae714"), part_of_speaker("026290a7"), part_of_speaker("0c40e715")
    ('train', 'dev', 'test')
    """
    largest = 2**27 - 1
    place = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (largest + 1)
    percentage = place * (100.0 / largest)
    if percentage < 10:
        return "dev"
    return "test" if percentage < 20 else "train"


def _read_lists(root: Path) -> dict[str, str] | None:
    """ "WORD/FILE" -> part, or None if the lists are missing."""
    missing = [name for name in LISTS.values() if not (root / name).exists()]
    if len(missing) == len(LISTS):
        return None
    if missing:
        raise UserError(
            f"{root}: {missing[0]} is missing, the other list is there; extract the corpus "
            "again, or remove both lists, to divide the speakers by their hash"
        )
    return {
        line.strip(): part
        for part, name in LISTS.items()
        for line in read_text(root / name).splitlines()
        if line.strip()
    }


def _background(root: Path) -> list[Path]:
    """The files of background noise, each with a second or more in the stretch of each part."""
    noises = visible(root / NOISE, "*.wav")
    for noise in noises:
        length = audio_info(noise).num_samples_at(RATE)
        if any(int(high * length) - int(low * length) < RATE for low, high in STRETCHES.values()):
            raise DataDirError(
                f"{noise}: lasts {length / RATE:.1f} s; at least 10 s are needed, for a second of"
                " its own in training, dev and test each: remove it, or use longer noise"
            )
    return noises


def _make_silence(
    out: Path,
    root: Path,
    parts: dict[str, list[Recording]],
    keywords: tuple[str, ...],
    share: float,
    seed: int,
) -> dict[str, list[Recording]]:
    noises = _background(root) if share > 0 else []
    plan: dict[str, list[dict]] = {}
    for part in PARTS:
        rng = generator(seed, f"speech_commands silence {part}")
        known = sum(r.entries["utt2label"] in keywords for r in parts[part])
        plan[part] = []
        for n in range(round(share * known)):
            name = f"silence-{part}-{n:05d}"
            item: dict[str, object] = {"id": name, "file": f"{part}/{name}.flac"}
            if noises:
                noise = noises[int(rng.integers(len(noises)))]
                low, high = STRETCHES[part]
                length = audio_info(noise).num_samples_at(RATE)
                last = max(int(low * length) + 1, int(high * length) - RATE)
                item |= {"noise": str(noise), "noise_sha256": sha256(noise)}
                item["start"] = int(rng.integers(int(low * length), last))
                item["gain"] = round(float(rng.uniform(0.1, 1)), 4)
            else:
                item["seed"] = int(rng.integers(2**31))
                item["level_dbfs"] = round(float(rng.uniform(*FAINT_DBFS)), 2)
            plan[part].append(item)
    items = [item for part in plan.values() for item in part]
    made = make_files(render_silence, items, out / "silence_audio", nj=1, label="silence")
    entries = {"text": "", "utt2spk": "silence", "utt2label": SILENCE}
    return {
        part: [Recording(item["id"], made[item["id"]].path, entries) for item in plan[part]]
        for part in PARTS
    }


def render_silence(item: dict) -> np.ndarray:
    """(samples,): a second of background noise at a random gain (never 0), or faint white noise."""
    if "noise" not in item:
        wav = np.random.default_rng(item["seed"]).standard_normal(RATE)
        return (10 ** (item["level_dbfs"] / 20) * wav).astype(np.float32)
    return item["gain"] * read_audio(item["noise"], start=item["start"], num_samples=RATE)
