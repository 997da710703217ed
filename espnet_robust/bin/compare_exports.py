"""Compare exported recognisers: word error rate in every condition, size, speed."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust compare_exports", description=__doc__)
    parser.add_argument(
        "models", type=Path, nargs="+", help="ONNX files; others are compared with the first"
    )
    parser.add_argument(
        "--test_set", type=Path, required=True, metavar="DATA_DIR",
        help="test set, with all of its conditions, DATA_DIR_CONDITION",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.common.files import write_atomic
    from espnet_robust.data.conditions import condition_dirs, read_condition
    from espnet_robust.device.compare import compare, markdown

    conditions = {read_condition(path).name: path for path in condition_dirs(args.test_set)}
    rows = compare(args.models, conditions, args.threads)
    print(markdown(rows))
    if args.json:
        content = [dataclasses.asdict(row) | {"distorted": row.distorted} for row in rows]
        write_atomic(args.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
