#!/usr/bin/env python3
"""Time that commands take to import and to answer ``--help``, here or in another checkout.

    python tools/benchmark_start.py --runs 11
    python tools/benchmark_start.py --against ../other_checkout

Figures are medians. The two checkouts take turns with the same Python. The ratio is of CPU time,
which other processes hardly affect: theirs over ours, so that more than 1 is a gain.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser

HERE = Path(__file__).resolve().parents[1]
MODULES = {
    "espnet-robust": "espnet_robust",
    **{
        name: f"espnet_robust.bin.{name}"
        for name in ("distort_data_dir", "score", "distill_train", "decode")
    },
}


def get_parser() -> Parser:
    parser = Parser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="of each (default: 7)")
    parser.add_argument("--commands", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout")
    return parser


def main() -> None:
    args = get_parser().parse_args()
    checkouts = [HERE, args.against.resolve()] if args.against else [HERE]
    columns = ["start", "s", "CPU s"]
    if args.against:
        columns += ["there, s", "there, CPU s", "ratio"]
    print(f"| {' | '.join(columns)} |\n|{'---|' + '---:|' * (len(columns) - 1)}")
    modules = {name: MODULES[name] for name in args.commands}
    measured = {f"{name} --help": ["-m", module, "--help"] for name, module in modules.items()}
    measured |= {f"import {module}": ["-c", f"import {module}"] for module in modules.values()}
    for name, command in measured.items():
        runs: list[list[tuple[float, float]]] = [[] for _ in checkouts]
        for number in range(args.runs + 1):
            for checkout, times in zip(checkouts, runs, strict=True):
                taken = start(command, checkout)
                if number and taken:  # the first run reads the files from disk
                    times.append(taken)
        print(f"| `{name}` | {' | '.join(cells(runs))} |", flush=True)


def cells(runs: Sequence[list[tuple[float, float]]]) -> list[str]:
    """Medians of wall and CPU time for each checkout, and their ratio; - for no such command."""
    medians = [[statistics.median(x) for x in zip(*times, strict=True)] for times in runs]
    shown = [cell for pair in medians for cell in ([f"{x:.2f}" for x in pair] or ["-", "-"])]
    if len(medians) > 1:
        shown.append(f"{medians[1][1] / medians[0][1]:.1f}" if all(medians) else "-")
    return shown


def start(command: list[str], checkout: Path) -> tuple[float, float] | None:
    """Wall and CPU seconds of one start in a checkout; None where it has no such command."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *command],
        cwd=checkout,  # which Python puts first on its path
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    return None if process.returncode else (seconds, usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    main()
