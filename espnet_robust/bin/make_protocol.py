"""Write OUT_PREFIX_<condition>, a distorted copy of SRC, for every condition of a protocol."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.bin.distort_data_dir import add_copy_options
from espnet_robust.cluster.options import add_cluster_options
from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust make_protocol", description=__doc__)
    add_copy_options(parser)
    add_cluster_options(parser)
    parser.add_argument("src", type=Path, metavar="SRC", help="data dir to distort")
    parser.add_argument(
        "out_prefix", metavar="OUT_PREFIX", help="data dir prefix, such as data/test"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    what = (args.src, args.out_prefix, args.config)
    options = {
        "seed": args.seed,
        "format": args.format,
        "allow_pipe": args.allow_pipe,
        "hash_audio": args.hash_audio,
    }
    from espnet_robust.distortion.protocol import make_protocol, protocol_jobs, remove_left_over

    if not args.cluster:
        make_protocol(*what, nj=args.nj, **options)
        return
    from espnet_robust.cluster.copies import describe_copies, make_copies
    from espnet_robust.cluster.options import stage_of

    stage = stage_of(args, "copies", "data", Path(args.out_prefix).parent / ".jobs")
    if args.dry_run == "true":
        print(describe_copies(lambda: protocol_jobs(*what, **options), stage))
        return
    jobs = protocol_jobs(*what, **options)
    remove_left_over(jobs, args.out_prefix, args.config)
    make_copies(jobs, stage)


if __name__ == "__main__":
    run(main)
