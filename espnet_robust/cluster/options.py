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
        "--dry_run", default="false", choices=("true", "false"),
        help="print what would be submitted, and submit nothing",
    )  # fmt: skip


def stage_of(
    args: argparse.Namespace,
    title: str,
    kind: str,
    jobs: Path,
    *,
    ngpu: int = 0,
    num_nodes: int = 1,
) -> Stage:
    """The stage described by the options of ``add_cluster_options``.

    Args:
        jobs: directory for logs, and how jobs ended.
        ngpu: GPUs of each node of a training; decoding takes one of them.
        num_nodes: nodes of a training.

    Raises:
        ConfigError: as ``read_cluster``.
    """
    assert kind in KINDS
    cluster = read_cluster(args.cluster).of(kind)
    gpus = {"train": ngpu, "decode": min(ngpu, 1)}.get(kind, 0)
    return Stage(title, cluster, jobs, gpus, num_nodes if kind == "train" else 1)
