#!/usr/bin/env python3
"""Where each word of the mini corpus ends, for tools/measure_delay.py.

    tools/mini_word_ends.py data/mini_audio > word_ends    # in egs/mini/asr1, after stage 1

Speaks every planned utterance again, through espeak-ng's library, which tells where a word begins;
the next one's beginning is its end. Of words that espeak-ng joins ("on the") only the last one's
end is known; the others get a hyphen.
"""

import argparse
import ctypes
import json
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from espnet_robust.common.cli import run
from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.corpora import espeak
from espnet_robust.data.audio import RATE, audio_info, resample

# espeak-ng/speak_lib.h
RETRIEVAL, CHARACTERS, WORD = 1, 1, 1
END_PAUSE = 0x1000  # as the command does; it changes the last sounds
SPEED, VOLUME, PITCH = 1, 2, 3
OFF_S = 0.001  # how much the length may differ from that of the file


class Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = [
        ("type", ctypes.c_int), ("message", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", ctypes.c_char * 8),
    ]  # fmt: skip


Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("audio", type=Path, help="mini_audio, with plan.jsonl in it")
    parser.add_argument("--speakers", nargs="*", help="only these (default: all)")
    args = parser.parse_args()
    plan = args.audio / "plan.jsonl"
    if not plan.is_file():
        raise DataDirError(f"{plan}: no such file; has stage 1 of egs/mini/asr1 been run?")
    items = [json.loads(line) for line in plan.read_text(encoding="utf-8").splitlines()]
    if args.speakers:
        items = [item for item in items if item["speaker"] in args.speakers]
    items.sort(key=lambda item: item["id"])
    # In a process each: what the library has spoken before changes its samples.
    with get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for item, (words, seconds) in zip(items, pool.imap(spoken_words, items), strict=True):
            check_length(args.audio / item["file"], seconds)
            print(item["id"], *format_ends(item["text"], words, seconds - item["silence"][1]))


def check_length(path: Path, seconds: float) -> None:
    """Raise DataDirError if the file is not as long as what was spoken now."""
    length = audio_info(path).num_samples / RATE
    if abs(length - seconds) > OFF_S:
        raise DataDirError(f"{path}: {length:.3f} s, but spoken again {seconds:.3f} s")


def spoken_words(item: dict) -> tuple[list[tuple[int, float]], float]:
    """(position in the text, beginning in s) of each word, and the seconds of the utterance."""
    try:
        library = ctypes.CDLL("libespeak-ng.so.1")
    except OSError as e:
        raise UserError(f"espeak-ng's library is needed: {e}; apt-get install espeak-ng") from None
    samples: list[np.ndarray] = []
    events: list[tuple[int, int]] = []

    def keep(wav, number, event) -> int:
        if wav and number:
            samples.append(np.ctypeslib.as_array(wav, (number,)).astype(np.float32) / 2**15)
        while event[0].type:
            if event[0].type == WORD:
                events.append((event[0].text_position - 1, event[0].sample))
            event = ctypes.cast(ctypes.byref(event[0], ctypes.sizeof(Event)), type(event))
        return 0

    rate = library.espeak_Initialize(RETRIEVAL, 0, None, 0)
    callback = Callback(keep)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(f"{item['accent']}+{item['timbre']}".encode())
    for parameter, value in (
        (SPEED, item["rate"]), (VOLUME, espeak.AMPLITUDE), (PITCH, item["pitch"]),
    ):  # fmt: skip
        library.espeak_SetParameter(parameter, value, 0)
    text = item["text"].encode()
    library.espeak_Synth(text, len(text) + 1, 0, CHARACTERS, 0, END_PAUSE, None, None)
    library.espeak_Synchronize()
    wav = resample(np.concatenate(samples), rate, RATE)
    loud = np.flatnonzero(np.abs(wav) > espeak.SILENCE * np.abs(wav).max())
    before, after = item["silence"]
    skipped = loud[0] / RATE - before  # as ``espeak.speak`` and ``mini.say`` do
    begins = [(position, sample / rate - skipped) for position, sample in events]
    return begins, before + (loud[-1] + 1 - loud[0]) / RATE + after


def format_ends(text: str, begins: Sequence[tuple[int, float]], end: float) -> list[str]:
    """The end of each word of ``text`` in s, or a hyphen.

    >>> format_ends("switch on the heating", [(0, 0.1), (7, 0.4), (14, 0.7)], 1.25)
    ['0.400', '-', '0.700', '1.250']
    """
    times = dict(begins)
    starts, position = [], 0
    for word in text.split():
        starts.append(times.get(position))
        position += len(word) + 1
    return ["-" if end is None else f"{end:.3f}" for end in [*starts[1:], end]]


if __name__ == "__main__":
    run(main)
