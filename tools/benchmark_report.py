"""Time and memory of scoring and reporting at full size.

    python tools/benchmark_report.py --systems 10 --conditions 60 --utterances 3000 --jobs 2

It makes up texts (words drawn from a vocabulary, errors by condition), then runs the commands as a
recipe does: ``score`` for every system, ``--jobs`` at a time, and one ``report`` with a baseline.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VOCABULARY = 2000
WORDS = (4, 20)
SPEAKERS = 60


def main(cmd: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=10)
    parser.add_argument("--conditions", type=int, default=60)
    parser.add_argument("--utterances", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(cmd)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        make(args.systems, args.conditions, args.utterances)
        began = time.perf_counter()
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda n: score(n, args.conditions), range(args.systems)))
        scored = time.perf_counter()
        run("report", "exp", "--out", "report", "--baseline", "system0")
        ended = time.perf_counter()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"score {scored - began:.1f} s, report {ended - scored:.1f} s, together "
        f"{ended - began:.1f} s wall and {used.ru_utime + used.ru_stime:.1f} s of CPU; "
        f"the largest process took {used.ru_maxrss / 2**20:.2f} GiB"
    )


def make(systems: int, conditions: int, utterances: int) -> None:
    """Write test sets and the hypotheses of all systems."""
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9)))
                  for _ in range(VOCABULARY)]  # fmt: skip
    ids = [f"s{n % SPEAKERS:03d}-{n:06d}" for n in range(utterances)]
    ids.sort()
    refs = [rng.choices(vocabulary, k=rng.randint(*WORDS)) for _ in ids]
    text = "".join(f"{utt} {' '.join(ref)}\n" for utt, ref in zip(ids, refs, strict=True))
    speakers = "".join(f"{utt} {utt[:4]}\n" for utt in ids)
    for number in range(conditions):
        name = condition(number)
        data_dir = Path("data") / f"test_{name}"
        data_dir.mkdir(parents=True)
        (data_dir / "text").write_text(text)
        (data_dir / "utt2spk").write_text(speakers)
        snr = f'"snr_db": {20 - 5 * (number % 5)}' if number % 2 else '"snr_db": null'
        (data_dir / "condition.json").write_text(f'{{"name": "{name}", {snr}}}')
        for system in range(systems):
            wrong = 0.02 + 0.5 * number / conditions + 0.01 * system
            lines = [f"{utt} {heard(ref, wrong, vocabulary, rng)}".rstrip() + "\n"
                     for utt, ref in zip(ids, refs, strict=True)]  # fmt: skip
            out = Path(f"exp/system{system}_seed0/decode") / name
            out.mkdir(parents=True)
            (out / "text").write_text("".join(lines))


def condition(number: int) -> str:
    kind, snr = divmod(number // 2, 5)
    return f"noise{kind}_snr{20 - 5 * (number % 5)}_{snr}" if number % 2 else f"other{number}"


def heard(ref: Sequence[str], wrong: float, vocabulary: Sequence[str], rng: random.Random) -> str:
    """A reference with substitutions, and half as many deletions and insertions."""
    words = []
    for word in ref:
        luck = rng.random()
        if luck < wrong / 2:
            words.append(rng.choice(vocabulary))
        elif luck > wrong * 3 / 4:
            words.append(word)
        if rng.random() < wrong / 4:
            words.append(rng.choice(vocabulary))
    return " ".join(words)


def score(system: int, conditions: int) -> None:
    name = f"system{system}"
    exp = f"exp/{name}_seed0"
    sets = [f"data/test_{condition(number)}" for number in range(conditions)]
    run("score", "--system", name, "--seed", "0", "--decode_dir", f"{exp}/decode", "--out",
        f"{exp}/scores.json", *sets)  # fmt: skip


def run(command: str, *options: str) -> None:
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", f"espnet_robust.bin.{command}", *options], check=True,
        env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip


if __name__ == "__main__":
    main()
