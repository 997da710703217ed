#!/usr/bin/env python3
"""The commands of the mini corpus in the layout of Fluent Speech Commands, to try its recipe on.

    cd egs/mini/ic1
    python ../../../tools/write_as_fluent_speech_commands.py data OUT

DATA has the data dirs train, dev and test of mini/ic1, whose ``wav.scp`` is relative to the recipe.
OUT gets data/{train,valid,test}_data.csv and wavs/speakers/SPEAKER/*.wav. As in the corpus itself,
every intent occurs in training: recordings of the others are left out.
"""

import argparse
import csv
import io
from pathlib import Path

from tqdm import tqdm

from espnet_robust.common.cli import run
from espnet_robust.corpora.fluent_speech_commands import COLUMNS, OFFICIAL
from espnet_robust.data.audio import read_audio, write_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.data.replacing import replacing_dir


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with replacing_dir(args.out) as out:
        (out / "data").mkdir()
        known = set(read_data_dir(args.data / "train").tables["utt2intent"].values())
        for name, part in OFFICIAL.items():
            write_part(out, name, args.data / part, known)


def write_part(out: Path, name: str, data_dir: Path, known: set[str]) -> None:
    """Write OUT/data/NAME_data.csv and the audio of its rows."""
    data = read_data_dir(data_dir)
    lines = io.StringIO()
    table = csv.writer(lines)
    table.writerow(["", *COLUMNS])
    utts = [utt for utt in data.ids if data.tables["utt2intent"][utt] in known]
    for n, utt in enumerate(tqdm(utts, desc=name, unit="file")):
        speaker = data.tables["utt2spk"][utt]
        path = f"wavs/speakers/{speaker}/{utt}.wav"
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_audio(out / path, read_audio(data.wav[utt]))
        text = data.tables["text"][utt].capitalize()
        table.writerow([n, path, speaker, text, *data.tables["utt2intent"][utt].split("|")])
    (out / f"data/{name}_data.csv").write_text(lines.getvalue())
    print(f"{name}: {len(utts)} of {len(data.ids)} recordings")


if __name__ == "__main__":
    run(main)
