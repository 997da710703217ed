"""Make some shards of a distorted copy that make_protocol has begun, as part of a job array."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust make_shards", description=__doc__)
    parser.add_argument("--first", type=int, required=True, help="number of the first shard")
    parser.add_argument("--number", type=int, required=True, help="number of consecutive shards")
    parser.add_argument("--nj", type=int, default=1, help="number of processes")
    parser.add_argument(
        "--allow_pipe", action="store_true", help="run the commands in the wav.scp of SRC"
    )
    parser.add_argument("src", type=Path, metavar="SRC", help="data dir to distort")
    parser.add_argument("dst", type=Path, metavar="DST", help="the copy")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.distortion.copies import SHARD, begun_job, make_shards

    job = begun_job(args.src, args.dst, allow_pipe=args.allow_pipe)
    shards = range(args.first, args.first + args.number)
    make_shards(job, shards.stop * SHARD, args.nj, shards)


if __name__ == "__main__":
    run(main)
