"""The options of commands that submit jobs."""

import argparse
from pathlib import Path

from espnet_robust.cluster.config import KINDS, read_cluster
from espnet_robust.cluster.running import Stage


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Where jobs go."""
    parser.add_argument(
        "--cluster", default="", metavar="NAME|YAML",
        help="conf/cluster/NAME.yaml of the recipe or the checkout, or a file",
    )  # fmt: skip
    parser.add_argument(
        "--jobs_dir", type=Path, default=Path("exp/jobs"), metavar="DIR",
        help="logs of jobs, and how they ended (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--dry_run", default="false", choices=("true", "false"),
        help="print what would be submitted, and submit nothing",
    )  # fmt: skip


def stage_of(
    args: argparse.Namespace, title: str, kind: str, *, gpus: int = 0, nodes: int = 1
) -> Stage:
    """The stage that ``add_cluster_options`` describes.

    Raises:
        ConfigError: as ``read_cluster``.
    """
    assert kind in KINDS
    cluster = read_cluster(args.cluster).of(kind)
    return Stage(title, cluster, args.jobs_dir, gpus, nodes)
