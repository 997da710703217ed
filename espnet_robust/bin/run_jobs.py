"""Run commands from stdin as jobs of a cluster; jobs that fail are tried again.

The commands come in the format that egs/TEMPLATE/stages.sh writes.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cluster.config import KINDS
from espnet_robust.cluster.options import add_cluster_options, stage_of
from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust run_jobs", description=__doc__)
    add_cluster_options(parser)
    parser.add_argument(
        "--jobs_dir", type=Path, required=True, metavar="DIR", help="directory for the jobs' logs"
    )
    parser.add_argument("--title", required=True, help="name of the jobs in the cluster")
    parser.add_argument("--kind", choices=KINDS, default="data", help="default: %(default)s")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs of each node of a training")
    parser.add_argument("--num_nodes", type=int, default=1, help="of a training")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.cluster.records import read_commands
    from espnet_robust.cluster.running import submit

    stage = stage_of(
        args, args.title, args.kind, args.jobs_dir, ngpu=args.ngpu, num_nodes=args.num_nodes
    )
    submit(stage, read_commands(sys.stdin.read()), args.dry_run == "true")


if __name__ == "__main__":
    run(main)
