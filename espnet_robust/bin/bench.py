"""Measure students in torch, ONNX and int8: real-time factor, time to first result, memory, size.

    espnet-robust bench exp/student                # a student directory
    espnet-robust bench --random teacher hubert thin log_mel    # full-size shapes, random weights

Every model runs in its own process, one utterance at a time. Speed-ups are ratios of processor time
to the first model in torch, within the same round.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run

SHAPES = ("teacher", "hubert", "lstm", "thin", "log_mel")


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust bench", description=__doc__)
    parser.add_argument("students", type=Path, nargs="*", help="student directories")
    parser.add_argument(
        "--random", nargs="+", choices=SHAPES, default=[], metavar="SHAPE",
        help=f"full-size shapes with random weights: {', '.join(SHAPES)}",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="CPU threads")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 5, 15], help="of audio")
    parser.add_argument(
        "--rounds", type=int, default=3, help="take medians over N rounds (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if not (args.students or args.random):
        parser.error("name student directories, or --random SHAPE ...")
    if min([*args.threads, args.rounds]) < 1 or min(args.seconds) < 0.1:
        parser.error("need at least 1 thread, 1 round and 0.1 s of audio")
    from espnet_robust.common.files import write_atomic
    from espnet_robust.device.bench import bench, markdown, processor, random_cases, student_cases

    with tempfile.TemporaryDirectory() as folder:
        cases = random_cases(Path(folder), args.random)
        for number, student in enumerate(args.students):
            cases += student_cases(str(student), student, Path(folder) / str(number))
        rows = bench(cases, args.threads, args.seconds, args.rounds)
    print(f"{processor()}; medians of {args.rounds} rounds\n\n{markdown(rows)}")
    if args.json:
        content = {"processor": processor(), "rounds": args.rounds, "rows": rows}
        write_atomic(args.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
