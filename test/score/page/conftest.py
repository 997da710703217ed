"""A small experiment with everything that a page shows, and its report."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_robust.bin.report import main as report
from espnet_robust.bin.score import main as score

HOSTILE = "<script>window.hacked=1</script>"
CONDITIONS = {
    "": None,
    "_noise_snr10": 10,
    "_noise_snr0": 0,
    "_babble_snr10": 10,
    "_babble_snr0": 0,
}
WORDS = "turn the light in kitchen off please now open blinds".upper().split()
SYSTEMS = ("plain", "robust")


def write_tables(directory: Path, **tables: dict[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        lines = (f"{utt} {value}\n" for utt, value in sorted(table.items()))
        (directory / name.replace("_scp", ".scp")).write_text("".join(lines))


def write_condition(root: Path, suffix: str, snr: int | None, texts: dict[str, str]) -> None:
    """A test set whose audio is a tone a speaker, in noise."""
    rng = np.random.default_rng(0)
    audio = root / f"audio{suffix}" / "with blank & # and %41"  # what a URL must escape
    audio.mkdir(parents=True)
    wav = {}
    for number, utt in enumerate(texts):
        wav[utt] = f"audio{suffix}/{audio.name}/{number}.flac"
        tone = 0.2 * np.sin(2 * np.pi * 500 * (1 + number % 3) * np.arange(9600) / 16000)
        noise = 0 if snr is None else 0.14 * 10 ** (-snr / 20) * rng.standard_normal(len(tone))
        soundfile.write(root / wav[utt], tone + noise, 16000)
    spoken_by = {utt: utt.rpartition("-")[0] for utt in texts}
    directory = root / f"data/test{suffix}"
    write_tables(directory, wav_scp=wav, text=texts, utt2spk=spoken_by)
    if snr is not None:
        name = suffix.strip("_")
        (directory / "condition.json").write_text(json.dumps({"name": name, "snr_db": snr}))
        step = {"kind": name.partition("_")[0], "snr_db": snr, "crops": [["hum", 17]]}
        record = json.dumps({"domain": "noise", "steps": [step], "seed": 0})
        write_tables(directory, utt2distortion=dict.fromkeys(texts, record))


def heard(text: str, wrong: float, rng: np.random.Generator) -> str:
    """A hypothesis with substitutions, deletions and insertions."""
    words = []
    for word in text.split():
        if rng.random() >= wrong:
            words.append(word)
        elif (kind := rng.integers(3)) < 2:
            words += ["WRONG", *[word] * int(kind)]
    return " ".join(words)


OPTIONS = ("--alternatives", "--case", "lower", "--punctuation", "drop", "--alignment", "sclite")


@pytest.fixture(scope="session")
def scored_otherwise(experiment, tmp_path_factory) -> Path:
    """The same, with references that offer readings, scored with ``OPTIONS``."""
    root = tmp_path_factory.mktemp("otherwise") / "recipe"
    shutil.copytree(experiment, root)
    for text in root.glob("data/test*/text"):
        table = dict(line.split(" ", 1) for line in text.read_text().splitlines())
        changed = {
            utt: ref if HOSTILE in ref else f"{{Please / ERM / @}} (Now) {ref.title()} e\u0301."
            for utt, ref in table.items()
        }
        write_tables(text.parent, text=changed)
    with contextlib.chdir(root):
        for exp in sorted(Path("exp/short").iterdir()):
            for text in exp.glob("decode/test/*/text"):
                text.write_text(text.read_text().replace("OPEN", "open,"))
            score(["--system", exp.name.partition("_")[0], "--seed", "0", *OPTIONS,
                   "--decode_dir", f"{exp}/decode", "--out", f"{exp}/scores.json",
                   "--test_sets", "data/test"])  # fmt: skip
        report(["--exp", "exp/short", "--out", "exp/report", "--baseline", "plain",
                "--systems", " ".join(SYSTEMS)])  # fmt: skip
    return root


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Path:
    """A directory with data/, exp/short and the report of it in exp/report."""
    root = tmp_path_factory.mktemp("recipe")
    rng = np.random.default_rng(1)
    texts = {
        f"spk{n % 3}-{n:03d}": " ".join(rng.choice(WORDS, rng.integers(3, 8))) for n in range(24)
    }
    texts |= {f"spk3-{HOSTILE}": f"OPEN {HOSTILE} <img src=x onerror=window.hacked=2> &amp;"}
    for suffix, snr in CONDITIONS.items():
        write_condition(root, suffix, snr, texts)
    with contextlib.chdir(root):
        for system in SYSTEMS:
            exp = Path("exp/short") / f"{system}_seed0"
            for suffix, snr in CONDITIONS.items():
                noise = 0.02 if snr is None else 0.5 - 0.03 * snr
                wrong = noise * (0.3 if system == "robust" else 1)
                hyps = {utt: heard(text, wrong, rng) for utt, text in texts.items()}
                name = suffix.strip("_") or "clean"
                write_tables(exp / "decode/test" / name, text=hyps)
            (exp / "asr").mkdir()
            made_of = {"config": {"optim": "adamw", "note": HOSTILE}, "data": "0" * 64}
            (exp / "asr/made_of.json").write_text(
                json.dumps({"made_of": made_of, "gives": {}, "done": True, "commit": "abc1234567"})
            )
            score(["--system", system, "--seed", "0", "--decode_dir", f"{exp}/decode",
                   "--out", f"{exp}/scores.json", "--test_sets", "data/test"])  # fmt: skip
        report(["--exp", "exp/short", "--out", "exp/report", "--baseline", "plain",
                "--systems", " ".join(SYSTEMS)])  # fmt: skip
    return root
